"""Quiet hours hold in a person's own time zone, through the nights in which clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.quiet_hours import Quiet, next_allowed, next_at

NIGHT = Quiet(begins="20:00", ends="07:00")
NOON = Quiet(begins="12:00", ends="13:30")
WEEKEND = Quiet(begins="20:00", ends="07:00", days=(5, 6))


def local(zone: str, text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("quiet", "zone", "at", "allowed"),
    [
        (NIGHT, "Europe/Berlin", "2026-11-25T19:59", "2026-11-25T19:59"),
        (NIGHT, "Europe/Berlin", "2026-11-25T20:00", "2026-11-26T07:00"),
        (NIGHT, "Europe/Berlin", "2026-11-26T06:59", "2026-11-26T07:00"),
        (NIGHT, "Europe/Berlin", "2026-11-26T07:00", "2026-11-26T07:00"),
        (NOON, "Asia/Tokyo", "2026-11-26T12:45", "2026-11-26T13:30"),
        (WEEKEND, "America/New_York", "2026-11-27T21:00", "2026-11-30T07:00"),  # Friday night to Monday morning
        (WEEKEND, "America/New_York", "2026-11-28T12:00", "2026-11-30T07:00"),
        # Clocks go forward on 2026-03-29 in Berlin and on 2026-03-08 in New York, back on 2026-10-25 and 2026-11-01.
        (NIGHT, "Europe/Berlin", "2026-03-28T22:00", "2026-03-29T07:00"),
        (NIGHT, "Europe/Berlin", "2026-10-24T22:00", "2026-10-25T07:00"),
        (NIGHT, "America/New_York", "2026-03-07T23:00", "2026-03-08T07:00"),
        (NIGHT, "America/New_York", "2026-10-31T23:00", "2026-11-01T07:00"),
        (NIGHT, "Australia/Lord_Howe", "2026-10-03T23:00", "2026-10-04T07:00"),  # half an hour forward
        # An end within the hour that does not exist: when the clock on the wall is past it.
        (Quiet(begins="20:00", ends="02:30"), "Europe/Berlin", "2026-03-28T22:00", "2026-03-29T03:30"),
    ],
)
def test_what_comes_in_quiet_hours_waits_for_their_end(quiet: Quiet, zone: str, at: str, allowed: str) -> None:
    assert next_allowed(local(zone, at), quiet, zone) == local(zone, allowed)


def test_the_night_is_as_long_as_the_clocks_make_it() -> None:
    def length(evening: str) -> timedelta:
        at = local("Europe/Berlin", f"{evening}T20:00")
        return next_allowed(at, NIGHT, "Europe/Berlin") - at

    assert length("2026-03-28") == timedelta(hours=10)
    assert length("2026-10-24") == timedelta(hours=12)
    assert length("2026-11-25") == timedelta(hours=11)


def test_an_end_that_comes_twice_is_the_later_one() -> None:
    quiet = Quiet(begins="20:00", ends="02:30")
    again = local("Europe/Berlin", "2026-10-25T02:10", fold=1)
    assert next_allowed(again, quiet, "Europe/Berlin") == local("Europe/Berlin", "2026-10-25T02:30", fold=1)


@given(
    at=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Tokyo", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    begins=st.times(),
    ends=st.times(),
    days=st.sets(st.integers(0, 6), max_size=6),
)
def test_a_message_is_sent_in_the_end_never_earlier_and_never_in_silence(
    at: datetime, zone: str, begins: datetime, ends: datetime, days: set[int]
) -> None:
    clocks = {"begins": f"{begins:%H:%M}", "ends": f"{ends:%H:%M}"}
    if clocks["begins"] == clocks["ends"]:
        return
    quiet = Quiet(days=tuple(days), **clocks)
    allowed = next_allowed(at, quiet, zone)
    assert at <= allowed <= at + timedelta(days=9)
    assert next_allowed(allowed, quiet, zone) == allowed
    assert allowed.astimezone(ZoneInfo(zone)).weekday() not in days


def test_a_digest_comes_at_the_local_hour_of_the_next_working_day() -> None:
    friday = local("Europe/Berlin", "2026-10-23T08:00")
    assert next_at(friday, "08:00", WEEKEND, "Europe/Berlin") == local("Europe/Berlin", "2026-10-26T08:00")
    assert next_at(friday - timedelta(minutes=1), "08:00", WEEKEND, "Europe/Berlin") == friday


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"begins": "20:00"}, "give both begins and ends"),
        ({"begins": "07:00", "ends": "07:00"}, "make them differ"),
        ({"days": tuple(range(7))}, "leaves no day"),
        ({"begins": "8pm", "ends": "07:00"}, "not a time as HH:MM"),
        ({"days": (7,)}, "0 \\(Monday\\) to 6"),
    ],
)
def test_silence_that_would_never_end_is_refused(given: dict[str, object], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        Quiet.model_validate(given)
