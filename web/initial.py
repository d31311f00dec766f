"""First syncs, as a reader sees them: dry runs, what the gate said of them, and how far their plans are carried out."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

from domain.entities.gate import Verdict
from domain.entities.initial import DryRun, InitialView
from domain.entities.initial_run import InitialRunView
from domain.people import Person
from domain.record import Record
from ledger.data_desk import DataDesk
from runs import names
from runs.calls import RunError
from runs.initial import Initials, ListedRun
from web.access import Access

_LOOK_SECONDS: Final = 2.0
"""How long the page waits for each run to say how far it is."""


class ShownInitial(Record):
    """The newest dry run of an entity in a company."""

    entity: str
    company: str
    began_at: datetime | None = None
    goes_on: bool = False
    failed: bool = False
    view: InitialView | None = None
    time_left: timedelta | None = None
    dry_run: DryRun | None = None
    verdict: Verdict | None = None
    run: InitialRunView | None = None
    run_left: timedelta | None = None
    undo: InitialRunView | None = None
    undo_left: timedelta | None = None

    @property
    def judged(self) -> bool:
        """Whether what the gate said is about this dry run."""
        return self.verdict is not None and self.dry_run is not None and self.verdict.run_id == self.dry_run.run_id


class InitialSyncs:
    """Dry runs, as the page shows them."""

    def __init__(self, access: Access, runs: Initials, desk: DataDesk | None) -> None:
        """Show what runs say and ``desk`` has kept, as far as ``access`` allows; None: there is no ledger here."""
        self._access = access
        self._runs = runs
        self._desk = desk

    @property
    def is_kept(self) -> bool:
        """Whether there is a ledger here."""
        return self._desk is not None

    async def listed(self, person: Person) -> tuple[ShownInitial, ...]:
        """The newest dry run of each entity and company that a person may see; those that go on first.

        Raises:
            Problem: 403, none at all.
            RunError: they cannot be listed.
            LedgerAway: what was kept cannot be read.
        """
        companies = self._access.seeing_data(person)
        begun = await self._runs.listed(companies, names.INITIAL)
        views = dict(zip(begun, await asyncio.gather(*map(self._view, begun)), strict=True))
        kept, verdicts = ([], {}) if self._desk is None else await self._desk.initial_syncs(companies)
        done = {(run.entity, run.company): run for run in kept}
        found = {(each.entity, each.company): self._shown(each, views[each]) for each in begun}
        for place, run in done.items():
            shown = found.get(place, ShownInitial(entity=run.entity, company=run.company, began_at=run.began_at))
            found[place] = shown.model_copy(update={"dry_run": run, "verdict": verdicts.get(place)})
        for each in await self._runs.listed(companies, names.INITIAL_RUN):
            place = (each.entity, each.company)
            if (writing := await self._run(each)) is not None:
                shown = found.get(place, ShownInitial(entity=each.entity, company=each.company, began_at=each.began_at))
                kind = "undo" if each.undoes else "run"
                found[place] = shown.model_copy(update={kind: writing, f"{kind}_left": writing.time_left()})
        return tuple(sorted(found.values(), key=lambda each: (not each.goes_on, each.entity, each.company)))

    def _shown(self, run: ListedRun, view: InitialView | None) -> ShownInitial:
        return ShownInitial(
            entity=run.entity,
            company=run.company,
            began_at=run.began_at,
            goes_on=run.goes_on,
            failed=run.failed,
            view=view,
            time_left=view.time_left(datetime.now(UTC)) if view else None,
        )

    async def _view(self, run: ListedRun) -> InitialView | None:
        """How far a run is; nothing as well where nobody answers at once, or where it has ended."""
        if not run.goes_on:
            return None
        try:
            return await self._runs.view(run.workflow_id, patience=_LOOK_SECONDS)
        except RunError:
            return None

    async def _run(self, run: ListedRun) -> InitialRunView | None:
        """How far a plan is carried out, or what came of it; nothing where nobody answers at once, or none began."""
        try:
            view = await self._runs.run_view(run.entity, run.company, undoes=run.undoes, patience=_LOOK_SECONDS)
        except RunError:
            return None
        return None if view.status == "refused" else view
