"""Temporal itself is killed and started again on its database: no deal fails, and none is ordered twice."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from demo.temporal_server import NAMESPACE
from domain.messages import SalesEventKind
from domain.views import WaitingFor
from tests.sealing import SEALING
from tests.temporal_server import persistent
from tests.workflows.acting import until, waits_for
from tests.workflows.conftest import Stage, World, queues_of_its_own


@pytest.mark.timeout(240)
async def test_deals_outlive_temporal_killed_at_rest_and_in_mid_flight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queues_of_its_own(monkeypatch)
    world = World(quote=f"Q-{uuid.uuid4().hex[:8]}")
    async with persistent(tmp_path) as server:
        client = await Client.connect(server.address, namespace=NAMESPACE, plugins=[SEALING])
        stage = Stage(cast(WorkflowEnvironment, SimpleNamespace(client=client)), world)
        await stage.start_work()
        await stage.submit()
        await until(stage, waits_for(WaitingFor.REP))
        await server.kill()
        await server.start()
        world.held["create_order"] = asyncio.Event()
        for kind in (SalesEventKind.ACTIVATED, SalesEventKind.ACCEPTED):
            await stage.sales(kind)
        await until(stage, lambda _: "create_order" in world.names())
        await server.kill()
        world.held["create_order"].set()  # the order is made, and nobody is there to be told
        await server.start()
        view = await until(stage, waits_for(WaitingFor.SHIPMENT))
        assert (view.order_status, view.exceptions, view.parked) == ("confirmed", (), None)
        await stage.stop_work()
    keys = {asked.order_number for name, asked in world.asked if name == "create_order"}
    assert keys == {view.order_number}, "whatever was tried again was the same order"
