"""The keys behind exports of the audit: one for the commands of a person, one for downloads from the web application.

They are two, so that an auditor can tell by the signature which of them made a file: the web application also writes
records, of what it refuses. Each is a file, or a key that stays in a vault.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from joserfc.jwk import KeySet, OKPKey

from ledger.signing import AuditSigner, KeyAway
from web.signing import CannotSign
from workers.keys import ensure_decision_keys, key_of, keys_of
from workers.settings import Settings, variable_name
from workers.vault import VaultKey, pin

EXPORTS: Final = ("audit", "vault_key")
"""The setting of the key in a vault that signs what the commands export, and the checkpoints of retention."""
DOWNLOADS: Final = ("audit", "web_vault_key")
"""The setting of the key in a vault that signs what is downloaded from the web application."""


class AuditVaultKey(VaultKey):
    """A key of the audit that never leaves its vault."""

    def sign(self, content: bytes) -> bytes:
        """The signature of some content. Raises KeyAway where the vault does not sign."""
        try:
            return super().sign(content)
        except CannotSign as error:
            raise KeyAway(str(error)) from error


def exports_signer(settings: Settings) -> AuditSigner:
    """Who signs what the commands export, as the settings say.

    Raises:
        SettingsError: the vault's key cannot be used.
        SignatureWrong: the file's key cannot.
    """
    if settings.audit.vault_key:
        return AuditSigner(AuditVaultKey.read(settings, EXPORTS))
    return AuditSigner.from_file(settings.audit.private_key_file)


def ensure_audit_keys(private_key_file: Path, web_key_file: Path, public_keys_file: Path) -> None:
    """Make the files that are missing; no key is ever replaced.

    Args:
        private_key_file: JSON Web Key of the commands, readable by its owner only.
        web_key_file: JSON Web Key of downloads, readable by its owner only.
        public_keys_file: JSON Web Key Set with the public parts of both; what is missing there is added.

    Raises:
        KeyPairIncomplete: there are public keys, and not the commands' private one.
        KeyFileUnusable: a file of keys is none.
    """
    ensure_decision_keys(private_key_file, public_keys_file)
    _ensure_web_key(web_key_file, public_keys_file)


def ensure_audit_keys_of(settings: Settings) -> None:
    """Make the files that are missing of those the settings name, and add the public parts of keys in a vault.

    Raises:
        KeyPairIncomplete: there are public keys, and not the commands' private one.
        KeyFileUnusable: a file of keys is none.
        SettingsError: a key in a vault, or the file of public keys, cannot be used.
    """
    audit = settings.audit
    if not audit.vault_key:
        ensure_decision_keys(audit.private_key_file, audit.public_keys_file)
    for where in (EXPORTS, DOWNLOADS):
        if getattr(audit, where[1]):
            public = AuditVaultKey.read(settings, where).public
            pin(public, audit.public_keys_file, variable_name(("audit", "public_keys_file")))
    if not audit.web_vault_key:
        _ensure_web_key(audit.web_key_file, audit.public_keys_file)


def _ensure_web_key(web_key_file: Path, public_keys_file: Path) -> None:
    if not web_key_file.exists():
        made = OKPKey.generate_key("Ed25519", {"use": "sig", "alg": "EdDSA"}, auto_kid=True)
        web_key_file.parent.mkdir(parents=True, exist_ok=True)
        web_key_file.touch(mode=0o600)
        web_key_file.chmod(0o600)
        web_key_file.write_text(json.dumps(made.as_dict(private=True)))
    web, known = key_of(web_key_file), keys_of(public_keys_file)
    if web.kid not in {key.kid for key in known.keys}:
        public_keys_file.write_text(json.dumps(KeySet([*known.keys, web]).as_dict(private=False)))
