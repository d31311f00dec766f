"""Public holidays of a company's country, turned into dates when they are needed.

They come from the package `holidays`, for any year; the calendar's own `closed` and `open` days go over them. A request
for approval takes the dates of its own time with it (`BusinessHours`), so that neither a new release of that package
nor a changed file moves a running deadline, and no workflow ever asks for them.
"""

from __future__ import annotations

from datetime import date, timedelta

import holidays
from holidays.registry import EntityLoader

from domain.approvals import BusinessHours
from domain.policy import Policy, PublishedCalendars, WorkingCalendar


def problem(calendars: PublishedCalendars) -> tuple[str, str]:
    """What is wrong with the countries of a calendar file: the field, and what to do; both empty: nothing.

    A country is only looked up in the list of those that are known: its rules are loaded with those of all others at
    their first use, which takes most of a second.
    """
    known = set(EntityLoader.get_country_codes(include_aliases=False))
    for company, calendar in calendars.companies.items():
        field = f"companies.{company}"
        if calendar.country and calendar.country not in known:
            text = f"the public holidays of {calendar.country!r} are not known: correct it, or leave it out and list "
            return f"{field}.country", f"{text}days under closed"
        if calendar.subdivision:
            parts = holidays.list_supported_countries(include_aliases=False)[calendar.country]
            if calendar.subdivision not in parts:
                there = ", ".join(parts) or "none"
                text = f"{calendar.country} has no {calendar.subdivision!r}; there are {there}"
                return f"{field}.subdivision", text
    return "", ""


def days_off(calendar: WorkingCalendar, first: date, last: date) -> tuple[date, ...]:
    """The days in a span on which the company would work but for a holiday, in order; both ends included."""
    days = (set(_of_country(calendar, range(first.year, last.year + 1))) | set(calendar.closed)) - set(calendar.open)
    return tuple(sorted(day for day in days if first <= day <= last and day.weekday() in calendar.workdays))


def business_hours(policy: Policy, company: str, asked_on: date) -> BusinessHours:
    """Working time of a company, pinned for a request for approval.

    Args:
        policy: the rules in force.
        company: legal entity, lower case.
        asked_on: the day of the request, local to the company.

    Returns:
        Working time with the holidays from that day to the end of the year after the one in which the request expires
        at the latest: no deadline of it lies beyond.

    Raises:
        PolicyError: the company has no calendar.
    """
    calendar = policy.calendar(company)
    last = date((asked_on + timedelta(days=policy.discount.max_age_days)).year + 1, 12, 31)
    return BusinessHours(
        timezone=calendar.timezone,
        workdays=calendar.workdays,
        opens=calendar.opens,
        closes=calendar.closes,
        holidays=tuple(day.isoformat() for day in days_off(calendar, asked_on, last)),
    )


def _of_country(calendar: WorkingCalendar, years: range) -> set[date]:
    if not calendar.country:
        return set()
    return set(holidays.country_holidays(calendar.country, subdiv=calendar.subdivision or None, years=years))
