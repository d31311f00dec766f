from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.approvals import ApprovalPlan, ApprovalStatus, Decision, StepStatus
from domain.authority import NoApprover, candidates, check_decision, escalation, next_assignees
from domain.people import Person
from domain.rights import Action
from tests.unit.domain.makers import (
    POLICY,
    ROLES,
    actor,
    discounted,
    line,
    names,
    person,
    plan,
    priced,
    quote,
    request,
    state,
    step,
)

HASH = "hash-of-revision-1"


def two_levels(requester: str = "rita", co_owner: str | None = None) -> ApprovalPlan:
    return plan(priced(discounted("P250", 100, 22)), requester, co_owner)


def decide(
    who: Person,
    level: int = 1,
    assigned: tuple[str, ...] = ("mona",),
    step_status: StepStatus = StepStatus.PENDING,
    status: ApprovalStatus = ApprovalStatus.PENDING,
    seen: str = HASH,
    comment: str = "",
    decision: Decision = Decision.APPROVE,
    the_plan: ApprovalPlan | None = None,
    requester: str = "rita",
    co_owner: str | None = None,
) -> str:
    """The code of a decision on a level of the plan of S02."""
    asked = request(the_plan or two_levels(), requester, makers=() if co_owner is None else (person(co_owner),))
    on = step(asked.plan.steps[level - 1], *assigned, status=step_status)
    granted = POLICY.granted(who, Action.DECIDE_APPROVAL, asked.company)
    check = check_decision(on, who, granted, state(asked, on, status=status), decision, seen, comment)
    assert bool(check.role) is (check.code is None)
    return check.code or ""


# Who is asked


def test_holders_of_the_role_come_before_those_of_higher_roles() -> None:
    found = candidates("usmf", "sales", 1, requester=person("rita"), makers=(), policy=POLICY)
    assert names(found) == ["mona", "dirk", "dina", "drew", "cora"]
    found = candidates("usmf", "sales", 3, requester=person("rita"), makers=(), policy=POLICY)
    assert names(found) == ["cora"]


def test_s05_requester_and_co_owner_are_never_candidates() -> None:
    found = candidates("usmf", "sales", 1, requester=person("mona"), makers=(person("dirk"),), policy=POLICY)
    assert names(found) == ["dina", "drew", "cora"]


def test_an_object_id_is_the_same_in_any_case() -> None:
    shouting = person("mona").model_copy(update={"oid": person("mona").oid.upper()})
    found = candidates("usmf", "sales", 1, requester=shouting, makers=(), policy=POLICY)
    assert "mona" not in names(found)


def test_the_only_holder_asking_for_themselves_leaves_nobody() -> None:
    with pytest.raises(
        NoApprover, match=r"level 1 of chain 'legal' in usmf for leo: add a holder of legal to approvers\.yaml"
    ):
        candidates("usmf", "legal", 1, requester=person("leo"), makers=(), policy=POLICY)


def test_authority_ends_at_the_company() -> None:
    found = candidates("demf", "sales", 1, requester=person("rita"), makers=(), policy=POLICY)
    assert names(found) == ["dora"]


# Who may decide


def test_an_assigned_holder_decides() -> None:
    assert decide(actor("mona")) == ""


def test_s05_nobody_decides_their_own_request() -> None:
    assert decide(actor("mona"), requester="mona") == "REQUESTER_CANNOT_APPROVE"
    assert decide(actor("mona"), co_owner="mona") == "REQUESTER_CANNOT_APPROVE"
    shouting = actor("mona").model_copy(update={"oid": actor("mona").oid.upper()})
    assert decide(shouting, requester="mona") == "REQUESTER_CANNOT_APPROVE"


@pytest.mark.parametrize("step_status", list(StepStatus))
@pytest.mark.parametrize("status", list(ApprovalStatus))
def test_the_requester_learns_nothing_of_the_state(step_status: StepStatus, status: ApprovalStatus) -> None:
    code = decide(actor("mona"), requester="mona", step_status=step_status, status=status, seen="other")
    assert code == "REQUESTER_CANNOT_APPROVE"


