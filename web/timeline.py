"""The timeline of a deal by stage: what happened in each, and how long it took."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from domain.views import Stage, TimelineEntry


@dataclass(frozen=True)
class Span:
    """One stay in a stage; a deal that goes back to a stage has another."""

    stage: Stage
    since: datetime
    until: datetime
    over: bool
    entries: tuple[TimelineEntry, ...]
    """The newest first."""

    @property
    def lasted(self) -> timedelta:
        """How long it took, so far where it is not over."""
        return self.until - self.since


def spans(entries: Iterable[TimelineEntry], *, ended_at: datetime | None, now: datetime) -> list[Span]:
    """The stays of a deal in its stages, the newest first.

    Args:
        entries: the timeline, oldest first.
        ended_at: when the deal ended; None while it runs.
        now: UTC.
    """
    stays = [tuple(found) for _, found in groupby(entries, key=lambda entry: entry.stage)]
    begins = [stay[0].at for stay in stays]
    ends = [*begins[1:], ended_at or now]
    made = [
        Span(stay[0].stage, begin, max(begin, end), place + 1 < len(stays) or ended_at is not None, stay[::-1])
        for place, (stay, begin, end) in enumerate(zip(stays, begins, ends, strict=False))
    ]
    return made[::-1]
