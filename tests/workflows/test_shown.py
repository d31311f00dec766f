"""What lists are made of says at every moment what the deal's own view says."""

from __future__ import annotations

import asyncio
import time

from domain.messages import SalesEventKind
from domain.views import WaitingFor
from runs import attributes
from tests.workflows.acting import until, waits_for
from tests.workflows.conftest import Stage


async def shown(stage: Stage) -> str | None:
    described = await stage.case.describe()
    return described.typed_search_attributes.get(attributes.WAITING_FOR.key)


async def test_a_change_that_ends_no_wait_is_shown_too(stage: Stage) -> None:
    """Given an approved quote, when the rep sends it, then lists say that the customer is waited for."""
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACTIVATED)
    await until(stage, waits_for(WaitingFor.CUSTOMER))
    deadline = time.monotonic() + 20
    while await shown(stage) != WaitingFor.CUSTOMER:
        assert time.monotonic() < deadline, await shown(stage)
        await asyncio.sleep(0.1)
