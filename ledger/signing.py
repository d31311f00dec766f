"""Signatures of what leaves the ledger: exports, and the checkpoints retention leaves. Ed25519, JSON Web Signature."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey


class SignatureWrong(Exception):
    """A signature that does not hold, or a key that cannot be used; the text says which."""


class AuditSigner:
    """Signs with the audit's own key: who can write records cannot, with another key, sign for them."""

    def __init__(self, key: OKPKey) -> None:
        """Sign with a private Ed25519 key that has an id."""
        self._key = key

    @classmethod
    def from_file(cls, path: Path) -> AuditSigner:
        """The signer of a JSON Web Key.

        Raises:
            SignatureWrong: the file is missing or holds no private key.
        """
        try:
            key = OKPKey.import_key(json.loads(path.read_text()))
        except (OSError, ValueError, JoseError) as error:
            raise SignatureWrong(f"Q2C_AUDIT_PRIVATE_KEY_FILE: {path}: {error}; make one with `q2c keys`") from error
        if not key.is_private:
            raise SignatureWrong(f"Q2C_AUDIT_PRIVATE_KEY_FILE: {path} holds no private key")
        return cls(key)

    def sign(self, content: dict[str, Any]) -> str:
        """A compact JWS over the content."""
        payload = json.dumps(content, sort_keys=True).encode()
        return jws.serialize_compact({"alg": "EdDSA", "kid": self._key.kid}, payload, self._key, algorithms=["EdDSA"])


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
        except (OSError, ValueError, JoseError) as error:
            raise SignatureWrong(f"Q2C_AUDIT_PUBLIC_KEYS_FILE: {path}: {error}") from error

    def read(self, signature: str) -> dict[str, Any]:
        """What was signed.

        Raises:
            SignatureWrong: it does not hold.
        """
        try:
            signed = jws.deserialize_compact(signature.strip(), self._keys, algorithms=["EdDSA", "Ed25519"])
            content = json.loads(signed.payload)
        except (JoseError, ValueError) as error:
            raise SignatureWrong(f"the signature does not hold: {error}") from error
        if not isinstance(content, dict):
            raise SignatureWrong("the signature is of something else")
        return content
