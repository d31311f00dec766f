"""Credit of a confirmed order: looked at again until all of it is shipped, and the order held where there is none."""

from __future__ import annotations

from collections.abc import Callable

from temporalio import workflow

from activities.credit_recheck_signatures import CreditRecheckActivities, RecheckCredit, StopOrder
from activities.signatures import MarkQuote, Nothing, SalesActivities
from domain import credit_recheck_facts as facts
from domain.credit_following import hold_to_show, stop_due
from domain.order_stop import OrderStop
from runs import names
from workflows.quote_to_cash.record import DealRecord
from workflows.quote_to_cash.steps import Steps
from workflows.steps import URGENT


class Recheck:
    """Looks at credit again for one deal."""

    def __init__(self, record: DealRecord, steps: Steps, overtaken: Callable[[], bool]) -> None:
        """Work for the deal of ``record``, until ``overtaken`` says that something else comes first."""
        self._record = record
        self._steps = steps
        self._overtaken = overtaken

    async def decide(self) -> None:
        """Have credit decided on what Finance says now.

        Raises:
            Overtaken: the order is changed first.
        """
        covers = self._record.state.recheck_told
        found = await self._steps.run(
            CreditRecheckActivities.recheck_credit,
            self._question,
            queue=names.FINANCE_QUEUE,
            summary=f"Look at credit of order {self._record.state.order_number} again",
            priority=URGENT,
            overtaken=self._overtaken,
        )
        self._record.apply(facts.CreditRechecked(decision=found.decision, covers=covers, at=workflow.now()))

    def _question(self) -> RecheckCredit:
        state = self._record.state
        return RecheckCredit(
            company=state.company,
            customer_account=state.header.customer_account,
            credit_account=state.credit_account,
            deal_id=self._record.deal_id,
            order_key=self._record.order_number,
            currency=state.header.currency,
            release=state.release,
        )

    async def stop(self) -> None:
        """Keep the order from the warehouse, or let it go on; a stop of somebody else's is left.

        Raises:
            Overtaken: the order is changed first, or stands as it should by now.
        """
        stop = not self._record.state.stop
        found = OrderStop.NONE
        if self._record.state.stop is not OrderStop.FOUND:
            done = await self._steps.run(
                CreditRecheckActivities.stop_order,
                lambda: StopOrder(
                    company=self._record.state.company,
                    order_number=self._record.state.order_number,
                    stop=stop,
                    probe=self._record.is_in_doubt("stop_order"),
                ),
                queue=names.FINANCE_QUEUE,
                summary=f"{'Keep from' if stop else 'Give'} the warehouse order {self._record.state.order_number}",
                priority=URGENT,
                overtaken=lambda: self._overtaken() or not stop_due(self._record.state),
            )
            found = done.stop
        self._record.apply(facts.OrderStopped(stop=found))

    async def show(self) -> None:
        """Have Sales show why the order is held, or that it is not any more.

        Raises:
            Overtaken: the order is changed first.
        """
        text = hold_to_show(self._record.state)
        await self._steps.run(
            SalesActivities.mark_quote,
            lambda: MarkQuote(
                quote=self._record.quote,
                approval_status="approved",
                reason=text or "Shipment",
                deal_id=self._record.deal_id,
                credit_status=str(self._record.state.credit),
                ordered=True,
            ),
            queue=names.DATAVERSE_QUEUE,
            summary="Show in Sales why the order is held" if text else "Show in Sales that the order is not held",
            overtaken=self._overtaken,
            skipped=Nothing(),
        )
        self._record.apply(facts.HoldShown(text=text))
