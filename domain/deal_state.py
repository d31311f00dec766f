"""What a deal knows of itself, and what follows from that alone; what changes it is in ``domain.deal``.

What Finance holds is read whole and takes the place of what was read before, so that a document told twice, late or out
of order leaves the same state (invariant I13).

The state is a frozen dataclass and not a ``Record``: mypy checks ``domain.frozen.replace`` field by field.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import takewhile

from domain.approvals import ApprovalStatus
from domain.assessment import DealPolicy, QuoteAssessment
from domain.causes import Cause
from domain.changing import OrderChange
from domain.credit import ReleaseToken
from domain.credit_facts import CreditDecision, CreditStatus
from domain.customers import CustomerWork, UnknownCustomer
from domain.delivered import Delivery, ShippedInSales
from domain.fulfilment import Invoice
from domain.order_stop import OrderStop
from domain.payments import Refund, RefundStatus
from domain.price_look import DriftDecision, PriceLook
from domain.quote_header import QuoteHeader
from domain.reapproval import PastRequest
from domain.record import Record
from domain.rounding import RoundingDiff
from domain.views import ApprovalSummary, Ending, OpenQuestion, ParkedStep, Resolution, Stage


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
    CLOSED_SHORT = "closed_short"
    """Closed, and not all of it was shipped: the rest was cancelled."""
    CANCELLED = "cancelled"
    CANCELLING = "cancelling"
    """Shown while an order is being cancelled: Finance did not say so yet."""
    COMPENSATING = "compensating"
    """Shown while that does not succeed: it is tried again, and a person may help."""


class SalesDue(StrEnum):
    """What Sales has to be told when a deal has ended here."""

    NOTHING = ""
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    LET_GO = "let_go"
    """The quote stays open and nobody looks at it any more: the rep may ask for approval anew."""
    ORDER_CANCELLED = "order_cancelled"
    """The order was cancelled in Finance: Sales cancels its order as well."""


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


@dataclass(frozen=True, kw_only=True)
class DealState:
    """All that a deal knows of itself. Money in the quote's currency, moments in UTC.

    Attributes:
        active: the rep activated the current revision.
        resubmitted: submitted again while a decision stands: to be looked at.
        submitted_by: Dataverse's id of the user who submitted it last; empty where Sales did not say.
        past_requests: what was asked for before, and who approved it: it may cover what is asked next.
        expiry_due: the quote's validity has passed; whether it was accepted in time is to be read in Sales.
        customer: what a person decided about a customer that Finance does not know, until it is done.
        customer_note: why that could not be done.
        marked: the approval status of the quote as Sales shows it.
        marked_question: the open questions as Sales shows them.
        asked: what approvers asked the rep and wait for.
        marked_over: what this deal wrote there after the quote was submitted again: its answer to what came before,
            which hides the new request; empty: it wrote nothing since.
        recheck_told: how often another look at credit was asked for.
        recheck_covered: how many of those times the last reading of Finance answers.
        release_asked: a release of the hold that waits for a second person.
        release_due: a hold that Finance placed after the confirmation is released here: Finance is to be told.
        credit_looked_at: when credit of the confirmed order was decided last, UTC; None: not since it was given.
        stop: whether the confirmed order is kept from the warehouse, because it was refused credit.
        shown_hold: why it is held, as Sales shows it; empty: it does not.
        drift: what was found when Finance's prices had moved since the approval; None: they have not.
        drift_decision: what somebody said about it, where it held the deal.
        order_absent_at: when Finance was seen to have no order under this deal's key; None: it was not.
        order_put_off: no order was begun, because credit rested on old facts: it is checked again after a pause.
        rounding: by how much Finance's amounts of the order differ from the approved ones; None: not at all.
        ordered_digest: of the order's lines as they were made: where Finance holds others, somebody changed them.
        billing_told: how often something was told of packing slips, invoices and payments.
        billing_read: how many of those times Finance has been read for.
        changing: what a person wants changed of the order, until Finance shows it.
        deposit_since: since when the order waits for its deposit; None: it did not begin to.
        deposit_late: the deposit was overdue, and somebody was told.
        finance_read_at: when the order was last read in Finance, or made there.
        invoices_told: numbers of invoices that were told of since Finance was read; 50 at most.
        payments_told: ids of payments that were told of since, likewise.
        refunds: what is to be paid back, in the order in which it was proposed.
        credit_kept: the unapplied credit that was left on the customer's account.
        credit_since: since when a credit that nobody decided about is all that is left; None: there is none.
        shown_slips: packing slips that Sales shows.
        shown_shipped: how much of the shipment Sales shows.
        shown_ordered: quantities of the order that Sales shows to differ from its lines.
        shown_paid: Sales shows that nothing of the order is open any more.
        shown_invoices: invoices that Sales shows, with the open amount it shows.
        park_count: how often each activity was parked.
        resolution: what a person said about the step that was parked last.
        given: the value with which people say that step has ended, until it is proved; empty: none.
        sales_due: what Sales has to be told of the ending.
        given_up: the deal has ended, and a person ended the clean-up that was left.
    """

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
    active: bool = False
    accepted: bool = False
    resubmitted: bool = False
    submitted_by: str = ""
    expiry_due: bool = False
    approvals: tuple[ApprovalSummary, ...] = ()
    approval_text: str = ""
    past_requests: tuple[PastRequest, ...] = ()
    customer: CustomerWork | None = None
    customer_note: str = ""
    marked: str = ""
    marked_over: str = ""
    marked_question: str = ""
    asked: tuple[OpenQuestion, ...] = ()
    credit_decision: CreditDecision | None = None
    credit_checks: int = 0
    recheck_told: int = 0
    recheck_covered: int = 0
    release_asked: ReleaseToken | None = None
    release: ReleaseToken | None = None
    release_due: bool = False
    credit_looked_at: datetime | None = None
    stop: OrderStop = OrderStop.NONE
    shown_hold: str = ""
    drift: PriceLook | None = None
    drift_decision: DriftDecision | None = None
    order_absent_at: datetime | None = None
    order_put_off: bool = False
    order_number: str = ""
    confirmation_number: str = ""
    sales_order_id: str = ""
    order_net: Decimal = Decimal(0)
    rounding_difference: Decimal = Decimal(0)
    rounding: RoundingDiff | None = None
    ordered_digest: str = ""
    delivery: Delivery = field(default_factory=Delivery)
    changing: OrderChange | None = None
    billing_told: int = 0
    billing_read: int = 0
    deposit_since: datetime | None = None
    deposit_late: bool = False
    finance_read_at: datetime | None = None
    invoices_told: frozenset[str] = frozenset()
    payments_told: frozenset[str] = frozenset()
    refunds: tuple[Refund, ...] = ()
    credit_kept: Decimal = Decimal(0)
    credit_since: datetime | None = None
    shown_slips: frozenset[str] = frozenset()
    shown_shipped: ShippedInSales = ShippedInSales.NOTHING
    shown_ordered: tuple[str, ...] = ()
    shown_paid: bool = False
    shown_invoices: dict[str, Decimal] = field(default_factory=dict)
    parked: ParkedStep | None = None
    park_count: dict[str, int] = field(default_factory=dict)
    resolution: Resolution | None = None
    given: str = ""
    sales_due: SalesDue = SalesDue.NOTHING
    credit_given_back: bool = False
    given_up: bool = False
    outage: Outage | None = None
    exceptions: tuple[str, ...] = ()
    started_at: datetime
    updated_at: datetime
    waiting_since: datetime

    @property
    def policy(self) -> DealPolicy:
        """What of the policy is pinned; the default before the quote was assessed."""
        return self.assessment.deal_policy if self.assessment else DealPolicy()

    @property
    def header(self) -> QuoteHeader:
        """The quote as it was read last; before that, which quote it is."""
        return self.assessment or QuoteHeader(
            company=self.company, quote_number=self.quote_number, quote_id=self.quote_id, revision=self.revision
        )

    @property
    def credit_account(self) -> str:
        """Whose credit the order takes: the account that is billed; empty before the quote was assessed."""
        found = self.assessment
        return (found.credit_account or found.customer_account) if found else ""

    @property
    def promised_at(self) -> datetime:
        """What the customer waits for is due then, UTC: on the day they asked for, else since the deal began."""
        wanted = self.assessment.requested_delivery if self.assessment else None
        return datetime.combine(wanted, time.min, UTC) if wanted else self.started_at

    @property
    def running(self) -> bool:
        """The deal has not ended."""
        return self.ending is Ending.RUNNING

    @property
    def won(self) -> bool:
        """Approved content was accepted: credit and order come next."""
        return self.accepted and bool(self.approved_hash)

    @property
    def stuck_without_approval(self) -> bool:
        """Won in Sales, and nobody is asked for the approval it needs: a person has to say how it goes on."""
        unapproved = (QuoteStatus.REJECTED, QuoteStatus.INVALID, QuoteStatus.WITHDRAWN, QuoteStatus.SUPERSEDED)
        return self.accepted and not self.approved_hash and self.quote in unapproved

    @property
    def unknown_customer(self) -> UnknownCustomer | None:
        """The customer that Finance does not know, while a person has to say how it goes on; None: nothing is asked."""
        asked = self.running and self.quote is QuoteStatus.INVALID and self.customer is None
        return self.assessment.unknown_customer if asked and self.assessment else None

    @property
    def may_order(self) -> bool:
        """Approved content was accepted, and credit was given (I7, I10)."""
        return self.won and self.running and self.credit in (CreditStatus.PASSED, CreditStatus.RELEASED)

    @property
    def open_request(self) -> ApprovalSummary | None:
        """The request for approval that has not ended; there is one at most."""
        last = self.approvals[-1] if self.approvals else None
        return last if last is not None and last.status is ApprovalStatus.PENDING else None

    @property
    def questions(self) -> tuple[OpenQuestion, ...]:
        """What approvers of the open request ask the rep and wait for, one per step at most."""
        asks = self.quote is QuoteStatus.PENDING_APPROVAL or self.asks_for_more
        request = self.open_request if asks else None
        return tuple(question for question in self.asked if request is not None and question.n == request.n)

    @property
    def requests_lost(self) -> int:
        """How many requests for this revision ended without an answer since the last that was answered."""
        ended = (request.status for request in reversed(self.approvals) if request.revision == self.revision)
        return sum(1 for _ in takewhile(lambda status: status is ApprovalStatus.LOST, ended))

    @property
    def held_by_finance(self) -> bool:
        """Finance's own credit management holds the order, and a credit manager has to release or refuse it."""
        return bool(self.hold_text)

    @property
    def hold_text(self) -> str:
        """What Finance says of its hold on the order; empty where nobody has to decide about one.

        At its confirmation Finance refuses it; later the hold is read with packing slips and invoices, as long as there
        is something left to post.
        """
        if self.parked is not None:
            return self.parked.message if self.parked.cause == Cause.CREDIT_HOLD else ""
        lines = self.delivery.lines
        decided = self.release_due or self.credit is CreditStatus.REJECTED
        if not self.running or decided or not self.delivery.hold or not (lines.to_ship or lines.to_invoice):
            return ""
        return f"entry {self.delivery.hold} of the credit management hold list"

    @property
    def cancelling(self) -> bool:
        """A person wants the order cancelled as far as it is not shipped, and Finance does not show it yet."""
        return self.running and self.changing is not None and self.changing.is_whole

    @property
    def asks_for_more(self) -> bool:
        """Approvers are asked about a larger order, and it waits for them."""
        change, request = self.changing, self.open_request
        return change is not None and request is not None and change.request == request.n

    @property
    def request_over(self) -> bool:
        """A request for approval is open that nobody waits for: the larger order is not wanted any more."""
        return self.open_request is not None and self.order is not OrderStatus.NONE and not self.asks_for_more

    @property
    def beyond_recall(self) -> bool:
        """No command here can undo what is left of the order: all of it is shipped or cancelled in Finance, or Finance
        does not take its change. The deal follows it, unless a person ends that.
        """
        if not self.running or self.order is OrderStatus.NONE:
            return False
        gone = self.delivery.cancelled or (bool(self.confirmation_number) and not self.delivery.lines.to_ship)
        return gone or (self.changing is not None and bool(self.changing.failure))

    @property
    def change_due(self) -> bool:
        """A change of the order is to be tried in Finance now."""
        return self.running and self.changing is not None and self.changing.is_due

    @property
    def shown_order(self) -> OrderStatus:
        """Where the order stands, as it is shown: one that is being cancelled is not called by what it was."""
        if not self.cancelling or self.changing is None:
            return self.order
        return OrderStatus.COMPENSATING if self.changing.failure else OrderStatus.CANCELLING

    @property
    def error(self) -> str:
        """The cause for which a person is asked, as lists show it; empty: none is, or a credit manager is."""
        if self.parked is not None:
            return "" if self.held_by_finance else self.parked.cause
        return self.changing.cause if self.running and self.changing is not None else ""

    @property
    def awaits_credit(self) -> bool:
        """The quote is accepted, and credit is not given yet."""
        return self.won and self.running and self.order is OrderStatus.NONE and not self.may_order

    @property
    def recheck_due(self) -> bool:
        """Another look at credit was asked for after Finance was read."""
        return self.recheck_told > self.recheck_covered

    @property
    def billing_unread(self) -> bool:
        """What is known of invoices and payments is old."""
        return self.billing_told > self.billing_read

    @property
    def unrecorded_slips(self) -> tuple[str, ...]:
        """Packing slips Sales does not show yet, in the order they were told."""
        return tuple(slip for slip in self.delivery.slips if slip not in self.shown_slips)

    @property
    def shipment_unrecorded(self) -> bool:
        """Sales shows a packing slip too few, or not how much is shipped now: somebody cancelled or corrected."""
        shown = self.shown_shipped
        return bool(self.unrecorded_slips) or (bool(shown) and shown is not self.delivery.in_sales)

    @property
    def ordered_unrecorded(self) -> bool:
        """Sales does not show in which quantities Finance has the order: its lines there stay as they were sold."""
        return self.delivery.lines.changes != self.shown_ordered

    @property
    def unrecorded_invoices(self) -> tuple[Invoice, ...]:
        """Invoices Sales does not show yet."""
        return tuple(i for number, i in self.delivery.invoices.items() if number not in self.shown_invoices)

    @property
    def unrecorded_payments(self) -> tuple[Invoice, ...]:
        """Invoices whose open amount in Sales is not Finance's."""
        return tuple(
            invoice
            for number, invoice in self.delivery.invoices.items()
            if self.shown_invoices.get(number, invoice.open_amount) != invoice.open_amount
        )

    @property
    def payment_unrecorded(self) -> bool:
        """Sales does not show what is open now, or that nothing is open any more."""
        return bool(self.unrecorded_payments) or (self.delivery.paid_up and not self.shown_paid)

    @property
    def deposit_missing(self) -> Decimal:
        """What of the deposit that the order needs is not there; zero where it needs none."""
        due = self.policy.deposit
        return due.missing(self.delivery.deposits) if due is not None else Decimal(0)

    @property
    def deposit_holds(self) -> bool:
        """The order is not confirmed, because its deposit is not there; once all is shipped nothing is left to hold."""
        gone = self.delivery.any_shipped and not self.delivery.lines.to_ship
        return self.running and self.order is OrderStatus.CREATED and bool(self.deposit_missing) and not gone

    @property
    def deposit_due_at(self) -> datetime | None:
        """Until when the deposit is to be there, UTC; None: none is waited for."""
        due = self.policy.deposit
        return self.deposit_since + timedelta(days=due.due_days) if due and self.deposit_since else None

    @property
    def credit_undecided(self) -> bool:
        """Nothing is left to pay, or the order was cancelled, and more was paid or credited than that: somebody decides
        what becomes of it.
        """
        return (self.delivery.paid_up or self.delivery.cancelled) and self.delivery.unapplied > self.credit_kept

    @property
    def refund_due(self) -> Refund | None:
        """The refund that two persons agreed on and that is to be prepared in Finance."""
        return next((refund for refund in self.refunds if refund.status is RefundStatus.APPROVED), None)

    @property
    def settled(self) -> bool:
        """Shipped, invoiced, credited, paid, and Sales shows all of it (lifecycle 2.9); what was paid beyond it is
        decided about.
        """
        unshown = self.shipment_unrecorded or self.unrecorded_invoices or self.payment_unrecorded
        undone = self.billing_unread or unshown or self.credit_undecided or self.refund_due
        return self.delivery.paid_up and not undone
