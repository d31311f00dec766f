"""Parts of an entity set: each fits into a page, together they are the whole, and what does not add up is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.entities.shards import (
    MOST_COUNTS,
    TRIES,
    CannotBeSplit,
    Shard,
    ShardPlan,
    counted,
    outgrown,
    sampled,
    to_count,
)

KEYS = st.sets(st.text(alphabet="AB1-", min_size=1, max_size=6), max_size=80)


def matches(key: str, shard: Shard) -> bool:
    return key == shard.prefix if shard.exact else key.startswith(shard.prefix)


def found(key: str, shard: Shard, itself: bool) -> bool:
    """Whether Finance finds a record; ``itself``: that `eq 'US*'` finds `US` as well, which is not documented."""
    return matches(key, shard) and (itself or shard.exact or not shard.prefix or key != shard.prefix)


def counts(keys: set[str], shards: list[Shard], *, itself: bool = True) -> list[int]:
    return [sum(found(key, shard, itself) for key in keys) for shard in shards]


def planned(keys: set[str], page_rows: int, *, itself: bool = True) -> ShardPlan:
    plan = ShardPlan()
    while plan.open:
        asked = to_count(plan)
        assert len(asked) <= MOST_COUNTS
        plan = counted(plan, counts(keys, asked, itself=itself), page_rows=page_rows)
    return plan


@given(KEYS, st.integers(1, 9), st.booleans())
def test_every_record_is_in_a_part_and_every_part_fits_into_a_page(
    keys: set[str], page_rows: int, itself: bool
) -> None:
    plan = planned(keys, page_rows, itself=itself)

    for key in keys:
        assert any(found(key, shard, itself) for shard in plan.shards)
    for shard in plan.shards:
        assert 0 < sum(matches(key, shard) for key in keys) <= page_rows + 1


def test_a_set_that_fits_is_one_part_after_one_count() -> None:
    plan = ShardPlan()

    assert to_count(plan) == [Shard()]
    plan = counted(plan, [10_000])

    assert plan.shards == (Shard(rows=10_000),)
    assert not plan.open
    assert plan.rows == 10_000


def test_parts_that_do_not_add_up_are_counted_anew_and_refused_in_the_end() -> None:
    keys = {f"É{n}" for n in range(30)} | {f"猫{n}" for n in range(30)}
    plan = counted(ShardPlan(), [len(keys)], page_rows=10)

    for _ in range(TRIES - 1):
        plan = counted(plan, counts(keys, to_count(plan)), page_rows=10)
        assert [split.shard.prefix for split in plan.open] == [""]

    with pytest.raises(CannotBeSplit, match="60 records begin with '', and 30 of them go on with a known"):
        counted(plan, counts(keys, to_count(plan)), page_rows=10)


@given(KEYS.filter(lambda keys: len(keys) > 9), st.integers(0, 10_000), st.booleans())
def test_records_made_or_deleted_between_two_counts_are_no_missing_character(
    keys: set[str], at: int, made: bool
) -> None:
    """One request counts more than eighty parts: in a busy company some record comes or goes meanwhile."""
    plan = counted(ShardPlan(), [len(keys)], page_rows=9)
    asked = to_count(plan)
    later = keys | {"B1-A1-B"} if made else keys - {min(keys)}
    split = at % len(asked)
    plan = counted(plan, [*counts(keys, asked[:split]), *counts(later, asked[split:])], page_rows=9)

    while plan.open:
        plan = counted(plan, counts(later, to_count(plan)), page_rows=9)
    assert all(any(found(key, shard, itself=True) for shard in plan.shards) for key in keys & later)


def test_a_part_that_has_grown_is_cut_further_and_the_others_stay() -> None:
    keys = {f"A{n}" for n in range(10)} | {f"B{n}" for n in range(5)}
    plan = planned(keys, 10)
    keys |= {f"A{n}X" for n in range(10)}

    # However few it is said to have: it did not fit.
    few = plan.shards[0].model_copy(update={"rows": 1})
    plan = outgrown(plan, (few,))
    while plan.open:
        plan = counted(plan, counts(keys, to_count(plan)), page_rows=10)

    assert {shard.prefix for shard in plan.shards} >= {"A", "B", "A0", "A9"}


def test_records_of_one_key_that_do_not_fit_are_refused() -> None:
    with pytest.raises(CannotBeSplit, match="more than a page of records have the key 'A'"):
        outgrown(ShardPlan(), (Shard(prefix="A", exact=True, rows=1),))


def test_a_sample_is_one_part_and_the_same_for_the_same_seed() -> None:
    keys = {f"{first}{n:02d}" for first in "ABC" for n in range(40)}

    def sample(seed: str) -> ShardPlan:
        plan = ShardPlan()
        while plan.open:
            plan = sampled(counted(plan, counts(keys, to_count(plan)), page_rows=10), seed)
        return plan

    assert len(sample("one").shards) == 1
    assert sample("one") == sample("one")
    assert len({sample(str(seed)).shards for seed in range(20)}) > 1
