from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.approvals import BusinessHours
from domain.calendar import NoWorkingTime, add_business_hours, end_of_day, local_date
from tests.unit.domain.makers import working_time

USMF = working_time("usmf")
NEW_YORK = ZoneInfo("America/New_York")


def new_york(year: int, month: int, day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=NEW_YORK).astimezone(UTC)


def test_s12_eight_hours_from_the_eve_of_a_holiday_end_two_days_later() -> None:
    asked = new_york(2026, 11, 25, 15)
    assert add_business_hours(asked, Decimal(8), USMF) == new_york(2026, 11, 27, 15)


@pytest.mark.parametrize(
    ("start", "hours", "due"),
    [
        ((2026, 11, 23, 9), "8", (2026, 11, 23, 17)),  # a full day is due at closing, not next morning
        ((2026, 11, 23, 9), "8.5", (2026, 11, 24, 9, 30)),
        ((2026, 11, 23, 3), "1", (2026, 11, 23, 10)),  # before opening
        ((2026, 11, 23, 17), "1", (2026, 11, 24, 10)),  # at closing
        ((2026, 11, 23, 22), "1", (2026, 11, 24, 10)),  # after closing
        ((2026, 11, 27, 16), "2", (2026, 11, 30, 10)),  # over a weekend
        ((2026, 11, 28, 12), "1", (2026, 11, 30, 10)),  # on a weekend
        ((2026, 11, 26, 12), "1", (2026, 11, 27, 10)),  # on a holiday
        ((2026, 11, 23, 12), "0", (2026, 11, 23, 12)),
        ((2026, 11, 28, 12), "0", (2026, 11, 30, 9)),
    ],
)
def test_only_working_time_counts(start: tuple[int, ...], hours: str, due: tuple[int, ...]) -> None:
    assert add_business_hours(new_york(*start), Decimal(hours), USMF) == new_york(*due)


def test_clocks_that_change_overnight_neither_add_nor_take_an_hour() -> None:
    friday = new_york(2026, 10, 30, 16)
    assert add_business_hours(friday, Decimal(2), USMF) == new_york(2026, 11, 2, 10)  # clocks went back on Sunday
    friday = new_york(2027, 3, 12, 16)
    assert add_business_hours(friday, Decimal(2), USMF) == new_york(2027, 3, 15, 10)  # clocks went forward


def test_a_week_may_begin_on_sunday() -> None:
    thursday = datetime(2026, 11, 26, 15, tzinfo=ZoneInfo("Asia/Kuwait"))
    due = add_business_hours(thursday, Decimal(2), working_time("kwmf"))
    assert due == datetime(2026, 11, 29, 9, tzinfo=ZoneInfo("Asia/Kuwait"))


def test_a_start_without_zone_and_negative_hours_are_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        add_business_hours(datetime(2026, 11, 23, 9), Decimal(1), USMF)
    with pytest.raises(ValueError, match="negative"):
        add_business_hours(new_york(2026, 11, 23, 9), Decimal(-1), USMF)


def test_a_calendar_that_never_works_is_found_out() -> None:
    never = BusinessHours(timezone="UTC", workdays=(), opens="09:00", closes="17:00")
    with pytest.raises(NoWorkingTime, match="workdays"):
        add_business_hours(new_york(2026, 11, 23, 9), Decimal(1), never)


@given(
    start=st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1)),
    first=st.decimals(0, 60, places=2),
    second=st.decimals(0, 60, places=2),
    company=st.sampled_from(["usmf", "demf", "jpmf", "kwmf"]),
)
def test_hours_add_up_and_end_in_working_time(start: datetime, first: Decimal, second: Decimal, company: str) -> None:
    calendar = working_time(company, start.date())
    begin = start.replace(tzinfo=UTC)
    at_once = add_business_hours(begin, first + second, calendar)
    in_two = add_business_hours(add_business_hours(begin, first, calendar), second, calendar)
    assert begin <= at_once
    if second > 0:  # none left at closing time stays at closing time
        assert at_once == in_two
    local = at_once.astimezone(ZoneInfo(calendar.timezone))
    assert local.weekday() in calendar.workdays
    assert local.date().isoformat() not in calendar.holidays
    assert calendar.opens <= local.strftime("%H:%M") <= calendar.closes


@pytest.mark.parametrize(
    ("day", "timezone", "instant"),
    [
        (date(2026, 11, 30), "America/New_York", datetime(2026, 12, 1, 4, 59, 59, 999_000, tzinfo=UTC)),
        (date(2026, 11, 30), "Asia/Tokyo", datetime(2026, 11, 30, 14, 59, 59, 999_000, tzinfo=UTC)),
        # Clocks went back during that day: it has 25 hours.
        (date(2026, 11, 1), "America/New_York", datetime(2026, 11, 2, 4, 59, 59, 999_000, tzinfo=UTC)),
        # Havana turns clocks back at 01:00 to 00:00: 23:59:59 of the day before comes once, the next day is longer.
        (date(2026, 10, 31), "America/Havana", datetime(2026, 11, 1, 3, 59, 59, 999_000, tzinfo=UTC)),
        # Asunción turned clocks back at midnight to 23:00 of the same day: the day ends the second time.
        (date(2024, 3, 23), "America/Asuncion", datetime(2024, 3, 24, 3, 59, 59, 999_000, tzinfo=UTC)),
    ],
)
def test_a_day_ends_where_its_company_is(day: date, timezone: str, instant: datetime) -> None:
    assert end_of_day(day, timezone) == instant
    assert local_date(instant, timezone) == day
    assert local_date(instant + timedelta(milliseconds=1), timezone) > day


@pytest.mark.parametrize("timezone", ["Pacific/Pago_Pago", "America/New_York", "UTC", "Pacific/Kiritimati"])
def test_a_day_for_ever_ends_where_an_hour_and_a_time_zone_can_still_be_added(timezone: str) -> None:
    days = [date.max - timedelta(days=back) for back in (400, 3, 2, 1, 0)]
    ends = [end_of_day(day, timezone) for day in days]
    assert ends == sorted(ends)
    assert local_date(ends[0], timezone) == days[0]
    assert local_date(ends[-1] + timedelta(hours=10), timezone) >= days[1]
