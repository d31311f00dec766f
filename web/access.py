"""Who may read what: a role of a company opens that company's deals, a role without a company all of them."""

from __future__ import annotations

from domain.people import Person
from domain.refusals import Refusal
from web.problems import Problem


def readable(person: Person) -> tuple[str, ...] | None:
    """The companies a person may read, for the lists.

    Raises:
        Problem: 403, the person has no role at all.
    """
    if person.companies is None:
        return None
    if not person.companies:
        raise Problem(
            Refusal.NO_AUTHORITY, "Your account has no role in this application. Ask an administrator to assign one."
        )
    return tuple(sorted(person.companies))


def check_readable(person: Person, company: str) -> None:
    """Refuse who may not read a company's deals.

    Raises:
        Problem: 403.
    """
    readable(person)
    if not person.may_read(company):
        raise Problem(Refusal.NO_AUTHORITY, f"Your roles do not cover the company {company.upper()}.")
