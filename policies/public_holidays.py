"""Public holidays of a company's country, turned into dates when they are needed.

They come from the package `holidays`, for any year; the calendar's own `closed` and `open` days go over them. A request
for approval takes the dates of its own time with it (`BusinessHours`), so that neither a new release of that package
nor a changed file moves a running deadline, and no workflow ever asks for them.
"""

from __future__ import annotations

from datetime import date, timedelta

import holidays

from domain.approvals import BusinessHours
from domain.policy import Policy, PublishedCalendars, WorkingCalendar


def problem(calendars: PublishedCalendars) -> str:
    """What is wrong with the countries of a calendar file, with its field and what to do; empty: nothing."""
    for company, calendar in calendars.companies.items():
        field = f"companies.{company}"
        try:
            _of_country(calendar, range(2026, 2027))
        except NotImplementedError:
            known = holidays.list_supported_countries(include_aliases=False)
            if calendar.country not in known:
                return (
                    f"{field}.country: the public holidays of {calendar.country!r} are not known: correct it, or leave "
                    "it out and list days under closed"
                )
            parts = ", ".join(known[calendar.country]) or "none"
            return f"{field}.subdivision: {calendar.country} has no part {calendar.subdivision!r}; there are {parts}"
    return ""


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
