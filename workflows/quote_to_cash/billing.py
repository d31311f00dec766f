"""Reading what Finance holds of one deal's order: its lines, documents, payments and deposits, all at one moment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow

from activities.signatures import BillingRef, FinanceActivities
from domain import facts
from domain.rules.delivery import takes_less_credit
from runs import names
from workflows.quote_to_cash.ledger import tell_credit_freed
from workflows.quote_to_cash.record import DealRecord
from workflows.quote_to_cash.steps import Steps
from workflows.quote_to_cash.waiting import Waiting

TOGETHER = timedelta(seconds=2)
"""How long a deal that is told several things at once waits for more before it reads Finance."""


class Billing:
    """Reads one deal's order."""

    def __init__(self, record: DealRecord, waiting: Waiting, steps: Steps) -> None:
        """Read for the deal of ``record``."""
        self._record = record
        self._waiting = waiting
        self._steps = steps

    async def read(self, overtaken: Callable[[], bool]) -> None:
        """Read once for all that was told; where more than one thing was, what is on its way is given time to come.

        Raises:
            Overtaken: ``overtaken`` came true before it succeeded.
        """
        state = self._record.state
        if state.billing_told - state.billing_read > 1:
            together = workflow.now() + TOGETHER
            await self._waiting.until(lambda: False, deadline=together, summary="More may be on its way")
        covers = self._record.state.billing_told
        billing = await self._steps.run(
            FinanceActivities.read_billing,
            self._asked,
            queue=names.FINANCE_QUEUE,
            summary="Read packing slips, invoices and settlements",
            overtaken=overtaken,
        )
        before = self._record.state.delivery
        self._record.apply(facts.BillingRead(billing=billing, covers=covers, at=workflow.now()))
        if self._record.state.running and takes_less_credit(before, self._record.state.delivery):
            await tell_credit_freed(self._record, f"order {self._record.state.order_number} is smaller than it was")

    def _asked(self) -> BillingRef:
        state = self._record.state
        return BillingRef(
            company=state.company,
            order_number=state.order_number,
            quote=self._record.quote,
            approved_hash=state.approved_hash,
            ordered=state.ordered_digest,
            over_delivery_pct=state.policy.over_delivery_pct,
            invoices=tuple(sorted({*state.delivery.invoices, *state.invoices_told})),
            records=tuple(sorted({i.record for i in state.delivery.invoices.values()} - {0})),
            payments=tuple(payment.record for payment in state.delivery.payments),
            payments_told=tuple(sorted(state.payments_told)),
            deposit=state.policy.deposit is not None,
        )
