"""Who may do what, cell by cell of the shipped table, and what the loader refuses."""

from __future__ import annotations

import itertools
from decimal import Decimal

import pytest
from makers import POLICY, person
from pydantic import ValidationError

from domain.messages import CommandName
from domain.people import Person
from domain.rights import ACTION_OF, Action, Right, RightRequest, RightsPolicy, conflicts, decide

RIGHTS = POLICY.rights
OWN = "own"
ANY = "any"
NO = ""
ROLES = (
    "sales_rep sales_manager sales_director cfo legal credit_clerk credit_manager ar_manager ops admin auditor".split()
)
TABLE: dict[Action, dict[str, str]] = {
    Action.READ_DEAL: dict.fromkeys(ROLES, ANY),
    Action.READ_MARGIN: dict.fromkeys(("sales_manager", "sales_director", "cfo", "credit_manager", "auditor"), ANY),
    Action.CANCEL_DEAL: {"sales_rep": OWN, "sales_manager": ANY, "ops": ANY},
    Action.ABORT_DEAL: {"ops": ANY, "admin": ANY},
    Action.WITHDRAW_APPROVAL: {"sales_rep": OWN, "sales_manager": ANY, "ops": ANY},
    Action.DECIDE_APPROVAL: dict.fromkeys(("sales_manager", "sales_director", "cfo", "legal"), ANY),
    Action.RETRY_STEP: {"ops": ANY, "admin": ANY},
    Action.SKIP_STEP: {"ops": ANY, "admin": ANY},
    Action.RECHECK_CREDIT: {"cfo": ANY, "credit_clerk": ANY, "credit_manager": ANY, "ops": ANY},
    Action.RELEASE_CREDIT: {"credit_manager": ANY, "cfo": ANY},
    Action.REJECT_CREDIT: {"credit_manager": ANY},
    Action.READ_AUDIT: {"auditor": ANY},
}
"""What the shipped table allows, written out a second time: action → role → whose deals."""

CELLS = list(itertools.product(Action, ROLES, (True, False)))


def who(*roles: str) -> Person:
    return Person(oid="someone", name="Someone", roles=roles)


@pytest.mark.parametrize(("action", "role", "own"), CELLS)
def test_every_cell_of_the_table(action: Action, role: str, own: bool):
    of = TABLE[action].get(role, NO)
    wanted = RightRequest(action=action, company="usmf", own=own)
    verdict = decide(RIGHTS, who(f"{role}.usmf"), wanted, [role])
    assert verdict.allowed is (of == ANY or (of == OWN and own))
    if not verdict.allowed:
        assert verdict.code == ("NOT_OWN_DEAL" if of == OWN else "NO_AUTHORITY")
    assert not decide(RIGHTS, who(f"{role}.demf"), wanted, [role]).allowed, "a role of another company"
    bare = decide(RIGHTS, who(role), wanted, [role])
    assert bare.allowed is (verdict.allowed and role in ("ops", "admin", "auditor")), "a role without a company"


def test_the_written_out_table_has_every_action_and_every_role():
    assert set(TABLE) == set(Action)
    assert set(RIGHTS.roles) == set(ROLES)
    assert set(ACTION_OF) == set(CommandName)


@pytest.mark.parametrize(
    "role", ["", "superuser", "superuser.usmf", "ops.", ".usmf", "OPS", "sales_rep.usmf.x", "usmf"]
)
def test_an_unknown_role_grants_nothing(role: str):
    for action in Action:
        assert decide(RIGHTS, who(role), RightRequest(action=action, company="usmf", own=True), []).code
    assert RIGHTS.readable(who(role)) == frozenset()


def test_who_may_read_which_companies():
    assert RIGHTS.readable(who("sales_rep.usmf", "legal.demf")) == {"usmf", "demf"}
    assert RIGHTS.readable(who("auditor")) is None
    assert RIGHTS.readable(who("sales_rep")) == frozenset()
    assert RIGHTS.readable(who()) == frozenset()


@pytest.mark.parametrize(
    ("amount", "currency", "second"),
    [("100000.00", "USD", False), ("100000.01", "USD", True), ("1", "GBP", True), ("15000000", "JPY", False)],
)
def test_a_release_above_the_limit_of_authority_takes_two_persons(amount: str, currency: str, second: bool):
    wanted = RightRequest(action=Action.RELEASE_CREDIT, company="usmf", amount=Decimal(amount), currency=currency)
    verdict = decide(RIGHTS, who("credit_manager.usmf"), wanted, ["credit_manager"])
    assert (verdict.code, verdict.second_person) == ("", second)


def test_of_two_roles_the_one_that_decides_alone_counts():
    wanted = RightRequest(action=Action.RELEASE_CREDIT, company="usmf", amount=Decimal("200000"), currency="USD")
    both = who("credit_manager.usmf", "cfo.usmf")
    assert decide(RIGHTS, both, wanted, ["credit_manager", "cfo"]).role == "cfo"
    assert decide(RIGHTS, both, wanted, ["credit_manager"]).second_person


def test_a_release_needs_the_person_named_in_the_policy():
    wanted = RightRequest(action=Action.RELEASE_CREDIT, company="usmf", amount=Decimal(1), currency="USD")
    carl = person("carl").model_copy(update={"roles": ("credit_manager.usmf",)})
    stranger = who("credit_manager.usmf")
    assert POLICY.may(carl, wanted).allowed
    assert POLICY.may(stranger, wanted).code == "NOT_NAMED"
    assert POLICY.may(carl, wanted.model_copy(update={"company": "demf"})).code == "NO_AUTHORITY"


def test_two_roles_that_should_be_two_people_are_found_company_by_company():
    people = [
        who("ops", "sales_manager.usmf"),
        Person(oid="split", roles=("ops.usmf", "sales_manager.demf")),
        Person(oid="clean", roles=("sales_rep.usmf",)),
    ]
    found = [(f.person.oid, f.company, f.roles) for f in conflicts(RIGHTS, people, ("usmf", "demf"))]
    assert found == [("someone", "usmf", ("ops", "sales_manager"))]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"every_company": ("root",)}, "'root' has no right"),
        ({"conflicts": ({"roles": ("ops", "root"), "why": "x"},)}, "'root' has no right"),
        ({"conflicts": ({"roles": ("ops", "ops"), "why": "x"},)}, "stands twice"),
        ({"rights": (Right(role="ops", may=(Action.ABORT_DEAL,), above="two_persons"),)}, "needs up_to"),
        ({"rights": (Right(role="ops", may=(Action.ABORT_DEAL,), up_to={"USD": Decimal(0)}),)}, "above 0"),
        ({"rights": (Right(role="ops", may=(Action.ABORT_DEAL,)),) * 2}, "twice"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused_by_name(change: dict[str, object], message: str):
    base = {"version": "1", "rights": [Right(role="ops", may=(Action.READ_DEAL,))]}
    with pytest.raises(ValidationError, match=message):
        RightsPolicy.model_validate({**base, **change})
