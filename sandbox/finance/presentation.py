"""Rows as JSON: columns, ETags, expanded rows and the annotations of each metadata level.

`minimal` is the default, `full` adds types and addresses, `none` leaves everything out but `@odata.nextLink` and
`@odata.count`. A client that asks for `IEEE754Compatible=true` gets decimals and 64-bit integers as text.
(OASIS OData JSON format 4.0, sections 3 and 4.5; recorded answers with `odata.metadata=full`.)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sandbox.finance.behaviour import Behaviour
from sandbox.finance.books import Books
from sandbox.finance.errors import NotAcceptable
from sandbox.finance.model import NAMESPACE, EntitySet, Property, entity_sets
from sandbox.finance.reads import etag, related
from sandbox.odata.query import Expand, QueryOptions
from sandbox.store import Row

_LEVEL = re.compile(r"odata\.metadata=(\w+)", re.IGNORECASE)
_EXACT = re.compile(r"ieee754compatible=true", re.IGNORECASE)
_INFERRED: Final = frozenset({"String", "Int32", "Boolean"})
_AS_TEXT: Final = frozenset({"Decimal", "Int64"})


@dataclass(frozen=True, slots=True)
class Format:
    """How an answer is to be written.

    Attributes:
        level: minimal, full or none.
        numbers_as_text: Whether decimals and 64-bit integers are JSON text.
    """

    level: str = "minimal"
    numbers_as_text: bool = False

    @property
    def content_type(self) -> str:
        """The Content-Type of the answer."""
        suffix = ";IEEE754Compatible=true" if self.numbers_as_text else ""
        return f"application/json; odata.metadata={self.level}{suffix}"


def format_of(accept: str, option: str | None) -> Format:
    """The format a request asks for; `$format` wins over `Accept`.

    Raises:
        NotAcceptable: It asks for something other than JSON, or for an unknown metadata level.
    """
    asked = accept if option is None else option
    kinds = [part.split(";")[0].strip().lower() for part in asked.split(",") if part.strip()]
    if kinds and not any(kind in ("json", "application/json", "application/*", "*/*") for kind in kinds):
        raise NotAcceptable(f"The format '{asked}' is not supported: use application/json.")
    level = _LEVEL.search(asked)
    name = level[1].lower() if level else "minimal"
    if name not in ("minimal", "full", "none"):
        raise NotAcceptable(f"The metadata level '{name}' is not supported: use minimal, full or none.")
    return Format(name, bool(_EXACT.search(asked)))


class Presenter:
    """Writes rows of one environment in one format."""

    def __init__(self, books: Books, origin: str, form: Format, behaviour: Behaviour) -> None:
        self._books = books
        self._origin = origin
        self._behaviour = behaviour
        self.form = form

    def context(self, fragment: str) -> dict[str, Any]:
        """The `@odata.context` of an answer; nothing at level none."""
        return {} if self.form.level == "none" else {"@odata.context": f"{self._origin}/data/$metadata#{fragment}"}

    def row(
        self, entity: EntitySet, row: Row, select: tuple[str, ...] | None, expand: tuple[Expand, ...] = ()
    ) -> dict[str, Any]:
        """The JSON object of a row, its selected and expanded parts checked before (`reads.check_shape`)."""
        values = self._values(entity, row, select)
        if self.form.level == "none":
            shown: dict[str, Any] = values
        elif self.form.level == "minimal":
            shown = {"@odata.etag": etag(entity, row), **values}
        else:
            shown = self._annotated(entity, row, values)
        for item in expand:
            shown[item.name] = self._expanded(entity, row, item)
        return shown

    def value(self, prop: Property, value: Any) -> Any:
        """One column's value."""
        if self.form.numbers_as_text and prop.type in _AS_TEXT and value is not None:
            return str(value)
        return value

    def _values(self, entity: EntitySet, row: Row, select: tuple[str, ...] | None) -> dict[str, Any]:
        values = entity.project(select)(row)
        if not self._behaviour.norwegian_fields:
            values.update({name: "" for name in NORWEGIAN if name in values})
        if self.form.numbers_as_text:
            return {name: self.value(entity.properties[name], value) for name, value in values.items()}
        return values

    def _annotated(self, entity: EntitySet, row: Row, values: Mapping[str, Any]) -> dict[str, Any]:
        here = self.address(entity, row)
        shown: dict[str, Any] = {
            "@odata.type": f"#{NAMESPACE}.{entity.type_name}",
            "@odata.id": here,
            "@odata.etag": etag(entity, row),
            "@odata.editLink": here,
        }
        for name, value in values.items():
            prop = entity.properties[name]
            if prop.members is not None:
                shown[f"{name}@odata.type"] = f"#{prop.edm_type}"
            elif prop.type not in _INFERRED:
                shown[f"{name}@odata.type"] = f"#{prop.type}"
            shown[name] = value
        for name in entity.links:
            shown[f"{name}@odata.associationLink"] = f"{here}/{name}/$ref"
            shown[f"{name}@odata.navigationLink"] = f"{here}/{name}"
        return shown

    def _expanded(self, entity: EntitySet, row: Row, item: Expand) -> Any:
        link = entity.links[item.name]
        target = entity_sets()[link.target]
        found = cut(related(self._books, row, link, item.options.filter, self._behaviour), target, item.options)
        shown = [self.row(target, each, item.options.select) for each in found]
        return shown if link.many else (shown[0] if shown else None)

    def address(self, entity: EntitySet, row: Row) -> str:
        """The canonical address of a row."""
        parts = (f"{name}={_literal(entity.properties[name], row)}" for name in entity.key)
        return f"{self._origin}/data/{entity.name}({','.join(parts)})"


NORWEGIAN: Final = frozenset({"OrderLineReference", "OrderLineReference_NO"})
"""Columns that exist for legal entities in Norway only. (Microsoft Learn: "Country/region context" of fields.)"""


def cut(rows: list[Row], target: EntitySet, options: QueryOptions) -> list[Row]:
    """Rows in the order and range that options ask for."""
    for path, descending in reversed(options.orderby):
        prop = target.properties.get(path)
        if prop is not None:
            rows.sort(key=_sort_value(prop), reverse=descending)
    return rows[options.skip : None if options.top is None else options.skip + options.top]


def _sort_value(prop: Property) -> Callable[[Row], Any]:
    stored, empty = prop.stored, prop.empty
    return lambda row: row.get(stored, empty)


def _literal(prop: Property, row: Row) -> str:
    value = row[prop.stored]
    return "'" + value.replace("'", "''") + "'" if prop.type == "String" else str(value)
