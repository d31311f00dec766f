"""What a run of a request for approval begins with, and what it ends with."""

from __future__ import annotations

from pydantic import Field

from domain.approvals import ApprovalRequest, ApprovalState
from domain.heard import HeardMessage
from domain.messages import Outcome, SignedMessage, Supersede
from domain.notices import Notice
from domain.record import Record


class ApprovalCheckpoint(Record):
    """All that a request knows and remembers, handed from one run to the next."""

    state: ApprovalState
    outcomes: tuple[Outcome, ...] = ()
    heard: tuple[HeardMessage, ...] = ()
    refused: tuple[str, ...] = ()
    unheard: tuple[SignedMessage | Supersede, ...] = ()
    proofs: tuple[SignedMessage, ...] = ()
    notices: tuple[Notice, ...] = Field((), description="What approvers are told and was not passed on yet")


class ApprovalStart(Record):
    """What a request is started with; the checkpoint is set where it goes on from an earlier run."""

    request: ApprovalRequest
    told: tuple[str, ...] = Field((), description="What anybody is told of (``domain.notices.Kind``); none: nothing")
    checkpoint: ApprovalCheckpoint | None = None


class ApprovalAnswer(Record):
    """How a run of a request ended: with an answer, or handed over, to go on under the deal's next run."""

    state: ApprovalState
    proofs: tuple[SignedMessage, ...] = Field((), description="The decisions that counted, as people signed them")
    handed_over: ApprovalCheckpoint | None = None
    notices: tuple[Notice, ...] = Field((), description="What approvers are told, which the deal passes on")
    trace_parent: str = Field("", description="W3C trace parent of what was said last; the tracing fills it")
