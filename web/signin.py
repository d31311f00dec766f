"""The addresses of a sign-in: there, back, and out.

Who is signed in, and in which roles, comes from the ID token alone; pages call nothing in the person's name.
"""

from __future__ import annotations

from urllib.parse import urlencode

import structlog
from opentelemetry import metrics
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from domain.refusals import Refusal
from web import security_log
from web.config import WebConfig
from web.entra import EntraAway, EntraSignIn, NotSignedIn, WrongBrowser
from web.problems import Problem
from web.session import Sessions
from web.tokens import KeysUnavailable, SigningKeys

log = structlog.get_logger(__name__)
_sign_ins = metrics.get_meter(__name__).create_counter("q2c_sign_ins", description="Sign-ins of people, by result")

_AGAIN = "Go back to the start page and sign in again."


class SignIn:
    """The three addresses under /auth."""

    def __init__(self, config: WebConfig, sessions: Sessions, entra: EntraSignIn, keys: SigningKeys) -> None:
        """Sign people in.

        Args:
            config: where this site is, and how long a sign-in holds.
            sessions: keeps who is signed in.
            entra: asks people who they are.
            keys: knows where Entra ends its own session.
        """
        self._config = config
        self._sessions = sessions
        self._entra = entra
        self._keys = keys

    def routes(self) -> list[Route]:
        """The routes under /auth."""
        return [
            Route("/auth/sign-in", self.leave, methods=["GET"]),
            Route("/auth/callback", self.come_back, methods=["GET"]),
            Route("/auth/sign-out", self.sign_out, methods=["POST"]),
        ]

    async def leave(self, request: Request) -> Response:
        """Send the browser to Entra, remembering state, nonce, code verifier and where to go afterwards."""
        fresh = request.query_params.get("fresh") == "1"
        max_age = self._config.fresh_seconds if fresh else self._config.session_seconds
        try:
            flow = await self._entra.begin(max_age, self._config.fresh_context if fresh else "")
        except EntraAway as error:
            log.warning("sign-in cannot begin", reason=str(error))
            raise Problem(Refusal.ENTRA_UNAVAILABLE) from error
        response = RedirectResponse(flow.pop("auth_uri"), 302)
        self._sessions.remember_sign_in(response, {"flow": flow, "next": local_path(request.query_params.get("next"))})
        return response

    async def come_back(self, request: Request) -> Response:
        """Redeem the code Entra sent the browser back with; start the session."""
        kept = self._sessions.sign_in_under_way(request)
        if kept is None:
            raise _failed(
                "lost", Refusal.SIGN_IN_LOST, f"This sign-in took too long or was begun in another window. {_AGAIN}"
            )
        try:
            found = await self._entra.redeem(kept["flow"], dict(request.query_params))
        except WrongBrowser as error:
            detail = f"This sign-in does not belong to this browser. {_AGAIN}"
            raise _failed("mismatch", Refusal.SIGN_IN_LOST, detail, str(error)) from error
        except EntraAway as error:
            raise Problem(Refusal.ENTRA_UNAVAILABLE) from error
        except NotSignedIn as error:
            detail = f"Entra ID refused the sign-in: {error}"
            raise _failed("refused", Refusal.SIGN_IN_REFUSED, detail, str(error)) from error
        _sign_ins.add(1, {"result": "ok"})
        security_log.signed_in(found.who.person, found.who.sign_in)
        response = RedirectResponse(kept["next"], 303)
        await self._sessions.begin(request, response, found)
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the session here and at Entra; with ``everywhere`` all of the person's sessions here."""
        session = await self._sessions.current(request)
        form = await request.form()
        if session and not session.owns_form(str(form.get("csrf", ""))):
            security_log.forged_form(session.identity)
            raise Problem(Refusal.FORGED_FORM)
        back = f"{self._config.public_url}/signed-out"
        try:
            address = await self._keys.sign_out_address()
        except KeysUnavailable:
            address = ""
        target = f"{address}?{urlencode({'post_logout_redirect_uri': back})}" if address else back
        response = RedirectResponse(target, 303)
        if session:
            everywhere = form.get("everywhere") == "1"
            if everywhere:
                await self._sessions.end_all(session.identity.oid)
            security_log.signed_out(session.identity, everywhere=everywhere)
        await self._sessions.end(request, response)
        return response


def _failed(result: str, refusal: Refusal, detail: str, reason: str = "") -> Problem:
    _sign_ins.add(1, {"result": result})
    security_log.sign_in_refused(reason or result)
    return Problem(refusal, detail)


def local_path(text: str | None) -> str:
    """A path of this site; the inbox for anything that could lead elsewhere."""
    if not text or not text.startswith("/") or text.startswith("//") or "\\" in text or not text.isprintable():
        return "/"
    return "/" if text.startswith("/auth/") else text


def sign_in_again(path: str) -> str:
    """Where a person signs in freshly, and comes back to a page."""
    return f"/auth/sign-in?{urlencode({'fresh': '1', 'next': path})}"
