"""What people are told of their deals and requests: pure, from one state to the next.

A notice says that something changed, to whom it matters. It holds what a rep may read of their own deal: the quoted
amounts and the highest discount, never cost, floor price or margin, whoever it is for, because a message is passed on.
Who wants to be told what, and when, is said in ``domain.notices_policy``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import Final

from pydantic import AwareDatetime, Field

from domain import open_tasks
from domain.approvals import ApprovalRequest, ApprovalState, ApprovalStatus, StepState, StepStatus
from domain.deal_state import DealState, OrderStatus, QuoteStatus
from domain.fixed_by import FixedBy
from domain.money import format_money, plain
from domain.people import Person
from domain.quote_header import QuoteHeader
from domain.record import Record
from domain.refusals import Refusal
from domain.rights import Action
from domain.severity import Severity, severity_of, worst_first
from domain.views import Ending, WaitingFor

LONGEST_TEXT: Final = 600
"""Characters of a notice's text; the page it leads to shows the rest."""
LONGEST_NAME: Final = 200
"""Characters of a customer's account and name."""
REP: Final = "sales_rep"
"""The role whose preferences count for the owner of a quote."""


class Kind(StrEnum):
    """What somebody can be told."""

    APPROVAL_ASKED = "approval.asked"
    APPROVAL_REMINDER = "approval.reminder"
    APPROVAL_ESCALATED = "approval.escalated"
    APPROVAL_REASSIGNED = "approval.reassigned"
    APPROVAL_ANSWERED = "approval.answered"
    APPROVAL_OVER = "approval.over"
    CREDIT_HELD = "credit.held"
    STEP_PARKED = "step.parked"
    QUOTE_QUESTION = "quote.question"
    QUOTE_RETURNED = "quote.returned"
    QUOTE_APPROVED = "quote.approved"
    QUOTE_REJECTED = "quote.rejected"
    DEAL_HELD = "deal.held"
    DEAL_PARKED = "deal.parked"
    DEAL_EXCEPTION = "deal.exception"
    DEAL_ORDERED = "deal.ordered"
    DEAL_SHIPPED = "deal.shipped"
    DEAL_INVOICED = "deal.invoiced"
    DEAL_PAID = "deal.paid"
    DEAL_ENDED = "deal.ended"
    LATE_OPENED = "late.opened"
    CREDIT_SECOND = "credit.second"
    CREDIT_UNAPPLIED = "credit.unapplied"
    REFUND_PROPOSED = "refund.proposed"
    CUSTOMER_UNKNOWN = "customer.unknown"
    EXCEPTION_OPENED = "exception.opened"
    ACCOUNT_WAITS = "account.waits"
    INVOICE_OVERDUE = "invoice.overdue"
    PARALLEL_DIGEST = "parallel.digest"

    @property
    def right(self) -> Action | None:
        """What a role must be allowed so that it is told; None: it is told to the rep."""
        return _RIGHTS.get(self)

    @property
    def heading(self) -> str:
        """What happened, as the heading of a message."""
        return HEADINGS[self]

    @property
    def asks_for_a_decision(self) -> bool:
        """Whether who is told should approve or reject."""
        return self in ASKS


