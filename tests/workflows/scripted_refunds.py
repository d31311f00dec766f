"""Finance's payment journals as a scripted world has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import activity

from activities.refund_signatures import PreparedRefund, PrepareRefund, RefundActivities

if TYPE_CHECKING:
    from tests.workflows.conftest import World


class ScriptedRefunds(RefundActivities):
    def __init__(self, world: World) -> None:
        self.world = world

    @activity.defn(name="prepare_refund")
    async def prepare_refund(self, ask: PrepareRefund) -> PreparedRefund:
        await self.world.ask("prepare_refund", ask)
        return PreparedRefund(journal="000012")
