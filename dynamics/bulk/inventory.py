"""What both systems have of some records, counted: no record is kept, and only keys and empty fields are looked at."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from domain.entities.comparing import Comparison
from dynamics.bulk import sales
from dynamics.bulk.reader import READS_PER_BATCH, Reader
from dynamics.bulk.texts import KEY, VALUE
from dynamics.core.batch import chunks
from dynamics.core.literals import encoded, literal, query
from dynamics.core.odata import BatchAnswer

MOST_COUNTED: Final = 5_000
"""What Dataverse counts by a condition at most (Microsoft Learn: "Query data using the Web API", `$count`)."""


async def count_in_finance(reader: Reader, asked: Sequence[tuple[str, str]]) -> list[int | str]:
    """How many records fit, or why that is not known.

    Args:
        reader: of Finance.
        asked: entity set and condition; an empty condition: all records.

    Raises:
        DynamicsError: a request as a whole failed.
    """
    paths = [query(name, cross_company="true", filter=where or None, count="true", top=1) for name, where in asked]
    found: list[int | str] = []
    for some in chunks(paths, READS_PER_BATCH):
        found += [_counted(answer) for answer in await reader.together(some)]
    return found


async def totals_in_sales(reader: Reader, tables: Sequence[str]) -> dict[str, int | str]:
    """How many rows tables have in all companies, as Dataverse counted them within the last day, or why not known.

    Raises:
        DynamicsError: the request as a whole failed.
    """
    if not tables:
        return {}
    paths = [f"RetrieveTotalRecordCount(EntityNames=@p1)?@p1={encoded(json.dumps([name]))}" for name in tables]
    found: dict[str, int | str] = {}
    for name, answer in zip(tables, await reader.together(paths), strict=True):
        if answer.error is not None:
            found[name] = _why(answer)
            continue
        counts = answer.value()["EntityRecordCountCollection"]
        found[name] = int(dict(zip(counts["Keys"], counts["Values"], strict=True)).get(name, 0))
    return found


async def changed_in_sales(reader: Reader, of: Comparison, column: str, since: datetime) -> int | None:
    """How many rows were changed since a moment, 5,000 at most; None: it is not known.

    Raises:
        DynamicsError: the request as a whole failed.
    """
    condition = f"{column} ge {literal(since)}"
    where = f"({of.sales_filter}) and {condition}" if of.sales_filter else condition
    (answer,) = await reader.together(
        [query(of.sales.entity_set, select=of.sales.id, filter=where, count="true", top=1)]
    )
    counted = _counted(answer)
    return counted if isinstance(counted, int) else None


@dataclass
class Looked:
    """What rows of Sales are like.

    Attributes:
        rows: looked at.
        more: there are more of them.
        key_empty: without a key.
        key_doubled: share their key with another.
        empty: by field, how many are empty.
    """

    rows: int = 0
    more: bool = False
    key_empty: int = 0
    key_doubled: int = 0
    empty: dict[str, int] = field(default_factory=dict)


async def look_in_sales(reader: Reader, of: Comparison, most_pages: int) -> Looked:
    """Look at the first pages of Sales: a request each.

    Raises:
        DynamicsError: a page cannot be read.
    """
    looked, seen = Looked(empty={each.name: 0 for each in of.fields}), Counter[str]()
    link: str | None = sales.read(of)
    for _ in range(most_pages):
        if link is None:
            break
        page = await reader.page(link, rows=sales.PAGE_ROWS)
        _note(looked, seen, of, sales.records(of, page.rows))
        link = page.next_link
    looked.more = link is not None
    looked.key_doubled = sum(count for count in seen.values() if count > 1)
    return looked


def _note(looked: Looked, seen: Counter[str], of: Comparison, rows: Iterable[Mapping[str, str | None]]) -> None:
    for row in rows:
        looked.rows += 1
        parts = [(row[f"{KEY}{n}"] or "").strip().upper() for n in range(len(of.sales_key))]
        if all(parts):
            seen["\x1f".join(parts)] += 1
        else:
            looked.key_empty += 1
        for n, each in enumerate(of.fields):
            looked.empty[each.name] += not (row[f"{VALUE}{n}"] or "").strip()


def _counted(answer: BatchAnswer) -> int | str:
    return _why(answer) if answer.error is not None else int(answer.value()["@odata.count"])


def _why(answer: BatchAnswer) -> str:
    return str(answer.error).split(" Trace ID:")[0]