_FIRST_ASKS: Final = frozenset({Kind.APPROVAL_ASKED, Kind.APPROVAL_ESCALATED, Kind.APPROVAL_REASSIGNED})
ASKS: Final = _FIRST_ASKS | {Kind.APPROVAL_REMINDER}
_RIGHTS: Final[dict[Kind, Action]] = {
    **dict.fromkeys((*ASKS, Kind.APPROVAL_ANSWERED, Kind.APPROVAL_OVER), Action.DECIDE_APPROVAL),
    Kind.CREDIT_HELD: Action.RELEASE_CREDIT,
    Kind.STEP_PARKED: Action.RETRY_STEP,
    Kind.LATE_OPENED: Action.DISMISS_LATE,
    Kind.CREDIT_SECOND: Action.RELEASE_CREDIT,
    Kind.CREDIT_UNAPPLIED: Action.PROPOSE_REFUND,
    Kind.REFUND_PROPOSED: Action.APPROVE_REFUND,
    Kind.CUSTOMER_UNKNOWN: Action.SET_UP_CUSTOMER,
    Kind.EXCEPTION_OPENED: Action.RETRY_STEP,
    Kind.ACCOUNT_WAITS: Action.RESOLVE_DISPUTE,
    Kind.PARALLEL_DIGEST: Action.READ_DATA,
}
TELLS: Final[dict[WaitingFor, tuple[Kind, ...]]] = {
    WaitingFor.APPROVAL: (Kind.APPROVAL_ASKED, Kind.APPROVAL_ESCALATED, Kind.APPROVAL_REASSIGNED),
    WaitingFor.REP: (Kind.QUOTE_APPROVED, Kind.QUOTE_REJECTED, Kind.QUOTE_RETURNED, Kind.QUOTE_QUESTION),
    WaitingFor.CUSTOMER_SETUP: (Kind.CUSTOMER_UNKNOWN,),
    WaitingFor.CREDIT: (Kind.CREDIT_HELD, Kind.CREDIT_SECOND),
    WaitingFor.UNAPPLIED: (Kind.CREDIT_UNAPPLIED, Kind.REFUND_PROPOSED),
    WaitingFor.OPERATOR: (Kind.STEP_PARKED, Kind.EXCEPTION_OPENED),
}
"""What a deal can wait for, and how those who can act are told when it begins."""
TELLS_NOBODY: Final[dict[WaitingFor, str]] = {
    WaitingFor.NOTHING: "it goes on",
    WaitingFor.FINANCE: "it passes by itself, and an alarm of operations is raised where it lasts",
    WaitingFor.SALES: "it passes by itself, and an alarm of operations is raised where it lasts",
    WaitingFor.CUSTOMER: "the customer is nobody who signs in here",
    WaitingFor.SHIPMENT: "the warehouse works in Finance",
    WaitingFor.INVOICE: "accounts receivable work in Finance",
    WaitingFor.DEPOSIT: "the customer pays; what is late is an exception, and exceptions are told",
    WaitingFor.PAYMENT: "the customer pays, and collections tell whoever collects",
}
"""What else it can wait for, and why nobody is told."""
HEADINGS: Final[dict[Kind, str]] = {
    Kind.APPROVAL_ASKED: "Approval requested",
    Kind.APPROVAL_REMINDER: "Reminder: approval requested",
    Kind.APPROVAL_ESCALATED: "Approval requested of you, because nobody decided in time",
    Kind.APPROVAL_REASSIGNED: "Approval handed to you",
    Kind.APPROVAL_ANSWERED: "The rep answered",
    Kind.APPROVAL_OVER: "Nothing left for you to decide",
    Kind.CREDIT_HELD: "Credit is held",
    Kind.STEP_PARKED: "A step needs an operator",
    Kind.QUOTE_QUESTION: "An approver has a question",
    Kind.QUOTE_RETURNED: "The quote cannot be taken as it is",
    Kind.QUOTE_APPROVED: "Approved",
    Kind.QUOTE_REJECTED: "Not approved",
    Kind.DEAL_HELD: "Waiting for credit",
    Kind.DEAL_PARKED: "Waiting for operations",
    Kind.DEAL_EXCEPTION: "Needs a look",
    Kind.DEAL_ORDERED: "Ordered",
    Kind.DEAL_SHIPPED: "Shipped",
    Kind.DEAL_INVOICED: "Invoiced",
    Kind.DEAL_PAID: "Paid",
    Kind.DEAL_ENDED: "Ended",
    Kind.LATE_OPENED: "Something happened after the end of a deal",
    Kind.CREDIT_SECOND: "A release of credit needs a second person",
    Kind.CREDIT_UNAPPLIED: "Money of a customer settles nothing",
    Kind.REFUND_PROPOSED: "A refund needs a second person",
    Kind.CUSTOMER_UNKNOWN: "Finance does not know a customer",
    Kind.EXCEPTION_OPENED: "Something needs an operator",
    Kind.ACCOUNT_WAITS: "An account that is collected needs you",
    Kind.INVOICE_OVERDUE: "Overdue",
    Kind.PARALLEL_DIGEST: "Both systems compared",
}


