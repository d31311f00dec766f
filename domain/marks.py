"""What a rep reads in Sales about the approval of a quote: derived from the deal, and written when it differs."""

from __future__ import annotations

from domain.assessment import QuoteAssessment
from domain.customer_problems import is_of_customer
from domain.deal_state import DealState, QuoteStatus
from domain.record import Record

REQUESTED = "requested"
"""What the rep sets to ask for approval; the answer replaces it."""

LONGEST_REASON = 4_000


class Mark(Record):
    """Approval status of the quote in Sales, why, and how credit looked."""

    status: str
    reason: str
    credit: str | None = None
    question: str = ""


def wanted_mark(state: DealState) -> Mark | None:
    """What Sales should show; None where the deal has nothing to say, or Sales itself said it."""
    if state.accepted:
        return None  # a quote that is won can only be read
    found = state.assessment
    match state.quote:
        case QuoteStatus.INVALID if found is not None and _others_decide(state):
            return _mark("pending", "\n".join(problem.message for problem in found.problems))
        case QuoteStatus.INVALID if found is not None:
            return _mark("rejected", "\n".join(f"{p.field}: {p.message}" for p in found.problems))
        case QuoteStatus.PENDING_APPROVAL if state.approvals:
            return _pending(state, found)
        case QuoteStatus.REJECTED:
            return _mark("rejected", state.approval_text)
        case QuoteStatus.WITHDRAWN:
            return _mark("none", state.approval_text)
        case QuoteStatus.APPROVED | QuoteStatus.SENT:
            credit = found.soft_credit if found else None
            shown = None if credit is None else "passed" if credit.passed else "held"
            return _mark("approved", _with_total(state.approval_text or "No approval needed.", found), shown)
        case _:
            return None


def _others_decide(state: DealState) -> bool:
    """Whether nothing is wrong but that Finance does not know the customer, and somebody is asked about that."""
    unknown = state.unknown_customer
    asked = state.customer is not None or (unknown is not None and unknown.decidable)
    return asked and state.assessment is not None and all(is_of_customer(p) for p in state.assessment.problems)


def _pending(state: DealState, found: QuoteAssessment | None) -> Mark:
    """Approval is asked for; what an approver wants to know first stands before all else."""
    text = f"Approval {state.approvals[-1].n} requested."
    question = "\n".join(asked.text for asked in state.questions)
    if question:
        room = LONGEST_REASON - 500
        text = f"{question[:room]}\nAnswer it on the page of the deal; until then the approval waits. {text}"
    return _mark("pending", _with_total(text, found)).model_copy(update={"question": question})


def _with_total(reason: str, found: QuoteAssessment | None) -> str:
    """A reason, and what the rep must know of the total before the customer gets an invoice over another one."""
    return f"{reason}\n{found.total_differs}" if found and found.total_differs else reason


def mark_due(state: DealState) -> bool:
    """Whether Sales shows something else than it should."""
    wanted = wanted_mark(state)
    if wanted is None:
        return False
    return wanted.status != state.marked or (wanted.status == "pending" and wanted.question != state.marked_question)


def _mark(status: str, reason: str, credit: str | None = None) -> Mark:
    return Mark(status=status, reason=reason[:LONGEST_REASON], credit=credit)
