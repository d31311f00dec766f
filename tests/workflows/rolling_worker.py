"""The worker process of production over a scripted world: `python -m tests.workflows.rolling_worker ORDERS`.

Each order that it makes is a line of the file ORDERS, written before the answer.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from temporalio.client import Client

from cli.process import run
from runs import names
from tests.workflows.conftest import SCRIPTED, World, scripted
from workers.mode import Process
from workers.settings import Settings
from workers.telemetry import Telemetry
from workers.worker import Work, run_worker

A_WRITE = 0.3
"""Seconds that Finance takes for an order: some are being made whenever a worker is told to stop."""
EXPIRES = timedelta(days=7)


def note(order: str) -> None:
    """Write down that an order is made."""
    with Path(sys.argv[1]).open("a") as orders:
        orders.write(f"{order}\n")


class Shared(World):
    """What two workers have in common: the file of orders."""

    async def ask(self, name: str, argument: Any) -> None:
        if name == "create_order":
            await asyncio.sleep(A_WRITE)
            note(argument.order_number)


def compose(_settings: Settings, _client: Client) -> Work:
    """All that a scripted world can do."""
    does = scripted(Shared(quote="", expires_at=datetime.now(UTC) + EXPIRES))
    return Work(
        workflows=SCRIPTED,
        deal_activities=does[names.DEAL_QUEUE],
        dataverse_activities=does[names.DATAVERSE_QUEUE],
        finance_activities=does[names.FINANCE_QUEUE],
        companies={},
        begin=lambda: asyncio.sleep(0),
    )


async def work(settings: Settings, telemetry: Telemetry) -> int:
    """Work until a signal comes."""
    return await run_worker(settings, telemetry, compose)


if __name__ == "__main__":
    run(Process.WORKER, work)
