"""Cookies nobody but this process can read or change.

The session lives in the browser, encrypted and authenticated (JWE, A256GCM) under the session secret, so that any
number of web processes serve it and none has to remember it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from typing import Any

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from domain.people import Person
from domain.record import Record
from web.config import WebConfig

SIGN_IN_SECONDS = 600


class Session(Record):
    """A signed-in person and the token their forms carry."""

    identity: Person
    csrf: str
    expires_at: float

    def owns_form(self, presented: str) -> bool:
        """Whether a form was rendered for this session (and not by a page of someone else)."""
        return hmac.compare_digest(self.csrf.encode(), presented.encode())


class Sessions:
    """Reads and writes the two cookies: the session, and a sign-in under way."""

    def __init__(self, config: WebConfig, *, now: Callable[[], float] = time.time) -> None:
        """Seal cookies under the configured secret.

        Args:
            config: secret, life time, and whether the site is served over TLS.
            now: seconds since the epoch, UTC.
        """
        digest = hashlib.sha256(config.session_secret.get_secret_value().encode()).digest()
        self._key = OctKey.import_key(digest)
        self._secure = config.cookie_secure
        self._seconds = config.session_hours * 3600
        self._now = now
        prefix = "__Host-" if self._secure else ""
        self._session_cookie = f"{prefix}q2c_session"
        self._sign_in_cookie = f"{prefix}q2c_signin"

    def current(self, request: Request) -> Session | None:
        """The session of a request; None where there is none, or it is over or not ours."""
        content = self._open(request.cookies.get(self._session_cookie, ""))
        if content is None:
            return None
        try:
            session = Session.model_validate(content)
        except ValidationError:
            return None
        return session if session.expires_at > self._now() else None

    def begin(self, response: Response, identity: Person) -> None:
        """Start a session: with this response the person is signed in."""
        session = Session(identity=identity, csrf=secrets.token_urlsafe(24), expires_at=self._now() + self._seconds)
        self._set(response, self._session_cookie, session.model_dump(mode="json"), self._seconds)
        response.delete_cookie(self._sign_in_cookie, secure=self._secure, httponly=True, samesite="lax")

    def end(self, response: Response) -> None:
        """Forget the session."""
        response.delete_cookie(self._session_cookie, secure=self._secure, httponly=True, samesite="lax")

    def remember_sign_in(self, response: Response, flow: dict[str, Any]) -> None:
        """Keep state, nonce and code verifier of a sign-in until the browser comes back."""
        self._set(response, self._sign_in_cookie, flow | {"until": self._now() + SIGN_IN_SECONDS}, SIGN_IN_SECONDS)

    def sign_in_under_way(self, request: Request) -> dict[str, Any] | None:
        """What was kept of a sign-in; None where there is none or it took too long."""
        flow = self._open(request.cookies.get(self._sign_in_cookie, ""))
        return flow if flow and flow.get("until", 0) > self._now() else None

    def _set(self, response: Response, name: str, content: dict[str, Any], seconds: int) -> None:
        sealed = jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, json.dumps(content), self._key)
        response.set_cookie(name, sealed, max_age=seconds, secure=self._secure, httponly=True, samesite="lax")

    def _open(self, sealed: str) -> dict[str, Any] | None:
        if not sealed:
            return None
        try:
            plain = jwe.decrypt_compact(sealed, self._key).plaintext
        except (JoseError, ValueError):
            return None
        content = json.loads(plain or b"null")
        return content if isinstance(content, dict) else None
