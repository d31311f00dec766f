"""SQL over HTTP: `GET accounts?sql=SELECT name FROM account WHERE …`, the read-only subset the Web API takes.

One SELECT with named columns: TOP, DISTINCT, INNER and LEFT JOIN, WHERE, GROUP BY, ORDER BY, the five aggregates. No
`SELECT *`, no sub-query, no UNION, no HAVING, nothing that writes. (Microsoft: the Dataverse SDK for Python, "Query
data using SQL", which lists what the endpoint takes.)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from sandbox.dataverse import errors
from sandbox.dataverse.conditions import Circumstances, test_of
from sandbox.dataverse.reading import NO_ANNOTATIONS
from sandbox.dataverse.relational import MAX_PAGE, Attribute, Binding, Link, Output, Query, Runner, Sorting
from sandbox.dataverse.schema import Entity, Schema
from sandbox.store import Row, fold

if TYPE_CHECKING:
    from sandbox.dataverse.environment import Dataverse

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<text>N?'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>\[[^\]]+\]|[A-Za-z_]\w*)"
    r"|(?P<mark><>|!=|<=|>=|[=<>(),.*]))",
)
_OPERATORS: Final = {"=": "eq", "<>": "ne", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
_AGGREGATES: Final = {"COUNT": "countcolumn", "SUM": "sum", "AVG": "avg", "MIN": "min", "MAX": "max"}
_REFUSED: Final = frozenset(
    {"INSERT", "UPDATE", "DELETE", "DROP", "UNION", "HAVING", "WITH", "EXEC", "RIGHT", "FULL", "CROSS", "OVER", "CASE"}
)
_TOKEN_NAME: Final = "skiptoken"

Truth = Callable[[Binding], "bool | None"]
"""A condition in SQL's logic: what is compared with null is neither true nor false."""


def sql_answer(dataverse: Dataverse, user: Row, entity: Entity, parameters: dict[str, str], base: str) -> Row:
    """The body of an answer to a SQL query; more than 5,000 rows come in pages.

    Raises:
        DataverseError: The query is wrong, or more than a SELECT.
    """
    text = parameters["sql"]
    parser = _Parser(dataverse.schema, Circumstances(user, dataverse.now()), text)
    query = parser.select()
    if query.entity is not entity:
        raise errors.bad_query(f"The table '{query.entity.name}' of the query is not the one of '{entity.entity_set}'.")
    rows = [row for row, _ in Runner(dataverse, user, NO_ANNOTATIONS).rows(query)]
    done = parameters.get(f"${_TOKEN_NAME}", "0")
    if not done.isdigit():
        raise errors.bad_query("The skip token is malformed.")
    start = int(done)
    body: Row = {"@odata.context": f"{base}/$metadata#{entity.entity_set}", "value": rows[start : start + MAX_PAGE]}
    if start + MAX_PAGE < len(rows):
        following = urlencode({"sql": text, f"${_TOKEN_NAME}": start + MAX_PAGE}, quote_via=quote)
        body["@odata.nextLink"] = f"{base}/{entity.entity_set}?{following}"
    return body


