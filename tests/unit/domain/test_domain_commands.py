"""What a person says, as a fact: a table of messages, of who says them, and of what they come to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain import facts
from domain.approvals import ApprovalStatus
from domain.audit import facts_of
from domain.commands import fact_of
from domain.deal import apply
from domain.deal_state import DealState
from domain.explain import view
from domain.facts import Event, Fact
from domain.messages import CommandName, VerifiedMessage
from domain.people import Person
from domain.sign_in import SignIn
from domain.views import Resolution
from tests.deals import T0, TO_ORDER, approval, assessment, decision, new_deal, put
from tests.rights import ARGS, CELLS, FRESH, Cell, naming, said

HELD = put(new_deal(), *TO_ORDER[:4], facts.CreditDecided(decision=decision(False)))
DEAL = "q2c/usmf/Q-1"


def message(name: str, *roles: str, **args: Any) -> VerifiedMessage:
    person = Person(oid="oid-carl", name="carl", roles=roles)
    return said(person, name, args, policy=naming(("credit_manager", person)), at=T0)


def resumed(action: Resolution, reason: str) -> facts.StepResumed:
    return facts.StepResumed(action=action, reason=reason, by=Person(oid="oid-carl", name="carl"))


def meaning(message: VerifiedMessage, state: DealState = HELD) -> Fact:
    return fact_of(message, state, deal_id=DEAL, at=T0)


def code(fact: Fact) -> str:
    assert isinstance(fact, facts.Refused), fact
    return fact.code


@pytest.mark.parametrize(
    ("told", "fact"),
    [
        (message("retry", "ops", reason="role given"), resumed(Resolution.RETRY, "role given")),
        (message("skip", "ops", reason="r"), resumed(Resolution.SKIP, "r")),
        (message("abort", "admin", reason="r"), resumed(Resolution.ABORT, "r")),
        (message("withdraw", "sales_manager.usmf", reason="r"), facts.Withdrawn(revision=0, reason="r")),
        (message("cancel", "sales_manager.usmf", reason="r"), facts.QuoteCancelled(reason="r")),
        (message("credit_recheck", "credit_clerk.usmf"), facts.CreditRecheckDue(reason="asked by a person")),
        (message("credit_reject", "credit_manager.usmf", reason="r"), facts.CreditRejected(reason="r")),
        (message("retry", "ops", reason=None), resumed(Resolution.RETRY, "")),
    ],
    ids=lambda value: getattr(value, "name", type(value).__name__),
)
def test_a_command_states_a_fact(told: VerifiedMessage, fact: Fact) -> None:
    assert meaning(told) == fact


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell.role} {cell.command} {cell.own}")
def test_every_cell_of_the_table_holds_for_a_message_to_the_deal(cell: Cell) -> None:
    person = Person(oid="rita" if cell.own else "oid-carl", name="x", roles=(cell.role,))
    policy = naming((cell.role.partition(".")[0], person))
    fact = meaning(said(person, cell.command, ARGS[cell.command], policy=policy, at=T0))
    assert (fact.code if isinstance(fact, facts.Refused) else "") == cell.code


def test_a_deal_is_own_to_who_owns_its_quote_or_submitted_it_and_to_nobody_before_it_is_read() -> None:
    rep = Person(oid="RITA", roles=("sales_rep.usmf",))
    cancel = said(rep, "cancel", {"reason": "r"}, at=T0)
    assert isinstance(meaning(cancel), facts.QuoteCancelled)
    assert code(meaning(cancel, new_deal())) == "NOT_OWN_DEAL"


@pytest.mark.parametrize("command", FRESH)
def test_what_asks_for_a_fresh_sign_in_is_refused_without_one(command: str) -> None:
    person = Person(oid="oid-carl", roles=("credit_manager.usmf", "ar_manager.usmf", "ops"))
    policy = naming(("credit_manager", person))
    old = said(
        person, command, ARGS[CommandName(command)], policy=policy, at=T0, signed_in_at=T0 - timedelta(minutes=16)
    )
    assert code(meaning(old)) == "SIGN_IN_TOO_OLD"
    unknown = old.model_copy(update={"sign_in": SignIn()})
    assert code(meaning(unknown)) == "SIGN_IN_TOO_OLD"


@pytest.mark.parametrize("command", FRESH)
@pytest.mark.parametrize(("contexts", "refused"), [((), True), (("c2",), True), (("c1", "c2"), False)])
def test_a_context_that_the_policy_asks_for_is_checked_by_the_deal(
    command: str, contexts: tuple[str, ...], refused: bool
) -> None:
    person = Person(oid="oid-carl", roles=("credit_manager.usmf", "ar_manager.usmf", "ops"))
    policy = naming(("credit_manager", person))
    asking = policy.rights.fresh_sign_in.model_copy(update={"context": "c1"})
    policy = policy.model_copy(update={"rights": policy.rights.model_copy(update={"fresh_sign_in": asking})})
    fact = meaning(said(person, command, ARGS[CommandName(command)], policy=policy, at=T0, contexts=contexts))
    assert (isinstance(fact, facts.Refused) and fact.code == "SIGN_IN_TOO_OLD") is refused


def test_a_message_that_waited_for_a_worker_has_not_grown_old() -> None:
    told = message("skip", "ops", reason="r")
    fact = fact_of(told, HELD, deal_id=DEAL, at=T0 + timedelta(hours=20))
    assert isinstance(fact, facts.StepResumed)


def test_a_message_without_proof_states_nothing() -> None:
    unproved = message("cancel", "ops").model_copy(update={"refused": "the signature does not hold"})
    assert code(meaning(unproved)) == "UNAUTHENTICATED"


def test_a_command_nobody_knows_is_refused_by_name() -> None:
    assert code(meaning(message("give_me_money", "admin"))) == "UNKNOWN_COMMAND"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (ApprovalStatus.COMPLETED, "ALREADY_DECIDED"),
        (ApprovalStatus.REJECTED, "ALREADY_DECIDED"),
        (ApprovalStatus.EXPIRED, "EXPIRED"),
        (ApprovalStatus.WITHDRAWN, "WITHDRAWN"),
        (ApprovalStatus.SUPERSEDED, "SUPERSEDED"),
    ],
)
def test_a_decision_after_the_request_ended_says_how_it_ended(status: ApprovalStatus, expected: str) -> None:
    result = approval(status)
    plan = result.request.plan
    state = put(
        new_deal(),
        facts.Assessed(assessment=assessment(steps=plan.steps), asked="q"),
        facts.ApprovalAsked(n=1, at=T0, plan=plan),
        facts.ApprovalEnded(n=1, result=result),
    )
    assert code(meaning(message("decide", "sales_manager"), state)) == expected


def test_a_decision_nobody_asked_for_is_refused() -> None:
    assert code(meaning(message("decide", "sales_manager"), new_deal())) == "NOT_ASSIGNED"


def released(**args: Any) -> facts.CreditReleased:
    fact = meaning(message("credit_release", "credit_manager.usmf", **args))
    assert isinstance(fact, facts.CreditReleased), fact
    return fact


def test_a_release_covers_what_was_held_for_as_long_as_the_policy_says() -> None:
    release = released(reason="known well").release
    assert (release.deal_id, release.ceiling, release.reasons) == (DEAL, Decimal(1045), ("OVER_LIMIT",))
    assert release.valid_until == T0 + timedelta(days=HELD.policy.release_valid_days)
    assert release.deviation_pct == HELD.policy.release_deviation_pct
    assert (release.released_by.oid, release.released_by.roles, release.comment) == ("oid-carl", (), "known well")
    kept = facts_of(released(reason="known well"))
    assert kept == {"role": "credit_manager", "amount": "1045.00", "currency": "USD", "persons": "1"}


@pytest.mark.parametrize(
    ("until", "moment"),
    [
        ("2026-12-31", datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2026-12-31T12:00:00+01:00", datetime(2026, 12, 31, 11, tzinfo=UTC)),
    ],
)
def test_a_release_holds_until_a_moment_or_the_end_of_a_day(until: str, moment: datetime) -> None:
    release = released(valid_until=until, ceiling="2000.00", deviation_pct="10").release
    assert (release.valid_until, release.ceiling, release.deviation_pct) == (moment, Decimal("2000.00"), Decimal(10))


@pytest.mark.parametrize(
    "args",
    [
        {"ceiling": "much"},
        {"ceiling": "-1"},
        {"ceiling": "1e1000000"},
        {"ceiling": "NaN"},
        {"deviation_pct": "101"},
        {"valid_until": "tomorrow"},
        {"valid_until": "2026-12-31T12:00:00"},
        {"valid_until": 7},
        {"valid_until": {}},
        {"reason": "x" * 4_001},
    ],
)
def test_a_release_that_cannot_be_read_is_refused_and_names_the_field(args: dict[str, Any]) -> None:
    fact = meaning(message("credit_release", "credit_manager.usmf", **args))
    assert code(fact) == "BAD_ARGUMENT"
    assert isinstance(fact, facts.Refused) and next(iter(args)) in fact.detail


# Two persons above a limit of authority

LARGE = replace(HELD, credit_decision=decision(False).model_copy(update={"this_order": Decimal(120_000)}))
CARL = Person(oid="oid-carl", name="carl", roles=("credit_manager.usmf",))
CLARA = Person(oid="oid-clara", name="clara", roles=("credit_manager.usmf",))
CORA = Person(oid="oid-cora", name="cora", roles=("cfo.usmf",))
STAFF = naming(("credit_manager", CARL), ("credit_manager", CLARA), ("cfo", CORA))


def releases(state: DealState, person: Person, at: datetime = T0, **args: Any) -> DealState:
    """The deal after a person asked to release its hold."""
    told = said(person, "credit_release", {"reason": person.name, **args}, policy=STAFF, at=at)
    transition = apply(state, Event(at=at, actor=person.named, fact=fact_of(told, state, deal_id=DEAL, at=at)))
    assert not transition.code, transition
    return transition.state


def test_up_to_the_limit_one_person_releases() -> None:
    released = releases(HELD, CARL)
    assert released.release is not None and released.release.also_by is None and released.recheck_due


def test_above_the_limit_the_first_person_only_asks_and_the_second_releases() -> None:
    asked = releases(LARGE, CARL)
    assert (asked.release, asked.recheck_due) == (None, False)
    shown = view(asked).release_asked
    assert shown is not None and (shown.by.name, shown.most, shown.currency) == ("carl", Decimal(120_000), "USD")
    released = releases(asked, CLARA)
    assert released.release is not None and released.release_asked is None and released.recheck_due
    by, also_by = released.release.released_by, released.release.also_by
    assert also_by is not None and (by.name, also_by.name) == ("carl", "clara")
    assert released.release.comment == "carl; clara"


def test_the_same_person_twice_is_one_person() -> None:
    again = releases(releases(LARGE, CARL), CARL)
    assert (again.release, again.recheck_due) == (None, False)


def test_who_has_the_authority_alone_needs_nobody() -> None:
    assert releases(LARGE, CORA).release is not None


def test_two_persons_agree_on_the_narrower_terms() -> None:
    asked = releases(LARGE, CARL, ceiling="130000", deviation_pct="20", valid_until="2026-12-31")
    released = releases(asked, CLARA, ceiling="125000", deviation_pct="30", valid_until="2026-12-01").release
    assert released is not None
    assert (released.ceiling, released.deviation_pct) == (Decimal(125_000), Decimal(20))
    assert released.valid_until == datetime(2026, 12, 1, 23, 59, 59, tzinfo=UTC)


def test_what_was_asked_for_and_ran_out_does_not_count_as_a_first_person() -> None:
    asked = releases(LARGE, CARL, valid_until="2026-11-24")
    later = releases(asked, CLARA, at=T0 + timedelta(days=3))
    assert later.release is None and later.release_asked is not None
    assert later.release_asked.released_by.name == "clara"


def test_the_tolerance_counts_towards_the_limit() -> None:
    assert releases(HELD, CARL, ceiling="95000", deviation_pct="5").release is not None
    assert releases(HELD, CARL, ceiling="95000", deviation_pct="6").release is None


def test_the_rep_of_the_deal_is_no_second_person() -> None:
    rep = Person(oid="rita", name="rita", roles=("credit_manager.usmf",))
    told = said(rep, "credit_release", {"reason": "r"}, policy=naming(("credit_manager", rep)), at=T0)
    fact = fact_of(told, releases(LARGE, CARL), deal_id=DEAL, at=T0)
    assert apply(LARGE, Event(at=T0, actor=rep, fact=fact)).code == "REQUESTER_CANNOT_RELEASE"


def test_a_new_revision_begins_without_what_was_asked_for_the_old_one() -> None:
    asked = replace(new_deal(), release_asked=releases(LARGE, CARL).release_asked)
    assert put(asked, facts.Submitted(revision=1, quote_id="q2")).release_asked is None
