"""What Finance said last, and how old it is: a read that waits for nobody longer than people do.

What was read within half a minute is shown again. Else Finance is read, and whoever asks waits for it a second and a
half at most: then they get what was read before, marked STALE, or are told that there is nothing. The read goes on and
is there for who asks next. Nothing here is written down, and nothing decides by it.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, Final, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from cachetools import LRUCache

from domain.refusals import Refusal
from dynamics.core.batch import MalformedBatch
from dynamics.core.errors import DynamicsError, NotFound
from dynamics.core.literals import key, query
from dynamics.core.odata import BatchAnswer
from virtual.refused import Refused, bad
from virtual.tables import BY_NAME, MOST_ROWS, Ask, Link, Row, of_company, rows_of

log = structlog.get_logger(__name__)

PATIENCE: Final = 1.5
"""Seconds that one answer waits for Finance: Dataverse's user shall have it within two."""
MOST_READS: Final = 16
"""Reads at a time; who comes while so many are under way gets what is known."""
MOST_KEPT_ROWS: Final = 200_000
RETRY_SECONDS: Final = 30
_LINK_KEPT: Final = 600.0
_MOST_LINKS: Final = 20_000


class Freshness(StrEnum):
    """How a row came to be shown."""

    LIVE = "LIVE"
    """Read for this answer."""
    CACHED = "CACHED"
    """Read less than half a minute before, or as the setting says."""
    STALE = "STALE"
    """Read before; Finance does not answer now, or not in time."""


class Source(Protocol):
    """A system that can be read: `dynamics.bulk.reader.Reader`."""

    async def row(self, path: str) -> Row:
        """One row."""

    async def together(self, paths: Sequence[str]) -> list[BatchAnswer]:
        """Several reads in one request."""


@dataclass(frozen=True)
class Kept:
    """Rows of a part of a table, as they were read."""

    rows: tuple[dict[str, Any], ...]
    as_of: datetime
    read_at: float
    """By the monotonic clock."""


@dataclass(frozen=True)
class Found:
    """What is answered."""

    rows: tuple[dict[str, Any], ...]
    as_of: datetime
    freshness: Freshness


