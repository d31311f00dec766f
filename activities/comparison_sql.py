"""Both sides of a comparison joined by DuckDB, over pages: a pure function from files to differences.

Nothing lasts in DuckDB: it reads Parquet files and holds its tables in memory, beyond its limit in a folder that goes
with it. Every value is text, as it was read; numbers become decimals here, and nothing passes through a float.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import duckdb
from moneyed import CURRENCIES

from cleansing.normal import normal
from domain.entities.comparing import LISTED, ComparedField, Comparison, Difference, DifferenceClass
from domain.entities.model import Owner, SideName
from domain.money import UnknownCurrency, minor_digits

Connection = duckdb.DuckDBPyConnection

MEMORY: Final = "900MB"
THREADS: Final = 2
LONGEST_VALUE: Final = 400
"""Characters of a value that are kept and reported."""
_BATCH: Final = 5_000
_SAME, _DIFF, _ROUNDING, _UNMAPPED = range(4)
_OF_CODE: Final = {
    _DIFF: DifferenceClass.DIFF,
    _ROUNDING: DifferenceClass.ROUNDING,
    _UNMAPPED: DifferenceClass.UNMAPPED,
}
_COLUMNS: Final = "kind, key, field, lacking, finance_value, sales_value, sales_ids"
_SEPARATOR: Final = "chr(31)"


@contextmanager
def opened(spill: Path) -> Iterator[Connection]:
    """DuckDB in memory, which writes what does not fit into a folder."""
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": MEMORY,
        "threads": THREADS,
        "temp_directory": str(spill),
    }
    connection = duckdb.connect(":memory:", config=settings)
    try:
        yield connection
    finally:
        connection.close()


def find(db: Connection, of: Comparison, finance: Sequence[str], sales: Sequence[str]) -> None:
    """Make the table ``found``: every difference between the records of both sides' files.

    Args:
        db: an open DuckDB; tables of an earlier call are replaced.
        of: what is compared.
        finance: Parquet files of Finance's records. A record that stands in several is one record.
        sales: those of Sales; a row that stands in several is one row.
    """
    load(db, "finance", of, finance)
    load(db, "sales", of, sales)
    db.execute(
        "CREATE OR REPLACE TABLE doubled AS "
        "SELECT key FROM sales WHERE key IS NOT NULL GROUP BY key HAVING count(*) > 1"
    )
    codes = ", ".join(f"{code(of.fields, n)} AS c{n}" for n in range(len(of.fields)))
    values = ", ".join(f"f.v{n} AS f{n}, s.v{n} AS s{n}" for n in range(len(of.fields)))
    wrong = " + ".join(f"c{n}" for n in range(len(of.fields)))
    db.execute(
        f"CREATE OR REPLACE TABLE wrong AS SELECT * FROM (SELECT f.key AS key, s.id AS id, {values}, {codes} "
        "FROM finance f JOIN sales s ON f.key = s.key WHERE NOT EXISTS (FROM doubled d WHERE d.key = f.key)) "
        f"WHERE {wrong} > 0"
    )
    db.execute(f"CREATE OR REPLACE TABLE found AS {' UNION ALL '.join((*_records(), *_fields(of)))}")


def candidates(db: Connection, of: Comparison) -> None:
    """Make the table ``candidates``: the records of ``found``, numbered, with their keys as one side spells them."""
    parts = range(len(of.finance_key))
    spelled = ", ".join(f"any_value(k{n}) AS k{n}" for n in parts)
    own, none = ", ".join(f"k{n}" for n in parts), ", ".join(f"NULL::VARCHAR AS k{n}" for n in parts)
    db.execute(
        "CREATE OR REPLACE TABLE candidates AS SELECT row_number() OVER (ORDER BY key, id) - 1 AS n, * FROM ("
        f"SELECT key, NULL::VARCHAR AS id, {spelled} FROM (SELECT key, {own} FROM finance UNION ALL "
        f"SELECT key, {own} FROM sales WHERE key IS NOT NULL) k WHERE key IN (SELECT key FROM found) GROUP BY key "
        f"UNION ALL SELECT id AS key, id, {none} FROM sales WHERE key IS NULL)"
    )


def keep_standing(db: Connection, first: str) -> int:
    """Keep in ``found`` what an earlier look found as well, with the same values on both sides.

    Args:
        db: an open DuckDB with ``found``.
        first: Parquet file of what was found earlier.

    Returns:
        How many of the earlier ones stand no more.
    """
    db.execute(
        f"CREATE OR REPLACE TABLE standing AS SELECT {', '.join(f'b.{name}' for name in _COLUMNS.split(', '))} "
        "FROM found b JOIN read_parquet(?) a ON a.key = b.key AND a.field = b.field AND a.kind = b.kind "
        "AND a.lacking = b.lacking AND a.finance_value = b.finance_value AND a.sales_value = b.sales_value",
        [first],
    )
    earlier = one(db, "SELECT count(*) FROM read_parquet(?)", [first])
    db.execute("CREATE OR REPLACE TABLE found AS FROM standing")
    return int(earlier) - int(one(db, "SELECT count(*) FROM found"))


def counts(db: Connection) -> dict[DifferenceClass, int]:
    """How many of each class are in ``found``."""
    rows = dict(db.execute("SELECT kind, count(*) FROM found GROUP BY kind").fetchall())
    return {kind: int(rows.get(kind.value, 0)) for kind in LISTED}


def differences(db: Connection, of: Comparison) -> Iterator[list[Difference]]:
    """What is in ``found``, some thousands at a time, in the order of keys."""
    by_name = {field.name: field for field in of.fields}
    db.execute(f"CREATE OR REPLACE TABLE numbered AS SELECT row_number() OVER (ORDER BY {_COLUMNS}) AS n, * FROM found")
    total, done = int(one(db, "SELECT count(*) FROM numbered")), 0
    while done < total:
        # fetchall: another statement on this connection would end a result that is read row by row.
        rows = db.execute(
            f"SELECT {_COLUMNS} FROM numbered WHERE n > ? AND n <= ? ORDER BY n", [done, done + _BATCH]
        ).fetchall()
        yield [_difference(row, by_name) for row in rows]
        done += _BATCH


def save(db: Connection, table: str, file: Path) -> int:
    """Write a table to a Parquet file; how many rows it has."""
    db.execute(f"COPY {table} TO '{str(file).replace(chr(39), chr(39) * 2)}' (FORMAT parquet, COMPRESSION zstd)")
    return int(one(db, f"SELECT count(*) FROM {table}"))


def save_records(db: Connection, of: Comparison, side: SideName, files: Sequence[str], file: Path) -> int:
    """Write the records of a side's files to one, with the map's names, the company, and what people find them by.

    Returns:
        How many there are.
    """
    load(db, side, of, files)
    key = "id" if side == "sales" else f"concat_ws('/', {', '.join(f'k{n}' for n in range(len(of.finance_key)))})"
    columns = ", ".join(f'v{n} AS "{field.name}"' for n, field in enumerate(of.fields))
    db.execute(
        f"CREATE OR REPLACE TABLE records AS SELECT '{of.company}' AS company, {key} AS key, {columns} FROM {side}"
    )
    rows = save(db, "records", file)
    db.execute("DROP TABLE records")
    return rows


def one(db: Connection, question: str, arguments: Sequence[Any] = ()) -> Any:
    """The only value of the only row of an answer."""
    return db.execute(question, list(arguments)).fetchall()[0][0]


def _difference(row: Sequence[Any], by_name: dict[str, ComparedField]) -> Difference:
    kind, key, name, lacking, finance_value, sales_value, sales_ids = row
    field = by_name.get(name)
    return Difference(
        kind=DifferenceClass(kind),
        key=key,
        field=name,
        lacking=lacking or None,
        finance_value=finance_value,
        sales_value=sales_value,
        sales_ids=sales_ids,
        owner=field.owner if field else Owner.MANUAL,
        pii=bool(field and field.pii),
    )


def load(db: Connection, side: SideName, of: Comparison, files: Sequence[str]) -> None:
    """Make the table of a side: its records, each once, under their key as it is compared."""
    parts = range(len(of.finance_key))
    columns = ", ".join((*(f"k{n}" for n in parts), *(f"v{n}" for n in range(len(of.fields)))))
    row_id = "id, " if side == "sales" else ""
    whole = " AND ".join(f"coalesce(trim(k{n}), '') <> ''" for n in parts)
    key = f" || {_SEPARATOR} || ".join(f"upper(trim(k{n}))" for n in parts)
    if not files:
        names = (f"{row_id}key, {columns}").split(", ")
        nothing = ", ".join(f"NULL::VARCHAR AS {name}" for name in names)
        db.execute(f"CREATE OR REPLACE TABLE {side} AS SELECT {nothing} WHERE false")
        return
    # Of Finance the key tells records apart, of Sales the id of the row.
    apart = "id" if side == "sales" else "key"
    db.execute(
        f"CREATE OR REPLACE TABLE {side} AS SELECT DISTINCT ON ({apart}) {row_id}"
        f"CASE WHEN {whole} THEN {key} END AS key, {columns} FROM read_parquet(?)",
        [list(files)],
    )


def _records() -> Iterator[str]:
    """Differences of records as a whole."""
    ids = f"left(string_agg(s.id, ' ' ORDER BY s.id), {LONGEST_VALUE})"
    yield (
        f"SELECT '{DifferenceClass.DUPLICATE}' AS kind, s.key AS key, '' AS field, '' AS lacking, '' AS finance_value, "
        f"'' AS sales_value, {ids} AS sales_ids FROM sales s JOIN doubled d ON s.key = d.key GROUP BY s.key"
    )
    yield f"SELECT '{DifferenceClass.UNMAPPED}', id, '', '', '', '', id FROM sales WHERE key IS NULL"
    yield (
        f"SELECT '{DifferenceClass.MISSING}', key, '', 'sales', '', '', '' FROM finance f "
        "WHERE NOT EXISTS (FROM sales s WHERE s.key = f.key)"
    )
    yield (
        f"SELECT '{DifferenceClass.MISSING}', s.key, '', 'finance', '', '', {ids} FROM sales s "
        "WHERE s.key IS NOT NULL AND NOT EXISTS (FROM finance f WHERE f.key = s.key) "
        "AND NOT EXISTS (FROM doubled d WHERE d.key = s.key) GROUP BY s.key"
    )


def _fields(of: Comparison) -> Iterator[str]:
    for n, field in enumerate(of.fields):
        kinds = " ".join(f"WHEN {code} THEN '{kind}'" for code, kind in _OF_CODE.items())
        values = ", ".join(f"left(coalesce({side}{n}, ''), {LONGEST_VALUE})" for side in ("f", "s"))
        yield f"SELECT CASE c{n} {kinds} END, key, {text(field.name)}, '', {values}, id FROM wrong WHERE c{n} > 0"


def code(fields: Sequence[ComparedField], n: int) -> str:
    """What is wrong with a field of a pair (``f.v0``, ``s.v0``, …), as a number; 0: nothing."""
    field, finance, sales = fields[n], f"coalesce(f.v{n}, '')", f"coalesce(s.v{n}, '')"
    if field.number:
        return _of_numbers(fields, field, finance, sales)
    if field.values is not None:
        return _of_values(field, finance, sales)
    if field.cut_at is not None:
        finance = f"left({finance}, {field.cut_at})"
    same = f"{_normal(field, finance)} = {_normal(field, sales)}"
    return f"CASE WHEN {same} THEN {_SAME} ELSE {_DIFF} END"


def _of_numbers(fields: Sequence[ComparedField], field: ComparedField, finance: str, sales: str) -> str:
    # Finance has no empty number: it says 0.
    a, b = (
        f"CASE WHEN trim({x}) = '' THEN 0 ELSE try_cast(trim({x}) AS DECIMAL(38, 10)) END" for x in (finance, sales)
    )
    apart = f"abs(({a}) - ({b}))"
    step = _step(fields, field)
    rounding = f"WHEN {apart} < {step} THEN {_ROUNDING} " if step else ""
    both = f"({a}) IS NULL OR ({b}) IS NULL"
    return (
        f"CASE WHEN {both} THEN CASE WHEN {finance} = {sales} THEN {_SAME} ELSE {_DIFF} END "
        f"WHEN {apart} <= {field.tolerance:f} THEN {_SAME} {rounding}ELSE {_DIFF} END"
    )


def _step(fields: Sequence[ComparedField], field: ComparedField) -> str:
    """The smallest amount both sides keep, as SQL; empty: the map does not say."""
    if field.decimals is None:
        return ""
    if field.decimals != "currency":
        return _unit(field.decimals)
    names = [n for n, each in enumerate(fields) if each.sales.rpartition(".")[2] == "isocurrencycode"]
    if not names:
        return "0.01"
    other = {digits: codes for digits, codes in _by_digits().items() if digits != 2}
    cases = " ".join(
        f"WHEN upper(trim(f.v{names[0]})) IN ({', '.join(map(text, codes))}) THEN {_unit(digits)}"
        for digits, codes in other.items()
    )
    return f"CASE {cases} ELSE 0.01 END"


def _unit(decimals: int) -> str:
    return f"{Decimal(1).scaleb(-decimals):f}"


def _by_digits() -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for code in sorted(CURRENCIES):
        try:
            found.setdefault(minor_digits(code), []).append(code)
        except UnknownCurrency:
            continue
    return found


def _of_values(field: ComparedField, finance: str, sales: str) -> str:
    assert field.values is not None
    known = " ".join(f"WHEN {text(key)} THEN {text(value)}" for key, value in field.values.items())
    there = f"(CASE trim({finance}) {known} END)"
    translated = _normal(field, f"coalesce({there}, '')")
    targets = ", ".join(_normal(field, text(value)) for value in dict.fromkeys(field.values.values()))
    owner = finance if field.owner is Owner.FINANCE else sales
    refused = ", ".join(map(text, field.refused))
    left_alone = f"WHEN trim({owner}) IN ({refused}) THEN {_SAME} " if refused else ""
    return (
        f"CASE {left_alone}"
        f"WHEN trim({finance}) <> '' AND {there} IS NULL THEN {_UNMAPPED} "
        f"WHEN trim({sales}) <> '' AND {_normal(field, sales)} NOT IN ({targets}) THEN {_UNMAPPED} "
        f"WHEN {translated} = {_normal(field, sales)} THEN {_SAME} ELSE {_DIFF} END"
    )


def _normal(field: ComparedField, value: str) -> str:
    return normal(value, field.normal)


def text(value: str) -> str:
    """A text as SQL writes it."""
    return "'" + value.replace("'", "''") + "'"
