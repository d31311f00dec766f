"""A small Key Vault on this machine, over HTTPS, that believes the sandbox's Entra ID.

What it does as Key Vault does: 401 with a challenge that names authority and resource to who shows no token; secrets
and keys with versions, enabled or not; errors as `{"error": {"code", "message", "innererror"}}`; `sign` by
a private key nobody can read.
Sources: Microsoft Learn, Key Vault REST API 7.4 ("Get Secret", "Get Key", "sign"), "Authentication, requests and
responses", "Common parameters and headers", "Key Vault REST API error codes".
"""

from __future__ import annotations

import base64
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.entra.tokens import InvalidToken, TokenAuthority

RESOURCE = "https://vault.azure.net"
API_VERSION = "7.4"


@dataclass
class Version:
    """One version of a secret or key."""

    value: Any
    enabled: bool = True
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


class KeyVault:
    """One vault."""

    def __init__(self, authority: TokenAuthority, tenant: str) -> None:
        """Believe tokens of ``authority`` for `https://vault.azure.net`."""
        self.authority = authority
        self._tenant = tenant
        self.secrets: dict[str, list[Version]] = {}
        self.keys: dict[str, list[Version]] = {}
        self.resource = RESOURCE
        self.forbidden = False
        self.signatures = 0
        self.asked: list[str] = []

    def set_secret(self, name: str, value: str) -> str:
        """A new version of a secret; its id."""
        self.secrets.setdefault(name, []).append(Version(value))
        return self.secrets[name][-1].id

    def make_key(self, name: str, kind: str = "EC", curve: ec.EllipticCurve | None = None) -> str:
        """A new version of a key, made in the vault; its id."""
        of_curve = ec.generate_private_key(curve or ec.SECP256R1())
        key = rsa.generate_private_key(65537, 2048) if kind == "RSA" else of_curve
        self.keys.setdefault(name, []).append(Version(key))
        return self.keys[name][-1].id

    def app(self) -> Starlette:
        """The vault's REST API."""
        return Starlette(
            routes=[
                Route("/secrets/{name}", self._secret),
                Route("/secrets/{name}/{version}", self._secret),
                Route("/keys/{name}/{version}", self._key),
                Route("/keys/{name}/{version}/sign", self._sign, methods=["POST"]),
            ]
        )

    async def _secret(self, request: Request) -> Response:
        if refusal := self._refusal(request):
            return refusal
        found = _version(self.secrets, request)
        if found is None:
            return _error(404, "SecretNotFound", "A secret with (name/id) was not found in this key vault.")
        if not found.enabled:
            return _error(403, "Forbidden", "Operation get is not allowed on a disabled secret.", "SecretDisabled")
        return JSONResponse({"value": found.value, "id": f"{request.url}/{found.id}", "attributes": {"enabled": True}})

    async def _key(self, request: Request) -> Response:
        if refusal := self._refusal(request):
            return refusal
        found = _version(self.keys, request)
        if found is None:
            return _error(404, "KeyNotFound", "A key with (name/id) was not found in this key vault.")
        jwk = {"kid": str(request.url).partition("?")[0], "key_ops": ["sign", "verify"], **_public(found.value)}
        return JSONResponse({"key": jwk, "attributes": {"enabled": found.enabled}})

    async def _sign(self, request: Request) -> Response:
        if refusal := self._refusal(request):
            return refusal
        found, asked = _version(self.keys, request), await request.json()
        if found is None or not found.enabled:
            return _error(403, "Forbidden", "Operation sign is not allowed on a disabled key.", "KeyDisabled")
        try:
            signature = _signed(found.value, asked["alg"], _bytes(asked["value"]))
        except (KeyError, ValueError) as error:
            return _error(400, "BadParameter", str(error))
        self.signatures += 1
        return JSONResponse({"kid": str(request.url), "value": _text(signature)})

    def _refusal(self, request: Request) -> Response | None:
        self.asked.append(request.url.path)
        if request.query_params.get("api-version") != API_VERSION:
            return _error(400, "BadParameter", "The specified version was not recognized.")
        with suppress(InvalidToken):
            self.authority.verify(request.headers.get("authorization"), RESOURCE)
            if self.forbidden:
                return _error(403, "Forbidden", "Caller is not authorized to perform action.", "ForbiddenByRbac")
            return None
        refusal = _error(401, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
        authority = f"{self.authority.issuer_base}/{self._tenant}"
        refusal.headers["WWW-Authenticate"] = f'Bearer authorization="{authority}", resource="{self.resource}"'
        return refusal


def _version(of: dict[str, list[Version]], request: Request) -> Version | None:
    versions, wanted = of.get(request.path_params["name"], []), request.path_params.get("version")
    if wanted is None:
        return versions[-1] if versions else None
    return next((each for each in versions if each.id == wanted), None)


def _public(key: Any) -> dict[str, str]:
    numbers = key.public_key().public_numbers()
    if isinstance(key, rsa.RSAPrivateKey):
        return {"kty": "RSA", "n": _text(_octets(numbers.n)), "e": _text(_octets(numbers.e))}
    size = (key.curve.key_size + 7) // 8
    curve = {256: "P-256", 384: "P-384"}[key.curve.key_size]
    return {
        "kty": "EC",
        "crv": curve,
        "x": _text(numbers.x.to_bytes(size, "big")),
        "y": _text(numbers.y.to_bytes(size, "big")),
    }


def _signed(key: Any, algorithm: str, digest: bytes) -> bytes:
    hashed = utils.Prehashed(SHA256())
    if algorithm == "ES256" and isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.key_size == 256:
        r, s = utils.decode_dss_signature(key.sign(digest, ec.ECDSA(hashed)))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    if isinstance(key, rsa.RSAPrivateKey):
        pads: dict[str, Any] = {"RS256": padding.PKCS1v15(), "PS256": padding.PSS(padding.MGF1(SHA256()), 32)}
        signature: bytes = key.sign(digest, pads[algorithm], hashed)
        return signature
    raise ValueError(f"Key and signing algorithm are incompatible: {algorithm}")


def _octets(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _error(status: int, code: str, message: str, inner: str = "") -> JSONResponse:
    more = {"innererror": {"code": inner}} if inner else {}
    return JSONResponse({"error": {"code": code, "message": message, **more}}, status)
