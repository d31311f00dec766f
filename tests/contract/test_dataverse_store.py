"""The tables beneath both systems: all-or-nothing writes, indexes that agree with a scan, exact numbers in JSON."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.odata.jsonio import BadJson, decode, encode
from sandbox.store import Change, Database, DuplicateKey, NoSuchRow, StoreError, Table

WRITES = st.lists(
    st.tuples(st.sampled_from(["put", "delete"]), st.integers(0, 5), st.sampled_from(["a", "B", "b", None])),
    max_size=20,
)


def _table() -> tuple[Database, Table]:
    db = Database()
    table = db.table("orders", ("company", "number"))
    table.index("customer")
    return db, table


def _write(table: Table, writes: list[tuple[str, int, str | None]]) -> None:
    for kind, number, customer in writes:
        row = table.get(("usmf", number))
        if kind == "delete" and row is not None:
            table.delete(("usmf", number))
        elif kind == "put" and row is not None:
            table.update(("usmf", number), {"customer": customer})
        elif kind == "put":
            table.insert({"company": "usmf", "number": number, "customer": customer})


def _scan(table: Table, customer: str | None) -> list[int]:
    folded = customer.casefold() if customer else None
    return sorted(row["number"] for row in table if (row["customer"] or "").casefold() == (folded or ""))


@given(before=WRITES, undone=WRITES)
def test_a_transaction_that_fails_leaves_rows_and_indexes_as_they_were(
    before: list[tuple[str, int, str | None]], undone: list[tuple[str, int, str | None]]
) -> None:
    db, table = _table()
    _write(table, before)
    kept = {row["number"]: row for row in table}

    with pytest.raises(RuntimeError), db.transaction():
        _write(table, undone)
        raise RuntimeError

    assert {row["number"]: row for row in table} == kept
    for customer in ("a", "b", None):
        assert sorted(row["number"] for row in table.find(customer=customer)) == _scan(table, customer)


def test_a_nested_transaction_is_a_savepoint() -> None:
    db, table = _table()
    told: list[Change] = []
    db.on_commit(told.extend)

    with db.transaction():
        table.insert({"company": "usmf", "number": 1, "customer": "a"})
        with pytest.raises(RuntimeError), db.transaction():
            table.insert({"company": "usmf", "number": 2, "customer": "a"})
            raise RuntimeError

    assert [row["number"] for row in table] == [1]
    assert [(change.kind, change.key) for change in told] == [("create", ("usmf", 1))]


def test_listeners_hear_once_after_commit_and_may_write() -> None:
    db, table = _table()
    heard: list[list[int]] = []

    def listen(changes: list[Change]) -> None:
        heard.append([change.key[1] for change in changes])
        if len(heard) == 1:
            table.insert({"company": "usmf", "number": 9, "customer": None})

    db.on_commit(listen)
    order: list[str] = []
    with db.transaction():
        table.insert({"company": "usmf", "number": 1, "customer": "a"})
        table.insert({"company": "usmf", "number": 2, "customer": "a"})
        db.defer(lambda: order.append("after"))
        assert heard == []
        order.append("inside")

    assert heard == [[1, 2], [9]]
    assert order == ["inside", "after"]


def test_versions_rise_with_every_write() -> None:
    db, table = _table()
    versions: list[int] = []
    db.on_commit(lambda changes: versions.extend(change.version for change in changes))

    _write(table, [("put", 1, "a"), ("put", 1, "b"), ("delete", 1, None)])

    assert versions == sorted(set(versions))
    assert len(versions) == 3


def test_keys_ignore_case_and_are_unique() -> None:
    db = Database()
    table = db.table("customers", ("account",))
    table.unique("reference")
    table.insert({"account": "US-001", "reference": "X"})

    assert table.get(("us-001",)) is not None
    with pytest.raises(DuplicateKey) as primary:
        table.insert({"account": "us-001", "reference": "Y"})
    assert primary.value.primary
    with pytest.raises(DuplicateKey) as unique:
        table.insert({"account": "US-002", "reference": "x"})
    assert unique.value.columns == ("reference",)
    table.insert({"account": "US-003", "reference": None})
    table.insert({"account": "US-004", "reference": None})
    with pytest.raises(NoSuchRow):
        table.update(("none",), {})
    with pytest.raises(StoreError):
        table.update(("US-003",), {"account": "US-005"})


def test_an_equality_on_an_index_does_not_scan() -> None:
    _, table = _table()
    for number in range(1000):
        table.insert({"company": "usmf", "number": number, "customer": f"c{number % 100}"})

    assert len(table.candidates({"customer": ("C7",)})) == 10
    assert len(table.candidates({"company": ("usmf",), "number": (3, 4)})) == 2
    assert len(table.candidates({"other": (1,)})) == 1000


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**12), max_value=10**12))
def test_amounts_pass_through_json_unchanged(amount: Decimal) -> None:
    found: dict[str, Any] = decode(encode({"amount": amount}))

    assert Decimal(found["amount"]) == amount
    assert not isinstance(found["amount"], float)


def test_json_that_is_wrong_is_told() -> None:
    with pytest.raises(BadJson):
        decode(b"{]")
