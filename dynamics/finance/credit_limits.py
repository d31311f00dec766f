"""Limits beside a customer's own: one that it shares with others, and those that hold for some days only.

A temporary limit takes the place of the customer's, or the group's, while it is in force (Finance's credit limit
adjustments of the type "Temporary credit limit").
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal

from pydantic import Field

from dynamics.core.rows import Exact, FinanceDay, ReadRow


class GroupLine(ReadRow):
    """CustomerCreditGroupLines: a customer's place in a group that shares a credit limit."""

    company: str = Field(alias="Company")
    account: str = Field(alias="CustAccount")
    group: str = Field("", alias="CreditLimitId")


class TemporaryLimit(ReadRow):
    """TemporaryCreditLimits: a limit of a customer, or of a credit group, from a day to a day."""

    company: str = Field("", alias="CustAccountDataArea")
    account: str = Field("", alias="CustAccount")
    group: str = Field("", alias="CreditLimitId", description="Not empty: of a credit group, in its currency")
    begins_on: FinanceDay = Field(None, alias="FromDate")
    ends_on: FinanceDay = Field(None, alias="ToDate")
    limit: Exact = Field(alias="CreditMax")

    def in_force(self, today: date) -> bool:
        """Whether it holds on a day, its first and last included; a day that is not set bounds nothing."""
        begun = self.begins_on is None or self.begins_on <= today
        return begun and (self.ends_on is None or today <= self.ends_on)


def limit_on(today: date, usual: Decimal, temporary: Iterable[TemporaryLimit]) -> Decimal:
    """The limit of a day: the temporary one, or else the usual; of several in force the smallest."""
    return min((limit.limit for limit in temporary if limit.in_force(today)), default=usual)
