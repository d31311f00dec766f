"""Which records a map is tried on, what has moved since the approvals, what a look came to, and what is restored."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from domain.entities.map_change import Base, Impact, KeptRecords, MapPlan, changes, plan_of
from domain.entities.map_change_rules import ChangeClass
from domain.entities.map_run import (
    BeforeImage,
    Candidate,
    ImageStatus,
    LookStatus,
    came_to,
    chosen,
    images_of,
    movable,
    moved_fields,
    moved_since,
    restoring,
    taken_back,
)
from domain.entities.merge import Both, Finding, LetterCause, Merged
from domain.entities.merge_forms import SyncedField
from domain.entities.model import DataMap
from policies.map_files import load_maps

CUSTOMER = next(data for data in load_maps().all if data.entity == "customer")
NOW = datetime(2026, 11, 27, tzinfo=UTC)
WIDER, OWNER, KEY = ChangeClass.WIDENING, ChangeClass.OWNER, ChangeClass.KEY
LIMIT = {"finance": "CreditLimit", "sales": "creditlimit", "owner": "FINANCE", "tolerance": "0", "decimals": 2}


def changed(**fields: dict[str, object] | None) -> DataMap:
    content = CUSTOMER.model_dump(mode="json")
    for name, values in fields.items():
        if values is None:
            del content["fields"][name]
        else:
            content["fields"][name] = content["fields"].get(name, {}) | values
    return DataMap.model_validate(content)


def synced(data: DataMap) -> tuple[SyncedField, ...]:
    return tuple(SyncedField.synced(data, name, field, {}) for name, field in data.fields.items())


FIELDS = synced(changed(phone={"owner": "FINANCE"}, limit=LIMIT))


def test_a_change_moves_the_values_of_fields_that_one_side_owns_and_no_others() -> None:
    after = changed(
        phone={"owner": "FINANCE"}, email={"owner": "NEWEST"}, city={"pii": False}, website=None, limit=LIMIT
    )
    assert moved_fields(CUSTOMER, after) == ("phone", "limit")
    assert moved_fields(None, after) == () and moved_fields(CUSTOMER, CUSTOMER) == ()
    assert movable(FIELDS, ("phone", "limit", "gone")) == ("phone", "limit")
    to_finance = synced(changed(limit=LIMIT | {"owner": "SALES"}))
    assert movable(to_finance, ("limit",)) == (), "what says how much credit somebody has never goes to Finance"


def test_it_is_tried_on_records_of_every_class_and_company_in_turn_and_on_each_once() -> None:
    hit = [Candidate("usmf", f"U{n}", OWNER) for n in range(100)]
    hit += [Candidate("demf", "D1", OWNER), Candidate("usmf", "U1", WIDER), Candidate("usmf", "U7", KEY)]
    found = chosen(hit, 5)
    assert {each.kind for each in found} == {WIDER, OWNER, KEY} and {each.company for each in found} == {"usmf", "demf"}
    assert len(found) == 5 == len({(each.company, each.key) for each in found})
    assert len(chosen(hit, 500)) == 101, "U1 and U7 are hit twice"


def plan(*, records: int = 3, run: str = "r1", base: DataMap = CUSTOMER) -> MapPlan:
    after = changed(phone={"owner": "FINANCE"})
    about = {"entity": "customer", "company": "usmf", "run_id": run, "finance_sha256": "f", "sales_sha256": "s"}
    numbers = {"finance_records": 9, "sales_records": 9, "kept_at": NOW}
    from_base = Base.of([base], "customer")
    kept = KeptRecords.model_validate(about | numbers | {"map_hash": from_base.hash})
    impacts = [Impact(change=each, records=records, exact=True) for each in changes(from_base.data, after)]
    return plan_of(1, from_base, after, [kept], impacts, NOW)


def test_what_moved_since_the_approvals_is_said() -> None:
    assert moved_since(plan(), plan()) == ()
    assert moved_since(plan(), plan(records=4)) == ("fields.phone.owner: 3 records were approved, there are 4 now",)
    (moved,) = moved_since(plan(), plan(run="r2"))
    assert moved.startswith("the records that were kept: ")
    of_base = moved_since(plan(), plan(base=changed(website=None)))
    assert {text.partition(":")[0] for text in of_base} >= {"the map in force", "a map beside it"}


@pytest.mark.parametrize(
    ("finance", "sales", "findings", "wrote", "status"),
    [
        ("+1 206", "+1206", (), True, LookStatus.WRITTEN),
        ("+1 206", "+1206", (), False, LookStatus.AGREED),
        ("+1 206", "+1 999", (), True, LookStatus.DIFFERS),
        ("+1 206", "+1 999", (Finding(field="phone", cause=LetterCause.REFUSED_BY_SALES),), False, LookStatus.REFUSED),
        ("+1 206", "+1206", (Finding(field="city", cause=LetterCause.CONFLICT),), True, LookStatus.WRITTEN),
    ],
)
def test_what_a_look_came_to_is_judged_as_a_comparison_does(
    finance: str, sales: str, findings: tuple[Finding, ...], wrote: bool, status: LookStatus
) -> None:
    shown = {"phone": Both(finance=finance, sales=sales)}
    assert came_to(FIELDS, ("phone",), shown, findings, "USD", wrote=wrote).status is status


def test_what_nobody_has_edited_since_is_restored_and_the_rest_is_named() -> None:
    now = {"phone": Both(finance="1", sales="2"), "limit": Both(finance="1000", sales="500.00")}
    kept = images_of(FIELDS, Merged(to_sales={"phone": "1", "limit": "1000"}), now, 7, "W/1")
    assert [(each.field, each.before, each.after, each.pii) for each in kept] == [
        ("phone", "2", "1", True),
        ("limit", "500.00", "1000", False),
    ]
    shown = {"phone": Both(finance="1", sales="1"), "limit": Both(finance="1000", sales="1000.00")}
    to, settled = restoring(FIELDS, kept, shown)
    assert to == {"finance": {}, "sales": {"phone": "2", "limit": "500.00"}} and not settled
    edited = {"phone": Both(finance="1", sales="3"), "limit": Both(finance="1000", sales="500")}
    to, settled = restoring(FIELDS, kept, edited)
    assert to["sales"] == {}
    assert [each.status for each in settled] == [ImageStatus.EDITED, ImageStatus.RESTORED]
    looked = taken_back(settled, "")
    assert (looked.status, looked.text) == (LookStatus.EDITED, "phone in Sales")
    gone = BeforeImage(side="sales", field="gone", before="1", after="2")
    assert restoring(FIELDS, [gone], shown)[1][0].status is ImageStatus.EDITED
    refused = settled[1].model_copy(update={"status": ImageStatus.REFUSED})
    assert taken_back([refused], "limit: locked").status is LookStatus.REFUSED
