"""What a running deal shows of itself: the answers to its queries, for the web pages, the JSON API and operators."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from pydantic import Field

from domain.approvals import ApprovalPlan, ApprovalStatus, Reason
from domain.assessment import Problem
from domain.credit_facts import CreditDecision, CreditStatus
from domain.customers import UnknownCustomer
from domain.given import GivenValue
from domain.payments import Refund
from domain.people import Person
from domain.phrases import Phrase, marked
from domain.price_look import DriftView
from domain.quote_header import QuoteHeader
from domain.record import Record
from domain.rounding import RoundingDiff


class Stage(StrEnum):
    """The seven stages and the end, in order."""

    OPPORTUNITY = "opportunity"
    QUOTE = "quote"
    CREDIT = "credit"
    ORDER = "order"
    FULFILMENT = "fulfilment"
    INVOICE = "invoice"
    PAYMENT = "payment"
    CLOSED = "closed"


STAGES: tuple[Stage, ...] = tuple(Stage)[:7]


class WaitingFor(StrEnum):
    """What a deal waits for."""

    NOTHING = "none"
    APPROVAL = "approval"
    REP = "rep"
    CUSTOMER = "customer"
    CREDIT = "credit"
    SHIPMENT = "shipment"
    INVOICE = "invoice"
    PAYMENT = "payment"
    UNAPPLIED = "unapplied"
    DEPOSIT = "deposit"
    FINANCE = "finance"
    SALES = "sales"
    OPERATOR = "operator"
    CUSTOMER_SETUP = "customer_setup"
    """Somebody has to say what becomes of a customer that Finance does not know."""


class Ending(StrEnum):
    """How a deal ended; empty while it runs.

    Attributes:
        outcome: what became of the deal, in English; pages translate it.
    """

    outcome: str

    def __new__(cls, code: str, outcome: str) -> Ending:
        """Make a member: the code is its value."""
        member = str.__new__(cls, code)
        member._value_, member.outcome = code, outcome
        return member

    RUNNING = "", marked("Under way")
    CLOSED = "closed", marked("Ordered and paid")
    LOST = "lost", marked("Lost")
    CANCELLED = "cancelled", marked("Cancelled")
    EXPIRED = "expired", marked("Expired")
    ABORTED = "aborted", marked("Aborted")
    STALE = "stale", marked("Not submitted")


class DocumentView(Record):
    """A document of the deal in one of the systems."""

    kind: str = Field(description="quote, order, sales order, packing slip, invoice, credit note, payment")
    system: str = Field(description="Sales or Finance")
    number: str
    amount: Decimal | None = None
    open_amount: Decimal | None = None
    status: str = ""
    said: Phrase | None = Field(None, description="A status that says a quantity, for readers of other languages")
    at: datetime | None = None
    due_on: datetime | None = Field(None, description="Of an invoice")


class TimelineEntry(Record):
    """One audit record: a transition or a refusal."""

    version: int = Field(description="Version of the case after it; unchanged by a refusal")
    at: datetime
    actor: Person
    event: str = Field(description="What happened, as a code")
    text: str = Field(description="What happened, in words")
    stage: Stage
    accepted: bool = True
    code: str = Field("", description="Refusal code where not accepted")
    before: str = ""
    after: str = ""
    policy_version: str = ""


class ApprovalSummary(Record):
    """A request for approval of the deal, as the deal knows it."""

    n: int
    revision: int
    status: ApprovalStatus
    highest_level: int
    steps: int
    asked: tuple[str, ...] = Field((), description="Who is asked now, of all chains; at the end, who was asked last")
    reasons: tuple[Reason, ...] = ()
    requested_at: datetime
    ended_at: datetime | None = None
    text: str = Field("", description='Outcome in words, e.g. "rejected by dirk: too low"')

    @classmethod
    def asked_by(cls, plan: ApprovalPlan, *, n: int, revision: int, at: datetime) -> ApprovalSummary:
        """A request that begins: who is asked by its plan, and why."""
        return cls(
            n=n,
            revision=revision,
            status=ApprovalStatus.PENDING,
            highest_level=max(step.level for step in plan.steps),
            steps=len(plan.steps),
            asked=plan.asked_first,
            reasons=tuple(reason for step in plan.steps for reason in step.reasons),
            requested_at=at,
        )


class OpenQuestion(Record):
    """What an approver asks the rep, and waits for before deciding."""

    n: int = Field(description="Number of the request for approval")
    step: int
    by: Person
    question: str
    at: datetime = Field(description="UTC")

    @property
    def text(self) -> str:
        """The question with who asks it."""
        return f"{self.by.label} asks: {self.question}"


class ParkedStep(Record):
    """A step that failed for good and waits for a person."""

    step: str = Field(description="What was attempted, in words")
    activity: str
    cause: str = Field(description="Why, a value of ``domain.causes.Cause``")
    message: str
    suggestion: str = Field(description="What would help")
    since: datetime
    failures: int = Field(description="How often it was parked in this place, this one included")
    can_skip: bool = Field(False, description="Whether a person may go on without it")
    request: str = Field("", description="What was asked of the system, without secrets and personal data")
    answer: str = Field("", description="What it answered, likewise; empty where nothing was sent")
    takes_value: bool = Field(False, description="Whether it may be ended with a value (``domain.given``)")
    given: GivenValue | None = Field(None, description="A value that one person gave: a second one has to as well")


class Resolution(StrEnum):
    """What a person says about a parked step."""

    RETRY = "retry"
    SKIP = "skip"
    ABORT = "abort"


class LineView(Record):
    """Quantities of one order line (the line ledger)."""

    line_no: int
    item: str = ""
    ordered: Decimal
    cancelled: Decimal
    shipped: Decimal
    returned: Decimal
    invoiced: Decimal
    credited: Decimal


class Explanation(Record):
    """Why the deal waits and what would unblock it (query ``explain``)."""

    waiting_for: WaitingFor
    since: datetime
    text: str
    unblock: str
    said: Phrase | None = Field(None, description="The text with its numbers apart, for readers of other languages")
    unblock_said: Phrase | None = None
    who: tuple[str, ...] = Field((), description="Names or roles of who can act")
    deadline: datetime | None = None
    details: str = Field("", description="The raw answer of a system, where one is behind the text")


class ReleaseDefaults(Record):
    """What a release of the credit hold means where it does not say otherwise: the deal's pinned policy."""

    valid_days: int
    deviation_pct: Decimal = Field(description="By how much an order may exceed the release, in per cent")
    ceiling: Decimal = Field(description="Amount incl. tax, in the deal's currency: the order that is held")


