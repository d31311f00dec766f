"""`$filter` expressions, compiled once into a Python predicate.

The compiled filter also tells which columns must equal which values, so that `Table.candidates` answers from an index
instead of scanning. Compiled filters are cached by text and dialect.

Comparison follows the databases behind both systems: text ignores case, a null is neither less nor greater than
anything, and `ne` holds for null. (OASIS OData 4.0 part 2, section 5.1.1; Microsoft Learn: "Filter rows using OData".)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final, Protocol, runtime_checkable

from sandbox.odata.arithmetic import OPERATORS as ARITHMETIC
from sandbox.odata.arithmetic import operand
from sandbox.odata.tokens import FilterError, Literal, Token, tokens
from sandbox.store import Row, fold

Value = Callable[[Row], Any]
Predicate = Callable[[Row], bool]

_COMPARISONS: Final = frozenset({"eq", "ne", "gt", "ge", "lt", "le"})
_TEXT_FUNCTIONS: Final = frozenset({"contains", "startswith", "endswith"})
_OPERATOR_WORDS: Final = _COMPARISONS | ARITHMETIC | {"and", "or", "not", "in"}


@dataclass(frozen=True, slots=True)
class Column:
    """What a dialect answers for a name or path: how to read it from a row, and which stored column it is, if any.

    `stored` is the row's own column name (None for a path over a navigation property): only those are found by index.
    `convert` turns a literal into the stored representation, raising FilterError where the types do not fit. `ordered`
    says whether gt, ge, lt and le work on it.
    """

    read: Value
    stored: str | None
    convert: Callable[[Literal], Any]
    ordered: bool = True


class Dialect(Hashable, Protocol):
    """How one entity of one system reads a filter. Instances are hashable: compiled filters are cached by them."""

    @property
    def functions(self) -> frozenset[str]:
        """Functions allowed, e.g. contains, startswith, endswith."""

    @property
    def operators(self) -> frozenset[str]:
        """Operators allowed beyond and, or, not: eq ne gt ge lt le in, and those of arithmetic."""

    @property
    def wildcards(self) -> bool:
        """Whether `eq '*x*'` matches by wildcard (Finance)."""

    def column(self, path: tuple[str, ...]) -> Column:
        """The column a (possibly navigating) path names; FilterError where there is none."""

    def call(self, name: str, arguments: Mapping[str, Any]) -> Predicate:
        """A namespaced function such as ``Microsoft.Dynamics.CRM.In(PropertyName='a',PropertyValues=['x'])``."""


@runtime_checkable
class CollectionDialect(Protocol):
    """A dialect that can look into collections: `lines/any(l:l/quantity gt 5)`."""

    def collection(self, path: tuple[str, ...]) -> tuple[Dialect, Callable[[Row], list[Row]]]:
        """How the rows of a collection are read: their dialect, and how to get them from a row.

        Raises:
            FilterError: There is no such collection.
        """


@dataclass(frozen=True, slots=True)
class Filter:
    """A compiled filter.

    Attributes:
        matches: Whether a row satisfies it.
        choices: Column -> the values of which one must hold: what `Table.candidates` takes.
        floors: Column -> what its value must be at least, as far as an index can help.
        prefixes: Column -> how its text must begin.
        exact: Whether choices and prefixes are all that the filter asks.
    """

    matches: Predicate
    choices: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    floors: Mapping[str, Any] = field(default_factory=dict)
    prefixes: Mapping[str, str] = field(default_factory=dict)
    exact: bool = False


def compile_filter(text: str, dialect: Dialect) -> Filter:
    """Compile the text of a `$filter` for one entity.

    Raises:
        FilterError: It does not parse, or names a column, function or operator that is not there.
    """
    return _compiled(text, dialect)


@lru_cache(maxsize=2048)
def _compiled(text: str, dialect: Dialect) -> Filter:
    parser = FilterParser(tokens(text), dialect)
    result = parser.disjunction()
    parser.expect_end()
    return result


def count_nodes(text: str) -> int:
    """How many nodes ASP.NET counts in the tree of a filter: what `MaxNodeCount` (100 by default) limits.

    A comparison is its operator, the property, the variable the property belongs to, and the constant; `and`, `or`,
    `not` and a function call are one each.

    Raises:
        FilterError: The text has no tokens of a filter.
    """
    count = 0
    for token, following in pairwise([*tokens(text), Token("end", "")]):
        if token.kind == "literal" or (token.kind == "name" and token.text in _OPERATOR_WORDS):
            count += 1
        elif token.kind == "name":
            count += 1 if following.text == "(" else 2
    return count


class FilterParser:
    """Recursive descent over the tokens, building predicates as it goes."""

    def __init__(self, tokens: list[Token], dialect: Dialect) -> None:
        self._tokens = tokens
        self._at = 0
        self._dialect = dialect
        self._variable = ""
        self._computes = any(token.kind == "name" and token.text in ARITHMETIC for token in tokens)

    def expect_end(self) -> None:
        """Fail unless everything has been read."""
        if self._at < len(self._tokens):
            raise FilterError(f"Syntax error at '{self._tokens[self._at].text}' in the filter expression.")

    def disjunction(self) -> Filter:
        """Read a whole condition: alternatives joined by `or`."""
        parts = [self._conjunction()]
        while self._take("name", "or"):
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else _any_of(parts)

    def _conjunction(self) -> Filter:
        parts = [self._negation()]
        while self._take("name", "and"):
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else _all_of(parts)

    def _negation(self) -> Filter:
        if self._take("name", "not"):
            inner = self._negation().matches
            return Filter(lambda row: not inner(row))
        if self._computes and (computed := self._computed_comparison()) is not None:
            return computed
        if self._take("mark", "("):
            inner_filter = self.disjunction()
            self._need("mark", ")")
            return inner_filter
        return self._comparison()

    def _computed_comparison(self) -> Filter | None:
        """A comparison with arithmetic on either side; None, with nothing read, where there is none."""
        start = self._at
        try:
            left = operand(self)
            operator = self._need("name").text
            right = operand(self)
        except FilterError:
            self._at = start
            return None
        if operator not in _COMPARISONS or not (left.computed or right.computed):
            self._at = start
            return None
        if not ARITHMETIC <= self._dialect.operators:
            raise FilterError("Arithmetic is not supported in the filter expression.")
        return Filter(_compared(operator, left.read, right.read))

    def take_word(self, words: frozenset[str]) -> str | None:
        """The next token if it is one of these words, None otherwise."""
        if self._peek("name") and self._tokens[self._at].text in words:
            return self._next().text
        return None

    def take_mark(self, text: str) -> bool:
        """Whether the next token was this mark; it is read then."""
        return self._take("mark", text)

    def need_mark(self, text: str) -> None:
        """Read this mark, or fail."""
        self._need("mark", text)

    def number(self) -> Value:
        """Read a numeric constant or the path of a numeric column.

        Raises:
            FilterError: It is neither.
        """
        token = self._next()
        if token.literal is not None and token.literal.kind == "number":
            constant = token.literal.value
            return lambda row: constant
        if token.kind != "name" or self._peek("mark", "("):
            raise FilterError(f"Syntax error at '{token.text}' in the filter expression: expected a number.")
        column = self._dialect.column(self._path(token.text))
        column.convert(Literal("number", 0))
        return column.read

    def _comparison(self) -> Filter:
        token = self._next()
        if token.kind == "literal" and token.literal is not None:
            return self._literal_first(token.literal)
        if token.kind != "name":
            raise FilterError(f"Syntax error at '{token.text}' in the filter expression.")
        if self._peek("mark", "("):
            return self._function(token.text)
        path = self._path(token.text)
        if len(path) > 1 and path[-1] in ("any", "all") and self._peek("mark", "("):
            return self._lambda(path[:-1], path[-1])
        return self._after_column(self._column(path))

    def _column(self, path: tuple[str, ...]) -> Column:
        """The column of a path; inside `any` and `all` paths begin with the lambda's variable."""
        if not self._variable:
            return self._dialect.column(path)
        if path[0] != self._variable or len(path) < 2:
            raise FilterError(f"Inside any and all, '{'/'.join(path)}' must begin with '{self._variable}/'.")
        return self._dialect.column(path[1:])

    def _lambda(self, path: tuple[str, ...], quantifier: str) -> Filter:
        """`path/any(v:condition)`, `path/all(v:condition)`, and `path/any()`: whether there are rows at all."""
        outer, variable = self._dialect, self._variable
        if variable:
            if path[0] != variable:
                raise FilterError(f"Inside any and all, '{'/'.join(path)}' must begin with '{variable}/'.")
            path = path[1:]
        if not isinstance(outer, CollectionDialect):
            raise FilterError(f"The {quantifier} operator is not supported.")
        self._dialect, rows_of = outer.collection(path)
        self._need("mark", "(")
        if self._take("mark", ")"):
            self._dialect = outer
            if quantifier == "all":
                raise FilterError("The all operator needs a condition.")
            return Filter(lambda row: bool(rows_of(row)))
        self._variable = self._need("name").text
        self._need("mark", ":")
        matches = self.disjunction().matches
        self._need("mark", ")")
        self._dialect, self._variable = outer, variable
        if quantifier == "any":
            return Filter(lambda row: any(matches(item) for item in rows_of(row)))
        return Filter(lambda row: all(matches(item) for item in rows_of(row)))

    def _after_column(self, column: Column) -> Filter:
        if not self._peek("name"):
            read = column.read
            return Filter(lambda row: read(row) is True)
        operator = self._next().text
        if operator not in _COMPARISONS and operator != "in":
            self._at -= 1
            read = column.read
            return Filter(lambda row: read(row) is True)
        if operator not in self._dialect.operators:
            raise FilterError(f"The operator '{operator}' is not supported.")
        _check_order(column, operator)
        if operator == "in":
            return _one_of(column, tuple(column.convert(literal) for literal in self._literal_list("(", ")")))
        token = self._next()
        if token.kind == "literal" and token.literal is not None:
            return self._compare(column, operator, token.literal)
        if token.kind == "name":
            return _compare_columns(column, operator, self._column(self._path(token.text)))
        raise FilterError(f"Syntax error at '{token.text}' in the filter expression.")

    def _literal_first(self, literal: Literal) -> Filter:
        if literal.kind == "bool" and not self._peek("name"):
            constant = bool(literal.value)
            return Filter(lambda row: constant)
        operator = self._next().text
        turned = {"gt": "lt", "lt": "gt", "ge": "le", "le": "ge"}.get(operator, operator)
        if turned not in _COMPARISONS:
            raise FilterError(f"Syntax error at '{operator}' in the filter expression.")
        name = self._need("name")
        column = self._column(self._path(name.text))
        _check_order(column, turned)
        return self._compare(column, turned, literal)

    def _compare(self, column: Column, operator: str, literal: Literal) -> Filter:
        if self._dialect.wildcards and operator in ("eq", "ne") and literal.kind == "string" and "*" in literal.value:
            read = column.read
            start = literal.value[:-1]
            if operator == "eq" and column.stored and literal.value.find("*") == len(start) > 0:
                folded = start.casefold()
                begins = {column.stored: start}
                return Filter(lambda row: fold(read(row) or "").startswith(folded), prefixes=begins, exact=True)
            pattern = re.compile(re.escape(literal.value).replace(r"\*", ".*"), re.IGNORECASE | re.DOTALL)
            if operator == "eq":
                return Filter(lambda row: pattern.fullmatch(read(row) or "") is not None)
            return Filter(lambda row: pattern.fullmatch(read(row) or "") is None)
        return _compare_constant(column, operator, column.convert(literal))

    def _function(self, name: str) -> Filter:
        if "." in name:
            return Filter(self._dialect.call(name, self._named_arguments()))
        if name not in _TEXT_FUNCTIONS or name not in self._dialect.functions:
            raise FilterError(f"An unknown function with name '{name}' was found.")
        self._need("mark", "(")
        column = self._column(self._path(self._need("name").text))
        self._need("mark", ",")
        literal = self._next().literal
        if literal is None:
            raise FilterError(f"The function '{name}' needs a constant as its second argument.")
        self._need("mark", ")")
        matches = _text_function(name, column, str(literal.value))
        if self._peek("name", "eq"):
            self._next()
            wanted = self._next().literal
            if wanted is None or wanted.kind != "bool":
                raise FilterError(f"The function '{name}' can be compared with true or false only.")
            if not wanted.value:
                return Filter(lambda row: not matches(row))
        return Filter(matches)

    def _named_arguments(self) -> dict[str, Any]:
        self._need("mark", "(")
        arguments: dict[str, Any] = {}
        while not self._take("mark", ")"):
            name = self._need("name").text
            self._need("mark", "=")
            if self._peek("mark", "["):
                arguments[name] = self._literal_list("[", "]")
            else:
                literal = self._next().literal
                if literal is None:
                    raise FilterError(f"The argument '{name}' needs a constant.")
                arguments[name] = literal
            self._take("mark", ",")
        return arguments

    def _literal_list(self, opening: str, closing: str) -> list[Literal]:
        self._need("mark", opening)
        literals: list[Literal] = []
        while not self._take("mark", closing):
            literal = self._next().literal
            if literal is None:
                raise FilterError("A list in a filter holds constants only.")
            literals.append(literal)
            self._take("mark", ",")
        return literals

    def _path(self, first: str) -> tuple[str, ...]:
        parts = [first]
        while self._take("mark", "/"):
            parts.append(self._need("name").text)
        return tuple(parts)

    def _peek(self, kind: str, text: str | None = None) -> bool:
        if self._at >= len(self._tokens):
            return False
        token = self._tokens[self._at]
        return token.kind == kind and (text is None or token.text == text)

    def _take(self, kind: str, text: str) -> bool:
        if self._peek(kind, text):
            self._at += 1
            return True
        return False

    def _need(self, kind: str, text: str | None = None) -> Token:
        if not self._peek(kind, text):
            found = self._tokens[self._at].text if self._at < len(self._tokens) else "the end"
            raise FilterError(f"Syntax error at '{found}' in the filter expression: expected {text or kind}.")
        return self._next()

    def _next(self) -> Token:
        if self._at >= len(self._tokens):
            raise FilterError("Syntax error: the filter expression ends too early.")
        token = self._tokens[self._at]
        self._at += 1
        return token


