"""Waits for a system, as a test has scripted them: they end unless the world says that nobody is answered."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.reaching_signatures import ReachActivities, WaitForSystem
from activities.signatures import FailureType, Nothing

if TYPE_CHECKING:
    from tests.workflows.conftest import World

SOON = timedelta(seconds=1)
"""Temporal's server tries nothing again sooner."""


class ScriptedReach(ReachActivities):
    """Looks again every second, where the product does once a minute."""

    def __init__(self, world: World) -> None:
        self.world = world

    @activity.defn(name="wait_for_sales")
    async def wait_for_sales(self, wait: WaitForSystem) -> Nothing:
        return self._looked("Sales", wait)

    @activity.defn(name="wait_for_finance")
    async def wait_for_finance(self, wait: WaitForSystem) -> Nothing:
        return self._looked("Finance", wait)

    def _looked(self, system: str, wait: WaitForSystem) -> Nothing:
        self.world.waits.append(wait)
        if self.world.away == system:
            raise ApplicationError(
                "503", type=FailureType.TRANSIENT, next_retry_delay=SOON, category=ApplicationErrorCategory.BENIGN
            )
        return Nothing()
