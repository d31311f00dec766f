"""One request for a human decision: chains of steps, each asked of people, until all agree or one does not.

Chains run beside each other, the steps of a chain one after another; a rejection in any chain ends the request.
Nothing is ever approved by the passing of time: a step that is not decided in its working hours is asked of the next
person, and in the end the request expires.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from domain.approvals import (
        ApprovalRequest,
        ApprovalState,
        ApprovalStatus,
        Decision,
        StepState,
        StepStatus,
    )
    from domain.authority import check_decision, escalation, next_assignees
    from domain.calendar import add_business_hours
    from domain.messages import DecisionRefused, Outcome, SignedMessage, Supersede, VerifiedMessage
    from domain.money import format_money
    from runs import attributes, names
    from workflows.proof import verify
    from workflows.published import Published


@workflow.defn(name=names.APPROVAL)
class Approval:
    """A request for approval of one revision of a quote."""

    @workflow.init
    def __init__(self, request: ApprovalRequest) -> None:
        """Make the state before the first message is handled."""
        self._state = ApprovalState(
            request=request,
            steps=tuple(StepState(plan=plan) for plan in request.plan.steps),
            requested_at=workflow.now(),
        )
        self._messages: list[SignedMessage] = []
        self._outcomes: dict[str, Outcome] = {}
        self._refused: list[str] = []
        self._superseded: Supersede | None = None
        self._published = Published()

    @workflow.run
    async def run(self, request: ApprovalRequest) -> ApprovalState:
        """Ask, remind by deadline, escalate, and answer how it ended."""
        self._open_steps()
        while self._state.status is ApprovalStatus.PENDING:
            self._publish()
            wake = self._next_deadline()
            try:
                await workflow.wait_condition(
                    lambda: bool(self._messages) or self._superseded is not None,
                    timeout=max(wake - workflow.now(), timedelta(0)),
                    timeout_summary=f"Decision due {wake:%Y-%m-%d %H:%M} UTC",
                )
            except TimeoutError:
                self._overdue()
            if self._superseded is not None:
                self._end(ApprovalStatus(self._superseded.status), self._superseded.reason)
            await self._hear_all()
        await self._hear_all()
        self._publish()
        return self._state

    def _open_steps(self) -> None:
        """Ask the first undecided step of each chain; a step covered by an earlier approval is taken at once."""
        opened = True
        while opened and self._state.status is ApprovalStatus.PENDING:
            opened = False
            for chain in dict.fromkeys(step.plan.chain for step in self._state.steps):
                step = self._turn(chain)
                if step is not None and step.status is StepStatus.WAITING:
                    self._ask(step)
                    opened = True
            if all(step.status is StepStatus.APPROVED for step in self._state.steps):
                self._end(ApprovalStatus.COMPLETED, self._approvers())

    def _turn(self, chain: str) -> StepState | None:
        steps = (step for step in self._state.steps if step.plan.chain == chain)
        return next((step for step in steps if step.status in (StepStatus.WAITING, StepStatus.PENDING)), None)

    def _ask(self, step: StepState) -> None:
        now = workflow.now()
        approved = [s.decided_by for s in self._state.steps if s.plan.chain == step.plan.chain and s.decided_by]
        assignment = next_assignees(step, approved)
        if assignment.covered_by is not None:
            person = assignment.covered_by
            comment = f"covered by {person.name}'s approval of a lower level"
            self._put(step, status=StepStatus.APPROVED, decided_by=person, decided_at=now, comment=comment)
            return
        self._put(
            step,
            status=StepStatus.PENDING,
            assignees=assignment.assignees,
            asked_at=now,
            deadline=self._deadline(step, now),
        )

    def _deadline(self, step: StepState, now: datetime) -> datetime:
        due = add_business_hours(now, step.plan.sla_business_hours, self._state.request.plan.calendar)
        return min(due, self._state.request.expires_at)

    def _put(self, step: StepState, **changes: object) -> None:
        after = step.model_copy(update=changes)
        steps = tuple(after if s.plan.step == step.plan.step else s for s in self._state.steps)
        self._state = self._state.model_copy(update={"steps": steps})

    def _next_deadline(self) -> datetime:
        deadlines = [step.deadline for step in self._state.pending if step.deadline]
        return min([*deadlines, self._state.request.expires_at])

    def _overdue(self) -> None:
        now = workflow.now()
        if now >= self._state.request.expires_at:
            self._end(ApprovalStatus.EXPIRED, "nobody decided before the quote expired")
            return
        for step in self._state.pending:
            if step.deadline is None or now < step.deadline:
                continue
            person = escalation(step) if step.plan.on_timeout == "escalate" else None
            if person is None:
                self._end(
                    ApprovalStatus.EXPIRED, f"nobody decided level {step.plan.level} of {step.plan.chain} in time"
                )
                return
            self._put(
                step,
                assignees=(*step.assignees, person),
                deadline=self._deadline(step, now),
                escalations=step.escalations + 1,
            )

    def _end(self, status: ApprovalStatus, reason: str) -> None:
        steps = tuple(
            step.model_copy(update={"status": StepStatus.SKIPPED})
            if step.status in (StepStatus.WAITING, StepStatus.PENDING)
            else step
            for step in self._state.steps
        )
        by_revision = self._superseded.by_revision if self._superseded else None
        self._state = self._state.model_copy(
            update={
                "status": status,
                "reason": reason,
                "steps": steps,
                "superseded_by": by_revision,
                "ended_at": workflow.now(),
            }
        )

    def _approvers(self) -> str:
        names_of = [step.decided_by.name for step in self._state.steps if step.decided_by]
        return "approved by " + ", ".join(dict.fromkeys(names_of))

    # Decisions

    async def _hear_all(self) -> None:
        while self._messages:
            message = self._messages[0]
            if message.message_id not in self._outcomes:
                said = await verify(message, audiences=(workflow.info().workflow_id,))
                outcome = self._decide(said)
                self._outcomes[message.message_id] = outcome
                if not outcome.accepted:
                    await self._tell_deal(said, outcome)
            self._messages.pop(0)

    async def _tell_deal(self, said: VerifiedMessage, refused: Outcome) -> None:
        """A refused attempt is written down in the deal, where all that was ever tried is read."""
        parent = workflow.info().parent
        if parent is None:
            return
        note = DecisionRefused(
            message_id=said.message_id,
            person=said.person,
            code=refused.code,
            detail=refused.detail,
            at=workflow.now(),
        )
        deal = workflow.get_external_workflow_handle(parent.workflow_id, run_id=parent.run_id)
        try:
            await deal.signal(names.DECISION_REFUSED, note)
        except ApplicationError as error:  # the deal has ended, and with it its record
            workflow.logger.info("a refused decision could not be written down: %s", error)

    def _decide(self, said: VerifiedMessage) -> Outcome:
        if said.refused:
            return self._refuse(said, "UNAUTHENTICATED", said.refused)
        try:
            decision = Decision(str(said.args.get("decision")))
            number = int(str(said.args.get("step")))
        except ValueError:
            return self._refuse(said, "BAD_DECISION", "decision must be approve or reject, step a number")
        step = next((s for s in self._state.steps if s.plan.step == number), None)
        if step is None:
            return self._refuse(said, "NOT_ASSIGNED", f"there is no step {number}")
        comment = str(said.args.get("comment") or "")
        seen_hash = str(said.args.get("seen_hash") or "")
        code = check_decision(step, said.person, self._state.request, self._state, seen_hash, comment)
        if not code and step.status is not StepStatus.PENDING:
            code = "NOT_ASSIGNED"
        if code:
            return self._refuse(said, code, f"step {number} is {step.status}")
        person = said.person.named
        status = StepStatus.APPROVED if decision is Decision.APPROVE else StepStatus.REJECTED
        self._put(step, status=status, decided_by=person, decided_at=workflow.now(), comment=comment)
        if decision is Decision.REJECT:
            self._end(ApprovalStatus.REJECTED, f"rejected by {person.name}: {comment}" if comment else person.name)
        else:
            self._open_steps()
        return Outcome(message_id=said.message_id, accepted=True, detail=decision)

    def _refuse(self, said: VerifiedMessage, code: str, detail: str) -> Outcome:
        self._refused.append(
            f"{workflow.now():%Y-%m-%d %H:%M:%S} UTC {said.person.name or said.person.oid}: {code} {detail}"
        )
        workflow.logger.info("decision refused", extra={"code": code, "actor": said.person.oid})
        return Outcome(message_id=said.message_id, accepted=False, code=code, detail=detail)

    def _publish(self) -> None:
        request = self._state.request
        pending = self._state.pending
        running = self._state.status is ApprovalStatus.PENDING
        self._published.publish(
            {
                attributes.COMPANY: request.company,
                attributes.QUOTE: request.quote_number,
                attributes.CUSTOMER: request.customer_account,
                attributes.AMOUNT: request.total,
                attributes.WAITING_FOR: "approval" if running else "none",
                attributes.APPROVERS: sorted({p.oid for step in pending for p in step.assignees}) or None,
                attributes.DEADLINE: self._next_deadline() if running else None,
            }
        )
        workflow.set_current_details(self._details(pending))

    def _details(self, pending: Sequence[StepState]) -> str:
        request = self._state.request
        lines = [
            f"**{request.quote_number}** rev {request.revision} for {request.customer_account}: "
            f"{request.discount_pct.normalize():f} % discount, {format_money(request.net, request.currency)} net",
            "",
            "| step | role | status | by | until |",
            "|---|---|---|---|---|",
        ]
        for step in self._state.steps:
            who = step.decided_by.name if step.decided_by else ", ".join(p.name for p in step.assignees)
            until = f"{step.deadline:%Y-%m-%d %H:%M} UTC" if step in pending and step.deadline else ""
            lines.append(f"| {step.plan.step} | {step.plan.role} | {step.status} | {who} | {until} |")
        if self._state.status is not ApprovalStatus.PENDING:
            lines.append(f"\n**{self._state.status}**: {self._state.reason}")
        lines.extend(f"\nrefused: {text}" for text in self._refused[-10:])
        return "\n".join(lines)

    # Messages and queries

    @workflow.signal(name=names.DECIDE, description="A signed decision of an approver")
    def decide(self, message: SignedMessage) -> None:
        """Take a signed decision; its outcome is read back by the query ``outcome``."""
        self._messages.append(message)

    @workflow.signal(name=names.SUPERSEDE, description="The deal: the quote was withdrawn, revised or expired")
    def supersede(self, message: Supersede) -> None:
        """End the request because the quote moved on."""
        self._superseded = self._superseded or message

    @workflow.query(name=names.STATE, description="The request as it stands")
    def state(self) -> ApprovalState:
        """The request as it stands."""
        return self._state

    @workflow.query(name=names.OUTCOME, description="What became of a decision, by its message id")
    def outcome(self, message_id: str) -> Outcome | None:
        """What became of a decision; None while it is not known."""
        return self._outcomes.get(message_id)

    @workflow.query(name="refusals", description="Decisions that were refused: when, who, why")
    def refusals(self) -> list[str]:
        """Refused decisions, oldest first."""
        return self._refused
