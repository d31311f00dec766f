"""The sign-in of people at Entra ID: authorization code with PKCE, through MSAL, and later readings of their roles.

Source: Microsoft Learn, "Web app that signs in users" (identity platform).
"""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msal
import requests

from web.config import WebConfig
from web.identity import SignedIn

# With form_post the answer comes as a cross-site POST, to which a browser adds no SameSite=Lax cookie: state and code
# verifier would be lost. The code in the address is useless without the verifier (PKCE) and the client secret.
warnings.filterwarnings("ignore", message="response_mode='form_post' is recommended", category=UserWarning)

_TIMEOUT_SECONDS = 10


class EntraAway(Exception):
    """Entra ID does not answer, or not sensibly: nothing is known of the person."""


class NotSignedIn(Exception):
    """Entra ID refuses: the text says why, for the person."""


class WrongBrowser(Exception):
    """What came back does not belong to the sign-in that this browser began."""


@dataclass(frozen=True)
class Redeemed:
    """Who signed in, and the token by which their roles are read again; empty where Entra gave none."""

    who: SignedIn
    refresh_token: str


class _Http(requests.Session):
    """The HTTP client MSAL uses: trusts our certificate authority, and never waits forever."""

    def __init__(self, ca_file: str | None) -> None:
        super().__init__()
        self.verify = ca_file or True
        # Otherwise REQUESTS_CA_BUNDLE in the environment would silently win over `verify`.
        self.trust_env = False

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs.setdefault("timeout", _TIMEOUT_SECONDS)
        return super().request(*args, **kwargs)


class _NoCache(msal.TokenCache):  # type: ignore[misc]  # msal has no types
    """Keeps nothing: tokens of people stay in their sessions, sealed, and nowhere else."""

    def add(self, event: Mapping[str, Any], now: float | None = None) -> None:
        """Forget what MSAL wants remembered."""


class EntraSignIn:
    """The app registration that people sign in to."""

    def __init__(self, config: WebConfig) -> None:
        """Sign people in to the application of ``config``."""
        self._config = config
        self._msal: msal.ConfidentialClientApplication | None = None

    async def begin(self, max_age: int, context: str = "") -> dict[str, Any]:
        """A sign-in: where the browser has to go (``auth_uri``), and what has to be kept until it is back.

        Args:
            max_age: how many seconds ago the person may have shown who they are; Entra asks them again otherwise, and
                says when it was.
            context: authentication context of conditional access that the sign-in has to satisfy; empty: none.

        Raises:
            EntraAway: its configuration cannot be read.
        """
        try:
            return await asyncio.to_thread(self._begin, max_age, context)
        except (requests.RequestException, ValueError) as error:
            raise EntraAway(str(error)) from error

    async def redeem(self, flow: Mapping[str, Any], answer: Mapping[str, str]) -> Redeemed:
        """Redeem the code a browser came back with.

        Raises:
            WrongBrowser: state, nonce or the age of the sign-in is not what was asked for.
            NotSignedIn: Entra refuses, or its answer names no person.
            EntraAway: it does not answer.
        """
        try:
            result = await asyncio.to_thread(self._redeem, flow, answer)
        except (ValueError, RuntimeError) as error:
            raise WrongBrowser(str(error)) from error
        except requests.RequestException as error:
            raise EntraAway(str(error)) from error
        return _redeemed(result)

    async def read_again(self, refresh_token: str) -> Redeemed:
        """Who a person is now, and in which roles. Raises NotSignedIn and EntraAway as ``redeem``."""
        try:
            result = await asyncio.to_thread(self._read_again, refresh_token)
        except (requests.RequestException, ValueError, RuntimeError) as error:
            raise EntraAway(str(error)) from error
        return _redeemed(result)

    def _application(self) -> msal.ConfidentialClientApplication:
        """MSAL's client, made on first use: making it asks Entra for its configuration."""
        if self._msal is None:
            ca_file = str(self._config.ca_file) if self._config.ca_file else None
            self._msal = msal.ConfidentialClientApplication(
                self._config.client_id,
                client_credential=self._config.client_secret.get_secret_value(),
                authority=self._config.entra_authority,
                instance_discovery=self._config.entra_instance_discovery,
                http_client=_Http(ca_file),
                token_cache=_NoCache(),
            )
        return self._msal

    def _begin(self, max_age: int, context: str) -> dict[str, Any]:
        # Source: Microsoft Learn, "Developer guide to Conditional Access authentication context".
        asked = {"id_token": {"acrs": {"essential": True, "value": context}}}
        flow: dict[str, Any] = self._application().initiate_auth_code_flow(
            scopes=[],
            redirect_uri=self._config.redirect_uri,
            prompt="select_account",
            max_age=max_age,
            claims_challenge=json.dumps(asked) if context else None,
        )
        return flow

    def _redeem(self, flow: Mapping[str, Any], answer: Mapping[str, str]) -> dict[str, Any]:
        result: dict[str, Any] = self._application().acquire_token_by_auth_code_flow(dict(flow), dict(answer))
        return result

    def _read_again(self, refresh_token: str) -> dict[str, Any]:
        result: dict[str, Any] = self._application().acquire_token_by_refresh_token(refresh_token, scopes=[])
        return result


def _redeemed(result: Mapping[str, Any]) -> Redeemed:
    if "id_token_claims" not in result:
        reason = str(result.get("error_description") or result.get("error") or "").splitlines()
        raise NotSignedIn("".join(reason[:1]) or "no reason given")
    try:
        who = SignedIn.from_claims(result["id_token_claims"])
    except ValueError as error:
        raise NotSignedIn(f"its answer cannot be used: {error}") from error
    return Redeemed(who, str(result.get("refresh_token") or ""))
