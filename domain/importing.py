"""Quotes that were open in Sales before the product was there: which of them become deals, and why others do not.

What Sales says of a quote decides first; whoever is left is looked at as a submission would be. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal

from pydantic import Field

from domain.assessing import QuotePreview
from domain.record import Record


class Taken(StrEnum):
    """What becomes of a quote."""

    BEGINS = "begins"
    """It would begin, or has begun, a deal."""
    KNOWN = "known"
    """It has a deal, or had one."""
    RETURNED = "returned"
    """The rules would return it to its rep, so that no deal is begun."""
    WITH_REP = "with the rep"
    """A draft that nobody has submitted: it begins as every later one."""
    BY_HAND = "by hand"
    """It was won before: its order is made and followed without the product."""
    NO_COMPANY = "no company"
    """Its business unit is mapped to no company."""
    UNREAD = "not read"
    """It could not be read, or nobody answered; asked again, it is looked at again."""
    LEFT = "left for later"
    """Beyond what one import takes; the next one goes on there."""


FAILED: Final = frozenset({Taken.RETURNED, Taken.NO_COMPANY, Taken.UNREAD})
"""What somebody has to look at."""


class OpenQuote(Record):
    """A quote of Sales that is not closed, as a list shows it."""

    company: str = Field(description="Legal entity, lower case; empty: its business unit is mapped to none")
    quote: str
    revision: int
    state: Literal["draft", "active", "won"]
    approval: Literal["none", "requested", "other"] = Field(description="other: the product wrote it")
    business_unit: str = ""
    order: str = Field("", description="Number of the order in Sales that was made from it")


class ImportedQuote(Record):
    """What an import makes of a quote, or would make of it."""

    company: str
    quote: str
    revision: int
    state: str
    taken: Taken
    text: str = Field("", description="Why, or who would be asked")
    net: Decimal | None = Field(None, description="Before tax; None: not looked at")
    currency: str = ""


def of_sales(quote: OpenQuote) -> ImportedQuote | None:
    """What Sales alone says of a quote; None: the rules have to be asked."""
    if not quote.company:
        text = f"add its business unit {quote.business_unit or 'without a name'} to entity_map.yaml"
        return _as(quote, Taken.NO_COMPANY, text)
    if quote.state == "won":
        return _as(quote, Taken.BY_HAND, f"order {quote.order} in Sales was made before: a deal would order it again")
    if quote.approval == "other":
        return _as(quote, Taken.KNOWN, "Sales shows what a deal said of it")
    if quote.state == "draft" and quote.approval == "none":
        return _as(quote, Taken.WITH_REP, "it begins when its rep submits it")
    return None


def of_rules(quote: OpenQuote, found: QuotePreview) -> ImportedQuote:
    """What the rules say of a quote that would begin a deal."""
    seen = {"net": found.net, "currency": found.currency}
    if found.problems:
        text = "; ".join(f"{problem.code} {problem.field}: {problem.message}" for problem in found.problems[:5])
        return _as(quote, Taken.RETURNED, text).model_copy(update=seen)
    nobody = [step.problem for step in (found.explained.steps if found.explained else ()) if step.problem]
    if nobody:
        return _as(quote, Taken.RETURNED, f"NO_APPROVER: {nobody[0]}").model_copy(update=seen)
    asks = found.explained.people if found.explained else "nobody"
    return _as(quote, Taken.BEGINS, f"approval: {asks}").model_copy(update=seen)


def unread(quote: OpenQuote, why: str) -> ImportedQuote:
    """A quote of which nothing is known, and why."""
    return _as(quote, Taken.UNREAD, why)


def left(quote: OpenQuote) -> ImportedQuote:
    """A quote beyond what one import takes."""
    return _as(quote, Taken.LEFT, "")


def known(seen: ImportedQuote) -> ImportedQuote:
    """A quote that has a deal already, or had one."""
    return seen.model_copy(update={"taken": Taken.KNOWN, "text": "it has a deal, or had one"})


def counts(quotes: Iterable[ImportedQuote]) -> dict[tuple[str, Taken], int]:
    """How many quotes of each company became what."""
    found: dict[tuple[str, Taken], int] = {}
    for quote in quotes:
        key = quote.company, quote.taken
        found[key] = found.get(key, 0) + 1
    return found


def _as(quote: OpenQuote, taken: Taken, text: str) -> ImportedQuote:
    return ImportedQuote(
        company=quote.company, quote=quote.quote, revision=quote.revision, state=quote.state, taken=taken, text=text
    )
