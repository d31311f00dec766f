"""What waits for a person's decision, for the inbox page and the API alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from domain.approvals import ApprovalState, Change, Question, Reason, StepState
from domain.people import Person
from domain.record import Record
from domain.rights import Action
from runs.approvals import Approvals
from runs.search import DealRow, Search
from web.access import Access
from web.addresses import COMPANY_LENGTH
from web.confidential import changes_for, reasons_for

T = TypeVar("T")


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


class InboxQuery(BaseModel):
    """What of the inbox is shown, and in which order; all of it is in the address."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sort: Literal["deadline", "amount", "newest"] = "deadline"
    company: str = Field("", max_length=COMPANY_LENGTH)
    currency: str = Field("", max_length=3)
    due: Literal["", "overdue", "day"] = Field("", description="day: within 24 hours, or overdue")
    cursor: str = Field("", max_length=4096)

    def of(self, items: Iterable[ApprovalItem], now: datetime) -> list[ApprovalItem]:
        """The items that are asked for, in their order. Amounts are compared within a currency only."""
        kept = [item for item in items if self._keeps(item, now)]
        if self.sort == "newest":
            return sorted(kept, key=lambda item: item.requested_at or _LONG_AGO, reverse=True)
        if self.sort == "amount":
            return by_amount(kept, lambda item: (item.currency, item.net))
        return sorted(kept, key=lambda item: item.deadline or _NEVER)

    def _keeps(self, item: ApprovalItem, now: datetime) -> bool:
        until = {"overdue": now, "day": now + timedelta(days=1)}.get(self.due)
        return (
            (not self.company or item.company == self.company.lower())
            and (not self.currency or item.currency == self.currency.upper())
            and (until is None or (item.deadline is not None and item.deadline < until))
        )


_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


def by_amount(rows: Iterable[T], amount: Callable[[T], tuple[str, Decimal]]) -> list[T]:
    """Rows by the money in them, the largest first, currency by currency: the one with most rows first.

    Amounts of two currencies are not compared: there is no rate here that anybody agreed on.
    """
    known = [(amount(row), row) for row in rows]
    often = Counter(currency for (currency, _), _ in known)
    known.sort(key=lambda pair: (-often[pair[0][0]], pair[0][0], -pair[0][1]))
    return [row for _, row in known]


def at_risk(row: DealRow) -> tuple[str, Decimal]:
    """The currency and amount of a deal in a list."""
    return row.currency, row.amount or Decimal(0)


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
