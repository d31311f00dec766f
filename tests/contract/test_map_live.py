"""The maps of integration data, held against what the sandbox's systems say of themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from cli import map_facts
from domain.entities.facts import Facts
from domain.entities.lint import lint
from policies.map_files import load_maps
from tests.contract.clients_world import Clients, clients_of
from tests.contract.dataverse_world import LiveSandbox

MAPS = load_maps().all


@pytest.fixture
async def clients(live_sandbox: LiveSandbox) -> AsyncIterator[Clients]:
    async with clients_of(live_sandbox) as opened:
        yield opened


@pytest.fixture
async def facts(clients: Clients) -> Facts:
    return Facts.model_validate(
        {
            "finance": await map_facts.of_finance(clients.finance, MAPS),
            **await map_facts.of_dataverse(clients.dataverse, MAPS),
        }
    )


async def test_the_shipped_maps_are_clean(facts: Facts) -> None:
    report = lint(MAPS, facts)
    assert report.findings == ()
    for unknown in report.not_checked:
        print(unknown)
