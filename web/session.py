"""Who is signed in: sessions that this side keeps and can end.

The browser holds a random number and nothing else. A session ends when its person signs out, when nobody used it for a
while, at the latest some hours after the sign-in, and as soon as Entra ID does not know the person any more: their
roles are read again every few minutes. What was begun of a sign-in stays in the browser, sealed (JWE, A256GCM).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from domain.people import Person
from domain.record import Record
from domain.sign_in import SignIn
from web import security_log
from web.config import WebConfig
from web.entra import EntraAway, NotSignedIn, Redeemed
from web.identity import SignedIn
from web.session_store import SessionStore

SIGN_IN_SECONDS: Final = 600
SEEN_AT_MOST_EVERY: Final = 60.0
"""How often it is written down that a session was used."""

ReadAgain = Callable[[str], Awaitable[Redeemed]]


class Session(Record):
    """A signed-in person and the token their forms carry. Moments in seconds since the epoch, UTC."""

    identity: Person
    sign_in: SignIn
    csrf: str
    begun_at: float
    seen_at: float
    read_at: float
    refresh_token: str = ""

    @property
    def who(self) -> SignedIn:
        """The person, and how they signed in."""
        return SignedIn(person=self.identity, sign_in=self.sign_in)

    def owns_form(self, presented: str) -> bool:
        """Whether a form was rendered for this session (and not by a page of someone else)."""
        return hmac.compare_digest(self.csrf.encode(), presented.encode())


class Sessions:
    """Begins sessions, finds them again, and ends them."""

    def __init__(
        self,
        config: WebConfig,
        store: SessionStore,
        read_again: ReadAgain,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Keep sessions.

        Args:
            config: secret, life times, and whether the site is served over TLS.
            store: where they are kept.
            read_again: who a person is now, by the refresh token of their sign-in.
            now: seconds since the epoch, UTC.
        """
        secret = config.session_secret.get_secret_value().encode()
        self._key = OctKey.import_key(hashlib.sha256(secret).digest())
        self._owner_key = hashlib.sha256(b"owner" + secret).digest()
        self._config = config
        self._store = store
        self._read_again = read_again
        self._secure = config.cookie_secure
        self._now = now
        prefix = "__Host-" if self._secure else ""
        self._session_cookie = f"{prefix}q2c_session"
        self._sign_in_cookie = f"{prefix}q2c_signin"

    async def current(self, request: Request) -> Session | None:
        """The session of a request; None where there is none, or it is over.

        Raises:
            LedgerAway: sessions are kept in the ledger, and it does not answer.
        """
        key = self._store_key(request)
        if not key:
            return None
        now = self._now()
        content = self._open(await self._store.read(key, now) or "")
        if content is None:
            return None
        try:
            session = Session.model_validate(content)
        except ValidationError:
            return None
        if now - session.seen_at > self._config.session_idle_seconds:
            await self._store.remove(key)
            security_log.session_ended(session.identity, "idle")
            return None
        return await self._up_to_date(key, session, request, now)

    async def begin(self, request: Request, response: Response, found: Redeemed) -> None:
        """Start a session: with this response the person is signed in, and the browser's session before it is over."""
        if before := self._store_key(request):
            await self._store.remove(before)
        now, token = self._now(), secrets.token_urlsafe(32)
        session = Session(
            identity=found.who.person,
            sign_in=found.who.sign_in,
            csrf=secrets.token_urlsafe(24),
            begun_at=now,
            seen_at=now,
            read_at=now,
            refresh_token=found.refresh_token,
        )
        owner, expires_at = self._owner(session.identity.oid), now + self._config.session_seconds
        await self._store.begin(_hashed(token), owner, self._sealed(session), expires_at)
        response.set_cookie(
            self._session_cookie,
            token,
            max_age=self._config.session_seconds,
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )
        response.delete_cookie(self._sign_in_cookie, secure=self._secure, httponly=True, samesite="lax")

    async def end(self, request: Request, response: Response) -> None:
        """End the session of a request, here and in the browser."""
        if key := self._store_key(request):
            await self._store.remove(key)
        response.delete_cookie(self._session_cookie, secure=self._secure, httponly=True, samesite="lax")

    async def end_all(self, oid: str) -> int:
        """End all sessions of a person (Entra object id); how many there were."""
        return await self._store.remove_all(self._owner(oid))

    async def end_all_by(self, administrator: Person, oid: str) -> int:
        """End all sessions of a person because an administrator says so; how many there were."""
        ended = await self.end_all(oid)
        security_log.session_ended(Person(oid=oid), f"{ended} ended by {administrator.oid}")
        return ended

    async def _up_to_date(self, key: str, session: Session, request: Request, now: float) -> Session | None:
        """The session with the person's roles as they were a few minutes ago at most; None where it is over."""
        after = session
        # A page that refreshes itself is no person who uses it.
        if request.headers.get("sec-fetch-dest") != "empty" and now - session.seen_at > SEEN_AT_MOST_EVERY:
            after = after.model_copy(update={"seen_at": now})
        if now - session.read_at > self._config.roles_seconds:
            read = await self._with_roles_of_now(key, after, now)
            if read is None:
                await self._store.remove(key)
                return None
            after = read
        if after is session or await self._store.renew(key, self._sealed(after)):
            return after
        return None  # it was ended while this request was under way

    async def _with_roles_of_now(self, key: str, session: Session, now: float) -> Session | None:
        person = session.identity
        if not session.refresh_token:
            security_log.session_ended(person, "roles cannot be read again")
            return None
        try:
            found = await self._read_again(session.refresh_token)
        except NotSignedIn as error:
            security_log.session_ended(person, f"Entra ID: {error}")
            return None
        except EntraAway:
            # For as long again the roles read last count: an outage of the directory is no reason to stop approving.
            if now - session.read_at <= 2 * self._config.roles_seconds:
                return session
            security_log.session_ended(person, "roles could not be read again")
            return None
        if not found.who.person.is_same(person):
            security_log.session_ended(person, "Entra ID names somebody else")
            return None
        if set(found.who.person.roles) != set(person.roles):
            security_log.roles_changed(person, found.who.person)
        return session.model_copy(
            update={
                "identity": found.who.person,
                "read_at": now,
                "refresh_token": found.refresh_token or session.refresh_token,
            }
        )

    def _sealed(self, session: Session) -> str:
        return self._seal(session.model_dump(mode="json"))

    def _store_key(self, request: Request) -> str:
        """What a session is kept under: whoever reads the store cannot take it over."""
        token = request.cookies.get(self._session_cookie, "")
        return _hashed(token) if token else ""

    def _owner(self, oid: str) -> str:
        return hmac.new(self._owner_key, oid.lower().encode(), hashlib.sha256).hexdigest()

    # A sign-in under way

    def remember_sign_in(self, response: Response, flow: dict[str, Any]) -> None:
        """Keep state, nonce and code verifier of a sign-in until the browser comes back."""
        sealed = self._seal(flow | {"until": self._now() + SIGN_IN_SECONDS})
        response.set_cookie(
            self._sign_in_cookie, sealed, max_age=SIGN_IN_SECONDS, secure=self._secure, httponly=True, samesite="lax"
        )

    def sign_in_under_way(self, request: Request) -> dict[str, Any] | None:
        """What was kept of a sign-in; None where there is none or it took too long."""
        flow = self._open(request.cookies.get(self._sign_in_cookie, ""))
        return flow if flow and flow.get("until", 0) > self._now() else None

    def _seal(self, content: dict[str, Any]) -> str:
        return jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, json.dumps(content), self._key)

    def _open(self, sealed: str) -> dict[str, Any] | None:
        if not sealed:
            return None
        try:
            plain = jwe.decrypt_compact(sealed, self._key).plaintext
        except (JoseError, ValueError):
            return None
        content = json.loads(plain or b"null")
        return content if isinstance(content, dict) else None


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
