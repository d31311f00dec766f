"""Records as Parquet for other programs: each column says what it is, whose, from where, and whether it is personal.

What is written are the records of a comparison (`q2c compare --keep`), as they were read. Personal data is left out
unless it is asked for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from cleansing.relations import ALWAYS, SIDES, Relations, literal, named
from domain.entities.dictionary import DictionaryEntity
from domain.entities.model import FieldMap, SideName
from domain.record import Record

BATCH: Final = 50_000
MANIFEST: Final = "manifest.json"
_NUMBER: Final = "DECIMAL(28,10)"
_SYSTEMS: Final = {"finance": "Finance", "sales": "Sales"}


class Exported(Record):
    """A file that was written."""

    file: str
    side: SideName
    rows: int
    columns: tuple[str, ...]
    personal: tuple[str, ...] = Field(description="Columns with personal data that it holds")
    left_out: tuple[str, ...] = Field(description="Columns with personal data that were left out")
    unreadable: dict[str, int] = Field(description="Values that are no number or no day, by column: empty in the file")
    sha256: str


class NothingToExport(ValueError):
    """There are no records of this entity and company."""


def export(
    relations: Relations,
    told: DictionaryEntity,
    company: str,
    folder: Path,
    *,
    personal: bool,
    now: datetime,
) -> tuple[Exported, ...]:
    """Write the records of both sides, and a manifest with the dictionary of their fields.

    Args:
        relations: the records.
        told: the dictionary of the entity.
        company: legal entity, lower case.
        folder: where, made if it is not there.
        personal: whether personal data is written.
        now: UTC.

    Raises:
        NothingToExport: there are none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = tuple(
        made
        for side in SIDES
        if relations.columns(told.entity, side)
        if (made := _side(relations, told, side, company, folder, personal=personal, now=now)) is not None
    )
    if not written:
        raise NothingToExport(f"there are no records of {told.entity} in {company}")
    content = {"company": company, "exported_at": now.isoformat(), "files": [each.model_dump() for each in written]}
    text = json.dumps({**content, "dictionary": told.model_dump(mode="json")}, indent=2, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    return written


def _side(
    relations: Relations,
    told: DictionaryEntity,
    side: SideName,
    company: str,
    folder: Path,
    *,
    personal: bool,
    now: datetime,
) -> Exported | None:
    known = relations.columns(told.entity, side)
    fields = {name: field for name, field in relations.maps[told.entity].fields.items() if name in known}
    # The key of a row of Sales is an id; Finance's is the number of a customer, which is no name.
    kept = {name: field for name, field in fields.items() if personal or not field.pii}
    columns = [*(named(name) for name in ALWAYS), *(_column(name, field) for name, field in kept.items())]
    view = f"{relations.view(told.entity, side)} WHERE company = {literal(company)}"
    cursor = relations.database.cursor()
    (rows,) = cursor.execute(f"SELECT count(*) FROM {view}").fetchall()[0]
    if not rows:
        return None
    unreadable = _unreadable(cursor, view, kept)
    file = folder / f"{told.entity}_{side}_{company}.parquet"
    reader = cursor.sql(f"SELECT {', '.join(columns)} FROM {view} ORDER BY key").to_arrow_reader(BATCH)
    schema = _schema(reader.schema, told, side, company, kept, now)
    making = file.with_suffix(".making")
    with pq.ParquetWriter(making, schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
    making.replace(file)
    return Exported(
        file=file.name,
        side=side,
        rows=rows,
        columns=tuple(schema.names),
        personal=tuple(name for name, field in kept.items() if field.pii),
        left_out=tuple(name for name in fields if name not in kept),
        unreadable=unreadable,
        sha256=_hash(file),
    )


def _kind(field: FieldMap) -> str:
    if field.normal == "day":
        return "DATE"
    return _NUMBER if field.decimals is not None or field.tolerance is not None else ""


def _column(name: str, field: FieldMap) -> str:
    """A column as what it is: a number, a day or a text; blank is null."""
    kind, column = _kind(field), named(name)
    text = f"nullif({column}, '')"
    if kind == "DATE":
        text = f"substr({text}, 1, 10)"  # Finance tells a day as an instant
    return f"TRY_CAST({text} AS {kind}) AS {column}" if kind else f"{text} AS {column}"


def _unreadable(cursor: Any, view: str, kept: Mapping[str, FieldMap]) -> dict[str, int]:
    typed = [(name, field) for name, field in kept.items() if _kind(field)]
    if not typed:
        return {}
    counts = ", ".join(
        f"count(*) FILTER (WHERE {named(name)} <> '' AND ({_column(name, field).rpartition(' AS ')[0]}) IS NULL)"
        for name, field in typed
    )
    found = cursor.execute(f"SELECT {counts} FROM {view}").fetchall()[0]
    return {name: count for (name, _), count in zip(typed, found, strict=True) if count}


def _schema(
    read: Any, told: DictionaryEntity, side: SideName, company: str, kept: Mapping[str, FieldMap], now: datetime
) -> Any:
    of_all = {
        "q2c.entity": told.entity,
        "q2c.title": told.title,
        "q2c.company": company,
        "q2c.system": _SYSTEMS[side],
        "q2c.map": told.map_hash,
        "q2c.map_version": told.map_version,
        "q2c.exported_at": now.astimezone(UTC).isoformat(),
        "q2c.personal": ",".join(name for name, field in kept.items() if field.pii),
    }
    described = {field.name: field for field in told.fields}
    fields = []
    for column in read:
        about = described.get(column.name)
        says = {"q2c.meaning": "Legal entity" if column.name == "company" else "What people find the record by"}
        if about is not None:
            says = {
                "q2c.meaning": about.how or about.name.replace("_", " "),
                "q2c.owner": about.owner,
                "q2c.source": about.source(_SYSTEMS[side]),
                "q2c.lineage": " > ".join(f"{place.system} {place.place}" for place in about.lineage),
                "q2c.pii": "true" if about.personal else "false",
            }
        fields.append(column.with_metadata(says))
    return pa.schema(fields, metadata=of_all)


def _hash(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
