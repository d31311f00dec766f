"""What workflows may ask of the outside world: names, queues, inputs and results.

Workflows import this module and those named ``…_signatures``, and nothing else of the room, so that no HTTP client is
ever loaded into a workflow. The implementations subclass these classes (``activities.sales``, ``activities.finance``,
``activities.credit``, ``activities.decisions``); the type checker sees that none leaves one out.

Every activity is idempotent: it may run again after a crash at any point, with the same argument. Each takes one
record and returns one. Failures are ``ApplicationError`` whose ``type`` is the class of ``FailureType``.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Protocol

from pydantic import Field

from activities.declaring import declares_activities
from domain.assessment import OrderReadiness, QuoteAssessment, QuoteInSales
from domain.audit import AuditBatch, AuditReceipt
from domain.causes import Cause
from domain.collections import InvoicesShown
from domain.credit import ReleaseToken
from domain.credit_facts import CreditFacts, CreditReason
from domain.credit_groups import GroupCredit
from domain.delegations import Delegations
from domain.fulfilment import Billing, Invoice, LineTotals
from domain.messages import (
    SignedMessage,
    VerifiedMessage,
)
from domain.price_look import PinnedPrices, Tier
from domain.record import Record
from domain.rounding import RoundingDiff

FailureType = Cause
"""The ``type`` of an ``ApplicationError`` an activity raises."""


class QuoteRef(Record):
    """A revision of a quote in Sales."""

    company: str
    quote_number: str
    quote_id: str
    revision: int


class AssessQuote(Record):
    """Look at a submitted quote."""

    quote: QuoteRef
    deal_id: str
    submitted_by: str = Field("", description="Dataverse's id of the user who asked for approval; empty: not known")
    marked_over: str = Field("", description="Approval status that the deal itself wrote over the request since")


class ReadQuote(Record):
    """Look where a quote stands in Sales."""

    quote: QuoteRef


class MarkQuote(Record):
    """Tell the rep in Sales where approval and credit of the quote stand."""

    quote: QuoteRef
    approval_status: str = Field(description="none, requested, pending, approved or rejected")
    reason: str = ""
    deal_id: str
    credit_status: str | None = Field(None, description="notchecked, passed, held, released; None leaves it")
    ordered: bool = Field(False, description="There is an order already: how far it is stays as Sales shows it")


class CloseQuote(Record):
    """Close a quote in Sales."""

    quote: QuoteRef
    reason: str = Field(description="expired, lost or cancelled")
    text: str


class PrepareOrder(Record):
    """Look at an accepted quote again, just before its order: content, prices, and whether the order exists.

    Credit is reserved for it, where nothing else is in its way.
    """

    quote: QuoteRef
    approved_hash: str
    price_hash: str
    order_number: str
    customer_account: str
    credit_account: str = Field(description="Who is billed, and whose credit the order takes")
    deal_id: str
    release: ReleaseToken | None = Field(None, description="A credit manager's release of this deal's hold")
    pinned: PinnedPrices | None = Field(None, description="What the quote was approved at; None: not known any more")
    tiers: tuple[Tier, ...] = Field((), description="Levels that were asked to approve it")
    expires_at: datetime | None = Field(None, description="End of the quote's validity, UTC")
    submitted_by: str = Field("", description="Dataverse's id of the user who submitted it; empty: not known")


class CreateOrder(Record):
    """Create the order in Finance, once."""

    quote: QuoteRef
    approved_hash: str
    order_number: str = Field(description="The client's key: Q2C-…; at most 20 characters")
    customer_account: str
    probe: bool = Field(False, description="An earlier attempt may have succeeded: look before writing")
    absent_at: datetime | None = Field(None, description="UTC: when Finance was last seen to have no such order")
    facts_as_of: datetime | None = Field(None, description="UTC: of the facts on which credit was given")
    given: str = Field("", description="Number of an order that two people say is this one; nothing is made then")
    confirm: bool = Field(False, description="Nothing has to come between: confirm it at once, where Finance does")
    release_reason: str = Field("", description="Of the confirmation: a person released the credit hold, and why")


class Confirmation(Record):
    """The order's confirmation."""

    confirmation_number: str
    beyond: str = Field("", description="Not empty: Finance confirms it no more, because somebody did this with it")


