"""Queries over several tables: joins, conditions, groups. What FetchXML and SQL have in common behind their syntax.

A query works on bindings: one row for each table that takes part, by its alias (None where an outer join found none).
(Microsoft Learn: "Query data using FetchXml", "Join tables using FetchXml", "Aggregate data using FetchXml".)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any, Final

from sandbox.dataverse import errors
from sandbox.dataverse.reading import FORMATTED, LOGICAL_NAME, Annotations, target_of
from sandbox.dataverse.schema import Column, Entity
from sandbox.dataverse.values import shown
from sandbox.store import Row, fold

if TYPE_CHECKING:
    from sandbox.dataverse.environment import Dataverse

Binding = dict[str, "Row | None"]
Condition = Callable[[Binding], bool]
Choices = Mapping[str, tuple[Any, ...]]
ByValue = defaultdict[Any, list["Row"]]

AGGREGATE_LIMIT: Final = 50_000
"""Rows an aggregate may look at."""
MAX_PAGE: Final = 5000


@dataclass(frozen=True, slots=True)
class Attribute:
    """A column of one of the tables that take part."""

    alias: str
    column: Column

    def read(self, binding: Binding) -> Any:
        """Its stored value, None where the table has no row."""
        row = binding.get(self.alias)
        return None if row is None else row.get(self.column.stored)


@dataclass(frozen=True, slots=True)
class Link:
    """A join.

    Attributes:
        alias: Of the joined table.
        entity: The joined table.
        column: Its column.
        to: The attribute of the table it is joined to.
        kind: inner, outer, any (there is one), not any.
        condition: What a joined row must satisfy.
        links: Joins to this table.
        equal: Ids that its rows must have, by stored column, so that an index finds them; the condition asks it again.
    """

    alias: str
    entity: Entity
    column: Column
    to: Attribute
    kind: str = "inner"
    condition: Condition | None = None
    links: tuple[Link, ...] = ()
    equal: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Output:
    """A column of the answer.

    Attributes:
        name: Its name in the answer.
        attribute: What is read; None for `count(*)`.
        aggregate: count, countcolumn, countdistinct, sum, avg, min or max; None where it is not aggregated.
        group: Rows are grouped by it: empty for the value, or day, week, month, quarter, year; None for no group.
    """

    name: str
    attribute: Attribute | None
    aggregate: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Sorting:
    """One sort key: an attribute, or the name of an output (of an aggregate)."""

    by: Attribute | str
    descending: bool = False


@dataclass
class Query:
    """A query, ready to be run."""

    entity: Entity
    alias: str = ""
    outputs: list[Output] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    condition: Condition | None = None
    equal: Mapping[str, str] = field(default_factory=dict)
    orders: list[Sorting] = field(default_factory=list)
    distinct: bool = False
    aggregate: bool = False
    top: int | None = None


class Runner:
    """Runs queries of one user."""

    def __init__(self, dataverse: Dataverse, user: Row, annotations: Annotations) -> None:
        self._dataverse = dataverse
        self._user = user
        self._annotations = annotations

    def bindings(self, query: Query) -> list[Binding]:
        """The joined rows that satisfy every condition."""
        found: list[Binding] = [{query.alias: row} for row in self._readable(query.entity, self._chosen(query))]
        tables: dict[int, ByValue] = {}
        for link in query.links:
            found = self._join(found, link, tables)
        if query.condition is not None:
            condition = query.condition
            found = [binding for binding in found if condition(binding)]
        return found

    def rows(self, query: Query) -> list[tuple[Row, Binding]]:
        """The answer's rows in order, each with what it was made of (an empty binding for a group)."""
        found = self.bindings(query)
        if query.aggregate:
            if len(found) > AGGREGATE_LIMIT:
                message = "AggregateQueryRecordLimit exceeded. Cannot perform this operation."
                raise errors.DataverseError(400, "0x8004e023", message)
            groups = self._grouped(query, found)
            for key in reversed(query.orders):
                name = key.by if isinstance(key.by, str) else key.by.column.name
                groups.sort(key=lambda row, name=name: _rank(row.get(name)), reverse=key.descending)  # type: ignore[misc]
            return [(row, {}) for row in groups[: query.top]]
        primary = Attribute(query.alias, query.entity.columns[query.entity.key])
        by_name = {output.name: output.attribute for output in query.outputs}
        for key in reversed([*query.orders, Sorting(primary)]):
            attribute = key.by if isinstance(key.by, Attribute) else by_name.get(key.by)
            if attribute is not None:
                found.sort(key=lambda binding, a=attribute: _rank(a.read(binding)), reverse=key.descending)  # type: ignore[misc]
        shaped = [(self._shape(query, binding), binding) for binding in found]
        if query.distinct:
            shaped = _unique(shaped)
        return shaped[: query.top]

    def _readable(self, entity: Entity, chosen: Choices) -> list[Row]:
        """The rows of a table that the user may read; at least those with the chosen values."""
        allowed = self._dataverse.security.reader(self._user, entity)
        rows = list(self._dataverse.table(entity).candidates(chosen))
        return rows if allowed is None else [row for row in rows if allowed(row)]

    def _chosen(self, of: Query | Link) -> Choices:
        """The values that columns of a table have to have: by its own conditions, and by inner joins to it."""
        chosen: dict[str, tuple[Any, ...]] = {column: (value,) for column, value in of.equal.items()}
        for link in of.links:
            if link.kind == "inner" and link.to.alias == of.alias and (narrowed := self._chosen(link)):
                rows = self._readable(link.entity, narrowed)
                chosen[link.to.column.stored] = tuple({row.get(link.column.stored) for row in rows} - {None})
        return chosen

    def _by_value(self, link: Link) -> ByValue:
        """The rows of a joined table by the value they are joined by."""
        column, found = link.column.stored, ByValue(list)
        for row in self._readable(link.entity, self._chosen(link)):
            found[fold(row.get(column))].append(row)
        return found

    def _join(self, found: list[Binding], link: Link, tables: dict[int, ByValue]) -> list[Binding]:
        """Join a table to bindings; ``tables`` keeps each joined table as it was looked through once in this query."""
        if not found:
            return []
        if id(link) not in tables:
            tables[id(link)] = self._by_value(link)
        by_value = tables[id(link)]
        joined: list[Binding] = []
        for binding in found:
            value = fold(link.to.read(binding))
            matches: list[Binding] = [
                {**binding, link.alias: row} for row in (by_value.get(value, ()) if value is not None else ())
            ]
            for inner in link.links:
                matches = self._join(matches, inner, tables)
            if link.condition is not None:
                condition = link.condition
                matches = [match for match in matches if condition(match)]
            if link.kind in ("any", "not any"):
                if bool(matches) == (link.kind == "any"):
                    joined.append(binding)
            elif matches or link.kind == "inner":
                joined += matches
            else:
                joined.append({**binding, link.alias: None, **{inner.alias: None for inner in link.links}})
        return joined

    def _shape(self, query: Query, binding: Binding) -> Row:
        """One answer row of a query that is not aggregated."""
        answer: Row = {}
        for output in query.outputs:
            if output.attribute is None:
                continue
            value = output.attribute.read(binding)
            if value is None and output.attribute.alias != query.alias:
                continue
            answer[output.name] = value
            self._annotate(answer, output, binding, value)
        return answer

    def _annotate(self, answer: Row, output: Output, binding: Binding, value: Any) -> None:
        if output.attribute is None or value is None or not self._annotations.any:
            return
        column, row = output.attribute.column, binding.get(output.attribute.alias) or {}
        if column.type == "Lookup":
            target = target_of(column, row)
            if self._annotations.logical_name:
                answer[f"{output.name}@{LOGICAL_NAME}"] = target
            text = self._dataverse.reader.name_of(target, value)
        else:
            text = shown(column, value)
        if self._annotations.formatted and text is not None:
            answer[f"{output.name}@{FORMATTED}"] = text

    def _grouped(self, query: Query, found: list[Binding]) -> list[Row]:
        keys = [output for output in query.outputs if output.group is not None]
        groups: dict[tuple[Any, ...], list[Binding]] = {}
        for binding in found:
            parts = tuple(_group_value(output, binding) for output in keys)
            groups.setdefault(tuple(fold(part) for part in parts), []).append(binding)
        if not keys and not groups:
            groups[()] = []
        rows = []
        for members in groups.values():
            row: Row = {}
            for output in query.outputs:
                if output.group is not None:
                    row[output.name] = _group_value(output, members[0])
                    self._annotate(row, output, members[0], row[output.name] if not output.group else None)
                else:
                    row[output.name] = _aggregated(output, members)
            rows.append(row)
        return rows


