"""The records that are looked at: a DuckDB view for each entity and side, its columns named as the map's fields.

Beside the fields every view has `company` (legal entity in lower case; empty: none is known) and `key`, by which people
find the record: the account number in Finance, the row's id in Sales. All columns are text, blank where there is none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, get_args

import duckdb

from domain.entities.model import DataMap, FieldMap, SideName

SIDES: Final[tuple[SideName, ...]] = get_args(SideName)
ALWAYS: Final = ("company", "key")
_NAME: Final = re.compile(r"^[a-z][a-z0-9_]{0,79}$")


class RelationsError(ValueError):
    """What is given cannot be looked at; the text says what and why."""


def literal(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def named(name: str) -> str:
    """A column or view as SQL writes it."""
    if not _NAME.fullmatch(name):
        raise RelationsError(f"{name!r} is no name of a column")
    return f'"{name}"'


def _text(column: str) -> str:
    """A column as text; companies in lower case, as the rules name them."""
    text = f"coalesce(CAST({named(column)} AS VARCHAR), '')"
    return f"lower(trim({text}))" if column == "company" else text


class Relations:
    """The views of one run, in a database that lives as long as it."""

    def __init__(self, maps: tuple[DataMap, ...], *, memory_mb: int = 2_000) -> None:
        """Nothing is in it yet.

        Args:
            maps: in force; what has no map is not taken.
            memory_mb: what DuckDB may take before it goes to disk.
        """
        self.maps: Mapping[str, DataMap] = {data.entity: data for data in maps}
        self.database = duckdb.connect(":memory:")
        self.database.execute(f"SET memory_limit='{memory_mb}MB'")
        self.database.execute("SET preserve_insertion_order=false")
        self._columns: dict[tuple[str, SideName], tuple[str, ...]] = {}

    def add(self, entity: str, side: SideName, select: str) -> None:
        """Make a view of what a statement gives, which may have more columns than the map has fields.

        Raises:
            RelationsError: it lacks company or key, or has a column whose name is no field's.
        """
        try:
            found = [str(row[0]) for row in self.database.execute(f"DESCRIBE {select}").fetchall()]
        except duckdb.Error as error:
            raise RelationsError(f"{entity} of {side} cannot be read: {error}") from error
        if lacking := [column for column in ALWAYS if column not in found]:
            raise RelationsError(f"{entity} of {side} has no column {' and '.join(lacking)}")
        columns = ", ".join(f"{_text(column)} AS {named(column)}" for column in found)
        self.database.execute(f"CREATE OR REPLACE VIEW {self.view(entity, side)} AS SELECT {columns} FROM ({select})")
        self._columns[entity, side] = tuple(found)

    def add_folder(self, folder: Path) -> None:
        """Take every `ENTITY_SIDE.parquet`, `ENTITY_SIDE.csv` and folder `ENTITY_SIDE` of Parquet pages.

        Raises:
            RelationsError: there is none of them, or one cannot be read.
        """
        for entity in self.maps:
            for side in SIDES:
                self._add_file(entity, side, folder / f"{entity}_{side}")
        if not self._columns:
            raise RelationsError(f"{folder}: holds no records; a file is named as customer_finance.parquet is")

    def _add_file(self, entity: str, side: SideName, place: Path) -> None:
        if place.is_dir():
            self.add(entity, side, f"SELECT * FROM read_parquet({literal(str(place / '*.parquet'))})")
        elif (page := place.with_suffix(".parquet")).is_file():
            self.add(entity, side, f"SELECT * FROM read_parquet({literal(str(page))})")
        elif (table := place.with_suffix(".csv")).is_file():
            # Read once: a rule each would go through the text again.
            read = named(f"{entity}_{side}_file")
            columns = f"read_csv({literal(str(table))}, all_varchar=true, header=true)"
            try:
                self.database.execute(f"CREATE OR REPLACE TABLE {read} AS SELECT * FROM {columns}")
            except duckdb.Error as error:
                raise RelationsError(f"{table} cannot be read: {error}") from error
            self.add(entity, side, f"SELECT * FROM {read}")

    def columns(self, entity: str, side: SideName) -> tuple[str, ...]:
        """Columns of a view; none where there is no view."""
        return self._columns.get((entity, side), ())

    def field(self, entity: str, name: str) -> FieldMap:
        """What the map says of a field."""
        return self.maps[entity].fields[name]

    @staticmethod
    def view(entity: str, side: SideName) -> str:
        """The name of a view."""
        return named(f"{entity}_{side}")
