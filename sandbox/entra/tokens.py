"""Signs and checks the sandbox's tokens.

One authority stands for a Microsoft Entra tenant. It signs what the token endpoint hands out and is the single place
where Dataverse and Finance check the `Authorization` header, so that both refuse exactly what the real resources
refuse: a wrong audience (a trailing slash included), another tenant, an expired token, a bad signature.
Source: Microsoft Learn, "Access token claims reference" and "ID token claims reference" (identity platform).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey

LIFETIME_SECONDS = 3599
_CACHE_LIMIT = 4096


class InvalidToken(Exception):
    """The bearer token is missing or not good for this resource; `reason` says why, in words for a log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TokenAuthority:
    """The tenant's signing key, and the rules by which its tokens are believed."""

    def __init__(
        self,
        issuer_base: str,
        tenant_id: str,
        *,
        key: RSAKey | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Stand for one tenant.

        Args:
            issuer_base: origin of the Entra ID endpoint, e.g. `https://localhost:8443`, without trailing slash.
            tenant_id: directory (tenant) id, a GUID.
            key: signing key; a new one is made when absent. A restart that keeps its key keeps its tokens valid.
            now: seconds since the epoch, UTC.
        """
        self.issuer_base = issuer_base.rstrip("/")
        self.tenant_id = tenant_id
        self.key = key or RSAKey.generate_key(2048, {"use": "sig"}, auto_kid=True)
        self._keys = KeySet([self.key])
        self._now = now
        self._verified: dict[str, dict[str, Any]] = {}

    @property
    def issuer_v1(self) -> str:
        """`iss` of v1.0 access tokens: the resources Dataverse and Finance receive these, whatever endpoint issued."""
        return f"https://sts.windows.net/{self.tenant_id}/"

    @property
    def issuer_v2(self) -> str:
        """`iss` of v2.0 tokens (ID tokens, and access tokens for our own web API)."""
        return f"{self.issuer_base}/{self.tenant_id}/v2.0"

    def issue(
        self,
        audience: str,
        *,
        app_id: str = "",
        object_id: str = "",
        version: str = "1.0",
        lifetime: int = LIFETIME_SECONDS,
        claims: Mapping[str, Any] | None = None,
    ) -> str:
        """Sign a token.

        Args:
            audience: `aud`: the resource's URL for v1.0, a client id for v2.0.
            app_id: the client application: `appid` in v1.0, `azp` in v2.0; left out when empty.
            object_id: `oid` of the principal; v1.0 app-only tokens carry the same value as `sub`.
            version: "1.0" or "2.0".
            lifetime: seconds until `exp`; negative makes a token that is expired already (for tests).
            claims: further claims; they win over the standard ones.

        Returns:
            The compact JWT, signed with RS256.
        """
        issued_at = int(self._now())
        body: dict[str, Any] = {
            "aud": audience,
            "iss": self.issuer_v1 if version == "1.0" else self.issuer_v2,
            "iat": issued_at,
            "nbf": issued_at,
            "exp": issued_at + lifetime,
            "tid": self.tenant_id,
            "uti": secrets.token_urlsafe(16),
            "rh": "1." + secrets.token_urlsafe(18),
            "ver": version,
        }
        if app_id:
            body |= {"appid": app_id, "appidacr": "1"} if version == "1.0" else {"azp": app_id, "azpacr": "1"}
        if object_id:
            body |= {"oid": object_id, "sub": object_id}
        if version == "1.0":
            body["idp"] = self.issuer_v1
        body |= claims or {}
        header = {"alg": "RS256", "typ": "JWT", "kid": self.key.kid}
        return jwt.encode(header, body, self.key)

    def jwks(self) -> dict[str, Any]:
        """The public keys, as the JWKS endpoint serves them."""
        public = self.key.as_dict(private=False)
        return {"keys": [dict(public) | {"use": "sig", "alg": "RS256", "issuer": self.issuer_v2}]}

    def decode(self, token: str) -> dict[str, Any]:
        """Check signature, tenant and time of a token; return its claims.

        Raises:
            InvalidToken: the token is not ours, or not of this moment.
        """
        try:
            claims: dict[str, Any] = dict(jwt.decode(token, self._keys, algorithms=["RS256"]).claims)
        except (JoseError, ValueError) as error:
            raise InvalidToken(f"not a token of this tenant: {error}") from error
        if claims.get("tid") != self.tenant_id:
            raise InvalidToken(f"issued for tenant {claims.get('tid')}")
        if claims.get("iss") not in (self.issuer_v1, self.issuer_v2):
            raise InvalidToken(f"issued by {claims.get('iss')}")
        self._check_time(claims)
        return claims

    def verify(
        self, authorization: str | None, audience: str, *, trailing_slash_accepted: bool = False
    ) -> dict[str, Any]:
        """Check an `Authorization` header for a resource.

        Args:
            authorization: the header's value, `Bearer <token>`.
            audience: the resource's origin without trailing slash, lower case.
            trailing_slash_accepted: Dataverse believes an `aud` with a trailing slash too; Finance does not.

        Returns:
            The token's claims. A verified token is remembered until it expires.

        Raises:
            InvalidToken: missing, malformed, expired, of another tenant or for another audience.
        """
        if not authorization:
            raise InvalidToken("no Authorization header")
        claims = self._verified.get(authorization)
        if claims is None:
            scheme, _, token = authorization.partition(" ")
            if scheme.lower() != "bearer" or not token:
                raise InvalidToken("not a Bearer token")
            claims = self.decode(token.strip())
            if len(self._verified) >= _CACHE_LIMIT:
                self._verified.clear()
            self._verified[authorization] = claims
        else:
            self._check_time(claims)
        presented = claims.get("aud")
        if presented != audience and not (trailing_slash_accepted and presented == audience + "/"):
            raise InvalidToken(f"issued for audience {presented}, not {audience}")
        return claims

    def _check_time(self, claims: Mapping[str, Any]) -> None:
        now = self._now()
        if now >= claims.get("exp", 0):
            raise InvalidToken("expired")
        if now < claims.get("nbf", 0) - 60:
            raise InvalidToken("not valid yet")
