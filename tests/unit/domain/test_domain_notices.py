"""Who is told what of deals and requests; nothing that only some may see is in any of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal

from domain import facts
from domain.approval_people import said_to_request
from domain.approval_rules import decided, ended, opened, overdue, reminded
from domain.approvals import ApprovalState, ApprovalStatus, StepState
from domain.assessment import Problem
from domain.deal_state import DealState
from domain.facts import Fact
from domain.notices import HEADINGS, LONGEST_TEXT, Kind, Notice, of_deal, of_request, untold
from domain.people import Person
from domain.views import ParkedStep
from tests import deals
from tests.rights import said
from tests.unit.domain.makers import T0, actor, discounted, person, plan, priced, request


def labels(people: Iterable[Person]) -> list[str]:
    return [person.label.split()[0].lower() for person in people]


PLAN = plan(priced(discounted("P250", 100, 22)))  # mona, then dirk (S02)


def told(state: DealState, *news: Fact) -> tuple[DealState, list[Notice]]:
    found: list[Notice] = []
    for fact in news:
        before, state = state, deals.put(state, fact)
        found += of_deal(before, state)
    return state, found


def kinds(notices: list[Notice]) -> list[str]:
    return [f"{notice.kind} {','.join(labels(notice.to)) or notice.kind.right}" for notice in notices]


def asked() -> ApprovalState:
    made = request(PLAN, expires_at=T0 + timedelta(days=14))
    return ApprovalState(request=made, steps=tuple(StepState(plan=step) for step in made.plan.steps))


# Deals


def test_the_rep_is_told_from_the_approval_to_the_money_once_each() -> None:
    paid = facts.PaymentsRecorded
    state, found = told(deals.new_deal(), *deals.TO_ORDER)
    assert kinds(found) == ["quote.approved rita", "deal.ordered rita"]
    state, found = told(
        state,
        deals.read({"S1": 6}),
        deals.read({"S1": 6}),
        deals.read({"S1": 6, "S2": 4}),
        deals.read({"S1": 6, "S2": 4}, deals.invoice("I", 10, "1045")),
        deals.read({"S1": 6, "S2": 4}, deals.invoice("I", 10, "0")),
        paid(open_amounts={"I": Decimal(0)}),
    )
    assert kinds(found) == ["deal.shipped rita", "deal.shipped rita", "deal.invoiced rita", "deal.paid rita"]
    assert [notice.text for notice in found] == [
        "Packing slip S1.",
        "Packing slip S2. Everything is shipped.",
        "Invoice I. Everything is invoiced.",
        "Every invoice is paid.",
    ]


def test_what_is_wrong_with_a_quote_goes_back_to_the_rep() -> None:
    problems = (Problem(code="NO_PRICE", field="line 1", message="Enter a price."),)
    found = deals.assessment().model_copy(update={"problems": problems, "plan": None})
    _, notices = told(deals.new_deal(), facts.Assessed(assessment=found, asked="q"))
    assert kinds(notices) == ["quote.returned rita"]
    assert notices[0].text == "line 1: Enter a price."


def test_a_rejection_is_told_with_its_reason() -> None:
    asked_for = deals.assessment(steps=(deals.STEP,))
    state, _ = told(deals.new_deal(), facts.Assessed(assessment=asked_for, asked="q"))
    result = deals.approval(ApprovalStatus.REJECTED).model_copy(update={"reason": "rejected by mona: too low"})
    _, found = told(
        state,
        facts.ApprovalAsked(n=1, at=T0, plan=asked_for.plan or PLAN),
        facts.ApprovalEnded(n=1, result=result),
    )
    assert kinds(found) == ["quote.rejected rita"]
    assert found[0].text.endswith("too low")


def test_a_hold_is_told_to_the_rep_and_to_who_may_release_it() -> None:
    state, _ = told(deals.new_deal(), *deals.TO_ORDER[:4])
    state, found = told(state, facts.CreditDecided(decision=deals.decision(False)))
    assert kinds(found) == ["credit.held credit.release", "deal.held rita"]
    _, again = told(state, facts.CreditDecided(decision=deals.decision(False)))
    assert again == [], "held still"


def test_a_parked_step_is_told_to_the_rep_and_to_who_may_retry_it() -> None:
    parked = ParkedStep(
        step="Create the order", activity="create_order", cause="Refused", message="raw", suggestion="Correct it",
        since=T0, failures=1,
    )  # fmt: skip
    state, _ = told(deals.new_deal(), deals.TO_ORDER[0])
    _, found = told(state, facts.StepParked(parked=parked))
    assert kinds(found) == ["step.parked step.retry", "deal.parked rita"]
    assert "raw" not in " ".join(notice.text for notice in found)
    _, early = told(deals.new_deal(), facts.StepParked(parked=parked))
    assert kinds(early) == ["step.parked step.retry"], "nobody knows yet whose quote it is"


def test_an_end_is_told_but_a_refused_message_is_not() -> None:
    state, _ = told(deals.new_deal(), deals.TO_ORDER[0])
    _, found = told(state, facts.Refused(message_id="m", what="retry", code="NO_AUTHORITY"))
    assert found == []
    _, found = told(state, facts.QuoteLost(reason="too dear"))
    assert kinds(found) == ["deal.ended rita"]


def test_a_text_is_cut_and_never_too_long() -> None:
    long = (Problem(code="NO_PRICE", field="f", message="x" * 5_000),)
    found = deals.assessment().model_copy(update={"problems": long, "plan": None, "customer_name": "y" * 5_000})
    _, (notice,) = told(deals.new_deal(), facts.Assessed(assessment=found, asked="q"))
    assert len(notice.text) == LONGEST_TEXT and len(notice.customer) == 200


# Requests


def test_who_is_asked_is_told_with_what_is_asked_for_and_no_margin() -> None:
    before, after = untold(asked()), opened(asked(), T0)
    (notice,) = of_request(before, after, T0)
    assert (notice.kind, labels(notice.to), notice.role, notice.n) == ("approval.asked", ["mona"], "sales_manager", 1)
    assert notice.due == after.steps[0].deadline
    assert "22 % discount" in notice.text and "margin" not in notice.text.lower()
    assert "margin" not in notice.model_dump_json() and "cost" not in notice.model_dump_json()
    assert list(of_request(after, after, T0)) == []


def test_the_next_level_is_asked_and_whoever_decided_is_told_nothing() -> None:
    state = opened(asked(), T0)
    content = {"decision": "approve", "step": 1, "seen_hash": state.request.snapshot_hash}
    after = decided(state, said(actor("mona"), "decide", content, at=T0), T0).state
    assert [(n.kind, labels(n.to)) for n in of_request(state, after, T0)] == [("approval.asked", ["dirk"])]
    rejected = decided(
        state, said(actor("mona"), "decide", content | {"decision": "reject", "comment": "no"}, at=T0), T0
    )
    assert list(of_request(state, rejected.state, T0)) == []


def test_reminders_escalation_and_the_end_are_told_to_who_is_asked() -> None:
    state = opened(asked(), T0)
    due = state.steps[0].deadline
    assert due is not None
    halfway = reminded(state, T0 + (due - T0) / 2)
    if halfway is not state and halfway.steps[0].reminded_pct:
        (notice,) = of_request(state, halfway, T0)
        assert (notice.kind, labels(notice.to)) == ("approval.reminder", ["mona"])
    later = overdue(state, due)
    found = list(of_request(state, later, due))
    assert [n.kind for n in found] in (["approval.escalated"], ["approval.over"])
    over = ended(state, ApprovalStatus.WITHDRAWN, "withdrawn by rita", T0)
    (notice,) = of_request(state, over, T0)
    assert (notice.kind, labels(notice.to), notice.due) == ("approval.over", ["mona"], None)
    assert "withdrawn by rita" in notice.text


def test_an_answer_is_told_to_who_asked() -> None:
    state = opened(asked(), T0)
    question = said(actor("mona"), "ask", {"step": 1, "question": "why?"}, at=T0)
    waits = said_to_request(state, question, T0).state
    assert waits.steps[0].question is not None
    assert list(of_request(state, waits, T0)) == [], "the rep is told by the deal"
    answer = said(actor("rita", "sales_rep.usmf"), "answer", {"step": 1, "answer": "because"}, at=T0)
    after = said_to_request(waits, answer, T0).state
    assert after.steps[0].question is None
    (notice,) = of_request(waits, after, T0)
    assert (notice.kind, labels(notice.to), notice.text) == ("approval.answered", ["mona"], "why?\nbecause")


def test_a_step_handed_over_is_told_to_both() -> None:
    state = opened(asked(), T0)
    to = next(p for p in state.steps[0].plan.candidates if not p.is_same(person("mona")))
    args = {"step": 1, "to": to.oid, "add": False, "reason": "away"}
    after = said_to_request(state, said(actor("otto", "ops"), "reassign", args, at=T0), T0).state
    found = list(of_request(state, after, T0))
    assert [(n.kind, labels(n.to)) for n in found] == [
        ("approval.reassigned", labels((to,))),
        ("approval.over", ["mona"]),
    ]
    assert "away" in found[0].text


def test_every_kind_has_a_heading() -> None:
    assert set(HEADINGS) == set(Kind)
