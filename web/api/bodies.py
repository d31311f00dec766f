"""What the JSON API takes in its query and gives in its answers. Money is text, in the currency that stands by it."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.record import Record
from domain.views import DealView, Stage, TimelineEntry, WaitingFor
from web.addresses import COMPANY_LENGTH, QUOTE_LENGTH
from web.confidential import approvals_for_reader

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
        shown = dict(view) | {"approvals": approvals_for_reader(view.approvals, shows_margin=shows_margin)}
        if not shows_margin:
            del shown["margin_pct"]
        return cls(**shown, timeline=tuple(timeline))


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
