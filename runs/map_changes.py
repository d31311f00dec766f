"""The one way to put a proposed map in force, and to ask how far that is."""

from __future__ import annotations

import asyncio
import time

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError

from domain.entities.map_run import MapChangeStart, MapChangeView
from runs import names
from runs.calls import BACKGROUND, NoAnswer, answer, ask, rejected

PATIENCE_SECONDS = 5.0
_LOOK_EVERY_SECONDS = 0.2


class MapChangeRuns:
    """Runs that put maps in force."""

    def __init__(self, client: Client) -> None:
        """Reach them through a connected client."""
        self._client = client

    async def begin(self, start: MapChangeStart) -> None:
        """Begin to put an approved map in force, or join the run that does.

        Raises:
            NoAnswer: Temporal does not answer.
            Rejected: Temporal takes no such run.
        """
        beginning = self._client.start_workflow(
            names.MAP_CHANGE,
            start,
            id=names.map_change_id(start.entity, start.number),
            task_queue=names.DEAL_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            priority=BACKGROUND,
            static_summary=f"Proposal {start.number} of the map {start.entity}",
        )
        try:
            await answer(beginning)
        except RPCError as error:
            raise rejected(error) from error

    async def view(self, entity: str, number: int) -> MapChangeView:
        """How far one is.

        Raises:
            NotFound: nobody has activated it.
            NoAnswer: Temporal or every worker is down.
            Unreadable: what runs under the id is not ours.
        """
        what = f"Proposal {number} of the map {entity}"
        return await ask(self._client, names.map_change_id(entity, number), names.STATE, MapChangeView, what=what)

    async def begun(self, entity: str, number: int) -> MapChangeView | None:
        """How far one is once its person's word was checked; None where that is not known within five seconds."""
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            try:
                view = await self.view(entity, number)
            except NoAnswer:
                view = None
            if view is not None and (view.ended or view.step != "check"):
                return view
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
        return None
