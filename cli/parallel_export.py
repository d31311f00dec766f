"""A parallel run as tables for Power BI: Parquet files with typed columns; docs/power-bi.md is their model.

Values that are personal data are left out, and so is who settled a difference.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from domain.entities.comparing import LISTED
from domain.entities.data_overview import LetterCount
from domain.entities.lags import BOUNDS_MS, LagBucket
from domain.entities.parallel import entities_of
from domain.entities.parallel_run import ParallelState, ParallelView
from ledger import lags, parallel
from ledger.database import Database
from ledger.overview import letters_by_cause

_TEXT, _COUNT, _DAY, _YES = pa.string(), pa.int64(), pa.date32(), pa.bool_()
_AT = pa.timestamp("us", tz="UTC")
AGES: Final = ("age_1_day", "age_7_days", "age_30_days", "age_older")

TABLES: Final[Mapping[str, Mapping[str, Any]]] = {
    "calendar": {"day": _DAY, "year": _COUNT, "month": _COUNT, "week": _COUNT, "weekday": _COUNT},
    "entities": {"entity_key": _TEXT, "company": _TEXT, "entity": _TEXT, "owner_role": _TEXT},
    "days": {
        "entity_key": _TEXT,
        "day": _DAY,
        "run_id": _TEXT,
        "status": _TEXT,
        "clean": _YES,
        "why": _TEXT,
        **dict.fromkeys(("finance_records", "sales_records", "open", "new", "still_open", "gone"), _COUNT),
        **dict.fromkeys(("settled", "critical", "timing", "oldest_days", *AGES), _COUNT),
    },
    "day_classes": {"entity_key": _TEXT, "day": _DAY, "class": _TEXT, "open": _COUNT},
    "comparisons": {
        "run_id": _TEXT,
        "entity_key": _TEXT,
        "day": _DAY,
        "map_hash": _TEXT,
        "whole": _YES,
        "began_at": _AT,
        "ended_at": _AT,
        **dict.fromkeys(("finance_records", "sales_records", "requests", "open", "new", "gone"), _COUNT),
    },
    "differences": {
        "difference_id": _TEXT,
        "entity_key": _TEXT,
        "first_seen_day": _DAY,
        "class": _TEXT,
        "key": _TEXT,
        "field": _TEXT,
        "lacking": _TEXT,
        "owner": _TEXT,
        "finance_value": _TEXT,
        "sales_value": _TEXT,
        "personal_data": _YES,
        "first_seen_at": _AT,
        "last_seen_at": _AT,
        "resolution": _TEXT,
        "resolved_at": _AT,
    },
    "lags": {
        "entity_key": _TEXT,
        "day": _DAY,
        "direction": _TEXT,
        "within_seconds": pa.decimal128(9, 1),
        "changes": _COUNT,
    },
    "letters": {"entity_key": _TEXT, "cause": _TEXT, "letters": _COUNT},
}
"""Columns of each table; a text that is not there is empty, a moment that is not there is null."""
Rows = list[dict[str, Any]]
_FIGURES: Final = {"finance_records", "sales_records", "requests", "open", "new", "gone"}


async def write(database: Database, view: ParallelView, folder: Path) -> dict[str, int]:
    """Write every table, a list of them with their hashes, and where Power BI begins; rows by table.

    Args:
        database: the ledger.
        view: the run.
        folder: of the files; what is there of an earlier export is replaced.
    """
    state = view.state
    counted, told = await lags.days(database, state.company), await letters_by_cause(database, (state.company,))
    sources: dict[str, AsyncIterator[Rows]] = {
        "calendar": _at_once(_calendar(state)),
        "entities": _at_once(
            _entities(state, [*(each.entity for each, _ in counted), *(each.entity for each in told)])
        ),
        "days": _at_once(_days(state)),
        "day_classes": _at_once(_classes(state)),
        "comparisons": _comparisons(database, state),
        "differences": _differences(database, state),
        "lags": _at_once(_lags(state, counted)),
        "letters": _at_once(_letters(state, told)),
    }
    counts: dict[str, int] = {}
    for name, rows in sources.items():
        counts[name] = await _write(folder / f"{name}.parquet", pa.schema(list(TABLES[name].items())), rows)
    listed = {
        "company": state.company,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "digest": view.digest,
        "files": {name: {"rows": counts[name], "sha256": _hash(folder / f"{name}.parquet")} for name in TABLES},
    }
    _write_beginnings(folder, listed)
    return counts


def _write_beginnings(folder: Path, listed: Mapping[str, Any]) -> None:
    """What the tables are, for who checks them; and the file that Power BI opens."""
    (folder / "manifest.json").write_text(json.dumps(listed, indent=2) + "\n")
    there = {"details": {"protocol": "folder", "address": {"path": str(folder.resolve())}}}
    (folder / "parallel.pbids").write_text(json.dumps({"version": "0.1", "connections": [there]}, indent=2) + "\n")


def _key(state: ParallelState, entity: str) -> str:
    return f"{state.company}/{entity}"


def _calendar(state: ParallelState) -> Iterator[dict[str, Any]]:
    """Every day from the beginning of the run to its last one, whether anything was compared or not."""
    first = state.days[0].day if state.days else state.began_at.date()
    last = state.days[-1].day if state.days else first
    for n in range((last - first).days + 1):
        day: date = first + timedelta(days=n)
        _, week, weekday = day.isocalendar()
        yield {"day": day, "year": day.year, "month": day.month, "week": week, "weekday": weekday}


def _entities(state: ParallelState, more: Iterable[str]) -> Iterator[dict[str, Any]]:
    for entity in dict.fromkeys((*entities_of(state.days), *sorted(more))):
        owner = state.rules.owner(entity) if state.rules else ""
        yield {"entity_key": _key(state, entity), "company": state.company, "entity": entity, "owner_role": owner}


def _days(state: ParallelState) -> Iterator[dict[str, Any]]:
    for each in state.days:
        for found in each.entities:
            standing = found.standing
            yield {
                "entity_key": _key(state, found.entity),
                "day": each.day,
                "run_id": found.run_id,
                "status": found.status,
                "clean": state.rules is not None and found.is_clean(state.rules),
                "why": found.why,
                "finance_records": found.finance,
                "sales_records": found.sales,
                "open": found.open,
                "new": found.new,
                "still_open": found.still,
                "gone": found.gone,
                "settled": standing.settled,
                "critical": standing.critical,
                "timing": found.timing,
                "oldest_days": standing.oldest_days,
                **dict(zip(AGES, standing.ages, strict=True)),
            }


def _classes(state: ParallelState) -> Iterator[dict[str, Any]]:
    for each in state.days:
        for found in each.entities:
            for kind in LISTED:
                count = found.standing.open.get(kind, 0)
                yield {"entity_key": _key(state, found.entity), "day": each.day, "class": kind.value, "open": count}


async def _comparisons(database: Database, state: ParallelState) -> AsyncIterator[Rows]:
    async for some in parallel.comparisons(database, state.company, state.began_at):
        yield [
            {
                "run_id": run.run_id,
                "entity_key": _key(state, run.entity),
                "day": run.ended_at.date(),
                "map_hash": run.map_hash,
                "whole": run.whole,
                "began_at": run.began_at,
                "ended_at": run.ended_at,
                **run.figures.model_dump(include=_FIGURES),
            }
            for run in some
        ]


def _lags(state: ParallelState, counted: Iterable[tuple[LagBucket, int]]) -> Iterator[dict[str, Any]]:
    """How long changes took, counted by the time within which they were there; empty beyond the last one."""
    for each, number in counted:
        yield {
            "entity_key": _key(state, each.entity),
            "day": date.fromisoformat(each.day),
            "direction": each.direction,
            "within_seconds": Decimal(BOUNDS_MS[each.bucket]) / 1_000 if each.bucket < len(BOUNDS_MS) else None,
            "changes": number,
        }


def _letters(state: ParallelState, told: Iterable[LetterCount]) -> Iterator[dict[str, Any]]:
    """What a sync could not apply, as it stands now."""
    for each in told:
        yield {"entity_key": _key(state, each.entity), "cause": each.cause, "letters": each.letters}


async def _differences(database: Database, state: ParallelState) -> AsyncIterator[Rows]:
    async for some in parallel.differences(database, state.company):
        yield [
            {
                "difference_id": found.difference_id,
                "entity_key": _key(state, found.entity),
                "first_seen_day": found.first_seen_at.date(),
                "class": found.kind.value,
                "key": found.key,
                "field": found.field,
                "lacking": found.lacking or "",
                "owner": found.owner.value,
                "finance_value": "" if found.pii else found.finance_value,
                "sales_value": "" if found.pii else found.sales_value,
                "personal_data": found.pii,
                "first_seen_at": found.first_seen_at,
                "last_seen_at": found.last_seen_at,
                "resolution": found.resolution or "OPEN",
                "resolved_at": found.resolved_at,
            }
            for found in some
        ]


async def _at_once(rows: Iterable[dict[str, Any]]) -> AsyncIterator[Rows]:
    yield list(rows)


async def _write(path: Path, schema: pa.Schema, rows: AsyncIterator[Rows]) -> int:
    draft, count = path.with_suffix(".making"), 0
    with pq.ParquetWriter(draft, schema, compression="zstd") as writer:
        async for some in rows:
            writer.write_table(pa.Table.from_pylist(some, schema=schema))
            count += len(some)
    draft.replace(path)
    return count


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
