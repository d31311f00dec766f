"""What waits for a person's decision, for the inbox page and the API alike."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from pydantic import Field

from domain.approvals import ApprovalState, Change, Question, Reason, StepState
from domain.people import Person
from domain.record import Record
from domain.rights import Action
from runs.approvals import Approvals
from runs.search import Search
from web.access import Access
from web.confidential import changes_for, reasons_for


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
    asked_for: Person | None = Field(None, description="Who delegated the decision to the caller; null: nobody")
    questions: tuple[Question, ...] = Field((), description="What the rep was asked about the step, and the answers")
    deadline: datetime | None = Field(None, description="Null as well while a question to the rep stops the hours")
    seen_hash: str = Field(description="Hash of the content shown; goes back with the decision")
    reasons: tuple[Reason, ...]
    changes: tuple[Change, ...] = Field((), description="What differs from what was asked for before")
    net: Decimal
    total: Decimal
    currency: str
    discount_pct: Decimal
    margin_pct: Decimal | None = Field(description="Null where the caller may not see margins")
    requester: Person
    requested_at: datetime | None = None

    @classmethod
    def of(cls, state: ApprovalState, step: StepState, reader: Person, *, shows_margin: bool) -> ApprovalItem:
        """The item of one pending step of a request, as its reader may see it."""
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
            asked_for=step.stands_for(reader),
            questions=step.questions,
            deadline=step.deadline,
            seen_hash=request.snapshot_hash,
            reasons=reasons_for(step.plan.reasons, shows_margin=shows_margin),
            changes=changes_for(request.changes, shows_margin=shows_margin),
            net=request.net,
            total=request.total,
            currency=request.currency,
            discount_pct=request.discount_pct,
            margin_pct=request.margin_pct if shows_margin else None,
            requester=request.requester,
            requested_at=state.requested_at,
        )


class ApprovalPage(Record):
    """What waits for the caller."""

    items: tuple[ApprovalItem, ...]
    unreadable: int = Field(0, description="Requests of this page that could not be read and are left out")
    next_cursor: str = Field("", description="Give it back as `cursor` to read on; empty at the end")


async def approvals_for(
    person: Person, access: Access, approvals: Approvals, search: Search, limit: int, cursor: str = ""
) -> ApprovalPage:
    """The pending steps that ask a person, with what they need to decide.

    Raises:
        BadSearch: the cursor is none of ours.
        NoAnswer: Temporal does not answer.
    """
    runs, next_cursor = await search.approvals(person.oid, limit=limit, cursor=cursor)
    found = await approvals.states_of(runs)
    items = [
        ApprovalItem.of(state, step, person, shows_margin=access.may(person, Action.READ_MARGIN, state.request.company))
        for state in found.states
        for step in state.pending
        if any(assignee.is_same(person) for assignee in step.assignees)
    ]
    return ApprovalPage(items=tuple(items), unreadable=found.unreadable, next_cursor=next_cursor)
