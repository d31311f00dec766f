"""The two keys behind exports of the audit: made where they are missing, never replaced, both believed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ledger.signing import AuditSigner, AuditVerifier
from workers.audit_keys import ensure_audit_keys
from workers.keys import KeyPairIncomplete


def test_both_are_made_once_and_their_signatures_are_believed(tmp_path: Path) -> None:
    private, web, public = (tmp_path / name for name in ("audit.json", "web.json", "jwks.json"))
    ensure_audit_keys(private, web, public)
    before = [path.read_text() for path in (private, web, public)]
    ensure_audit_keys(private, web, public)
    assert [path.read_text() for path in (private, web, public)] == before
    assert {oct(path.stat().st_mode & 0o777) for path in (private, web)} == {"0o600"}
    assert '"d"' not in before[2]
    verifier = AuditVerifier.from_file(public)
    for path in (private, web):
        assert verifier.read(AuditSigner.from_file(path).sign({"a": 1})) == {"a": 1}


def test_a_web_key_is_added_to_public_keys_that_stand(tmp_path: Path) -> None:
    """An installation from before the page of the audit; and one that lost the web's key gets another one."""
    private, web, public = (tmp_path / name for name in ("audit.json", "web.json", "jwks.json"))
    ensure_audit_keys(private, web, public)
    known = [key["kid"] for key in json.loads(public.read_text())["keys"]]
    web.unlink()
    ensure_audit_keys(private, web, public)
    after = [key["kid"] for key in json.loads(public.read_text())["keys"]]
    assert after[:2] == known and len(after) == 3, "what the key before signed is still believed"


def test_the_commands_key_is_never_made_anew_beside_public_ones(tmp_path: Path) -> None:
    private, web, public = (tmp_path / name for name in ("audit.json", "web.json", "jwks.json"))
    ensure_audit_keys(private, web, public)
    private.unlink()
    with pytest.raises(KeyPairIncomplete):
        ensure_audit_keys(private, web, public)
