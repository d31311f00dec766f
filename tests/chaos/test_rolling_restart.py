"""Two workers are replaced one after the other with deals in flight, then Temporal is killed: nothing is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import uuid
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import httpx
import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from demo.ports import free_ports
from demo.temporal_server import NAMESPACE
from domain.messages import SalesEventKind
from tests.deadlines import PATIENCE
from tests.sealing import KEYS_FILE, SEALING
from tests.temporal_server import persistent
from tests.time_travel import move_clock
from tests.workflows.conftest import Stage, World
from tests.workflows.rolling_worker import EXPIRES

DEALS = int(os.environ.get("Q2C_ROLL_DEALS", "40"))
"""200 take more than a minute on two cores."""


class WorkerProcess:
    """A worker of production in a process of its own."""

    def __init__(self, address: str, folder: Path) -> None:
        (self._port,) = free_ports(1)
        self._folder = folder
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("Q2C_", "TEMPORAL_"))}
        self._environment = inherited | {
            "TEMPORAL_ADDRESS": address,
            "TEMPORAL_NAMESPACE": NAMESPACE,
            "TEMPORAL_CONFIG_FILE": os.devnull,
            "Q2C_STATE_DIR": str(folder),
            "Q2C_CODEC_KEYS_FILE": str(KEYS_FILE),
            "Q2C_WORKER_HEALTH_PORT": str(self._port),
        }
        self._process: Process | None = None

    async def ready(self) -> bool:
        """What its ready endpoint says; no, where it does not answer."""
        try:
            async with httpx.AsyncClient() as http:
                answer = await http.get(f"http://127.0.0.1:{self._port}/health/ready")
        except httpx.HTTPError:
            return False
        return answer.status_code == 200

    async def start(self) -> None:
        command = (sys.executable, "-m", "tests.workflows.rolling_worker", str(self._folder / "orders"))
        self._process = await asyncio.create_subprocess_exec(
            *command, env=self._environment, stdout=DEVNULL, stderr=DEVNULL
        )
        async with asyncio.timeout(PATIENCE):
            while not await self.ready():
                assert self._process.returncode is None, "it ended"
                await asyncio.sleep(0.1)

    async def stop(self) -> int:
        """Tell it to stop, and let it: its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self._process.wait(), PATIENCE)

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def two_workers(address: str, folder: Path) -> AsyncIterator[list[WorkerProcess]]:
    both = [WorkerProcess(address, folder) for _ in range(2)]
    try:
        await asyncio.gather(*(worker.start() for worker in both))
        yield both
    finally:
        for worker in both:
            await worker.kill()


async def settle(client: Client, query: str, number: int) -> None:
    """Wait until so many runs are so."""
    found, patience = -1, PATIENCE + DEALS
    try:
        async with asyncio.timeout(patience):
            while found != number:
                found = (await client.count_workflows(query)).count
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"{found} in place of {number} after {patience:.0f} s: {query}") from None


async def tell(deals: Sequence[Stage], kind: SalesEventKind) -> None:
    for deal in deals:
        await deal.sales(kind)


def waits(for_whom: str) -> str:
    return f"WorkflowType = 'QuoteToCash' AND ExecutionStatus = 'Running' AND Q2CWaitingFor = '{for_whom}'"


@pytest.mark.timeout(600)
async def test_a_rolling_restart_and_a_killed_temporal_lose_no_deal_and_no_timer(tmp_path: Path) -> None:
    async with persistent(tmp_path) as server, two_workers(server.address, tmp_path) as rolled:
        client = await Client.connect(server.address, namespace=NAMESPACE, plugins=[SEALING])
        env = cast(WorkflowEnvironment, SimpleNamespace(client=client))
        deals = [Stage(env, World(quote=f"Q-{n}-{uuid.uuid4().hex[:6]}")) for n in range(DEALS)]
        accepted, quoted = deals[::2], deals[1::2]
        for deal in deals:
            await deal.submit()
        await settle(client, waits("rep"), DEALS)
        await tell(deals, SalesEventKind.ACTIVATED)
        await settle(client, waits("customer"), DEALS)

        accepting = asyncio.create_task(tell(accepted, SalesEventKind.ACCEPTED))
        for worker in rolled:  # one after the other, while orders are being made
            assert await worker.stop() == 0, "a clean end"
            await worker.start()
        await accepting
        await server.kill()
        await server.start()

        await settle(client, waits("shipment"), len(accepted))
        expiry = datetime.now(UTC) + EXPIRES + timedelta(hours=1)
        for deal in quoted:  # their timers were set by workers that are gone, and by a server that was killed
            await move_clock(client, deal.case.id, expiry)
        await settle(client, "WorkflowType = 'QuoteToCash' AND ExecutionStatus = 'Completed'", len(quoted))
        await settle(client, "WorkflowType = 'QuoteToCash' AND ExecutionStatus = 'Failed'", 0)

        orders = (tmp_path / "orders").read_text().split()
        assert len(orders) == len(set(orders)) == len(accepted), "nothing in hand was cut off and made again"
        endings = [await client.get_workflow_handle(deal.case.id).result() for deal in quoted]
        assert {ended["ending"] for ended in endings} == {"expired"}
