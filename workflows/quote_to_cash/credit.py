"""Stage 3: credit is decided on fresh Finance data, one deal of a customer at a time, and waited for while held."""

from __future__ import annotations

from datetime import timedelta

from activities.signatures import CreditActivities, FinanceActivities, PrepareOrder, ReserveCredit
from domain import facts, moves
from domain.assessment import OrderReadiness
from domain.causes import Cause
from domain.money import format_money
from domain.moves import CreditMove
from runs import names
from workflows.quote_to_cash.record import DealRecord
from workflows.quote_to_cash.steps import Steps
from workflows.quote_to_cash.waiting import Waiting
from workflows.steps import URGENT

LOOK_AGAIN = timedelta(hours=4)
"""How long a hold rests before credit is looked at again though nothing was heard (lifecycle: timers)."""


class Credit:
    """Gets credit for one deal's order."""

    def __init__(self, record: DealRecord, waiting: Waiting, steps: Steps) -> None:
        """Work for the deal of ``record``."""
        self._record = record
        self._waiting = waiting
        self._steps = steps

    async def check(self) -> None:
        """Look at credit until it is given."""
        while (move := moves.in_credit(self._record.state)) is not CreditMove.GO_ON:
            self._waiting.turn()
            if move is CreditMove.CHECK:
                await self._decide()
            else:
                await self._wait()

    async def _wait(self) -> None:
        heard = await self._waiting.until(
            lambda: moves.in_credit(self._record.state) is not CreditMove.WAIT,
            patience=LOOK_AGAIN,
            summary="Look at credit again",
        )
        if not heard:
            self._record.apply(facts.CreditRecheckDue(reason="four hours have passed"))

    async def _decide(self) -> None:
        covers = self._record.state.recheck_told
        ready = await self._steps.run(
            FinanceActivities.prepare_order,
            self._prepare,
            queue=names.FINANCE_QUEUE,
            summary="Read the accepted quote, prices and credit",
            priority=URGENT,
        )
        refused = self._record.apply(facts.Prepared(readiness=ready, covers=covers))
        if refused is not None and refused.code:
            await self._steps.park(
                "The accepted quote is not what was approved",
                "prepare_order",
                Cause.CONTENT_CHANGED,
                "; ".join(ready.differences) or "The content differs from the approved content",
            )
        elif blocked := [drift.item for drift in ready.drift if drift.blocked]:
            await self._steps.park(
                "A product can no longer be sold", "prepare_order", Cause.PRICE_DRIFT, f"Blocked: {', '.join(blocked)}"
            )
        else:
            await self._reserve(ready)

    async def _reserve(self, ready: OrderReadiness) -> None:
        answer = await self._steps.run(
            CreditActivities.reserve_credit,
            lambda: self._ask(ready),
            queue=names.DEAL_QUEUE,
            summary=f"Reserve {format_money(ready.credit_amount, ready.credit.currency)} of credit",
            priority=URGENT,
        )
        # No decision: the facts were too old when their turn came, and Finance is read again.
        if answer.decision is not None:
            self._record.apply(facts.CreditDecided(decision=answer.decision))

    def _prepare(self) -> PrepareOrder:
        state = self._record.state
        return PrepareOrder(
            quote=self._record.quote,
            approved_hash=state.approved_hash,
            price_hash=state.assessment.price_hash if state.assessment else "",
            order_number=self._record.order_number,
            customer_account=state.header.customer_account,
        )

    def _ask(self, ready: OrderReadiness) -> ReserveCredit:
        state = self._record.state
        return ReserveCredit(
            company=state.company,
            customer_account=state.credit_account,
            deal_id=self._record.deal_id,
            order_number=self._record.order_number,
            amount=ready.credit_amount,
            facts=ready.credit,
            release=state.release,
        )
