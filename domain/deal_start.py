"""What a run of a deal begins with: the quote it is about, or where the run before it stopped."""

from __future__ import annotations

from pydantic import Field

from domain.deal_state import DealState
from domain.messages import Outcome, SalesEvent, SignedMessage
from domain.record import Record
from domain.views import TimelineEntry


class Checkpoint(Record):
    """All that a deal knows and remembers, handed from one run to the next when it continues as new."""

    state: DealState
    timeline: tuple[TimelineEntry, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    tally: dict[str, int] = Field(default_factory=dict)
    seen: tuple[str, ...] = ()
    unheard: tuple[SignedMessage, ...] = ()
    in_doubt: tuple[str, ...] = ()


class DealStart(Record):
    """What a deal is started with: which quote, and the event that started it.

    The ``checkpoint`` is set only when the workflow continues as new: the deal as it stood.
    """

    company: str
    quote_number: str
    quote_id: str
    revision: int
    event: SalesEvent | None = None
    checkpoint: Checkpoint | None = None
