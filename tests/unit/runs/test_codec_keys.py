"""The key file: what is made, what is refused, and how a key is replaced by another."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from runs.codec_keys import KeyFileError, KeyMissing, KeyRing, ensure_codec_keys


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "codec.json"


def test_a_new_file_is_its_owners_alone_and_is_never_replaced(path: Path) -> None:
    ensure_codec_keys(path)
    made = path.read_bytes()
    ensure_codec_keys(path)
    assert path.read_bytes() == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["codec.json"]


def test_a_broken_file_is_named_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("{")
    with pytest.raises(KeyFileError, match=str(path)):
        ensure_codec_keys(path)
    assert path.read_text() == "{"


def test_a_missing_file_says_how_to_make_one(path: Path) -> None:
    with pytest.raises(KeyFileError, match="Q2C_CODEC_KEYS_FILE.*q2c keys"):
        KeyRing.read(path)


def test_a_new_key_reads_at_once_and_writes_when_told_to(path: Path) -> None:
    first = KeyRing.new()
    both = first.with_new_key()
    added = list(both.keys)[1]
    assert both.writes == first.writes
    after = both.writing_with(added)
    assert (after.writes, set(after.keys)) == (added, set(both.keys))
    after.write(path)
    assert KeyRing.read(path) == after
    assert KeyRing.read(path).writes == added
    assert list(after.without(first.writes).keys) == [added]


def test_the_key_that_writes_cannot_be_taken_away() -> None:
    ring = KeyRing.new().with_new_key()
    with pytest.raises(KeyFileError, match="use-key"):
        ring.without(ring.writes)
    with pytest.raises(KeyFileError, match="there is no key"):
        ring.writing_with("elsewhere.0000000000000000")


def test_an_id_the_ring_did_not_sign_is_not_a_key_of_ours() -> None:
    ring, other = KeyRing.new(), KeyRing.new()
    assert ring.cipher(ring.writes) is not None
    assert ring.cipher(other.writes) is None
    assert ring.cipher("") is None
    assert ring.cipher("20261126-acf37449") is None


def test_a_key_of_ours_that_is_missing_is_told_from_a_foreign_one() -> None:
    grown = KeyRing.new().with_new_key()
    old, new = grown.keys
    behind = grown.without(new)
    with pytest.raises(KeyMissing, match=f"{new}.*Q2C_CODEC_KEYS_FILE") as caught:
        behind.cipher(new)
    assert caught.value.key_id == new
    assert behind.cipher(old) is not None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda keys: keys.pop(0), "needs the key `ring`"),
        (lambda keys: keys.pop(), "no encryption key"),
        (lambda keys: keys[1].update(kid="2026-1.AAAAAAAAAAAAAAAA"), "did not sign"),
        (lambda keys: keys[1].update(k="c2hvcnQ"), "256 bits"),
        (lambda keys: keys[1].update(k="***"), "not a JSON Web Key Set"),
        (lambda keys: keys[1].update(kty="RSA"), "not a JSON Web Key Set"),
        (lambda keys: keys.append(dict(keys[1])), "each id once"),
    ],
    ids=["no ring", "no key", "foreign id", "short", "not base64", "asymmetric", "twice"],
)
def test_a_file_that_cannot_be_used_says_why_and_tells_no_secret(
    path: Path, change: Callable[[list[dict[str, str]]], object], said: str
) -> None:
    KeyRing.new().write(path)
    content = json.loads(path.read_text())
    secret = content["keys"][1]["k"]
    change(content["keys"])
    path.write_text(json.dumps(content))
    with pytest.raises(KeyFileError, match=said) as caught:
        KeyRing.read(path)
    assert secret not in str(caught.value)


def test_keys_never_show_in_a_representation() -> None:
    ring = KeyRing.new()
    assert str(next(iter(ring.keys.values()))) not in repr(ring)
    assert "bytes" not in repr(ring) and ring.writes not in repr(ring)
