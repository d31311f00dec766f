"""The outbox of a deal: nothing is lost, nothing is sent twice under another id, and it does not grow without bound."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import facts
from domain.approvals import StepState
from domain.audit import (
    BATCH,
    MOST_REFUSALS,
    WORDS,
    AuditKind,
    AuditReceipt,
    AuditRecord,
    Outbox,
    of_decision,
    of_entry,
)
from domain.people import Person
from domain.sign_in import SignIn
from domain.views import Stage, TimelineEntry
from tests.deals import CREATED
from tests.rights import said
from tests.unit.domain.makers import T0, actor, discounted, plan, priced, request

NOW = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)
DEAL = "q2c/usmf/Q-1"


def line(kind: AuditKind = AuditKind.TRANSITION) -> AuditRecord:
    actor = Person(oid="oid-1", name="Mona")
    return AuditRecord(record_id="", company="usmf", deal_id=DEAL, kind=kind, event="X", at=NOW, actor=actor)


def filled(count: int, kind: AuditKind = AuditKind.TRANSITION) -> Outbox:
    outbox = Outbox()
    for _ in range(count):
        outbox = outbox.add(line(kind), run_id="run-1")
    return outbox


@given(sent=st.lists(st.booleans(), max_size=60))
def test_every_record_is_sent_until_it_is_acknowledged_and_never_again(sent: list[bool]) -> None:
    """True: the store acknowledges a batch; False: it does not answer, or answers after the batch was stored."""
    outbox, now = Outbox(), NOW
    stored: dict[str, AuditRecord] = {}
    for answered in sent:
        outbox = outbox.add(line(), run_id="run-1")
        now += timedelta(hours=2)
        batch = outbox.batch().records
        for record in batch:
            assert stored.setdefault(record.record_id, record) == record, "an id is never given twice"
        outbox = outbox.acknowledged(AuditReceipt(through=batch[-1].n)) if answered else outbox.unanswered(now)
    assert [record.n for record in stored.values()] == list(range(1, len(sent) + 1))


def test_a_batch_is_bounded_and_the_rest_comes_next() -> None:
    outbox = filled(BATCH + 3)
    first = outbox.batch().records
    assert len(first) == BATCH
    left = outbox.acknowledged(AuditReceipt(through=first[-1].n))
    assert [record.n for record in left.pending] == [BATCH + 1, BATCH + 2, BATCH + 3]


def test_after_silence_the_store_is_left_alone_for_longer_and_longer() -> None:
    outbox, pauses = filled(1), []
    for _ in range(9):
        outbox = outbox.unanswered(NOW)
        assert outbox.resting_until is not None and not outbox.due(NOW)
        pauses.append(outbox.resting_until - NOW)
        assert outbox.due(outbox.resting_until)
    assert pauses[0] == timedelta(minutes=1) and pauses[-1] == timedelta(hours=1)
    assert outbox.acknowledged(AuditReceipt(through=0)).due(NOW)
    assert not Outbox().due(NOW)


def test_ten_thousand_refusals_leave_a_number_and_every_true_entry() -> None:
    outbox = filled(10_000, AuditKind.REFUSAL).add(line(), run_id="run-1")
    assert len(outbox.pending) == MOST_REFUSALS + 1
    assert outbox.pending[-1].kind is AuditKind.TRANSITION
    counted = outbox.counted(company="usmf", deal_id=DEAL, at=NOW, run_id="run-1")
    assert counted.pending[-1].facts == {"count": str(10_000 - MOST_REFUSALS)}
    assert counted.counted(company="usmf", deal_id=DEAL, at=NOW, run_id="run-1") == counted


def test_a_run_that_was_reset_tells_its_story_under_ids_of_its_own() -> None:
    one, two = Outbox().add(line(), run_id="run-1"), Outbox().add(line(), run_id="run-2")
    assert one.pending[0].record_id != two.pending[0].record_id


def test_the_outbox_survives_a_checkpoint() -> None:
    outbox = filled(3, AuditKind.REFUSAL).unanswered(NOW)
    assert Outbox.model_validate_json(outbox.model_dump_json()) == outbox


def entry(**changes: object) -> TimelineEntry:
    fields = {
        "version": 3,
        "at": NOW,
        "actor": Person(oid="oid-1", name="Mona", roles=("sales_manager",)),
        "event": "ShipmentRecorded",
        "text": "packing slip PS-1",
        "stage": Stage.FULFILMENT,
        "before": "a",
        "after": "b",
        "policy_version": "p1",
    }
    return TimelineEntry.model_validate(fields | changes)


def test_a_line_of_the_timeline_becomes_a_record_with_its_documents() -> None:
    fact = facts.ShipmentRecorded(slips=("PS-1", "PS-2"))
    record = of_entry(entry(), company="usmf", deal_id=DEAL, fact=fact)
    assert (record.kind, record.what, record.before, record.after) == (
        AuditKind.TRANSITION,
        "packing slip PS-1",
        "a",
        "b",
    )
    assert record.facts == {"stage": "fulfilment", "version": "3", "slips": "PS-1,PS-2"}
    assert record.actor.roles == ()


def test_a_refusal_and_a_signed_decision_are_told_apart() -> None:
    refusal = of_entry(entry(accepted=False, code="NO_AUTHORITY"), company="usmf", deal_id=DEAL, envelope_id="m")
    assert (refusal.kind, refusal.code) == (AuditKind.REFUSAL, "NO_AUTHORITY")
    signed = of_entry(entry(), company="usmf", deal_id=DEAL, why="agreed", envelope_id="m-1", envelope_hash="ab")
    assert (signed.kind, signed.why, signed.envelope_id) == (AuditKind.DECISION, "agreed", "m-1")


def test_too_much_of_anything_is_cut_and_nothing_is_raised() -> None:
    huge = entry(text="x" * 100_000, event="y" * 100_000, before="z" * 100_000)
    record = of_entry(huge, company="usmf", deal_id=DEAL, why="w" * 100_000)
    assert (len(record.what), len(record.why)) == (WORDS, WORDS)
    assert len(record.model_dump_json()) < 20_000


def test_the_sign_in_behind_what_a_person_said_is_in_the_record() -> None:
    sign_in = SignIn(at=datetime(2026, 11, 23, 13, 55, tzinfo=UTC), methods=("pwd", "mfa"), contexts=("c1",))
    known = {"signed in at": "2026-11-23T13:55:00+00:00", "signed in by": "pwd,mfa", "signed in for": "c1"}
    release = of_entry(entry(), company="usmf", deal_id=DEAL, envelope_id="m-1", envelope_hash="ab", sign_in=sign_in)
    assert known.items() <= release.facts.items()
    asked = request(plan(priced(discounted("P250", 100, 22))))
    step = StepState(plan=asked.plan.steps[0], decided_as="sales_manager")
    decision = said(actor("mona"), "decide", {"decision": "approve"}).model_copy(update={"sign_in": sign_in})
    record = of_decision(decision, step, asked, deal_id=DEAL, at=T0, envelope_hash="ab")
    assert known.items() <= record.facts.items() and record.facts["role"] == "sales_manager"
    unknown = of_decision(said(actor("mona"), "decide"), step, asked, deal_id=DEAL, at=T0, envelope_hash="ab")
    assert "signed in by" not in unknown.facts


@pytest.mark.parametrize(
    ("currency", "amount", "written"),
    [("JPY", "150000.00", "150000"), ("KWD", "12.3", "12.300"), ("USD", "950", "950.00"), ("", "1.234", "1.234")],
)
def test_an_amount_is_recorded_with_its_currency_and_the_decimals_it_has(
    currency: str, amount: str, written: str
) -> None:
    fact = CREATED.model_copy(update={"net": Decimal(amount), "currency": currency})
    record = of_entry(entry(), company="usmf", deal_id=DEAL, fact=fact)
    assert (record.facts["net"], record.facts["currency"]) == (written, currency)


def test_the_documentation_says_what_each_kind_of_record_is() -> None:
    rows = [f"| `{kind}` | {kind.meaning} |" for kind in AuditKind]
    assert "\n".join(rows) in (Path(__file__).parents[3] / "docs" / "audit.md").read_text()
