"""How a request for approval moves on: who is asked next, what a deadline does, what a decision does."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from domain.approval_rules import Verdict, decided, ended, next_deadline, opened, overdue
from domain.approvals import ApprovalPlan, ApprovalState, ApprovalStatus, StepState
from domain.messages import VerifiedMessage
from domain.refusals import Refusal
from tests.rights import said
from tests.unit.domain.makers import T0, actor, discounted, names, person, plan, priced, request

PLAN = plan(priced(discounted("P250", 100, 22)))  # mona, then dirk (S02)


def asked(the_plan: ApprovalPlan = PLAN, **more: Any) -> ApprovalState:
    made = request(the_plan, **more)
    return opened(ApprovalState(request=made, steps=tuple(StepState(plan=p) for p in made.plan.steps)), T0)


def says(state: ApprovalState, who: str, decision: str, number: int = 1, at: datetime = T0, **args: Any) -> Verdict:
    content = {"decision": decision, "step": number, "seen_hash": state.request.snapshot_hash} | args
    return decided(state, said(actor(who), "decide", content, at=at), at)


def statuses(state: ApprovalState) -> list[str]:
    return [step.status for step in state.steps]


def test_the_first_step_of_a_chain_is_asked_and_the_next_waits() -> None:
    state = asked()
    assert statuses(state) == ["pending", "waiting"]
    assert names(state.steps[0].assignees) == ["mona"]
    assert next_deadline(state) == state.steps[0].deadline


def test_chains_are_asked_beside_each_other() -> None:
    sales, legal = PLAN.steps[0], PLAN.steps[0].model_copy(update={"step": 2, "chain": "legal", "role": "legal"})
    assert statuses(asked(PLAN.model_copy(update={"steps": (sales, legal)}))) == ["pending", "pending"]


def test_an_approval_asks_the_next_level_and_the_last_completes_the_request() -> None:
    state = says(asked(), "mona", "approve").state
    assert (statuses(state), names(state.steps[1].assignees)) == (["approved", "pending"], ["dirk"])
    state = says(state, "dirk", "approve", 2).state
    assert (state.status, state.reason) == (ApprovalStatus.COMPLETED, "approved by mona, dirk")
    assert state.ended_at == T0


def test_a_rejection_ends_the_request_and_skips_what_is_undecided() -> None:
    state = says(asked(), "mona", "reject", comment="too low").state
    assert (state.status, state.reason) == (ApprovalStatus.REJECTED, "rejected by mona: too low")
    assert statuses(state) == ["rejected", "skipped"]


def test_a_rejection_without_a_reason_is_refused() -> None:
    for comment in ("", "  \n"):
        verdict = says(asked(), "mona", "reject", comment=comment)
        assert (verdict.code, verdict.state) == ("REASON_REQUIRED", asked())


def test_who_alone_may_decide_two_levels_counts_once() -> None:
    both = tuple(step.model_copy(update={"candidates": (person("dirk"),)}) for step in PLAN.steps)
    state = says(asked(PLAN.model_copy(update={"steps": both})), "dirk", "approve").state
    assert state.status is ApprovalStatus.COMPLETED
    assert state.steps[1].comment == "covered by dirk's approval of a lower level"


@pytest.mark.parametrize(
    ("who", "args", "code"),
    [
        ("dirk", {}, "NOT_ASSIGNED"),
        ("rita", {}, "REQUESTER_CANNOT_APPROVE"),
        ("mona", {"seen_hash": "old"}, "SEEN_HASH_MISMATCH"),
        ("mona", {"step": 9}, "NOT_ASSIGNED"),
        ("mona", {"step": "first"}, "BAD_DECISION"),
        ("mona", {"step": None}, "BAD_DECISION"),
        ("mona", {"decision": "perhaps"}, "BAD_DECISION"),
        ("mona", {"decision": {"approve": True}}, "BAD_DECISION"),
        ("dirk", {"step": 2}, "NOT_ASSIGNED"),
    ],
)
def test_a_decision_that_does_not_count_changes_nothing(who: str, args: dict[str, Any], code: str) -> None:
    state = asked()
    verdict = says(state, who, **{"decision": "approve", **args})
    assert (verdict.code, verdict.state) == (code, state)


def test_a_decision_without_proof_changes_nothing() -> None:
    state = asked()
    unproved = VerifiedMessage(message_id="m", person=actor("mona"), name="decide", refused="no signature")
    assert decided(state, unproved, T0) == Verdict(state, Refusal.UNAUTHENTICATED, "no signature")


def test_a_step_not_decided_in_time_is_asked_of_the_next_person_as_well() -> None:
    state = asked()
    due = next_deadline(state)
    assert overdue(state, due - timedelta(seconds=1)) == state
    state = overdue(state, due)
    assert (names(state.steps[0].assignees), state.steps[0].escalations) == (["mona", "dirk"], 1)
    assert next_deadline(state) > due
    assert says(state, "mona", "approve").code is None


def test_where_nobody_is_left_or_the_policy_says_so_the_request_expires() -> None:
    expires = tuple(step.model_copy(update={"on_timeout": "expire"}) for step in PLAN.steps)
    state = asked(PLAN.model_copy(update={"steps": expires}))
    assert overdue(state, next_deadline(state)).status is ApprovalStatus.EXPIRED
    alone = tuple(step.model_copy(update={"candidates": (person("mona"),)}) for step in PLAN.steps)
    state = asked(PLAN.model_copy(update={"steps": alone}))
    state = overdue(state, next_deadline(state))
    assert (state.status, state.reason) == (ApprovalStatus.EXPIRED, "nobody decided level 1 of sales in time")


def test_a_request_dies_with_its_quote() -> None:
    state = asked(expires_at=T0 + timedelta(minutes=5))
    assert next_deadline(state) == T0 + timedelta(minutes=5)
    assert overdue(state, T0 + timedelta(minutes=5)).status is ApprovalStatus.EXPIRED


def test_a_calendar_without_working_time_makes_the_request_due_at_its_own_end() -> None:
    never = PLAN.calendar.model_copy(update={"workdays": ()})
    state = asked(PLAN.model_copy(update={"calendar": never}))
    assert next_deadline(state) == state.request.expires_at


def test_a_request_that_has_ended_absorbs_what_comes_later() -> None:
    state = ended(asked(), ApprovalStatus.SUPERSEDED, "revised", T0, by_revision=2)
    assert (state.superseded_by, statuses(state)) == (2, ["skipped", "skipped"])
    late = says(state, "mona", "approve")
    assert (late.code, late.state) == ("SUPERSEDED", state)
