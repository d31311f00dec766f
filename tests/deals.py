"""Deals in the words of the tests: facts that lead from the submission to the money, and what they are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType

from domain import facts
from domain.approvals import (
    ApprovalPlan,
    ApprovalRequest,
    ApprovalState,
    ApprovalStatus,
    AskedTerms,
    BusinessHours,
    Change,
    StepPlan,
)
from domain.assessment import DealPolicy, OrderReadiness, QuoteAssessment
from domain.credit_facts import CreditDecision, CreditFacts, CreditReason
from domain.deal import apply
from domain.deal_state import DealState
from domain.facts import Event, Fact
from domain.fulfilment import (
    Billing,
    Done,
    Invoice,
    LineTotals,
    OrderedLine,
    PackingSlip,
    changes_of,
    conflicts_of,
    digest_of,
    ledger_of,
    totals_of,
)
from domain.growing import LargerOrder
from domain.line_change import LineChange
from domain.people import Person

T0 = datetime(2026, 11, 23, 14, tzinfo=UTC)
RITA, MONA, CARL, SYSTEM = (Person(oid=name, name=name) for name in ("rita", "mona", "carl", "system"))
HOURS = BusinessHours(timezone="UTC", workdays=(0, 1, 2, 3, 4), opens="09:00", closes="17:00")
STEP = StepPlan(
    step=1,
    chain="sales",
    level=1,
    role="sales_manager",
    sla_business_hours=Decimal(8),
    on_timeout="expire",
    candidates=(MONA,),
)
POLICY = DealPolicy(version="1")


def new_deal() -> DealState:
    return DealState(
        company="usmf",
        quote_number="Q-1",
        quote_id="q",
        revision=0,
        started_at=T0,
        updated_at=T0,
        waiting_since=T0,
    )


def assessment(*, steps: tuple[StepPlan, ...] = (), content: str = "h0", revision: int = 0) -> QuoteAssessment:
    return QuoteAssessment(
        company="usmf",
        quote_number="Q-1",
        quote_id="q",
        revision=revision,
        customer_account="US-001",
        currency="USD",
        owner=RITA,
        net=Decimal(950),
        tax=Decimal(95),
        total=Decimal(1045),
        snapshot_hash=content,
        expires_at=T0 + timedelta(days=7),
        plan=ApprovalPlan(policy_version="1", steps=steps, calendar=HOURS),
        deal_policy=POLICY,
    )


def asked_terms(*, list_net: Decimal, net: Decimal, margin_pct: Decimal, price_hash: str = "p") -> AskedTerms:
    """What a request of US-001 asks for, at 5 % off and thirty days."""
    return AskedTerms(
        policy_version="1",
        rules=(),
        company="usmf",
        customer_account="US-001",
        currency="USD",
        list_net=list_net,
        net=net,
        disc_pct=Decimal(5),
        margin_pct=margin_pct,
        payment_days=30,
        below_floor=False,
        price_hash=price_hash,
        items=None,
    )


def larger_order(*steps: StepPlan, more: int = 418) -> LargerOrder:
    """An order of ten as it would be with fourteen of its line."""
    terms = asked_terms(list_net=Decimal(1400), net=Decimal(1330), margin_pct=Decimal(36))
    return LargerOrder(
        net=Decimal(1330),
        tax=Decimal(133),
        total=Decimal(1463),
        list_net=Decimal(1400),
        discount_pct=Decimal(5),
        margin_pct=Decimal(36),
        line_count=1,
        content_hash="h14",
        more=Decimal(more),
        plan=ApprovalPlan(policy_version="1", steps=steps, calendar=HOURS),
        terms=terms,
        changes=(Change(text="P: quantity 10 → 14"),),
        lines=(LineChange(line_no=1, quantity=Decimal(14)),),
    )


def readiness(content: str = "h0") -> OrderReadiness:
    credit = CreditFacts(
        company="usmf",
        customer_account="US-001",
        currency="USD",
        as_of=T0,
        credit_limit=Decimal(100_000),
        unlimited=False,
        credit_management=True,
        open_ar=Decimal(0),
    )
    return OrderReadiness(
        snapshot_hash=content,
        state="won",
        total=Decimal(1045),
        credit=credit,
        credit_amount=Decimal(1045),
        price_hash="p",
    )


def decision(passed: bool, code: str = "") -> CreditDecision:
    return CreditDecision(
        passed=passed,
        reasons=(CreditReason(code=code or ("WITHIN_LIMIT" if passed else "OVER_LIMIT"), text="…"),),
        exposure=Decimal(1045),
        limit=Decimal(100_000),
        open_ar=Decimal(0),
        open_orders=Decimal(0),
        reservations=Decimal(0),
        this_order=Decimal(1045),
        currency="USD",
        as_of=T0,
        policy_version="1",
    )


def approval(status: ApprovalStatus, content: str = "h0", revision: int = 0) -> ApprovalState:
    request = ApprovalRequest(
        company="usmf",
        quote_number="Q-1",
        quote_id="q",
        n=1,
        revision=revision,
        customer_account="US-001",
        requester=RITA,
        currency="USD",
        net=Decimal(950),
        tax=Decimal(95),
        total=Decimal(1045),
        list_net=Decimal(1000),
        discount_pct=Decimal(5),
        margin_pct=Decimal(30),
        line_count=1,
        snapshot_hash=content,
        expires_at=T0 + timedelta(days=7),
        plan=ApprovalPlan(policy_version="1", steps=(STEP,), calendar=HOURS),
    )
    return ApprovalState(request=request, status=status, steps=(), reason="mona")


def invoice(number: str, quantity: int, open_amount: str) -> Invoice:
    net = Decimal(95) * quantity
    return Invoice(
        invoice_number=number,
        invoiced_on=T0,
        due_on=None,
        currency="USD",
        net=net,
        tax=net / 10,
        total=net * Decimal("1.1"),
        open_amount=Decimal(open_amount),
    )


def invoiced(document: Invoice) -> Decimal:
    """The quantity on an invoice of ``invoice``."""
    return document.net / 95


def totals(
    *quantities: int,
    shipped: Mapping[int, int] = MappingProxyType({}),
    invoiced: Mapping[int, Decimal | int] = MappingProxyType({}),
    returned: Mapping[int, int] = MappingProxyType({}),
    credited: Mapping[int, int] = MappingProxyType({}),
    found: Sequence[OrderedLine] | None = None,
    over: int = 0,
) -> LineTotals:
    """What a deal keeps of an order of lines 1, 2, …, of which so much was shipped and invoiced, by line."""
    ordered = [OrderedLine(line_no=n, item="P", quantity=Decimal(q)) for n, q in enumerate(quantities, start=1)]
    now = ordered if found is None else found
    done = {
        line.line_no: Done(
            shipped=Decimal(shipped.get(line.line_no, 0)),
            returned=Decimal(returned.get(line.line_no, 0)),
            invoiced=Decimal(invoiced.get(line.line_no, 0)),
            credited=Decimal(credited.get(line.line_no, 0)),
        )
        for line in ordered
    }
    ledger = ledger_of(ordered, now, done, over_delivery_pct=Decimal(over))
    return totals_of(
        ledger,
        digest=digest_of(now),
        differences=conflicts_of(ordered, now),
        changes=changes_of(ordered, now, ledger),
    )


def billed(slips: Mapping[str, int] = MappingProxyType({}), *invoices: Invoice) -> Billing:
    """A reading of an order of ten: quantities by packing slip, and invoices."""
    shipped = {1: sum(slips.values())}
    return Billing(
        status="x",
        lines=totals(10, shipped=shipped, invoiced={1: sum((invoiced(i) for i in invoices), Decimal(0))}),
        slips=tuple(PackingSlip(slip=name, quantity=Decimal(q)) for name, q in slips.items()),
        invoices=invoices,
    )


PRICE = Decimal(95)
"""Net of one piece on an invoice of ``invoice``."""


def held(quantity: object, left: object, *, by: str = "", line_no: int = 1, item: str = "P") -> OrderedLine:
    """A line as Finance holds it, with what it will still ship of it and who changed it last."""
    return OrderedLine(
        line_no=line_no, item=item, quantity=Decimal(str(quantity)), remaining=Decimal(str(left)), changed_by=by
    )


def credit_note(number: str, quantity: int, open_amount: str = "0", *, correction: bool = False) -> Invoice:
    """A credit note over so many, or the taking back of an invoice."""
    return invoice(number, -quantity, open_amount).model_copy(update={"correction": correction})


def holding(
    *lines: OrderedLine,
    slips: Mapping[str, int] = MappingProxyType({}),
    documents: tuple[Invoice, ...] = (),
    done: Done | None = None,
    cancelled: bool = False,
    changed_by: str = "",
) -> Billing:
    """An order of ten of one line as Finance holds it; what was done follows from the documents unless it is given."""
    quoted = (OrderedLine(line_no=1, item="P", quantity=Decimal(10)),)
    by_document = Done(
        shipped=Decimal(sum(q for q in slips.values() if q > 0)),
        returned=Decimal(-sum(q for q in slips.values() if q < 0)),
        invoiced=sum((i.net / PRICE for i in documents if not i.is_credit or i.correction), Decimal(0)),
        credited=-sum((i.net / PRICE for i in documents if i.is_credit and not i.correction), Decimal(0)),
    )
    ledger = ledger_of(quoted, lines, {1: done or by_document})
    return Billing(
        status="x",
        lines=totals_of(
            ledger,
            digest=digest_of(lines),
            differences=conflicts_of(quoted, lines),
            changes=changes_of(quoted, lines, ledger),
        ),
        slips=tuple(PackingSlip(slip=name, quantity=Decimal(q)) for name, q in slips.items()),
        invoices=documents,
        cancelled=cancelled,
        changed_by=changed_by,
    )


def read(slips: Mapping[str, int] = MappingProxyType({}), *invoices: Invoice, covers: int = 0) -> facts.BillingRead:
    """That an order of ten was read."""
    return facts.BillingRead(billing=billed(slips, *invoices), covers=covers, at=T0)


def put(state: DealState, *told: Fact) -> DealState:
    for fact in told:
        state = apply(state, Event(at=T0, actor=SYSTEM, fact=fact)).state
    return state


CREATED = facts.OrderCreated(
    currency="USD", order_number="Q2C-1", lines=totals(10), net=Decimal(950), rounding_difference=Decimal(0), at=T0
)
TO_ORDER: tuple[Fact, ...] = (
    facts.Assessed(assessment=assessment(), asked="q"),
    facts.Activated(revision=0),
    facts.Accepted(revision=0, at=T0),
    facts.Prepared(readiness=readiness(), covers=0),
    facts.CreditDecided(decision=decision(True)),
    facts.OrderStarted(order_number="Q2C-1"),
    CREATED,
    facts.OrderConfirmed(confirmation_number="C"),
    facts.OrderRecorded(sales_order_id="so"),
)


DOCUMENTS: tuple[tuple[str, Fact], ...] = (
    ("s1", facts.BillingChanged(text="packing slip S1")),
    ("s2", facts.BillingChanged(text="packing slip S2")),
    ("i1", facts.BillingChanged(text="invoice I", invoice="I")),
    ("p1", facts.BillingChanged(text="payment")),
)
"""Documents of an order of ten, each under the id of the event that reports it."""

READINGS: tuple[Fact, ...] = (read(), read({"S1": 6}), read({"S1": 6, "S2": 4}), read({"S1": 11}))
"""What Finance may hold of an order of ten."""
