"""What a person says, as a fact: a table of messages, of who says them, and of what they come to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain import facts
from domain.approvals import ApprovalStatus
from domain.commands import fact_of
from domain.deal_state import DealState
from domain.facts import Fact
from domain.messages import COMMAND_ROLES, CommandName, VerifiedMessage
from domain.people import Person
from domain.views import Resolution
from tests.deals import T0, TO_ORDER, approval, assessment, decision, new_deal, put

HELD = put(new_deal(), *TO_ORDER[:4], facts.CreditDecided(decision=decision(False)))
DEAL = "q2c/usmf/Q-1"


def said(name: str, *roles: str, **args: Any) -> VerifiedMessage:
    person = Person(oid="oid-carl", name="carl", roles=roles)
    return VerifiedMessage(message_id="m", person=person, name=name, args=args)


def meaning(message: VerifiedMessage, state: DealState = HELD) -> Fact:
    return fact_of(message, state, deal_id=DEAL, at=T0)


def code(fact: Fact) -> str:
    assert isinstance(fact, facts.Refused), fact
    return fact.code


@pytest.mark.parametrize(
    ("message", "fact"),
    [
        (said("retry", "ops", reason="role given"), facts.StepResumed(action=Resolution.RETRY, reason="role given")),
        (said("skip", "ops", reason="r"), facts.StepResumed(action=Resolution.SKIP, reason="r")),
        (said("abort", "admin", reason="r"), facts.StepResumed(action=Resolution.ABORT, reason="r")),
        (said("withdraw", "sales_rep.usmf", reason="r"), facts.Withdrawn(revision=0, reason="r")),
        (said("cancel", "sales_manager", reason="r"), facts.QuoteCancelled(reason="r")),
        (said("credit_recheck", "credit_clerk"), facts.CreditRecheckDue(reason="asked by a person")),
        (said("credit_reject", "credit_manager", reason="r"), facts.CreditRejected(reason="r")),
        (said("retry", "ops", reason=None), facts.StepResumed(action=Resolution.RETRY, reason="")),
    ],
    ids=lambda value: getattr(value, "name", type(value).__name__),
)
def test_a_command_states_a_fact(message: VerifiedMessage, fact: Fact) -> None:
    assert meaning(message) == fact


@pytest.mark.parametrize("command", list(CommandName))
@pytest.mark.parametrize(
    "role", ["sales_rep", "sales_manager", "sales_director", "credit_clerk", "credit_manager", "ops", "admin", "nobody"]
)
def test_a_command_needs_one_of_its_roles_for_the_deals_company(command: CommandName, role: str) -> None:
    may = role in COMMAND_ROLES[command]
    assert isinstance(meaning(said(command, role)), facts.Refused) is not may
    assert isinstance(meaning(said(command, f"{role}.usmf")), facts.Refused) is not may
    assert code(meaning(said(command, f"{role}.demf"))) == "NO_AUTHORITY"


def test_another_table_of_rights_can_be_consulted() -> None:
    fact = fact_of(said("cancel", "ops"), HELD, deal_id=DEAL, at=T0, may=lambda person, command, state: False)
    assert code(fact) == "NO_AUTHORITY"


def test_a_message_without_proof_states_nothing() -> None:
    unproved = said("cancel", "ops").model_copy(update={"refused": "the signature does not hold"})
    assert code(meaning(unproved)) == "UNAUTHENTICATED"


def test_a_command_nobody_knows_is_refused_by_name() -> None:
    assert code(meaning(said("give_me_money", "admin"))) == "UNKNOWN_COMMAND"


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
    assert code(meaning(said("decide", "sales_manager"), state)) == expected


def test_a_decision_nobody_asked_for_is_refused() -> None:
    assert code(meaning(said("decide", "sales_manager"), new_deal())) == "NOT_ASSIGNED"


def released(**args: Any) -> facts.CreditReleased:
    fact = meaning(said("credit_release", "credit_manager", **args))
    assert isinstance(fact, facts.CreditReleased), fact
    return fact


def test_a_release_covers_what_was_held_for_as_long_as_the_policy_says() -> None:
    release = released(reason="known well").release
    assert (release.deal_id, release.ceiling, release.reasons) == (DEAL, Decimal(1045), ("OVER_LIMIT",))
    assert release.valid_until == T0 + timedelta(days=HELD.policy.release_valid_days)
    assert release.deviation_pct == HELD.policy.release_deviation_pct
    assert (release.released_by.oid, release.released_by.roles, release.comment) == ("oid-carl", (), "known well")


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
    fact = meaning(said("credit_release", "credit_manager", **args))
    assert code(fact) == "BAD_ARGUMENT"
    assert isinstance(fact, facts.Refused) and next(iter(args)) in fact.detail
