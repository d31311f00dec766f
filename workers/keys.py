"""The key pair behind every decision.

The web application signs what a signed-in person decides; the worker believes only what this key signed. The local
stack makes a pair of its own; in production the private key is a secret of the web process alone.
"""

from __future__ import annotations

import json
from pathlib import Path

from joserfc.jwk import KeySet, OKPKey


class KeyPairIncomplete(Exception):
    """Public keys without the private one: a new one would replace it; the text says what to do."""


def ensure_decision_keys(private_key_file: Path, public_keys_file: Path) -> None:
    """Make an Ed25519 key pair unless there is one already; no key is ever replaced.

    Args:
        private_key_file: JSON Web Key with the private part, readable by its owner only.
        public_keys_file: JSON Web Key Set with the public part; written anew from the private one where it is missing.

    Raises:
        KeyPairIncomplete: there are public keys and no private one.
    """
    if private_key_file.exists():
        if not public_keys_file.exists():
            kept = OKPKey.import_key(json.loads(private_key_file.read_text()))
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
