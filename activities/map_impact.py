"""How many records the changes of a map hit: counted by DuckDB over the records that comparisons kept; no request.

A change is counted by what it is about: values of the side that owns a field, pairs of records whose verdict changes,
records that one side lacks. Where the records cannot tell, the most there can be is said, and that it is no count.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple, get_args

from activities import comparison_sql as sql
from domain.entities.comparing import ComparedField
from domain.entities.map_change import Base, Change, Impact, KeptRecords, MapPlan, changes, countable, plan_of
from domain.entities.map_change_rules import ChangeClass
from domain.entities.map_run import Candidate, moves
from domain.entities.model import DataMap, FieldMap, Owner, SideName
from domain.entities.sync_records import key_of
from ledger.pages import sha256_of

SIDES: Final[tuple[SideName, ...]] = get_args(SideName)
PAIRS: Final = "pairs"
RECORDS: Final = "records"
"""Folder below that of data, where comparisons keep records."""


class RecordsChanged(Exception):
    """The records in the folder are not those that a comparison noted; the text says what to do."""


class Question(NamedTuple):
    """What is counted of a change: rows of a source for which a condition holds."""

    sources: tuple[str, ...]
    condition: str = "true"
    exact: bool = True


def impacts(base: Base, after: DataMap, records: Sequence[KeptRecords], folder: Path, spill: Path) -> list[Impact]:
    """The changes of a proposed map, with the records each hits.

    Args:
        base: the maps in force.
        after: the proposed map.
        records: those of its entity that were read by the map in force.
        folder: below it, a folder for each entity and side holds a file for each company.
        spill: where DuckDB writes what does not fit into memory.

    Raises:
        RecordsChanged: a file is missing, or not what the ledger noted.
    """
    found = changes(base.data, after)
    if base.data is None or not records or not found:
        return [Impact(change=each) for each in found]
    with _opened(base.data, records, folder, spill) as (db, joined):
        questions = [_question(each, base.data, after, joined) for each in found]
        counts = _counted(db, questions)
    return [
        Impact(change=each, records=count, exact=question.exact)
        for each, question, count in zip(found, questions, counts, strict=True)
    ]


def plan_over(
    number: int, after: DataMap, base: Base, records: Iterable[KeptRecords], data_dir: Path, made_at: datetime
) -> MapPlan:
    """The plan of a proposed map, counted over the records that comparisons kept. Raises as ``impacts``."""
    kept = countable(base.data, records)
    counted = impacts(base, after, kept, data_dir / RECORDS, data_dir / "spill")
    return plan_of(number, base, after, kept, counted, made_at)


def candidates(
    base: Base, after: DataMap, records: Iterable[KeptRecords], data_dir: Path, most: int
) -> list[Candidate]:
    """Some pairs of records that the changes of a map hit, none where the records do not tell their keys.

    Args:
        base: the maps in force.
        after: the proposed map.
        records: those that comparisons kept.
        data_dir: where they are.
        most: so many of each change and company, in an order that only their keys give.

    Raises:
        RecordsChanged: a file is missing, or not what the ledger noted.
    """
    kept, found = countable(base.data, records), changes(base.data, after)
    if base.data is None or not kept or not found:
        return []
    hits: dict[Candidate, None] = {}
    with _opened(base.data, kept, data_dir / RECORDS, data_dir / "spill") as (db, joined):
        for each in found if joined else ():
            for asked in _pairs(_question(each, base.data, after, joined), base.data):
                some = f"QUALIFY row_number() OVER (PARTITION BY company ORDER BY md5(k)) <= {most}"
                rows = db.execute(f"SELECT * FROM ({asked}) {some} ORDER BY md5(k)").fetchall()
                hits |= dict.fromkeys(_candidates(rows, each.kind))
    return list(hits)


def moved_pairs(
    base: Base, after: DataMap, records: Iterable[KeptRecords], data_dir: Path, page: int
) -> Generator[list[Candidate], None, None]:
    """Every pair in which the changes of a map move a value, a page at a time. Raises as ``candidates``."""
    kept = countable(base.data, records)
    found = [each for each in changes(base.data, after) if moves(each, after)]
    if base.data is None or not kept or not found:
        return
    with _opened(base.data, kept, data_dir / RECORDS, data_dir / "spill") as (db, joined):
        questions = [_question(each, base.data, after, joined) for each in found if joined]
        asked = " UNION ALL ".join(one for question in questions for one in _pairs(question, base.data))
        if not asked:
            return
        once = f"SELECT DISTINCT ON (k) * FROM ({asked})"
        db.execute(f"CREATE TABLE hit AS SELECT row_number() OVER (ORDER BY k) AS n, * FROM ({once})")
        start = 0
        while rows := db.execute(
            "SELECT * EXCLUDE (n) FROM hit WHERE n > ? AND n <= ? ORDER BY n", [start, start + page]
        ).fetchall():
            yield list(_candidates(rows, found[0].kind))
            start += page


def _candidates(rows: Iterable[tuple[object, ...]], kind: ChangeClass) -> Iterator[Candidate]:
    for _, company, *parts in rows:
        if key := key_of(tuple(map(str, parts))):
            yield Candidate(str(company), key, kind)


def _pairs(question: Question, data: DataMap) -> Iterator[str]:
    """What asks for the pairs that a question is about: join key, company, and the parts of the record's key."""
    order = _key_order(data)
    for source in question.sources:
        side = source.partition("_")[0]
        if source == PAIRS:
            named = ", ".join(f"f.v{n} AS p{n}" for n in order)
            yield f"SELECT f.k AS k, f.company AS company, {named} FROM {_from(PAIRS)} WHERE {question.condition}"
        elif source == f"{side}_all" and side in SIDES:
            named = ", ".join(f"v{n} AS p{n}" for n in order)
            other = SIDES[1 - SIDES.index(side)]
            known = f"k IN (SELECT k FROM {other})"
            yield f"SELECT k, company, {named} FROM {side} WHERE ({question.condition}) AND {known}"


