"""What the JSON API takes in its query and gives in its answers. Money is text, in the currency that stands by it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from domain.approvals import (
    ApprovalState,
    ApprovalStatus,
    Question,
    Reason,
    Reassignment,
    Reminder,
    StandIn,
    StepState,
    StepStatus,
)
from domain.delegations import Delegation
from domain.people import Person
from domain.record import Record
from domain.views import DealView, Stage, TimelineEntry, WaitingFor
from runs.search import DealColumn, DealFilter, DealOrder
from web.addresses import COMPANY_LENGTH, QUOTE_LENGTH
from web.confidential import approvals_for_reader, drift_for_reader

MAX_LIMIT = 200


class _Query(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: int = Field(50, ge=1, le=MAX_LIMIT, description="At most this many items")
    cursor: str = Field("", max_length=4096, description="`next_cursor` of the page before")


class ApprovalsQuery(_Query):
    """Query of GET /approvals."""


class DealsQuery(_Query):
    """Query of GET /cases; what is left out does not narrow."""

    company: str = Field("", max_length=COMPANY_LENGTH, description="Finance legal entity, lower case")
    customer: str = Field("", max_length=50, description="Finance customer account")
    stage: Stage | Literal[""] = ""
    waiting_for: WaitingFor | Literal[""] = ""
    status: Literal["", "running", "closed", "failed", "cancelled", "terminated"] = Field(
        "", description="Status of the run; `closed`: it came to its end, whichever"
    )
    error: str = Field("", max_length=100, description="Cause, of parked deals")
    quote: str = Field("", max_length=QUOTE_LENGTH, description="Beginning of the quote number")
    q: str = Field(
        "",
        max_length=100,
        description="Words to find: the beginning of a quote, order or customer number of any deal, or any part of a "
        "number, name or customer's reference among the newest 500 that the other filters leave. Answers one page, "
        "without a cursor",
    )
    mine: bool = Field(False, description="Only deals whose quote the caller owns or submitted")
    sort: str = Field(
        "",
        pattern=f"^(-?({'|'.join(get_args(DealColumn))}))?$",
        description="Column to put in order by, with a minus before it downwards; of the newest 2,000 deals that the "
        "filters leave. Empty: newest first, without end",
    )

    @property
    def order(self) -> DealOrder | None:
        """The order that is asked for; None: newest first."""
        column = self.sort.removeprefix("-")
        return DealOrder.model_validate({"column": column, "down": column != self.sort}) if column else None

    def wanted(self, readable: tuple[str, ...] | None, oid: str) -> DealFilter:
        """The filter of a caller.

        Args:
            readable: companies the caller may see; None: all.
            oid: their Entra object id.
        """
        return DealFilter(
            company=self.company,
            readable=readable,
            customer=self.customer,
            stage=self.stage,
            waiting_for=self.waiting_for,
            status=self.status,
            error=self.error,
            quote=self.quote,
            person=oid if self.mine else "",
            text=self.q,
        )


class ExplainBody(BaseModel):
    """Body of POST /explain."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    company: str = Field(min_length=1, max_length=COMPANY_LENGTH, description="Finance legal entity, in any case")
    quote: str = Field(
        min_length=1, max_length=QUOTE_LENGTH, description="Number of the quote in Sales; its latest revision counts"
    )


class DealDetail(DealView):
    """A deal as it stands, and everything that happened to it, oldest first."""

    margin_pct: Decimal | None = Field(  # type: ignore[assignment]  # nothing in place of a margin that is withheld
        None, description="Of the document, in per cent; null where the caller may not see margins"
    )
    timeline: tuple[TimelineEntry, ...] = ()

    @classmethod
    def of(cls, view: DealView, timeline: Iterable[TimelineEntry], *, shows_margin: bool) -> DealDetail:
        """A deal as the caller may see it."""
        shown = dict(view) | {
            "approvals": approvals_for_reader(view.approvals, shows_margin=shows_margin),
            "price_drift": drift_for_reader(view.price_drift, shows_margin=shows_margin),
        }
        if not shows_margin:
            del shown["margin_pct"]
        return cls(**shown, timeline=tuple(timeline))


class GivenBody(Record):
    """An approval of a step that needs several."""

    person: Person
    stands_for: Person | None = Field(None, description="Who had delegated it; null: nobody")
    at: datetime
    comment: str = ""


