"""Who said it: a decision counts for one deal and one message, while it holds, and only as it was signed."""

from __future__ import annotations

import base64
import json
import time
import warnings
from datetime import UTC, datetime
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import KeySet, OKPKey, RSAKey

from activities.decisions import SignedDecisionActivities
from activities.signatures import Proofs
from domain.messages import SIGNATURE_ISSUER, SignedMessage, VerifiedMessage
from domain.people import Person
from domain.sign_in import SignIn
from tests.rights import POLICY
from web.identity import SignedIn
from web.signing import DecisionSigner

DEAL = "q2c/usmf/Q-1"
KEY = OKPKey.generate_key("Ed25519", {"kid": "k1", "use": "sig"})
MONA = Person(oid="11111111-1111-1111-1111-111111111111", name="Mona", roles=("sales_manager.usmf",))
DEEP = base64.urlsafe_b64encode(b"[" * 11_000).decode().rstrip("=") + ".e30.e30"
TRUSTED = KeySet([OKPKey.import_key(KEY.as_dict(private=False))])


async def verified(
    token: str, *, message_id: str = "m-1", audiences: tuple[str, ...] = (DEAL,), **more: Any
) -> VerifiedMessage:
    return (await all_verified((message_id, token), audiences=audiences, **more))[0]


async def all_verified(
    *sent: tuple[str, str], audiences: tuple[str, ...] = (DEAL,), company: str = "usmf", counted: bool = False
) -> tuple[VerifiedMessage, ...]:
    messages = tuple(SignedMessage(message_id=message_id, token=token) for message_id, token in sent)
    proofs = Proofs(messages=messages, audiences=audiences, company=company, counted=counted)
    return (await SignedDecisionActivities(TRUSTED, POLICY).verify_messages(proofs)).said


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    whole = {
        "iss": SIGNATURE_ISSUER,
        "aud": DEAL,
        "jti": "m-1",
        "iat": now,
        "exp": now + 60,
        "sub": MONA.oid,
        "name": "Mona",
        "roles": ["sales_manager.usmf"],
        "act": {"name": "approve", "args": {"step": 1}},
    }
    return {name: value for name, value in (whole | changed).items() if value is not None}


def signed(body: dict[str, Any], key: OKPKey = KEY, algorithm: str = "Ed25519") -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = {"alg": algorithm, "kid": key.kid}
        return jws.serialize_compact(header, json.dumps(body), key, algorithms=[algorithm])


async def test_what_web_signs_for_a_person_is_believed() -> None:
    message = DecisionSigner(KEY).sign(
        audience=DEAL,
        message_id="m-1",
        who=SignedIn(person=MONA),
        action="approve",
        args={"step": 1, "amount": "19500.00"},
    )
    said = await verified(message.token)
    assert (said.refused, said.person.oid, said.person.roles) == ("", MONA.oid, ("sales_manager.usmf",))
    assert (said.name, said.args) == ("approve", {"step": 1, "amount": "19500.00"})


async def test_when_it_was_signed_is_told_whenever_it_is_checked() -> None:
    an_hour_ago = int(time.time()) - 3_600
    assert (await verified(signed(claims(iat=an_hour_ago)))).signed_at == datetime.fromtimestamp(an_hour_ago, UTC)


async def test_messages_are_answered_in_their_order_and_none_harms_another() -> None:
    said = await all_verified(("m-0", DEEP), ("m-1", signed(claims())), ("m-2", "junk"))
    assert [(one.message_id, bool(one.refused)) for one in said] == [("m-0", True), ("m-1", False), ("m-2", True)]


