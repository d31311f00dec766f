"""A worker that compares, in a process of its own, to be killed: `python -m tests.workflows.bulk_worker QUEUE…`.

It reads in small pages, and the server waits less long for a try whose worker died than in production.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from datetime import timedelta

from runs import names

PAGE = 250
SILENCE = timedelta(seconds=8)
QUEUES = ("DEAL_QUEUE", "DATAVERSE_BULK_QUEUE", "FINANCE_BULK_QUEUE")


async def work() -> None:
    """Work until the process is killed."""
    from tests.workflows.compare_world import CompareWorld
    from workers.settings import load_settings
    from workers.telemetry import start_telemetry
    from workers.temporal_client import connect

    settings = load_settings()
    client = await connect(start_telemetry("q2c-bulk", environment={}), settings.codec)
    async with CompareWorld(client, settings).working():
        await asyncio.Event().wait()


def main() -> None:
    """Take the names of the queues, and work."""
    for name, queue in zip(QUEUES, sys.argv[1:], strict=True):
        setattr(names, name, queue)
    from activities import comparing
    from dynamics.bulk import sales
    from workflows import both_sides

    for module in (comparing, sales):
        setattr(module, "PAGE_ROWS", PAGE)  # noqa: B010  # a constant: pages so small that there are many
    both_sides.PATIENCE = replace(both_sides.PATIENCE, silence=SILENCE)
    asyncio.run(work())


if __name__ == "__main__":
    main()
