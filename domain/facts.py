"""What can happen to a deal: each fact names one thing that is true from now on. The rules of its part follow it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from pydantic import Field

from domain.approvals import ApprovalPlan, ApprovalState
from domain.assessment import OrderReadiness, QuoteAssessment, QuoteInSales
from domain.credit import ReleaseToken
from domain.credit_facts import CreditDecision
from domain.credit_recheck_facts import RecheckFact
from domain.customer_setup_facts import CustomerFact
from domain.deposit_facts import DepositFact
from domain.fulfilment import Billing, LineTotals
from domain.given_facts import ValueGiven
from domain.messages import AskedNow, Reminding
from domain.order_change_facts import ChangeFact
from domain.people import Person
from domain.price_look import PriceLook
from domain.reapproval import GivenApproval
from domain.record import Record
from domain.rounding import RoundingDiff
from domain.views import ParkedStep, Resolution


class Submitted(Record):
    """The rep asked for approval of a draft revision."""

    revision: int
    quote_id: str
    by: str = Field("", description="Dataverse's id of the user who did; empty where Sales did not say")


class Assessed(Record):
    """The submitted revision was read, validated and priced, and the discount matrix was applied."""

    assessment: QuoteAssessment
    asked: str = Field(description="Id of the quote that was to be read; a revision submitted meanwhile has another")


class ApprovalAsked(Record):
    """A request for approval was opened."""

    n: int
    at: datetime = Field(description="UTC")
    plan: ApprovalPlan


class ApprovalReused(Record):
    """Nobody is asked: earlier approvals of the deal cover every step that is needed."""

    plan: ApprovalPlan


class ApprovalEnded(Record):
    """A request for approval came to its end, whichever."""

    n: int
    result: ApprovalState
    given: tuple[GivenApproval, ...] = Field((), description="The steps people approved, proved by their signatures")


class ApprovalLost(Record):
    """A request for approval ended without an answer: terminated, cancelled or failed in Temporal."""

    n: int
    at: datetime = Field(description="UTC")
    reason: str


class ApproverReminded(Record):
    """Who is asked was reminded that much of the time is over."""

    n: int
    reminding: Reminding


class ApproversAsked(Record):
    """Others are asked than before, or more."""

    n: int
    asked: AskedNow


class StepReassigned(Record):
    """A person had a step of a request asked of somebody else."""

    n: int
    step: int
    to: Person
    added: bool = Field(description="Besides those who are asked; else in their place")
    reason: str


class QuestionAsked(Record):
    """An approver wants to know something from the rep before deciding."""

    n: int
    step: int
    by: Person
    question: str
    at: datetime = Field(description="UTC")

    @property
    def reason(self) -> str:
        """In the person's own words, for the audit."""
        return self.question


class QuestionAnswered(Record):
    """The rep answered."""

    n: int
    step: int
    answer: str

    @property
    def reason(self) -> str:
        """In the person's own words, for the audit."""
        return self.answer


class QuestionClosed(Record):
    """The step was decided before its question was answered."""

    n: int
    step: int


class AssessmentDue(Record):
    """A person wants the quote looked at again, and approval asked for as it is now."""

    reason: str


class QuoteMarked(Record):
    """Sales shows where the approval of the quote stands."""

    status: str
    question: str = Field("", description="The open question that it shows; empty: none")


class Activated(Record):
    """The rep activated the quote: it is with the customer."""

    revision: int


class Accepted(Record):
    """The quote was won: the customer accepted it."""

    revision: int
    at: datetime = Field(description="UTC moment of the acceptance in Sales")


class Revised(Record):
    """The quote was closed to be revised; a new revision will be submitted."""

    revision: int


class Withdrawn(Record):
    """The request for approval was taken back."""

    revision: int
    reason: str
    in_sales: bool = Field(False, description="By the rep in Sales, which shows it already")


class QuoteLost(Record):
    """The quote or its opportunity was lost."""

    reason: str


class QuoteCancelled(Record):
    """The deal was called off before there was an order."""

    reason: str
    in_sales: bool = Field(False, description="The quote was closed in Sales, which shows it already")


class RunCancelled(Record):
    """The run was cancelled in Temporal."""


class ExpiryDue(Record):
    """The last moment of the quote's validity has passed; whether it was accepted in time is asked of Sales."""


class ExpiryChecked(Record):
    """Sales was read after the quote's validity had passed."""

    found: QuoteInSales


class SalesTold(Record):
    """Sales shows how the deal ended."""


class SalesNotTold(Record):
    """Sales could not be told how the deal ended, and nobody waits for it."""

    reason: str


class CreditGivenBack(Record):
    """The customer's ledger was told that the deal needs no credit any more."""


class Prepared(Record):
    """The accepted quote was read again, with prices and credit."""

    readiness: OrderReadiness
    covers: int = Field(description="How often another look had been asked for when the reading began")


class PricesMoved(Record):
    """Finance's prices are not those that the quote was approved at, or are so again."""

    look: PriceLook


class CreditDecided(Record):
    """The ledger decided credit."""

    decision: CreditDecision


class CreditRecheckDue(Record):
    """Credit may be free now: to be looked at again."""

    reason: str


class CreditReleased(Record):
    """A credit manager released the hold."""

    release: ReleaseToken
    role: str = Field("", description="By which it counts; empty where nobody said it")
    currency: str = Field("", description="In which Finance keeps the customer's credit")


class ReleaseAsked(Record):
    """A person asked for a release of the hold that is above their own limit: a second person has to ask as well."""

    release: ReleaseToken
    role: str = Field("", description="By which it counts; empty where nobody said it")
    currency: str = Field("", description="In which Finance keeps the customer's credit")


