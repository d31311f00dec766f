"""Believes bearer tokens of the JSON API.

An access token is a person's if the tenant signed it for this application with the delegated scope
``access_as_user``, and gave it to an application that may call this one (``azp``). An ID token has the same audience
and issuer but is no permission to call an API: without ``scp`` it is refused, and so is an application's own token,
since nobody stands behind it.
Source: Microsoft Learn, "Access token claims reference" and "Secure applications and APIs by validating claims".
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
from cachetools import TLRUCache
from joserfc import jwt
from joserfc.errors import InvalidClaimError, InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from web.identity import SignedIn

SCOPE = "access_as_user"
LEEWAY_SECONDS = 60
KEYS_AT_MOST_EVERY = 30.0
KEYS_KEPT_FOR = 24 * 3600.0
REMEMBERED_FOR = 3600.0
"""Seconds a verified token is believed without another look, if it does not expire before."""
_CACHE_LIMIT = 2048


class InvalidToken(Exception):
    """The token is not good for this API; the text says why."""


class KeysUnavailable(Exception):
    """Entra's signing keys could not be read: nothing can be said about a token."""


class SigningKeys:
    """The tenant's public keys and issuer, read from its OpenID configuration and kept."""

    def __init__(self, authority: str, ca_file: Path | None, *, now: Callable[[], float] = time.monotonic) -> None:
        """Look at a tenant.

        Args:
            authority: e.g. https://login.microsoftonline.com/{tenant}.
            ca_file: authority behind its certificate; None: the system's.
            now: monotonic seconds.
        """
        self._authority = authority
        self._ca_file = ca_file
        self._now = now
        self._lock = asyncio.Lock()
        self._keys: KeySet | None = None
        self._issuer = ""
        self._sign_out = ""
        self._read_at = 0.0

    @property
    def loaded(self) -> bool:
        """Whether the keys were read at least once."""
        return self._keys is not None

    @property
    def issuer(self) -> str:
        """The tenant's issuer; empty before the keys were read."""
        return self._issuer

    async def current(self, *, unknown_key: bool = False) -> KeySet:
        """The tenant's keys.

        Args:
            unknown_key: a token named a key that is not among them: read again, at most once in 30 seconds, because
                anybody can send a token with an invented key id.

        Raises:
            KeysUnavailable: they were never read and cannot be read now.
        """
        age = self._now() - self._read_at
        if self._keys is None or age > KEYS_KEPT_FOR or (unknown_key and age > KEYS_AT_MOST_EVERY):
            async with self._lock:
                if self._keys is None or self._now() - self._read_at >= age:
                    await self._read()
        if self._keys is None:
            raise KeysUnavailable(f"{self._authority} gave no signing keys")
        return self._keys

    async def sign_out_address(self) -> str:
        """Where the browser ends its session with Entra."""
        await self.current()
        return self._sign_out

    async def _read(self) -> None:
        tls = ssl.create_default_context(cafile=str(self._ca_file) if self._ca_file else None)
        try:
            async with httpx.AsyncClient(verify=tls, timeout=5.0, trust_env=False) as http:
                answer = await http.get(f"{self._authority}/v2.0/.well-known/openid-configuration")
                configuration = answer.raise_for_status().json()
                keys = (await http.get(configuration["jwks_uri"])).raise_for_status().json()
        except (httpx.HTTPError, KeyError, ValueError) as error:
            if self._keys is not None:
                self._read_at = self._now() - KEYS_KEPT_FOR + KEYS_AT_MOST_EVERY
                return
            raise KeysUnavailable(f"{self._authority} gave no signing keys: {error}") from error
        self._keys = KeySet.import_key_set(keys)
        self._issuer = str(configuration["issuer"])
        self._sign_out = str(configuration.get("end_session_endpoint", ""))
        self._read_at = self._now()


