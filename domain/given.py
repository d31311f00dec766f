"""Steps that a person may end with a value, because they know what came of them; and the value, until it is proved.

A value is never believed: the step is tried again with it, and reads in the other system what it names. What it reads
is compared with what was wanted as if the step had made it. Steps that are not listed need none: they look for what
they would make before they make it, so that a retry finds what somebody did by hand.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from pydantic import Field

from domain.people import Person
from domain.phrases import marked
from domain.record import Record

LONGEST: Final = 60


class Taken(NamedTuple):
    """What a step takes.

    Attributes:
        what: the value in words, for its field.
        help: what has to be so, for the person.
        longest: characters of it at most.
        by_two: whether a second person has to give the same value, because money hangs on it.
    """

    what: str
    help: str
    longest: int
    by_two: bool


TAKES: Final[dict[str, Taken]] = {
    "create_order": Taken(
        what=marked("Order number in Finance"),
        help=marked(
            "For an order that was entered in Finance by hand. It is read there and taken only if customer, currency, "
            "items, quantities and prices are those that were approved, and each line carries the number of its line "
            "of the quote as the customer's line number. Two people have to give the same number."
        ),
        longest=20,
        by_two=True,
    ),
}
"""The value that a step takes, by the name of its activity."""


class GivenValue(Record):
    """A value that one person gave and a second one has to give as well."""

    value: str = Field(max_length=LONGEST)
    by: Person
    at: datetime = Field(description="UTC")
    reason: str = ""
