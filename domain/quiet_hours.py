"""When somebody may be told: the hours and days on which a person wants no message, in their own time zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from domain.policy import ClockTime, Weekday
from domain.record import Record

_MIDNIGHT: Final = "00:00"
_MOST_STEPS: Final = 20
"""Days of silence in a row end within a week; each takes two steps at most."""


class Quiet(Record):
    """Hours and days without messages, local."""

    begins: ClockTime | None = Field(None, description="HH:MM local; after `ends`: through the night")
    ends: ClockTime | None = Field(None, description="HH:MM local")
    days: tuple[Weekday, ...] = Field((), description="Days without any message; 0 = Monday")

    @model_validator(mode="after")
    def _fits(self) -> Quiet:
        if (self.begins is None) != (self.ends is None):
            raise ValueError('give both begins and ends, e.g. begins: "19:00", ends: "07:00"')
        if self.begins is not None and self.begins == self.ends:
            raise ValueError("begins and ends are the same: then nothing could ever be sent; make them differ")
        if len(set(self.days)) == 7:
            raise ValueError("days: leaves no day on which anything could be sent; take one out")
        return self


def next_allowed(at: datetime, quiet: Quiet, timezone: str) -> datetime:
    """The first moment from ``at`` on at which a message may be sent. Both UTC.

    Local hours are turned into instants day by day, so that a night in which clocks change shortens or lengthens the
    silence as it does the night: one that ends at 07:00 local ends when the clock on the wall shows 07:00.
    """
    zone = ZoneInfo(timezone)
    for _ in range(_MOST_STEPS):
        until = _quiet_until(at.astimezone(zone), quiet)
        if until is None:
            return at
        at = max(_instant(*until, zone), at)
    raise AssertionError("no silence lasts a week: a policy in which it would is refused")


def next_at(after: datetime, clock: str, quiet: Quiet, timezone: str) -> datetime:
    """The next moment, UTC, at which the clock on the wall shows ``clock`` on a day that is not quiet."""
    zone = ZoneInfo(timezone)
    first = after.astimezone(zone).date()
    for offset in range(_MOST_STEPS):
        day = first + timedelta(days=offset)
        found = _instant(day, clock, zone)
        if found > after and day.weekday() not in quiet.days:
            return found
    raise AssertionError("every week has a day that is not quiet: a policy without one is refused")


def _quiet_until(local: datetime, quiet: Quiet) -> tuple[date, str] | None:
    """Until when it is quiet, as a local day and time; None: it is not."""
    today, tomorrow = local.date(), local.date() + timedelta(days=1)
    if today.weekday() in quiet.days:
        return tomorrow, _MIDNIGHT
    if quiet.begins is None or quiet.ends is None:
        return None
    now = f"{local:%H:%M}"
    if quiet.begins < quiet.ends:
        return (today, quiet.ends) if quiet.begins <= now < quiet.ends else None
    if now >= quiet.begins:
        return tomorrow, quiet.ends
    return (today, quiet.ends) if now < quiet.ends else None


def _instant(day: date, clock: str, zone: ZoneInfo) -> datetime:
    """When the clock on the wall shows a time: of two such moments, and around a gap, the later one."""
    local = datetime.combine(day, time.fromisoformat(clock), zone)
    return max(local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
