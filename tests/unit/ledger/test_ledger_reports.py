"""An auditor's questions, each with an answer that is a finding and one that is not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from domain.audit import STEP_DECIDED, AuditKind
from ledger import reports
from ledger.reads import AuditRow
from ledger.reports import Document, Grant
from tests.unit.ledger.ledger_makers import AT, MONA, RITA


def row(seq: int, event: str = "Approved", kind: AuditKind = AuditKind.TRANSITION, **changes: Any) -> AuditRow:
    fields: dict[str, Any] = {
        "company": "usmf",
        "seq": seq,
        "record_id": str(seq),
        "deal_id": "q2c/usmf/Q-1",
        "kind": kind,
        "event": event,
        "at": AT,
        "recorded_at": AT,
        "actor": MONA,
        "what": "",
        "why": "",
        "before": "",
        "after": "",
        "code": "",
        "policy_version": "1",
        "envelope_id": "",
        "envelope_hash": "",
        "hash": "",
    }
    return AuditRow(**fields | changes)


def decision(seq: int, **facts: str) -> AuditRow:
    given = {"role": "sales_manager", "amount": "1000.00", "currency": "USD", "decision": "approve"} | facts
    return row(seq, STEP_DECIDED, kind=AuditKind.DECISION, facts=given, envelope_id="m-1", envelope_hash="ab")


def test_decisions_without_the_role_or_above_its_limit() -> None:
    limits = {"sales_manager": {"USD": Decimal("999.99")}}
    held = [Grant(person=MONA, role="sales_manager", company="usmf")]
    assert reports.above_limit([decision(1)], held, {}, {}) == []
    (found,) = reports.above_limit([decision(1)], held, limits, {})
    assert "1000.00 USD as sales_manager, whose limit is 999.99" in found.problem
    (found,) = reports.above_limit([decision(1)], [Grant(person=MONA, role="sales_manager", company="demf")], {}, {})
    assert "without holding the role for USMF" in found.problem
    assert reports.above_limit([decision(1, currency="EUR")], held, limits, {}) == []


def test_releases_above_the_limit_of_one_person() -> None:
    release = decision(1, amount="100000.01").model_copy(update={"event": "CreditReleased"})
    held, most = [Grant(person=MONA, role="sales_manager")], {"sales_manager": {"USD": Decimal(100_000)}}
    (found,) = reports.above_limit([release], held, {}, most)
    assert "100000.01 USD as sales_manager, whose limit is 100000" in found.problem
    by_two = release.model_copy(update={"facts": release.facts | {"persons": "2"}})
    asked = release.model_copy(update={"event": "ReleaseAsked"})
    assert reports.above_limit([by_two, asked], held, {}, most) == []
    assert reports.above_limit([release], held, most, {}) == [], "approvals have limits of their own"


def test_orders_without_a_signed_decision() -> None:
    asked, ordered = row(1, "ApprovalAsked"), row(3, "OrderCreated", facts={"order": "Q2C-1"})
    assert reports.unsigned_orders([asked, decision(2), ordered]) == []
    (found,) = reports.unsigned_orders([asked, ordered])
    assert (found.seq, "Q2C-1" in found.problem) == (3, True)
    assert len(reports.unsigned_orders([asked, decision(2), row(3, "ApprovalAsked"), row(4, "OrderCreated")])) == 1
    unsigned = decision(2).model_copy(update={"envelope_hash": ""})
    assert len(reports.unsigned_orders([asked, unsigned, ordered])) == 1
    assert reports.unsigned_orders([row(1, "Assessed"), ordered]) == [], "no approval was needed"
    released = decision(2).model_copy(update={"event": "CreditReleased"})
    for other in (decision(2, decision="reject"), released):
        assert len(reports.unsigned_orders([asked, other, ordered])) == 1, "signed, and no approval"


def test_slips_and_invoices_finance_does_not_know() -> None:
    rows = [row(1, facts={"slip": "PS-1"}), row(2, facts={"invoices": "I-1,I-2"})]
    recorded = reports.documents_of(rows)
    assert [d.number for d in recorded] == ["PS-1", "I-1", "I-2"]
    known = [
        Document(company="usmf", kind=kind, number=number) for kind, number in (("slip", "PS-1"), ("invoice", "I-2"))
    ]
    (found,) = reports.unknown_to_finance(recorded, known)
    assert "invoice I-1 is not in Finance" in found.problem
    assert len(reports.unknown_to_finance(recorded, [known[0].model_copy(update={"company": "demf"})])) == 3


def test_the_review_of_access_shows_who_decided_and_holds_no_role_any_more() -> None:
    grants = [Grant(person=RITA, role="sales_rep", company="usmf"), Grant(person=RITA, role="ops")]
    mona, rita = reports.access_review(grants, [decision(1), decision(2)])
    assert (mona.name, mona.roles, mona.decisions) == ("Mona Meyer", (), 2)
    assert (rita.name, rita.roles, rita.decisions) == ("Rita Reyes", ("ops", "sales_rep.usmf"), 0)


def test_rounding_is_summed_by_the_companys_own_day() -> None:
    """Half past four in the morning, UTC, is half past eleven the evening before in New York."""
    evening = AT.replace(year=2026, month=11, day=24, hour=4, minute=30)
    told = {"rounding": "0.01", "currency": "USD"}
    rows = [
        row(1, "OrderCreated", at=evening, facts=told),
        row(2, "OrderCreated", at=evening.replace(hour=12), facts=told | {"rounding": "-0.02"}),
        row(3, "OrderCreated", at=evening, facts={"currency": "USD"}),
        row(4, "Approved", at=evening, facts=told),
    ]
    found = reports.rounding_days(rows, "America/New_York")
    assert [(str(day.day), day.documents, day.net, day.absolute) for day in found] == [
        ("2026-11-24", 1, Decimal("-0.02"), Decimal("0.02")),
        ("2026-11-23", 1, Decimal("0.01"), Decimal("0.01")),
    ]
