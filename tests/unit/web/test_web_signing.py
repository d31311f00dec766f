"""Signed messages: what is under the signature, and keys that cannot sign."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import KeySet, OKPKey
from pydantic import ValidationError

from domain.commands import RIGHT_OF
from domain.messages import CommandName
from domain.people import Person
from domain.sign_in import SignIn
from web.commands import COMMAND_ARGS, CreditReleaseArgs
from web.identity import SignedIn
from web.signing import LIFETIME_SECONDS, DecisionSigner
from workers.keys import ensure_decision_keys

MONA = Person(oid="oid-mona", name="Mona Meyer", upn="mona@contoso.example", roles=("sales_manager.usmf",))


# EdDSA is the name older libraries know; the key fixes the curve.
@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_a_message_says_who_said_what_to_whom_and_when(tmp_path: Path) -> None:
    ensure_decision_keys(tmp_path / "private.json", tmp_path / "public.json")
    signer = DecisionSigner.from_file(tmp_path / "private.json")
    who = SignedIn(
        person=MONA, sign_in=SignIn(at=datetime(2026, 11, 26, 8, tzinfo=UTC), methods=("pwd", "mfa"), contexts=("c1",))
    )
    message = signer.sign(
        audience="approval/usmf/Q-1/1", message_id="m-1", who=who, action="decide", args={"decision": "approve"}
    )
    public = KeySet.import_key_set(json.loads((tmp_path / "public.json").read_text()))
    claims = jwt.decode(message.token, public, algorithms=["EdDSA"]).claims
    assert claims["exp"] - claims["iat"] == LIFETIME_SECONDS
    assert {name: value for name, value in claims.items() if name not in ("iat", "exp")} == {
        "iss": "q2c-web",
        "aud": "approval/usmf/Q-1/1",
        "jti": "m-1",
        "sub": "oid-mona",
        "name": "Mona Meyer",
        "upn": "mona@contoso.example",
        "roles": ["sales_manager.usmf"],
        "auth_time": 1795680000,
        "amr": ["pwd", "mfa"],
        "acrs": ["c1"],
        "act": {"name": "decide", "args": {"decision": "approve"}},
    }
    kid = public.keys[0].kid
    assert kid is not None
    stranger = OKPKey.generate_key("Ed25519", {"kid": kid})
    with pytest.raises(BadSignatureError):
        jwt.decode(message.token, KeySet([stranger]), algorithms=["EdDSA"])


def test_a_key_that_cannot_sign_is_refused(tmp_path: Path) -> None:
    key = OKPKey.generate_key("Ed25519", auto_kid=True)
    public = tmp_path / "public.json"
    public.write_text(json.dumps(key.as_dict(private=False)))
    with pytest.raises(ValueError, match="private part"):
        DecisionSigner.from_file(public)
    with pytest.raises(ValueError, match="kid"):
        DecisionSigner(OKPKey.generate_key("Ed25519"))


def test_every_command_has_its_arguments_and_its_right() -> None:
    of_deals = {name for name in RIGHT_OF if name in set(CommandName)}
    assert set(COMMAND_ARGS) == of_deals == set(CommandName)


def test_a_ceiling_is_exact_and_finite() -> None:
    args = CreditReleaseArgs.model_validate(
        {"reason": "r", "valid_until": "2026-12-01", "ceiling": "1045.10", "deviation_pct": "10"}
    )
    assert args.model_dump(mode="json")["ceiling"] == "1045.10"
    for ceiling in ("Infinity", "0", "-1", "1e30"):
        with pytest.raises(ValidationError):
            CreditReleaseArgs.model_validate({"reason": "r", "valid_until": "2026-12-01", "ceiling": ceiling})
