"""Opens the ledger when it is first needed: a worker whose ledger is away starts, and its deals go on.

The database's libraries are imported then as well: they would make a worker's start a good deal slower. Opening happens
once, in threads and a task of its own, so that neither an impatient caller nor the event loop's other work suffers.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar

from domain.audit import AuditReceipt, AuditRecord
from ledger.appending import Appending

if TYPE_CHECKING:
    from datetime import datetime

    from domain.entities.comparing import Difference
    from domain.entities.cross_reference import CrossReference
    from domain.entities.initial import DryRun
    from domain.entities.map_change import KeptRecords
    from domain.entities.model import DataMap
    from domain.entities.parallel import Critical, Standing
    from domain.policy import Policy
    from domain.shadow import PeoplesOrder, ShadowLook
    from ledger.comparison_runs import ComparisonRun
    from ledger.database import Database

T = TypeVar("T")

PAGE_SECONDS: Final = 20.0
"""How long the database may take for one question of a page."""


class LedgerAway(Exception):
    """The ledger's database does not answer or cannot be used; nothing is stored by half."""


class Opening:
    """A database that is opened once, when it is first needed."""

    _read_only = False

    def __init__(self, url: str) -> None:
        """Use a database; nothing is opened yet."""
        self._url = url
        self._opening: asyncio.Task[Database] | None = None

    async def _opened(self) -> Database:
        failed = self._opening is not None and self._opening.done() and self._opening.exception() is not None
        if self._opening is None or failed:
            work = _open(self._url, read_only=self._read_only)
            self._opening = asyncio.create_task(work, name="open the ledger")
        # A caller that gives up does not stop the opening: the next one finds it done.
        return await asyncio.shield(self._opening)

    async def close(self) -> None:
        """Close what was opened."""
        if self._opening is not None:
            opened = await asyncio.gather(self._opening, return_exceptions=True)
            for database in opened:
                if not isinstance(database, BaseException):
                    await database.close()


