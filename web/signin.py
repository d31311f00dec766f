"""Sign-in of people by Entra ID: authorization code with PKCE, through MSAL.

Who is signed in, and in which roles, comes from the ID token alone and is kept in the encrypted session cookie; no
access token is kept, because the pages call nothing in the person's name.
Source: Microsoft Learn, "Web app that signs in users" (identity platform).
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msal
import requests
import structlog
from opentelemetry import metrics
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from domain.people import Person
from domain.refusals import Refusal
from web.config import WebConfig
from web.problems import Problem
from web.session import Sessions
from web.tokens import KeysUnavailable, SigningKeys

log = structlog.get_logger(__name__)
_sign_ins = metrics.get_meter(__name__).create_counter("q2c_sign_ins", description="Sign-ins of people, by result")

# With form_post the answer comes as a cross-site POST, to which a browser adds no SameSite=Lax cookie: state and code
# verifier would be lost. The code in the address is useless without the verifier (PKCE) and the client secret.
warnings.filterwarnings("ignore", message="response_mode='form_post' is recommended", category=UserWarning)

_TIMEOUT_SECONDS = 10
_AGAIN = "Go back to the start page and sign in again."


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
    """Keeps nothing: every sign-in is a new one, and tokens of people must not pile up in memory."""

    def add(self, event: Mapping[str, Any], now: float | None = None) -> None:
        """Forget what MSAL wants remembered."""


class SignIn:
    """The three addresses of a sign-in: there, back, and out."""

    def __init__(self, config: WebConfig, sessions: Sessions, keys: SigningKeys) -> None:
        """Sign people in to this application.

        Args:
            config: the app registration.
            sessions: keeps who is signed in.
            keys: knows where Entra ends its own session.
        """
        self._config = config
        self._sessions = sessions
        self._keys = keys
        self._msal: msal.ConfidentialClientApplication | None = None

    def routes(self) -> list[Route]:
        """The routes under /auth."""
        return [
            Route("/auth/sign-in", self.leave, methods=["GET"]),
            Route("/auth/callback", self.come_back, methods=["GET"]),
            Route("/auth/sign-out", self.sign_out, methods=["POST"]),
        ]

    async def leave(self, request: Request) -> Response:
        """Send the browser to Entra, remembering state, nonce, code verifier and where to go afterwards."""
        try:
            flow = await asyncio.to_thread(self._begin)
        except (requests.RequestException, ValueError) as error:
            log.warning("sign-in cannot begin", reason=str(error))
            raise Problem(Refusal.ENTRA_UNAVAILABLE) from error
        response = RedirectResponse(flow.pop("auth_uri"), 302)
        self._sessions.remember_sign_in(response, {"flow": flow, "next": local_path(request.query_params.get("next"))})
        return response

    async def come_back(self, request: Request) -> Response:
        """Redeem the code Entra sent the browser back with; start the session."""
        kept = self._sessions.sign_in_under_way(request)
        if kept is None:
            raise Problem(Refusal.SIGN_IN_LOST, f"This sign-in took too long or was begun in another window. {_AGAIN}")
        try:
            result = await asyncio.to_thread(self._redeem, kept["flow"], dict(request.query_params))
        except (ValueError, RuntimeError) as error:
            # State or nonce is not the one this browser left with.
            _sign_ins.add(1, {"result": "mismatch"})
            raise Problem(Refusal.SIGN_IN_LOST, f"This sign-in does not belong to this browser. {_AGAIN}") from error
        except requests.RequestException as error:
            raise Problem(Refusal.ENTRA_UNAVAILABLE) from error
        if "id_token_claims" not in result:
            _sign_ins.add(1, {"result": "refused"})
            reason = str(result.get("error_description") or result.get("error") or "").splitlines()
            log.warning("sign-in refused", reason=reason[:1])
            raise Problem(Refusal.SIGN_IN_REFUSED, f"Entra ID refused the sign-in: {''.join(reason[:1])}")
        try:
            identity = Person.from_claims(result["id_token_claims"])
        except ValueError as error:
            raise Problem(Refusal.SIGN_IN_REFUSED, f"Entra ID's answer cannot be used: {error}") from error
        _sign_ins.add(1, {"result": "ok"})
        response = RedirectResponse(kept["next"], 303)
        self._sessions.begin(response, identity)
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the session here and at Entra."""
        session = self._sessions.current(request)
        form = await request.form()
        if session and not session.owns_form(str(form.get("csrf", ""))):
            raise Problem(Refusal.FORGED_FORM)
        back = f"{self._config.public_url}/signed-out"
        try:
            address = await self._keys.sign_out_address()
        except KeysUnavailable:
            address = ""
        target = f"{address}?{urlencode({'post_logout_redirect_uri': back})}" if address else back
        response = RedirectResponse(target, 303)
        self._sessions.end(response)
        return response

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

    def _begin(self) -> dict[str, Any]:
        flow: dict[str, Any] = self._application().initiate_auth_code_flow(
            scopes=[], redirect_uri=self._config.redirect_uri, prompt="select_account"
        )
        return flow

    def _redeem(self, flow: Mapping[str, Any], answer: Mapping[str, str]) -> dict[str, Any]:
        result: dict[str, Any] = self._application().acquire_token_by_auth_code_flow(dict(flow), dict(answer))
        return result


def local_path(text: str | None) -> str:
    """A path of this site; the inbox for anything that could lead elsewhere."""
    if not text or not text.startswith("/") or text.startswith("//") or "\\" in text or not text.isprintable():
        return "/"
    return "/" if text.startswith("/auth/") else text
