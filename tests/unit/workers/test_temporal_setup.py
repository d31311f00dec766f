"""The development server comes up with what the product needs, and a worker refuses one that lacks it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.api.operatorservice.v1 import RemoveSearchAttributesRequest

from demo.ports import free_ports
from demo.processes import ChildProcess
from demo.temporal_server import dev_server_command, wait_ready
from runs.attributes import DEADLINE
from workers.telemetry import start_telemetry
from workers.temporal_client import TemporalUnusable, connect, missing_attributes, require_attributes


@pytest.fixture
async def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    port, ui_port = free_ports(2)
    server = ChildProcess("temporal", dev_server_command(port, ui_port), dict(os.environ), tmp_path)
    await server.start()
    try:
        await wait_ready(f"127.0.0.1:{port}")
        monkeypatch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{port}")
        monkeypatch.setenv("TEMPORAL_NAMESPACE", "default")
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(10)


async def test_every_search_attribute_is_registered_and_a_missing_one_stops_the_worker(address: str) -> None:
    client = await connect(start_telemetry("test", environment={}))
    assert await missing_attributes(client) == {}
    await require_attributes(client)

    await client.operator_service.remove_search_attributes(
        RemoveSearchAttributesRequest(namespace="default", search_attributes=[DEADLINE.name])
    )
    assert await missing_attributes(client) == {DEADLINE.name: DEADLINE.kind}
    with pytest.raises(TemporalUnusable, match="search-attribute create .* --name Q2CDeadline --type Datetime"):
        await require_attributes(client)


async def test_a_server_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    monkeypatch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{port}")
    with pytest.raises(TemporalUnusable, match=f"127.0.0.1:{port}.*TEMPORAL_ADDRESS"):
        await connect(start_telemetry("test", environment={}))
