"""What is known and decided of a customer's credit: Finance's facts at one moment, and the answer for one order.

The rule that leads from facts to a decision is in ``domain.credit``.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from pydantic import Field

from domain.money import format_money
from domain.phrases import Phrase
from domain.record import Record


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


class Ageing(Record):
    """What a customer owes that is past its due date, incl. tax, in the currency of the credit it is told with."""

    overdue: Decimal
    oldest_days: int = Field(description="Days since the oldest of it was due")

    def text(self, currency: str) -> str:
        """In words; empty where nothing is overdue."""
        if not self.overdue:
            return ""
        days = f"{self.oldest_days} day{'s' if self.oldest_days != 1 else ''}"
        return f"{format_money(self.overdue, currency)} overdue, the oldest for {days}."


class CreditFacts(Record):
    """What Finance says of a customer's credit at one moment. Money in the customer's currency, incl. tax."""

    company: str
    customer_account: str
    customer_group: str = Field("", description="CustomerGroupId in Finance: the policy may set terms by group")
    currency: str
    as_of: datetime = Field(description="UTC, taken before the first read left")
    credit_limit: Decimal
    unlimited: bool
    excluded: bool = Field(False, description="Finance excludes the customer from credit management")
    credit_management: bool = Field(description="0.00 means no credit with it, unlimited without it")
    limit_expires_on: date | None = None
    on_hold: str = Field("No", description="OnHoldStatus symbol of CustomersV3")
    threshold_pct: Decimal = Decimal(100)
    open_ar: Decimal
    overdue_amount: Decimal = Decimal(0)
    oldest_overdue_days: int = 0
    open_orders: tuple[OpenOrder, ...] = ()
    collections_hold: str = Field("", description="Why collections hold the customer's orders; empty: they do not")
    group: str = Field("", description="These are the facts of all customers who share the limit of this credit group")

    @property
    def ageing(self) -> Ageing:
        """What is overdue."""
        return Ageing(overdue=self.overdue_amount, oldest_days=self.oldest_overdue_days)


class CreditReason(Record):
    """Why credit is refused or given, in words with numbers."""

    code: str = Field(description="OVER_LIMIT, NO_CREDIT, OVERDUE, CUSTOMER_BLOCKED, LIMIT_EXPIRED, UNLIMITED, …")
    text: str
    said: Phrase | None = Field(None, description="The text with its numbers apart, for readers of other languages")

    @classmethod
    def of(cls, code: str, said: Phrase) -> CreditReason:
        """A reason that is said in a phrase."""
        return cls(code=code, text=str(said), said=said)


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
    currency: str = Field("", description="Of all amounts here: the one in which Finance keeps the customer's credit")
    as_of: datetime
    policy_version: str
    ageing: Ageing | None = Field(None, description="What is overdue; None: decided before that was kept")

    @property
    def text(self) -> str:
        """The reasons in one line."""
        return "; ".join(reason.text for reason in self.reasons)