class CreatedOrder(Record):
    """The order Finance holds under our key."""

    too_old: str = Field("", description="Not empty: nothing was made, because credit rests on facts this old")
    order_number: str
    found: bool = Field(description="It was there already: an earlier attempt had succeeded")
    lines: LineTotals
    net: Decimal
    rounding_difference: Decimal = Field(Decimal(0), description="Finance's net less the quote's, within tolerance")
    rounding: RoundingDiff | None = Field(None, description="Where Finance's amounts differ at all, within tolerance")
    confirmation: Confirmation | None = Field(None, description="None: to be confirmed, or not known whether it is")


class ConfirmOrder(Record):
    """Confirm the order in Finance."""

    company: str
    order_number: str
    release_reason: str = Field("", description="Not empty: a person released the credit hold, and why")
    probe: bool = Field(False, description="An earlier attempt may have succeeded: look before posting")


class RecordOrder(Record):
    """Write the order back to Sales and win the opportunity."""

    quote: QuoteRef
    sales_order_id: str | None
    order_number: str
    opportunity_id: str | None
    revenue: Decimal = Field(description="Net of the order, in the quote's currency")
    credit_status: str


class RecordedOrder(Record):
    """The salesorder in Sales that mirrors the Finance order."""

    sales_order_id: str
    notes: tuple[str, ...] = Field((), description="What Sales would not take along, in words for a person")


class RecordShipment(Record):
    """Write what was shipped to Sales."""

    sales_order_id: str
    complete: bool
    slips: tuple[str, ...]
    short: bool = Field(False, description="Nothing more is shipped: the rest was cancelled")
    invoiced: bool = Field(False, description="Nothing is left to invoice either")
    returned: tuple[str, ...] = Field((), description="Those of the slips with which goods came back")


class CancelSalesOrder(Record):
    """Cancel the order in Sales, because it was cancelled in Finance."""

    sales_order_id: str
    order_number: str


class BillingRef(Record):
    """Whose packing slips, invoices and settlements to read."""

    company: str
    order_number: str
    quote: QuoteRef
    approved_hash: str
    ordered: str = Field(description="Digest of the order's lines as they were made; others were changed in Finance")
    over_delivery_pct: Decimal = Field(Decimal(0), description="How much more than ordered may be shipped, per cent")
    invoices: tuple[str, ...] = Field((), description="Invoices known or told of: what is open on them is read at once")
    records: tuple[int, ...] = Field(
        (), description="Of invoices and credit notes known before, in Finance's sub-ledger"
    )
    payments: tuple[int, ...] = Field((), description="Records of payments known before")
    payments_told: tuple[str, ...] = Field((), description="Payments that were told of since, by payment id")
    deposit: bool = Field(False, description="The order needs one: payments that name the order are read as well")


class RecordInvoice(Record):
    """Write posted invoices to Sales; their lines are read from Finance, and compared by hash."""

    company: str
    sales_order_id: str
    quote_id: str
    order_number: str
    invoices: tuple[Invoice, ...]
    order_invoiced: bool = Field(description="Nothing of the order is left to invoice")
    order_paid: bool = Field(False, description="Nothing of the order is left to pay")
    shipment: RecordShipment | None = Field(None, description="Shipped, and not shown in Sales yet; None: nothing")
    collect: InvoicesShown | None = Field(None, description="What the account that is billed is told; None: nothing")


class RecordPayment(Record):
    """Write what is still open on each invoice to Sales."""

    sales_order_id: str
    invoices: tuple[Invoice, ...]
    order_paid: bool
    collect: InvoicesShown | None = Field(None, description="As ``RecordInvoice.collect``")


class Nothing(Record):
    """An activity that returns nothing returns this, so that fields can be added later."""


class ReserveCredit(Record):
    """Ask the customer's ledger for credit for one order."""

    company: str
    customer_account: str
    deal_id: str
    order_number: str
    amount: Decimal = Field(description="Order total incl. tax and charges, in the customer's currency")
    facts: CreditFacts
    release: ReleaseToken | None = Field(None, description="A credit manager's release of this deal's hold")
    queues: bool = Field(True, description="Whether it waits for credit that is refused")
    follows: bool = Field(False, description="Its order is confirmed: it looks again whenever credit becomes less")
    raised: tuple[CreditReason, ...] = Field((), description="In what the terms are better than the customer's own")
    group: GroupCredit | None = Field(None, description="The credit that the customer shares with others")


