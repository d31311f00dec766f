"""Money that is paid back: prepared in Finance once two persons agreed, and posted there by people."""

from __future__ import annotations

from activities.refund_signatures import PreparedRefund, PrepareRefund, RefundActivities
from domain import facts
from domain.money import format_money
from domain.payments import Refund
from runs import names
from workflows.quote_to_cash.record import DealRecord
from workflows.quote_to_cash.steps import Steps


class Refunding:
    """Prepares one deal's refunds."""

    def __init__(self, record: DealRecord, steps: Steps) -> None:
        """Prepare them for the deal of ``record``."""
        self._record = record
        self._steps = steps

    async def prepare(self) -> None:
        """Have the refund that is due stand in a payment journal; a person who skips the step enters it by hand."""
        refund = self._record.state.refund_due
        if refund is None:
            return
        amount = format_money(refund.amount, self._record.state.header.currency)
        done = await self._steps.run(
            RefundActivities.prepare_refund,
            lambda: self._ask(refund),
            queue=names.FINANCE_QUEUE,
            summary=f"Prepare refund {refund.n} of {amount} in Finance",
            skipped=PreparedRefund(),
        )
        self._record.apply(facts.RefundPrepared(n=refund.n, journal=done.journal, refused=done.refused))

    def _ask(self, refund: Refund) -> PrepareRefund:
        state = self._record.state
        sources = (source for source in state.delivery.credit_sources if source.number == refund.of)
        source = next(sources, None)
        return PrepareRefund(
            company=state.company,
            mark=self._record.refund_key(refund.n),
            of=refund.of,
            is_note=source is not None and source.is_note,
            record=source.record if source else 0,
            amount=refund.amount,
            currency=state.header.currency,
        )
