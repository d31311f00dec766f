"""Secrets and the signing key in Azure Key Vault, by its REST API.

A secret's variable may hold a reference in place of the secret, written as App Service writes it:
`@Microsoft.KeyVault(SecretUri=https://contoso.vault.azure.net/secrets/name/version)` or
`@Microsoft.KeyVault(VaultName=contoso;SecretName=name;SecretVersion=version)`; without a version it is the newest one
at the time the process starts. The key that signs decisions never leaves the vault: what is to be signed is sent there.
Which resource a token has to be for, the vault says in its first answer, and is believed only about its own domain.
Sources: Microsoft Learn, "Use Key Vault references", "Authentication, requests and responses" (Key Vault), "Get
Secret", "Get Key" and "sign" of the Key Vault REST API, "Verify the challenge resource".
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import ssl
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, KeySet, RSAKey
from pydantic import SecretStr

from dynamics.core.network import is_loopback
from web.signing import CannotSign
from workers.identity import Identity
from workers.settings import Settings, SettingsError, in_vault, variable_name

API_VERSION: Final = "7.4"
TIMEOUT: Final = 10.0
"""Seconds for one request."""
_REFERENCE: Final = re.compile(r"@Microsoft\.KeyVault\((.*)\)", re.DOTALL)
_NAME: Final = re.compile(r"[0-9a-zA-Z-]{1,127}")
_PUBLIC_CLOUD: Final = "vault.azure.net"
_KEY_TYPES: Final = {"ES256": "EC", "PS256": "RSA", "RS256": "RSA"}


class VaultError(Exception):
    """The vault does not give what was asked for; the text says why, and nothing secret."""


class Vault:
    """One vault, as the identity of this process may use it. Its calls block: give them a thread in an event loop."""

    def __init__(self, settings: Settings, identity: Identity, *, transport: httpx.BaseTransport | None = None) -> None:
        """Reach vaults for the identity of `Q2C_AZURE_*`; ``transport`` stands in for the network."""
        tls = ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file else None)
        self._http = httpx.Client(verify=tls, timeout=TIMEOUT, transport=transport, trust_env=False)
        self._identity = identity
        self._resources: dict[str, str] = {}

    def __enter__(self) -> Vault:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()
        self._identity.close()

    def secret(self, url: str) -> str:
        """The value of a secret.

        Args:
            url: `https://{vault}/secrets/{name}` or the same with `/{version}`.

        Raises:
            VaultError: it is not there, not enabled, not readable for us, or the vault does not answer.
        """
        value = self._call("GET", url).get("value")
        if not isinstance(value, str) or not value:
            raise VaultError("the vault's answer holds no value")
        return value

    def public_key(self, url: str) -> dict[str, Any]:
        """The public part of a key, as a JSON Web Key. Raises as ``secret``."""
        key = self._call("GET", url).get("key")
        if not isinstance(key, dict):
            raise VaultError("the vault's answer holds no key")
        return key

    def sign(self, url: str, algorithm: str, digest: bytes) -> bytes:
        """The signature of a digest by a key in the vault. Raises as ``secret``."""
        answer = self._call("POST", f"{url}/sign", {"alg": algorithm, "value": _base64url(digest)})
        try:
            return base64.urlsafe_b64decode(str(answer["value"]) + "==")
        except (KeyError, ValueError) as error:
            raise VaultError("the vault's answer holds no signature") from error

    def _call(self, method: str, url: str, body: dict[str, str] | None = None) -> dict[str, Any]:
        host = urlsplit(url).netloc
        try:
            if host not in self._resources:
                self._resources[host] = _challenged(host, self._send(method, url, body, ""))
            answer = self._send(method, url, body, self._identity.token(self._resources[host]).token)
            found = answer.json() if answer.is_success else None
        except httpx.HTTPError as error:
            raise VaultError(f"the vault {host} does not answer: {error or type(error).__name__}") from error
        except ValueError as error:
            raise VaultError(f"the vault {host} answers something that is not JSON") from error
        if not isinstance(found, dict):
            raise VaultError(_refusal(host, answer))
        return found

    def _send(self, method: str, url: str, body: dict[str, str] | None, token: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        content = body if token else None
        return self._http.request(method, url, params={"api-version": API_VERSION}, json=content, headers=headers)


def _challenged(host: str, answer: httpx.Response) -> str:
    """The resource a vault asks a token for; one of another domain is not believed, and gets no token."""
    found = re.search(r'resource="([^"]+)"', answer.headers.get("www-authenticate", ""))
    if answer.status_code != 401 or not found:
        raise VaultError(f"{host} answers {answer.status_code} and no challenge: it is no Key Vault")
    resource = found[1].rstrip("/")
    domain, own = urlsplit(resource).hostname or "", host.partition(":")[0]
    if not (own.endswith(f".{domain}") or is_loopback(own)):
        raise VaultError(f"{host} asks for a token for {resource}, which is not its own domain")
    return resource


def _refusal(host: str, answer: httpx.Response) -> str:
    """What a vault said, in words: `{"error": {"code": …, "message": …, "innererror": {"code": …}}}`."""
    try:
        error = answer.json()["error"]
        inner = (error.get("innererror") or {}).get("code", "")
        text = f"{inner or error['code']}: {error['message']}"
    except (ValueError, KeyError, TypeError, AttributeError):
        text = "it gives no reason"
    help_ = {
        401: "Check Q2C_AZURE_*: it takes no token of this identity.",
        403: "Give this identity the role Key Vault Secrets User, or Crypto User for the signing key.",
        404: "Check name and version.",
        429: "It is asked too often; start again in a moment.",
    }.get(answer.status_code, "")
    return f"the vault {host} answers {answer.status_code}: {text[:500]} {help_}".rstrip()


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


# References


def with_secrets(settings: Settings) -> Settings:
    """The settings with the secrets that stand in a vault.

    Raises:
        SettingsError: one line for each that cannot be read; it names the variable.
    """
    wanted = in_vault(settings)
    if not wanted:
        return settings
    if ("azure", "client_secret") in wanted:
        raise SettingsError("Q2C_AZURE_CLIENT_SECRET: opens the vault, so it cannot stand in it")
    problems: list[str] = []
    groups: dict[str, Any] = {}
    with Vault(settings, Identity(settings)) as vault:
        for (group, field), text in wanted.items():
            try:
                found = SecretStr(vault.secret(secret_url(text)))
            except VaultError as error:
                problems.append(f"{variable_name((group, field))}: {error}")
            else:
                groups[group] = groups.get(group, getattr(settings, group)).model_copy(update={field: found})
    if problems:
        raise SettingsError("\n".join(problems))
    return settings.model_copy(update=groups)


def secret_url(reference: str) -> str:
    """The address of a secret a reference names.

    Raises:
        VaultError: it is written in no way that is known.
    """
    found = _REFERENCE.fullmatch(reference.strip())
    parts = dict(part.split("=", 1) for part in found[1].split(";") if "=" in part) if found else {}
    parts = {name.strip().lower(): value.strip() for name, value in parts.items()}
    if "secreturi" in parts and len(parts) == 1:
        return _checked(parts["secreturi"], "secrets")
    if {"vaultname", "secretname"} <= parts.keys() <= {"vaultname", "secretname", "secretversion"}:
        url = f"https://{parts['vaultname']}.{_PUBLIC_CLOUD}/secrets/{parts['secretname']}"
        version = parts.get("secretversion", "")
        return _checked(f"{url}/{version}" if version else url, "secrets")
    raise VaultError("write @Microsoft.KeyVault(SecretUri=https://…) or @Microsoft.KeyVault(VaultName=…;SecretName=…)")


def _checked(url: str, collection: str, *, versioned: bool = False) -> str:
    """An address of a vault's object, so that nothing else is asked and no token goes elsewhere.

    Raises:
        VaultError: it is none.
    """
    parts = urlsplit(url)
    _, *path = parts.path.rstrip("/").split("/")
    lengths = (3,) if versioned else (2, 3)
    fits = len(path) in lengths and path[0] == collection and all(_NAME.fullmatch(name) for name in path[1:])
    if parts.scheme != "https" or not parts.hostname or parts.query or parts.username or not fits:
        wanted = f"https://{{vault}}.{_PUBLIC_CLOUD}/{collection}/name" + ("/version" if versioned else "[/version]")
        raise VaultError(f"{url[:200]!r} is not of the form {wanted}")
    return f"https://{parts.netloc}/{'/'.join(path)}"


# Keys that sign

DECISIONS: Final = ("decision", "vault_key")
"""The setting of the key that signs decisions."""


class VaultKey:
    """A signing key that never leaves its vault: this process holds its public part alone."""

    def __init__(self, vault: Vault, url: str, algorithm: str, public: Key) -> None:
        """Sign by the key at ``url``; ``public`` is what its signatures are verified with."""
        self._vault = vault
        self._url = url
        self._public = public
        self.algorithm = algorithm
        self.kid = str(public.kid)

    @classmethod
    def read(cls, settings: Settings, where: tuple[str, str] = DECISIONS) -> Self:
        """The key that a setting names, with its public part as the vault has it now.

        Args:
            settings: the product's settings.
            where: group and field of the setting; how the key signs stands beside it, in `vault_algorithm`.

        Raises:
            SettingsError: it cannot be used; the text names the setting.
        """
        group = getattr(settings, where[0])
        try:
            url = _checked(getattr(group, where[1]), "keys", versioned=True)
            vault = Vault(settings, Identity(settings))
            public = _public(vault.public_key(url), group.vault_algorithm)
        except VaultError as error:
            raise SettingsError(f"{variable_name(where)}: {error}") from error
        return cls(vault, url, group.vault_algorithm, public)

    @property
    def public(self) -> dict[str, Any]:
        """Its public part, as a JSON Web Key."""
        return dict(self._public.as_dict(private=False))

    def sign(self, content: bytes) -> bytes:
        """The signature of some content.

        Raises:
            CannotSign: the vault does not sign.
        """
        try:
            return self._vault.sign(self._url, self.algorithm, hashlib.sha256(content).digest())
        except (VaultError, SettingsError) as error:
            raise CannotSign(str(error)) from error


def _public(found: dict[str, Any], algorithm: str) -> Key:
    """The public key of an answer, of the kind the algorithm needs, under an id made of the key itself.

    Who replaced the key in the vault would sign under another id, which no deal's worker knows.
    """
    kind = str(found.get("kty", "")).removesuffix("-HSM")
    if kind != _KEY_TYPES[algorithm] or (kind == "EC" and found.get("crv") != "P-256"):
        raise VaultError(f"the key is {found.get('kty')} {found.get('crv') or ''}, which does not sign by {algorithm}")
    fields: dict[str, Any] = {name: found[name] for name in ("n", "e", "crv", "x", "y") if name in found}
    of_kind = ECKey if kind == "EC" else RSAKey
    try:
        key: Key = of_kind.import_key({"kty": kind, **fields, "use": "sig", "alg": algorithm})
        return of_kind.import_key({**key.as_dict(private=False), "kid": key.thumbprint()})
    except (JoseError, ValueError, TypeError) as error:
        raise VaultError("the vault's answer holds no public key") from error


def pin(public: dict[str, Any], public_keys_file: Path, variable: str = "Q2C_DECISION_PUBLIC_KEYS_FILE") -> None:
    """Add a public key to those that are believed; the others stay, for what they signed may still be shown.

    Args:
        public: a JSON Web Key.
        public_keys_file: a JSON Web Key Set.
        variable: the setting that names the file, for the error.

    Raises:
        SettingsError: the file is none of public keys.
    """
    try:
        known = json.loads(public_keys_file.read_text())["keys"] if public_keys_file.exists() else []
        kept = [key for key in known if key["kid"] != public["kid"]]
        KeySet.import_key_set({"keys": [*kept, public]})
    except (OSError, JoseError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"{variable}: {public_keys_file}: {error}") from error
    public_keys_file.parent.mkdir(parents=True, exist_ok=True)
    public_keys_file.write_text(json.dumps({"keys": [*kept, public]}))
