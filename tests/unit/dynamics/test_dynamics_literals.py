"""How values are spelled in URLs of the two systems, and how numbers travel in JSON."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamics.core import exact_json
from dynamics.core.literals import FinanceEnum, Literal, any_of, key, literal, query

GUID = UUID("0b3e0c9c-6c51-4a3a-9d1e-6f1f3c9b7a10")


@pytest.mark.parametrize(
    ("value", "spelled"),
    [
        ("US-001", "'US-001'"),
        ("O'Brien", "'O''Brien'"),
        (True, "true"),
        (3, "3"),
        (Decimal("1E+2"), "100"),
        (Decimal("10.50"), "10.50"),
        (GUID, str(GUID)),
        (None, "null"),
        (date(2026, 11, 30), "2026-11-30"),
        (datetime(2026, 11, 30, 12, tzinfo=UTC), "2026-11-30T12:00:00Z"),
        (FinanceEnum("SalesStatus", "Backorder"), "Microsoft.Dynamics.DataEntities.SalesStatus'Backorder'"),
    ],
)
def test_a_literal_is_spelled_as_odata_wants_it(value: Literal, spelled: str) -> None:
    assert literal(value) == spelled


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        literal(datetime(2026, 11, 30))


def test_a_key_is_a_guid_or_all_its_parts_in_order() -> None:
    assert key("quotes", GUID) == f"quotes({GUID})"
    assert key("quotes", str(GUID).upper()) == f"quotes({GUID})"
    assert key("CustomersV3", dataAreaId="usmf", CustomerAccount="US-001") == (
        "CustomersV3(dataAreaId='usmf',CustomerAccount='US-001')"
    )
    assert key("invoices", q2c_financeinvoicenumber="A/1 é#'&+") == (
        "invoices(q2c_financeinvoicenumber='A%2F1%20%C3%A9%23''%26%2B')"
    )


def test_a_query_keeps_syntax_and_encodes_values() -> None:
    path = query("SalesOrderHeadersV4", cross_company="true", filter="A eq 'x & y'", select=None, top=1)
    assert path == "SalesOrderHeadersV4?cross-company=true&$filter=A%20eq%20'x%20%26%20y'&$top=1"


def test_a_star_is_legal_in_a_key_where_it_matches_itself_only() -> None:
    path = key("CustomersV3", dataAreaId="usmf", CustomerAccount="US*1")
    assert path == "CustomersV3(dataAreaId='usmf',CustomerAccount='US*1')"


def test_many_values_are_ors_and_none_is_an_error() -> None:
    assert any_of("ItemNumber", ["A", "B"]) == "(ItemNumber eq 'A' or ItemNumber eq 'B')"
    with pytest.raises(ValueError, match="no value"):
        any_of("ItemNumber", [])


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4))
def test_a_decimal_survives_the_wire_digit_for_digit(amount: Decimal) -> None:
    back = exact_json.loads(exact_json.dumps({"amount": amount}))["amount"]
    assert not isinstance(back, float)
    assert Decimal(back) == amount


def test_json_numbers_are_read_as_decimals() -> None:
    assert exact_json.loads(b'{"a":0.1,"b":12,"c":[1e2]}') == {"a": Decimal("0.1"), "b": 12, "c": [Decimal("1E+2")]}


def test_a_binary_float_never_leaves() -> None:
    with pytest.raises(TypeError, match="float"):
        exact_json.dumps({"lines": [{"price": 0.1}]})
