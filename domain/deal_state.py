"""What a deal knows of itself, and what follows from that alone; what changes it is in ``domain.deal``.

Facts of Finance (packing slips, invoices) are kept under their document numbers and quantities are derived from them,
so that a document told twice, late or out of order leaves the same state (invariant I13).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from pydantic import Field

from domain.assessment import DealPolicy, QuoteAssessment
from domain.credit import ReleaseToken
from domain.credit_facts import CreditDecision, CreditStatus
from domain.fulfilment import Invoice, OrderedLine
from domain.lines import LineLedger
from domain.messages import ShippedLine
from domain.record import Record
from domain.views import ApprovalSummary, Ending, ParkedStep, Stage


class QuoteStatus(StrEnum):
    """Where the current revision of the quote stands (lifecycle 2.2)."""

    SUBMITTED = "submitted"
    INVALID = "invalid"
    APPROVAL_DUE = "approval_due"
    PENDING_APPROVAL = "pending_approval"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    APPROVED = "approved"
    SENT = "sent"
    ACCEPTED = "accepted"
    ORDERED = "ordered"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"
    LOST = "lost"
    CANCELLED = "cancelled"


class OrderStatus(StrEnum):
    """Where the order stands (lifecycle 2.5)."""

    NONE = "none"
    CREATING = "creating"
    CREATED = "created"
    CONFIRMED = "confirmed"
    PARTIALLY_SHIPPED = "partially_shipped"
    SHIPPED = "shipped"
    PARTIALLY_INVOICED = "partially_invoiced"
    INVOICED = "invoiced"
    CLOSED = "closed"


OPEN_QUOTE = frozenset(
    {
        QuoteStatus.SUBMITTED,
        QuoteStatus.INVALID,
        QuoteStatus.APPROVAL_DUE,
        QuoteStatus.PENDING_APPROVAL,
        QuoteStatus.REJECTED,
        QuoteStatus.WITHDRAWN,
        QuoteStatus.APPROVED,
        QuoteStatus.SENT,
        QuoteStatus.SUPERSEDED,
    }
)
"""States in which the quote may still be submitted again, revised, lost, cancelled or expire."""


class Outage(Record):
    """A system that does not answer."""

    system: str
    since: datetime
    message: str


class DealState(Record):
    """All that a deal knows of itself. Money in the quote's currency."""

    company: str
    quote_number: str
    quote_id: str
    revision: int
    version: int = 0
    stage: Stage = Stage.OPPORTUNITY
    ending: Ending = Ending.RUNNING
    quote: QuoteStatus = QuoteStatus.SUBMITTED
    credit: CreditStatus = CreditStatus.NOT_CHECKED
    order: OrderStatus = OrderStatus.NONE
    assessment: QuoteAssessment | None = None
    approved_hash: str = ""
    active: bool = Field(False, description="The rep activated the current revision")
    accepted: bool = False
    resubmitted: bool = Field(False, description="Submitted again while a decision stands: to be looked at")
    approvals: tuple[ApprovalSummary, ...] = ()
    approval_text: str = ""
    credit_decision: CreditDecision | None = None
    credit_checks: int = 0
    release: ReleaseToken | None = None
    order_number: str = ""
    confirmation_number: str = ""
    sales_order_id: str = ""
    order_lines: tuple[OrderedLine, ...] = ()
    order_net: Decimal = Decimal(0)
    rounding_difference: Decimal = Decimal(0)
    slips: dict[str, tuple[ShippedLine, ...]] = Field(default_factory=dict)
    invoices: dict[str, Invoice] = Field(default_factory=dict)
    billing_unread: tuple[str, ...] = ()
    recorded_slips: tuple[str, ...] = ()
    recorded_invoices: tuple[str, ...] = ()
    recorded_open: dict[str, Decimal] = Field(default_factory=dict)
    parked: ParkedStep | None = None
    park_count: dict[str, int] = Field(default_factory=dict)
    outage: Outage | None = None
    exceptions: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    started_at: datetime
    updated_at: datetime
    waiting_since: datetime

    @property
    def policy(self) -> DealPolicy:
        """What of the policy is pinned; the default before the quote was assessed."""
        return self.assessment.deal_policy if self.assessment else DealPolicy()

    @property
    def ledger(self) -> tuple[LineLedger, ...]:
        """Quantities of each order line, derived from Finance's documents; empty before there is an order."""
        return ledger_of(self, self.policy)

    @property
    def all_shipped(self) -> bool:
        """Nothing is left to ship."""
        ledger = self.ledger
        return bool(ledger) and all(line.open_to_ship == 0 for line in ledger)

    @property
    def all_invoiced(self) -> bool:
        """Nothing is left to ship or to invoice."""
        ledger = self.ledger
        return bool(ledger) and all(line.invoiced >= line.ordered - line.cancelled for line in ledger)

    @property
    def all_paid(self) -> bool:
        """Finance holds nothing open on any invoice."""
        return all(invoice.open_amount <= 0 for invoice in self.invoices.values())

    @property
    def unrecorded_slips(self) -> tuple[str, ...]:
        """Packing slips Sales does not show yet, in the order they were told."""
        return tuple(slip for slip in self.slips if slip not in self.recorded_slips)

    @property
    def unrecorded_invoices(self) -> tuple[Invoice, ...]:
        """Invoices Sales does not show yet."""
        return tuple(i for i in self.invoices.values() if i.invoice_number not in self.recorded_invoices)

    @property
    def unrecorded_payments(self) -> tuple[Invoice, ...]:
        """Invoices whose open amount in Sales is not Finance's."""
        return tuple(
            invoice
            for number, invoice in self.invoices.items()
            if number in self.recorded_invoices and self.recorded_open.get(number) != invoice.open_amount
        )

    @property
    def settled(self) -> bool:
        """Shipped, invoiced, paid, and Sales shows all of it (lifecycle 2.9)."""
        return (
            self.all_shipped
            and self.all_invoiced
            and self.all_paid
            and not (self.billing_unread or self.unrecorded_slips or self.unrecorded_invoices)
            and not self.unrecorded_payments
        )

    @property
    def may_order(self) -> bool:
        """Approved content was accepted, and credit was given (I7, I10)."""
        return (
            self.accepted
            and bool(self.approved_hash)
            and self.ending is Ending.RUNNING
            and self.credit in (CreditStatus.PASSED, CreditStatus.RELEASED)
        )


def ledger_of(state: DealState, policy: DealPolicy) -> tuple[LineLedger, ...]:
    """The line ledger of the order: what was ordered, and what all packing slips and invoices say of it."""
    shipped = _totals((line.line_no, line.quantity) for lines in state.slips.values() for line in lines)
    invoiced = _totals((line.line_no, line.quantity) for doc in state.invoices.values() for line in doc.lines)
    return tuple(
        LineLedger(
            line_no=line.line_no,
            item=line.item,
            ordered=line.quantity,
            shipped=shipped.get(line.line_no, Decimal(0)),
            invoiced=invoiced.get(line.line_no, Decimal(0)),
            over_delivery_pct=policy.over_delivery_pct,
        )
        for line in state.order_lines
    )


def _totals(quantities: Iterable[tuple[int, Decimal]]) -> dict[int, Decimal]:
    total: dict[int, Decimal] = {}
    for line_no, quantity in quantities:
        total[line_no] = total.get(line_no, Decimal(0)) + quantity
    return total
