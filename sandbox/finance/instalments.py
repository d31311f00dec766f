"""Payment schedules: an invoice that falls due in parts.

A schedule with specified lines gives each part a share and the periods after the due date; one with a fixed number of
payments divides the amount equally, one part a period, the first at the due date. The last part takes what rounding
leaves. Source: Microsoft Learn, "Payment schedules".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal, localcontext

from sandbox.finance.amounts import WIDE, add_months, round_money
from sandbox.finance.books import Books, Company
from sandbox.finance.receivables import Instalment
from sandbox.store import Row


def instalments(
    books: Books, company: Company, order: Row, whole: Decimal, due: date
) -> tuple[tuple[Instalment, ...], date]:
    """The parts an invoice falls due in (none where its order has no schedule), and when the last one does."""
    schedule = books.get("PaymentSchedules", company.id, order.get("PaymentScheduleName", ""))
    if schedule is None or whole <= 0:
        return (), due
    shares = _shares(books, company, schedule)
    if not shares:
        return (), due
    parts: list[Instalment] = []
    left = whole
    for position, (periods, percentage) in enumerate(shares, start=1):
        with localcontext(WIDE):
            amount = round_money(whole * percentage / 100, order["CurrencyCode"])
        amount = left if position == len(shares) else min(amount, left)
        left -= amount
        parts.append(Instalment(_later(due, periods, schedule), amount))
    return tuple(parts), max(part.due for part in parts)


def _shares(books: Books, company: Company, schedule: Row) -> Sequence[tuple[int, Decimal]]:
    """(Periods after the due date, percentage) of each part."""
    if schedule["AllocationMethod"] == "Specified":
        rows = books.find("PaymentScheduleLines", PaymentScheduleName=schedule["Name"], dataAreaId=company.id)
        rows.sort(key=lambda row: Decimal(row["LineNumber"]))
        return [(row["PeriodsAfterDueDate"], row["PercentOrAmountValue"]) for row in rows]
    count = schedule.get("NumberOfPayments", 0)
    with localcontext(WIDE):
        return [(number, Decimal(100) / count) for number in range(count)]


def _later(day: date, periods: int, schedule: Row) -> date:
    count = periods * (schedule.get("PaymentFrequency") or 1)
    units = schedule.get("PaymentFrequencyUnits", "Month")
    if units == "Day":
        return day + timedelta(days=count)
    return add_months(day, count * (12 if units == "Year" else 1))
