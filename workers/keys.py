"""The key pair behind every decision.

The web application signs what a signed-in person decides; the worker believes only what this key signed. The local
stack makes a pair of its own; in production the private key is a secret of the web process alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey


class KeyPairIncomplete(Exception):
    """Public keys without the private one: a new one would replace it; the text says what to do."""


class KeyFileUnusable(Exception):
    """A file that should hold keys and does not; the text names it and says why."""

    def __init__(self, file: Path, why: str) -> None:
        super().__init__(f"{file} {why}")
        self.file = file


def key_of(file: Path) -> OKPKey:
    """The JSON Web Key of a file. Raises KeyFileUnusable."""
    found: OKPKey = _read(file, OKPKey.import_key, "JSON Web Key")
    return found


def keys_of(file: Path) -> KeySet:
    """The JSON Web Key Set of a file. Raises KeyFileUnusable."""
    found: KeySet = _read(file, KeySet.import_key_set, "JSON Web Key Set")
    return found


def _read(file: Path, load: Callable[[Any], Any], what: str) -> Any:
    try:
        return load(json.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise KeyFileUnusable(file, f"cannot be read: {error.strerror}") from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, JoseError) as error:
        raise KeyFileUnusable(file, f"is not a {what}") from error


def ensure_decision_keys(private_key_file: Path, public_keys_file: Path) -> None:
    """Make an Ed25519 key pair unless there is one already; no key is ever replaced.

    Args:
        private_key_file: JSON Web Key with the private part, readable by its owner only.
        public_keys_file: JSON Web Key Set with the public part; written anew from the private one where it is missing.

    Raises:
        KeyPairIncomplete: there are public keys and no private one.
        KeyFileUnusable: the private key is none.
    """
    if private_key_file.exists():
        if not public_keys_file.exists():
            kept = key_of(private_key_file)
            public_keys_file.parent.mkdir(parents=True, exist_ok=True)
            public_keys_file.write_text(json.dumps(KeySet([kept]).as_dict(private=False)))
        return
    if public_keys_file.exists():
        raise KeyPairIncomplete(
            f"{public_keys_file} exists and {private_key_file} does not: bring the private key back, "
            "or move the public keys away to make a new pair"
        )
    key = OKPKey.generate_key("Ed25519", {"use": "sig", "alg": "EdDSA"}, auto_kid=True)
    for path in (private_key_file, public_keys_file):
        path.parent.mkdir(parents=True, exist_ok=True)
    private_key_file.touch(mode=0o600)
    private_key_file.chmod(0o600)
    private_key_file.write_text(json.dumps(key.as_dict(private=True)))
    public_keys_file.write_text(json.dumps(KeySet([key]).as_dict(private=False)))
