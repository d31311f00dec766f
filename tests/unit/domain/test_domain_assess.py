"""Which pattern is recommended for an entity, and what reading it costs."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from domain.entities.assess import LATENCY, Entity, PatternRules, Rates, Side, advice, cost, owners_of
from domain.entities.model import Pattern
from policies.assess_files import load_pattern_rules
from policies.map_files import load_maps

RULES = load_pattern_rules()
RATES = Rates(read={"finance": 5.0, "sales": 10.0}, write={"finance": 10.0, "sales": 20.0})


def entity(name: str = "customer", finance: int = 1_000, sales: int = 900, **given: Any) -> Entity:
    usual: dict[str, Any] = {
        "entity": name,
        "title": name,
        "pattern": "sync",
        "latency": "seconds",
        "owners": "both_sides",
        "dual_write": (),
        "finance": Side(name="set", records=finance, changed=70),
        "sales": Side(name="table", records=sales, changed=7),
    }
    return Entity.model_validate(usual | given)


@pytest.mark.parametrize(
    ("facts", "pattern"),
    [
        (entity(), Pattern.SYNC),
        (entity(latency="never"), Pattern.NONE),
        (entity("order"), Pattern.ORCHESTRATED),
        (entity("credit_limit", owners="one_side"), Pattern.VIRTUAL),
        (entity(dual_write=("Customers V3",)), Pattern.DUAL_WRITE),
        (entity(finance=70_001, dual_write=("Customers V3",)), Pattern.SYNC),
        (entity("product", finance=300_001, owners="one_side", latency="hours"), Pattern.BATCH),
        (entity("product", finance=300_000, owners="one_side", latency="hours"), Pattern.SYNC),
    ],
)
def test_the_first_rule_that_fits_recommends(facts: Entity, pattern: Pattern) -> None:
    found = advice(RULES, facts)

    assert found.pattern is pattern
    assert found.fits is (pattern is facts.pattern)
    assert found.why and found.source


def test_the_shipped_maps_have_the_patterns_that_are_recommended() -> None:
    for data in load_maps().all:
        latency = LATENCY[data.frequency]
        facts = entity(data.entity, pattern=data.pattern, latency=latency, owners=owners_of(data))
        assert advice(RULES, facts).fits, data.entity


def test_rules_end_with_one_that_always_fits() -> None:
    rules = RULES.model_dump()
    with pytest.raises(ValidationError, match="the last rule counts where no other does"):
        PatternRules.model_validate({**rules, "rules": rules["rules"][:1]})


def test_changes_a_day_are_of_both_sides() -> None:
    assert entity().changes_a_day == 11


@pytest.mark.parametrize(("records", "most"), [(1_000, 10), (50_000, 60), (1_000_000, 440)])
def test_reading_costs_what_a_comparison_was_measured_to_cost(records: int, most: int) -> None:
    found = cost(entity(finance=records, sales=records), RATES)

    assert found is not None
    assert records / 10_000 + records / 5_000 <= found.requests <= most
    assert found.minutes >= found.finance_requests / 5 / 60
    assert found.most_writes == records
    assert abs(float(found.write_minutes) * 60 * 10 - records) <= 60


def test_what_is_not_compared_costs_nothing() -> None:
    assert cost(entity(pattern="orchestrated"), RATES) is None
