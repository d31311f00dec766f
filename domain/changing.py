"""What a person wants changed of an order that Finance holds: all that is not shipped cancelled, or lines made smaller
or larger.

A change is asked once and carried out until Finance shows it: what is asked is said in absolute quantities, so that
trying again changes nothing that was done before. Goods that left the house are not touched: they come back by a return
order. A larger line is looked at first: price, approval and credit of the difference. Source: lifecycle 7, S30, S35,
S36.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from pydantic import Field

from domain.causes import Cause
from domain.growing import SELL_ANEW, LargerOrder, RaisedLine, is_larger
from domain.line_change import MOST_LINES, LineChange
from domain.lines import LineLedger, LineViolation
from domain.money import plain
from domain.pauses import Pauses
from domain.people import Person
from domain.record import Record
from domain.refusals import Refusal

PAUSES: Final = Pauses(timedelta(minutes=1), timedelta(minutes=15))
"""How long a change rests that did not succeed."""


class ChangeStep(StrEnum):
    """What is next for a change of the order."""

    LOOK = "look"
    """Something of it is larger, or may be: prices, approval and credit are looked at."""
    ASK = "ask"
    """Approvers are to be asked."""
    APPROVAL = "approval"
    """They are asked."""
    WRITE = "write"
    """Finance is told."""


class OrderChange(Record):
    """A change of the order that is under way: asked, not yet read back from Finance."""

    lines: tuple[LineChange, ...] = Field((), max_length=MOST_LINES, description="Empty: all that is not shipped")
    reason: str
    by: Person
    asked_at: datetime = Field(description="UTC")
    number: int = Field(0, description="Which change of the deal it is: the version of the deal when it was asked")
    step: ChangeStep = ChangeStep.WRITE
    larger: LargerOrder | None = Field(None, description="What the order would come to, where it becomes larger")
    raised: tuple[RaisedLine, ...] = Field((), max_length=MOST_LINES, description="Lines that may become larger")
    request: int = Field(0, description="Number of the open request for approval; 0: none")
    approved: str = Field("", description="What approvers said yes to (``LargerOrder.asked_for``); empty: nothing yet")
    lost: int = Field(0, description="How many requests ended without an answer")
    credit: str = Field("", description="Its entry in the ledger of the customer's credit; empty: none")
    sent: int = Field(0, description="Finance took it: the look at Finance, by number, that shows it; 0: it did not")
    failures: int = Field(0, description="How often it did not succeed")
    failure: str = Field("", description="Why it did not the last time")
    cause: str = Field("", description="The same, as a value of ``domain.causes.Cause``")
    retry_at: datetime | None = Field(None, description="UTC; when it is tried again; None: it rests for nothing")

    @property
    def is_whole(self) -> bool:
        """All that is not shipped is cancelled."""
        return not self.lines

    @property
    def is_due(self) -> bool:
        """It is to be tried now."""
        return not self.sent and self.retry_at is None and self.step is not ChangeStep.APPROVAL

    @property
    def is_written(self) -> bool:
        """Finance may have been told of it."""
        return self.step is ChangeStep.WRITE

    def is_over_for(self, cause: str) -> bool:
        """Whether a failure ends it: trying again would find the same, and of a larger order nothing was written."""
        if self.is_written and not self.raised:
            return False
        return cause in _ENDS

    @property
    def words(self) -> str:
        """What is asked."""
        if self.is_whole:
            return "all that is not shipped is cancelled"
        return ", ".join(f"line {line.line_no} to {plain(line.quantity)}" for line in self.lines)


_ENDS: Final = frozenset({Cause.REFUSED, Cause.NOT_FOUND, Cause.CONTENT_CHANGED})
"""What makes an end of a change that asks for more: it is not waited for."""


def to_cancel(line: LineLedger, quantity: Decimal) -> Decimal:
    """How much of a line is to be cancelled so that it comes to a quantity in all; 0 where it does already.

    Raises:
        LineViolation: LARGER_ORDER above what is ordered, BELOW_SHIPPED under what is shipped or invoiced.
    """
    kept = line.ordered - line.cancelled
    if is_larger(line, quantity):
        text = f"line {line.line_no}: {plain(quantity)} is more than the {plain(kept)} ordered"
        raise LineViolation(Refusal.LARGER_ORDER, f"{text}; {SELL_ANEW}")
    if quantity < line.invoiced or quantity < line.shipped:
        gone = f"{plain(line.shipped)} is shipped and {plain(line.invoiced)} invoiced already"
        text = f"line {line.line_no}: cannot be changed to {plain(quantity)}, {gone}"
        raise LineViolation(Refusal.BELOW_SHIPPED, f"{text}; the rest comes back as a return")
    if quantity >= kept:
        return Decimal(0)
    return line.cancel(kept - quantity).cancelled - line.cancelled


def cuts(
    ledger: Iterable[LineLedger], wanted: Iterable[LineChange]
) -> tuple[dict[int, Decimal], tuple[LineViolation, ...]]:
    """What is to be cancelled, by line, and what of the change cannot be: a line that cannot is left as it is.

    Args:
        ledger: the order's lines as Finance holds them now.
        wanted: what they are to come to; none: nothing more is shipped of any.
    """
    lines = {line.line_no: line for line in ledger}
    changes = tuple(wanted)
    if not changes:
        return {number: line.open_to_ship for number, line in lines.items() if line.open_to_ship > 0}, ()
    found: dict[int, Decimal] = {}
    refused: list[LineViolation] = []
    for change in changes:
        line = lines.get(change.line_no)
        if line is None:
            refused.append(LineViolation(Refusal.UNKNOWN_LINE, f"line {change.line_no}: the order has no such line"))
            continue
        try:
            cut = to_cancel(line, change.quantity)
        except LineViolation as violation:
            refused.append(violation)
        else:
            if cut > 0:
                found[line.line_no] = cut
    return found, tuple(refused)
