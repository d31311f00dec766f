"""The least a process of so many activities costs: nothing is done, sealed, told or kept; the SDK's defaults.

`bench.deal_cost` starts this worker as a process of its own: `python -m bench.floor <address of Temporal>`.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

QUEUE = "floor"


@activity.defn
async def nothing(number: int) -> int:
    """Answer what was asked."""
    return number


@workflow.defn
class Floor:
    """As many activities as it is asked for, one after another."""

    @workflow.run
    async def run(self, activities: int) -> int:
        """Run them."""
        for number in range(activities):
            await workflow.execute_activity(nothing, number, start_to_close_timeout=timedelta(seconds=30))
        return activities


async def work(address: str) -> None:
    """Work until the process is ended."""
    client = await Client.connect(address)
    async with Worker(client, task_queue=QUEUE, workflows=[Floor], activities=[nothing]):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1]))
