"""A change of a map that somebody cancels in Temporal leaves nothing behind: it can be begun again."""

from __future__ import annotations

import asyncio

import pytest
from temporalio.client import WorkflowFailureError

from domain.entities.map_run import ChangeStatus, MapChangeStart, MapChangeView
from domain.messages import SignedMessage
from ledger import map_changes
from runs import names
from runs.map_changes import MapChangeRuns
from tests.deadlines import PATIENCE
from tests.workflows.compare_world import Rows
from tests.workflows.test_change_of_map import (
    HERE,
    RULES,
    THERE,
    MakeWorld,
    changed,
    word,
    world_of,
    world_with_records,
)
from tests.workflows.trusting import OTTO

__all__ = ["world_of"]


async def test_a_cancelled_change_is_ended_and_its_proposal_open_again(world_of: MakeWorld) -> None:
    """Before: the proposal stood as being tried, and its records waited for their sync, for ever."""
    rows = Rows()
    for n in range(8):
        rows.pair(n, telephone1=THERE, there={"PrimaryContactPhone": HERE})
    async with world_of(rows) as world:
        await world.start()
        assert (await world.say(OTTO, "run_sync", do="stop")).accepted  # what is tried waits
        changing = await world_with_records(world, rows)
        said = await changing.approved(changed(phone={"owner": "FINANCE"}), 1)
        args = {"entity": "customer", "proposal": 1, "seen": said.seen, "why": said.why}
        token = f"{said.person.oid}|map_activate|" + ";".join(f"{name}={value}" for name, value in args.items())
        message = SignedMessage(message_id=said.message_id, token=token)
        start = MapChangeStart(entity="customer", number=1, word=said, message=message, syncing=("usmf",))
        await MapChangeRuns(world.client).begin(start)
        handle = world.client.get_workflow_handle(names.map_change_id("customer", 1), result_type=MapChangeView)
        async with asyncio.timeout(PATIENCE):
            while MapChangeView.model_validate(await handle.query(names.STATE)).step != "canary":
                await asyncio.sleep(0.1)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await asyncio.wait_for(handle.result(), PATIENCE)
        found = await changing.shown(1)
        assert (found.status, found.text) == (ChangeStatus.STOPPED, "Its run was cancelled.")
        again = word(OTTO, "again", "ops", seen=said.seen)
        assert await map_changes.would_begin(changing.database, "customer", 1, again, RULES) is None
