"""How many are asked to decide a level, and how many must approve it: one, any, all, n of m."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.approval_people import said_to_request
from domain.approval_proof import given, unproved
from domain.approval_rules import Verdict, decided, next_deadline, opened, overdue
from domain.approvals import ApprovalPlan, ApprovalState, ApprovalStatus, StepState
from domain.authority import NoApprover
from domain.delegations import NOBODY_AWAY, Delegation, Delegations
from domain.discount import approval_plan
from domain.messages import VerifiedMessage
from domain.notices import Kind, of_request
from domain.people import Person
from domain.policy import Policy
from domain.pricing import FinancePrice
from domain.quorum import Count, Quorum, of_names
from domain.reapproval import GivenApproval, PastRequest, terms_of, with_coverage
from domain.rights import Grant, Granted
from domain.sign_in import SignIn
from domain.what_if import Proposal, explain
from policies.explanation import as_text
from tests.rights import said
from tests.unit.domain.makers import (
    POLICY,
    PRICES,
    ROLES,
    T0,
    actor,
    discounted,
    person,
    priced,
    request,
    working_time,
)

KEYS = {person(name).oid: name for name in ROLES}
QUOTE = discounted("P250", 100, 22)  # mona, then a director: dirk, dina or drew


def keys(people: tuple[Person, ...]) -> list[str]:
    return [KEYS[someone.oid] for someone in people]


def policy(quorum: Quorum, level: int = 2) -> Policy:
    discount = POLICY.discount.model_copy(update={"quorum": {"sales": {level: quorum}}})
    return POLICY.model_copy(update={"discount": discount})


def plan(quorum: Quorum, *makers: str, level: int = 2) -> ApprovalPlan:
    return approval_plan(
        priced(QUOTE),
        requester=person("rita"),
        makers=[person(name) for name in makers],
        company="usmf",
        calendar=working_time("usmf"),
        policy=policy(quorum, level),
    )


def asked(the_plan: ApprovalPlan, away: Delegations = NOBODY_AWAY) -> ApprovalState:
    made = request(the_plan)
    return opened(ApprovalState(request=made, steps=tuple(StepState(plan=p) for p in made.plan.steps)), T0, away)


def says(state: ApprovalState, who: str, number: int = 2, decision: str = "approve", **more: Any) -> Verdict:
    content = {"decision": decision, "step": number, "seen_hash": state.request.snapshot_hash} | more
    message = said(actor(who), "decide", content, at=T0, message_id=f"{who}{number}")
    return decided(state, message, T0)


def at_directors(quorum: Quorum, *makers: str) -> ApprovalState:
    return says(asked(plan(quorum, *makers)), "mona", 1).state


@pytest.mark.parametrize(
    ("quorum", "who_is_asked", "needed"),
    [
        ("one", ["dirk"], 1),
        ("any", ["dirk", "dina", "drew"], 1),
        ("all", ["dirk", "dina", "drew"], 3),
        (Count(need=2, of=2), ["dirk", "dina"], 2),
        (Count(need=2, of=3), ["dirk", "dina", "drew"], 2),
        (Count(need=2, of=9), ["dirk", "dina", "drew", "cora"], 2),
    ],
)
def test_a_quorum_says_who_is_asked_and_how_many_must_approve(
    quorum: Quorum, who_is_asked: list[str], needed: int
) -> None:
    state = at_directors(quorum)
    assert (keys(state.steps[1].assignees), state.steps[1].plan.needed) == (who_is_asked, needed)
    for number, name in enumerate(who_is_asked[:needed], start=1):
        assert state.status is ApprovalStatus.PENDING, number
        verdict = says(state, name)
        assert verdict.code is None, verdict.detail
        state = verdict.state
    assert state.status is ApprovalStatus.COMPLETED
    assert keys(state.steps[1].approved_by) == who_is_asked[:needed]
    assert state.reason == f"approved by mona, {', '.join(who_is_asked[:needed])}"


def test_who_has_approved_is_not_asked_again_and_cannot_approve_for_two() -> None:
    state = says(at_directors(Count(need=2, of=3)), "dina").state
    step = state.steps[1]
    assert (keys(step.assignees), step.status, step.missing) == (["dirk", "drew"], "pending", 1)
    assert step.approved_so_far == "1 of 2 approvals: dina"
    again = says(state, "dina")
    assert (again.code, again.detail, again.state) == ("ALREADY_DECIDED", "You approved step 2; 1 more must.", state)


def test_whoever_approved_is_not_told_that_nothing_is_left_to_decide() -> None:
    before = at_directors(Count(need=2, of=3))
    halfway = says(before, "dina").state
    assert list(of_request(before, halfway, T0)) == []
    over = [n for n in of_request(halfway, says(halfway, "drew").state, T0) if n.kind is Kind.APPROVAL_OVER]
    assert [(keys(notice.to), notice.text) for notice in over] == [(["dirk"], "The step was approved by dina, drew.")]


def test_one_rejection_rejects_whatever_was_approved_before() -> None:
    state = says(at_directors("all"), "dina").state
    state = says(state, "dirk", decision="reject", comment="no").state
    assert (state.status, state.reason) == (ApprovalStatus.REJECTED, "rejected by dirk: no")
    assert keys(state.steps[1].approved_by) == ["dina"]
    assert state.steps[1].decider == "dirk"


def test_all_are_those_who_did_not_make_the_quote_and_where_nobody_is_left_the_next_higher_one() -> None:
    assert keys(at_directors("all", "dirk").steps[1].assignees) == ["dina", "drew"]
    state = at_directors("all", "dirk", "dina", "drew")
    assert (keys(state.steps[1].assignees), state.steps[1].plan.needed) == (["cora"], 1)


def test_too_few_people_are_no_smaller_quorum() -> None:
    with pytest.raises(NoApprover, match=r"2 of 3 eligible approvers for level 2 of chain 'sales' in usmf"):
        plan(Count(need=3, of=3), "dirk", "dina")


def test_nobody_counts_for_two_where_one_stands_in_for_another() -> None:
    away = Delegations(
        entries=(
            Delegation(
                of=person("dirk"),
                to=person("dina"),
                first=date(2026, 11, 1),
                last=date(2026, 12, 31),
                set_by=person("dirk"),
                set_at=T0,
            ),
        )
    )
    content = {"decision": "approve", "step": 1, "seen_hash": request(plan("all")).snapshot_hash}

    def directors(quorum: Quorum, *makers: str) -> StepState:
        return decided(asked(plan(quorum, *makers)), said(actor("mona"), "decide", content), T0, away).state.steps[1]

    step = directors(Count(need=1, of=2))
    assert (step.asked_of, keys(step.assignees)) == ("Dina Diaz for Dirk Dorn, Drew Doyle", ["dina", "drew"])
    # One more is needed besides her: of the higher role where there is one, else who is away is asked as well.
    assert directors("all").asked_of == "Dina Diaz for Dirk Dorn, Drew Doyle, Cora Chen"
    step = directors("all", "drew", "cora")
    assert sorted(keys(step.assignees)) == ["dina", "dirk"]
    assert step.stand_ins == ()


def test_a_lower_level_counts_only_for_who_is_missing() -> None:
    """Both levels of two people, and one of them may decide both: her word counts once more, the other's is asked."""
    two = tuple(person(name) for name in ("mona", "dirk"))
    steps = tuple(
        step.model_copy(update={"candidates": two, "needed": 1 + (step.level == 2), "at_once": 2})
        for step in plan("one").steps
    )
    state = says(asked(plan("one").model_copy(update={"steps": steps})), "mona", 1).state
    step = state.steps[1]
    assert (keys(step.assignees), keys(step.approved_by), step.missing) == (["dirk"], ["mona"], 1)
    state = says(state, "dirk").state
    assert state.status is ApprovalStatus.COMPLETED
    signed = [signature("mona", 1, state), signature("dirk", 2, state)]
    assert unproved(state.request, state, signed) == ""
    assert unproved(state.request, state, signed[1:]) != ""


