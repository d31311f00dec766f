"""An answer "approved" is believed only where each step was signed by a person who was asked, for this content."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.approval_proof import unproved
from domain.approval_rules import decided, opened
from domain.approvals import ApprovalRequest, ApprovalState, ApprovalStatus, StepState
from domain.messages import VerifiedMessage
from domain.rights import Granted
from domain.sign_in import SignIn
from tests.rights import said
from tests.unit.domain.makers import T0, actor, discounted, plan, priced, request

ASKED: ApprovalRequest = request(plan(priced(discounted("P250", 100, 22))))  # mona, then dirk


def signed(who: str, step: int, **args: Any) -> VerifiedMessage:
    content = {"decision": "approve", "step": step, "seen_hash": ASKED.snapshot_hash} | args
    return said(actor(who), "decide", content, message_id=f"m{step}")


TRUE = (signed("mona", 1), signed("dirk", 2))


def approved() -> ApprovalState:
    state = opened(ApprovalState(request=ASKED, steps=tuple(StepState(plan=p) for p in ASKED.plan.steps)), T0)
    for message in TRUE:
        verdict = decided(state, message, T0)
        assert not verdict.code, verdict
        state = verdict.state
    assert state.status is ApprovalStatus.COMPLETED
    return state


def test_what_everybody_signed_is_believed() -> None:
    assert unproved(ASKED, approved(), TRUE) == ""


@pytest.mark.parametrize(
    "messages",
    [
        (),
        TRUE[:1],
        TRUE[1:],
        (TRUE[0], TRUE[1].model_copy(update={"refused": "the signature does not hold"})),
        (TRUE[0], TRUE[1].model_copy(update={"name": "retry"})),
        (TRUE[0], signed("dirk", 2, decision="reject")),
        (TRUE[0], signed("dirk", 2, seen_hash="another content")),
        (TRUE[0], signed("dirk", 3)),
        (TRUE[0], signed("rita", 2)),
        (TRUE[0], signed("mona", 2)),
        (TRUE[0], TRUE[1].model_copy(update={"granted": Granted()})),
    ],
)
def test_what_was_not_signed_by_who_was_asked_is_not(messages: tuple[VerifiedMessage, ...]) -> None:
    assert unproved(ASKED, approved(), messages) != ""


def test_a_signature_without_the_fresh_sign_in_that_the_policy_asks_for_is_not() -> None:
    """The request has checked it as well; the deal believes the request in nothing."""
    asked = ASKED.model_copy(update={"net": Decimal(100_000), "total": Decimal(110_000)})
    answer = approved().model_copy(update={"request": asked})
    assert unproved(asked, answer, TRUE) == ""
    for sign_in in (SignIn(), SignIn(at=T0 - timedelta(minutes=16))):
        old = TRUE[1].model_copy(update={"sign_in": sign_in, "signed_at": T0})
        assert unproved(asked, answer, (TRUE[0], old)) == "nobody who was asked signed step 2"


@pytest.mark.parametrize(
    "change",
    [
        {"request": ASKED.model_copy(update={"snapshot_hash": "another content"})},
        {"request": ASKED.model_copy(update={"requester": actor("dirk")})},
        {"steps": ()},
    ],
)
def test_an_answer_about_something_else_is_not(change: dict[str, Any]) -> None:
    assert unproved(ASKED, approved().model_copy(update=change), TRUE) != ""


def test_a_requester_who_signed_their_own_step_is_not() -> None:
    forged = ASKED.model_copy(update={"makers": (actor("dirk"),)})
    answer = approved().model_copy(update={"request": forged})
    assert unproved(forged, answer, TRUE) == "nobody who was asked signed step 2"
