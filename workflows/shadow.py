"""What the product would have done with a quote of a company in shadow mode: looked at once, and nothing written."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.shadow_signatures import LookedInShadow, LookInShadow, ShadowActivities
    from domain.messages import SalesEvent
    from domain.shadow import OF_EVENT, ORDER_EXPECTED_DAYS, Moment
    from runs import names
    from workflows.steps import UNKNOWN_LINES, UNTIL_IT_ANSWERS, begin

LOOK_AGAIN = timedelta(days=1)
"""Pause between two looks for the order that people enter for a quote that was won."""


@workflow.defn(name=names.SHADOW)
class ShadowOfQuote:
    """A moment of a quote: decided about, and where it was won, compared with the order that people enter."""

    @workflow.run
    async def run(self, event: SalesEvent) -> LookedInShadow:
        """Decide and keep it; then look for the order, for a week."""
        ask = LookInShadow(event=event)
        found = await begin(
            ShadowActivities.look_in_shadow,
            ask,
            queue=names.FINANCE_QUEUE,
            summary=f"What {event.quote_number} would come to",
            lines=UNKNOWN_LINES,
            patience=UNTIL_IT_ANSWERS,
        )
        if OF_EVENT[event.kind] is not Moment.ACCEPTED:
            return found
        until = workflow.now() + timedelta(days=ORDER_EXPECTED_DAYS)
        while not found.order and workflow.now() < until:
            await workflow.sleep(LOOK_AGAIN, summary="Until the order is looked for again")
            order = await begin(
                ShadowActivities.find_order_in_shadow,
                ask,
                queue=names.FINANCE_QUEUE,
                summary=f"Look for people's order for {event.quote_number}",
                lines=UNKNOWN_LINES,
                patience=UNTIL_IT_ANSWERS,
            )
            found = LookedInShadow(decision=found.decision, order=order.order)
        return found
