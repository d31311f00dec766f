"""A deal's request for approval: a workflow of its own, with its own row in the inbox."""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from domain import facts
from domain.approvals import ApprovalRequest, ApprovalState, ApprovalStatus
from domain.deal_state import DealState, QuoteStatus
from domain.discount import request_expires_at
from domain.messages import Supersede
from domain.money import format_money, plain
from domain.people import SYSTEM, Person
from runs import names
from workflows.approval import Approval
from workflows.quote_to_cash.background import Background
from workflows.quote_to_cash.record import DealRecord
from workflows.quote_to_cash.waiting import Waiting

ANSWER = "answer of the request"


class Request:
    """Asks for approval, takes the answer, and ends a request that the quote has moved on from."""

    def __init__(self, record: DealRecord, background: Background) -> None:
        """Ask for the deal of ``record``."""
        self._record = record
        self._background = background
        self._handle: workflow.ChildWorkflowHandle[Approval, ApprovalState] | None = None

    async def ask(self) -> None:
        """Open a request for the assessed content."""
        request = _request(self._record.state)
        self._handle = await workflow.start_child_workflow(
            Approval.run,
            request,
            id=names.approval_id(request.company, request.quote_number, request.n),
            task_queue=names.DEAL_QUEUE,
            static_summary=f"Approval of {request.quote_number} rev {request.revision}: "
            f"{plain(request.discount_pct)} % discount on {format_money(request.net, request.currency)}",
        )
        self._record.apply(facts.ApprovalAsked(n=request.n, plan=request.plan, at=workflow.now()))
        self._background.start(ANSWER, self._take_answer(request.n, self._handle))

    async def end(self, waiting: Waiting) -> None:
        """End the request, because the quote moved on without it; its answer is on record afterwards."""
        handle = self._handle
        if handle is None:
            return
        if not handle.done():
            try:
                await handle.signal(Approval.supersede, _supersede(self._record.state))
            except ApplicationError as error:  # it ended at this very moment: its answer is on the way
                workflow.logger.info("the request for approval has ended: %s", error)
        await waiting.until(lambda: self._record.state.open_request is None)

    async def _take_answer(self, n: int, handle: workflow.ChildWorkflowHandle[Approval, ApprovalState]) -> None:
        result = await handle
        self._handle = None
        self._record.apply(facts.ApprovalEnded(n=n, result=result), actor=_decider(result))


def _request(state: DealState) -> ApprovalRequest:
    found = state.assessment
    if found is None or found.plan is None or found.expires_at is None:
        raise AssertionError("an approval is due only after an assessment with a plan and an expiry")
    return ApprovalRequest(
        **found.header_fields,
        n=len(state.approvals) + 1,
        requester=found.owner,
        co_owner=found.submitted_by,
        credit_text=found.soft_credit.text if found.soft_credit else "",
        expires_at=request_expires_at(workflow.now(), found.expires_at, found.plan),
        plan=found.plan,
    )


def _supersede(state: DealState) -> Supersede:
    status = {
        QuoteStatus.EXPIRED: ApprovalStatus.EXPIRED,
        QuoteStatus.SUPERSEDED: ApprovalStatus.SUPERSEDED,
        QuoteStatus.SUBMITTED: ApprovalStatus.SUPERSEDED,
        QuoteStatus.APPROVAL_DUE: ApprovalStatus.SUPERSEDED,
        QuoteStatus.INVALID: ApprovalStatus.SUPERSEDED,
        QuoteStatus.APPROVED: ApprovalStatus.SUPERSEDED,
        QuoteStatus.SENT: ApprovalStatus.SUPERSEDED,
    }.get(state.quote, ApprovalStatus.WITHDRAWN)
    return Supersede(
        message_id=str(workflow.uuid4()),
        status=status,
        reason=f"the quote is {state.quote}",
        by_revision=state.revision if status is ApprovalStatus.SUPERSEDED else None,
    )


def _decider(result: ApprovalState) -> Person:
    """Who decided last; the system where nobody did."""
    decided = [(step.decided_at, step.decided_by) for step in result.steps if step.decided_by and step.decided_at]
    return max(decided, key=lambda pair: pair[0])[1] if decided else SYSTEM