class Ledger(Opening):
    """The ledger of one process."""

    def __init__(self, url: str) -> None:
        """Use a database; nothing is opened yet."""
        super().__init__(url)
        self._appending = Appending(self._append_all, concerns_all=_concerns_all)

    async def append(self, records: Sequence[AuditRecord]) -> AuditReceipt:
        """Store audit records, as `ledger.audit.AuditStore.append` does; together with what others store meanwhile.

        Raises:
            LedgerAway: asked again, it is tried again.
        """
        return await answered(self._appending.append(records))

    async def _append_all(self, batches: Sequence[Sequence[AuditRecord]]) -> list[AuditReceipt]:
        database = await self._opened()
        from ledger.audit import AuditStore

        return await AuditStore(database).append_all(batches)

    async def close(self) -> None:
        """Close what was opened, once what is on its way is stored."""
        await self._appending.finish()
        await super().close()

    async def note_rules(self, policy: Policy, companies: Collection[str]) -> int:
        """Record rules that are new, as `ledger.rules.note_rules` does. Raises LedgerAway as `append`."""
        database = await self._opened()
        from ledger.rules import note_rules

        return await answered(note_rules(database, policy, companies))

    async def companies(self) -> list[str]:
        """Companies with records of the audit.

        Raises:
            LedgerAway: asked again, it is tried again.
        """
        database = await self._opened()
        from ledger.reads import AuditReader

        return await answered(AuditReader(database).companies())

    async def ask(self, question: Callable[[Database], Awaitable[T]], *, seconds: float = PAGE_SECONDS) -> T:
        """What the database answers to ``question``, the opening included. Raises LedgerAway as `append`."""
        try:
            async with asyncio.timeout(seconds):
                return await answered(question(await self._opened()))
        except TimeoutError as error:
            raise LedgerAway(f"the ledger does not answer within {seconds:.0f} s") from error

    # Comparisons of both systems

    async def comparison(self, run_id: str) -> ComparisonRun | None:
        """A comparison that came to its end; None: none did. Raises LedgerAway as `append`."""
        database = await self._opened()
        from ledger.differences import comparison

        return await answered(comparison(database, run_id))

    async def keep_comparison(self, run: ComparisonRun, found: Iterable[Sequence[Difference]]) -> ComparisonRun:
        """Keep what a comparison found, as `ledger.differences.keep` does. Raises LedgerAway as `append`."""
        database = await self._opened()
        from ledger.differences import keep

        return await answered(keep(database, run, found))

    # Maps

    async def maps_in_force(self) -> dict[str, DataMap]:
        """By entity, as `ledger.map_versions.in_force`; none where no file was noted. Raises LedgerAway as `append`."""
        database = await self._opened()
        from ledger.map_versions import in_force

        return await answered(in_force(database))

    async def note_maps(self, maps: Iterable[DataMap]) -> int:
        """Keep what files say of entities that are new, as `ledger.map_versions.note_files`. Raises as `append`."""
        database = await self._opened()
        from ledger.map_versions import note_files

        return await answered(note_files(database, maps, datetime.now(UTC)))

    async def keep_records(self, records: KeptRecords) -> None:
        """Note which records a comparison kept. Raises LedgerAway as `append`."""
        database = await self._opened()
        from ledger.map_versions import keep_records

        await answered(keep_records(database, records))

    async def whole_since(self, entity: str, company: str, since: datetime) -> ComparisonRun | None:
        """The newest comparison, as `ledger.parallel.whole_since` finds it. Raises LedgerAway as `append`."""
        database = await self._opened()
        from ledger.parallel import whole_since

        return await answered(whole_since(database, entity, company, since))

    async def standing(self, entity: str, company: str, critical: Critical, now: datetime) -> Standing:
        """What stands, as `ledger.parallel.standing` counts it. Raises LedgerAway as `append`."""
        database = await self._opened()
        from ledger.parallel import standing

        return await answered(standing(database, entity, company, critical, now))

    # Shadow mode

    async def keep_shadow(self, look: ShadowLook) -> None:
        """Keep what would have been decided, as `ledger.shadow.keep` does. Raises LedgerAway as `append`."""
        database = await self._opened()
        from ledger.shadow import keep

        await answered(keep(database, look))

    async def note_shadow_order(self, company: str, quote: str, revision: int, order: PeoplesOrder) -> None:
        """Keep which order people entered, as `ledger.shadow.note_order` does. Raises LedgerAway as `append`."""
        database = await self._opened()
        from ledger.shadow import note_order

        await answered(note_order(database, company, quote, revision, order))

    # What people decided about customers that may be one

    async def cross_reference(self, company: str = "") -> CrossReference:
        """What is in force, as `ledger.cross_reference.read` says it. Raises LedgerAway as `append`."""
        database = await self._opened()
        from ledger.cross_reference import read

        return await answered(read(database, company))

    # Dry runs of initial syncs

    async def keep_dry_run(self, run: DryRun) -> None:
        """Keep a dry run, as `ledger.initial_runs.keep_dry_run` does. Raises LedgerAway as `append`."""
        database = await self._opened()
        from ledger.initial_runs import keep_dry_run

        await answered(keep_dry_run(database, run))

    # Sessions of the web application

    async def session(self, key: str, now: float) -> str | None:
        """A session's sealed content; None where there is none that has not expired. Raises LedgerAway as `append`."""
        database = await self._opened()
        from ledger.sessions import read

        return await answered(read(database, key, now))

    async def begin_session(self, key: str, owner: str, content: str, expires_at: float) -> None:
        """Keep a new session; what has expired is removed on the way. Raises LedgerAway as `append`."""
        database = await self._opened()
        from ledger.sessions import begin

        await answered(begin(database, key, owner, content, expires_at))

    async def renew_session(self, key: str, content: str) -> bool:
        """Change a session's content; False where it has ended meanwhile. Raises LedgerAway as `append`."""
        database = await self._opened()
        from ledger.sessions import renew

        return await answered(renew(database, key, content))

    async def end_session(self, key: str) -> None:
        """Remove a session. Raises LedgerAway as `append`."""
        database = await self._opened()
        from ledger.sessions import end

        await answered(end(database, key))

    async def end_sessions(self, owner: str) -> int:
        """Remove all sessions of an owner; how many there were. Raises LedgerAway as `append`."""
        database = await self._opened()
        from ledger.sessions import end_all

        return await answered(end_all(database, owner))

    # Views that people keep of its lists

    async def views(self, owner: str, of: str) -> str:
        """A person's views of a list; empty where there are none. Raises LedgerAway as `append`."""
        database = await self._opened()
        from ledger.views import read

        return await answered(read(database, owner, of))

    async def change_views(self, owner: str, of: str, before: str, after: str) -> bool:
        """Replace a person's views; False where they changed meanwhile. Raises LedgerAway as `append`."""
        database = await self._opened()
        from ledger.views import change

        return await answered(change(database, owner, of, before, after))


async def answered(work: Awaitable[T]) -> T:
    """What the database answers. Raises LedgerAway where it does not."""
    from ledger.database import DATABASE_ERRORS

    try:
        return await work
    except DATABASE_ERRORS as error:
        raise LedgerAway(f"{type(error).__name__}: {_reason(error)}") from error


def _concerns_all(error: BaseException) -> bool:
    """Whether an error is the database's state, and not what was written: it would come again for anything else."""
    from sqlalchemy.exc import InterfaceError, OperationalError, TimeoutError

    return isinstance(error, LedgerAway | InterfaceError | OperationalError | TimeoutError | OSError)


def _reason(error: Exception) -> str:
    """What the database itself says where it cannot work, e.g. that the disk is full; nothing of what was written."""
    from sqlalchemy.exc import OperationalError

    said = str(error.orig).partition("\n")[0] if isinstance(error, OperationalError) else ""
    return said or "the ledger does not answer"


async def _open(url: str, *, read_only: bool) -> Database:
    await asyncio.to_thread(importlib.import_module, "ledger.audit")
    from ledger.database import DATABASE_ERRORS, open_database

    try:
        return await open_database(url, read_only=read_only)
    except DATABASE_ERRORS as error:
        raise LedgerAway(f"the ledger cannot be opened: {error}") from error