async def test_it_may_be_for_any_of_the_workflows_of_the_deal() -> None:
    assert (await verified(signed(claims()), audiences=("q2c/usmf/Q-1/approval/1", DEAL))).refused == ""


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"iss": "someone"}, "signed by someone other than the web application"),
        ({"iss": None}, "signed by someone other than the web application"),
        ({"aud": "q2c/usmf/Q-2"}, "signed for another deal"),
        ({"aud": None}, "signed for another deal"),
        ({"jti": "m-2"}, "the message id is not the one that was signed"),
        ({"jti": None}, "the message id is not the one that was signed"),
        ({"iat": None}, "the time it was signed at is missing or in the future"),
        ({"iat": "yesterday"}, "the time it was signed at is missing or in the future"),
        ({"iat": -(10**18)}, "it does not say who did what"),
        ({"iat": int(time.time()) + 3_600}, "the time it was signed at is missing or in the future"),
        ({"exp": None}, "the time it expires at is missing"),
        ({"exp": int(time.time()) - 3_600}, "it has expired: decide again"),
        ({"sub": None}, "it does not say who did what"),
        ({"act": None}, "it does not say who did what"),
        ({"act": {"args": {}}}, "it does not say who did what"),
        ({"act": {"name": "approve", "args": ["step"]}}, "it does not say who did what"),
        ({"roles": "sales_manager"}, "it does not say who did what"),
        ({"auth_time": "yesterday"}, "it does not say who did what"),
        ({"auth_time": -(10**18)}, "it does not say who did what"),
    ],
)
async def test_what_does_not_hold_is_refused_and_says_why(changed: dict[str, Any], why: str) -> None:
    said = await verified(signed(claims(**changed)))
    assert (said.refused, said.person.oid, said.name, said.args) == (why, "", "", {})


async def test_clocks_may_differ_a_little() -> None:
    now = int(time.time())
    assert (await verified(signed(claims(iat=now + 20, exp=now + 60)))).refused == ""
    assert (await verified(signed(claims(exp=now - 20)))).refused == ""


@pytest.mark.parametrize(
    "key", [OKPKey.generate_key("Ed25519", {"kid": "k1"}), OKPKey.generate_key("Ed25519", {"kid": "k9"})]
)
async def test_another_key_is_nobody_s(key: OKPKey) -> None:
    assert (await verified(signed(claims(), key))).refused.startswith("the signature does not hold: ")


async def test_another_algorithm_is_not_ours() -> None:
    rsa = RSAKey.generate_key(2048, {"kid": "k1"})
    token = signed(claims(), rsa, "RS256")  # type: ignore[arg-type]
    assert (await verified(token)).refused.startswith("the signature does not hold: ")


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "....", "eyJhbGciOiJub25lIn0.e30.", "ü" * 10, "a" * 16_000, DEEP])
async def test_junk_is_refused_and_never_raises(token: str) -> None:
    assert (await verified(token)).refused


@pytest.mark.parametrize("body", ["[]", '"text"', "null", "1", "not json"])
async def test_a_signature_under_something_that_is_no_set_of_claims(body: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        token = jws.serialize_compact({"alg": "Ed25519", "kid": "k1"}, body, KEY, algorithms=["Ed25519"])
    assert (await verified(token)).refused


async def test_a_token_cut_off_or_changed_is_refused() -> None:
    token = signed(claims())
    head, _, signature = token.split(".")
    other = signed(claims(act={"name": "reject", "args": {}})).split(".")[1]
    assert (await verified(token[:-5])).refused
    assert (await verified(f"{head}.{other}.{signature}")).refused


async def test_what_the_table_grants_the_person_for_what_they_said_is_told() -> None:
    said = await verified(signed(claims(act={"name": "withdraw", "args": {}})))
    assert [(grant.role, grant.of) for grant in said.granted.grants] == [("sales_manager", "any")]
    assert said.granted.policy_version == POLICY.version
    other = await verified(signed(claims(act={"name": "withdraw", "args": {}})), company="demf")
    assert other.granted.grants == ()
    unknown = await verified(signed(claims(act={"name": "give_me_money", "args": {}})))
    assert (unknown.refused, unknown.granted.grants) == ("", ())


async def test_when_and_how_the_person_had_signed_in_is_told() -> None:
    at = datetime(2026, 11, 26, 8, tzinfo=UTC)
    sign_in = SignIn(at=at, methods=("pwd", "mfa"), contexts=("c1",))
    message = DecisionSigner(KEY).sign(
        audience=DEAL, message_id="m-1", who=SignedIn(person=MONA, sign_in=sign_in), action="decide", args={}
    )
    assert (await verified(message.token)).sign_in == sign_in
    assert (await verified(signed(claims()))).sign_in == SignIn()


async def test_what_counted_when_it_came_may_have_expired_since_and_nothing_else() -> None:
    old = claims(iat=int(time.time()) - 200_000, exp=int(time.time()) - 100_000)
    assert (await verified(signed(old))).refused == "it has expired: decide again"
    assert (await verified(signed(old), counted=True)).refused == ""
    assert (await verified(signed(old | {"aud": "q2c/usmf/Q-2"}), counted=True)).refused
    assert (await verified(signed({k: v for k, v in old.items() if k != "exp"}), counted=True)).refused