class WakeDeals(Record):
    """Held deals whose credit may have come free."""

    deals: dict[str, str] = Field(description="Why, by workflow id")
    nonce: str = Field(description="The same for every try, so that a deal is woken once")


class AskEnded(Record):
    """Deals of which a ledger has not heard for long."""

    deal_ids: tuple[str, ...]


class EndedDeals(Record):
    """Those of the deals asked for that do not run any more."""

    deal_ids: tuple[str, ...]


@declares_activities
class SalesActivities(Protocol):
    """Dynamics 365 Sales (task queue q2c-dataverse)."""

    async def mark_quote(self, mark: MarkQuote) -> Nothing:
        """Write approval and credit status of a quote. Never creates a quote."""

    async def read_quote(self, ask: ReadQuote) -> QuoteInSales:
        """Read where a quote stands; one that was deleted is gone."""

    async def close_quote(self, close: CloseQuote) -> Nothing:
        """Close an open quote; a quote already closed is left as it is."""

    async def record_order(self, order: RecordOrder) -> RecordedOrder:
        """Write the Finance order number to the salesorder (made from the quote if need be), win the opportunity."""

    async def record_shipment(self, shipment: RecordShipment) -> Nothing:
        """Say that the order was shipped, in part or completely, or that goods came back."""

    async def cancel_sales_order(self, cancel: CancelSalesOrder) -> Nothing:
        """Cancel the order in Sales; one that is cancelled already, or was deleted, is left as it is."""

    async def record_invoice(self, invoice: RecordInvoice) -> Nothing:
        """Write copies of posted invoices, each once."""

    async def record_payment(self, payment: RecordPayment) -> Nothing:
        """Write open amounts and payment status of invoices."""


@declares_activities
class FinanceActivities(Protocol):
    """Dynamics 365 Finance (task queue q2c-finance).

    Those that need a quote's lines read them from Sales by hash; lines never travel through a workflow.
    """

    async def assess_quote(self, ask: AssessQuote) -> QuoteAssessment:
        """Read the quote from Sales and its prices from Finance; validate, price, run the matrix, look at credit."""

    async def prepare_order(self, ask: PrepareOrder) -> OrderReadiness:
        """Read the accepted quote, current prices and fresh credit facts, and ask the customer's ledger for credit."""

    async def create_order(self, ask: CreateOrder) -> CreatedOrder:
        """Create the order with all lines in one change set, or find the one an earlier attempt made."""

    async def confirm_order(self, ask: ConfirmOrder) -> Confirmation:
        """Post the confirmation; one that is posted is answered. A release reaches the order in either case."""

    async def read_billing(self, ask: BillingRef) -> Billing:
        """Read packing slips, invoices and what is open on them."""


@declares_activities
class CreditActivities(Protocol):
    """A customer's credit ledger, which looks after its deals (task queue q2c)."""

    async def wake_deals(self, wake: WakeDeals) -> EndedDeals:
        """Ask held deals to look at credit again; those that have ended are answered."""

    async def find_ended(self, ask: AskEnded) -> EndedDeals:
        """Look which of the deals do not run any more."""


class Proofs(Record):
    """Signed messages, the ids of the workflows they may have been signed for, and the company these belong to."""

    messages: tuple[SignedMessage, ...]
    audiences: tuple[str, ...]
    company: str
    counted: bool = Field(
        False, description="They were checked when they came and counted: that they have expired since changes nothing"
    )
    with_delegations: bool = Field(False, description="Somebody may be asked next: tell who stands in for whom")


class Verified(Record):
    """What the messages say, in the order asked."""

    said: tuple[VerifiedMessage, ...]
    delegations: Delegations | None = Field(None, description="As just read; None: not wanted, or not readable now")


@declares_activities
class DecisionActivities(Protocol):
    """Proof of who said what (task queue q2c)."""

    async def verify_messages(self, proofs: Proofs) -> Verified:
        """Check signature, audience and expiry of each message, and look up what its person may do."""


@declares_activities
class AuditActivities(Protocol):
    """The audit store (task queue q2c)."""

    async def record_audit(self, batch: AuditBatch) -> AuditReceipt:
        """Store a batch of records for good; the same batch again changes nothing."""
