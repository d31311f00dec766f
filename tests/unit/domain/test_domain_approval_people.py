"""Reminders, who is asked instead, questions to the rep, and who stands in for whom."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.approval_people import said_to_request
from domain.approval_rules import Verdict, decided, next_deadline, next_reminder, opened, overdue, reminded
from domain.approvals import ApprovalPlan, ApprovalState, ApprovalStatus, Coverage, StepState
from domain.calendar import add_business_hours, working_time_between
from domain.delegations import NOBODY_AWAY, Delegation, Delegations
from tests.rights import said
from tests.unit.domain.makers import (
    T0,
    actor,
    discounted,
    names,
    person,
    plan,
    priced,
    request,
)

PLAN = plan(priced(discounted("P250", 100, 22)))  # mona, then dirk (S02)
ONE_LEVEL = plan(priced(discounted("P250", 100, 12)))
WEDNESDAY = datetime(2026, 11, 25, 20, 0, tzinfo=UTC)
"""15:00 in New York, the day before a holiday (S12)."""


def asked(
    the_plan: ApprovalPlan = PLAN, at: datetime = T0, delegations: Delegations = NOBODY_AWAY, **more: Any
) -> ApprovalState:
    made = request(the_plan, **{"expires_at": at + timedelta(days=14), **more})
    state = ApprovalState(request=made, steps=tuple(StepState(plan=p) for p in made.plan.steps))
    return opened(state, at, delegations)


def says(
    state: ApprovalState, who: str, name: str, at: datetime = T0, roles: tuple[str, ...] = (), **args: Any
) -> Verdict:
    return said_to_request(state, said(actor(who, *roles), name, {"step": 1, **args}, at=at), at)


def approves(
    state: ApprovalState, who: str, number: int, at: datetime = T0, delegations: Delegations = NOBODY_AWAY
) -> Verdict:
    content = {"decision": "approve", "step": number, "seen_hash": state.request.snapshot_hash}
    return decided(state, said(actor(who), "decide", content, at=at), at, delegations)


def to(name: str) -> str:
    return person(name).oid


def away(of: str, to_whom: str, first: str = "2026-11-23", last: str = "2026-11-30") -> Delegation:
    return Delegation(
        of=person(of),
        to=person(to_whom),
        first=date.fromisoformat(first),
        last=date.fromisoformat(last),
        set_by=person(of),
        set_at=T0,
    )


# Reminders (S12)


def test_s12_reminders_at_half_and_at_80_per_cent_do_not_count_the_holiday() -> None:
    state = asked(ONE_LEVEL, WEDNESDAY)
    assert next_reminder(state, T0) == datetime(2026, 11, 27, 16, 0, tzinfo=UTC)  # Friday 11:00 in New York
    assert reminded(state, datetime(2026, 11, 27, 15, 59, 59, tzinfo=UTC)) == state
    state = reminded(state, datetime(2026, 11, 27, 16, 0, tzinfo=UTC))
    assert [(r.pct, names(r.who)) for r in state.steps[0].reminders] == [(50, ["mona"])]
    assert next_reminder(state, T0) == datetime(2026, 11, 27, 18, 24, tzinfo=UTC)  # 13:24
    state = reminded(state, datetime(2026, 11, 27, 18, 24, tzinfo=UTC))
    assert [r.pct for r in state.steps[0].reminders] == [50, 80]
    assert next_reminder(state, T0) is None
    assert next_deadline(state) == datetime(2026, 11, 27, 20, 0, tzinfo=UTC)  # 15:00
    state = overdue(state, next_deadline(state))
    assert (names(state.steps[0].assignees), state.status) == (["mona", "dirk"], ApprovalStatus.PENDING)
    assert next_reminder(state, T0) == datetime(2026, 11, 30, 16, 0, tzinfo=UTC), (
        "the hours begin anew, and the reminders"
    )


def test_reminders_that_nobody_could_give_in_time_are_one() -> None:
    state = asked(ONE_LEVEL, WEDNESDAY)
    state = reminded(state, datetime(2026, 11, 27, 19, 0, tzinfo=UTC))
    assert [r.pct for r in state.steps[0].reminders] == [80]


@pytest.mark.parametrize("late", [-1, 0, 5])
def test_a_reminder_that_nobody_could_give_in_time_is_waited_for_no_more(late: int) -> None:
    """Before: the request waited for a moment that was past, without rest, until its deadline was looked at."""
    state = asked(ONE_LEVEL)
    deadline = state.steps[0].deadline
    assert deadline is not None
    now = deadline + timedelta(seconds=late)
    assert next_reminder(reminded(state, now), now) is None


def test_nobody_is_reminded_where_the_policy_has_none_or_the_quote_ends_before() -> None:
    assert next_reminder(asked(ONE_LEVEL.model_copy(update={"reminders_pct": ()})), T0) is None
    assert next_reminder(asked(ONE_LEVEL, expires_at=T0 + timedelta(hours=1)), T0) is None
    never = ONE_LEVEL.calendar.model_copy(update={"workdays": ()})
    assert next_reminder(asked(ONE_LEVEL.model_copy(update={"calendar": never})), T0) is None


def test_reminders_are_pinned_with_the_plan() -> None:
    assert PLAN.reminders_pct == (50, 80)


# Somebody else is asked


def test_ops_and_a_higher_role_of_the_chain_have_somebody_else_asked_in_place() -> None:
    for who, roles in (("dirk", ()), ("cora", ()), ("carl", ("ops",))):
        verdict = says(asked(), who, "reassign", to=to("dina"), reason="mona is ill", roles=roles)
        step = verdict.state.steps[0]
        assert (verdict.code, names(step.assignees), names(step.replaced)) == (None, ["dina"], ["mona"])
        (moved,) = step.reassignments
        assert (moved.by.name, moved.to.name, moved.added, moved.reason) == (who, "Dina Diaz", False, "mona is ill")
    assert approves(verdict.state, "mona", 1).code == "NOT_ASSIGNED"
    assert approves(verdict.state, "dina", 1).code is None


def test_somebody_is_added_who_may_decide_instead() -> None:
    state = says(asked(), "dirk", "reassign", to=to("dina"), add=True, reason="faster").state
    assert names(state.steps[0].assignees) == ["mona", "dina"]
    assert state.steps[0].deadline == asked().steps[0].deadline, "nobody gets more time by it"
    assert approves(state, "mona", 1).code is None
    assert approves(state, "dina", 1).code is None


def test_who_was_replaced_is_not_asked_again_when_nobody_decides_in_time() -> None:
    state = says(asked(), "dirk", "reassign", to=to("drew"), reason="ill").state
    state = overdue(state, next_deadline(state))
    assert names(state.steps[0].assignees) == ["drew", "dirk"]


@pytest.mark.parametrize(
    ("who", "args", "code"),
    [
        ("mona", {}, "NO_AUTHORITY"),  # her own level
        ("leo", {}, "NO_AUTHORITY"),  # of another chain
        ("rita", {}, "REQUESTER_CANNOT_APPROVE"),
        ("dirk", {"to": "rita"}, "TO_IS_REQUESTER"),
        ("dirk", {"to": "leo"}, "NO_AUTHORITY"),
        ("dirk", {"to": "mona"}, "ILLEGAL_TRANSITION"),
        ("dirk", {"step": 2}, "NO_AUTHORITY"),  # his own level
        ("cora", {"step": 2}, "ILLEGAL_TRANSITION"),  # not asked yet
        ("dirk", {"step": 9}, "NOT_ASSIGNED"),
        ("dirk", {"reason": " "}, "BAD_ARGUMENT"),
        ("dirk", {"step": "first"}, "BAD_ARGUMENT"),
    ],
)
def test_a_reassignment_that_does_not_count_changes_nothing(who: str, args: dict[str, Any], code: str) -> None:
    content = {"to": "dina", "reason": "r"} | args
    verdict = says(asked(), who, "reassign", **content | {"to": to(content["to"])})
    assert (verdict.code, verdict.state) == (code, asked())


def test_who_made_the_quote_neither_chooses_nor_becomes_who_decides_it() -> None:
    state = asked(makers=(person("dirk"), person("dina")))
    assert says(state, "dirk", "reassign", to=to("drew"), reason="r").code == "REQUESTER_CANNOT_APPROVE"
    assert says(state, "cora", "reassign", to=to("dina"), reason="r").code == "TO_IS_REQUESTER"


def test_who_approved_a_lower_level_is_not_asked_for_the_next() -> None:
    state = says(asked(), "dirk", "reassign", to=to("dina"), reason="r").state
    state = approves(state, "dina", 1).state
    assert says(state, "cora", "reassign", to=to("dina"), step=2, reason="r").code == "ILLEGAL_TRANSITION"


def test_a_request_that_has_ended_takes_none_of_it() -> None:
    state = approves(approves(asked(), "mona", 1).state, "dirk", 2).state
    assert says(state, "cora", "reassign", to=to("dina"), reason="r").code == "ALREADY_DECIDED"
    assert says(state, "mona", "ask", question="why?").code == "ALREADY_DECIDED"
    assert says(state, "rita", "answer", answer="so").code == "ALREADY_DECIDED"
    assert says(state, "mona", "sing").code == "UNKNOWN_COMMAND"


# A question to the rep


def test_while_a_question_is_open_the_hours_of_its_step_stand_still() -> None:
    state = asked(ONE_LEVEL)  # Monday 09:00 in New York: due at 17:00
    due = next_deadline(state)
    at = T0 + timedelta(hours=3)
    state = says(state, "mona", "ask", at, question="Who else bids?").state
    assert state.steps[0].question is not None
    assert (state.steps[0].deadline, next_reminder(state, T0)) == (None, None)
    assert next_deadline(state) == state.request.expires_at, "the request's own end does not move"
    assert overdue(state, due + timedelta(days=2)) == state
    answered_at = T0 + timedelta(days=1, hours=2)  # Tuesday 11:00
    state = says(state, "rita", "answer", answered_at, answer="Two others").state
    waited = working_time_between(at, answered_at, ONE_LEVEL.calendar)
    assert waited == timedelta(hours=7)
    assert state.steps[0].deadline == add_business_hours(due, Decimal(7), ONE_LEVEL.calendar)
    (question,) = state.steps[0].questions
    assert (question.answer, question.answered_by and question.answered_by.name) == ("Two others", "rita")
    assert approves(state, "mona", 1, answered_at).code is None


def test_a_second_question_of_a_step_does_not_stop_its_hours_again() -> None:
    state = says(asked(), "mona", "ask", question="1?").state
    state = says(state, "rita", "answer", answer="1").state
    before = state.steps[0].deadline
    state = says(state, "mona", "ask", question="2?").state
    assert state.steps[0].deadline == before
    assert says(state, "rita", "answer", answer="2").state.steps[0].deadline == before


def test_a_question_that_nobody_answers_ends_with_the_request() -> None:
    state = says(asked(), "mona", "ask", question="?").state
    state = overdue(state, state.request.expires_at)
    assert state.status is ApprovalStatus.EXPIRED


def test_who_asks_may_decide_without_the_answer() -> None:
    state = says(asked(), "mona", "ask", question="?").state
    state = approves(state, "mona", 1).state
    assert says(state, "rita", "answer", answer="late").code == "ALREADY_DECIDED"


@pytest.mark.parametrize(
    ("who", "name", "args", "code"),
    [
        ("dirk", "ask", {"question": "?"}, "NOT_ASSIGNED"),
        ("rita", "ask", {"question": "?"}, "REQUESTER_CANNOT_APPROVE"),
        ("mona", "ask", {"question": "  "}, "BAD_ARGUMENT"),
        ("mona", "ask", {"step": 9, "question": "?"}, "NOT_ASSIGNED"),
        ("rita", "answer", {"answer": "!"}, "NO_QUESTION"),
        ("ravi", "answer", {"answer": "!"}, "NOT_OWN_DEAL"),
        ("mona", "answer", {"answer": "!"}, "NOT_OWN_DEAL"),
    ],
)
def test_a_question_or_answer_that_does_not_count_changes_nothing(
    who: str, name: str, args: dict[str, Any], code: str
) -> None:
    verdict = says(asked(), who, name, **args)
    assert (verdict.code, verdict.state) == (code, asked())


def test_one_question_at_a_time_and_five_per_step() -> None:
    state = asked()
    for number in range(5):
        state = says(state, "mona", "ask", question=f"{number}?").state
        assert says(state, "mona", "ask", question="again?").code == "QUESTION_OPEN"
        state = says(state, "rita", "answer", answer="!").state
    assert says(state, "mona", "ask", question="6?").code == "TOO_MANY_QUESTIONS"


def test_an_owner_of_the_quote_answers_as_well() -> None:
    state = says(asked(makers=(person("ravi"),)), "mona", "ask", question="?").state
    assert says(state, "ravi", "answer", answer="!").code is None


# Who stands in for whom (S11)


def at_dirks_step(delegations: Delegations, at: datetime = T0, **more: Any) -> ApprovalState:
    return approves(asked(at=at, **more), "mona", 1, at, delegations).state


def test_s11_the_delegate_is_asked_and_decides_for_who_is_away() -> None:
    state = at_dirks_step(Delegations(entries=(away("dirk", "dina"),)))
    assert names(state.steps[1].assignees) == ["dina"]
    assert state.steps[1].asked_of == "Dina Diaz for Dirk Dorn"
    assert approves(state, "dirk", 2).code == "NOT_ASSIGNED"
    state = approves(state, "dina", 2).state
    assert state.reason == "approved by mona, dina for Dirk Dorn"
    assert state.steps[1].decider == "dina for Dirk Dorn"


def test_s11_from_the_day_after_the_last_new_steps_go_to_who_was_away() -> None:
    delegations = Delegations(entries=(away("dirk", "dina"),))
    last_evening = datetime(2026, 12, 1, 4, 59, tzinfo=UTC)  # 30 November, 23:59 in New York
    assert names(at_dirks_step(delegations, last_evening).steps[1].assignees) == ["dina"]
    assert names(at_dirks_step(delegations, last_evening + timedelta(minutes=2)).steps[1].assignees) == ["dirk"]


def test_a_delegation_is_followed_to_its_end() -> None:
    delegations = Delegations(entries=(away("dirk", "dina"), away("dina", "drew")))
    state = at_dirks_step(delegations)
    assert state.steps[1].asked_of == "Drew Doyle for Dirk Dorn"


@pytest.mark.parametrize(
    "entries",
    [
        [("dirk", "rita")],  # who asked for it
        [("dirk", "dina"), ("dina", "rita")],
        [("dirk", "ravi"), ("ravi", "dina")],  # through who edited it
        [("dirk", "mona")],  # without the authority
        [("dirk", "dina"), ("dina", "dirk")],  # a loop
        [("dirk", "dina"), ("dina", "drew"), ("drew", "dina")],
    ],
)
def test_a_delegation_that_leads_to_nobody_who_may_decide_does_not_count(entries: list[tuple[str, str]]) -> None:
    delegations = Delegations(entries=tuple(away(*pair) for pair in entries))
    state = at_dirks_step(delegations, makers=(person("ravi"),))
    assert state.steps[1].asked_of == "Dirk Dorn"


def test_two_levels_stay_two_people_when_somebody_stands_in() -> None:
    mona_away = Delegations(entries=(away("mona", "dina"), away("dirk", "dina")))
    state = asked(delegations=mona_away)
    assert state.steps[0].asked_of == "Dina Diaz for Mona Meyer"
    state = approves(state, "dina", 1, delegations=mona_away).state
    assert state.steps[1].asked_of == "Drew Doyle"


def test_a_step_escalates_to_who_stands_in_for_the_next() -> None:
    delegations = Delegations(entries=(away("dirk", "drew"),))
    state = asked(ONE_LEVEL)
    state = overdue(state, next_deadline(state), delegations)
    assert state.steps[0].asked_of == "Mona Meyer, Drew Doyle for Dirk Dorn"


def test_who_approved_a_lower_level_is_the_last_a_step_escalates_to() -> None:
    state = says(asked(), "cora", "reassign", to=to("dirk"), reason="ill").state
    state = approves(state, "dirk", 1).state
    order = []
    while state.status is ApprovalStatus.PENDING:
        order = names(state.steps[1].assignees)
        state = overdue(state, next_deadline(state))
    assert order[:4] == ["dina", "drew", "cora", "dirk"][: len(order)]


def test_reassigned_while_a_question_is_open_the_hours_begin_anew_when_it_is_answered() -> None:
    state = says(asked(), "mona", "ask", T0 + timedelta(hours=3), question="?").state
    state = says(state, "dirk", "reassign", T0 + timedelta(hours=4), to=to("dina"), reason="ill").state
    assert state.steps[0].deadline is None
    answered_at = T0 + timedelta(hours=5)
    state = says(state, "rita", "answer", answered_at, answer="!").state
    assert state.steps[0].deadline == add_business_hours(answered_at, Decimal(8), PLAN.calendar)


def test_everybody_is_asked_before_a_step_expires_whoever_is_away() -> None:
    delegations = Delegations(entries=(away("dirk", "mona"), away("dina", "dirk", last="2027-11-01")))
    state, rounds = asked(ONE_LEVEL, delegations=delegations, expires_at=T0 + timedelta(days=90)), 0
    while state.status is ApprovalStatus.PENDING:
        state, rounds = overdue(state, next_deadline(state), delegations), rounds + 1
        assert rounds < 10
    assert {"mona", "drew", "cora"} <= set(names(state.steps[0].assignees))
    assert len(state.steps[0].assignees) == len(set(names(state.steps[0].assignees)))


@pytest.mark.parametrize("makers", [("dirk",), ("dirk", "dina"), ("dirk", "dina", "drew", "cora")])
def test_nobody_who_made_the_quote_is_asked_whatever_the_plan_and_the_delegations_say(makers: tuple[str, ...]) -> None:
    """A plan names no maker; should it, or should a delegation lead to one, others are asked, or nobody."""
    made_by = tuple(person(name) for name in makers)
    leading_there = Delegations(entries=(away("mona", "dirk"), away("drew", "dina"), away("cora", "dirk")))
    for delegations in (NOBODY_AWAY, leading_there):
        state = approves(asked(makers=made_by, delegations=delegations), "mona", 1, delegations=delegations).state
        assert state.steps[0].decider == "mona"
        left = [name for name in ("dirk", "dina", "drew", "cora") if name not in makers]
        assert names(state.steps[1].assignees) == left[:1]
        while state.status is ApprovalStatus.PENDING:
            state = overdue(state, next_deadline(state), delegations)
            assert not {*names(state.steps[1].assignees)} & {*makers}
        assert state.status is ApprovalStatus.EXPIRED


def test_an_earlier_approval_of_who_then_made_the_quote_covers_nothing() -> None:
    by_dirk = Coverage(n=1, revision=0, person=person("dirk"), at=T0)
    steps = (PLAN.steps[0], PLAN.steps[1].model_copy(update={"covered_by": by_dirk}))
    covered = PLAN.model_copy(update={"steps": steps})
    assert approves(asked(covered), "mona", 1).state.status is ApprovalStatus.COMPLETED
    state = approves(asked(covered, makers=(person("dirk"),)), "mona", 1).state
    assert names(state.steps[1].assignees) == ["dina"]
