"""How Dataverse reads `$filter` and `$orderby`: columns, `_x_value`, paths over a lookup, its own query functions.

Source: Microsoft Learn, "Filter rows using OData" and "Query function reference (Microsoft.Dynamics.CRM)".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sandbox.dataverse.schema import Collection, Entity, Schema
from sandbox.dataverse.values import from_literal
from sandbox.odata.filters import Column, Dialect, Predicate
from sandbox.odata.tokens import FilterError, Literal
from sandbox.store import Database, Row, fold


class DataverseDialect:
    """Reads filters over one table. One object for each table and database, so that compiled filters are shared."""

    functions: frozenset[str] = frozenset({"contains", "startswith", "endswith"})
    operators: frozenset[str] = frozenset({"eq", "ne", "gt", "ge", "lt", "le"})
    wildcards: bool = False

    def __init__(self, dialects: Dialects, entity: Entity) -> None:
        self._dialects = dialects
        self._db = dialects.db
        self._schema = dialects.schema
        self._entity = entity

    def column(self, path: tuple[str, ...]) -> Column:
        """The column of a path: `name`, `_customerid_value`, `customerid_account/name`."""
        if len(path) == 1:
            column = self._entity.named(path[0])
            if column is None:
                raise self._unknown(path[0])
            stored = column.stored
            return Column(_reader(stored), stored, lambda literal: from_literal(column, literal))
        navigation = self._entity.navigations.get(path[0])
        if navigation is None or len(navigation.targets) != 1 or navigation.targets[0] not in self._schema.by_name:
            raise self._unknown(path[0])
        target = self._schema.by_name[navigation.targets[0]]
        far = self._dialects.of(target).column(path[1:])
        table = self._db.table(target.name, (target.key,))
        lookup = navigation.column.stored

        def read(row: Row) -> Any:
            found = row.get(lookup)
            other = table.get((found,)) if found is not None else None
            return None if other is None else far.read(other)

        return Column(read, None, far.convert)

    def collection(self, path: tuple[str, ...]) -> tuple[Dialect, Callable[[Row], list[Row]]]:
        """The rows of a collection-valued navigation property: `quote_details`."""
        found = self._entity.collections.get(path[0]) if len(path) == 1 else None
        if found is None:
            raise self._unknown("/".join(path))
        child = self._schema.by_name[found.child]
        rows_of = self._dialects.children
        return self._dialects.of(child), lambda row: rows_of(self._entity, row, found)

    def call(self, name: str, arguments: Mapping[str, Any]) -> Predicate:
        """The query functions In, NotIn, Between, and Today over one property."""
        prefix, _, function = name.rpartition(".")
        maker = _FUNCTIONS.get(function)
        property_name = arguments.get("PropertyName")
        if prefix != "Microsoft.Dynamics.CRM" or maker is None or not isinstance(property_name, Literal):
            raise FilterError(f"An unknown function with name '{name}' was found.")
        column = self.column((str(property_name.value),))
        return maker(self._db, column, arguments)

    def _unknown(self, name: str) -> FilterError:
        kind = f"Microsoft.Dynamics.CRM.{self._entity.name}"
        return FilterError(f"Could not find a property named '{name}' on type '{kind}'.")


class Dialects:
    """The dialects of one database's tables, each made once."""

    def __init__(self, db: Database, schema: Schema, children: Callable[[Entity, Row, Collection], list[Row]]) -> None:
        """Read filters over the tables of a database.

        Args:
            db: The tables.
            schema: Their definitions.
            children: The rows of a collection of a row.
        """
        self.db = db
        self.schema = schema
        self.children = children
        self._made: dict[str, DataverseDialect] = {}

    def forget(self) -> None:
        """The schema changed."""
        self._made.clear()

    def of(self, entity: Entity) -> DataverseDialect:
        """The dialect of one table."""
        if entity.name not in self._made:
            self._made[entity.name] = DataverseDialect(self, entity)
        return self._made[entity.name]


def _reader(stored: str) -> Callable[[Row], Any]:
    return lambda row: row.get(stored)


def _values(column: Column, arguments: Mapping[str, Any]) -> list[Any]:
    given = arguments.get("PropertyValues", [])
    return [fold(column.convert(literal)) for literal in given]


def _in(db: Database, column: Column, arguments: Mapping[str, Any]) -> Predicate:
    wanted = frozenset(_values(column, arguments))
    return lambda row: fold(column.read(row)) in wanted


def _not_in(db: Database, column: Column, arguments: Mapping[str, Any]) -> Predicate:
    unwanted = frozenset(_values(column, arguments))
    return lambda row: fold(column.read(row)) not in unwanted


def _between(db: Database, column: Column, arguments: Mapping[str, Any]) -> Predicate:
    values = _values(column, arguments)
    if len(values) != 2:
        raise FilterError("The function 'Microsoft.Dynamics.CRM.Between' needs two values.")
    low, high = values

    def test(row: Row) -> bool:
        value = fold(column.read(row))
        return value is not None and bool(low <= value <= high)

    return test


def _today(db: Database, column: Column, arguments: Mapping[str, Any]) -> Predicate:
    return lambda row: str(column.read(row) or "").startswith(db.clock.now().date().isoformat())


_FUNCTIONS: Final[Mapping[str, Callable[[Database, Column, Mapping[str, Any]], Predicate]]] = {
    "In": _in,
    "NotIn": _not_in,
    "Between": _between,
    "Today": _today,
}
