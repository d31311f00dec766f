"""An order that needs a deposit is confirmed when Finance shows it: until then it stands created, and the deal waits.

The sweep tells of each prepayment that names the order; once a day Finance is looked at whether it tells or not. After
the days that the rule gives, somebody has to look: nothing is cancelled by itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from temporalio import workflow

from domain import deposit_facts, explain, facts, moves
from domain.moves import DepositMove
from workflows.quote_to_cash.billing import Billing
from workflows.quote_to_cash.record import DealRecord
from workflows.quote_to_cash.steps import Steps
from workflows.quote_to_cash.waiting import Waiting

LOOK_AGAIN = timedelta(hours=24)
"""How often Finance is looked at though nothing was told."""


class Deposits:
    """Waits for the deposit of one deal's order."""

    def __init__(self, record: DealRecord, waiting: Waiting, steps: Steps, billing: Billing) -> None:
        """Wait for the deal of ``record``; Finance is read by ``billing``."""
        self._record = record
        self._waiting = waiting
        self._steps = steps
        self._billing = billing

    async def received(self) -> None:
        """Wait until the deposit is there, the order is not wanted any more, or waiting has become pointless.

        Raises:
            Overtaken: the order is to be cancelled.
            Ended: the deal came to its end.
        """
        if not self._record.state.deposit_holds:
            return
        if self._record.state.deposit_since is None:
            self._record.apply(deposit_facts.DepositAwaited(at=workflow.now()))
            text = explain.explain(self._record.state).text
            await self._steps.show_in_sales(text, "that the order waits for its deposit")
        while (move := moves.for_deposit(self._record.state)) is not DepositMove.GO_ON:
            await self._waiting.turn()
            if move is DepositMove.READ_BILLING:
                await self._billing.read(lambda: self._record.state.cancelling)
            else:
                await self._wait()
        state = self._record.state
        if state.running and not state.cancelling and not state.deposit_missing:
            self._record.apply(deposit_facts.DepositEnough())

    async def _wait(self) -> None:
        """Rest until something is heard, a day has passed, or the deposit is overdue."""
        heard = await self._waiting.until(
            lambda: moves.for_deposit(self._record.state) is not DepositMove.WAIT,
            deadline=self._next_look(),
            summary="Look whether the deposit is there",
        )
        if heard:
            return
        due = self._record.state.deposit_due_at
        if due is not None and due <= workflow.now() and not self._record.state.deposit_late:
            self._record.apply(deposit_facts.DepositOverdue())
        else:
            self._record.apply(facts.BillingChanged(text="a day has passed: looking for the deposit in Finance"))

    def _next_look(self) -> datetime:
        state = self._record.state
        look = (state.finance_read_at or workflow.now()) + LOOK_AGAIN
        due = state.deposit_due_at
        return look if due is None or state.deposit_late else min(look, due)
