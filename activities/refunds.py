"""Refunds in Finance: a line in a customer payment journal that people post there.

No standard OData action posts a journal, and money that leaves the house is posted by people anyway: what is made here
is a draft. The line carries the deal's mark of the refund as its payment reference and names what it pays back, so it
is found before it is made, and two deals cannot have the same money paid back twice.
"""

from __future__ import annotations

from decimal import Decimal

from temporalio import activity

from activities.failures import for_deal
from activities.refund_signatures import PreparedRefund, PrepareRefund, RefundActivities
from domain.money import format_money
from domain.policy import Policy
from dynamics.finance.refunds import RefundLine, Refunds


class FinanceRefundActivities(RefundActivities):
    """The activity on Finance's queue."""

    def __init__(self, refunds: Refunds, policy: Policy) -> None:
        """Prepare refunds through a client of Finance, in the journals that the rules in force name."""
        self._refunds = refunds
        self._policy = policy

    @activity.defn(name="prepare_refund")
    async def prepare_refund(self, ask: PrepareRefund) -> PreparedRefund:
        """Find the line, or make it where what it pays back is still unapplied. Nothing is posted."""
        name = self._policy.entity_map.refund_journals.get(ask.company, "")
        with for_deal():
            source = await self._refunds.source(ask.company, ask.record)
            if source is None:
                return PreparedRefund(refused=f"Finance has no {ask.of} any more")
            lines = await self._refunds.lines(ask.company, source.account, ask.of)
            found = next((line for line in lines if line.reference == ask.mark), None)
            if found is not None:
                return PreparedRefund(journal=found.journal)
            waiting = sum((line.amount for line in lines if not line.posted), Decimal(0))
            left = -source.open_amount - waiting
            if ask.amount > left:
                text = f"{format_money(max(left, Decimal(0)), ask.currency)} of {ask.of} are left to pay back"
                return PreparedRefund(refused=text)
            if not name:
                return PreparedRefund()
            line = RefundLine(
                mark=ask.mark,
                account=source.account,
                of=ask.of,
                is_note=ask.is_note,
                amount=ask.amount,
                currency=ask.currency,
            )
            return PreparedRefund(journal=await self._refunds.prepare(ask.company, name, line))
