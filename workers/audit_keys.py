"""The keys behind exports of the audit: one for the commands of a person, one for downloads from the web application.

They are two, so that an auditor can tell by the signature which of them made a file: the web application also writes
records, of what it refuses.
"""

from __future__ import annotations

import json
from pathlib import Path

from joserfc.jwk import KeySet, OKPKey

from workers.keys import ensure_decision_keys


def ensure_audit_keys(private_key_file: Path, web_key_file: Path, public_keys_file: Path) -> None:
    """Make the keys that are missing; no key is ever replaced.

    Args:
        private_key_file: JSON Web Key of the commands, readable by its owner only.
        web_key_file: JSON Web Key of downloads, readable by its owner only.
        public_keys_file: JSON Web Key Set with the public parts of both; what is missing there is added.

    Raises:
        KeyPairIncomplete: there are public keys, and not the commands' private one.
    """
    ensure_decision_keys(private_key_file, public_keys_file)
    if not web_key_file.exists():
        made = OKPKey.generate_key("Ed25519", {"use": "sig", "alg": "EdDSA"}, auto_kid=True)
        web_key_file.parent.mkdir(parents=True, exist_ok=True)
        web_key_file.touch(mode=0o600)
        web_key_file.chmod(0o600)
        web_key_file.write_text(json.dumps(made.as_dict(private=True)))
    web = OKPKey.import_key(json.loads(web_key_file.read_text()))
    known = KeySet.import_key_set(json.loads(public_keys_file.read_text()))
    if web.kid not in {key.kid for key in known.keys}:
        public_keys_file.write_text(json.dumps(KeySet([*known.keys, web]).as_dict(private=False)))
