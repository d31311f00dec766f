"""How old changes are when the other system has them: counted by how long it took, never one by one. Pure.

Counts of buckets add up, whoever counted them and when, and take the same room for ten changes as for a million.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Final, Literal, NamedTuple

from pydantic import Field

from domain.record import Record

Direction = Literal["to_sales", "to_finance"]
_SECONDS: Final = (1, Decimal("2.5"), 5, 10, 20, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 86_400)
BOUNDS_MS: Final = tuple(int(each * 1_000) for each in _SECONDS)
"""Milliseconds up to which each bucket counts; the last bucket counts the rest."""
SHOWN_DAYS: Final = 7
"""Days that a figure is about, today among them."""
KEPT_DAYS: Final = 35


class LagBucket(NamedTuple):
    """Changes of one kind and day that took about as long."""

    day: str
    """UTC."""
    company: str
    entity: str
    direction: Direction
    bucket: int


class Lag(Record):
    """How long changes took, from one system to the other."""

    company: str
    entity: str
    direction: Direction
    changes: int
    p50_ms: int = Field(description="Milliseconds within which half of them were there")
    p95_ms: int
    p99_ms: int


def bucket_of(seconds: float) -> int:
    """The bucket that counts a change that took so long."""
    return bisect_left(BOUNDS_MS, seconds * 1_000)


def quantile(counts: Sequence[int], percent: int) -> int:
    """Milliseconds within which so many of the changes were there; beyond the last bound: that bound.

    Within a bucket they are taken to be spread evenly, as Prometheus does.
    """
    wanted, seen = percent * sum(counts), 0
    for bucket, number in enumerate(counts[: len(BOUNDS_MS)]):
        if number and 100 * (seen + number) >= wanted:
            below = BOUNDS_MS[bucket - 1] if bucket else 0
            return below + (BOUNDS_MS[bucket] - below) * (wanted - 100 * seen) // (100 * number)
        seen += number
    return BOUNDS_MS[-1] if any(counts) else 0


def lags_of(found: Iterable[tuple[LagBucket, int]]) -> tuple[Lag, ...]:
    """The figures of each company, entity and direction, over all days that were found."""
    counts: dict[tuple[str, str, Direction], list[int]] = {}
    for each, number in found:
        of = counts.setdefault((each.company, each.entity, each.direction), [0] * (len(BOUNDS_MS) + 1))
        of[min(each.bucket, len(BOUNDS_MS))] += number
    return tuple(
        Lag(
            company=company,
            entity=entity,
            direction=direction,
            changes=sum(of),
            **{name: quantile(of, percent) for name, percent in _PERCENTS.items()},
        )
        for (company, entity, direction), of in sorted(counts.items())
    )


_PERCENTS: Final[Mapping[str, int]] = {"p50_ms": 50, "p95_ms": 95, "p99_ms": 99}


def shown_since(today: date) -> str:
    """The first day that figures are about."""
    return (today - timedelta(days=SHOWN_DAYS - 1)).isoformat()


def kept_since(today: date) -> str:
    """The first day that is kept."""
    return (today - timedelta(days=KEPT_DAYS - 1)).isoformat()
