"""Which account of Sales is which customer of Finance, and which customers are none of each other, as people decided.

It stands beside what both systems hold: nothing is merged by it, and each of its lines can be taken back. Who reads it
asks this record, which holds what is in force.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cached_property
from typing import Final, TypeVar

from pydantic import Field

from domain.record import Record

K = TypeVar("K")
V = TypeVar("V")

OF_ACCOUNT: Final = "account:"
"""Begins the name of a customer that has no number: the id of its row in Sales follows."""

LONGEST_OF_REF: Final = 100
"""Characters that tell a customer from others of its company; a number of Finance has 20."""


def customer_ref(company: str, number: str, account: str = "") -> str:
    """How a customer is called wherever people decided about it: by its number, else by its row in Sales."""
    called = number.upper() or OF_ACCOUNT + account.lower()
    return f"{company.lower()}/{called[:LONGEST_OF_REF]}"


class Link(Record):
    """An account of Sales that is a customer of Finance, because people said so."""

    account: str = Field(description="Id of the row in Sales, lower case")
    company: str = Field(description="Legal entity, lower case")
    number: str = Field(description="Account number in Finance")
    since: datetime
    until: datetime | None = Field(None, description="None: it is in force")
    by: str = Field(description="Who decided it, by name")
    second: str = Field("", description="Who confirmed it; empty: nobody had to")
    why: str = ""
    decision: str = Field(description="Id of the decision it follows from")


class PairVerdict(Record):
    """What people said of two customers; ``one`` is the smaller name."""

    one: str
    other: str
    same: bool


class CrossReference(Record):
    """What is in force, the newest decision first where several speak of the same."""

    links: tuple[Link, ...] = ()
    pairs: tuple[PairVerdict, ...] = ()

    def number_of(self, account: str, company: str) -> str:
        """The customer of Finance that an account of Sales is in a company; empty: nobody said."""
        link = self._by_account.get((account.lower(), company.lower()))
        return link.number if link else ""

    def accounts_of(self, company: str, number: str) -> tuple[str, ...]:
        """The accounts of Sales that are a customer of Finance, as people said."""
        return tuple(
            link.account
            for link in self._by_account.values()
            if (link.company, link.number.upper()) == (company.lower(), number.upper())
        )

    def verdict(self, one: str, other: str) -> bool | None:
        """Whether two customers, named by ``customer_ref``, are the same; None: nobody said."""
        return self.verdicts.get((min(one, other), max(one, other)))

    @property
    def verdicts(self) -> Mapping[tuple[str, str], bool]:
        """What people said of pairs, the smaller name first."""
        return self._by_pair

    @cached_property
    def _by_account(self) -> dict[tuple[str, str], Link]:
        return _first(((link.account.lower(), link.company), link) for link in self.links)

    @cached_property
    def _by_pair(self) -> dict[tuple[str, str], bool]:
        return _first(((pair.one, pair.other), pair.same) for pair in self.pairs)


def _first(items: Iterable[tuple[K, V]]) -> dict[K, V]:
    found: dict[K, V] = {}
    for key, value in items:
        found.setdefault(key, value)
    return found