class _Parser:
    """Recursive descent over the tokens of one SELECT."""

    def __init__(self, schema: Schema, given: Circumstances, text: str) -> None:
        self._schema = schema
        self._given = given
        self._tokens = _tokens(text)
        self._at = 0
        self._sources: dict[str, Entity] = {}

    def select(self) -> Query:
        """The query of the whole text."""
        self._need("SELECT")
        distinct = self._take("DISTINCT")
        top = self._row_count() if self._take("TOP") else None
        columns = self._column_texts()
        self._need("FROM")
        entity, alias = self._table()
        query = Query(entity, alias, distinct=distinct, top=top)
        while self._peek() in ("JOIN", "INNER", "LEFT"):
            query.links.append(self._join())
        query.links = _nested(query.links, alias)
        if self._take("WHERE"):
            holds = self._either()
            query.condition = lambda binding: holds(binding) is True
        groups: list[Attribute] = []
        if self._take("GROUP"):
            self._need("BY")
            groups = [self._attribute() for _ in self._commas()]
        query.outputs = [self._output(item, groups, query) for item in columns]
        query.aggregate = bool(groups) or any(output.aggregate for output in query.outputs)
        if self._take("ORDER"):
            self._need("BY")
            query.orders = [self._order(query) for _ in self._commas()]
        if self._at < len(self._tokens):
            raise _wrong(self._tokens[self._at][1])
        return query

    def _row_count(self) -> int:
        text = self._value()
        if not text.isdigit():
            raise _wrong(text)
        return int(text)

    def _column_texts(self) -> list[list[tuple[str, str]]]:
        """The tokens of each selected column; they are understood once the tables are known."""
        found: list[list[tuple[str, str]]] = [[]]
        depth = 0
        while self._at < len(self._tokens) and (depth or self._peek() != "FROM"):
            token = self._tokens[self._at]
            depth += (token[1] == "(") - (token[1] == ")")
            if token[1] == "," and not depth:
                found.append([])
            else:
                found[-1].append(token)
            self._at += 1
        return found

    def _output(self, tokens: list[tuple[str, str]], groups: list[Attribute], query: Query) -> Output:
        inner = _Parser.__new__(_Parser)
        inner._schema, inner._given, inner._sources = self._schema, self._given, self._sources
        inner._tokens, inner._at = tokens, 0
        word = inner._peek()
        aggregate = _AGGREGATES.get(word) if len(tokens) > 1 and tokens[1][1] == "(" else None
        attribute: Attribute | None = None
        if aggregate is not None:
            inner._at = 2
            if inner._take("DISTINCT"):
                aggregate = "countdistinct"
            if inner._take("*"):
                aggregate = "count"
            else:
                attribute = inner._attribute()
            inner._need(")")
        else:
            if word == "*":
                raise errors.bad_query("SELECT * is not supported. Name the columns you need.")
            attribute = inner._attribute()
        name = attribute.column.name if attribute is not None and aggregate is None else word.lower()
        inner._take("AS")
        if inner._at < len(tokens):
            name = inner._name()
        if inner._at < len(tokens):
            raise _wrong(tokens[inner._at][1])
        grouped = aggregate is None and any(
            attribute is not None and (item.alias, item.column) == (attribute.alias, attribute.column)
            for item in groups
        )
        return Output(name, attribute, aggregate=aggregate, group="" if grouped else None)

    def _table(self) -> tuple[Entity, str]:
        name = self._name().lower()
        entity = self._schema.by_name.get(name)
        if entity is None:
            raise errors.metadata_not_found("entity", name)
        alias = name
        if self._take("AS") or self._peek() not in ("JOIN", "INNER", "LEFT", "WHERE", "GROUP", "ORDER", "ON", ""):
            alias = self._name().lower()
        self._sources[alias] = entity
        return entity, alias

    def _join(self) -> Link:
        kind = "inner"
        if self._take("LEFT"):
            self._take("OUTER")
            kind = "outer"
        else:
            self._take("INNER")
        self._need("JOIN")
        entity, alias = self._table()
        self._need("ON")
        one = self._attribute()
        self._need("=")
        two = self._attribute()
        mine, other = (one, two) if one.alias == alias else (two, one)
        if mine.alias != alias:
            raise errors.bad_query(f"The ON condition of '{alias}' does not name its columns.")
        return Link(alias, entity, mine.column, other, kind)

    def _either(self) -> Truth:
        parts = [self._both()]
        while self._take("OR"):
            parts.append(self._both())

        def test(binding: Binding) -> bool | None:
            found = [part(binding) for part in parts]
            return True if True in found else None if None in found else False

        return test

    def _both(self) -> Truth:
        parts = [self._comparison()]
        while self._take("AND"):
            parts.append(self._comparison())

        def test(binding: Binding) -> bool | None:
            found = [part(binding) for part in parts]
            return False if False in found else None if None in found else True

        return test

    def _comparison(self) -> Truth:
        if self._take("NOT"):
            return _negated(self._comparison())
        if self._take("("):
            found = self._either()
            self._need(")")
            return found
        attribute = self._attribute()
        if self._compares_columns():
            operator = _OPERATORS[self._peek()]
            self._at += 1
            return _compared(attribute, operator, self._attribute())
        negated = self._take("NOT")
        operator, values = self._operator()
        test = test_of(attribute.column, operator, values, self._given)
        if operator in ("null", "not-null"):
            return lambda binding: test(attribute.read(binding))

        def known(binding: Binding) -> bool | None:
            value = attribute.read(binding)
            return None if value is None else test(value)

        return _negated(known) if negated else known

    def _compares_columns(self) -> bool:
        following = self._tokens[self._at + 1 : self._at + 2]
        return self._peek() in _OPERATORS and bool(following) and following[0][0] == "name"

    def _operator(self) -> tuple[str, list[str]]:
        word = self._peek()
        self._at += 1
        if word in _OPERATORS:
            return _OPERATORS[word], [self._value()]
        if word == "LIKE":
            return "like", [self._value()]
        if word == "IN":
            self._need("(")
            values = [self._value() for _ in self._commas()]
            self._need(")")
            return "in", values
        if word == "BETWEEN":
            low = self._value()
            self._need("AND")
            return "between", [low, self._value()]
        if word == "IS":
            negated = self._take("NOT")
            self._need("NULL")
            return "not-null" if negated else "null", []
        raise _wrong(word)

    def _order(self, query: Query) -> Sorting:
        names = {output.name.lower() for output in query.outputs}
        by: Attribute | str
        following = self._tokens[self._at + 1][1] if self._at + 1 < len(self._tokens) else ""
        if self._peek().lower() in names and following != ".":
            by = next(output.name for output in query.outputs if output.name.lower() == self._peek().lower())
            self._at += 1
        else:
            by = self._attribute()
        descending = self._take("DESC")
        if not descending:
            self._take("ASC")
        return Sorting(by, descending)

    def _attribute(self) -> Attribute:
        name = self._name().lower()
        if self._take("."):
            alias, name = name, self._name().lower()
            entity = self._sources.get(alias)
            if entity is None:
                raise errors.bad_query(f"The table or alias '{alias}' is not part of the query.")
            return _column(entity, alias, name)
        for alias, entity in self._sources.items():
            if name in entity.columns:
                return _column(entity, alias, name)
        raise errors.bad_query(f"The column '{name}' is in none of the query's tables.")

    def _commas(self) -> Any:
        """Runs once for each item of a list separated by commas."""
        yield None
        while self._take(","):
            yield None

    def _name(self) -> str:
        if self._at >= len(self._tokens) or self._tokens[self._at][0] != "name":
            raise _wrong(self._peek() or "the end")
        self._at += 1
        return self._tokens[self._at - 1][1].strip("[]")

    def _value(self) -> str:
        if self._at >= len(self._tokens) or self._tokens[self._at][0] not in ("text", "number"):
            raise _wrong(self._peek() or "the end")
        kind, text = self._tokens[self._at]
        self._at += 1
        return text.removeprefix("N")[1:-1].replace("''", "'") if kind == "text" else text

    def _peek(self) -> str:
        return self._tokens[self._at][1].upper() if self._at < len(self._tokens) else ""

    def _take(self, word: str) -> bool:
        if self._peek() == word:
            self._at += 1
            return True
        return False

    def _need(self, word: str) -> None:
        if not self._take(word):
            raise _wrong(self._peek() or "the end")


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    stripped = text.strip()
    at = 0
    while at < len(stripped):
        match = _TOKEN.match(stripped, at)
        if match is None:
            raise _wrong(stripped[at : at + 10])
        kind = match.lastgroup or ""
        if kind == "name" and match[kind].upper() in _REFUSED:
            raise errors.bad_query(f"'{match[kind].upper()}' is not supported: the endpoint takes one simple SELECT.")
        found.append((kind, match[kind]))
        at = match.end()
    if sum(1 for kind, word in found if kind == "name" and word.upper() == "SELECT") > 1:
        raise errors.bad_query("Sub-queries are not supported.")
    return found


