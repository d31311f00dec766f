"""Sentences of the credit rule that take more than their words."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Final

from domain.phrases import Arg, Phrase, counted, day, percent, phrase

NO_CREDIT_MANAGEMENT: Final = phrase(
    "unlimited credit: credit management is off in Finance, where a limit of 0.00 means no limit"
)

EXCLUDED_IN_FINANCE: Final = phrase("Finance excludes the customer from credit management")


def over_limit(excess: Arg, limit: Arg, threshold: Decimal) -> Phrase:
    """The exposure is above the limit, or above so many per cent of it."""
    if threshold == 100:
        return phrase("over by {excess} (limit {limit})", excess=excess, limit=limit)
    return phrase("over by {excess} (limit {limit} × {share})", excess=excess, limit=limit, share=percent(threshold))


def shared_over_limit(group: str, excess: Arg, limit: Arg) -> Phrase:
    """All who share a limit are above it together."""
    return phrase(
        "credit group {group} is over by {excess} (limit {limit}, shared by its customers)",
        group=group,
        excess=excess,
        limit=limit,
    )


def shared_expired(group: str, on: date) -> Phrase:
    """The limit that several share has expired."""
    return phrase("the limit of credit group {group} expired on {on}", group=group, on=day(on))


def limit_expired(on: date, days: int, grace: int) -> Phrase:
    """The limit expired so many days ago, more than the days of grace."""
    if grace:
        return phrase(
            "the limit expired on {on}, {days} days ago, {grace} days of grace included",
            on=day(on),
            days=days,
            grace=grace,
        )
    return counted(
        "the limit expired on {on}, {count} day ago", "the limit expired on {on}, {count} days ago", days, on=day(on)
    )


def days_overdue(days: int, allowed: int) -> Phrase:
    """An invoice is overdue for longer than is allowed."""
    return counted(
        "an invoice is {count} day overdue, {allowed} are allowed",
        "an invoice is {count} days overdue, {allowed} are allowed",
        days,
        allowed=allowed,
    )


def on_hold(account: str, status: str) -> Phrase:
    """Finance holds the customer."""
    return phrase("customer {account} is on hold in Finance ({status})", account=account, status=status)