@pytest.mark.parametrize(
    ("step_status", "status", "code"),
    [
        (StepStatus.APPROVED, ApprovalStatus.PENDING, "ALREADY_DECIDED"),  # S06
        (StepStatus.REJECTED, ApprovalStatus.REJECTED, "ALREADY_DECIDED"),
        (StepStatus.SKIPPED, ApprovalStatus.REJECTED, "ALREADY_DECIDED"),  # S13: the other chain refused
        (StepStatus.SKIPPED, ApprovalStatus.WITHDRAWN, "WITHDRAWN"),
        (StepStatus.SKIPPED, ApprovalStatus.PENDING, "ALREADY_DECIDED"),
        (StepStatus.PENDING, ApprovalStatus.COMPLETED, "ALREADY_DECIDED"),
        (StepStatus.APPROVED, ApprovalStatus.EXPIRED, "ALREADY_DECIDED"),
        (StepStatus.PENDING, ApprovalStatus.EXPIRED, "EXPIRED"),  # S07
        (StepStatus.SKIPPED, ApprovalStatus.EXPIRED, "EXPIRED"),
        (StepStatus.PENDING, ApprovalStatus.SUPERSEDED, "SUPERSEDED"),  # S09
        (StepStatus.SKIPPED, ApprovalStatus.SUPERSEDED, "SUPERSEDED"),
    ],
)
def test_i17_a_late_decision_is_told_so_first(step_status: StepStatus, status: ApprovalStatus, code: str) -> None:
    assert decide(actor("mona"), step_status=step_status, status=status) == code
    assert decide(actor("mona"), step_status=step_status, status=status, seen="other") == code


def test_s08_a_manager_is_not_assigned_to_the_directors_step() -> None:
    assert decide(actor("mona"), level=2, assigned=("dirk",)) == "NOT_ASSIGNED"


def test_s08_authority_in_another_company_is_none_here() -> None:
    assert decide(actor("dirk", "sales_director.demf"), level=2, assigned=("dirk",)) == "NO_AUTHORITY"


def test_authority_is_what_the_token_says_now() -> None:
    assert decide(actor("mona", "sales_rep.usmf")) == "NO_AUTHORITY"
    assert decide(Person(oid=person("mona").oid)) == "NO_AUTHORITY"


@pytest.mark.parametrize("role", ["sales_manager.usmf", "sales_director.usmf", "cfo.usmf"])
def test_the_role_for_the_company_or_a_higher_one_will_do(role: str) -> None:
    assert decide(actor("mona", role)) == ""


@pytest.mark.parametrize("role", ["sales_manager", "cfo"])
def test_a_role_without_a_company_decides_nothing_unless_the_table_says_so(role: str) -> None:
    assert decide(actor("mona", role)) == "NO_AUTHORITY"


def test_a_role_of_another_chain_is_no_higher_role() -> None:
    assert decide(actor("mona", "legal.usmf", "credit_manager", "admin")) == "NO_AUTHORITY"


def test_a_candidate_who_was_not_asked_yet_is_not_assigned() -> None:
    assert decide(actor("dirk"), assigned=("mona",)) == "NOT_ASSIGNED"
    assert decide(actor("dirk"), assigned=("mona", "dirk")) == ""  # it escalated to him
    assert decide(actor("mona"), assigned=("mona", "dirk")) == ""  # and she may still decide


def test_a_step_whose_turn_has_not_come_has_no_assignee() -> None:
    assert decide(actor("dirk"), level=2, assigned=(), step_status=StepStatus.WAITING) == "NOT_ASSIGNED"


def test_s14_what_was_not_seen_is_not_approved() -> None:
    assert decide(actor("mona"), seen="hash-of-revision-0") == "SEEN_HASH_MISMATCH"
    assert decide(actor("mona"), seen="") == "SEEN_HASH_MISMATCH"


@pytest.mark.parametrize(("comment", "code"), [("", "COMMENT_REQUIRED"), ("  ", "COMMENT_REQUIRED"), ("agreed", "")])
def test_below_the_floor_takes_a_comment(comment: str, code: str) -> None:
    below = plan(priced(quote(line(price="30.00"))))
    last = below.steps[-1].model_copy(update={"comment_required": True})
    the_plan = below.model_copy(update={"steps": (*below.steps[:-1], last)})
    assert decide(actor("cora"), level=3, assigned=("cora",), comment=comment, the_plan=the_plan) == code


