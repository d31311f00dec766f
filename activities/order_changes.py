"""Changing an order in Finance: read what is left, cancel the difference, and nothing that was done before.

What is left to deliver is the only thing that is changed: what was posted stays as it is. The means is
``cancelRemainder`` of the posting service, for no entity has the column (contract, corrections B).
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
from activities.heartbeat import beating
from activities.postings import Postings
from domain.changing import cuts
from dynamics.core.errors import NotFound
from dynamics.finance.client import Finance
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
        """Cancel what is left of an order's lines; what was done before is not done again."""
        with for_deal():
            async with beating():
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
        found = order_lines(read.lines, read.rests)
        ledger = line_ledger(read, found, [line for line in found if line.line_no])
        wanted, refused = cuts(ledger, ask.lines)
        lines = _by_sequence(read, wanted)
        if lines:
            await self._finance.cancel_remainder(ask.company, number, lines)
        told = tuple(f"{violation.code}: {violation}" for violation in refused[:MOST_REFUSALS])
        return ChangedOrder(order_number=number, cancelled=sum(lines.values(), Decimal(0)), refused=told)

    async def _cancel_all(self, company: str, read: BillingRead) -> ChangedOrder:
        """Cancel all that is left, of lines that no quote has as well."""
        left = sum((rest.to_deliver for rest in read.rests.values() if rest.to_deliver > 0), Decimal(0))
        if left:
            await self._finance.cancel_remainder(company, read.header.number)
        return ChangedOrder(order_number=read.header.number, cancelled=left)


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