@contextmanager
def _opened(
    data: DataMap, records: Sequence[KeptRecords], folder: Path, spill: Path
) -> Iterator[tuple[sql.Connection, bool]]:
    """The records of both sides, and whether they tell which ones are pairs."""
    with sql.opened(spill) as db:
        for side in SIDES:
            _load(db, side, data, [_file(folder, side, each) for each in records])
        yield db, _join(db, data)


def _file(folder: Path, side: SideName, records: KeptRecords) -> str:
    file = folder / f"{records.entity}_{side}" / f"{records.company}.parquet"
    noted = records.finance_sha256 if side == "finance" else records.sales_sha256
    if not file.is_file() or sha256_of(file) != noted:
        raise RecordsChanged(
            f"{file} is not what was kept: Q2C_DATA_DIR has to be the folder of the workers. Else run "
            f"`q2c compare {records.entity} --company {records.company} --keep` again."
        )
    return str(file)


def _load(db: sql.Connection, side: SideName, data: DataMap, files: Sequence[str]) -> None:
    """A side's records, their fields in the map's order; what a file does not have is blank."""
    there = {row[0] for row in db.execute("DESCRIBE SELECT * FROM read_parquet(?)", [list(files)]).fetchall()}
    columns = ", ".join(
        (f"coalesce(\"{name}\", '')" if name in there else "''") + f" AS v{n}" for n, name in enumerate(data.fields)
    )
    db.execute(f"CREATE TABLE {side}_all AS SELECT company, {columns} FROM read_parquet(?)", [list(files)])


def _join(db: sql.Connection, data: DataMap) -> bool:
    """Make the table of pairs and those of what a side lacks; False where the records do not tell their keys."""
    keys = _key_fields(data)
    if not keys:
        return False
    key = " || chr(31) || ".join(("company", *(f"upper(trim(v{n}))" for n in keys)))
    whole = " AND ".join(f"trim(v{n}) <> ''" for n in keys)
    for side in SIDES:
        keyed = f"SELECT {key} AS k, * FROM {side}_all WHERE {whole}"
        db.execute(f"CREATE TABLE {side} AS SELECT DISTINCT ON (k) * FROM ({keyed})")
    for side, other in (SIDES, SIDES[::-1]):
        db.execute(f"CREATE VIEW {side}_lacks AS SELECT * FROM {other} o WHERE o.k NOT IN (SELECT k FROM {side})")
    return True


def _key_fields(data: DataMap) -> list[int]:
    """The fields that hold the columns of both keys, the company's left out; none where one is missing."""
    assert data.finance is not None
    assert data.sales is not None
    columns = {*data.finance.key} - {data.company.finance}
    beside = {*data.sales.key} - {data.company.sales}
    found = [n for n, field in enumerate(data.fields.values()) if field.finance in columns and field.sales in beside]
    return found if len(found) == len(columns) == len(beside) else []


def _key_order(data: DataMap) -> list[int]:
    """The same in the order of the key, as a sync names a record."""
    assert data.finance is not None
    of = {field.finance: n for n, field in enumerate(data.fields.values())}
    return [of[column] for column in data.finance.key if column != data.company.finance]


