"""The key pair behind every decision.

The web application signs what a signed-in person decides; the worker believes only what this key signed. The local
stack makes a pair of its own; in production the private key is a secret of the web process alone.
"""

from __future__ import annotations

import json
from pathlib import Path

from joserfc.jwk import KeySet, OKPKey


def ensure_decision_keys(private_key_file: Path, public_keys_file: Path) -> None:
    """Make an Ed25519 key pair unless there is one already.

    Args:
        private_key_file: JSON Web Key with the private part, readable by its owner only.
        public_keys_file: JSON Web Key Set with the public part.
    """
    if private_key_file.exists() and public_keys_file.exists():
        return
    key = OKPKey.generate_key("Ed25519", {"use": "sig", "alg": "EdDSA"}, auto_kid=True)
    for path in (private_key_file, public_keys_file):
        path.parent.mkdir(parents=True, exist_ok=True)
    private_key_file.touch(mode=0o600)
    private_key_file.chmod(0o600)
    private_key_file.write_text(json.dumps(key.as_dict(private=True)))
    public_keys_file.write_text(json.dumps(KeySet([key]).as_dict(private=False)))
