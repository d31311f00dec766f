"""Arithmetic in `$filter`: `CreditLimit sub 100 gt 50`, `(OrderedSalesQuantity mul SalesPrice) add 5 le 1000`.

`add`, `sub`, `mul`, `div`, `divby` and `mod` with their usual precedence. `div` of two integers is an integer, `divby`
is always exact. A null operand makes the result null, and so does a division by zero: no comparison holds for null.
(OASIS OData 4.0 part 2, section 5.1.1.2; Microsoft Learn: "Open Data Protocol (OData)" for finance and operations.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from sandbox.store import Row

if TYPE_CHECKING:
    from sandbox.odata.filters import FilterParser

Value = Callable[[Row], Any]
Number = int | Decimal

_SUMS: Final = frozenset({"add", "sub"})
_PRODUCTS: Final = frozenset({"mul", "div", "divby", "mod"})
OPERATORS: Final = _SUMS | _PRODUCTS


def _div(left: Number, right: Number) -> Number | None:
    if right == 0:
        return None
    if isinstance(left, int) and isinstance(right, int):
        whole = abs(left) // abs(right)
        return whole if (left < 0) == (right < 0) else -whole
    return Decimal(left) / Decimal(right)


def _divby(left: Number, right: Number) -> Number | None:
    return None if right == 0 else Decimal(left) / Decimal(right)


def _mod(left: Number, right: Number) -> Number | None:
    return None if right == 0 else Decimal(left) % Decimal(right)


_COMPUTE: Final[Mapping[str, Callable[[Number, Number], Number | None]]] = {
    "add": lambda left, right: left + right,
    "sub": lambda left, right: left - right,
    "mul": lambda left, right: left * right,
    "div": _div,
    "divby": _divby,
    "mod": _mod,
}


class Operand:
    """One side of a comparison: its value in a row, and whether anything was computed on the way."""

    __slots__ = ("computed", "read")

    def __init__(self, read: Value, *, computed: bool) -> None:
        self.read = read
        self.computed = computed


def operand(parser: FilterParser) -> Operand:
    """Read a sum of products from the parser's position.

    Raises:
        sandbox.odata.filters.FilterError: What stands there is not arithmetic over numbers.
    """
    return _chain(parser, _SUMS, lambda: _chain(parser, _PRODUCTS, lambda: _factor(parser)))


def _chain(parser: FilterParser, operators: frozenset[str], part: Callable[[], Operand]) -> Operand:
    result = part()
    while (operator := parser.take_word(operators)) is not None:
        result = _combined(_COMPUTE[operator], result, part())
    return result


def _combined(compute: Callable[[Number, Number], Number | None], left: Operand, right: Operand) -> Operand:
    one, two = left.read, right.read

    def read(row: Row) -> Any:
        first, second = one(row), two(row)
        return None if first is None or second is None else compute(first, second)

    return Operand(read, computed=True)


def _factor(parser: FilterParser) -> Operand:
    if parser.take_mark("("):
        inner = operand(parser)
        parser.need_mark(")")
        return inner
    return Operand(parser.number(), computed=False)
