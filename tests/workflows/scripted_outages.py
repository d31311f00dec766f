"""Waits for a system that end at once: what the world answers decides, as for every other activity."""

from __future__ import annotations

from temporalio import activity

from activities.reaching_signatures import ReachActivities, WaitForSystem
from activities.signatures import Nothing


class ScriptedReach(ReachActivities):
    """Both systems can be reached; where they do not do what they are asked is said by the world."""

    @activity.defn(name="wait_for_sales")
    async def wait_for_sales(self, wait: WaitForSystem) -> Nothing:
        return Nothing()

    @activity.defn(name="wait_for_finance")
    async def wait_for_finance(self, wait: WaitForSystem) -> Nothing:
        return Nothing()
