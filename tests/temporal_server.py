"""A development server of a test's own, without the product's search attributes and with the real clock."""

from __future__ import annotations

import sysconfig
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from temporalio.client import Plugin
from temporalio.testing import WorkflowEnvironment


@asynccontextmanager
async def bare_server(*plugins: Plugin) -> AsyncIterator[WorkflowEnvironment]:
    """The server and a client of it with these plugins."""
    binary = Path(sysconfig.get_path("scripts")) / "temporal"
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(binary), dev_server_log_level="never", plugins=plugins
    ) as env:
        yield env