class Notice(Record):
    """Something that somebody is told."""

    notice_id: str = Field("", description="The same for the same notice, however often it is passed on")
    kind: Kind
    to: tuple[Person, ...] = Field((), description="Who is told; none: whoever has the right that the kind is about")
    role: str = Field("", description="As what they are told; with nobody in `to`: only this role is")
    but: Person | None = Field(None, description="Who is not told although they have the right; None: nobody")
    company: str = Field(description="Legal entity, lower case")
    quote_number: str = Field(description="Empty: it is about the account")
    account: str = Field("", max_length=LONGEST_NAME, description="Of Finance, where it is about what is collected")
    customer: str = Field("", max_length=LONGEST_NAME, description="Account and name")
    n: int = Field(0, description="Number of the request for approval; 0: it is about the deal")
    step: int = Field(0, description="Of the request; 0: it is about none")
    text: str = Field("", max_length=LONGEST_TEXT, description="In words, plain text")
    severity: Severity | None = Field(None, description="Of an exception; None: it is none")
    due: AwareDatetime | None = Field(None, description="Until when to decide, UTC")
    at: AwareDatetime = Field(description="When it happened, UTC")

    @property
    def about(self) -> str:
        """The number of what it is about: the quote's, else the account's."""
        return self.quote_number or self.account

    @property
    def heading(self) -> str:
        """What happened; of what is critical or high, that it is comes first."""
        worse = self.severity in (Severity.CRITICAL, Severity.HIGH)
        return f"{str(self.severity).capitalize()}: {self.kind.heading}" if worse else self.kind.heading

    @property
    def subject(self) -> tuple[str, str, int, int]:
        """What it is about: company, quote, request and step."""
        return self.company, self.quote_number, self.n, self.step


def still_true(notices: Iterable[Notice]) -> tuple[Notice, ...]:
    """Notices of one recipient that waited together, without what is over before they were told of it.

    Who was asked while they wanted no message, and need not decide any more when it is sent, is told neither.
    """
    kept: list[Notice] = []
    for notice in notices:
        if notice.kind is Kind.APPROVAL_OVER:
            asked = [other for other in kept if other.kind in ASKS and other.subject == notice.subject]
            kept = [other for other in kept if other not in asked]
            if any(other.kind in _FIRST_ASKS for other in asked):
                continue
        kept.append(notice)
    return tuple(kept)


class Notices(Record):
    """Notices on their way to the people they are for."""

    notices: tuple[Notice, ...]


# What changed in a deal


Change = Callable[[DealState, DealState], str]
"""What a rep is told when a deal goes from one state to the next, in words; empty: nothing."""


def of_deal(before: DealState, after: DealState) -> Iterator[Notice]:
    """What is told when a deal goes from one state to the next."""
    found = after.assessment
    for kind, seen in _WAITS.items():
        was, now = seen(before), seen(after)
        if now is not None and (was is None or was.of != now.of):
            yield _of_deal(kind, after, now.text, but=now.but)
    for kind, change in _CHANGES.items():
        text = change(before, after)
        if text and kind.right is not None:
            yield _of_deal(kind, after, text)
        elif text and found is not None:
            yield _of_deal(kind, after, text, to=(found.owner.named,), role=REP)


def _of_deal(
    kind: Kind, state: DealState, text: str, *, to: tuple[Person, ...] = (), role: str = "", but: Person | None = None
) -> Notice:
    return Notice(
        kind=kind,
        to=to,
        role=role,
        but=but.named if but else None,
        company=state.company,
        quote_number=state.quote_number,
        customer=_customer(state.header),
        text=text[:LONGEST_TEXT],
        severity=severity_of(text) if kind in _OF_EXCEPTIONS else None,
        at=state.updated_at,
    )


_OF_EXCEPTIONS: Final = (Kind.EXCEPTION_OPENED, Kind.DEAL_EXCEPTION, Kind.CREDIT_UNAPPLIED)


def _returned(before: DealState, after: DealState) -> str:
    found = after.assessment
    if after.quote is not QuoteStatus.INVALID or found is None or found is before.assessment:
        return ""
    return "\n".join(f"{problem.field}: {problem.message}" for problem in found.problems)


def _approved(before: DealState, after: DealState) -> str:
    if not after.approved_hash or after.approved_hash == before.approved_hash:
        return ""
    return after.approval_text or "No approval was needed."


