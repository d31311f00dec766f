"""Credit of confirmed orders as a test has scripted it, and the orders that the warehouse may not have."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from temporalio import activity

from activities import credit_recheck_signatures as c
from domain.credit_facts import CreditReason
from domain.order_stop import OrderStop

if TYPE_CHECKING:
    from tests.workflows.conftest import World


class ScriptedRechecks(c.CreditRecheckActivities):
    """Decides as the world does, and lets a release pass for what it covers."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.activities: tuple[Callable[..., Any], ...] = (self.recheck_credit, self.stop_order)

    @activity.defn(name="recheck_credit")
    async def recheck_credit(self, ask: c.RecheckCredit) -> c.RecheckedCredit:
        await self.world.ask("recheck_credit", ask)
        decision = self.world.decision()
        if (
            not decision.passed
            and ask.release
            and ask.release.covers(decision, decision.as_of + self.world.order.later)
        ):
            reasons = (CreditReason(code="RELEASED", text=f"released by {ask.release.released_by.name}"),)
            decision = decision.model_copy(update={"passed": True, "reasons": reasons})
        return c.RecheckedCredit(decision=decision)

    @activity.defn(name="stop_order")
    async def stop_order(self, ask: c.StopOrder) -> c.StoppedOrder:
        await self.world.ask("stop_order", ask)
        was, self.world.order.stopped = self.world.order.stopped, ask.stop
        if not ask.stop:
            return c.StoppedOrder(stop=OrderStop.NONE)
        return c.StoppedOrder(stop=OrderStop.FOUND if was and not ask.probe else OrderStop.OURS)
