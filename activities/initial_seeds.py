"""Records of a plan that agreed, with the values both sides had: what the sync after it begins with. By DuckDB."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import duckdb

from domain.entities.initial import Action, Why
from domain.entities.merge import Both
from ledger.plans import Plan
from ledger.seeding import Agreed

SOME: Final = 5_000
"""Records of one activity."""


class Some(NamedTuple):
    """Some records; ``after``: how many of the plan there were before the next ones."""

    records: list[Agreed]
    after: int
    more: bool


def some(plan: Plan, names: Sequence[str], after: int) -> Some:
    """The next records that agreed, in the order of the plan.

    Args:
        plan: of a dry run.
        names: fields of the map that are kept in step.
        after: records before them.
    """
    columns = ", ".join(f"coalesce({side}.\"{name}\", '')" for name in names for side in ("f", "s"))
    with duckdb.connect(":memory:", config={"threads": 2, "memory_limit": "500MB"}) as database:
        database.execute(
            "CREATE TABLE agreed AS SELECT row_number() OVER (ORDER BY key) AS n, parts, sales_ids AS id "
            "FROM read_parquet(?) WHERE action = ? AND why = ? AND sales_ids <> '' AND NOT contains(sales_ids, ' ')",
            [plan.files, Action.SKIP.value, Why.AGREES.value],
        )
        total = database.execute("SELECT count(*) FROM agreed").fetchall()[0][0]
        rows = database.execute(
            f"SELECT a.parts, a.id, {columns} FROM (FROM agreed WHERE n > ? AND n <= ?) a "  # noqa: S608  # names of a map
            "JOIN read_parquet(?) f ON upper(trim(f.key)) = a.parts "
            "JOIN read_parquet(?) s ON s.key = a.id ORDER BY a.n",
            [after, after + SOME, plan.records("finance"), plan.records("sales")],
        ).fetchall()
    records = [
        Agreed(
            key=row[0],
            sales_id=row[1],
            fields={name: Both(finance=row[2 + 2 * n], sales=row[3 + 2 * n]) for n, name in enumerate(names)},
        )
        for row in rows
    ]
    return Some(records, after + SOME, total > after + SOME)
