"""What the change of a map is, and whose approvals its plan takes: rules alone, no ledger and no system."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from domain.entities.identity import EXPLAINS, hash_of
from domain.entities.map_change import CLASSES, Base, Impact, KeptRecords, MapPlan, changes, plan_of, snapshot_of
from domain.entities.map_change_rules import Approved, Approvers, ChangeClass, MapChangeRules
from domain.entities.map_change_said import (
    MapApproval,
    MapSituation,
    MapWord,
    Proposal,
    ProposalStatus,
    judge_activation,
    judge_approval,
    staleness,
)
from domain.entities.model import CompanyScope, DataMap, FieldMap, FinanceSide, SalesSide
from domain.people import Person
from domain.refusals import Refusal
from policies.loading import load
from policies.map_files import load_maps

COUNTRIES = {"USA": "United States", "DEU": "Germany", "JPN": "Japan", "KWT": "Kuwait", "FRA": "France"}
MONDAY = datetime(2026, 11, 23, 14, tzinfo=UTC)
MAPS = load_maps().all
CUSTOMER = next(data for data in MAPS if data.entity == "customer")
RULES = load().rights.map_changes
AMY, OLE, INES, REX = (Person(oid=name) for name in ("amy", "ole", "ines", "rex"))


def changed(**updates: Any) -> DataMap:
    """The map of customers with other values, `fields__phone__owner`; None as a field removes it."""
    data = CUSTOMER.model_dump(mode="json")
    for path, value in updates.items():
        *way, last = path.split("__")
        place = data
        for step in way:
            place = place[step]
        if value is None and way == ["fields"]:
            del place[last]
        else:
            place[last] = value
    return DataMap.model_validate(data)


def test_every_attribute_of_a_map_has_its_class_or_only_explains() -> None:
    parts: dict[str, type[BaseModel]] = {
        "company": CompanyScope,
        "finance": FinanceSide,
        "sales": SalesSide,
        "fields": FieldMap,
    }
    attributes = {name for name in DataMap.model_fields if name not in parts}
    attributes |= {f"{part}.{name}" for part, model in parts.items() for name in model.model_fields}
    explaining = {name for name in attributes if name.rpartition(".")[2] in EXPLAINS} - {"sales.guard", "finance.guard"}
    assert set(CLASSES) == attributes - explaining


@pytest.mark.parametrize(
    ("updates", "place", "kind"),
    [
        ({"frequency": "hourly"}, "frequency", "DIRECTION"),
        ({"sales__key": ["accountnumber"]}, "sales.key", "KEY"),
        ({"sales__guard": ""}, "sales.guard", "KEY"),
        ({"sales__if_finance_deletes": "deactivate"}, "sales.if_finance_deletes", "WIDENING"),
        ({"sales__filter": ""}, "sales.filter", "WIDENING"),
        ({"sales__filter": "customertypecode eq 1"}, "sales.filter", "NARROWING"),
        ({"finance__creates": False}, "finance.creates", "NARROWING"),
        ({"finance__constants": {}}, "finance.constants", "NARROWING"),
        ({"finance__left_to_system": []}, "finance.left_to_system", "WIDENING"),
        ({"finance__modified": "SysModifiedDateTime"}, "finance.modified", "OWNER"),
        ({"fields__phone": None}, "fields.phone", "NARROWING"),
        ({"fields__fax": {"finance": "Fax", "sales": "fax", "owner": "SALES"}}, "fields.fax", "WIDENING"),
        ({"fields__phone__owner": "FINANCE"}, "fields.phone.owner", "OWNER"),
        ({"fields__phone__sales": "telephone2"}, "fields.phone.sales", "KEY"),
        ({"fields__phone__pii": False}, "fields.phone.pii", "WIDENING"),
        ({"fields__city__required": True}, "fields.city.required", "NARROWING"),
        ({"fields__city__longer": "cut"}, "fields.city.longer", "WIDENING"),
        ({"fields__city__finance_length": 30}, "fields.city.finance_length", "NARROWING"),
        ({"fields__city__finance_length": 90}, "fields.city.finance_length", "WIDENING"),
        ({"fields__city__normal": "upper"}, "fields.city.normal", "NARROWING"),
        ({"fields__city__tolerance": 1}, "fields.city.tolerance", "NARROWING"),
        ({"fields__city__decimals": 2}, "fields.city.decimals", "NARROWING"),
        ({"fields__country__values": COUNTRIES}, "fields.country.values", "WIDENING"),
        ({"fields__country__values": {"USA": "United States"}}, "fields.country.values", "NARROWING"),
        ({"fields__payment_terms__refused": ["Net 90"]}, "fields.payment_terms.refused", "NARROWING"),
    ],
)
def test_a_change_has_the_class_of_what_it_does(updates: dict[str, Any], place: str, kind: str) -> None:
    after = changed(**updates)
    (found,) = changes(CUSTOMER, after)
    assert (found.place, found.kind) == (place, kind)
    assert hash_of(after) != hash_of(CUSTOMER)
    assert [each.place for each in changes(after, CUSTOMER)] == [place], "and back again"


def test_what_only_explains_or_is_written_in_another_order_is_no_change() -> None:
    order = dict(reversed(CUSTOMER.model_dump(mode="json")["fields"].items()))
    key = list(reversed(CUSTOMER.model_dump(mode="json")["sales"]["key"]))
    after = changed(title="Firms", version="2", reason="Because it is so.", fields=order, sales__key=key)
    assert changes(CUSTOMER, after) == () and hash_of(after) == hash_of(CUSTOMER)
    assert [(each.kind, each.place) for each in changes(None, CUSTOMER)] == [("WIDENING", "customer")]


def kept(company: str = "usmf", run: str = "r1", days: int = 0) -> KeptRecords:
    return KeptRecords(
        entity="customer",
        company=company,
        run_id=run,
        map_hash=hash_of(CUSTOMER),
        finance_sha256=f"f{run}",
        sales_sha256=f"s{run}",
        finance_records=10,
        sales_records=9,
        kept_at=MONDAY - timedelta(days=days),
    )


def planned(
    after: DataMap, *, records: tuple[KeptRecords, ...] = (kept(),), maps: tuple[DataMap, ...] = MAPS
) -> MapPlan:
    base = Base.of(maps, "customer")
    impacts = [Impact(change=each, records=3, exact=True) for each in changes(base.data, after)]
    return plan_of(1, base, after, records, impacts, MONDAY)


NARROWED = changed(fields__phone=None)
BASE = Base.of(MAPS, "customer")
NOW = MapSituation(
    base_hash=BASE.hash, around_hash=BASE.around, snapshot=snapshot_of([kept()]), rules=RULES, now=MONDAY
)


def proposal(*approvals: tuple[Person, tuple[str, ...]], plan: MapPlan | None = None, **more: Any) -> Proposal:
    plan = plan or planned(NARROWED)
    given = [
        MapApproval(id=person.oid, plan_hash=plan.hash, at=MONDAY, by=person, roles=roles)
        for person, roles in approvals
    ]
    about = {"status": ProposalStatus.OPEN, "data": NARROWED, "why": "no more phones", "at": MONDAY, "by": REX}
    return Proposal(id="p", entity="customer", number=1, plan=plan, approvals=tuple(given), **(about | more))


def word(person: Person, *roles: str, seen: str | None = None) -> MapWord:
    seen = planned(NARROWED).hash if seen is None else seen
    return MapWord(message_id="m", person=person, at=MONDAY, why="so be it", seen=seen, roles=roles)


def test_two_others_approve_one_for_the_data_and_one_for_the_systems() -> None:
    first, both = (AMY, ("cfo",)), ((AMY, ("cfo",)), (OLE, ("ops",)))
    assert judge_approval(proposal(), NOW, word(AMY, "cfo")) is None
    assert judge_approval(proposal(), NOW, word(REX, "ops")) is Refusal.REQUESTER_CANNOT_APPROVE
    assert judge_approval(proposal(first), NOW, word(AMY, "cfo")) is Refusal.NEEDS_SECOND_PERSON
    assert judge_approval(proposal(first), NOW, word(INES, "ar_manager")) is Refusal.MAP_OTHER_SIDE
    assert judge_approval(proposal(first), NOW, word(INES, "sales_rep")) is Refusal.NO_AUTHORITY
    assert judge_approval(proposal(first), NOW, word(OLE, "ops")) is None
    assert judge_approval(proposal(*both), NOW, word(INES, "ar_manager")) is Refusal.ALREADY_DECIDED

    assert judge_activation(proposal(), NOW, word(OLE)) is Refusal.MAP_NOT_APPROVED
    assert judge_activation(proposal(first), NOW, word(OLE)) is Refusal.MAP_NOT_APPROVED, "one approver is not enough"
    assert judge_activation(proposal(first, (AMY, ("ops",))), NOW, word(OLE)) is Refusal.MAP_NOT_APPROVED
    assert judge_activation(proposal(first, (REX, ("ops",))), NOW, word(OLE)) is Refusal.MAP_NOT_APPROVED
    assert judge_activation(proposal(first, (INES, ("ar_manager",))), NOW, word(OLE)) is Refusal.MAP_NOT_APPROVED
    assert judge_activation(proposal(*both), NOW, word(OLE)) is None
    done = proposal(*both, status=ProposalStatus.ACTIVATED)
    assert judge_activation(done, NOW, word(OLE)) is Refusal.NOT_OPEN_ANY_MORE


def test_a_plan_that_no_longer_fits_is_refused_and_says_why() -> None:
    both = ((AMY, ("cfo",)), (OLE, ("ops",)))
    others = [
        (NOW.model_copy(update={"base_hash": "another"}), "Another version"),
        (NOW.model_copy(update={"around_hash": "another"}), "Another map beside it"),
        (NOW.model_copy(update={"snapshot": snapshot_of([kept(run="r2")])}), "Other records"),
        (NOW.model_copy(update={"now": MONDAY + timedelta(days=8)}), "more than 7 days old"),
    ]
    for situation, why in others:
        assert why in str(staleness(proposal(), situation))
        assert judge_approval(proposal(), situation, word(AMY, "cfo")) is Refusal.MAP_PLAN_STALE
        assert judge_activation(proposal(*both), situation, word(OLE)) is Refusal.MAP_PLAN_STALE
    assert staleness(proposal(), NOW) is None
    unplanned = proposal().model_copy(update={"plan": None})
    assert judge_approval(unplanned, NOW, word(AMY, "cfo")) is Refusal.MAP_PLAN_STALE
    other_map = proposal(*both, data=changed(fields__city=None))
    assert judge_activation(other_map, NOW, word(OLE)) is Refusal.MAP_PLAN_STALE, "the map is not the planned one"


def test_approvals_of_a_plan_that_was_edited_do_not_count() -> None:
    both = proposal((AMY, ("cfo",)), (OLE, ("ops",)))
    assert both.plan is not None
    less = both.plan.impacts[0].model_copy(update={"records": 0})
    edited = both.model_copy(update={"plan": both.plan.model_copy(update={"impacts": (less,)})})
    assert edited.counting == ()
    assert judge_activation(edited, NOW, word(OLE)) is Refusal.CHANGED_MEANWHILE
    assert edited.plan is not None
    assert judge_activation(edited, NOW, word(OLE, seen=edited.plan.hash)) is Refusal.MAP_NOT_APPROVED
    later = both.plan.model_copy(update={"made_at": MONDAY + timedelta(days=1)})
    assert later.hash == both.plan.hash, "made again over the same, it is the same plan"


def test_what_breaks_a_rule_is_a_conflict_and_what_was_broken_before_is_none() -> None:
    price = next(data for data in MAPS if data.entity == "price")
    bad = price.model_dump(mode="json") | {"direction": "both"}
    bad["fields"]["price"]["owner"] = "SALES"
    after = DataMap.model_validate(bad)
    plan = plan_of(1, Base.of(MAPS, "price"), after, (), (), MONDAY)
    assert any("rule 3" in found for found in plan.conflicts)
    maps = (*(data for data in MAPS if data.entity != "price"), after)
    (lacking,) = plan_of(1, Base.of(maps, "price"), after, (), (), MONDAY).conflicts
    assert "q2c compare price --company … --keep" in lacking, "what is compared is counted over kept records"
    held = proposal(plan=planned(NARROWED).model_copy(update={"conflicts": plan.conflicts}))
    assert held.plan is not None
    assert judge_approval(held, NOW, word(AMY, "cfo", seen=held.plan.hash)) is Refusal.MAP_CONFLICTS


def test_whose_approvals_a_plan_takes_follows_from_all_of_its_classes() -> None:
    kinds = (ChangeClass.WIDENING, ChangeClass.OWNER)
    assert RULES.seats(kinds)["data"] == {"credit_manager", "cfo"}
    assert RULES.seats(ChangeClass)["data"] == {"cfo"}
    assert not RULES.are_filled(kinds, [Approved(oid="a", roles=("ar_manager",))])
    both = Approved(oid="a", roles=("cfo", "ops"))
    assert RULES.are_filled(kinds, [both, Approved(oid="b", roles=("ops",))])
    assert not RULES.are_filled(kinds, [both, both])
    apart = {kind: Approvers(data=(f"r{n}",), systems=("ops",)) for n, kind in enumerate(ChangeClass)}
    with pytest.raises(ValueError, match="no role stands under data of every class"):
        MapChangeRules(approvals=apart)
    with pytest.raises(ValueError, match="approvals: WIDENING is missing"):
        MapChangeRules(approvals={})
