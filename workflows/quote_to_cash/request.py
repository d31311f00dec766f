"""A deal's request for approval: a workflow of its own, with its own row in the inbox.

It is a child that ends with its deal, however the deal ends. A child does not outlive its parent's run, so where a deal
continues as new, its open request is asked to hand over: it ends with all it knows, and goes on under the next run with
the same id, steps, deadlines and messages. So its answer always comes from a run that the deal started itself; a signal
that anybody could send is never believed to be one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ChildWorkflowError, FailureError, WorkflowAlreadyStartedError

from domain import drift, facts, order_change_facts
from domain.approval_proof import given, unproved
from domain.approval_start import ApprovalAnswer, ApprovalCheckpoint, ApprovalStart
from domain.approvals import ApprovalPlan, ApprovalRequest, ApprovalState, ApprovalStatus, AskedTerms, Change
from domain.assessment import QuoteAssessment
from domain.credit_facts import CreditDecision
from domain.deal_state import DealState, QuoteStatus
from domain.discount import request_expires_at
from domain.facts import Fact
from domain.growing import LargerOrder
from domain.messages import HandOver, SignedMessage, Supersede, VerifiedMessage
from domain.money import format_money, plain
from domain.people import SYSTEM, Person
from domain.price_look import Verdict
from domain.reapproval import changes, with_coverage
from domain.views import Ending
from runs import names
from workflows.approval import Approval
from workflows.proof import AT_ONCE, verify
from workflows.quote_to_cash.background import Background, Part
from workflows.quote_to_cash.record import DealRecord
from workflows.quote_to_cash.waiting import Waiting
from workflows.steps import or_cancelled, tell

MOST_IDS = 50
"""Ids tried for a request, where those before are taken by earlier deals of the quote, or by strangers."""

Handle = workflow.ChildWorkflowHandle[Approval, ApprovalAnswer]


class Request:
    """Asks for approval, takes the answer, and ends a request that the quote has moved on from."""

    def __init__(self, record: DealRecord, background: Background, kept: ApprovalCheckpoint | None) -> None:
        """Ask for the deal of ``record``; ``kept`` is the request that the run before handed over."""
        self._record = record
        self._background = background
        self._kept = kept
        self._handle: Handle | None = None
        self._leaving = False

    async def ask(self) -> bool:
        """Open a request for the assessed content; False where every id for it is taken.

        Where earlier approvals cover every step, there is nobody to ask.
        """
        state = self._record.state
        plan = _plan(state)
        if not plan.asked:
            self._record.apply(facts.ApprovalReused(plan=plan))
            return True
        return await self._open(
            lambda n: _request(state, n, plan),
            lambda request: facts.ApprovalAsked(n=request.n, plan=request.plan, at=workflow.now()),
        )

    async def ask_larger(self, number: int, larger: LargerOrder) -> bool:
        """Open a request for a larger order; False where every id for it is taken.

        Args:
            number: of the change that asks for it.
            larger: the order as it would be.
        """
        state = self._record.state
        return await self._open(
            lambda n: _larger(state, n, larger),
            lambda request: order_change_facts.LargerOrderAsked(
                number=number, n=request.n, plan=request.plan, at=workflow.now()
            ),
        )

    async def _open(self, make: Callable[[int], ApprovalRequest], opened: Callable[[ApprovalRequest], Fact]) -> bool:
        state = self._record.state
        first = max((request.n for request in state.approvals), default=0) + 1
        for n in range(first, first + MOST_IDS):
            request = make(n)
            try:
                start = ApprovalStart(request=request, told=state.policy.told)
                handle = await self._begin(start, WorkflowIDReusePolicy.REJECT_DUPLICATE)
            except WorkflowAlreadyStartedError:
                continue
            asked = self._record.apply(opened(request))
            self._take(request, handle)
            if asked is not None and asked.code:  # the deal moved on at this very moment
                await self._tell(names.SUPERSEDE, _supersede(self._record.state, request.revision))
            return True
        return False

    async def resume(self) -> None:
        """Let the request go on that the run before handed over."""
        kept, self._kept = self._kept, None
        if kept is None:
            return
        request = kept.state.request
        try:
            start = ApprovalStart(request=request, told=self._record.state.policy.told, checkpoint=kept)
            handle = await self._begin(start, WorkflowIDReusePolicy.ALLOW_DUPLICATE)
        except WorkflowAlreadyStartedError:
            self._lost(request.n, "its id was taken while the deal continued as new")
        else:
            self._take(request, handle)

    async def hand_over(self) -> ApprovalCheckpoint | None:
        """End the open request so that it can go on under the next run; None where there is none, or it has ended."""
        self._leaving = True
        self._background.revive(Part.ANSWER)
        await self._tell(names.HAND_OVER, HandOver(message_id=str(workflow.uuid4())))
        await workflow.wait_condition(lambda: not self._background.goes_on(Part.ANSWER))
        asked = self._record.state.open_request
        if self._kept is None and asked is not None:  # nobody could take its answer: it is asked for anew
            self._lost(asked.n, "its answer could not be taken when the deal continued as new")
        return self._kept

    async def end(self, waiting: Waiting) -> None:
        """End the request, because the quote moved on without it; its answer is on record afterwards."""
        open_request = self._record.state.open_request
        if open_request is None:
            return
        if self._handle is None:
            self._lost(open_request.n, "nobody knows of it any more")
            return
        await self._tell(names.SUPERSEDE, _supersede(self._record.state, open_request.revision))
        await waiting.until(lambda: self._record.state.open_request is None)

    async def _begin(self, start: ApprovalStart, reuse: WorkflowIDReusePolicy) -> Handle:
        request = start.request
        return await or_cancelled(
            workflow.start_child_workflow(
                Approval.run,
                start,
                id=names.approval_id(request.company, request.quote_number, request.n),
                task_queue=names.DEAL_QUEUE,
                id_reuse_policy=reuse,
                static_summary=f"Approval of {request.quote_number} rev {request.revision}: "
                f"{plain(request.discount_pct)} % discount on {format_money(request.net, request.currency)}",
            )
        )

    def _take(self, request: ApprovalRequest, handle: Handle) -> None:
        self._handle = handle
        self._background.start(Part.ANSWER, lambda: self._take_answer(request, handle))

    async def _take_answer(self, request: ApprovalRequest, handle: Handle) -> None:
        n = request.n
        try:
            answer = await or_cancelled(handle)
        except ChildWorkflowError as error:
            self._handle = None
            self._lost(n, str(error.cause or error))
            return
        self._handle = None
        if answer.handed_over is not None:
            self._kept = answer.handed_over
            if not self._leaving:  # somebody else had it hand over: it goes on at once
                await self.resume()
            return
        self._record.courier.take_over(answer.notices)
        result = answer.state
        proofs = answer.proofs
        said = await self._said(request, proofs)
        if result.status is ApprovalStatus.COMPLETED and (why := unproved(request, result, said)):
            self._lost(n, f"its answer is not believed: {why}")
            return
        self._keep_decisions(request, result, said, proofs)
        ended = facts.ApprovalEnded(n=n, result=result, given=given(request, result, said))
        self._record.apply(ended, actor=_decider(result))

    async def _said(self, request: ApprovalRequest, proofs: Sequence[SignedMessage]) -> tuple[VerifiedMessage, ...]:
        """What people signed of a request; the deal checks it itself."""
        if not proofs:
            return ()
        request_id = names.approval_id(request.company, request.quote_number, request.n)
        # The first level may have been decided days ago: its message counted then, and has expired since.
        said: list[VerifiedMessage] = []
        for first in range(0, len(proofs), AT_ONCE):
            some = proofs[first : first + AT_ONCE]
            said += await verify(some, audiences=(request_id,), company=request.company, counted=True)
        return tuple(said)

    def _keep_decisions(
        self,
        request: ApprovalRequest,
        result: ApprovalState,
        said: Sequence[VerifiedMessage],
        proofs: Sequence[SignedMessage],
    ) -> None:
        steps = {str(step.plan.step): step for step in result.steps}
        for words, envelope in zip(said, proofs, strict=True):
            step = steps.get(words.args.get("step", ""))
            if not words.refused and step is not None:
                self._record.keep_decision(words, envelope, step, request)

    def _lost(self, n: int, why: str) -> None:
        self._record.apply(facts.ApprovalLost(n=n, at=workflow.now(), reason=why[:500]))

    async def _tell(self, signal: str, message: Supersede | HandOver) -> None:
        if self._handle is None or self._handle.done():
            return
        try:
            await tell(self._handle, signal, message)
        except FailureError as error:  # it ended at this very moment: its answer is on the way
            workflow.logger.info("the request for approval has ended: %s", error)


def _assessment(state: DealState) -> tuple[QuoteAssessment, ApprovalPlan]:
    found = state.assessment
    if found is None or found.plan is None:
        raise AssertionError("an approval is due only after an assessment with a plan")
    return found, found.plan


def _plan(state: DealState) -> ApprovalPlan:
    """The steps that are needed, with the earlier approvals that cover some of them."""
    found, plan = _assessment(state)
    if found.terms is None:
        return plan
    return with_coverage(plan, found.terms, state.past_requests, total=found.total, now=workflow.now())


def _request(state: DealState, n: int, plan: ApprovalPlan) -> ApprovalRequest:
    found, _ = _assessment(state)
    before = state.past_requests[-1].terms if state.past_requests else None
    # A quote that was accepted in time does not expire any more; its approval has the time a request has.
    quote_expires_at = None if state.accepted else found.expires_at
    return ApprovalRequest(
        **found.header_fields,
        n=n,
        requester=found.owner,
        makers=found.makers,
        makers_known=found.makers_known,
        credit_text=" ".join(filter(None, (_credit_text(found.soft_credit), found.total_differs))),
        changes=_changes(state, found, before),
        expires_at=request_expires_at(workflow.now(), quote_expires_at, plan),
        plan=plan,
    )


def _larger(state: DealState, n: int, larger: LargerOrder) -> ApprovalRequest:
    """What is asked about a larger order: it is accepted and ordered already, so no quote's expiry ends the request."""
    found, _ = _assessment(state)
    fields = {
        name: getattr(larger, name)
        for name in ("net", "tax", "total", "list_net", "discount_pct", "margin_pct", "line_count")
    }
    return ApprovalRequest(
        **(found.header_fields | fields | {"snapshot_hash": larger.content_hash}),
        n=n,
        requester=found.owner,
        makers=larger.makers,
        makers_known=larger.makers_known,
        changes=larger.changes,
        order_number=state.order_number,
        order_lines=larger.lines,
        expires_at=request_expires_at(workflow.now(), None, larger.plan),
        plan=larger.plan,
    )


