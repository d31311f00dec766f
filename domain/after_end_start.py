"""What a run of a company's receiver of late reports begins with."""

from __future__ import annotations

from pydantic import Field

from domain.after_end_book import BookState
from domain.heard import HeardMessage
from domain.messages import Outcome, SignedMessage
from domain.notices import Notice
from domain.record import Record


class AfterEndStart(Record):
    """Whose deals; the rest is what the run before it held (set when it continues as new)."""

    company: str = Field(description="Legal entity, lower case")
    book: BookState = BookState()
    untold: tuple[int, ...] = Field((), description="Numbers of exceptions that nobody was told of yet")
    outcomes: tuple[Outcome, ...] = ()
    heard: tuple[HeardMessage, ...] = ()
    unheard: tuple[SignedMessage, ...] = ()
    notices: tuple[Notice, ...] = ()
    tally: dict[str, int] = Field(default_factory=dict)
