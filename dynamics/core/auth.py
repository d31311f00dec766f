"""Access tokens of the application, from Entra ID, without ever stopping the event loop.

MSAL for Python is synchronous, so it runs in a thread; one token per resource is kept in memory and renewed before it
ends. Many coroutines that find it stale cause one request to Entra ID, not many; while it does not answer, none but a
trial from time to time (`dynamics.core.circuit`).

Source: Microsoft Learn "Acquire tokens for web APIs from a daemon app" (scope `{resource}/.default`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies

import msal
import requests

from dynamics.core.circuit import Circuit
from dynamics.core.errors import DynamicsError, System, Transient, Unauthorized
from dynamics.core.network import is_loopback

RENEW_BEFORE_SECONDS = 300.0
"""MSAL itself calls a token stale this long before it ends; asking earlier would return the same token."""


class TokenSource(Protocol):
    """Where a client gets its bearer token."""

    async def token(self) -> str:
        """A token that is valid now.

        Raises:
            Unauthorized: Entra ID refused.
            Transient: Entra ID could not be reached.
        """
        ...

    def drop(self, token: str) -> None:
        """Forget `token`, which a resource refused; a newer one, if held, stays."""
        ...


@dataclass(frozen=True, slots=True)
class Credentials:
    """The application as Entra ID knows it."""

    authority: str
    """`https://login.microsoftonline.com/{tenant}`, or the same of another cloud or of the sandbox."""
    client_id: str
    client_secret: str = field(repr=False)
    ca_file: str | None = None
    """PEM file of the authority that signed Entra's certificate; None means the system's."""
    instance_discovery: bool = True
    """False where the authority is not one Microsoft vouches for: the sandbox."""
    timeout: float = 15.0
    """Seconds for one request to Entra ID."""


class ClientCredentials:
    """Tokens for one resource by the client-credentials grant."""

    def __init__(self, credentials: Credentials, resource: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is requested yet.

        Args:
            credentials: The application.
            resource: Base URL of Dataverse or Finance. A trailing slash is removed: Finance refuses a token whose
                audience has one (Microsoft Learn: "Troubleshoot service authentication").
            clock: Monotonic seconds.
        """
        self._credentials = credentials
        self._scope = resource.rstrip("/") + "/.default"
        self._clock = clock
        self._lock = asyncio.Lock()
        self._token = ""
        self._ends = 0.0
        self._app: msal.ConfidentialClientApplication | None = None
        self._circuit = Circuit(System.ENTRA, clock=clock)

    async def token(self) -> str:
        """A valid token; one request to Entra ID however many coroutines wait. See `TokenSource.token`."""
        if self._remaining() > RENEW_BEFORE_SECONDS:
            return self._token
        async with self._lock:
            if self._remaining() > RENEW_BEFORE_SECONDS:
                return self._token
            try:
                answer = await self._asked()
            except Transient:
                # Entra ID is away, the token is not stale yet: go on with it.
                if self._remaining() > 0:
                    return self._token
                raise
            self._token = str(answer["access_token"])
            self._ends = self._clock() + float(answer.get("expires_in", 0))
            return self._token

    def drop(self, token: str) -> None:
        """Forget a refused token, in MSAL's cache too, so that the next call asks Entra ID."""
        if token == self._token:
            self._token, self._ends = "", 0.0
            if self._app is not None:
                self._app.remove_tokens_for_client()

    def _remaining(self) -> float:
        return self._ends - self._clock() if self._token else 0.0

    async def _asked(self) -> dict[str, Any]:
        """What Entra ID answers. A token is read, never written: each request may be the trial."""
        if self._circuit.is_open and not self._circuit.may_try:
            raise self._circuit.refusal(f"token for {self._scope}")
        with self._circuit.trial():
            try:
                answer = await asyncio.to_thread(self._acquire)
            except Transient as away:
                self._circuit.missed(away.message)
                raise
            except Unauthorized:
                self._circuit.answered()
                raise
        self._circuit.answered()
        return answer

    def _acquire(self) -> dict[str, Any]:
        """Ask MSAL; runs in a thread, under the lock."""
        try:
            if self._app is None:
                self._app = self._build_app()
            answer: dict[str, Any] = self._app.acquire_token_for_client(scopes=[self._scope])
        except requests.RequestException as e:
            raise self._error(Transient, f"Entra ID cannot be reached: {e}") from e
        except ValueError as e:  # MSAL's word for an authority whose configuration it cannot read
            raise self._error(Unauthorized, f"the authority is not usable: {e}") from e
        if "access_token" not in answer:
            raise self._refusal(answer)
        return answer

    def _build_app(self) -> msal.ConfidentialClientApplication:
        c = self._credentials
        session = requests.Session()
        session.trust_env = False  # REQUESTS_CA_BUNDLE in the environment would silently win over verify
        session.verify = c.ca_file or True
        if not is_loopback(urlsplit(c.authority).hostname or ""):
            session.proxies.update(getproxies())
        return msal.ConfidentialClientApplication(
            c.client_id,
            client_credential=c.client_secret,
            authority=c.authority,
            instance_discovery=None if c.instance_discovery else False,
            http_client=_TimedSession(session, c.timeout),
        )

    def _refusal(self, answer: dict[str, Any]) -> DynamicsError:
        name = str(answer.get("error", ""))
        codes = answer.get("error_codes") or []
        code = f"AADSTS{codes[0]}" if codes else name
        kind = Transient if name in {"temporarily_unavailable", "server_error"} else Unauthorized
        return self._error(kind, str(answer.get("error_description") or name), code)

    def _error(self, kind: type[DynamicsError], message: str, code: str = "") -> DynamicsError:
        return kind(message, system=System.ENTRA, code=code, operation=f"token for {self._scope}")


class GivenToken:
    """A token that somebody got elsewhere, e.g. an administrator by Azure CLI: it cannot be renewed."""

    def __init__(self, token: str) -> None:
        """Use a token, as it stands."""
        self._token = token

    async def token(self) -> str:
        """The token. Raises Unauthorized once it was refused."""
        if not self._token:
            why = "the given token was refused: it has expired, or it is for another resource"
            raise Unauthorized(why, system=System.ENTRA, operation="given token")
        return self._token

    def drop(self, token: str) -> None:
        """It was refused."""
        self._token = ""


class _TimedSession:
    """The two calls MSAL makes, each with a timeout: `requests` waits forever by default."""

    def __init__(self, session: requests.Session, timeout: float) -> None:
        self._session = session
        self._timeout = timeout

    def get(self, url: str, **kwargs: Any) -> requests.Response:
        return self._session.get(url, **{"timeout": self._timeout, **kwargs})

    def post(self, url: str, **kwargs: Any) -> requests.Response:
        return self._session.post(url, **{"timeout": self._timeout, **kwargs})

    def close(self) -> None:
        self._session.close()
