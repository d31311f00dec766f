"""What a customer paid, as Finance holds it, and what is paid back of it.

Money that came in is applied to invoices, stands unapplied as the customer's credit, or is paid back: the three come to
what was received, to the minor unit (invariant I5). What of it settled documents of other deals is told apart.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from pydantic import Field

from domain.people import Person
from domain.phrases import Phrase, money, phrase
from domain.record import Record

MOST_PAYMENTS = 100
"""Payments a deal keeps one by one; of more, those with something unapplied come first and the others are counted."""
MOST_REFUNDS = 20
"""Refunds a deal takes in its life."""


class Payment(Record):
    """A payment, or another credit of the customer, that settles a deal's invoices or was meant for one of them.

    Money is in the invoices' currency and positive.
    """

    record: int = Field(description="SysRecId of its customer transaction")
    number: str = Field(description="Its payment id in Finance, or its voucher where it has none")
    paid_on: datetime | None = None
    amount: Decimal = Field(description="What was received with it")
    applied: Decimal = Field(description="To invoices of this deal")
    unapplied: Decimal = Field(description="Settles nothing: the customer's credit")
    refunded: Decimal = Decimal(0)
    deposit: bool = Field(False, description="It names the order: a deposit of it")
    reversed: bool = Field(False, description="It bounced, or was taken back: nothing was received with it")

    @property
    def elsewhere(self) -> Decimal:
        """What of it settled other deals' documents, or differences that Finance posted."""
        return self.amount - self.applied - self.unapplied - self.refunded


class CreditSource(Record):
    """Where a customer's unapplied credit stands: a payment, or a credit note."""

    number: str
    record: int
    is_note: bool
    unapplied: Decimal
    refunded: Decimal

    @property
    def name(self) -> str:
        """The document in words."""
        return f"{'credit note' if self.is_note else 'payment'} {self.number}"


class RefundStatus(StrEnum):
    """Where a refund stands."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    PREPARED = "prepared"
    """Its line stands in a payment journal that is not posted, or somebody enters it by hand."""
    PAID = "paid"
    """Finance shows it settled against what it pays back."""
    REFUSED = "refused"
    """It could not be prepared: what it pays back is not there any more."""
    WITHDRAWN = "withdrawn"
    """The credit is left on the customer's account instead."""


ON_ITS_WAY = frozenset({RefundStatus.APPROVED, RefundStatus.PREPARED})
"""Two persons agreed, and Finance does not show it yet."""
HOLDS_CREDIT = ON_ITS_WAY | {RefundStatus.PROPOSED}
"""What nobody else may propose to pay back."""


class Refund(Record):
    """Money to be paid back to a customer; it takes two persons. Money in the deal's currency."""

    n: int
    of: str = Field(description="Number of the payment or credit note that it pays back")
    amount: Decimal
    reason: str
    proposed_by: Person
    approved_by: Person | None = None
    status: RefundStatus = RefundStatus.PROPOSED
    journal: str = Field("", description="Number of the payment journal its line was prepared in")
    note: str = Field("", description="What a person has to know of it")


def awaited(refund: Refund, currency: str) -> Phrase | None:
    """Who has to do what for a refund to go on; None: nobody."""
    n, amount = str(refund.n), money(refund.amount, currency)
    if refund.status is RefundStatus.PROPOSED:
        who = refund.proposed_by.label
        return phrase(
            "{who} proposed refund {n} of {amount}: a second person has to approve it", who=who, n=n, amount=amount
        )
    if refund.status is not RefundStatus.PREPARED:
        return None
    if not refund.journal:
        return phrase(
            "Accounts receivable posts refund {n} of {amount} in a payment journal in Finance", n=n, amount=amount
        )
    return phrase(
        "Accounts receivable posts refund {n} of {amount} in payment journal {journal} in Finance",
        n=n,
        amount=amount,
        journal=refund.journal,
    )
