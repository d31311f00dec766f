"""Fixtures the contract tests share: the published schemas, and a whole sandbox on sockets with TLS."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.runtime import Sandbox, SandboxConfig, running
from tests.contract.dataverse_world import LiveSandbox, World
from tests.contract.setup_world import Setup, client_of, give_up_administration, make_administrator

SCHEMAS = Path(os.environ.get("Q2C_SCHEMAS", Path(__file__).parents[3] / "shared" / "contract" / "schemas"))


def published(system: str) -> dict[str, dict[str, Any]]:
    """The published schemas of a system by entity set; the test is skipped where they are not at hand."""
    folder = SCHEMAS / system
    if not folder.is_dir():
        pytest.skip(f"the published schemas are not at hand ({system})")
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


@pytest.fixture(scope="session")
def dataverse_schemas() -> dict[str, dict[str, Any]]:
    return published("dataverse")


@pytest.fixture
def sales() -> Iterator[World]:
    """A fresh Dataverse environment."""
    world = World()
    yield world
    world.close()


@contextmanager
def running_sandbox(state_dir: Path, **settings: Any) -> Iterator[LiveSandbox]:
    """All four origins in a thread of their own, so that synchronous clients can be pointed at them."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="sandbox", daemon=True)
    thread.start()
    sandbox = Sandbox(SandboxConfig(state_dir=state_dir, dataverse=settings))
    info = asyncio.run_coroutine_threadsafe(sandbox.start(), loop).result(60)
    yield LiveSandbox(sandbox, info)
    asyncio.run_coroutine_threadsafe(sandbox.stop(), loop).result(60)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture(scope="session")
def live_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSandbox]:
    """The sandbox as the product finds it."""
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as live:
        yield live


@pytest.fixture(scope="session")
def makers_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSandbox]:
    """A sandbox whose application user may do everything, for clients that other people wrote."""
    with running_sandbox(tmp_path_factory.mktemp("makers"), application_role="System Administrator") as live:
        yield live


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    """A sandbox in this process, one for each module."""
    async with running(SandboxConfig(state_dir=tmp_path_factory.mktemp("desk"))) as sandbox:
        yield sandbox


@pytest.fixture
async def desk(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    """Its desk over HTTP; what a test did there is undone after it."""
    async with httpx.AsyncClient(base_url=sandbox.info.desk, trust_env=False) as client:
        yield client
        assert (await client.post("/reset")).status_code == 200


@pytest.fixture(scope="module")
async def bare_sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    config = SandboxConfig(state_dir=tmp_path_factory.mktemp("bare"), dataverse={"bare": True})
    async with running(config) as sandbox:
        yield sandbox


@pytest.fixture
async def bare(bare_sandbox: Sandbox) -> AsyncIterator[Setup]:
    """An environment as Microsoft delivers it; the application is an administrator, as somebody who sets up is."""
    async with client_of(bare_sandbox) as client:
        yield Setup(bare_sandbox, client)
    await bare_sandbox.desk.reset()


@pytest.fixture
async def ready(bare: Setup) -> Setup:
    """An environment that was set up, and whose application user is no administrator any more."""
    await bare.run()
    give_up_administration(bare)
    assert await bare.problems() == {}
    make_administrator(bare)
    return bare


@pytest.fixture
def at_the_sandbox(live_sandbox: LiveSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Settings that point at the sandbox, and no others."""
    for name in [name for name in os.environ if name.startswith("Q2C_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    info = live_sandbox.info
    given = {
        "ENTRA_URL": info.entra,
        "ENTRA_TENANT": info.tenant,
        "ENTRA_CLIENT_ID": info.client_id,
        "ENTRA_CLIENT_SECRET": info.client_secret,
        "DATAVERSE_URL": info.dataverse,
        "FINANCE_URL": info.finance,
        "CA_FILE": str(info.ca_file),
    }
    for name, value in given.items():
        monkeypatch.setenv(f"Q2C_{name}", value)