def test_refusals_come_in_a_fixed_order() -> None:
    """Each cause removed uncovers the next one."""
    below = plan(priced(quote(line(price="30.00"))))
    first = below.steps[0].model_copy(update={"comment_required": True})
    the_plan = below.model_copy(update={"steps": (first, *below.steps[1:])})
    worst: dict[str, Any] = {
        "requester": "mona",
        "step_status": StepStatus.APPROVED,
        "status": ApprovalStatus.EXPIRED,
        "seen": "other",
        "assigned": (),
        "the_plan": the_plan,
    }
    nobody = actor("mona", "sales_rep.usmf")
    assert decide(nobody, **worst) == "REQUESTER_CANNOT_APPROVE"
    worst["requester"] = "rita"
    assert decide(nobody, **worst) == "ALREADY_DECIDED"
    worst["step_status"] = StepStatus.PENDING
    assert decide(nobody, **worst) == "EXPIRED"
    worst["status"] = ApprovalStatus.SUPERSEDED
    assert decide(nobody, **worst) == "SUPERSEDED"
    worst["status"] = ApprovalStatus.PENDING
    assert decide(nobody, **worst) == "SEEN_HASH_MISMATCH"
    worst["seen"] = HASH
    assert decide(nobody, **worst) == "NOT_ASSIGNED"
    worst["assigned"] = ("mona",)
    assert decide(nobody, **worst) == "NO_AUTHORITY"
    assert decide(actor("mona"), **worst) == "COMMENT_REQUIRED"
    assert decide(actor("mona"), comment="agreed", **worst) == ""


EVERYBODY = st.sampled_from([*ROLES, "dora"])
TOKENS = st.lists(
    st.sampled_from([f"{role}{scope}" for role in set(ROLES.values()) for scope in ("", ".usmf", ".demf")]), max_size=4
)


@given(
    who=EVERYBODY,
    roles=TOKENS,
    requester=EVERYBODY,
    co_owner=st.none() | EVERYBODY,
    level=st.sampled_from([1, 2]),
    assigned=st.lists(EVERYBODY, max_size=3),
)
def test_i8_i9_a_decision_that_counts_has_authority_and_is_nobodys_own(
    who: str, roles: list[str], requester: str, co_owner: str | None, level: int, assigned: list[str]
) -> None:
    code = decide(
        Person(oid=person(who).oid, roles=tuple(roles)),
        level=level,
        assigned=tuple(assigned),
        requester=requester,
        co_owner=co_owner,
    )
    if code == "":
        assert who not in (requester, co_owner)
        assert who in assigned
        enough = {"sales_manager", "sales_director", "cfo"} if level == 1 else {"sales_director", "cfo"}
        assert any(role in enough or role.removesuffix(".usmf") in enough for role in roles)


# Whose turn


def test_the_first_candidate_is_asked() -> None:
    (assignee,) = next_assignees(step(two_levels().steps[0]), [], request(two_levels())).assignees
    assert names((assignee,)) == ["mona"]


def test_two_levels_are_two_people_while_there_are_two() -> None:
    mine = two_levels(requester="mona")
    asked = request(mine, "mona")
    assert names(next_assignees(step(mine.steps[0]), [], asked).assignees) == ["dirk"]
    assert names(next_assignees(step(mine.steps[1]), [person("dirk")], asked).assignees) == ["dina"]
    directors = [person(n) for n in ("dirk", "dina", "drew")]
    assert names(next_assignees(step(mine.steps[1]), directors, asked).assignees) == ["cora"]


def test_the_last_person_with_authority_counts_once_for_both_levels() -> None:
    three = plan(priced(discounted("P250", 1000, 36)))
    found = next_assignees(step(three.steps[2]), [person("dirk"), person("cora")], request(three))
    assert found.assignees == ()
    assert names(found.counted) == ["cora"]


def test_s12_an_unanswered_step_goes_to_the_next_candidate() -> None:
    first = two_levels().steps[0]
    order = ["mona"]
    while (found := escalation(step(first, *order), request(two_levels()))) is not None:
        order.extend(names(found.assignees))
    assert order == ["mona", "dirk", "dina", "drew", "cora"]