def test_a_deadline_asks_one_more_person_and_what_was_approved_stays() -> None:
    state = says(at_directors(Count(need=2, of=2)), "dina").state
    state = overdue(state, next_deadline(state))
    assert keys(state.steps[1].assignees) == ["dirk", "drew"]
    assert says(state, "drew").state.status is ApprovalStatus.COMPLETED


def test_an_approver_can_be_added_to_several_but_not_take_their_place() -> None:
    state = at_directors(Count(need=2, of=2))
    for add, code in ((False, "ILLEGAL_TRANSITION"), (True, None)):
        args = {"step": 2, "to": person("drew").oid, "add": add, "reason": "r"}
        assert said_to_request(state, said(actor("cora"), "reassign", args), T0).code == code
    state = says(state, "dina").state
    args = {"step": 2, "to": person("dina").oid, "add": True, "reason": "r"}
    verdict = said_to_request(state, said(actor("cora"), "reassign", args), T0)
    assert (verdict.code, verdict.detail) == ("ILLEGAL_TRANSITION", "They approved this step; nothing changed.")
    args["to"] = person("drew").oid
    moved = said_to_request(state, said(actor("cora"), "reassign", args | {"add": False}), T0).state
    assert keys(moved.steps[1].assignees) == ["drew"]
    assert says(moved, "drew").state.status is ApprovalStatus.COMPLETED


