"""What tests of syncs begin with: worlds, and customers of both systems."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import WorkflowEnvironment

from runs import names
from tests.workflows.compare_world import Rows
from tests.workflows.conftest import queues_of_its_own
from tests.workflows.replaying import replays
from tests.workflows.sync_world import SyncWorld, sync_world

MakeWorld = Callable[..., AbstractAsyncContextManager[SyncWorld]]


@pytest.fixture
async def world_of(
    environment: WorkflowEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[MakeWorld]:
    """Makes a world of rows."""
    queues_of_its_own(monkeypatch)

    def make(
        rows: Rows | str, policies: Path | None = None, **dataverse: Any
    ) -> AbstractAsyncContextManager[SyncWorld]:
        return sync_world(environment, tmp_path, rows, monkeypatch, policies=policies, dataverse=dataverse)

    yield make
    await replays(environment.client, (names.SYNC, names.REPLAY))


def customers(number: int = 5) -> tuple[Rows, dict[str, str]]:
    """Customers that agree, and the id of each one's account."""
    rows = Rows()
    accounts = [
        rows.pair(n, telephone1="+1 206 555 0100", there={"PrimaryContactPhone": "+12065550100"}) for n in range(number)
    ]
    return rows, dict(zip(accounts, rows.sales, strict=True))