def _changes(state: DealState, found: QuoteAssessment, before: AskedTerms | None) -> tuple[Change, ...]:
    """What differs from what was asked before; where prices moved after the approval, that is all that differs."""
    if state.drift is not None and state.drift.verdict is Verdict.ASK:
        return drift.changes(state.drift, found.currency)
    return changes(found.terms, before) if found.terms and before else ()


def _credit_text(soft: CreditDecision | None) -> str:
    """How credit looked when the quote was assessed, and what the customer owes that is overdue."""
    if soft is None:
        return ""
    overdue = soft.ageing.text(soft.currency) if soft.ageing else ""
    return f"{soft.text.rstrip('.')}. {overdue}" if overdue else soft.text


def _supersede(state: DealState, asked: int) -> Supersede:
    """Why the request for a revision is not needed any more; only a later revision takes its place."""
    message_id, reason = str(workflow.uuid4()), f"the quote is {state.quote}"
    if state.running and state.quote is QuoteStatus.ORDERED:
        return Supersede(message_id=message_id, status="withdrawn", reason="the order is not to become larger any more")
    if state.ending is Ending.EXPIRED:
        return Supersede(message_id=message_id, status="expired", reason=reason)
    if not state.running or state.quote is QuoteStatus.WITHDRAWN:
        return Supersede(message_id=message_id, status="withdrawn", reason=reason)
    by_revision = state.revision if state.revision > asked else None
    return Supersede(message_id=message_id, status="superseded", reason=reason, by_revision=by_revision)


def _decider(result: ApprovalState) -> Person:
    """Who decided last; the system where nobody did."""
    decided = [(step.decided_at, step.decided_by) for step in result.steps if step.decided_by and step.decided_at]
    return sorted(decided, key=lambda pair: pair[0])[-1][1] if decided else SYSTEM
