"""Who may do what, cell by cell of the shipped table, and what the loader refuses."""

from __future__ import annotations

import itertools
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from domain.after_end import DISMISS_LATE
from domain.approval_people import ANSWER, ASK, REASSIGN
from domain.collection_words import RIGHTS as RIGHTS_OF_ACCOUNTS
from domain.commands import DECIDE, RIGHT_OF
from domain.credit_review_said import REBUILD_CREDIT
from domain.delegations import DELEGATE, DELEGATE_FOR, END_DELEGATION, END_DELEGATION_FOR
from domain.entities.data_words import RIGHTS as RIGHTS_OF_DATA
from domain.entities.history_run import RUN_HISTORY
from domain.entities.initial_said import RUN_INITIAL, UNDO_INITIAL
from domain.entities.map_change_said import RIGHTS as RIGHTS_OF_MAPS
from domain.entities.sync_said import COMMANDS as SYNC_COMMANDS
from domain.messages import CommandName
from domain.people import Person
from domain.policy import PolicyError, assemble
from domain.rights import (
    BY_TWO,
    OF_ONE_DEAL,
    SIGNED,
    Action,
    FreshSignIn,
    FreshSignIns,
    Right,
    RightsPolicy,
    Subject,
    Verdict,
    conflicts,
    judge,
    weak_sign_in,
)
from domain.sign_in import SignIn
from tests.rights import ANY, EVERY_COMPANY, OWN, POLICY, ROLES, TABLE, naming
from tests.unit.domain.makers import T0
from tests.unit.domain.makers import person as sample

RIGHTS = POLICY.rights


def who(*roles: str) -> Person:
    return Person(oid="someone", name="Someone", roles=roles)


def asked(person: Person, action: Action, *, company: str = "usmf", named: bool = True, **subject: Any) -> Verdict:
    everywhere = naming(*((role, person) for role in ROLES)) if named else POLICY
    return judge(everywhere.granted(person, action, company), Subject(**subject))


@pytest.mark.parametrize(("action", "role", "own"), list(itertools.product(Action, ROLES, (True, False))))
def test_every_cell_of_the_table(action: Action, role: str, own: bool) -> None:
    of = TABLE[action].get(role, "")
    verdict = asked(who(f"{role}.usmf"), action, own=own, amount=Decimal(1), currency="USD")
    assert verdict.allowed is (of == ANY or (of == OWN and own))
    if not verdict.allowed:
        assert verdict.code == ("NOT_OWN_DEAL" if of == OWN else "NO_AUTHORITY")
    assert asked(who(f"{role}.demf"), action, own=own).code == "NO_AUTHORITY", "a role of another company"
    bare = asked(who(role), action, own=own, amount=Decimal(1), currency="USD")
    assert bare.allowed is (verdict.allowed and role in EVERY_COMPANY), "a role without a company"


def test_the_written_out_table_has_every_action_and_every_role() -> None:
    assert set(TABLE) == set(Action)
    assert set(RIGHTS.roles) == set(ROLES)
    assert RIGHTS.every_company == EVERY_COMPANY
    delegating = {DELEGATE, DELEGATE_FOR, END_DELEGATION, END_DELEGATION_FOR}
    beside = {REASSIGN, ASK, ANSWER, *delegating, DISMISS_LATE, REBUILD_CREDIT, *SYNC_COMMANDS}
    beside |= {*RIGHTS_OF_ACCOUNTS, *RIGHTS_OF_DATA, *RIGHTS_OF_MAPS, RUN_HISTORY, RUN_INITIAL, UNDO_INITIAL}
    assert set(RIGHT_OF) == {*CommandName, DECIDE} | beside
    assert set(RIGHT_OF.values()) == SIGNED >= OF_ONE_DEAL >= BY_TWO


@pytest.mark.parametrize(
    "role", ["", "superuser", "superuser.usmf", "ops.", ".usmf", "OPS", "ops.USMF", "sales_rep.usmf.x", "usmf"]
)
def test_an_unknown_role_grants_nothing(role: str) -> None:
    for action in Action:
        assert asked(who(role), action, own=True).code == "NO_AUTHORITY"
        assert not RIGHTS.may(who(role), action, "usmf")
    assert not (RIGHTS.companies_of(who(role), Action.READ_DEAL) or frozenset()) & {"usmf", "demf"}


