"""What both systems share as OData services: filters, query options, addresses, pages."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.odata.address import AddressError, Segment, parse_path
from sandbox.odata.filters import Column, Predicate, compile_filter
from sandbox.odata.query import QueryError, SortKey, cut_page, in_order, parse_query
from sandbox.odata.tokens import FilterError, Literal
from sandbox.store import Row


class _AnyColumn:
    """A dialect with every operator, over rows whose columns are whatever is asked for."""

    functions: frozenset[str] = frozenset({"contains", "startswith", "endswith"})
    operators: frozenset[str] = frozenset({"eq", "ne", "gt", "ge", "lt", "le", "in"})
    wildcards: bool = True

    def column(self, path: tuple[str, ...]) -> Column:
        name = "/".join(path)
        return Column(lambda row: row.get(name), name, lambda literal: literal.value)

    def call(self, name: str, arguments: Mapping[str, Any]) -> Predicate:
        raise FilterError(name)


DIALECT = _AnyColumn()


@pytest.mark.parametrize(
    ("text", "row", "expected"),
    [
        ("a eq 1 and b eq 2 or c eq 3", {"c": 3}, True),
        ("a eq 1 and (b eq 2 or c eq 3)", {"c": 3}, False),
        ("not (a eq 1)", {"a": 2}, True),
        ("not a eq 1", {"a": 1}, False),
        ("a in ('x','Y')", {"a": "y"}, True),
        ("1 lt a", {"a": 2}, True),
        ("a eq b", {"a": "X", "b": "x"}, True),
        ("a ge 1.5", {"a": Decimal("1.50")}, True),
        ("a gt 1", {}, False),
        ("a lt 1", {}, False),
        ("a ne 1", {}, True),
        ("a eq null", {}, True),
        ("a eq 'it''s'", {"a": "it's"}, True),
        ("a eq '*mid*'", {"a": "a MID b"}, True),
        ("a ne '*mid*'", {"a": "a MID b"}, False),
        ("a eq 'x*'", {"a": "ax"}, False),
        ("a eq Microsoft.Dynamics.DataEntities.NoYes'Yes'", {"a": "Yes"}, True),
        ("contains(a,'b') eq false", {"a": "b"}, False),
        ("allowed eq true", {"allowed": True}, True),
        ("nullable_name eq 'x'", {"nullable_name": "x"}, True),
        ("a eq -1", {"a": -1}, True),
        ("x/y eq 2", {"x/y": 2}, True),
    ],
)
def test_filters_mean_what_odata_says(text: str, row: Row, expected: bool) -> None:
    assert compile_filter(text, DIALECT).matches(row) is expected


@pytest.mark.parametrize(
    "text", ["", "a eq", "a eq 1 and", "(a eq 1", "a eq 1)", "a xx 1", "f(a)", "contains(a,b)", "a eq 'x", "N.F(p=1)"]
)
def test_filters_that_are_wrong_are_refused(text: str) -> None:
    with pytest.raises(FilterError):
        compile_filter(text, DIALECT)


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("a eq 1 and b gt 2", {"a": (1,)}),
        ("a eq 1 and (b eq 2 or b eq 3)", {"a": (1,), "b": (2, 3)}),
        ("a eq 1 or b eq 2", {}),
        ("a eq 1 or a eq 2", {"a": (1, 2)}),
        ("not (a eq 1)", {}),
        ("a ne 1", {}),
        ("a eq 'x*'", {}),
    ],
)
def test_a_filter_tells_what_an_index_can_answer(text: str, choices: Mapping[str, Any]) -> None:
    assert compile_filter(text, DIALECT).choices == choices


def test_query_options_are_read_with_nested_expands() -> None:
    text = (
        "$select=a,b&$expand=x($select=c;$expand=y($top=1);$filter=d eq 'p;q(r'),z&$orderby=a desc,b&$top=3&$count=true"
    )

    options = parse_query(text)

    assert options.select == ("a", "b")
    assert [item.name for item in options.expand] == ["x", "z"]
    inner = options.expand[0].options
    assert (inner.select, inner.filter) == (("c",), "d eq 'p;q(r'")
    assert inner.expand[0].options.top == 1
    assert options.orderby == (("a", True), ("b", False))
    assert (options.top, options.count) == (3, True)


def test_encoded_options_are_read() -> None:
    options = parse_query("%24filter=a%20eq%20'b%26c'&cross-company=true")

    assert options.filter == "a eq 'b&c'"
    assert options.others == {"cross-company": "true"}


@pytest.mark.parametrize("text", ["$top=x", "$orderby=a down", "$expand=x($select=a"])
def test_options_that_are_wrong_are_refused(text: str) -> None:
    with pytest.raises(QueryError):
        parse_query(text)


def test_addresses_are_read_with_keys() -> None:
    guid = "11111111-1111-4111-8111-111111111111"
    assert parse_path(f"/quotes({guid})/quote_details") == (
        Segment("quotes", {"": Literal("guid", guid)}),
        Segment("quote_details"),
    )
    (segment,) = parse_path("Orders(dataAreaId='usmf',Number='A%2F''1')")
    assert segment.key == {"dataAreaId": Literal("string", "usmf"), "Number": Literal("string", "A/'1")}


@pytest.mark.parametrize("path", ["a(", "a(b=)", "a(b='x',)", "a(b='x' c='y')"])
def test_addresses_that_are_wrong_are_refused(path: str) -> None:
    with pytest.raises(AddressError):
        parse_path(path)


@given(
    values=st.lists(st.sampled_from(["a", "B", "c", None]), max_size=12),
    size=st.integers(1, 5),
    descending=st.booleans(),
    top=st.none() | st.integers(0, 15),
)
def test_pages_together_are_the_whole_answer(
    values: list[str | None], size: int, descending: bool, top: int | None
) -> None:
    rows: list[Row] = [{"id": number, "value": value} for number, value in enumerate(values)]
    order = (SortKey(lambda row: row["value"], descending), SortKey(lambda row: row["id"]))
    whole = cut_page(in_order(rows, order), order, size=1000, top=top).rows
    paged: list[Row] = []
    token: str | None = None

    while True:
        page = cut_page(in_order(rows, order), order, size=size, top=top, after=token)
        assert page.total == len(rows)
        paged += page.rows
        token = page.token
        if token is None:
            break

    assert paged == whole
    assert len(whole) == (len(rows) if top is None else min(top, len(rows)))
