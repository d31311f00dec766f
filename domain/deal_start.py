"""What a run of a deal begins with: the quote it is about, or where the run before it stopped."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from pydantic import Field

from domain.approval_start import ApprovalCheckpoint
from domain.audit import Outbox
from domain.deal_state import DealState
from domain.heard import HeardMessage
from domain.messages import Outcome, RequestNote, SalesEvent, SignedMessage
from domain.notices import Notice
from domain.record import Record
from domain.views import Ending, TimelineEntry


class Checkpoint(Record):
    """All that a deal knows and remembers, handed from one run to the next when it continues as new."""

    state: DealState
    timeline: tuple[TimelineEntry, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    heard: tuple[HeardMessage, ...] = ()
    tally: dict[str, int] = Field(default_factory=dict)
    seen: tuple[str, ...] = ()
    unheard: tuple[SignedMessage, ...] = ()
    notes: tuple[RequestNote, ...] = Field((), description="What its request told it and was not looked at yet")
    in_doubt: tuple[str, ...] = ()
    outbox: Outbox = Field(default_factory=Outbox, description="Records the audit store has not acknowledged")
    notices: tuple[Notice, ...] = Field((), description="What people are told and was not passed on yet")
    request: ApprovalCheckpoint | None = Field(None, description="The open request for approval, which goes on as well")


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


_OPEN_STILL: Final = frozenset({Ending.STALE, Ending.ABORTED, Ending.CANCELLED})
"""Endings after which the rep may ask for approval of the same revision again."""


def may_follow(event: SalesEvent, *, revision: int, ending: Ending, ended_at: datetime) -> bool:
    """Whether a submission begins the deal of a quote anew after it has ended.

    A later revision does. The same revision does where its draft may still be open and it was submitted after the end:
    a submission that is merely delivered again must not hide the deal that it led to.

    Args:
        event: the submission.
        revision: the revision the deal ended with.
        ending: how it ended.
        ended_at: UTC.
    """
    if event.revision != revision:
        return event.revision > revision
    return ending in _OPEN_STILL and event.occurred_at > ended_at


def begun_again(state: DealState, event: SalesEvent, now: datetime) -> DealState:
    """A deal that has ended, as it begins anew with a submission: versions and requests for approval count on."""
    return DealState(
        company=state.company,
        quote_number=state.quote_number,
        quote_id=event.quote_id,
        revision=event.revision,
        submitted_by=event.actor,
        version=state.version,
        approvals=state.approvals,
        started_at=now,
        updated_at=now,
        waiting_since=now,
    )
