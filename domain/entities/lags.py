"""How old changes are when the other system has them: counted by how long it took, never one by one. Pure.

Counts of buckets add up, whoever counted them and when, and take the same room for ten changes as for a million.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Final, Literal, NamedTuple

from pydantic import Field

from domain.record import Record

Direction = Literal["to_sales", "to_finance"]
BOUNDS: Final = (
    1.0,
    2.5,
    5.0,
    10.0,
    20.0,
    30.0,
    60.0,
    120.0,
    300.0,
    600.0,
    1_800.0,
    3_600.0,
    7_200.0,
    21_600.0,
    86_400.0,
)
"""Seconds up to which each bucket counts; the last bucket counts the rest."""
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
    return bisect_left(BOUNDS, seconds)


def quantile(counts: Sequence[int], share: float) -> float:
    """Seconds within which so many of the changes were there; beyond the last bound: that bound.

    Within a bucket they are taken to be spread evenly, as Prometheus does.
    """
    wanted, seen = share * sum(counts), 0
    for bucket, number in enumerate(counts[: len(BOUNDS)]):
        if number and seen + number >= wanted:
            below = BOUNDS[bucket - 1] if bucket else 0.0
            return below + (BOUNDS[bucket] - below) * (wanted - seen) / number
        seen += number
    return BOUNDS[-1] if any(counts) else 0.0


def lags_of(found: Iterable[tuple[LagBucket, int]]) -> tuple[Lag, ...]:
    """The figures of each company, entity and direction, over all days that were found."""
    counts: dict[tuple[str, str, Direction], list[int]] = {}
    for each, number in found:
        of = counts.setdefault((each.company, each.entity, each.direction), [0] * (len(BOUNDS) + 1))
        of[min(each.bucket, len(BOUNDS))] += number
    return tuple(
        Lag(
            company=company,
            entity=entity,
            direction=direction,
            changes=sum(of),
            **{name: round(quantile(of, share) * 1_000) for name, share in _SHARES.items()},
        )
        for (company, entity, direction), of in sorted(counts.items())
    )


_SHARES: Final[Mapping[str, float]] = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}


def shown_since(today: date) -> str:
    """The first day that figures are about."""
    return (today - timedelta(days=SHOWN_DAYS - 1)).isoformat()


def kept_since(today: date) -> str:
    """The first day that is kept."""
    return (today - timedelta(days=KEPT_DAYS - 1)).isoformat()
