"""What a second look at Finance's prices finds, between a quote's approval and its order (lifecycle 4.3).

The models only; what follows from a move of prices is decided in ``domain.drift``. With its approval a quote is pinned
to what Finance listed, to its floor and to its cost. What an order is made at is the quote's own price and never
changes here: the look says whether what was approved is still what is sold.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from enum import StrEnum

from pydantic import Field

from domain.approvals import ApprovalPlan, AskedTerms
from domain.people import Person
from domain.phrases import Phrase
from domain.record import Record


class PinnedItem(Record):
    """What Finance said of an item when the quote was approved, per unit, in the quote's currency."""

    item: str = Field(description="As the quote writes it")
    list_price: Decimal
    floor_price: Decimal | None = None
    cost: Decimal


class PinnedPrices(Record):
    """What a quote is pinned to: the prices by their digest, and item by item where there are not too many."""

    price_hash: str = Field(description="SHA-256 of Finance's prices as they were read")
    priced_on: date = Field(description="The day, in the company's time zone: whose rules the quote is judged by")
    list_net: Decimal = Field(description="Sum of quantity x list price, not rounded")
    margin_pct: Decimal = Field(description="Of the document, in per cent; not rounded")
    items: tuple[PinnedItem, ...] | None = Field(description="None: more than are kept")


class Tier(Record):
    """A level of a chain of the discount matrix."""

    chain: str
    level: int


def tiers(plan: ApprovalPlan | None) -> tuple[Tier, ...]:
    """The levels that a plan asks, or once asked."""
    return tuple(Tier(chain=step.chain, level=step.level) for step in plan.steps) if plan else ()


class PriceDrift(Record):
    """A line whose item Finance lists or costs otherwise than when the quote was approved, or sells no longer."""

    line_no: int
    item: str
    pinned: Decimal = Field(description="List price of one unit then, in the quote's currency")
    current: Decimal = Field(description="List price of one unit now")
    pinned_cost: Decimal | None = Field(None, description="Cost of one unit then; null where nobody may see it")
    current_cost: Decimal | None = Field(None, description="Cost of one unit now; null where nobody may see it")
    blocked: bool = Field(False, description="Stopped, discontinued or gone: Finance takes no order for it")


class Verdict(StrEnum):
    """What follows from a look at prices."""

    SAME = "same"
    """Nothing moved, or all of it moved back."""
    HONOURED = "honoured"
    """List prices or costs rose: the quoted prices hold, and no further level has to approve the margin."""
    FELL = "fell"
    """A list price fell: the quoted prices are kept, and the rep is told."""
    ASK = "ask"
    """The margin at today's cost reaches a level that has not approved: it is asked before the order."""
    REQUOTE = "requote"
    """List prices rose, and the customer accepted after the quote's validity: nothing is ordered at the old prices."""
    BLOCKED = "blocked"
    """A product can no longer be sold: a person has to say how it goes on."""

    @property
    def holds(self) -> bool:
        """Whether a person has to do something before there can be an order."""
        return self in (Verdict.ASK, Verdict.REQUOTE, Verdict.BLOCKED)


class AskedAnew(Record):
    """What is asked once more, because prices moved: the same content at today's cost."""

    plan: ApprovalPlan
    terms: AskedTerms
    pinned: PinnedPrices = Field(description="What the quote is pinned to once that is approved")
    makers: tuple[Person, ...] = Field((), description="Who else made the quote")
    makers_known: bool = False


class PriceLook(Record):
    """What a look found: figures and, of the lines that moved, the first twenty; those that cannot be sold come first.

    Where the quote has more items than are pinned one by one, and the worker that priced it is gone, only the sums are
    known: then no line is named, and ``moved_lines`` is 0.
    """

    verdict: Verdict
    price_hash: str = Field(description="Of Finance's prices now")
    lines: tuple[PriceDrift, ...] = ()
    moved_lines: int = 0
    rose: int = Field(0, description="Lines whose list price rose")
    fell: int = Field(0, description="Lines whose list price fell")
    cost_moved: int = Field(0, description="Lines whose cost moved")
    blocked_lines: int = Field(0, description="Lines whose product can no longer be sold")
    list_net_then: Decimal = Decimal(0)
    list_net_now: Decimal = Decimal(0)
    margin_then: Decimal | None = Field(None, description="In per cent, as approved; null where nobody may see it")
    margin_now: Decimal | None = Field(None, description="In per cent, at today's cost; null where nobody may see it")
    anew: AskedAnew | None = Field(None, description="Of the verdict ASK: what is to be asked")

    @property
    def kept(self) -> PriceLook:
        """The look as a deal keeps it: without what is to be asked, which becomes its assessment."""
        return self.model_copy(update={"anew": None})

    @property
    def blocked(self) -> str:
        """Items that can no longer be sold, in words; empty where all can."""
        return blocked_items(self.lines, self.blocked_lines)


def blocked_items(lines: Iterable[PriceDrift], count: int) -> str:
    """The items of the lines that can no longer be sold, of which some are named; empty where all can."""
    named = [line.item for line in lines if line.blocked]
    more = count - len(named)
    return ", ".join(named) + (f" and {more} more lines" if more > 0 else "")


class DriftDecision(Record):
    """What a person said about a move of prices that held the deal."""

    action: str = Field(description="retry, abort, approved or rejected")
    by: Person
    reason: str = ""


class DriftView(Record):
    """The last look at prices that found a move, as people see it, and what was decided about it."""

    look: PriceLook
    words: str = Field(description="What follows from it, in a sentence")
    said: Phrase | None = Field(None, description="The same, with its numbers apart, for readers of other languages")
    decision: DriftDecision | None = Field(None, description="None: nobody had to decide, or has yet")