class Reading:
    """Reads parts of tables, and keeps what was read."""

    def __init__(
        self,
        finance: Source,
        sales: Source,
        timezones: Mapping[str, str],
        business_units: Callable[[str], str | None],
        *,
        fresh_seconds: float,
        stale_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        patience: float = PATIENCE,
    ) -> None:
        """Nothing is read yet.

        Args:
            finance: where rows are read.
            sales: where the number is read that a lookup stands for.
            timezones: of each company.
            business_units: the company of a business unit of Sales; None: of none.
            fresh_seconds: how long what was read counts as current.
            stale_seconds: how long it may be shown at all.
            clock: seconds, monotonic.
            now: UTC.
            patience: seconds an answer waits.
        """
        self._finance, self._sales = finance, sales
        self._timezones, self._business_units = timezones, business_units
        self._fresh, self._stale, self._patience = fresh_seconds, stale_seconds, patience
        self._clock, self._now = clock, now
        self._kept: LRUCache[Ask, Kept] = LRUCache(MOST_KEPT_ROWS, lambda kept: len(kept.rows) + 1)
        self._running: dict[Ask, asyncio.Task[Kept]] = {}
        self._numbers: OrderedDict[tuple[str, str, str], tuple[float, str | None]] = OrderedDict()

    def deadline(self) -> float:
        """Until when an answer that is asked for now may wait."""
        return self._clock() + self._patience

    async def read(self, ask: Ask, deadline: float) -> Found:
        """A part of a table.

        Raises:
            Refused: Finance does not answer in time, or says no, and nothing was read before; or it is too much.
        """
        kept = self._known(ask)
        if kept is not None and self._clock() - kept.read_at <= self._fresh:
            return Found(kept.rows, kept.as_of, Freshness.CACHED)
        try:
            read = await self._in_time(ask, deadline)
        except Refused as refused:
            if kept is None or refused.code is not Refusal.FINANCE_UNAVAILABLE:
                raise
            return Found(kept.rows, kept.as_of, Freshness.STALE)
        return Found(read.rows, read.as_of, Freshness.LIVE)

    async def aclose(self) -> None:
        """End what still runs."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _known(self, ask: Ask) -> Kept | None:
        kept: Kept | None = self._kept.get(ask)
        if kept is not None and self._clock() - kept.read_at > self._stale:
            del self._kept[ask]
            return None
        return kept

    async def _in_time(self, ask: Ask, deadline: float) -> Kept:
        task = self._running.get(ask)
        if task is None:
            if len(self._running) >= MOST_READS:
                raise Refused(Refusal.FINANCE_UNAVAILABLE, "Too much is read at present.", retry_after=1)
            task = self._running[ask] = asyncio.create_task(self._begin(ask))
            task.add_done_callback(lambda done: self._ended(ask, done))
        done, _ = await asyncio.wait({task}, timeout=max(deadline - self._clock(), 0))
        if not done:
            raise Refused(Refusal.FINANCE_UNAVAILABLE, retry_after=RETRY_SECONDS)
        return task.result()

    def _ended(self, ask: Ask, task: asyncio.Task[Kept]) -> None:
        del self._running[ask]
        if not task.cancelled() and task.exception() is None:
            self._kept[ask] = task.result()

    async def _begin(self, ask: Ask) -> Kept:
        try:
            return await self._read(ask)
        except DynamicsError as error:
            log.warning("a virtual read failed", table=ask.table, company=ask.company, reason=str(error))
            if error.retryable:
                wait = int(error.retry_after or RETRY_SECONDS)
                raise Refused(Refusal.FINANCE_UNAVAILABLE, retry_after=wait) from error
            raise Refused(Refusal.FINANCE_REFUSED) from error
        except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError, MalformedBatch) as error:
            # Its answers are of another shape than its metadata says: the same read would give the same.
            log.exception("a virtual read cannot be understood", table=ask.table, company=ask.company)
            raise Refused(Refusal.FINANCE_REFUSED) from error

    async def _read(self, ask: Ask) -> Kept:
        table, linked, begun, as_of = BY_NAME[ask.table], None, self._clock(), self._now()
        wanted = ask
        if table.link is not None and ask.column == table.link.column:
            number = await self._number_of(table.link, ask)
            if number is None:
                return Kept((), as_of, begun)
            linked, wanted = ask.value, replace(ask, column=table.link.by, value=number)
        if "*" in wanted.value:
            return Kept((), as_of, begun)  # Finance would take it for anything.
        paths = table.reads(wanted, of_company(wanted, table.narrow))
        answers = dict(zip(paths, await self._finance.together(list(paths.values())), strict=True))
        read = {name: _rows(answer) for name, answer in answers.items()}
        rows = tuple(rows_of(table, wanted, read, self._today(ask.company), linked))
        return Kept(rows, as_of, begun)

    def _today(self, company: str) -> date:
        return self._now().astimezone(ZoneInfo(self._timezones[company])).date()

    async def _number_of(self, link: Link, ask: Ask) -> str | None:
        """The number that a row of Sales tells, unless it is another company's; None: there is none."""
        named = (link.entity_set, ask.company, ask.value)
        known = self._numbers.get(named)
        if known is not None and self._clock() - known[0] <= _LINK_KEPT:
            return known[1]
        unit = "owningbusinessunit($select=name)" if link.of_company else None
        columns = f"{link.number},_owningbusinessunit_value" if link.of_company else link.number
        path = query(key(link.entity_set, UUID(ask.value)), select=columns, expand=unit)
        try:
            row = await self._sales.row(path)
        except NotFound:
            row = {}
        number = row.get(link.number) or None
        if link.of_company:
            name = (row.get("owningbusinessunit") or {}).get("name")
            told = {self._business_units(str(name)), self._business_units(str(row.get("_owningbusinessunit_value")))}
            # A unit that is no company's tells nothing: a customer may buy of several.
            number = None if told - {None, ask.company} else number
        self._numbers[named] = (self._clock(), number)
        while len(self._numbers) > _MOST_LINKS:
            self._numbers.popitem(last=False)
        return number


def _rows(answer: BatchAnswer) -> list[Row]:
    """Rows of a read, at most as many as one read takes; of one that addressed a single row, this one or none."""
    try:
        body = answer.value()
    except NotFound:
        return []
    if "value" not in body:
        return [body]
    rows: list[Row] = list(body["value"])
    if len(rows) > MOST_ROWS or "@odata.nextLink" in body:
        raise bad(f"Finance has more than {MOST_ROWS} of these rows. Filter by customer or by item.")
    return rows
