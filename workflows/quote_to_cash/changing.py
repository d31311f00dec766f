"""An order that is not wanted any more, or not all of it: Finance is told until it takes it, then read, then believed.

What was done to make the order is undone backwards: Finance's order first; when Finance shows it cancelled, the deal
ends, the customer's credit is given back, and the order in Sales is cancelled (``closing``). A try that fails is an
open exception, and is tried again forever, by itself, by a person, or when Finance posted something.
"""

from __future__ import annotations

from temporalio import workflow

from activities.change_signatures import ChangeOrder, OrderChangeActivities, SalesChangeActivities, ShowCancelling
from domain import order_change_facts
from domain.changing import OrderChange
from domain.deal_state import DealState, OrderStatus
from runs import names
from workflows.quote_to_cash.background import Background, Part
from workflows.quote_to_cash.record import DealRecord
from workflows.quote_to_cash.steps import Failure, Steps
from workflows.quote_to_cash.waiting import Waiting


class Changing:
    """Changes one deal's order."""

    def __init__(self, record: DealRecord, waiting: Waiting, steps: Steps, background: Background) -> None:
        """Work for the deal of ``record``."""
        self._record = record
        self._waiting = waiting
        self._steps = steps
        self._background = background

    def start(self) -> None:
        """Begin to try again what did not succeed, whatever else the deal waits for meanwhile."""
        self._background.start(Part.CHANGE, self._keep_trying)

    async def carry_out(self) -> None:
        """Try the change that is due, once."""
        state = self._record.state
        change = state.changing
        if change is None:
            return
        made = await self._steps.attempt(
            OrderChangeActivities.change_order,
            _asked(state, change),
            queue=names.FINANCE_QUEUE,
            summary=f"Cancel order {state.order_number}" if change.is_whole else f"Change order {state.order_number}",
        )
        if isinstance(made, Failure):
            failed = order_change_facts.OrderChangeFailed(
                lines=change.lines, cause=made.cause, message=made.message, at=workflow.now()
            )
            self._record.apply(failed)
            await self._show(change)
        elif made.absent:
            self._record.apply(order_change_facts.OrderAbsent(order_number=made.order_number))
        else:
            done = order_change_facts.OrderChangeMade(
                lines=change.lines, order_number=made.order_number, cancelled=made.cancelled, refused=made.refused
            )
            self._record.apply(done)

    async def _show(self, change: OrderChange) -> None:
        """Have Sales show that the order is being cancelled, where Finance did not take it at once; once, if it can."""
        state = self._record.state
        if change.failures or not (change.is_whole and state.sales_order_id):
            return
        failure = await self._steps.try_once(
            SalesChangeActivities.show_cancelling,
            ShowCancelling(quote_id=state.quote_id),
            queue=names.DATAVERSE_QUEUE,
            summary="Show in Sales that the order is being cancelled",
        )
        if failure:
            workflow.logger.info("Sales does not show that the order is being cancelled: %s", failure)

    async def undo_creation(self) -> None:
        """Cancel an order of which it is not known whether it was made: until it is found and cancelled, or proved
        absent.

        Raises:
            Ended: it is absent, so that the deal is over.
        """
        while self._record.state.order is OrderStatus.CREATING:
            await self._waiting.turn()
            if self._record.state.change_due:
                await self.carry_out()
            else:
                await self._waiting.until(lambda: self._record.state.change_due)

    async def _keep_trying(self) -> None:
        record = self._record
        while True:
            await workflow.wait_condition(lambda: _rests(record.state) is not None)
            change = _rests(record.state)
            if change is None or change.retry_at is None:
                continue
            pause = max((change.retry_at - workflow.now()).total_seconds(), 0)
            await workflow.sleep(pause, summary="Change the order in Finance again")
            if _rests(record.state) == change:
                record.apply(order_change_facts.OrderChangeDue(reason="time has passed"))


def _rests(state: DealState) -> OrderChange | None:
    """The change of the order that rests until it is tried again."""
    change = state.changing
    return change if state.running and change is not None and change.retry_at is not None else None


def _asked(state: DealState, change: OrderChange) -> ChangeOrder:
    return ChangeOrder(
        company=state.company,
        order_number=state.order_number,
        lines=change.lines,
        probe=state.order is OrderStatus.CREATING,
    )
