"""How many of those who may decide a level are asked at the same time, and how many of them have to approve it."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import Field, model_validator

from domain.record import Record

MOST_AT_ONCE = 20


class Count(Record):
    """So many approvals of so many people who are asked."""

    need: int = Field(ge=1, le=MOST_AT_ONCE, description="How many have to approve")
    of: int = Field(ge=1, le=MOST_AT_ONCE, description="How many are asked at the same time")

    @model_validator(mode="after")
    def _fits(self) -> Count:
        if self.of < self.need:
            raise ValueError(f"of: must be at least need, {self.need}")
        return self


Quorum = Literal["one", "any", "all"] | Count
"""one: one person decides, and one after the other is asked. any, all: all holders of the level's role are asked at the
same time, and one or each of them has to approve."""


class Asked(NamedTuple):
    """How many people are asked when a level's turn comes, and how many of them have to approve."""

    at_once: int = 1
    needed: int = 1


def least(quorum: Quorum) -> int:
    """How many people a company needs who may decide the level."""
    return quorum.need if isinstance(quorum, Count) else 1


def asked(quorum: Quorum, *, holders: int, candidates: int) -> Asked:
    """What a quorum asks where there are so many people.

    Args:
        quorum: of the level.
        holders: who holds the level's own role and did not make the quote.
        candidates: those, and holders of higher roles; at least ``least(quorum)``.
    """
    match quorum:
        case "one":
            return Asked()
        case "any":
            return Asked(at_once=min(max(holders, 1), MOST_AT_ONCE))
        case "all":
            return Asked(at_once=max(holders, 1), needed=max(holders, 1))
        case Count():
            return Asked(at_once=min(quorum.of, candidates), needed=quorum.need)


def in_words(quorum: Quorum, role: str) -> str:
    """What a quorum asks, as the end of a sentence about a level; empty for one person after the other."""
    match quorum:
        case "one":
            return ""
        case "any":
            return f"all who hold {role} are asked at the same time, and one of them decides"
        case "all":
            return f"all who hold {role} are asked at the same time, and each of them must approve"
        case Count():
            return f"{quorum.of} people are asked at the same time, and {quorum.need} of them must approve"


def of_names(names: tuple[str, ...], needed: int) -> str:
    """Who is asked, in words: ``A``, ``A or B``, ``A and B``, ``2 of A, B and C``; empty for nobody."""
    if len(names) < 2:
        return "".join(names)
    *first, last = names
    if needed in (1, len(names)):
        return f"{', '.join(first)} {'or' if needed == 1 else 'and'} {last}"
    return f"{needed} of {', '.join(first)} and {last}"
