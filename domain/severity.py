"""How much harm an exception does while nobody looks at it: what is at the top of a list, and how people are told.

Critical: goods or money leave, or are owed twice, that should not. High: the two systems hold different facts about
money or goods, or a sale stands still that the customer believes made. Normal: somebody has to do something in the
ordinary course. Low: good to know.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from domain.refusals import Refusal


class Severity(StrEnum):
    """How much harm it does to wait; the worst one comes first."""

    CRITICAL = "critical"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"

    @property
    def rank(self) -> int:
        """Its place in a list: 0 is the worst."""
        return _RANKS[self]


_RANKS: Final = {severity: rank for rank, severity in enumerate(Severity)}
SEVERITIES: Final[dict[Refusal, Severity]] = {
    **dict.fromkeys(
        (
            Refusal.SHIPPED_WHILE_HELD,
            Refusal.CREDIT_REFUSED,
            Refusal.ORDER_IN_FINANCE,
            Refusal.SECOND_SALES_ORDER,
            Refusal.ORDER_WITHOUT_DEAL,
            Refusal.DEPOSIT_REVERSED,
            Refusal.SALES_ORDER_CANCELLED,
            Refusal.REFUND_ABOVE_CREDIT,
        ),
        Severity.CRITICAL,
    ),
    **dict.fromkeys(
        (
            Refusal.NOT_SUBMITTED,
            Refusal.ACCEPTED_WITHOUT_APPROVAL,
            Refusal.ACCEPTED_AFTER_EXPIRY,
            Refusal.WON_IN_SALES,
            Refusal.LEFT_OPEN,
            Refusal.OVER_DELIVERY,
            Refusal.OVER_INVOICED,
            Refusal.OVER_RETURN,
            Refusal.OVER_CREDITED,
            Refusal.UNKNOWN_LINE,
            Refusal.LINE_CHANGED,
            Refusal.CHANGE_FAILING,
            Refusal.NOT_CONFIRMED,
            Refusal.PAYMENT_REVERSED_AFTER_END,
            Refusal.INVOICE_AFTER_END,
            Refusal.ORDER_CANCELLED_AFTER_END,
            Refusal.NO_DEAL,
            Refusal.CREDIT_NOT_RESERVED,
            Refusal.CREDIT_GROUP_DIFFERS,
        ),
        Severity.HIGH,
    ),
    **dict.fromkeys(
        (
            Refusal.ACTIVATED_WITHOUT_APPROVAL,
            Refusal.OPPORTUNITY_REOPENED,
            Refusal.SALES_NOT_TOLD,
            Refusal.DEPOSIT_OVERDUE,
            Refusal.CHANGE_REFUSED,
            Refusal.LARGER_NOT_APPROVED,
            Refusal.LARGER_NO_CREDIT,
            Refusal.UNAPPLIED_CREDIT,
            Refusal.CREDIT_NOTE_AFTER_END,
            Refusal.NOT_SHOWN_AFTER_END,
            Refusal.NOTHING_TO_COMPARE,
            Refusal.CREDIT_OF_NO_DEAL,
            Refusal.CREDIT_COUNTED_TWICE,
            Refusal.CREDIT_AMOUNT_DIFFERS,
        ),
        Severity.NORMAL,
    ),
    **dict.fromkeys(
        (
            Refusal.BELOW_SHIPPED,
            Refusal.PRICE_FELL,
            Refusal.OPPORTUNITY_REOPENED_AFTER_END,
            Refusal.QUOTE_CHANGED_AFTER_END,
        ),
        Severity.LOW,
    ),
}
"""Of every code that an exception can have."""


def worst(codes: Iterable[str]) -> Severity:
    """The severity of what is an instance of these codes; a code this version does not know is normal."""
    known = (Refusal.of(code) for code in codes)
    found = (SEVERITIES.get(code, Severity.NORMAL) if code else Severity.NORMAL for code in known)
    return min(found, key=lambda severity: severity.rank, default=Severity.NORMAL)


def severity_of(exceptions: str) -> Severity:
    """The severity of exceptions in words, each line ``CODE: what was found``."""
    return worst(line.split(":")[0] for line in exceptions.splitlines())


def worst_first(exceptions: Iterable[str]) -> tuple[str, ...]:
    """Exceptions in words with the worst in front; equal ones as they came."""
    return tuple(sorted(exceptions, key=lambda text: severity_of(text).rank))