def test_who_may_read_which_companies() -> None:
    assert RIGHTS.companies_of(who("sales_rep.usmf", "legal.demf"), Action.READ_DEAL) == frozenset({"usmf", "demf"})
    assert RIGHTS.companies_of(who("auditor"), Action.READ_DEAL) is None
    assert RIGHTS.companies_of(who("sales_rep"), Action.READ_DEAL) == frozenset()
    assert RIGHTS.companies_of(who(), Action.READ_DEAL) == frozenset()
    assert RIGHTS.companies_of(who("sales_rep.usmf"), Action.READ_MARGIN) == frozenset()


@pytest.mark.parametrize(
    ("amount", "currency", "second"),
    [("100000.00", "USD", False), ("100000.01", "USD", True), ("1", "GBP", True), ("1", "", True)],
)
def test_a_release_above_the_limit_of_authority_takes_two_persons(amount: str, currency: str, second: bool) -> None:
    verdict = asked(who("credit_manager.usmf"), Action.RELEASE_CREDIT, amount=Decimal(amount), currency=currency)
    assert (verdict.code, verdict.second_person) == (None, second)


def test_of_two_roles_the_one_that_decides_alone_counts() -> None:
    subject: dict[str, Any] = {"amount": Decimal(200_000), "currency": "USD"}
    verdict = asked(who("credit_manager.usmf", "cfo.usmf"), Action.RELEASE_CREDIT, **subject)
    assert (verdict.role, verdict.second_person) == ("cfo", False)


def test_an_amount_above_what_anybody_decides_is_refused_by_its_own_code() -> None:
    right = Right(role="ops", may=(Action.CANCEL_DEAL,), up_to={"USD": Decimal(10)})
    table = RightsPolicy(version="1", rights=(right,))
    granted = table.granted(who("ops.usmf"), Action.CANCEL_DEAL, "usmf", named=(), policy_version="1")
    assert judge(granted, Subject(amount=Decimal(10), currency="USD")).allowed
    assert judge(granted, Subject(amount=Decimal(11), currency="USD")).code == "ABOVE_LIMIT"
    assert judge(granted, Subject(amount=Decimal(1), currency="EUR")).code == "ABOVE_LIMIT"


def test_a_release_needs_the_person_named_in_the_policy() -> None:
    carl = sample("carl").model_copy(update={"roles": ("credit_manager.usmf", "credit_manager.demf")})
    subject: dict[str, Any] = {"amount": Decimal(1), "currency": "USD", "named": False}
    assert asked(carl, Action.RELEASE_CREDIT, **subject).allowed
    assert asked(who("credit_manager.usmf"), Action.RELEASE_CREDIT, **subject).code == "NOT_NAMED"
    assert asked(carl, Action.RELEASE_CREDIT, company="demf", **subject).code == "NOT_NAMED"
    assert asked(carl, Action.RELEASE_CREDIT, company="jpmf", **subject).code == "NO_AUTHORITY"


@pytest.mark.parametrize(
    ("action", "amount", "minutes", "stale"),
    [
        (Action.RELEASE_CREDIT, "1", 15, False),
        (Action.RELEASE_CREDIT, "1", 16, True),
        (Action.RELEASE_CREDIT, "1", None, True),
        (Action.SKIP_STEP, "1", 16, True),
        (Action.DECIDE_APPROVAL, "99999.99", None, False),
        (Action.DECIDE_APPROVAL, "100000", 16, True),
        (Action.DECIDE_APPROVAL, "100000", 14, False),
        (Action.RETRY_STEP, "100000", None, False),
    ],
)
def test_when_a_fresh_sign_in_is_asked_for(action: Action, amount: str, minutes: int | None, stale: bool) -> None:
    granted = POLICY.granted(who("ops.usmf"), action, "usmf")
    signed_in_at = None if minutes is None else T0 - timedelta(minutes=minutes)
    subject = Subject(amount=Decimal(amount), currency="USD")
    assert bool(weak_sign_in(granted, subject, sign_in=SignIn(at=signed_in_at), said_at=T0)) is stale


