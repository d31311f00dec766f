"""Stage 3: credit is decided on fresh Finance data, one deal of a customer at a time, and waited for while held."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow

from activities.signatures import FinanceActivities, PrepareOrder
from domain import facts, moves
from domain.assessment import OrderReadiness
from domain.causes import Cause
from domain.credit_lifting import hold_in_words
from domain.drift import in_words
from domain.moves import CreditMove
from domain.price_look import PriceLook, Verdict, tiers
from domain.rules.drift import look_due
from runs import names
from workflows.quote_to_cash.record import DealRecord
from workflows.quote_to_cash.steps import Steps
from workflows.quote_to_cash.waiting import Waiting
from workflows.steps import URGENT

LOOK_AGAIN = timedelta(hours=4)
"""How long a hold rests before credit is looked at again though nothing was heard (lifecycle: timers)."""

PAUSE = timedelta(seconds=10)
"""How long a deal rests whose order was put off because the facts of its credit had become too old."""


class Credit:
    """Gets credit for one deal's order."""

    def __init__(self, record: DealRecord, waiting: Waiting, steps: Steps) -> None:
        """Work for the deal of ``record``."""
        self._record = record
        self._waiting = waiting
        self._steps = steps
        self._shown = ""

    async def check(self) -> bool:
        """Look at credit until it is given; False where Sales does not show the quote as won after all."""
        while (move := moves.in_credit(self._record.state)) not in (CreditMove.GO_ON, CreditMove.GO_BACK):
            await self._waiting.turn()
            if move is CreditMove.CHECK:
                await self._decide()
            else:
                await self._wait()
        return move is CreditMove.GO_ON

    async def _wait(self) -> None:
        """Rest until something is heard. An order that was put off rests too, so that nothing runs in a circle."""
        state = self._record.state
        since = state.credit_decision.as_of if state.credit_decision else workflow.now()
        put_off = state.order_put_off
        heard = await self._waiting.until(
            lambda: moves.in_credit(self._record.state) is not CreditMove.WAIT,
            deadline=since + (PAUSE if put_off else LOOK_AGAIN),
            summary="Look at credit again",
        )
        if not heard:
            reason = "the order was put off" if put_off else "four hours have passed"
            self._record.apply(facts.CreditRecheckDue(reason=reason))

    async def _decide(self) -> None:
        covers = self._record.state.recheck_told
        ready = await self._steps.run(
            FinanceActivities.prepare_order,
            self._question,
            queue=names.FINANCE_QUEUE,
            summary="Read the accepted quote and its prices, and reserve credit",
            priority=URGENT,
        )
        done = self._record.apply(facts.Prepared(readiness=ready, covers=covers))
        refused = done is not None and bool(done.code)
        look = None if refused else self._told(ready)
        if look is not None and look.verdict is Verdict.ASK:
            return  # the deal goes back to be approved at today's cost
        if refused:
            differences = "; ".join(ready.differences) or "The content differs from the approved content"
            await self._park("The accepted quote is not what was approved", Cause.CONTENT_CHANGED, differences)
        elif ready.blocked:
            await self._park("A product can no longer be sold", Cause.PRICE_DRIFT, f"Blocked: {ready.blocked}")
        elif look is not None and look.verdict is Verdict.REQUOTE:
            await self._park("Prices rose before the quote was accepted", Cause.PRICE_DRIFT, str(in_words(look)))
        elif ready.decision is not None:
            self._record.apply(facts.CreditDecided(decision=ready.decision))
            await self._show_hold()

    async def _show_hold(self) -> None:
        """Have Sales show the rep why the order is held and what lifts that; once, where it can be told."""
        decision = self._record.state.credit_decision
        if moves.in_credit(self._record.state) is not CreditMove.WAIT or decision is None or decision.passed:
            return
        text = hold_in_words(decision)
        if text == self._shown:
            return
        if await self._steps.show_in_sales(text, "why the order waits for credit"):
            self._shown = text

    def _told(self, ready: OrderReadiness) -> PriceLook | None:
        """What moved of Finance's prices, on record where it was not told before."""
        look = ready.look
        if look is not None:
            moved = facts.PricesMoved(look=look)
            if look.verdict is Verdict.ASK or look_due(self._record.state, moved):
                self._record.apply(moved)
        return look

    async def _park(self, what: str, cause: Cause, message: str) -> None:
        await self._steps.park(what, "prepare_order", cause, message)

    def _question(self) -> PrepareOrder:
        state, found = self._record.state, self._record.state.assessment
        return PrepareOrder(
            quote=self._record.quote,
            approved_hash=state.approved_hash,
            price_hash=found.price_hash if found else "",
            order_number=self._record.order_number,
            customer_account=state.header.customer_account,
            credit_account=state.credit_account,
            deal_id=self._record.deal_id,
            release=state.release,
            pinned=found.pinned if found else None,
            tiers=tiers(found.plan) if found else (),
            expires_at=found.expires_at if found else None,
            submitted_by=state.submitted_by,
        )