def _check_order(column: Column, operator: str) -> None:
    if not column.ordered and operator in ("gt", "ge", "lt", "le"):
        kind = {"gt": "GreaterThan", "ge": "GreaterThanOrEqual", "lt": "LessThan", "le": "LessThanOrEqual"}[operator]
        raise FilterError(
            "A binary operator with incompatible types was detected. Found operand types 'Edm.String' and 'Edm.String' "
            f"for operator kind '{kind}'."
        )


def _all_of(parts: list[Filter]) -> Filter:
    tests = tuple(part.matches for part in parts)
    choices: dict[str, tuple[Any, ...]] = {}
    for part in parts:
        for column, values in part.choices.items():
            known = choices.get(column)
            if known is None or len(values) < len(known):
                choices[column] = values
    floors = {column: value for part in parts for column, value in part.floors.items()}
    prefixes = {column: text for part in parts for column, text in part.prefixes.items()}
    asked = [column for part in parts for column in (*part.choices, *part.prefixes)]
    exact = all(part.exact for part in parts) and len(asked) == len(set(asked))
    if len(tests) == 2:
        first, second = tests
        return Filter(lambda row: first(row) and second(row), choices, floors, prefixes, exact)
    return Filter(lambda row: all(test(row) for test in tests), choices, floors, prefixes, exact)


