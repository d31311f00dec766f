"""New rows of Sales: what they hold, why one is not made, and that one is never made twice."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from domain.entities.merge import LetterCause
from domain.entities.merge_forms import SyncedField
from domain.entities.model import DataMap, FieldMap, SalesSide
from domain.entities.new_rows import is_to_be_made, is_to_be_made_in_finance, mark_of, new_row_id, new_values
from domain.entities.sync_records import Due, Known, Of, key_of, key_without, row_without, shown
from policies.map_files import load_maps

BEGAN = "2026-11-27T12:00:00+00:00"


def shipped(entity: str) -> DataMap:
    found = load_maps(None).of(entity)
    assert found is not None
    return found.data


def field(name: str, **more: object) -> SyncedField:
    of = FieldMap.model_validate({"finance": "OrganizationName", "sales": name, "owner": "SALES", **more})
    return SyncedField.synced(shipped("customer"), name, of, {name: 10})


def test_a_new_row_takes_every_value_over_whoever_owns_it() -> None:
    fields = [
        field("name", required=True, owner="MANUAL"),
        field("phone"),
        field("terms", owner="FINANCE", values={"Net 30": 1}),
        field("city"),
    ]
    values = {"name": "Contoso", "phone": "+1 206", "terms": "Net 30", "city": " "}

    assert new_values(fields, values, "USD") == ({"name": "Contoso", "phone": "+1 206", "terms": "1"}, [])


@pytest.mark.parametrize(
    ("more", "value", "cause"),
    [
        ({"required": True}, " ", LetterCause.EMPTY),
        ({"values": {"A": "1"}, "refused": ["B"]}, "B", LetterCause.NOT_LISTED),
        ({"values": {"A": "1"}}, "C", LetterCause.NOT_LISTED),
        ({}, "x" * 11, LetterCause.TOO_LONG),
        ({"decimals": 2}, "many", LetterCause.NOT_TELLABLE),
    ],
)
def test_what_cannot_be_taken_over_is_said_of_its_field(
    more: dict[str, object], value: str, cause: LetterCause
) -> None:
    _, findings = new_values([field("name", **more)], {"name": value}, "USD")

    assert [(finding.field, finding.cause) for finding in findings] == [("name", cause)]


@pytest.mark.parametrize(
    ("source", "changed_at", "known", "anew", "made"),
    [
        ("finance", "2026-11-27T12:00:01Z", "", (), True),
        ("finance", "2026-11-27T11:59:59Z", "", (), False),  # it was there before
        ("sweep", "", "", (), False),  # the reading that a sync begins with
        ("sweep", "2026-11-27T12:30:00Z", "", (), True),
        ("sweep", "2026-11-27T12:30:00Z", "now", (), False),  # looked at, and not changed since
        ("finance", "2026-11-27T12:30:00Z", "then", (), True),
        ("sales", "2026-11-27T11:00:00Z", "", (), False),
        ("person", "", "now", (), True),
        ("sweep", "", "now", ("",), True),
    ],
)
def test_only_what_is_made_or_changed_after_a_sync_began_gets_a_row(
    source: str, changed_at: str, known: str, anew: tuple[str, ...], made: bool
) -> None:
    due = Due.model_validate(
        {
            "key": "A",
            "source": source,
            "changed_at": changed_at,
            "seen_at": "",
            "anew": anew,
            "known": Known(content=known),
            "began": BEGAN,
        }
    )

    assert is_to_be_made(due, "now") is made


def test_the_id_of_a_new_row_is_the_records_own() -> None:
    of = Of("customer", "usmf")

    assert new_row_id(of, "A") == new_row_id(of, "A")
    assert len({new_row_id(of, "A"), new_row_id(of, "B"), new_row_id(Of("customer", "demf"), "A")}) == 3


def test_a_row_that_sales_deleted_is_made_anew_only_where_rows_are_made() -> None:
    data = shipped("currency").model_dump(mode="json")
    assert DataMap.model_validate(data).sales == SalesSide.model_validate(data["sales"])

    data["sales"]["if_sales_deletes"] = "create"
    with pytest.raises(ValidationError, match="create needs creates: true"):
        DataMap.model_validate(data)


def test_prices_are_never_written_to_finance_by_the_shipped_map() -> None:
    data = shipped("price")

    assert [name for name, of in data.fields.items() if of.writes("finance")] == []
    assert data.finance is not None
    assert "CustomerAccountNumber eq ''" in data.finance.filter
    assert data.company.in_sales("usmf") == "USMF list prices"
    assert data.company.in_sales("frmf") is None


ROW = "0A1B2C3D-0000-4000-8000-00000000000A"


def test_a_new_record_of_finance_takes_nothing_that_finance_owns_and_no_credit() -> None:
    fields = [
        field("name", finance="LastName", required=True),
        field("terms", finance="PaymentTerms", owner="FINANCE", required=True),
        field("limit", finance="CreditLimit"),
        field("state", finance="IsInactive", values={"No": 0, "Yes": 1}),
        field("city", finance="City", finance_length=3, longer="refuse"),
    ]
    values = {"name": "Oh", "terms": "", "limit": "5", "state": "1", "city": "Rome"}

    found, findings = new_values(fields, values, "", "finance")
    assert found == {"LastName": "Oh", "IsInactive": "Yes"}
    assert [(each.field, each.cause) for each in findings] == [("city", LetterCause.TOO_LONG)]
    _, findings = new_values(fields, values | {"name": " ", "city": ""}, "", "finance")
    assert [(each.cause, each.text) for each in findings] == [
        (LetterCause.EMPTY, "Sales has no value, and the map requires one")
    ]


def test_a_row_without_a_key_is_told_from_every_key_and_has_a_mark_of_its_own() -> None:
    key = key_without(ROW)
    assert (row_without(key), row_without(key_of(("NEW", ROW)))) == (ROW.lower(), "")
    assert shown(key) == f"row {ROW.lower()}"
    assert mark_of(ROW) == mark_of(ROW.lower()) != mark_of(ROW[:-1] + "B")
    assert len(mark_of(ROW)) == 20, "what a search name holds"


def test_what_was_there_before_the_sync_is_made_in_finance_only_where_a_person_says_so() -> None:
    before = Due(key="k", source="sales", changed_at="2026-11-27T11:00:00+00:00", seen_at="", began=BEGAN)
    after = before.model_copy(update={"changed_at": "2026-11-27T13:00:00+00:00"})
    asked = before.model_copy(update={"source": "person"})
    assert [is_to_be_made_in_finance(each) for each in (before, after, asked)] == [False, True, True]


@pytest.mark.parametrize(
    ("side", "change", "problem"),
    [
        ("finance", {"creates": False}, "needs creates: true"),
        ("finance", {"belongs_to": {"known_by": ["Hobbies"]}}, "no field has Hobbies"),
        ("fields", {"inactive": None}, "needs a field of statecode"),
    ],
)
def test_a_map_that_makes_records_of_finance_without_what_it_takes_is_no_map(
    side: str, change: dict[str, Any], problem: str
) -> None:
    data = shipped("contact").model_dump(mode="json")
    for name, value in change.items():
        if value is None:
            del data[side][name]
        else:
            data[side][name] = {**data[side][name], **value} if isinstance(value, dict) else value
    with pytest.raises(ValidationError, match=problem):
        DataMap.model_validate(data)
