"""What the product would have done with a quote of a company in shadow mode: looked at once, and nothing written."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.shadow_signatures import LookedInShadow, LookInShadow, ShadowActivities
    from domain.messages import SalesEvent
    from domain.shadow import OF_EVENT, ORDER_EXPECTED_DAYS, Moment
    from runs import names
    from workflows.steps import UNKNOWN_LINES, UNTIL_IT_ANSWERS, attempt

LOOK_AGAIN = timedelta(days=1)
"""Pause between two looks for the order that people enter for a quote that was won."""


@workflow.defn(name=names.SHADOW)
class ShadowOfQuote:
    """A moment of a quote: decided about, and where it was won, compared with the order that people enter."""

    @workflow.run
    async def run(self, event: SalesEvent) -> LookedInShadow:
        """Decide and keep it; then look for the order, for a week."""
        ask = LookInShadow(event=event)
        found = await _look(ShadowActivities.look_in_shadow, ask, f"What {event.quote_number} would come to")
        if OF_EVENT[event.kind] is not Moment.ACCEPTED:
            return found
        until = workflow.now() + timedelta(days=ORDER_EXPECTED_DAYS)
        while not found.order and workflow.now() < until:
            await workflow.sleep(LOOK_AGAIN, summary="Until the order is looked for again")
            summary = f"Look for people's order for {event.quote_number}"
            order = await _look(ShadowActivities.find_order_in_shadow, ask, summary)
            found = LookedInShadow(decision=found.decision, order=order.order)
        return found


async def _look(
    activity: Callable[[Any, LookInShadow], Coroutine[Any, Any, LookedInShadow]], ask: LookInShadow, summary: str
) -> LookedInShadow:
    """What an activity finds, as soon as both systems answer."""
    return await attempt(
        activity, ask, queue=names.FINANCE_QUEUE, summary=summary, lines=UNKNOWN_LINES, patience=UNTIL_IT_ANSWERS
    )
