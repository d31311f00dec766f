"""Signatures of what leaves the ledger: exports, and the checkpoints retention leaves. JSON Web Signatures.

By an Ed25519 key of a file, or by a key that stays in a vault, which signs by an algorithm the vault has.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, Final, Protocol

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

ALGORITHMS: Final = ["EdDSA", "Ed25519", "ES256", "PS256", "RS256"]
"""A file's key signs by the first, a vault's by one of the last; a public key says itself which of them is its own."""

_NO_KEY: Final = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, JoseError)
"""What the libraries raise of a file that holds no keys, whatever else it holds."""


class SignatureWrong(Exception):
    """A signature that does not hold, or a key that cannot be used; the text says which."""


class KeyAway(SignatureWrong):
    """The key is in a vault that does not sign at the moment; the text says why."""


class AuditKey(Protocol):
    """A key that signs, wherever its private part is."""

    kid: str
    """Names the public key that verifies."""
    algorithm: str
    """Of JSON Web Signatures, e.g. `ES256`."""

    def sign(self, content: bytes) -> bytes:
        """The signature, as a JSON Web Signature holds it; may block. Raises KeyAway."""
        ...


class AuditSigner:
    """Signs with the audit's own key: who can write records cannot, with another key, sign for them."""

    def __init__(self, key: OKPKey | AuditKey) -> None:
        """Sign with a private Ed25519 key that has an id, or with one that is elsewhere."""
        self._key = key

    @classmethod
    def from_file(cls, path: Path) -> AuditSigner:
        """The signer of a JSON Web Key.

        Raises:
            SignatureWrong: the file is missing or holds no private key.
        """
        try:
            key = OKPKey.import_key(json.loads(path.read_text()))
        except _NO_KEY as error:
            raise SignatureWrong(
                f"Q2C_AUDIT_PRIVATE_KEY_FILE: {path} {_why(error, 'JSON Web Key')}; make one with `q2c keys`"
            ) from error
        if not key.is_private:
            raise SignatureWrong(f"Q2C_AUDIT_PRIVATE_KEY_FILE: {path} holds no private key")
        return cls(key)

    def sign(self, content: dict[str, Any]) -> str:
        """A compact JWS over the content; blocks for as long as the key takes.

        Raises:
            KeyAway: the key does not sign at the moment.
        """
        payload = json.dumps(content, sort_keys=True).encode()
        if isinstance(self._key, OKPKey):
            header = {"alg": "EdDSA", "kid": self._key.kid}
            return jws.serialize_compact(header, payload, self._key, algorithms=["EdDSA"])
        header = {"alg": self._key.algorithm, "kid": self._key.kid}
        signed = f"{_base64url(json.dumps(header).encode())}.{_base64url(payload)}"
        return f"{signed}.{_base64url(self._key.sign(signed.encode()))}"


class AuditVerifier:
    """Believes signatures of the audit's keys."""

    def __init__(self, keys: KeySet) -> None:
        """Believe these public keys, found by their ids."""
        self._keys = keys

    @classmethod
    def from_file(cls, path: Path) -> AuditVerifier:
        """The verifier of a JSON Web Key Set.

        Raises:
            SignatureWrong: the file is missing or holds no keys.
        """
        try:
            return cls(KeySet.import_key_set(json.loads(path.read_text())))
        except _NO_KEY as error:
            raise SignatureWrong(f"Q2C_AUDIT_PUBLIC_KEYS_FILE: {path} {_why(error, 'JSON Web Key Set')}") from error

    def read(self, signature: str) -> dict[str, Any]:
        """What was signed.

        Raises:
            SignatureWrong: it does not hold.
        """
        try:
            signed = jws.deserialize_compact(signature.strip(), self._keys, algorithms=ALGORITHMS)
            content = json.loads(signed.payload)
        except (JoseError, ValueError) as error:
            raise SignatureWrong(f"the signature does not hold: {error}") from error
        if not isinstance(content, dict):
            raise SignatureWrong("the signature is of something else")
        return content


def _why(error: BaseException, what: str) -> str:
    return f"cannot be read: {error.strerror}" if isinstance(error, OSError) else f"is not a {what}"


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
