"""The dry run of an initial sync: both systems are read as a comparison reads them, and a plan is made of every record.

Nothing is written in either system; what it comes to lies in pages, and the history holds their numbers.
"""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.initial_signatures import MakePlan, PlanBulkActivities, WriterBulkActivities
    from domain.causes import Cause
    from domain.entities.initial import DryRun, InitialStart, InitialView, Writers, WritersStart
    from runs import names
    from workflows.both_sides import PATIENCE, BothSides, in_words
    from workflows.steps import attempt


@workflow.defn(name=names.INITIAL)
class PlanInitialSync(BothSides[InitialStart]):
    """The plan of one entity in one company."""

    @workflow.init
    def __init__(self, start: InitialStart) -> None:
        """Make the state before the first question."""
        super().__init__(start)
        self._done: DryRun | None = None

    @workflow.run
    async def run(self, start: InitialStart) -> InitialView:
        """Read and plan, or end with the reason in words."""
        try:
            await self._open_once()
            if self._progress.map_hash != start.map_hash:
                text = f"The workers have another map of {start.entity} than the command: give both the same policies."
                raise ApplicationError(text, type=Cause.REFUSED)
            await self._read()
            await self._plan()
        except ActivityError as error:
            raise in_words(error) from None
        return self.state()

    @workflow.query(name=names.STATE, description="How far it is")
    def state(self) -> InitialView:
        """How far it is, and what it came to."""
        return self._start.view(self._progress, self._both_confirmed(), self._done)

    async def _plan(self) -> None:
        at = self._progress
        self._done = await self._finance(
            PlanBulkActivities.make_plan,
            MakePlan(
                place=self._place,
                run_id=at.run_id,
                entity=self._start.entity,
                company=self._start.company,
                map_hash=at.map_hash,
                began_at=at.began_at,
                ended_at=workflow.now(),
                figures=at.counted(),
            ),
            "Plan what would be done with each record",
        )
        self._set(stage="done")


@workflow.defn(name=names.WRITERS)
class AskWriters:
    """Which maps Dual-Write runs, asked by a worker: a person's command holds no secret."""

    @workflow.run
    async def run(self, start: WritersStart) -> Writers:
        """Ask, or end with the reason in words."""
        try:
            return await attempt(
                WriterBulkActivities.read_running_maps,
                start,
                queue=names.DATAVERSE_BULK_QUEUE,
                summary="Read which maps Dual-Write runs",
                patience=PATIENCE,
            )
        except ActivityError as error:
            raise in_words(error) from None
