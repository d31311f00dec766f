"""What the JSON API takes in its query and gives in its answers. Money is text, in the currency that stands by it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.approvals import ApprovalState, Reason, StepState
from domain.quote import Person
from domain.record import Record
from domain.views import CaseView, Stage, TimelineEntry, WaitingFor

MAX_LIMIT = 200


class _Query(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: int = Field(50, ge=1, le=MAX_LIMIT, description="At most this many items")
    cursor: str = Field("", max_length=4096, description="`next_cursor` of the page before")


class ApprovalsQuery(_Query):
    """Query of GET /approvals."""


class CasesQuery(_Query):
    """Query of GET /cases; what is left out does not narrow."""

    company: str = Field("", max_length=10, description="Finance legal entity, lower case")
    customer: str = Field("", max_length=50, description="Finance customer account")
    stage: Stage | Literal[""] = ""
    waiting_for: WaitingFor | Literal[""] = ""
    status: Literal["", "running", "closed", "failed", "cancelled", "terminated"] = Field(
        "", description="Status of the run; `closed`: it came to its end, whichever"
    )
    error: str = Field("", max_length=100, description="Cause, of parked deals")
    quote: str = Field("", max_length=100, description="Beginning of the quote number")


class ApprovalItem(Record):
    """A step that asks the caller for a decision."""

    company: str
    quote: str
    n: int = Field(description="Number of the request within the deal")
    revision: int
    name: str = Field("", description="The quote's name")
    customer: str = Field(description="Finance customer account")
    customer_name: str = ""
    step: int
    level: int
    chain: str
    role: str
    comment_required: bool
    assignees: tuple[str, ...] = Field(description="Entra object ids of who is asked")
    deadline: datetime | None = None
    seen_hash: str = Field(description="Hash of the content shown; goes back with the decision")
    reasons: tuple[Reason, ...]
    net: Decimal
    total: Decimal
    currency: str
    discount_pct: Decimal
    margin_pct: Decimal
    requester: Person
    requested_at: datetime | None = None

    @classmethod
    def of(cls, state: ApprovalState, step: StepState) -> ApprovalItem:
        """The item of one pending step of a request."""
        request = state.request
        return cls(
            company=request.company,
            quote=request.quote_number,
            n=request.n,
            revision=request.revision,
            name=request.name,
            customer=request.customer_account,
            customer_name=request.customer_name,
            step=step.plan.step,
            level=step.plan.level,
            chain=step.plan.chain,
            role=step.plan.role,
            comment_required=step.plan.comment_required,
            assignees=tuple(person.oid for person in step.assignees),
            deadline=step.deadline,
            seen_hash=request.snapshot_hash,
            reasons=step.plan.reasons,
            net=request.net,
            total=request.total,
            currency=request.currency,
            discount_pct=request.discount_pct,
            margin_pct=request.margin_pct,
            requester=request.requester,
            requested_at=state.requested_at,
        )


class ApprovalPage(Record):
    """What waits for the caller."""

    items: tuple[ApprovalItem, ...]
    next_cursor: str = Field("", description="Give it back as `cursor` to read on; empty at the end")


class CaseDetail(CaseView):
    """A deal as it stands, and everything that happened to it, oldest first."""

    timeline: tuple[TimelineEntry, ...] = ()


class Accepted(Record):
    """A decision or command that was accepted."""

    message_id: str
    accepted: Literal[True] = True
    detail: str = ""


class Recorded(Record):
    """A decision or command that is stored; what became of it is not known yet (no worker answered in time)."""

    message_id: str
    status: Literal["recorded"] = "recorded"
    detail: str = "Recorded; no worker has answered yet. Send the same message_id again to learn the outcome."


class FieldError(Record):
    """A field that is wrong."""

    field: str
    message: str


class ProblemBody(Record):
    """RFC 9457 problem details."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable name of the error, e.g. ALREADY_DECIDED")
    field: str = ""
    errors: tuple[FieldError, ...] = ()
    message_id: str = ""
