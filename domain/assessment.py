"""What is found when a quote is looked at: validity, Finance's prices, who must approve, whether there is credit.

These are results, small enough for a workflow's history: totals, counts and hashes. The lines stay in Sales and are
read again, by hash, where they are needed.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from pydantic import Field

from domain.approvals import ApprovalPlan, AskedTerms, LineFinding
from domain.credit_facts import CreditDecision, CreditFacts
from domain.customers import UnknownCustomer
from domain.deposits import DepositDue
from domain.people import Person
from domain.phrases import Phrase
from domain.price_look import PinnedPrices, PriceDrift, PriceLook, blocked_items
from domain.quote_header import QuoteHeader
from domain.record import Record


class Problem(Record):
    """Why a quote cannot be taken, naming the field and what to do about it."""

    code: str = Field(description="NO_LINES, BAD_QTY, NO_PRICE, CURRENCY_MISMATCH, CUSTOMER_UNMAPPED, …")
    field: str
    message: str
    said: Phrase | None = Field(None, description="The message with its numbers apart, for readers of other languages")

    @classmethod
    def of(cls, code: str, field: str, said: Phrase) -> Problem:
        """A problem that is said in a phrase."""
        return cls(code=code, field=field, message=str(said), said=said)


class DealPolicy(Record):
    """What of the policy a running deal itself needs, pinned when its quote was assessed."""

    version: str = ""
    over_delivery_pct: Decimal = Field(Decimal(0), description="How much more than ordered may be shipped, per cent")
    release_valid_days: int = Field(5, description="How long a release of a credit hold lasts unless said")
    release_deviation_pct: Decimal = Field(Decimal(0), description="By how much an order may exceed a release")
    rechecks_credit: bool = Field(
        False, description="Credit of a confirmed order is looked at again until all of it is shipped"
    )
    deposit: DepositDue | None = Field(None, description="What the order needs before it is released; None: nothing")
    told: tuple[str, ...] = Field((), description="What anybody is told of (``domain.notices.Kind``); none: nothing")


class QuoteAssessment(QuoteHeader):
    """A submitted quote, read from Sales, compared with Finance and the policy."""

    problems: tuple[Problem, ...] = Field((), description="Not empty: the quote goes back to the rep")
    stale: str = Field("", description="Not empty: nobody asks for approval of the quote any more, and why")
    state: str = Field("draft", description="draft, active or won: the quote in Sales when it was read")
    accepted_at: datetime | None = Field(None, description="UTC, where it was won when it was read")
    credit_account: str = Field("", description="Invoice account: who is billed, and whose credit the order takes")
    exchange_rate: str = Field("", description="Finance's rate into its own currency, in words; empty: the same")
    payment_terms: str = ""
    owner: Person
    submitted_by: Person | None = None
    makers: tuple[Person, ...] = Field(
        (),
        description="Who else made it: submitted, created, edited or assigned it, in this revision or an earlier one",
    )
    makers_known: bool = Field(False, description="Sales' audit tells all of them; else those who were seen")
    opportunity_id: str | None = None
    requested_delivery: date | None = Field(None, description="When the customer wants it; None: as soon as possible")
    price_hash: str = Field("", description="Hash of the Finance prices the assessment is pinned to")
    pinned: PinnedPrices | None = Field(None, description="What the quote is pinned to until its order")
    expires_at: datetime | None = Field(None, description="UTC end of the expiry date in the company's time zone")
    plan: ApprovalPlan | None = None
    terms: AskedTerms | None = Field(None, description="What the steps of the plan are asked about")
    deal_policy: DealPolicy = DealPolicy()
    soft_credit: CreditDecision | None = None
    total_differs: str = Field("", description="How Finance's total differs from the quoted one, in words")
    unknown_customer: UnknownCustomer | None = Field(None, description="Where the account has no number of Finance")


class QuoteInSales(Record):
    """Where a quote stands in Sales, read at one moment."""

    state: Literal["draft", "active", "won", "closed", "gone"] = Field(description="gone: it was deleted")
    accepted_at: datetime | None = Field(None, description="UTC, where it is won")


class OrderReadiness(Record):
    """An accepted quote, read again from Sales and Finance just before the order.

    Credit is asked for only where the quote is won with the approved content and every product can be sold.
    """

    snapshot_hash: str
    state: str = Field(description="draft, active, won or closed")
    accepted_at: datetime | None = None
    total: Decimal
    credit: CreditFacts
    decision: CreditDecision | None = Field(None, description="None where credit was not asked for: see the rest")
    credit_amount: Decimal = Field(description="What it takes of credit, in the currency of `credit`")
    price_hash: str
    drift: tuple[PriceDrift, ...] = Field((), description="At most twenty; lines that cannot be sold come first")
    blocked_lines: int = Field(0, description="Lines whose product can no longer be sold")
    look: PriceLook | None = Field(None, description="What moved of Finance's prices; None: not looked at")
    existing_order: bool = Field(False, description="Finance already has an order under our key")
    sales_order_id: str | None = None
    more_sales_orders: tuple[str, ...] = Field((), description="Other orders in Sales made from the quote, by number")
    differences: tuple[str, ...] = Field((), description="Fields that differ from the approved content, in words")

    @property
    def blocked(self) -> str:
        """Items that can no longer be sold, in words; empty where all can."""
        return blocked_items(self.drift, self.blocked_lines)


class RivalQuote(Record):
    """Another quote of the same opportunity."""

    quote_number: str
    revision: int
    name: str = ""
    state: str = Field(description="draft, active, won or closed in Sales")
    net: Decimal = Field(description="Before tax, freight included, in its currency")
    currency: str


class Attachment(Record):
    """A file on the quote in Sales. Its content stays there."""

    name: str
    size: int = Field(description="Bytes")
    subject: str = Field("", description="Title of the note it hangs on")
    added_by: str = ""
    added_on: datetime | None = None


class ReviewLines(Record):
    """Lines of a quote for a person who decides, a page at a time, and what else Sales says of it."""

    justification: str = Field("", description="What the rep wrote in the quote's description")
    rivals: tuple[RivalQuote, ...] | None = Field(
        None, description="Other quotes of its opportunity, with the first page of lines; null: not read"
    )
    attachments: tuple[Attachment, ...] | None = Field(
        None, description="The newest files on the quote, with the first page of lines; null: not read"
    )

    snapshot_hash: str
    total_lines: int
    offset: int
    lines: tuple[LineFinding, ...]
