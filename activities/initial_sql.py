"""The plan of an initial sync by DuckDB: from the pages of a dry run, and from what differs, to what is done with each
record. It joins, normalises and translates as the comparison does.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from activities.comparison_sql import Connection, load, one, text
from cleansing.normal import normal
from domain.entities.comparing import ComparedField, Comparison, DifferenceClass
from domain.entities.initial import Action, PlanFigures, Why, key_owner
from domain.entities.model import DataMap, FieldMap, SideName

PAGE_ROWS: Final = 50_000
"""Records of one page of a plan."""
_CHANGE: Final = 'STRUCT(field VARCHAR, "to" VARCHAR, finance VARCHAR, sales VARCHAR, value VARCHAR, trouble VARCHAR)'


def make(
    db: Connection, of: Comparison, data: DataMap, finance: Sequence[str], sales: Sequence[str], first: str
) -> None:
    """Make the table ``plan``: a line for each record of either side, numbered in the order of keys.

    Args:
        db: an open DuckDB with ``found``: what differs on both looks.
        of: what was read.
        data: the map.
        finance: Parquet files of Finance's records.
        sales: those of Sales.
        first: Parquet file of what differed at first sight.
    """
    _standing(db, of, first)
    load(db, "finance", of, finance)
    load(db, "sales", of, sales)
    _paired(db, of)
    fields = [(n, field, data.fields[field.name]) for n, field in enumerate(of.fields)]
    changes = ", ".join(_change(of, data, n, compared, field) for n, compared, field in fields)
    db.execute(
        f"CREATE OR REPLACE TABLE changed AS SELECT key, ids, whole, lacking, creating, timing, "
        f"list_filter([{changes}], lambda c: c IS NOT NULL) AS changes FROM "
        f"(SELECT *, {_creating(data)} AS creating FROM paired)"
    )
    db.execute(
        f"CREATE OR REPLACE TABLE plan AS SELECT row_number() OVER (ORDER BY key, ids) - 1 AS n, "
        f"replace(key, chr(31), '/') AS key, key AS parts, ids AS sales_ids, d.action AS action, d.why AS why, changes "
        f"FROM (SELECT *, {_decided(data)} AS d FROM changed)"
    )


def pages(db: Connection) -> int:
    """How many pages the plan has."""
    return -(-int(one(db, "SELECT count(*) FROM plan")) // PAGE_ROWS)


def save_page(db: Connection, number: int, file: Path) -> int:
    """Write a page of the plan to a Parquet file; how many records it has."""
    begin = number * PAGE_ROWS
    target = str(file).replace("'", "''")
    rows = f"FROM plan WHERE n >= {begin} AND n < {begin + PAGE_ROWS}"
    db.execute(f"COPY (SELECT * EXCLUDE n {rows} ORDER BY n) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
    return int(one(db, f"SELECT count(*) {rows}"))


def figures(db: Connection) -> PlanFigures:
    """How many records have which action, and why."""
    found = db.execute("SELECT action, why, count(*) FROM plan GROUP BY ALL").fetchall()
    actions: dict[Action, int] = {}
    reasons: dict[Why, int] = {}
    for action, why, count in found:
        actions[Action(action)] = actions.get(Action(action), 0) + count
        reasons[Why(why)] = reasons.get(Why(why), 0) + count
    return PlanFigures(records=sum(actions.values()), actions=actions, reasons=reasons)


def _standing(db: Connection, of: Comparison, first: str) -> None:
    """What differs, a line for each record: as a whole (``whole``) and by field (``d0``, …)."""
    by_field = ", ".join(
        f"max(CASE WHEN field = {text(field.name)} THEN kind END) AS d{n}" for n, field in enumerate(of.fields)
    )
    db.execute(
        "CREATE OR REPLACE TABLE differing AS SELECT key, bool_or(stands) AS stands, "
        f"max(CASE WHEN field = '' THEN kind END) AS whole, max(lacking) AS lacking, {by_field} FROM ("
        "SELECT key, field, kind, lacking, true AS stands FROM found UNION ALL "
        "SELECT key, NULL, NULL, NULL, false FROM read_parquet(?)) GROUP BY key",
        [first],
    )


def _paired(db: Connection, of: Comparison) -> None:
    """Every record, with the values of both sides."""
    many = range(len(of.fields))
    finance, sales = (", ".join(f"{side[0]}.v{n} AS {side[0]}{n}" for n in many) for side in ("finance", "sales"))
    values = ", ".join(f"any_value(v{n}) AS v{n}" for n in many)
    differing = ", ".join(f"d.d{n}" for n in many)
    db.execute(
        f"CREATE OR REPLACE TABLE paired AS SELECT coalesce(f.key, s.key) AS key, coalesce(s.ids, '') AS ids, "
        f"d.whole, coalesce(d.lacking, '') AS lacking, d.stands IS NOT NULL AND NOT d.stands AS timing, "
        f"{finance}, {sales}, {differing} FROM (FROM finance WHERE key IS NOT NULL) f FULL JOIN ("
        f"SELECT coalesce(key, id) AS key, string_agg(id, ' ' ORDER BY id) AS ids, {values} FROM sales "
        "GROUP BY coalesce(key, id)) s ON f.key = s.key "
        "LEFT JOIN differing d ON d.key = coalesce(f.key, s.key)"
    )


def _creating(data: DataMap) -> str:
    """The side a record would be created on; NULL: none."""
    owner = key_owner(data)
    sides: list[SideName] = []
    if data.sales is not None and data.sales.creates and owner != "sales":
        sides.append("sales")
    if data.finance is not None and data.finance.creates and owner != "finance":
        sides.append("finance")
    missing = f"whole = '{DifferenceClass.MISSING}' AND lacking"
    cases = [f"WHEN {missing} = '{side}' THEN '{side}'" for side in sides]
    if data.finance is not None and data.finance.belongs_to is not None:
        cases.append(f"WHEN whole = '{DifferenceClass.UNMAPPED}' THEN 'finance'")
    return f"CASE {' '.join(cases)} END" if cases else "NULL::VARCHAR"


def _decided(data: DataMap) -> str:
    """Action and reason of a line, as SQL."""

    def say(action: Action, why: Why | str) -> str:
        named = f"'{why}'" if isinstance(why, Why) else why
        return f"struct_pack(action := '{action}', why := {named})"

    owner = key_owner(data)
    unknown = f"whole = '{DifferenceClass.MISSING}' AND lacking = '{owner}'" if owner else "false"
    troubles = "list_filter(changes, lambda c: c.trouble <> '')"
    cases = (
        (f"whole = '{DifferenceClass.DUPLICATE}'", say(Action.DUPLICATE, Why.TWICE)),
        (f"whole = '{DifferenceClass.UNMAPPED}' AND creating IS NULL", say(Action.UNMAPPED, Why.NO_KEY)),
        (unknown, say(Action.UNMAPPED, Why.UNKNOWN_KEY)),
        (f"whole = '{DifferenceClass.MISSING}' AND creating IS NULL", say(Action.SKIP, Why.NOT_CREATED)),
        (f"len({troubles}) > 0", say(Action.UNMAPPED, f"{troubles}[1].trouble")),
        ("len(list_filter(changes, lambda c: c.\"to\" = '')) > 0", say(Action.CONFLICT, Why.MANUAL)),
        ("creating IS NOT NULL", say(Action.CREATE, Why.LACKING)),
        ("len(changes) > 0", say(Action.UPDATE, Why.OWNER)),
        ("timing", say(Action.SKIP, Why.TIMING)),
    )
    return (
        f"CASE {' '.join(f'WHEN {when} THEN {then}' for when, then in cases)} ELSE {say(Action.SKIP, Why.AGREES)} END"
    )


def _change(of: Comparison, data: DataMap, n: int, compared: ComparedField, field: FieldMap) -> str:
    """What becomes of a field, as SQL; NULL: nothing."""
    finance, sales = f"coalesce(f{n}, '')", f"coalesce(s{n}, '')"

    def say(to: str, value: str, trouble: str) -> str:
        parts = f"field := {text(compared.name)}, \"to\" := '{to}', finance := {finance}, sales := {sales}"
        return f"CAST(struct_pack({parts}, value := {value}, trouble := {trouble}) AS {_CHANGE})"

    def write(to: SideName) -> str:
        given = finance if to == "sales" else sales
        return say(to, _written(of, compared, to, given), _trouble(of, compared, field, to, given))

    sides: tuple[SideName, ...] = ("finance", "sales")
    writes = [to for to in sides if field.writes(to)]
    differs = write(writes[0]) if len(writes) == 1 else say("", "''", "''")
    unlisted = say("", "''", f"'{Why.UNLISTED}'")
    cases = [
        f"WHEN whole IS NULL AND d{n} = '{DifferenceClass.DIFF}' THEN {differs}",
        f"WHEN whole IS NULL AND d{n} = '{DifferenceClass.UNMAPPED}' THEN {unlisted}",
    ]
    for to in sides:
        if data.fills(field, to):
            given = "true" if field.required else f"trim({finance if to == 'sales' else sales}) <> ''"
            cases.append(f"WHEN creating = '{to}' AND {given} THEN {write(to)}")
    return f"CASE {' '.join(cases)} END"


def _written(of: Comparison, field: ComparedField, to: SideName, given: str) -> str:
    """A value as a side spells it, as SQL."""
    if field.values is not None:
        return f"coalesce({_translated(field, to, given)}, '')"
    return f"left({given}, {field.cut_at})" if to == "sales" and field.cut_at is not None else given


def _translated(field: ComparedField, to: SideName, given: str) -> str:
    """The counterpart of a value; NULL: none is listed."""
    assert field.values is not None
    if to == "sales":
        known = " ".join(f"WHEN {text(there)} THEN {text(here)}" for there, here in field.values.items())
        return f"(CASE trim({given}) {known} END)"
    known = " ".join(
        f"WHEN {normal(text(here), field.normal)} THEN {text(there)}" for there, here in field.values.items()
    )
    return f"(CASE {normal(given, field.normal)} {known} END)"


def _trouble(of: Comparison, compared: ComparedField, field: FieldMap, to: SideName, given: str) -> str:
    """Why a value cannot be written to a side; empty: it can."""
    cases = [f"WHEN trim({given}) = '' THEN '{Why.REQUIRED if field.required else ''}'"]
    if field.refused:
        cases.append(f"WHEN trim({given}) IN ({', '.join(map(text, field.refused))}) THEN '{Why.UNLISTED}'")
    if compared.values is not None:
        cases.append(f"WHEN {_translated(compared, to, given)} IS NULL THEN '{Why.UNLISTED}'")
    most = field.finance_length if to == "finance" else of.sales.lengths.get(compared.sales)
    if most is not None and field.longer != "cut":
        cases.append(f"WHEN length({_written(of, compared, to, given)}) > {most} THEN '{Why.TOO_LONG}'")
    return f"CASE {' '.join(cases)} ELSE '' END"