class ReleaseAsked(Record):
    """A release of the credit hold that waits for a second person."""

    by: Person
    most: Decimal = Field(description="The largest order it would let pass, incl. tax")
    currency: str
    valid_until: datetime
    comment: str = ""


class OrderChangeView(Record):
    """What somebody wants changed of the order; Finance does not show it yet."""

    whole: bool = Field(description="All that is not shipped is cancelled")
    text: str
    waits_for_approval: bool = Field(False, description="Approvers are asked about the larger order")
    total: Decimal | None = Field(None, description="What a larger order would come to, incl. tax; null: not known yet")
    more: Decimal | None = Field(None, description="How much of that is more than it comes to now")
    reason: str = ""
    by: Person
    asked_at: datetime
    failure: str = Field("", description="Why Finance did not take it the last time; it is tried again")
    retry_at: datetime | None = None


class DepositView(Record):
    """The deposit that an order needs before it is released. Money in the deal's currency."""

    amount: Decimal
    share: str = Field("", description="Of the order's total, in words; empty: a fixed amount")
    rule: str = Field(description="Of deposits.yaml")
    policy_version: str
    received: Decimal = Field(description="Neither bounced nor paid back")
    missing: Decimal
    settled: dict[str, Decimal] = Field(default_factory=dict, description="What of it settled each invoice, by number")
    left: Decimal = Field(description="Received and not settled with an invoice")
    due_at: datetime | None = None
    holds: bool = Field(description="The order is not confirmed until it is there")


class DealView(QuoteHeader):
    """The deal as it stands (query ``state``)."""

    owner: Person
    submitted_by: Person | None = None
    policy_version: str = ""
    version: int = 0
    stage: Stage
    ending: Ending = Ending.RUNNING
    quote_status: str = Field(description="draft, pending_approval, approved, rejected, sent, accepted, ordered, …")
    credit_status: CreditStatus
    order_status: str = Field(description="none, creating, unknown, created, confirmed, partially_shipped, …")
    problems: tuple[Problem, ...] = ()
    unknown_customer: UnknownCustomer | None = Field(
        None, description="A customer that Finance does not know, while somebody is asked what becomes of it"
    )
    customer_note: str = Field("", description="Why what was decided about the customer could not be done")
    explanation: Explanation
    credit: CreditDecision | None = None
    credit_released_by: Person | None = None
    release_asked: ReleaseAsked | None = Field(None, description="While credit is held")
    release_defaults: ReleaseDefaults | None = Field(None, description="While credit is held")
    approvals: tuple[ApprovalSummary, ...] = ()
    questions: tuple[OpenQuestion, ...] = Field((), description="What approvers ask the rep and wait for")
    parked: ParkedStep | None = None
    order_change: OrderChangeView | None = Field(None, description="While one is under way")
    order_number: str = ""
    sales_order_id: str = ""
    opportunity_id: str = ""
    expires_at: datetime | None = None
    lines: tuple[LineView, ...] = Field((), description="At most 100 of the order's: what is wrong or left comes first")
    documents: tuple[DocumentView, ...] = ()
    invoiced: Decimal = Decimal(0)
    credited: Decimal = Field(Decimal(0), description="By credit notes, not taken off what is invoiced")
    paid: Decimal = Field(Decimal(0), description="What was paid of the invoices, and neither credited nor paid back")
    received: Decimal = Field(Decimal(0), description="Money that came in for it: paid, unapplied or refunded")
    unapplied: Decimal = Field(Decimal(0), description="Of payments and credit notes: it settles nothing")
    refunded: Decimal = Field(Decimal(0), description="Of payments and credit notes: paid back to the customer")
    discount_taken: Decimal = Field(Decimal(0), description="Cash discount taken off the invoices")
    difference: Decimal = Field(Decimal(0), description="Posted off the invoices by Finance, within its tolerance")
    refunds: tuple[Refund, ...] = ()
    deposit: DepositView | None = Field(None, description="Where the order needs one")
    open_amount: Decimal = Decimal(0)
    price_drift: DriftView | None = Field(None, description="Finance's prices moved between approval and order")
    rounding: RoundingDiff | None = Field(
        None, description="By how much Finance's amounts of the order differ from the approved ones; null: not at all"
    )
    exceptions: tuple[str, ...] = Field((), description="Open exceptions, e.g. ACCEPTED_AFTER_EXPIRY, in words")
    started_at: datetime
    updated_at: datetime