def _rejected(before: DealState, after: DealState) -> str:
    became = after.quote is QuoteStatus.REJECTED and before.quote is not QuoteStatus.REJECTED
    return (after.approval_text or "The request for approval ended without an approval.") if became else ""


def _question(before: DealState, after: DealState) -> str:
    known = set(before.questions)
    return "\n".join(question.text for question in after.questions if question not in known)


def _held_for_rep(before: DealState, after: DealState) -> str:
    return "The order waits until credit is given." if open_tasks.held(after) and not open_tasks.held(before) else ""


def _parked_for_rep(before: DealState, after: DealState) -> str:
    now = open_tasks.parked(after)
    new = after.parked is not None and now is not None and now != open_tasks.parked(before)
    return f"Operations look at this step: {after.parked.step}" if new and after.parked else ""


def _exceptions_of(owner: FixedBy, *but: Refusal) -> Change:
    """New exceptions whose code is somebody's to fix, but those of some codes."""

    def new(before: DealState, after: DealState) -> str:
        known = {*before.exceptions}
        if any(text.startswith(Refusal.CHANGE_FAILING) for text in known):  # it says at each try what failed
            known |= {text for text in after.exceptions if text.startswith(Refusal.CHANGE_FAILING)}
        fresh = (text for text in after.exceptions if text not in known and _is_of(text, owner, but))
        return "\n".join(worst_first(fresh))

    return new


def _is_of(text: str, owner: FixedBy, but: tuple[Refusal, ...]) -> bool:
    code = Refusal.of(text.split(":")[0])
    return code is not None and code.fixed_by is owner and code not in but


def _exception(before: DealState, after: DealState) -> str:
    return "\n".join(worst_first(text for text in after.exceptions if text not in before.exceptions))


def _ordered(before: DealState, after: DealState) -> str:
    none = (OrderStatus.NONE, OrderStatus.CREATING)
    if before.order not in none or after.order in none:
        return ""
    waits = f" It is confirmed when its deposit of {due.words} is there." if (due := after.policy.deposit) else ""
    return f"Order {after.order_number} in Finance.{waits}"


def _shipped(before: DealState, after: DealState) -> str:
    new = [slip for slip in after.delivery.slips if slip not in before.delivery.slips]
    return _documents("Packing slip", new, "Everything is shipped." if after.delivery.all_shipped else "")


def _invoiced(before: DealState, after: DealState) -> str:
    new = [number for number in after.delivery.invoices if number not in before.delivery.invoices]
    return _documents("Invoice", new, "Everything is invoiced." if after.delivery.all_invoiced else "")


def _documents(what: str, numbers: list[str], rest: str) -> str:
    more = f" and {len(numbers) - 10} more" if len(numbers) > 10 else ""
    return f"{what} {', '.join(numbers[:10])}{more}. {rest}".rstrip() if numbers else ""


def _paid(before: DealState, after: DealState) -> str:
    return "Every invoice is paid." if _is_paid(after) and not _is_paid(before) else ""


def _is_paid(state: DealState) -> bool:
    return bool(state.delivery.invoices) and state.delivery.all_invoiced and state.delivery.all_paid


def _ended(before: DealState, after: DealState) -> str:
    told_already = (Ending.RUNNING, Ending.CLOSED)  # a deal that is closed was paid
    return f"The deal is {after.ending}." if before.running and after.ending not in told_already else ""


_WAITS: Final[dict[Kind, open_tasks.Waits]] = {
    Kind.CREDIT_HELD: open_tasks.held,
    Kind.STEP_PARKED: open_tasks.parked,
    Kind.CREDIT_SECOND: open_tasks.second_release,
    Kind.CUSTOMER_UNKNOWN: open_tasks.unknown_customer,
    Kind.CREDIT_UNAPPLIED: open_tasks.unapplied,
    Kind.REFUND_PROPOSED: open_tasks.refund,
}
_CHANGES: Final[dict[Kind, Change]] = {
    Kind.EXCEPTION_OPENED: _exceptions_of(FixedBy.OPERATOR),
    Kind.CREDIT_UNAPPLIED: _exceptions_of(FixedBy.ACCOUNTS_RECEIVABLE, Refusal.UNAPPLIED_CREDIT),
    Kind.QUOTE_QUESTION: _question,
    Kind.QUOTE_RETURNED: _returned,
    Kind.QUOTE_APPROVED: _approved,
    Kind.QUOTE_REJECTED: _rejected,
    Kind.DEAL_HELD: _held_for_rep,
    Kind.DEAL_PARKED: _parked_for_rep,
    Kind.DEAL_EXCEPTION: _exception,
    Kind.DEAL_ORDERED: _ordered,
    Kind.DEAL_SHIPPED: _shipped,
    Kind.DEAL_INVOICED: _invoiced,
    Kind.DEAL_PAID: _paid,
    Kind.DEAL_ENDED: _ended,
}


