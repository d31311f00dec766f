"""Maps of integration data: when two are the same, what is no map, and what the rules say where no system is asked."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from domain.entities.facts import Column, Facts, RunningMap, Table
from domain.entities.identity import EXPLAINS, hash_of, hash_of_all
from domain.entities.lint import RULES, lint
from domain.entities.model import FREQUENCIES, DataMap, Pattern
from policies.map_files import load_maps

SHIPPED = load_maps().all
LIVE = {rule.number for rule in RULES if rule.live}


def customer(**change: Any) -> dict[str, Any]:
    return {
        "entity": "customer",
        "title": "Customers",
        "version": "1",
        "pattern": "sync",
        "reason": "Both sides know something of a customer.",
        "frequency": "near_real_time",
        "direction": "both",
        "company": {"scope": "per_company", "sales": "company"},
        "finance": {"set": "CustomersV3", "key": ["dataAreaId", "CustomerAccount"]},
        "sales": {"table": "account", "key": ["company", "accountnumber"]},
        "fields": {"city": {"finance": "AddressCity", "sales": "address1_city", "owner": "SALES"}},
    } | change


def read(**change: Any) -> DataMap:
    return DataMap.model_validate(customer(**change))


# --- the same map ----------------------------------------------------------------------------------------------------


def shuffled(value: Any, chance: random.Random) -> Any:
    """The same content with the keys of every mapping in another order."""
    if not isinstance(value, dict):
        return value
    names = list(value)
    chance.shuffle(names)
    return {name: shuffled(value[name], chance) for name in names}


@given(st.sampled_from(SHIPPED), st.randoms(use_true_random=False))
def test_a_map_is_the_same_in_any_order_and_with_any_explanation(data: DataMap, chance: random.Random) -> None:
    content = shuffled(data.model_dump(mode="json"), chance)
    for side in ("finance", "sales"):
        if content[side]:
            chance.shuffle(content[side]["key"])
            content[side]["filter"] = f"  {content[side]['filter'].replace(' eq ', '   eq ')} "
    content |= {"version": "another", "title": "Another", "reason": "Said in other words.", "unconfirmed": []}
    assert hash_of(DataMap.model_validate(content)) == hash_of(data)


def test_a_default_that_is_written_out_and_a_number_written_otherwise_make_no_other_map() -> None:
    field = {"finance": "A", "sales": "a", "owner": "SALES", "tolerance": "0.10"}
    written = field | {"tolerance": "0.1", "pii": False, "required": False, "values": None, "note": "as agreed"}
    assert hash_of(read(fields={"x": field})) == hash_of(read(fields={"x": written}))
    text = read(finance={"set": "S", "key": ["dataAreaId"], "filter": "A eq 'a  b'"})
    assert hash_of(text) != hash_of(read(finance={"set": "S", "key": ["dataAreaId"], "filter": "A eq 'a b'"}))


def changes(value: Any) -> Iterator[Any]:
    """Other values that could stand in the place of one, each in one point."""
    match value:
        case BaseModel():
            for name, item in value:
                if name not in EXPLAINS:
                    yield from (value.model_copy(update={name: other}) for other in changes(item))
        case dict():
            yield value | {"added": next(iter(value.values()), "value")}
            for name, item in value.items():
                yield {other: kept for other, kept in value.items() if other != name}
                yield from (value | {name: other} for other in changes(item))
        case tuple():
            yield (*value, "added")
            yield from (value[:at] + value[at + 1 :] for at in range(len(value)))
        case StrEnum():
            yield from (other for other in type(value) if other is not value)
        case bool():
            yield not value
        case int() | Decimal():
            yield value + 1
        case str():
            yield f"{value}x"
        case None:
            yield "said"


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # a value of another type is a change as well
@pytest.mark.parametrize("data", SHIPPED, ids=lambda data: data.entity)
def test_every_change_of_what_a_map_does_makes_another_map(data: DataMap) -> None:
    others = [hash_of(other) for other in changes(data)]
    assert len(others) > 10
    assert hash_of(data) not in others


def test_that_there_is_a_guard_counts_and_its_words_do_not() -> None:
    key = ["company", "accountnumber"]
    without, one, other = (
        hash_of(read(sales={"table": "account", "key": key, "guard": guard})) for guard in ("", "Someone.", "Another.")
    )
    assert without != one == other


def test_maps_together_have_one_hash_in_any_order() -> None:
    assert hash_of_all(SHIPPED) == hash_of_all(reversed(SHIPPED))
    assert hash_of_all(SHIPPED) != hash_of_all(SHIPPED[1:])
    assert len({hash_of(data) for data in SHIPPED}) == len(SHIPPED)


# --- no map ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"frequency": "nightly"},
            "frequency: the pattern sync is near_real_time or five_minutes or hourly",
        ),
        ({"direction": "none"}, "direction: none does not go with the pattern sync"),
        ({"fields": {}}, "fields: the pattern sync needs at least one"),
        ({"sales": None}, "sales: is missing; add it"),
        ({"finance": None, "sales": None}, "finance: a map has at least one side; add finance or sales"),
        ({"direction": "to_sales"}, "fields.city.owner: SALES writes Finance, which the direction to_sales does not"),
        ({"pattern": "none", "frequency": "never", "direction": "none"}, "fields: the pattern none moves nothing"),
        ({"fields": {"city": {"finance": "A", "owner": "SALES"}}}, "fields.city.sales: is missing; add it"),
        (
            {"fields": {"city": {"finance": "A", "sales": "a", "owner": "SALES", "otherwise": "refuse"}}},
            "fields.city.otherwise: there is no value map; add values or remove it",
        ),
    ],
)
def test_a_map_that_contradicts_itself_is_refused_with_its_field(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        read(**change)
    assert says in str(refused.value)


def test_every_pattern_has_its_frequencies() -> None:
    assert set(FREQUENCIES) == set(Pattern)


# --- the rules without a system --------------------------------------------------------------------------------------


def test_what_only_a_system_can_answer_is_never_said_to_hold() -> None:
    report = lint(SHIPPED)
    assert report.findings == ()
    assert {found.rule for found in report.not_checked} == LIVE
    assert all("not asked" in found.why for found in report.not_checked)


def test_a_rule_is_found_broken_without_a_system_where_maps_tell() -> None:
    newest = {"city": {"finance": "AddressCity", "sales": "address1_city", "owner": "NEWEST"}}
    report = lint([read(fields=newest, company={"scope": "per_company"})])
    assert [(found.rule, found.field) for found in report.findings] == [(6, "company.sales"), (7, "city")]
    assert LIVE <= {found.rule for found in report.not_checked}


def test_one_column_of_two_maps_has_one_owner() -> None:
    other = read(entity="partner", fields={"town": {"finance": "Town", "sales": "address1_city", "owner": "MANUAL"}})
    (found,) = lint([read(), other]).findings
    assert (found.rule, found.entity, found.field) == (8, "partner", "town")
    assert found.problem == "account.address1_city is also customer.city, with the owners MANUAL, SALES"


def test_credit_by_the_hour_is_as_old_as_in_a_batch() -> None:
    credit = {"limit": {"finance": "CreditLimit", "sales": "creditlimit", "owner": "FINANCE"}}
    assert [found.rule for found in lint([read(fields=credit, frequency="hourly")]).findings] == [1]
    assert lint([read(fields=credit, frequency="five_minutes")]).findings == ()


def test_records_that_finance_keeps_by_company_are_not_shared() -> None:
    shared = read(company={"scope": "shared"}, finance={"set": "CustomersV3", "key": ["CustomerAccount"]})
    assert [found.rule for found in lint([shared]).findings] == []
    text = Column(kind="text", length=20)
    sets = {
        "CustomersV3": Table(
            columns={"dataAreaId": text, "CustomerAccount": text, "AddressCity": text},
            keys=(("dataAreaId", "CustomerAccount"),),
        )
    }
    assert {found.rule for found in lint([shared], Facts(finance=sets)).findings} == {5, 6}


def test_a_time_that_is_none_does_not_make_the_newest() -> None:
    sales = {"table": "account", "key": ["company", "accountnumber"], "guard": "Somebody looks.", "modified": "changed"}
    data = read(
        sales=sales,
        finance={"set": "S", "key": ["dataAreaId"], "modified": "Changed"},
        fields={"city": {"finance": "City", "sales": "city", "owner": "NEWEST"}},
    )
    text = Column(kind="text", length=20)
    known = Facts(
        finance={
            "S": Table(
                columns={"dataAreaId": text, "City": text, "Changed": Column(kind="moment")}, keys=(("dataAreaId",),)
            )
        },
        sales={
            "account": Table(columns={"company": text, "accountnumber": text, "city": text, "changed": text}, keys=())
        },
        dual_write=(),
    )
    (found,) = lint([data], known).findings
    assert (found.rule, found.field) == (7, "city")


def test_a_running_map_that_names_its_columns_is_only_about_them() -> None:
    for columns, count in ((frozenset({"name"}), 0), (frozenset({"address1_city"}), 1), (None, 1)):
        running = RunningMap(table="account", entity="Customers V3", columns=columns)
        found = [each for each in lint([read()], Facts(dual_write=(running,))).findings if each.rule == 15]
        assert len(found) == count
    dual = read(pattern="dual_write")
    assert lint([dual], Facts(dual_write=(running,))).findings == ()