def _any_of(parts: list[Filter]) -> Filter:
    tests = tuple(part.matches for part in parts)
    shared = set(parts[0].choices)
    for part in parts[1:]:
        shared &= set(part.choices)
    choices = {column: tuple(value for part in parts for value in part.choices[column]) for column in shared}
    return Filter(lambda row: any(test(row) for test in tests), choices)


def _one_of(column: Column, values: tuple[Any, ...]) -> Filter:
    read = column.read
    wanted = frozenset(fold(value) for value in values)
    choices = {column.stored: values} if column.stored else {}
    return Filter(lambda row: fold(read(row)) in wanted, choices, exact=bool(column.stored))


def _compare_constant(column: Column, operator: str, value: Any) -> Filter:
    read = column.read
    wanted = fold(value)
    if operator == "eq":
        choices = {column.stored: (value,)} if column.stored else {}
        return Filter(lambda row: bool(fold(read(row)) == wanted), choices, exact=bool(column.stored))
    if operator == "ne":
        return Filter(lambda row: bool(fold(read(row)) != wanted))
    floors = {column.stored: value} if column.stored and operator in ("ge", "gt") else {}
    return Filter(_ordered(operator, read, lambda row: wanted), floors=floors)


def _compare_columns(left: Column, operator: str, right: Column) -> Filter:
    read, other = left.read, right.read
    if operator == "eq":
        return Filter(lambda row: bool(fold(read(row)) == fold(other(row))))
    if operator == "ne":
        return Filter(lambda row: bool(fold(read(row)) != fold(other(row))))
    return Filter(_ordered(operator, read, lambda row: fold(other(row))))


def _ordered(operator: str, left: Value, right: Value) -> Predicate:
    def test(row: Row) -> bool:
        one, two = fold(left(row)), right(row)
        if one is None or two is None:
            return False
        if operator == "gt":
            return bool(one > two)
        if operator == "ge":
            return bool(one >= two)
        if operator == "lt":
            return bool(one < two)
        return bool(one <= two)

    return test


def _compared(operator: str, left: Value, right: Value) -> Predicate:
    if operator == "eq":
        return lambda row: bool(left(row) == right(row))
    if operator == "ne":
        return lambda row: bool(left(row) != right(row))
    return _ordered(operator, left, right)


def _text_function(name: str, column: Column, text: str) -> Predicate:
    read = column.read
    wanted = text.casefold()

    def test(row: Row) -> bool:
        value = read(row)
        if value is None:
            return False
        folded = str(value).casefold()
        if name == "contains":
            return wanted in folded
        if name == "startswith":
            return folded.startswith(wanted)
        return folded.endswith(wanted)

    return test
