"""Deals and requests as the pages meet them, with the numbers of the scenarios."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from domain.approvals import (
    ApprovalPlan,
    ApprovalRequest,
    ApprovalStatus,
    BusinessHours,
    LineFinding,
    Reason,
    StepPlan,
)
from domain.causes import Cause
from domain.credit_facts import CreditDecision, CreditReason, CreditStatus
from domain.credit_sentences import over_limit
from domain.people import Person
from domain.phrases import Phrase, amount, listed, percent, phrase
from domain.views import (
    ApprovalSummary,
    DealView,
    DocumentView,
    Explanation,
    LineView,
    ParkedStep,
    ReleaseDefaults,
    Stage,
    TimelineEntry,
    WaitingFor,
)

T0 = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
D = Decimal


def person(name: str, display: str = "") -> Person:
    upn = f"{name}@contoso.example"
    return Person(oid=str(uuid.uuid5(uuid.NAMESPACE_DNS, upn)), name=display or name.capitalize(), upn=upn)


RITA, MONA, DIRK, CARL, OTTO = (
    person("rita", "Rita Reyes"),
    person("mona", "Mona Meyer"),
    person("dirk", "Dirk Dorn"),
    person("carl", "Carl Cole"),
    person("otto", "Otto Olsen"),
)
SAID = phrase("Discount {actual} is above the {limit} a rep may give alone", actual=percent("22"), limit=percent("10"))
SENTENCES = {"22 % > 10 %": SAID}
HASH = "9f2c41d7a0b3e6885c1d24f7b9a06e3d" * 2
SOLD: dict[str, Any] = {
    "name": "Packaging line, second hall",
    "customer_account": "US-001",
    "customer_name": "Contoso Retail San Diego",
    "currency": "USD",
    "net": D("19500.00"),
    "tax": D("1950.00"),
    "total": D("21450.00"),
    "discount_pct": D("22"),
    "margin_pct": D("23.076923076923"),
    "line_count": 1,
    "snapshot_hash": HASH,
}
"""What the deal of S02 is about, and the request for its approval with it."""


def step(number: int, level: int, role: str, asked: Person, *reasons: tuple[str, str]) -> StepPlan:
    return StepPlan(
        step=number,
        chain="sales",
        level=level,
        role=role,
        reasons=tuple(
            Reason(rule=rule, text=text, sentence=str(SENTENCES.get(text, "")), said=SENTENCES.get(text))
            for rule, text in reasons
        ),
        sla_business_hours=D(8 * level),
        on_timeout="escalate",
        candidates=(asked,),
    )


def request(quote: str = "Q-1002", n: int = 1, **changes: object) -> ApprovalRequest:
    """S02: 100 x P250 at 22 %."""
    plan = ApprovalPlan(
        policy_version="2026-11-01#3",
        steps=(
            step(1, 1, "sales_manager", MONA, ("D1", "22 % > 10 %")),
            step(2, 2, "sales_director", DIRK, ("D2", "22 % > 20 %"), ("D2", "margin 23.08 % < 25 %")),
        ),
        calendar=BusinessHours(timezone="America/New_York", workdays=(0, 1, 2, 3, 4), opens="09:00", closes="17:00"),
    )
    content = ApprovalRequest(
        company="usmf",
        quote_number=quote,
        quote_id=str(uuid.uuid5(uuid.NAMESPACE_URL, quote)),
        n=n,
        revision=0,
        requester=RITA,
        list_net=D("25000.00"),
        **SOLD,
        credit_text="exposure 76,450.00 of 100,000.00: within the limit",
        expires_at=T0 + timedelta(days=7),
        plan=plan,
    )
    return content.model_copy(update=changes)


def finding(line_no: int, item: str, quantity: str, price: str, listed: str, cost: str, **more: object) -> LineFinding:
    net = D(quantity) * D(price)
    content = LineFinding(
        line_no=line_no,
        item=item,
        description=f"Conveyor segment {item}",
        quantity=D(quantity),
        unit="ea",
        price=D(price),
        list_price=D(listed),
        floor_price=D(cost) * D("1.1"),
        cost=D(cost),
        discount_pct=(D(listed) - D(price)) / D(listed) * 100,
        net=net,
        margin_pct=(D(price) - D(cost)) / D(price) * 100,
        below_floor=D(price) < D(cost) * D("1.1"),
    )
    return content.model_copy(update=more)


def explanation(
    waiting_for: WaitingFor, text: str | Phrase, unblock: str | Phrase, *who: str, days: int = 1
) -> Explanation:
    return Explanation(
        waiting_for=waiting_for,
        since=T0,
        text=str(text),
        unblock=str(unblock),
        said=text if isinstance(text, Phrase) else None,
        unblock_said=unblock if isinstance(unblock, Phrase) else None,
        who=who,
        deadline=T0 + timedelta(days=days),
    )


OVER_BY = over_limit(amount(D("500"), "USD"), amount(D("10000"), "USD"), D("90"))


def deal(quote: str = "Q-1002", **changes: object) -> DealView:
    """S02 while Mona has not decided."""
    content = DealView(
        company="usmf",
        quote_number=quote,
        quote_id=str(uuid.uuid5(uuid.NAMESPACE_URL, quote)),
        revision=0,
        owner=RITA,
        **SOLD,
        policy_version="2026-11-01#3",
        version=3,
        stage=Stage.QUOTE,
        quote_status="pending_approval",
        credit_status=CreditStatus.NOT_CHECKED,
        order_status="none",
        explanation=explanation(
            WaitingFor.APPROVAL,
            "Waiting for Mona Meyer to decide level 1 (22 % > 10 %).",
            "Mona Meyer approves or rejects.",
            "Mona Meyer",
        ),
        approvals=(
            ApprovalSummary(
                n=1,
                revision=0,
                status=ApprovalStatus.PENDING,
                highest_level=2,
                steps=2,
                reasons=(Reason(rule="D2", text="22 % > 20 %"), Reason(rule="D2", text="margin 23.08 % < 25 %")),
                requested_at=T0,
            ),
        ),
        documents=(
            DocumentView(kind="quote", system="Sales", number=quote, amount=D("21450.00"), status="draft", at=T0),
        ),
        expires_at=T0 + timedelta(days=7),
        started_at=T0,
        updated_at=T0,
    )
    return content.model_copy(update=changes)


def timeline() -> tuple[TimelineEntry, ...]:
    def entry(version: int, minutes: int, actor: Person, event: str, text: str, **more: object) -> TimelineEntry:
        content = TimelineEntry(
            version=version,
            at=T0 + timedelta(minutes=minutes),
            actor=actor,
            event=event,
            text=text,
            stage=Stage.QUOTE,
            policy_version="2026-11-01#3",
        )
        return content.model_copy(update=more)

    system = Person(oid="system", name="Quote to Cash")
    return (
        entry(1, 0, RITA, "quote_submitted", "Quote Q-1002 submitted for approval"),
        entry(2, 1, system, "quote_assessed", "Prices pinned; discount 22 %, margin 23.08 %"),
        entry(3, 1, system, "approval_requested", "Asked Mona Meyer (level 1), then Dirk Dorn (level 2)"),
        entry(
            3,
            9,
            RITA,
            "approval_decide",
            "Rita Reyes tried to approve",
            accepted=False,
            code="REQUESTER_CANNOT_APPROVE",
        ),
    )


def held(quote: str = "Q-1015") -> DealView:
    """S15: over by 500.00."""
    return deal(
        quote,
        customer_account="US-002",
        customer_name="Contoso Retail Los Angeles",
        name="",
        net=D("4090.91"),
        tax=D("409.09"),
        total=D("4500.00"),
        stage=Stage.CREDIT,
        quote_status="accepted",
        credit_status=CreditStatus.HELD,
        approvals=(),
        credit=CreditDecision(
            passed=False,
            reasons=(CreditReason.of("OVER_LIMIT", OVER_BY),),
            exposure=D("9500.00"),
            limit=D("9000.00"),
            over_by=D("500.00"),
            open_ar=D("5000.00"),
            open_orders=D(0),
            reservations=D(0),
            this_order=D("4500.00"),
            as_of=T0,
            policy_version="2026-11-01#3",
        ),
        release_defaults=ReleaseDefaults(valid_days=7, deviation_pct=D("2.5"), ceiling=D("4500.00")),
        explanation=explanation(
            WaitingFor.CREDIT,
            phrase("Credit held: {reasons}", reasons=listed((OVER_BY,))),
            phrase("A payment, a higher limit or a release by a credit manager"),
            "Carl Cole",
        ),
    )


def parked(quote: str = "Q-1030") -> DealView:
    """An order Finance refused."""
    return deal(
        quote,
        stage=Stage.ORDER,
        quote_status="accepted",
        credit_status=CreditStatus.PASSED,
        order_status="creating",
        approvals=(),
        parked=ParkedStep(
            step="Create the order in Finance",
            activity="create_order",
            cause=Cause.REFUSED,
            message="Write failed for table row of type 'SalesOrderHeaderV4Entity'. Infolog: Error: Site 9 does not "
            "exist.",
            suggestion="Correct the site of the customer in Finance, then retry.",
            since=T0,
            failures=2,
            can_skip=True,
            request='POST /data/SalesOrderHeadersV4?cross-company=true\n{\n "dataAreaId": "usmf",\n '
            '"SalesOrderName": "(24 characters)"\n}',
            answer='HTTP 400\n{\n "error": {\n  "message": "Site 9 does not exist."\n }\n}',
        ),
        explanation=explanation(
            WaitingFor.OPERATOR,
            "Creating the order was refused by Finance.",
            "Correct the cause, then retry.",
            "Operations",
        ),
    )


def _documents_until_payment(quote: str) -> tuple[DocumentView, ...]:
    return (
        DocumentView(kind="quote", system="Sales", number=quote, amount=D("1045.00"), status="won", at=T0),
        DocumentView(
            kind="order",
            system="Finance",
            number="Q2C-7K3MPA2XQ4TB",
            amount=D("1045.00"),
            status="confirmed",
            at=T0 + timedelta(hours=2),
        ),
        DocumentView(kind="packing slip", system="Finance", number="PS-000101", at=T0 + timedelta(hours=26)),
        DocumentView(
            kind="invoice",
            system="Finance",
            number="INV-000077",
            amount=D("627.00"),
            open_amount=D("227.00"),
            status="partial",
            at=T0 + timedelta(hours=27),
        ),
        DocumentView(
            kind="payment",
            system="Finance",
            number="PAY-0009",
            amount=D("400.00"),
            at=T0 + timedelta(hours=50),
        ),
    )


def shipping(quote: str = "Q-1029") -> DealView:
    """S29: six of ten shipped and invoiced."""
    return deal(
        quote,
        stage=Stage.INVOICE,
        quote_status="ordered",
        credit_status=CreditStatus.PASSED,
        order_status="partially_invoiced",
        net=D("950.00"),
        tax=D("95.00"),
        total=D("1045.00"),
        discount_pct=D("5"),
        margin_pct=D("36.84"),
        approvals=(),
        order_number="Q2C-7K3MPA2XQ4TB",
        lines=(
            LineView(
                line_no=1,
                item="P100",
                ordered=D(10),
                cancelled=D(0),
                shipped=D(6),
                returned=D(0),
                invoiced=D(6),
                credited=D(0),
            ),
        ),
        documents=_documents_until_payment(quote),
        invoiced=D("627.00"),
        paid=D("400.00"),
        open_amount=D("227.00"),
        explanation=explanation(
            WaitingFor.SHIPMENT, "4 of 10 are still to ship.", "The warehouse posts a packing slip.", "Warehouse"
        ),
    )
