"""An order that is not wanted any more, not all of it, or more of it: Finance is told until it takes it, then believed.

What was done to make the order is undone backwards: Finance's order first; when Finance shows it cancelled, the deal
ends, the customer's credit is given back, and the order in Sales is cancelled (``closing``). A try that fails is an
open exception, and is tried again forever, by itself, by a person, or when Finance posted something.

More of it is looked at first: approvers are asked where the order as it would be needs them, credit is reserved for the
difference, and only then Finance is told. Whatever says no ends the change, and the order stays.
"""

from __future__ import annotations

from temporalio import workflow

from activities.change_signatures import (
    ChangeOrder,
    LargerOrderActivities,
    LookAtLarger,
    OrderChangeActivities,
    SalesChangeActivities,
    ShowCancelling,
)
from domain import order_change_facts
from domain.changing import ChangeStep, OrderChange
from domain.credit_parts import part_of
from domain.deal_state import DealState, OrderStatus
from runs import names
from workflows.quote_to_cash.background import Background, Part
from workflows.quote_to_cash.ledger import tell_ledger
from workflows.quote_to_cash.record import DealRecord
from workflows.quote_to_cash.request import Request
from workflows.quote_to_cash.steps import Failure, Steps
from workflows.quote_to_cash.waiting import Waiting


class Changing:
    """Changes one deal's order."""

    def __init__(
        self, record: DealRecord, waiting: Waiting, steps: Steps, background: Background, request: Request
    ) -> None:
        """Work for the deal of ``record``; whether more may be ordered is asked by ``request``."""
        self._record = record
        self._waiting = waiting
        self._steps = steps
        self._background = background
        self._request = request

    def start(self) -> None:
        """Begin to try again what did not succeed, whatever else the deal waits for meanwhile."""
        self._background.start(Part.CHANGE, self._keep_trying)

    async def carry_out(self) -> None:
        """Do what is due for the change, once."""
        change = self._record.state.changing
        if change is None:
            return
        if change.step is ChangeStep.LOOK:
            await self._look(change)
        elif change.step is ChangeStep.ASK:
            await self._ask(change)
        else:
            await self._write(change)

    async def end_request(self) -> None:
        """End a request about a larger order that nobody wants any more."""
        await self._request.end(self._waiting)

    async def _look(self, change: OrderChange) -> None:
        """What the order would come to, who has to approve it, and credit for the difference."""
        credit = part_of(self._record.deal_id, change.number)
        looked = await self._steps.attempt(
            LargerOrderActivities.look_at_larger,
            self._looking(change, credit),
            queue=names.FINANCE_QUEUE,
            summary=f"Price order {self._record.state.order_number} with other quantities, and reserve credit",
        )
        if isinstance(looked, Failure):
            self._failed(change, looked)
            return
        reserved = looked.decision is not None and looked.decision.passed
        seen = order_change_facts.LargerOrderSeen(
            number=change.number,
            refused=looked.refused,
            larger=looked.larger,
            raised=looked.raised,
            decision=looked.decision,
            credit=credit if reserved else "",
        )
        applied = self._record.apply(seen)
        if reserved and applied is not None and applied.code:  # it was taken back meanwhile
            await tell_ledger(self._record, names.RELEASE, credit)

    def _looking(self, change: OrderChange, credit: str) -> LookAtLarger:
        state, found = self._record.state, self._record.state.assessment
        return LookAtLarger(
            quote=self._record.quote,
            approved_hash=state.approved_hash,
            order_number=state.order_number,
            customer_account=state.header.customer_account,
            credit_account=state.credit_account,
            lines=change.lines,
            asked_by=change.by,
            asked_at=change.asked_at,
            expires_at=found.expires_at if found else None,
            pinned=found.pinned if found else None,
            past=state.past_requests,
            approved=change.approved,
            submitted_by=state.submitted_by,
            credit=credit,
        )

    async def _ask(self, change: OrderChange) -> None:
        if change.larger is None or not await self._request.ask_larger(change.number, change.larger):
            reason = "every id for another request is taken by a workflow in Temporal"
            self._record.apply(order_change_facts.LargerOrderNotAsked(number=change.number, reason=reason))

    async def _write(self, change: OrderChange) -> None:
        """Have Finance take the change."""
        state = self._record.state
        made = await self._steps.attempt(
            OrderChangeActivities.change_order,
            _asked(state, change),
            queue=names.FINANCE_QUEUE,
            summary=f"Cancel order {state.order_number}" if change.is_whole else f"Change order {state.order_number}",
        )
        if isinstance(made, Failure):
            self._failed(change, made)
            await self._show(change)
        elif made.absent:
            self._record.apply(order_change_facts.OrderAbsent(order_number=made.order_number))
        else:
            done = order_change_facts.OrderChangeMade(
                lines=change.lines,
                order_number=made.order_number,
                cancelled=made.cancelled,
                raised=made.raised,
                confirmation_number=made.confirmation_number,
                refused=made.refused,
            )
            self._record.apply(done)
        await self._settle_credit(change)

    def _failed(self, change: OrderChange, failure: Failure) -> None:
        self._record.apply(
            order_change_facts.OrderChangeFailed(
                lines=change.lines, cause=failure.cause, message=failure.message, at=workflow.now()
            )
        )

    async def _settle_credit(self, change: OrderChange) -> None:
        """What was reserved for more is Finance's to count once it took it, and is given back where it will not."""
        now = self._record.state.changing
        if not change.credit or (now is not None and not now.sent):
            return
        taken = bool(change.raised) and now is not None
        await tell_ledger(self._record, names.ORDER_VISIBLE if taken else names.RELEASE, change.credit)

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
        raised=change.raised,
        probe=state.order is OrderStatus.CREATING,
    )