def test_a_currency_without_an_amount_always_asks_for_a_fresh_sign_in() -> None:
    granted = POLICY.granted(who("cfo.usmf"), Action.DECIDE_APPROVAL, "usmf")
    subject = Subject(amount=Decimal(1), currency="GBP")
    assert weak_sign_in(granted, subject, sign_in=SignIn(at=T0 - timedelta(hours=1)), said_at=T0)


def test_two_roles_that_should_be_two_people_are_found_company_by_company() -> None:
    people = [
        who("ops", "sales_manager.usmf"),
        Person(oid="split", roles=("ops.usmf", "sales_manager.demf")),
        Person(oid="clean", roles=("sales_rep.usmf",)),
    ]
    found = [(f.person.oid, f.company, f.roles) for f in conflicts(RIGHTS, people, ("usmf", "demf"))]
    assert found == [("someone", "usmf", ("ops", "sales_manager"))]


def test_ops_and_any_approver_in_one_person_is_a_conflict() -> None:
    deciding = [role for role in ROLES if TABLE[Action.DECIDE_APPROVAL].get(role)]
    for role in deciding:
        for operator in ("ops", "admin"):
            (found,) = conflicts(RIGHTS, [who(f"{operator}.usmf", f"{role}.usmf")], ("usmf",))
            assert set(found.roles) == {operator, role}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"every_company": ("root",)}, "'root' has no right"),
        ({"conflicts": ({"one": ("ops",), "other": ("root",), "why": "x"},)}, "'root' has no right"),
        ({"conflicts": ({"one": ("ops",), "other": ("ops",), "why": "x"},)}, "on both sides"),
        ({"rights": ({"role": "ops", "may": ("credit.release",), "above": "two_persons"},)}, "needs up_to"),
        ({"rights": ({"role": "ops", "may": ("deal.abort",), "up_to": {"USD": 0}},)}, "above 0"),
        ({"rights": ({"role": "ops", "may": ("deal.abort",)},) * 2}, "twice"),
        ({"rights": ({"role": "ops", "may": ("deal.read",), "of": "own"},)}, "not asked about one deal"),
        ({"rights": ({"role": "ops", "may": ("run.ask",), "up_to": {"USD": 1}},)}, "not asked about one deal"),
        (
            {"rights": ({"role": "ops", "may": ("deal.abort",), "up_to": {"USD": 1}, "above": "two_persons"},)},
            "cannot be done by two persons",
        ),
        ({"rights": ({"role": "ops.usmf", "may": ("deal.read",)},)}, "is not a role"),
        ({"rights": ({"role": "", "may": ("deal.read",)},)}, "is not a role"),
        ({"rights": ({"role": "ops", "may": ("deal.read", "run.read")},)}, "give it deal.read_margin"),
        ({"rights": ({"role": "ops", "may": ("deal.everything",)},)}, "deal.read"),
        ({"rights": ()}, "at least 1"),
        ({"fresh_sign_in": {"actions": ({"action": "deal.read"},)}}, "is not signed"),
        ({"fresh_sign_in": {"context": "mfa"}}, "context"),
        ({"fresh_sign_in": {"actions": ({"action": "deal.abort"},) * 2}}, "twice"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused_by_name(change: dict[str, object], message: str) -> None:
    base = {"version": "1", "rights": [{"role": "ops", "may": ["deal.read"]}]}
    with pytest.raises(ValidationError, match=message):
        RightsPolicy.model_validate({**base, **change})


def test_a_level_that_nobody_could_decide_is_refused() -> None:
    table = RIGHTS.model_copy(update={"rights": tuple(r for r in RIGHTS.rights if r.role != "legal")})
    files = {name: getattr(POLICY, name) for name in ("discount", "credit", "authority", "calendars", "entity_map")}
    with pytest.raises(PolicyError, match=r"rights\.yaml: rights: give legal approval\.decide, which rule T1"):
        assemble(
            **files, tolerances=POLICY.tolerances, rights=table, customers=POLICY.customers, deposits=POLICY.deposits
        )


def test_models_say_no_more_than_they_keep() -> None:
    assert FreshSignIns().actions == () and FreshSignIn(action=Action.ABORT_DEAL).asked(Decimal(0), "")
