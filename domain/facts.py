"""What can happen to a deal. Each fact names one thing that is true from now on; ``domain.deal`` says what follows."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from pydantic import Field

from domain.approvals import ApprovalPlan, ApprovalState
from domain.assessment import OrderReadiness, QuoteAssessment
from domain.credit import ReleaseToken
from domain.credit_facts import CreditDecision
from domain.fulfilment import Billing, OrderedLine
from domain.messages import ShippedLine
from domain.people import Person
from domain.record import Record
from domain.views import ParkedStep


class Fact(Record):
    """One thing that became true."""


class Submitted(Fact):
    """The rep asked for approval of a draft revision."""

    revision: int
    quote_id: str


class Assessed(Fact):
    """The submitted revision was read, validated, priced and held against the matrix."""

    assessment: QuoteAssessment


class ApprovalAsked(Fact):
    """A request for approval was opened."""

    n: int
    plan: ApprovalPlan


class ApprovalEnded(Fact):
    """A request for approval came to its end, whichever."""

    n: int
    result: ApprovalState


class Activated(Fact):
    """The rep activated the quote: it is with the customer."""

    revision: int


class Accepted(Fact):
    """The quote was won: the customer accepted it."""

    revision: int
    at: datetime = Field(description="UTC moment of the acceptance in Sales")


class Revised(Fact):
    """The quote was closed to be revised; a new revision will be submitted."""

    revision: int


class Withdrawn(Fact):
    """The request for approval was taken back."""

    revision: int
    reason: str


class QuoteLost(Fact):
    """The quote or its opportunity was lost."""

    reason: str


class QuoteCancelled(Fact):
    """The deal was called off before there was an order."""

    reason: str


class ExpiryReached(Fact):
    """The last moment of the quote's validity has passed."""


class Prepared(Fact):
    """The accepted quote was read again, with prices and credit."""

    readiness: OrderReadiness


class CreditDecided(Fact):
    """The ledger decided credit."""

    decision: CreditDecision


class CreditReleased(Fact):
    """A credit manager released the hold."""

    release: ReleaseToken


class CreditRejected(Fact):
    """A credit manager refused credit for good."""

    reason: str


class OrderStarted(Fact):
    """From now on an order may exist in Finance, whatever we hear."""

    order_number: str


class OrderCreated(Fact):
    """Finance holds the order with all its lines."""

    order_number: str
    lines: tuple[OrderedLine, ...]
    net: Decimal
    rounding_difference: Decimal


class OrderConfirmed(Fact):
    """Finance confirmed the order."""

    confirmation_number: str


class OrderRecorded(Fact):
    """Sales shows the order."""

    sales_order_id: str


class ShipmentPosted(Fact):
    """Finance posted a packing slip."""

    slip: str
    lines: tuple[ShippedLine, ...]


class BillingChanged(Fact):
    """Finance posted or reversed an invoice or payment: what is known of them is old."""

    document: str
    text: str


class BillingRead(Fact):
    """Packing slips, invoices and open amounts were read from Finance."""

    billing: Billing
    covers: tuple[str, ...] = Field(description="What was unread when the reading began; what came since still is")


class ShipmentRecorded(Fact):
    """Sales shows these packing slips."""

    slips: tuple[str, ...]


class InvoicesRecorded(Fact):
    """Sales shows these invoices, with these open amounts (invoice number -> amount)."""

    numbers: tuple[str, ...]
    open_amounts: dict[str, Decimal]


class PaymentsRecorded(Fact):
    """Sales shows these open amounts (invoice number -> amount)."""

    open_amounts: dict[str, Decimal]


class StepParked(Fact):
    """A step failed for good and waits for a person."""

    parked: ParkedStep


class StepResumed(Fact):
    """A person said how a parked step goes on."""

    action: str = Field(description="retry, skip or abort")
    reason: str


class Unreachable(Fact):
    """A system does not answer; the step goes on by itself when it does."""

    system: str
    since: datetime
    message: str


class Reachable(Fact):
    """The system answers again."""

    system: str


class Refused(Fact):
    """A message was not accepted: nothing changes, but it is written down."""

    message_id: str
    what: str
    code: str
    detail: str = ""


class Event(Record):
    """A fact with its circumstances."""

    event_id: str = Field("", description="Same id for the same fact however often it is told; empty: our own step")
    at: datetime
    actor: Person
    fact: Fact
