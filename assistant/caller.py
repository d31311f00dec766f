"""Who asks: the person behind the token of a request, believed as the approvals site believes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken
from mcp.server.mcpserver.exceptions import ToolError

from domain.people import Person
from domain.refusals import Refusal
from web.tokens import SCOPE, InvalidToken, KeysUnavailable, TokenVerifier

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Caller:
    """A person, and the token that says so, which the approvals site is shown as it is."""

    person: Person
    token: str


class EntraTokens:
    """Tells the server which tokens are good: those that the approvals site takes."""

    def __init__(self, verifier: TokenVerifier) -> None:
        """Believe what ``verifier`` believes."""
        self._verifier = verifier

    async def verify_token(self, token: str) -> AccessToken | None:
        """A token's owner, None where it is not good for this product."""
        try:
            who = await self._verifier.identify(f"Bearer {token}")
        except InvalidToken as error:
            log.info("a token was refused", reason=str(error))
            return None
        except KeysUnavailable as error:
            log.warning("no token can be believed", reason=str(error))
            return None
        return AccessToken(token=token, client_id="q2c", scopes=[SCOPE], subject=who.person.oid)


class Callers:
    """Finds who asks."""

    def __init__(self, verifier: TokenVerifier, given: Callable[[], str] | None = None) -> None:
        """Take the token of each request.

        Args:
            verifier: believes tokens.
            given: the token of the one person who asks by standard input; None: each request brings its own.
        """
        self._verifier = verifier
        self._given = given

    async def current(self) -> Caller:
        """Who asks now.

        Raises:
            ToolError: nobody is known to ask.
        """
        shown = get_access_token()
        token = self._given() if self._given else shown.token if shown else ""
        try:
            who = await self._verifier.identify(f"Bearer {token}")
        except InvalidToken as error:
            raise refusal(Refusal.UNAUTHENTICATED, f"The token is not good: {error}. Sign in again.") from error
        except KeysUnavailable as error:
            raise refusal(Refusal.ENTRA_UNAVAILABLE) from error
        return Caller(who.person, token)


def refusal(code: Refusal | str, detail: str = "") -> ToolError:
    """A refusal as an assistant reads it: the code, and the sentence for a person."""
    sentence = detail or (code.sentence if isinstance(code, Refusal) else "")
    return ToolError(f"{code}: {sentence}")
