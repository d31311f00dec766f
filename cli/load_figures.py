"""What a load test measures: how long deals were in each part of their way, by percentile. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from math import ceil
from typing import Final

from domain.record import Record
from domain.views import TimelineEntry

SHARES: Final = (50, 90, 95, 99)
"""Percentiles that are told."""


class Way(Record):
    """A part of a deal's way: from what happened to what followed, by what is recorded of it.

    ``begins`` empty: from when the load sent the request, as its own clock says.
    """

    name: str
    begins: str
    sent: str
    ends: str


WAYS: Final = (
    Way(name="submitted → assessed", begins="", sent="submitted", ends="Assessed"),
    Way(name="assessed → shown in Sales", begins="Assessed", sent="", ends="QuoteMarked"),
    Way(name="submitted → shown in Sales", begins="", sent="submitted", ends="QuoteMarked"),
    Way(name="won → order in Finance", begins="", sent="won", ends="OrderCreated"),
    Way(name="order in Finance → confirmed", begins="OrderCreated", sent="", ends="OrderConfirmed"),
    Way(name="won → order shown in Sales", begins="", sent="won", ends="OrderRecorded"),
)
"""The parts of a deal's way that are measured, in their order."""


class Latency(Record):
    """How long one part took, in seconds, over all deals that came by it."""

    name: str
    count: int
    percentiles: dict[int, float]
    most: float


def percentile(ordered: Sequence[float], share: int) -> float:
    """The smallest value that so many per cent of the values do not exceed (nearest rank)."""
    return ordered[max(ceil(share / 100 * len(ordered)), 1) - 1]


def latency(name: str, seconds: Iterable[float]) -> Latency | None:
    """Percentiles of one part; None where no deal came by it."""
    ordered = sorted(seconds)
    if not ordered:
        return None
    found = {share: round(percentile(ordered, share), 3) for share in SHARES}
    return Latency(name=name, count=len(ordered), percentiles=found, most=round(ordered[-1], 3))


def taken(way: Way, timeline: Sequence[TimelineEntry], sent: Mapping[str, datetime]) -> float | None:
    """Seconds a deal needed for a part of its way; None where it did not come by it."""
    begun = sent.get(way.sent) if way.sent else _first(timeline, way.begins, None)
    ended = _first(timeline, way.ends, begun)
    return None if begun is None or ended is None else max((ended - begun).total_seconds(), 0.0)


def _first(timeline: Sequence[TimelineEntry], event: str, after: datetime | None) -> datetime | None:
    """When something happened first; ``after``: not before then, as far as two clocks agree (a second)."""
    moments = (entry.at for entry in timeline if entry.event == event and entry.accepted)
    return next((at for at in moments if after is None or (at - after).total_seconds() > -1), None)