def _counted(db: sql.Connection, questions: Iterable[Question]) -> list[int]:
    """The answer to each, in one look at each source; of several sources the greatest."""
    asked = list(questions)
    answers = [0] * len(asked)
    for source in sorted({source for question in asked for source in question.sources}):
        mine = [n for n, question in enumerate(asked) if source in question.sources]
        counts = ", ".join(f"count(*) FILTER (WHERE {asked[n].condition})" for n in mine)
        row = db.execute(f"SELECT {counts} FROM {_from(source)}").fetchall()[0]
        for n, count in zip(mine, row, strict=True):
            answers[n] = max(answers[n], int(count))
    return answers


def _from(source: str) -> str:
    return "finance f JOIN sales s ON f.k = s.k" if source == PAIRS else source


def _question(change: Change, before: DataMap, after: DataMap, joined: bool) -> Question:
    parts = change.place.split(".")
    everything = tuple(f"{side}_all" for side in SIDES)
    if parts[0] == "fields":
        old, new = before.fields.get(parts[1]), after.fields.get(parts[1])
        if old is None:
            return Question(everything, exact=False)
        n = list(before.fields).index(parts[1])
        if new is None:
            return _of_owner(old, f"trim(v{n}) <> ''")
        return _of_field(parts[2], n, before, after, joined) or Question(everything, exact=False)
    if parts[-1] in ("creates", "constants", "left_to_system", "belongs_to", "follows") and joined:
        return Question((f"{parts[0]}_lacks",))
    at_most = parts[-1] in ("filter", "modified", "if_finance_deletes", "if_sales_deletes")
    if at_most or (len(parts) == 1 and parts[0] in SIDES):
        return Question(everything, exact=False)
    return Question(everything)


def _of_field(attribute: str, n: int, before: DataMap, after: DataMap, joined: bool) -> Question | None:
    """What is counted where a field stays and is another one; None: the records do not tell."""
    name = list(before.fields)[n]
    old, new = before.fields[name], after.fields[name]
    match attribute:
        case "required":
            return _of_owner(old, f"trim(v{n}) = ''")
        case "pii":
            return _of_owner(old, f"trim(v{n}) <> ''")
        case "values" | "refused" | "otherwise":
            return _of_values(attribute, n, old, new)
        case "finance_length" | "longer":
            least = min((each for each in (old.finance_length, new.finance_length) if each), default=0)
            return Question(("sales_all",), f"length(v{n}) > {least}", exact=bool(least))
        case "owner" | "normal" | "tolerance" | "decimals" if joined:
            fields = _compared(before, before)
            if attribute == "owner":
                return Question((PAIRS,), f"{sql.code(fields, n)} > 0")
            return Question((PAIRS,), f"{sql.code(fields, n)} <> {sql.code(_compared(before, after), n)}")
    return None


def _compared(order: DataMap, data: DataMap) -> list[ComparedField]:
    """The fields of one map as another one compares them, in the order of the one."""
    fields = {**order.fields, **data.fields}
    return [ComparedField.of(name, fields[name], {}) for name in order.fields]


def _of_values(attribute: str, n: int, old: FieldMap, new: FieldMap) -> Question:
    """Values that are translated otherwise, or are refused and were not, or the reverse."""
    if attribute == "refused":
        return _of_owner(old, f"trim(v{n}) IN ({_list({*old.refused} ^ {*new.refused})})")
    was, now = old.values or {}, new.values or {}
    if attribute == "otherwise" or not was or not now:
        known = _list({*was, *was.values(), *now, *now.values()})
        return _of_owner(old, f"trim(v{n}) <> '' AND trim(v{n}) NOT IN ({known})")
    other = {key for key in {*was, *now} if was.get(key) != now.get(key)}
    there = {each[key] for each in (was, now) for key in other if key in each}
    if old.owner is Owner.FINANCE:
        return Question(("finance_all",), f"trim(v{n}) IN ({_list(other)})")
    if old.owner is Owner.SALES:
        return Question(("sales_all",), f"trim(v{n}) IN ({_list(there)})")
    return _of_owner(old, f"trim(v{n}) IN ({_list(other | there)})")


def _of_owner(field: FieldMap, condition: str) -> Question:
    """A condition on the side whose value counts; where either may, on the side with more."""
    match field.owner:
        case Owner.FINANCE:
            return Question(("finance_all",), condition)
        case Owner.SALES:
            return Question(("sales_all",), condition)
        case _:
            return Question(("finance_all", "sales_all"), condition, exact=False)


def _list(values: Iterable[str]) -> str:
    def quoted() -> Iterator[str]:
        for value in sorted(values):
            yield "'" + value.replace("'", "''") + "'"

    return ", ".join(quoted()) or "NULL"