def _group_value(output: Output, binding: Binding) -> Any:
    value = output.attribute.read(binding) if output.attribute is not None else None
    if not output.group or value is None:
        return value
    moment = datetime.fromisoformat(value)
    parts: Mapping[str, int] = {
        "day": moment.day,
        "week": moment.isocalendar().week,
        "month": moment.month,
        "quarter": (moment.month + 2) // 3,
        "year": moment.year,
    }
    if output.group not in parts:
        raise errors.bad_query(f"The date grouping '{output.group}' is not supported.")
    return parts[output.group]


def aggregate_of(kind: str, values: Iterable[Any]) -> Any:
    """An aggregate of values; nulls are left aside, and nothing is None (0 for counts)."""
    known = [value for value in values if value is not None]
    if kind == "countdistinct":
        return len({fold(value) for value in known})
    if kind in ("count", "countcolumn"):
        return len(known)
    if not known:
        return None
    if kind == "sum":
        return sum(known, type(known[0])(0))
    if kind in ("avg", "average"):
        total = sum((Decimal(value) for value in known), Decimal(0))
        return (total / len(known)).quantize(Decimal("0.0000000001"), ROUND_HALF_UP).normalize()
    return min(known, key=fold) if kind == "min" else max(known, key=fold)


def _aggregated(output: Output, members: list[Binding]) -> Any:
    if output.aggregate == "count" or output.attribute is None:
        return len(members)
    return aggregate_of(output.aggregate or "count", (output.attribute.read(member) for member in members))


def _rank(value: Any) -> tuple[bool, Any]:
    folded = fold(value)
    return folded is not None, 0 if folded is None else folded


def _unique(rows: list[tuple[Row, Binding]]) -> list[tuple[Row, Binding]]:
    seen: set[tuple[Any, ...]] = set()
    kept = []
    for row, binding in rows:
        mark = tuple(fold(value) for value in row.values())
        if mark not in seen:
            seen.add(mark)
            kept.append((row, binding))
    return kept