class _PersonClaims(jwt.JWTClaimsRegistry):
    """What an access token of a person says, beside the claims of every token."""

    def validate_exp(self, value: object) -> None:
        # No leeway: a person's client gets a new token whenever it asks.
        jwt.JWTClaimsRegistry(self.now).validate_exp(value)

    def validate_aud(self, value: object) -> None:
        if not isinstance(value, str):
            raise InvalidClaimError("aud", "the token is for several audiences")
        self.check_value("aud", value)

    def validate_azp(self, value: object) -> None:
        if not isinstance(value, str):
            raise InvalidClaimError("azp", "the token does not say which application it was given to")
        self.check_value("azp", value)

    def validate_appid(self, value: object) -> None:
        if not isinstance(value, str):
            raise InvalidClaimError("appid", "the token's appid is no application")
        self.check_value("appid", value)

    def validate_scp(self, value: object) -> None:
        if not isinstance(value, str) or SCOPE not in value.split():
            raise InvalidClaimError("scp", f"the token lacks the delegated scope {SCOPE}")


class TokenVerifier:
    """Turns a bearer token into who stands behind it."""

    def __init__(
        self,
        keys: SigningKeys,
        client_id: str,
        *,
        clients: Sequence[str] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        """Verify for one application.

        Args:
            keys: the tenant's keys.
            client_id: this application: the tokens' audience, also as ``api://{client_id}``.
            clients: further applications that people may use to call this one (``azp``); itself always may.
            now: seconds since the epoch, UTC.
        """
        self._keys = keys
        self._audiences = [client_id, f"api://{client_id}"]
        self._clients = [client_id, *clients]
        self._now = now
        self._believed: TLRUCache[bytes, tuple[float, SignedIn]] = TLRUCache(
            _CACHE_LIMIT, lambda _token, believed, _at: believed[0], now
        )

    async def identify(self, authorization: str | None) -> SignedIn:
        """Who stands behind an Authorization header.

        Raises:
            InvalidToken: missing, malformed, expired, not signed by the tenant, for another audience, or no person's.
            KeysUnavailable: Entra's keys cannot be read.
        """
        scheme, _, token = (authorization or "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise InvalidToken("a bearer token is required")
        remembered = hashlib.sha256(token.encode()).digest()
        known = self._believed.get(remembered)
        if known:
            return known[1]
        claims = await self._claims(token)
        self._check(claims)
        try:
            identity = SignedIn.from_claims(claims)
        except ValueError as error:
            raise InvalidToken(str(error)) from error
        self._believed[remembered] = (min(claims["exp"], self._now() + REMEMBERED_FOR), identity)
        return identity

    async def _claims(self, token: str) -> dict[str, Any]:
        keys = await self._keys.current()
        try:
            return _signed(token, keys)
        except InvalidKeyIdError:
            keys = await self._keys.current(unknown_key=True)
        try:
            return _signed(token, keys)
        except InvalidKeyIdError as error:
            raise InvalidToken("its signing key is not the tenant's") from error

    def _check(self, claims: dict[str, Any]) -> None:
        registry = _PersonClaims(
            now=lambda: int(self._now()),
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": self._keys.issuer},
            aud={"essential": True, "values": self._audiences},
            exp={"essential": True},
            scp={"essential": True},
            azp={"essential": True, "values": self._clients},
            appid={"values": self._clients},  # the same in older tokens: where one has both, neither may be another's
        )
        try:
            registry.validate(claims)
        except JoseError as error:
            raise InvalidToken(error.description or str(error)) from error


def _signed(token: str, keys: KeySet) -> dict[str, Any]:
    """The claims of a token with a signature by one of the keys.

    Raises:
        InvalidToken: it is no token, or its signature does not hold.
        InvalidKeyIdError: none of the keys has the id it names.
    """
    try:
        return dict(jwt.decode(token, keys, algorithms=["RS256"]).claims)
    except InvalidKeyIdError:
        raise
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        # Header and claims may be any JSON at all, and the library takes their shape for granted.
        raise InvalidToken(f"its signature does not hold: {error}") from error
