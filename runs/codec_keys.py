"""The keys under which everything the product writes into Temporal is sealed.

A JSON Web Key Set: one key named ``ring`` that signs key ids, and any number of encryption keys. The first encryption
key writes, all of them read, so that a key can be replaced while deals run.

A key id is ``<name>.<mark>``, the mark being the ring's signature of the name. An id without it was never a key of
ours: what claims it is refused at once, whoever sent it. An id with it whose key is missing here is a key this process
was not given: nothing of what it sealed is dropped; the process says which key it needs and tries again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
RING = "ring"
_MARK_CHARACTERS = 16
_MAKE = "make one with `q2c keys`"


class KeyFileError(Exception):
    """The key file cannot be used; the text names the file, what is wrong, nothing secret, and what to do."""


class KeyMissing(Exception):
    """Something was sealed under a key of ours that this process does not hold."""

    def __init__(self, key_id: str) -> None:
        super().__init__(
            f"sealed under the key {key_id}, which is not in this process's codec keys: "
            "add it to the file of Q2C_CODEC_KEYS_FILE and restart"
        )
        self.key_id = key_id


@dataclass(frozen=True)
class KeyRing:
    """Encryption keys by id; the first one writes."""

    ring: bytes = field(repr=False)
    keys: Mapping[str, bytes] = field(repr=False)
    _ciphers: dict[str, AESGCM] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ciphers", {key_id: AESGCM(key) for key_id, key in self.keys.items()})

    @property
    def writes(self) -> str:
        """Id of the key that seals what is written now."""
        return next(iter(self.keys))

    @property
    def writing_cipher(self) -> AESGCM:
        """The cipher of the key that writes."""
        return self._ciphers[self.writes]

    def is_ours(self, key_id: str) -> bool:
        """Whether the ring signed this id, be the key here or not."""
        name, dot, mark = key_id.rpartition(".")
        return bool(dot) and hmac.compare_digest(mark, _mark(self.ring, name))

    def cipher(self, key_id: str) -> AESGCM | None:
        """The cipher of a key; None: the id is not one of ours.

        Raises:
            KeyMissing: a key of ours that is not here.
        """
        found = self._ciphers.get(key_id)
        if found is None and self.is_ours(key_id):
            raise KeyMissing(key_id)
        return found

    @classmethod
    def read(cls, path: Path) -> KeyRing:
        """The ring of a key file.

        Raises:
            KeyFileError: missing, or not as described above.
        """
        try:
            text = path.read_text()
        except OSError as error:
            raise KeyFileError(f"Q2C_CODEC_KEYS_FILE: {path}: {error.strerror}; {_MAKE}") from error
        except ValueError as error:
            raise KeyFileError(f"Q2C_CODEC_KEYS_FILE: {path} is not a JSON Web Key Set of 256-bit keys") from error
        return cls.parse(text, f"Q2C_CODEC_KEYS_FILE: {path}")

    @classmethod
    def parse(cls, text: str, where: str) -> KeyRing:
        """The ring of a key file's content.

        Args:
            text: a JSON Web Key Set.
            where: it stands, for the error: the setting, and the file where it is one.

        Raises:
            KeyFileError: not as described above.
        """
        try:
            listed = json.loads(text)["keys"]
            entries = {str(key["kid"]): _bytes(key) for key in listed}
        except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as error:
            raise KeyFileError(f"{where} is not a JSON Web Key Set of 256-bit keys") from error
        ring = entries.pop(RING, b"")
        if len(listed) != len(entries) + 1 or any(len(key) != KEY_BYTES for key in (ring, *entries.values())):
            raise KeyFileError(f"{where} needs the key `{RING}` and keys of 256 bits, each id once")
        if not entries:
            raise KeyFileError(f"{where} holds no encryption key; {_MAKE}")
        read = cls(ring, entries)
        foreign = [key_id for key_id in entries if not read.is_ours(key_id)]
        if foreign:
            raise KeyFileError(
                f"{where}: the ring did not sign the id of {', '.join(foreign)}; add keys with `q2c codec add-key` only"
            )
        return read

    def write(self, path: Path) -> None:
        """Write the file, readable by its owner only; a crash leaves the old one or the new one, never half of one."""
        listed = [_jwk(RING, self.ring, use="sig", alg="HS256")]
        listed += [_jwk(key_id, key, use="enc", alg="A256GCM") for key_id, key in self.keys.items()]
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.new")
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)
        draft.write_text(json.dumps({"keys": listed}, indent=1) + "\n")
        draft.replace(path)

    @classmethod
    def new(cls) -> KeyRing:
        """A ring with one key."""
        return cls(secrets.token_bytes(KEY_BYTES), {}).with_new_key()

    def with_new_key(self) -> KeyRing:
        """The ring with one more key, which reads and does not write yet unless it is the only one."""
        name = f"{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(4)}"
        key_id = f"{name}.{_mark(self.ring, name)}"
        return KeyRing(self.ring, {**self.keys, key_id: secrets.token_bytes(KEY_BYTES)})

    def writing_with(self, key_id: str) -> KeyRing:
        """The ring with another key writing.

        Raises:
            KeyFileError: there is no such key.
        """
        self._known(key_id)
        return KeyRing(self.ring, {key_id: self.keys[key_id], **self.keys})

    def without(self, key_id: str) -> KeyRing:
        """The ring without a key that nothing is sealed under any more.

        Raises:
            KeyFileError: there is no such key, or it is the one that writes.
        """
        self._known(key_id)
        if key_id == self.writes:
            raise KeyFileError(f"{key_id} is the key that writes: let another one write first (`q2c codec use-key`)")
        return KeyRing(self.ring, {kept: key for kept, key in self.keys.items() if kept != key_id})

    def _known(self, key_id: str) -> None:
        if key_id not in self.keys:
            raise KeyFileError(f"there is no key {key_id}; there are {', '.join(self.keys)}")


def ensure_codec_keys(path: Path) -> None:
    """Make a key file unless there is one; an existing one is never changed.

    Raises:
        KeyFileError: what is there cannot be used.
    """
    if path.exists():
        KeyRing.read(path)
    else:
        KeyRing.new().write(path)


def _mark(ring: bytes, name: str) -> str:
    digest = hmac.digest(ring, b"q2c codec key " + name.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).decode()[:_MARK_CHARACTERS]


def _jwk(key_id: str, key: bytes, *, use: str, alg: str) -> dict[str, str]:
    k = base64.urlsafe_b64encode(key).decode().rstrip("=")
    return {"kty": "oct", "kid": key_id, "use": use, "alg": alg, "k": k}


def _bytes(key: dict[str, Any]) -> bytes:
    if key["kty"] != "oct":
        raise ValueError("not a symmetric key")
    text = str(key["k"])
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