def _nested(links: list[Link], root: str) -> list[Link]:
    """Joins to joined tables belong below those."""

    def below(alias: str) -> tuple[Link, ...]:
        return tuple(replace(link, links=below(link.alias)) for link in links if link.to.alias == alias)

    return list(below(root))


def _negated(inner: Truth) -> Truth:
    def test(binding: Binding) -> bool | None:
        found = inner(binding)
        return None if found is None else not found

    return test


def _compared(one: Attribute, operator: str, two: Attribute) -> Truth:
    def test(binding: Binding) -> bool | None:
        left, right = fold(one.read(binding)), fold(two.read(binding))
        if left is None or right is None:
            return None
        outcomes = {"eq": left == right, "ne": left != right, "lt": left < right, "le": left <= right}
        outcomes |= {"gt": left > right, "ge": left >= right}
        return bool(outcomes[operator])

    return test


def _column(entity: Entity, alias: str, name: str) -> Attribute:
    column = entity.columns.get(name)
    if column is None or column.secret:
        raise errors.DataverseError(
            400, "0x80041103", f"'{entity.name}' entity doesn't contain attribute with Name = '{name}'."
        )
    return Attribute(alias, column)


def _wrong(text: str) -> errors.DataverseError:
    return errors.bad_query(f"Invalid SQL near '{text}'.")