# What the deal believes


def signature(who: str, step: int, state: ApprovalState) -> VerifiedMessage:
    content = {"decision": "approve", "step": step, "seen_hash": state.request.snapshot_hash}
    return said(actor(who), "decide", content, at=T0, message_id=f"{who}{step}")


def test_each_of_several_approvals_is_proved_by_its_own_signature() -> None:
    state = at_directors("all")
    for name in ("dirk", "dina", "drew"):
        state = says(state, name).state
    signed = [signature("mona", 1, state), *(signature(name, 2, state) for name in ("dirk", "dina", "drew"))]
    assert unproved(state.request, state, signed) == ""
    assert [approval.person.name for approval in given(state.request, state, signed)] == [
        "mona", "dirk", "dina", "drew",
    ]  # fmt: skip
    for missing in range(1, 4):
        some = [message for n, message in enumerate(signed) if n != missing]
        assert unproved(state.request, state, some) == "of 3 people who must sign step 2, 1 did not"
    twice = state.steps[1].model_copy(update={"approvals": state.steps[1].approvals[:1] * 2})
    forged = state.model_copy(update={"steps": (state.steps[0], twice)})
    assert unproved(forged.request, forged, signed) == "of 3 people who must sign step 2, 1 did not"


def test_earlier_approvals_cover_a_step_that_needs_several_only_where_so_many_were_given() -> None:
    needs_two = plan(Count(need=2, of=3))
    terms = terms_of(priced(QUOTE), POLICY, customer_account="US-001")
    granted = Granted(grants=(Grant(role="sales_director"), Grant(role="sales_manager")))

    def gave(who: str, level: int, hours: int = 0) -> GivenApproval:
        at = T0 + timedelta(hours=hours)
        return GivenApproval(
            chain="sales", level=level, person=person(who), at=at, granted=granted, sign_in=SignIn(at=at), signed_at=at
        )

    def covered(*approvals: GivenApproval) -> ApprovalPlan:
        past = [PastRequest(n=1, revision=1, terms=terms, given=approvals)]
        return with_coverage(needs_two, terms, past, total=Decimal(100), now=T0 + timedelta(days=1))

    assert covered(gave("mona", 1), gave("dirk", 2)).steps[1].covered_by is None
    assert covered(gave("dirk", 2), gave("dirk", 2, 1)).steps[1].covered_by is None
    both = covered(gave("mona", 1), gave("dina", 2, 1), gave("dirk", 2)).steps[1].covered_by
    assert both is not None
    assert both.words == "covered by dirk's and dina's approval of revision 1 on 2026-11-23"
    state = asked(covered(gave("mona", 1), gave("dina", 2), gave("dirk", 2)))
    assert state.status is ApprovalStatus.COMPLETED
    assert unproved(state.request, state, ()) == ""


# What people read before


@pytest.mark.parametrize(
    ("quorum", "people"),
    [
        ("one", "Mona Meyer, then Dirk Dorn"),
        ("any", "Mona Meyer, then Dirk Dorn, Dina Diaz or Drew Doyle"),
        ("all", "Mona Meyer, then Dirk Dorn, Dina Diaz and Drew Doyle"),
        (Count(need=2, of=3), "Mona Meyer, then 2 of Dirk Dorn, Dina Diaz and Drew Doyle"),
    ],
)
def test_the_explanation_says_how_many(quorum: Quorum, people: str) -> None:
    prices: dict[str, FinancePrice] = PRICES
    proposal = Proposal(snapshot=QUOTE, prices=prices, payment_days=30, on=date(2026, 11, 23), requester=person("rita"))
    assert explain(proposal, policy(quorum)).people == people


def test_a_policy_in_words_names_each_quorum_and_none_where_there_is_none() -> None:
    text = " ".join(as_text(policy(Count(need=2, of=3)), date(2026, 11, 23)).split())
    assert "Level 2 of sales: 3 people are asked at the same time, and 2 of them must approve." in text
    assert "at the same time, and" not in " ".join(as_text(POLICY, date(2026, 11, 23)).split())


def test_names_of_several() -> None:
    assert [of_names(("a", "b", "c")[:n], 2) for n in range(4)] == ["", "a", "a and b", "2 of a, b and c"]
