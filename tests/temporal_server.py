"""Development servers of a test's own: a bare one in memory, and the product's that keeps what it knows in a file."""

from __future__ import annotations

import asyncio
import sysconfig
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from temporalio.client import Plugin
from temporalio.testing import WorkflowEnvironment

from demo.ports import free_ports
from demo.temporal_server import dev_server_command, wait_ready


@asynccontextmanager
async def bare_server(*plugins: Plugin) -> AsyncIterator[WorkflowEnvironment]:
    """A server with these plugins, without the product's search attributes and with the real clock."""
    binary = Path(sysconfig.get_path("scripts")) / "temporal"
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(binary), dev_server_log_level="never", plugins=plugins
    ) as env:
        yield env


class Server:
    """A server of Temporal that keeps what it knows in a file."""

    def __init__(self, folder: Path) -> None:
        port, ui_port = free_ports(2)
        self.address = f"127.0.0.1:{port}"
        self._command = [*dev_server_command(port, ui_port), "--db-filename", str(folder / "temporal.db")]
        self._process: Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(*self._command, stdout=DEVNULL, stderr=DEVNULL)
        await wait_ready(self.address)

    async def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def persistent(folder: Path) -> AsyncIterator[Server]:
    server = Server(folder)
    await server.start()
    try:
        yield server
    finally:
        await server.kill()
