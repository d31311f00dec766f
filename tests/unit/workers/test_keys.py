"""The key pair of decisions."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey

from workers.keys import KeyPairIncomplete, ensure_decision_keys


def test_what_the_private_key_signs_the_public_keys_verify(tmp_path: Path) -> None:
    private, public = tmp_path / "a" / "key.json", tmp_path / "b" / "jwks.json"
    ensure_decision_keys(private, public)
    key = OKPKey.import_key(json.loads(private.read_text()))
    token = jwt.encode({"alg": "EdDSA", "kid": key.kid}, {"sub": "mona"}, key, algorithms=["EdDSA"])
    keys = KeySet.import_key_set(json.loads(public.read_text()))
    assert jwt.decode(token, keys, algorithms=["EdDSA"]).claims["sub"] == "mona"


def test_the_private_part_is_the_owners_and_never_in_the_public_file(tmp_path: Path) -> None:
    private, public = tmp_path / "key.json", tmp_path / "jwks.json"
    ensure_decision_keys(private, public)
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert "d" not in json.loads(public.read_text())["keys"][0]


def test_keys_that_exist_are_kept(tmp_path: Path) -> None:
    private, public = tmp_path / "key.json", tmp_path / "jwks.json"
    ensure_decision_keys(private, public)
    before = private.read_text(), public.read_text()
    ensure_decision_keys(private, public)
    assert (private.read_text(), public.read_text()) == before


def test_the_private_key_is_never_replaced_when_the_public_file_is_lost(tmp_path: Path) -> None:
    private, public = tmp_path / "key.json", tmp_path / "jwks.json"
    ensure_decision_keys(private, public)
    kept, listed = private.read_text(), json.loads(public.read_text())["keys"]
    public.unlink()
    ensure_decision_keys(private, public)
    assert private.read_text() == kept
    written = json.loads(public.read_text())["keys"]
    assert [key["x"] for key in written] == [key["x"] for key in listed]
    assert all("d" not in key for key in written)


def test_public_keys_without_their_private_one_are_left_and_said(tmp_path: Path) -> None:
    private, public = tmp_path / "key.json", tmp_path / "jwks.json"
    ensure_decision_keys(private, public)
    before = public.read_text()
    private.unlink()
    with pytest.raises(KeyPairIncomplete, match=str(private)):
        ensure_decision_keys(private, public)
    assert public.read_text() == before and not private.exists()