# What changed in a request for approval


def untold(state: ApprovalState) -> ApprovalState:
    """A request before anybody was asked: what its first notices are told against."""
    return ApprovalState(request=state.request, steps=tuple(StepState(plan=step.plan) for step in state.steps))


def of_request(before: ApprovalState, after: ApprovalState, at: AwareDatetime) -> Iterator[Notice]:
    """What approvers are told when a request goes from one state to the next; ``at`` in UTC."""
    for was, step in zip(before.steps, after.steps, strict=True):
        if step is was and before.status is after.status:
            continue
        for kind, people, text in _of_step(was, step, after):
            if people:
                yield Notice(
                    kind=kind,
                    to=tuple(person.named for person in people),
                    role=step.plan.role,
                    company=after.request.company,
                    quote_number=after.request.quote_number,
                    customer=_customer(after.request),
                    n=after.request.n,
                    step=step.plan.step,
                    text=text[:LONGEST_TEXT],
                    due=step.deadline if kind.asks_for_a_decision else None,
                    at=at,
                )


def _of_step(was: StepState, step: StepState, state: ApprovalState) -> Iterator[tuple[Kind, tuple[Person, ...], str]]:
    asked = step.assignees if _asks(step, state) else ()
    asked_before = was.assignees if was.status is StepStatus.PENDING else ()
    new = _without(asked, asked_before)
    if len(step.reassignments) > len(was.reassignments):
        moved = step.reassignments[-1]
        yield Kind.APPROVAL_REASSIGNED, new, f"By {moved.by.label}: {moved.reason}\n{terms_of(state.request)}"
    else:
        kind = Kind.APPROVAL_ESCALATED if step.escalations > was.escalations else Kind.APPROVAL_ASKED
        yield kind, new, terms_of(state.request)
    if asked and step.reminded_pct > was.reminded_pct:
        text = f"{step.reminded_pct} % of the time to decide is over.\n{terms_of(state.request)}"
        yield Kind.APPROVAL_REMINDER, asked, text
    answered = step.questions[-1] if step.questions else None
    if asked and was.question is not None and answered is not None and not answered.is_open:
        yield Kind.APPROVAL_ANSWERED, (answered.asked_by,), f"{answered.text}\n{answered.answer}"
    decided = (word.person for word in step.decisions)
    yield Kind.APPROVAL_OVER, _without(_without(asked_before, asked), decided), _why_over(step, state)


def _asks(step: StepState, state: ApprovalState) -> bool:
    return state.status is ApprovalStatus.PENDING and step.status is StepStatus.PENDING


def _why_over(step: StepState, state: ApprovalState) -> str:
    if step.decided_by:
        return f"The step was {step.status} by {step.decider}."
    if state.status is not ApprovalStatus.PENDING:
        return f"The request is {state.status}: {state.reason}."
    return f"Asked instead: {step.asked_of}."


def terms_of(request: ApprovalRequest) -> str:
    """What is asked for, without what only some may see of it."""
    total, net = format_money(request.total, request.currency), format_money(request.net, request.currency)
    return (
        f"{request.requester.label} asks for {plain(request.discount_pct)} % discount at most, "
        f"{net} net, {total} incl. tax."
    )


def _customer(header: QuoteHeader) -> str:
    return " ".join(filter(None, (header.customer_account, header.customer_name)))[:LONGEST_NAME]


def _without(people: Iterable[Person], others: Iterable[Person]) -> tuple[Person, ...]:
    known = {person.oid.lower() for person in others}
    return tuple(person for person in people if person.oid.lower() not in known)
