"""The page of first syncs: dry runs with their counts, what the gate said, one that goes on, and who may see them."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from temporalio.client import Client
from temporalio.worker import Worker

from domain.entities.initial import InitialStart
from runs import names
from runs.initial import Initials
from tests.webworld import first_syncs
from tests.webworld.browsing import Browser
from tests.webworld.world import until
from web.app import create_app
from web.config import WebConfig
from workers.worker import workflow_runner
from workflows.initial import PlanInitialSync

PAGE = "/data/initial"


@pytest.fixture
async def url(tmp_path: Path) -> str:
    """A ledger with dry runs and verdicts."""
    made = f"sqlite:///{tmp_path}/ledger.db"
    await first_syncs.fill(made)
    return made


@pytest.fixture
async def app(config: WebConfig, url: str, temporal: Client) -> AsyncIterator[Starlette]:
    """The application with a ledger."""
    made = create_app(config.model_copy(update={"ledger_url": SecretStr(url)}), temporal)
    async with made.router.lifespan_context(made):
        yield made


def sections(page: str) -> dict[str, str]:
    return {
        found[1]: found[0]
        for found in re.finditer(r'<section class="panel" aria-labelledby="(.*?)".*?</section>', page, re.S)
    }


async def test_dry_runs_are_shown_by_right_with_their_counts_and_what_the_gate_said(browser: Browser) -> None:
    ines, greta = await browser("ines"), await browser("greta")

    shown = sections((await ines.get(PAGE)).text)
    hers = sections((await greta.get(PAGE)).text)

    assert {"customer-usmf", "unit-usmf"} <= shown.keys()
    assert "unit-demf" in hers
    assert "unit-demf" not in shown and "unit-usmf" not in hers, "another company's"
    customers = shown["customer-usmf"]
    assert re.findall(r'class="num">([0-9,]+)<', customers) == ["0", "0", "8,800", "50", "300", "150"]
    assert "blocked" in customers
    assert "200 critical records" in customers
    assert "A field that has to agree differs" in customers
    assert "currency differs in 50 records." in customers
    assert "8,800 records would proceed, 500 wait for people." in hers["unit-demf"]
    assert "q2c gate unit --company usmf" in shown["unit-usmf"]
    assert PAGE in (await ines.get("/data")).text
    assert (await (await browser("rita")).get(PAGE)).status_code == 403


async def test_a_run_that_goes_on_says_how_far_it_is(
    browser: Browser, temporal: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "DEAL_QUEUE", f"initial-{uuid.uuid4()}")
    start = InitialStart(entity="price", company="usmf", map_hash=uuid.uuid4().hex)
    ines = await browser("ines")
    workflow_id = await Initials(temporal).begin(start)
    handle = temporal.get_workflow_handle(workflow_id)

    async def is_shown() -> bool:
        return "Begins" in sections((await ines.get(PAGE)).text).get("price-usmf", "")

    try:
        async with Worker(
            temporal, task_queue=names.DEAL_QUEUE, workflows=[PlanInitialSync], workflow_runner=workflow_runner()
        ):
            # Lists know of a run a moment after it began, and its first task may still be under way.
            await until(is_shown)
    finally:
        await handle.terminate()
