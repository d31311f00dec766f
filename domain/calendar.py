"""When something falls due: business hours of a legal entity, and the end of a day in its time zone.

Local working time is turned into instants day by day, so that a night in which clocks change adds or takes no
business hour. Everything that goes in and comes out is UTC.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from domain.approvals import BusinessHours

_MICROSECONDS_PER_HOUR: Final = 3_600_000_000
_LONGEST_SEARCH: Final = 3_660
"""Days after which a calendar without a working day is given up: ten years."""
_LAST_DAY: Final = date(9999, 12, 29)
"""What ends later ends then: an hour and a time zone can still be added."""


class NoWorkingTime(ValueError):
    """A calendar in which the hours asked for never come."""


def add_business_hours(start: datetime, hours: Decimal, calendar: BusinessHours) -> datetime:
    """The instant at which so many business hours have passed.

    Eight hours from a Wednesday at 15:00, working 09:00 to 17:00 with Thursday a holiday, end on Friday at 15:00.
    From outside working time, counting begins when work next does. Time that runs out exactly at closing is due then.

    Args:
        start: UTC.
        hours: Business hours, not negative; a fraction is exact to the microsecond.
        calendar: Working time and time zone of the legal entity.

    Returns:
        UTC.

    Raises:
        ValueError: a start without time zone, or negative hours.
        NoWorkingTime: the calendar has no working time within ten years.
    """
    if hours < 0:
        raise ValueError(f"{hours} business hours: must not be negative")
    return add_working_time(start, working_time(hours), calendar)


def working_time(hours: Decimal) -> timedelta:
    """So many business hours as a length, exact to the microsecond."""
    return timedelta(microseconds=int(hours * _MICROSECONDS_PER_HOUR))


def add_working_time(start: datetime, length: timedelta, calendar: BusinessHours) -> datetime:
    """The instant at which so much working time has passed. Takes, returns and raises as ``add_business_hours``."""
    if start.tzinfo is None:
        raise ValueError("start needs a time zone: give UTC")
    left = length
    zone = ZoneInfo(calendar.timezone)
    first = start.astimezone(zone).date()
    for offset in range(_LONGEST_SEARCH):
        shift = _working_time(first + timedelta(days=offset), calendar, zone)
        if shift is None:
            continue
        begins, ends = max(shift[0], start.astimezone(UTC)), shift[1]
        if begins > ends:
            continue
        if left <= ends - begins:
            return begins + left
        left -= ends - begins
    raise NoWorkingTime(f"the calendar of {calendar.timezone} has too few working days: check workdays and holidays")


def working_time_between(start: datetime, end: datetime, calendar: BusinessHours) -> timedelta:
    """How much working time lies between two instants, at most that of ten years; none where the end is not later.

    Args:
        start: UTC.
        end: UTC.
        calendar: Working time and time zone of the legal entity.
    """
    zone = ZoneInfo(calendar.timezone)
    first, last = start.astimezone(zone).date(), end.astimezone(zone).date()
    found = timedelta(0)
    for offset in range(min((last - first).days + 1, _LONGEST_SEARCH)):
        shift = _working_time(first + timedelta(days=offset), calendar, zone)
        if shift is not None:
            found += max(min(shift[1], end) - max(shift[0], start), timedelta(0))
    return found


def end_of_day(day: date, timezone: str) -> datetime:
    """The last millisecond of a day in a time zone (23:59:59.999 local), in UTC.

    Where that moment comes twice because clocks go back at midnight, it is the later one: the day is not over before.
    Of the last two days of the year 9999, as a form may hold them for "never", it is the end of the day before them.
    """
    local = datetime.combine(min(day, _LAST_DAY), time(23, 59, 59, 999_000), ZoneInfo(timezone)).replace(fold=1)
    return local.astimezone(UTC)


def local_date(instant: datetime, timezone: str) -> date:
    """The calendar day of an instant in a time zone."""
    return instant.astimezone(ZoneInfo(timezone)).date()


def _working_time(day: date, calendar: BusinessHours, zone: ZoneInfo) -> tuple[datetime, datetime] | None:
    if day.weekday() not in calendar.workdays or day.isoformat() in calendar.holidays:
        return None
    opens = datetime.combine(day, time.fromisoformat(calendar.opens), zone).astimezone(UTC)
    closes = datetime.combine(day, time.fromisoformat(calendar.closes), zone).astimezone(UTC)
    return opens, closes
