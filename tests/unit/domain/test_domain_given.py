"""A step that is ended with a value: which take one, who gives it, and that it is tried and not believed."""

from __future__ import annotations

import pytest

from domain import facts
from domain.commands import fact_of
from domain.deal import apply
from domain.deal_state import DealState
from domain.explain import view
from domain.facts import Event, Fact
from domain.given import TAKES
from domain.given_facts import ValueGiven
from domain.messages import CommandName
from domain.people import Person
from domain.views import ParkedStep, Resolution
from tests.deals import CREATED, T0, TO_ORDER, new_deal, put
from tests.rights import POLICY, said

OTTO, OLGA, RITA = (Person(oid=name, name=name, roles=("ops",)) for name in ("otto", "olga", "rita"))
"""Rita, the rep of the deal, has somehow become an operator."""
TO_CREATE = TO_ORDER[: TO_ORDER.index(CREATED)]


def parked(activity: str = "create_order", *, can_skip: bool = False) -> DealState:
    step = ParkedStep(
        step="Create order Q2C-1",
        activity=activity,
        cause="Refused",
        message="m",
        suggestion="s",
        since=T0,
        failures=0,
        can_skip=can_skip,
    )
    return put(new_deal(), *TO_CREATE, facts.StepParked(parked=step))


def skip(state: DealState, who: Person, value: str | None = "SO-1", **args: str) -> tuple[DealState, str]:
    """The deal after somebody skips, and the code where that is refused."""
    words = {"reason": "entered by hand", **({} if value is None else {"value": value}), **args}
    fact = fact_of(said(who, CommandName.SKIP, words, policy=POLICY, at=T0), state, deal_id="q2c/usmf/Q-1", at=T0)
    done = apply(state, Event(at=T0, actor=who, fact=fact))
    return done.state, done.code


def test_two_people_give_the_same_value_and_the_step_is_tried_with_it() -> None:
    first, code = skip(parked(), OTTO)
    assert (code, first.given) == ("", "") and first.parked is not None
    shown = view(first).parked
    assert shown is not None and shown.takes_value
    assert shown.given is not None and (shown.given.value, shown.given.by.name) == ("SO-1", "otto")
    assert skip(first, OTTO)[1] == "NEEDS_SECOND_PERSON"
    other, code = skip(first, OLGA, "SO-2")
    assert code == "" and other.parked is not None and other.parked.given is not None
    assert other.parked.given.by.name == "olga", "another value is a first one again"
    tried, code = skip(other, OTTO, "SO-2")
    assert (code, tried.parked, tried.given, tried.resolution) == ("", None, "SO-2", Resolution.RETRY)
    assert put(tried, CREATED).given == ""


@pytest.mark.parametrize(
    "then",
    [
        facts.StepParked(parked=parked().parked),
        facts.StepOvertaken(step="Create order Q2C-1"),
    ],
)
def test_a_value_that_did_not_come_true_is_forgotten(then: Fact) -> None:
    tried = skip(skip(parked(), OTTO)[0], OLGA)[0]
    after = put(tried, then)
    assert (tried.given, after.given) == ("SO-1", "")
    assert after.parked is None or after.parked.given is None


def test_a_retry_takes_back_what_a_first_person_gave() -> None:
    after = put(skip(parked(), OTTO)[0], facts.StepResumed(action=Resolution.RETRY, reason=""))
    assert (after.parked, after.given) == (None, "")


@pytest.mark.parametrize(
    ("state", "who", "value", "code"),
    [
        (put(new_deal(), *TO_CREATE), OTTO, "SO-1", "NOT_PARKED"),
        (parked("confirm_order"), OTTO, "SO-1", "CANNOT_SKIP"),
        (parked("mark_quote", can_skip=True), OTTO, "SO-1", "CANNOT_SKIP"),
        (parked(), OTTO, None, "CANNOT_SKIP"),
        (parked(), OTTO, "  ", "CANNOT_SKIP"),
        (parked(), RITA, "SO-1", "MAKER_CANNOT_GIVE"),
        (parked(), OTTO, "S" * 21, "BAD_ARGUMENT"),
        (parked(), OTTO, "S" * 61, "BAD_ARGUMENT"),
        (parked(), OTTO, "SO\n1", "BAD_ARGUMENT"),
        (parked(), Person(oid="x", name="x", roles=("sales_rep.usmf",)), "SO-1", "NO_AUTHORITY"),
    ],
)
def test_what_is_no_value_of_the_step_or_not_theirs_to_give_changes_nothing(
    state: DealState, who: Person, value: str | None, code: str
) -> None:
    assert skip(state, who, value) == (state, code)


def test_a_first_value_that_was_told_past_the_web_is_cut_and_refused_as_well() -> None:
    with pytest.raises(ValueError, match="value"):
        ValueGiven(value="x" * 61, reason="", by=OTTO, at=T0)
    for activity, takes in TAKES.items():
        assert takes.longest <= 60 and takes.help and takes.what, activity