class CreditRejected(Record):
    """A credit manager refused credit for good."""

    reason: str


class OrderStarted(Record):
    """From now on an order may exist in Finance, whatever we hear."""

    order_number: str


class OrderPutOff(Record):
    """Finance has no order, and the facts that credit was given on have become too old to make one."""

    why: str


class OrderCreated(Record):
    """Finance holds the order with all its lines."""

    order_number: str
    lines: LineTotals
    net: Decimal
    currency: str = Field("", description="Of the net amount")
    rounding_difference: Decimal
    rounding: RoundingDiff | None = None
    at: datetime = Field(description="UTC")


class OrderConfirmed(Record):
    """Finance confirmed the order."""

    confirmation_number: str
    beyond: str = Field("", description="Not empty: somebody did this with the order, and Finance confirms it no more")


class OrderRecorded(Record):
    """Sales shows the order."""

    sales_order_id: str
    notes: tuple[str, ...] = Field((), description="What Sales would not take along, in words")


class SalesOrderCancelled(Record):
    """Somebody cancelled the order in Sales."""


class OtherSalesOrders(Record):
    """Which orders Sales has of the quote beside the deal's own; none: those there were are cancelled."""

    numbers: tuple[str, ...]


class OpportunityReopened(Record):
    """Somebody reopened the opportunity in Sales."""


class BillingChanged(Record):
    """Finance posted a packing slip or an invoice, or a payment came or went: what is known of them is old."""

    text: str
    invoice: str = Field("", description="Number of the invoice that was posted, to be read with the next look")
    payment: str = Field("", description="Id of the payment that was posted or reversed, likewise")
    order: bool = Field(False, description="The order itself was changed: it may take more credit")


class BillingRead(Record):
    """Packing slips, invoices and open amounts were read from Finance."""

    billing: Billing
    at: datetime = Field(description="UTC")
    covers: int = Field(description="How often a change had been told when the reading began; later ones are unread")


class ShipmentRecorded(Record):
    """Sales shows these packing slips."""

    slips: tuple[str, ...]


class InvoicesRecorded(Record):
    """Sales shows these invoices, with these open amounts (invoice number → amount)."""

    open_amounts: dict[str, Decimal]
    paid: bool = Field(False, description="And that nothing of the order is left to pay")


class PaymentsRecorded(Record):
    """Sales shows these open amounts (invoice number → amount)."""

    open_amounts: dict[str, Decimal]


class RefundProposed(Record):
    """A person proposes to pay money back to the customer; a second one has to approve it."""

    of: str = Field(description="Number of the payment or credit note")
    amount: Decimal
    currency: str
    reason: str
    by: Person
    role: str = Field("", description="By which it counts")


class RefundApproved(Record):
    """A second person approves a refund."""

    n: int
    reason: str
    by: Person
    amount: Decimal
    currency: str
    role: str = Field("", description="By which it counts")


class RefundPrepared(Record):
    """The line of a refund stands in a payment journal that is not posted, or why it does not."""

    n: int
    journal: str = Field("", description="Empty: it has to be entered by hand")
    refused: str = Field("", description="Why it is not to be paid back any more; empty: it is")


class CreditKept(Record):
    """A person leaves the unapplied credit on the customer's account."""

    reason: str
    by: Person


class StepParked(Record):
    """A step failed for good and waits for a person."""

    parked: ParkedStep


class StepResumed(Record):
    """A person said how a parked step goes on."""

    action: Resolution
    reason: str
    by: Person | None = Field(None, description="Who said it; None where the deal itself did")


class StepOvertaken(Record):
    """What happened meanwhile made a step that waited needless."""

    step: str


class Unreachable(Record):
    """A system does not answer; the step goes on by itself when it does."""

    system: str
    since: datetime
    message: str


class Reachable(Record):
    """The system answers again."""

    system: str


class Refused(Record):
    """A message was not accepted: nothing changes, but it is written down."""

    message_id: str
    what: str
    code: str
    detail: str = ""


QuoteFact = (
    Submitted
    | Assessed
    | ApprovalAsked
    | ApprovalReused
    | ApprovalEnded
    | ApprovalLost
    | ApproverReminded
    | ApproversAsked
    | StepReassigned
    | QuestionAsked
    | QuestionAnswered
    | QuestionClosed
    | AssessmentDue
    | QuoteMarked
    | Activated
    | Accepted
    | Revised
    | Withdrawn
    | QuoteLost
    | QuoteCancelled
    | ExpiryDue
    | ExpiryChecked
)
CreditFact = Prepared | PricesMoved | CreditDecided | CreditRecheckDue | ReleaseAsked | CreditReleased | CreditRejected
OrderFact = (
    OrderStarted
    | OrderPutOff
    | OrderCreated
    | OrderConfirmed
    | OrderRecorded
    | SalesOrderCancelled
    | OtherSalesOrders
    | OpportunityReopened
)
DeliveryFact = BillingChanged | BillingRead | ShipmentRecorded | InvoicesRecorded | PaymentsRecorded
RefundFact = RefundProposed | RefundApproved | RefundPrepared | CreditKept
ClosingFact = RunCancelled | SalesTold | SalesNotTold | CreditGivenBack
StepFact = StepParked | StepResumed | StepOvertaken | Unreachable | Reachable | ValueGiven
Fact = (
    QuoteFact
    | CustomerFact
    | CreditFact
    | RecheckFact
    | OrderFact
    | DeliveryFact
    | DepositFact
    | ChangeFact
    | RefundFact
    | ClosingFact
    | StepFact
    | Refused
)


@dataclass(frozen=True, kw_only=True)
class Event:
    """A fact with its circumstances: when (UTC), and who made it true."""

    at: datetime
    actor: Person
    fact: Fact