class StepBody(Record):
    """A step of a request as it stands."""

    step: int
    chain: str
    level: int
    role: str
    status: StepStatus
    reasons: tuple[Reason, ...] = ()
    comment_required: bool = False
    candidates: tuple[Person, ...] = Field((), description="Who may be asked, in the order of the policy")
    assignees: tuple[Person, ...] = Field((), description="Who is asked: each of them may decide")
    stand_ins: tuple[StandIn, ...] = Field((), description="Which of them are asked for somebody who delegated")
    asked_at: datetime | None = None
    deadline: datetime | None = Field(None, description="Null as well while a question to the rep stops the hours")
    reminders: tuple[Reminder, ...] = ()
    questions: tuple[Question, ...] = ()
    reassignments: tuple[Reassignment, ...] = ()
    escalations: int = 0
    needed: int = Field(1, description="How many different people must approve; one rejection rejects")
    approvals: tuple[GivenBody, ...] = Field((), description="Of several that are needed: those before the last")
    decided_by: Person | None = Field(None, description="Whose decision settled it")
    decided_for: Person | None = Field(None, description="Who had delegated it; null: nobody")
    decided_at: datetime | None = None
    comment: str = ""

    @classmethod
    def of(cls, step: StepState) -> StepBody:
        """A step whose reasons its reader may see."""
        plan = {name: getattr(step.plan, name) for name in _OF_PLAN}
        own = {name: getattr(step, name) for name in cls.model_fields if name not in (*_OF_PLAN, "approvals")}
        given = (
            GivenBody(person=word.person, stands_for=word.stands_for, at=word.at, comment=word.comment)
            for word in step.approvals
        )
        return cls(**plan, **own, approvals=tuple(given))


_OF_PLAN = ("step", "chain", "level", "role", "reasons", "comment_required", "candidates", "needed")


class ApprovalDetail(Record):
    """A request for approval as it stands; its lines and amounts are those of the quote's revision."""

    company: str
    quote: str
    n: int = Field(description="Number of the request within the deal")
    revision: int
    status: ApprovalStatus
    reason: str = Field("", description="How it ended, in words")
    requester: Person
    seen_hash: str = Field(description="Hash of the content shown; goes back with a decision")
    requested_at: datetime | None = None
    ended_at: datetime | None = None
    expires_at: datetime = Field(description="The request's own end; a question does not move it")
    superseded_by: int | None = Field(None, description="The revision that takes its place")
    steps: tuple[StepBody, ...] = ()

    @classmethod
    def of(cls, state: ApprovalState) -> ApprovalDetail:
        """A request whose reasons its reader may see."""
        request = state.request
        return cls(
            company=request.company,
            quote=request.quote_number,
            n=request.n,
            revision=request.revision,
            status=state.status,
            reason=state.reason,
            requester=request.requester,
            seen_hash=request.snapshot_hash,
            requested_at=state.requested_at,
            ended_at=state.ended_at,
            expires_at=request.expires_at,
            superseded_by=state.superseded_by,
            steps=tuple(StepBody.of(step) for step in state.steps),
        )


class DelegationsBody(Record):
    """Who decides for whom in a company, as far as it concerns the caller; all for who administers it."""

    company: str
    today: date = Field(description="In the calendar of the company")
    approvers: tuple[Person, ...] = Field(description="Who may delegate and be delegated to")
    items: tuple[Delegation, ...] = ()


class Accepted(Record):
    """A decision or command that was accepted."""

    message_id: str
    accepted: Literal[True] = True
    detail: str = ""


class Recorded(Record):
    """A decision or command that is stored; what became of it is not known yet (no worker answered in time)."""

    message_id: str
    status: Literal["recorded"] = "recorded"
    detail: str = "Recorded; no worker has responded yet. Send the same message_id again to learn the outcome."


class SignedOut(Record):
    """A person who was signed out."""

    sessions: int = Field(description="How many sessions ended")


class FieldError(Record):
    """A field that is wrong."""

    field: str
    message: str


class ProblemBody(Record):
    """RFC 9457 problem details."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = Field(description="What happened and what to do, for a person")
    code: str = Field(description="Stable name of the error, e.g. ALREADY_DECIDED")
    field: str = Field("", description="The field that is wrong, if one is")
    errors: tuple[FieldError, ...] = Field((), description="Every field that is wrong")
    message_id: str = Field("", description="Of a refused decision or command")
