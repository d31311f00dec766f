"""Changing an order in Finance: read what is left, cancel or raise by the difference, and nothing that was done before.

What is left to deliver is the only thing that is changed: what was posted stays as it is. Less is ordered by
``cancelRemainder`` of the posting service, for no entity has the column (contract, corrections B); more by the ordered
quantity of the line, and the order is confirmed again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from temporalio import activity

from activities.billing_view import line_ledger, order_lines
from activities.change_signatures import ChangedOrder, ChangeOrder, OrderChangeActivities
from activities.failures import for_deal
from activities.finance import PROBE_AGAIN_SECONDS
from activities.postings import Postings
from domain.changing import cuts
from domain.growing import is_larger
from domain.lines import LineLedger
from domain.refusals import Refusal
from dynamics.core.errors import NotFound, Refused
from dynamics.finance.client import Finance
from dynamics.finance.orders import RaisedBy
from dynamics.finance.records import BillingRead, FinanceOrder, OrderLine

MOST_REFUSALS: Final = 20
"""Parts of a change that could not be and are told one by one."""


class FinanceOrderChanges(OrderChangeActivities):
    """The changes of orders on Finance's queue."""

    def __init__(self, finance: Finance, postings: Postings, *, probe_again: float = PROBE_AGAIN_SECONDS) -> None:
        """Bring the clients together.

        Args:
            finance: Client of Finance.
            postings: Reads what Finance posted.
            probe_again: Seconds between the two looks that prove an order absent.
        """
        self._finance = finance
        self._postings = postings
        self._probe_again = probe_again

    @activity.defn(name="change_order")
    async def change_order(self, ask: ChangeOrder) -> ChangedOrder:
        """Cancel what is left of an order's lines, or raise them; what was done before is not done again."""
        with for_deal():
            if not ask.probe:
                return await self._change(ask, ask.order_number)
            found = await self._look_twice(ask.company, ask.order_number)
            if found is None:
                return ChangedOrder(order_number=ask.order_number, absent=True)
            if not found.lines:
                await self._finance.orders.delete_empty(found.header)
                return ChangedOrder(order_number=found.header.number, absent=True)
            return await self._change(ask, found.header.number)

    async def _look_twice(self, company: str, key: str) -> FinanceOrder | None:
        """The order made under our key; None only where it is absent twice, with a pause for one that is on its way."""
        found = await self._finance.orders.find(company, key)
        if found is None:
            await asyncio.sleep(self._probe_again)
            found = await self._finance.orders.find(company, key)
        return found

    async def _change(self, ask: ChangeOrder, number: str) -> ChangedOrder:
        try:
            read = await self._postings.read(ask.company, number)
        except NotFound:
            if ask.lines:
                raise
            return ChangedOrder(order_number=number, absent=True)
        if not ask.lines:
            return await self._cancel_all(ask.company, read)
        raised = await self._raise(ask, read)
        if raised:
            read = await self._postings.read(ask.company, number)
        wanted, refused = cuts(_ledger(read), ask.lines)
        lines = _by_sequence(read, wanted)
        if lines:
            await self._finance.cancel_remainder(ask.company, number, lines)
        told = [f"{violation.code}: {violation}" for violation in refused[:MOST_REFUSALS]]
        confirmation = ""
        if ask.raised:
            confirmation, why_not = await self._confirm(ask.company, number)
            told += why_not
        return ChangedOrder(
            order_number=number,
            cancelled=sum(lines.values(), Decimal(0)),
            raised=raised,
            confirmation_number=confirmation,
            refused=tuple(told),
        )

    async def _raise(self, ask: ChangeOrder, read: BillingRead) -> Decimal:
        """Raise the lines that may become larger, all together; by how much."""
        ledger = {line.line_no: line for line in _ledger(read)}
        found = []
        for wanted in ask.raised:
            line = ledger.get(wanted.line_no)
            row = next((row for row in read.lines if row.line_number == wanted.line_no), None)
            if line is None or row is None or not is_larger(line, wanted.quantity):
                continue
            more = wanted.quantity - (line.ordered - line.cancelled)
            found.append((row, RaisedBy(more, wanted.discount_per_unit, wanted.charges, is_priced=not line.invoiced)))
        if found:
            await self._finance.orders.raise_lines(ask.company, found)
        return sum((by.more for _, by in found), Decimal(0))

    async def _confirm(self, company: str, number: str) -> tuple[str, list[str]]:
        """Confirm the larger order: its number, or why Finance does not.

        Where its own credit management holds the order, that is read with it, and a credit manager releases it here.
        """
        try:
            return await self._finance.confirm_order(company, number), []
        except Refused as refusal:
            if await self._finance.in_credit_hold(company, number):
                return "", []
            return "", [f"{Refusal.NOT_CONFIRMED}: order {number} is larger, and was not confirmed again: {refusal}"]

    async def _cancel_all(self, company: str, read: BillingRead) -> ChangedOrder:
        """Cancel all that is left, of lines that no quote has as well."""
        left = sum((rest.to_deliver for rest in read.rests.values() if rest.to_deliver > 0), Decimal(0))
        if left:
            await self._finance.cancel_remainder(company, read.header.number)
        return ChangedOrder(order_number=read.header.number, cancelled=left)


def _ledger(read: BillingRead) -> tuple[LineLedger, ...]:
    """The order's lines that the deal knows, as Finance holds them."""
    found = order_lines(read.lines, read.rests)
    return line_ledger(read, found, [line for line in found if line.line_no])


def _by_sequence(read: BillingRead, wanted: Mapping[int, Decimal]) -> dict[int, Decimal]:
    """What is to be cancelled by Finance's own numbers of the lines; one that stands there twice gives what it has."""
    cut: dict[int, Decimal] = {}
    left = dict(wanted)
    for line in read.lines:
        still = min(left.get(line.line_number, Decimal(0)), _remaining(read, line))
        if still > 0:
            cut[line.sequence] = still
            left[line.line_number] -= still
    return cut


def _remaining(read: BillingRead, line: OrderLine) -> Decimal:
    rest = read.rests.get(line.lot)
    return rest.to_deliver if rest else Decimal(0)
