"""What is found when a quote is looked at: validity, Finance's prices, who must approve, whether there is credit.

These are results, small enough for a workflow's history: totals, counts and hashes. The lines stay in Sales and are
read again, by hash, where they are needed.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from pydantic import Field

from domain.approvals import ApprovalPlan, LineFinding
from domain.people import Person
from domain.record import Record


class Problem(Record):
    """Why a quote cannot be taken, naming the field and what to do about it."""

    code: str = Field(description="NO_LINES, BAD_QTY, NO_PRICE, CURRENCY_MISMATCH, CUSTOMER_UNMAPPED, …")
    field: str
    message: str


class CreditStatus(StrEnum):
    """Where the credit decision of a deal stands (lifecycle 2.4)."""

    NOT_CHECKED = "not_checked"
    CHECKING = "checking"
    PASSED = "passed"
    HELD = "held"
    RELEASED = "released"
    REJECTED = "rejected"


class OpenOrder(Record):
    """An order in Finance that is not fully invoiced."""

    order_number: str
    amount: Decimal = Field(description="Value not yet invoiced, incl. tax and charges, in the customer's currency")
    estimated: bool = Field(False, description="Finance had not calculated the totals: tax estimated from the policy")


class CreditFacts(Record):
    """What Finance says of a customer's credit at one moment. Money in the customer's currency, incl. tax."""

    company: str
    customer_account: str
    customer_group: str = Field("", description="CustomerGroupId in Finance: the policy may set terms by group")
    currency: str
    as_of: datetime = Field(description="UTC, taken before the first read left")
    credit_limit: Decimal
    unlimited: bool
    credit_management: bool = Field(description="0.00 means no credit with it, unlimited without it")
    limit_expires_on: date | None = None
    on_hold: str = Field("No", description="OnHoldStatus symbol of CustomersV3")
    threshold_pct: Decimal = Decimal(100)
    open_ar: Decimal
    overdue_amount: Decimal = Decimal(0)
    oldest_overdue_days: int = 0
    open_orders: tuple[OpenOrder, ...] = ()


class CreditReason(Record):
    """Why credit is refused or given, in words with numbers."""

    code: str = Field(description="OVER_LIMIT, NO_CREDIT, OVERDUE, CUSTOMER_BLOCKED, LIMIT_EXPIRED, UNLIMITED, …")
    text: str


class CreditDecision(Record):
    """The credit rule applied to facts, reservations and one order (lifecycle 4.2)."""

    passed: bool
    reasons: tuple[CreditReason, ...] = ()
    exposure: Decimal = Field(description="Incl. this order, counted once")
    limit: Decimal = Field(description="limit x threshold")
    over_by: Decimal = Field(Decimal(0), description="0 where the limit is not what refuses")
    open_ar: Decimal
    open_orders: Decimal
    reservations: Decimal
    this_order: Decimal
    as_of: datetime
    policy_version: str

    @property
    def text(self) -> str:
        """The reasons in one line."""
        return "; ".join(reason.text for reason in self.reasons)


class DealPolicy(Record):
    """What of the policy a running deal itself needs, pinned when its quote was assessed."""

    version: str = ""
    over_delivery_pct: Decimal = Field(Decimal(0), description="How much more than ordered may be shipped, per cent")
    release_valid_days: int = Field(5, description="How long a release of a credit hold lasts unless said")
    release_deviation_pct: Decimal = Field(Decimal(0), description="By how much an order may exceed a release")


class QuoteAssessment(Record):
    """A submitted quote, read from Sales and held against Finance."""

    problems: tuple[Problem, ...] = Field((), description="Not empty: the quote goes back to the rep")
    stale: str = Field("", description="Not empty: the quote is not a draft asking for approval any more, and why")
    company: str
    quote_number: str
    quote_id: str
    revision: int
    name: str = ""
    customer_account: str = ""
    customer_name: str = ""
    currency: str = ""
    payment_terms: str = ""
    owner: Person
    submitted_by: Person | None = None
    opportunity_id: str | None = None
    net: Decimal = Decimal(0)
    tax: Decimal = Decimal(0)
    total: Decimal = Decimal(0)
    list_net: Decimal = Decimal(0)
    discount_pct: Decimal = Decimal(0)
    margin_pct: Decimal = Decimal(0)
    line_count: int = 0
    snapshot_hash: str = ""
    price_hash: str = Field("", description="Hash of the Finance prices the assessment is pinned to")
    expires_at: datetime | None = Field(None, description="UTC end of the expiry date in the company's time zone")
    plan: ApprovalPlan | None = None
    deal_policy: DealPolicy = DealPolicy()
    soft_credit: CreditDecision | None = None


class PriceDrift(Record):
    """A line whose Finance price is not what it was when the quote was approved."""

    line_no: int
    item: str
    pinned: Decimal
    current: Decimal
    blocked: bool = False


class OrderReadiness(Record):
    """An accepted quote, read again from Sales and Finance just before the order."""

    snapshot_hash: str
    state: str = Field(description="draft, active, won or closed")
    accepted_at: datetime | None = None
    total: Decimal
    credit: CreditFacts
    price_hash: str
    drift: tuple[PriceDrift, ...] = ()
    existing_order: bool = Field(False, description="Finance already has an order under our key")
    sales_order_id: str | None = None
    differences: tuple[str, ...] = Field((), description="Fields that differ from the approved content, in words")


class ReviewLines(Record):
    """Lines of a quote for a person who decides, a page at a time."""

    snapshot_hash: str
    total_lines: int
    offset: int
    lines: tuple[LineFinding, ...]
