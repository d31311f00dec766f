"""One request for a human decision: asked of people in turn, until all agree, one does not, or its time is over.

How a request moves on is said in ``domain.approval_rules``; here is when.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from domain import approval_rules as rules
from domain.approvals import ApprovalRequest, ApprovalState, ApprovalStatus, StepState
from domain.messages import DecisionRefused, Outcome, SignedMessage, Supersede, VerifiedMessage
from domain.money import format_money, plain
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
        """Ask, escalate by deadline, and answer how it ended."""
        self._state = rules.opened(self._state, workflow.now())
        while self._state.status is ApprovalStatus.PENDING:
            self._publish()
            wake = rules.next_deadline(self._state)
            try:
                await workflow.wait_condition(
                    lambda: bool(self._messages) or self._superseded is not None,
                    timeout=max(wake - workflow.now(), timedelta(0)),
                    timeout_summary=f"Decision due {wake:%Y-%m-%d %H:%M} UTC",
                )
            except TimeoutError:
                self._state = rules.overdue(self._state, workflow.now())
            if self._superseded is not None:
                self._end(self._superseded)
            await self._hear_all()
        await self._hear_all()
        self._publish()
        return self._state

    def _end(self, moved_on: Supersede) -> None:
        self._state = rules.ended(
            self._state,
            ApprovalStatus(moved_on.status),
            moved_on.reason,
            workflow.now(),
            by_revision=moved_on.by_revision,
        )

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

    def _decide(self, said: VerifiedMessage) -> Outcome:
        self._state, code, detail = rules.decided(self._state, said, workflow.now())
        if not code:
            return Outcome(message_id=said.message_id, accepted=True, detail=str(said.args.get("decision")))
        who = said.person.label
        self._refused.append(f"{workflow.now():%Y-%m-%d %H:%M:%S} UTC {who}: {code} {detail}")
        workflow.logger.info("decision refused", extra={"code": code, "actor": said.person.oid})
        return Outcome(message_id=said.message_id, accepted=False, code=code, detail=detail)

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
        try:
            await workflow.get_external_workflow_handle(parent.workflow_id).signal(names.DECISION_REFUSED, note)
        except ApplicationError as error:  # the deal has ended, and with it its record
            workflow.logger.info("a refused decision could not be written down: %s", error)

    # What people see

    def _publish(self) -> None:
        request = self._state.request
        running = self._state.status is ApprovalStatus.PENDING
        asked = sorted({person.oid for step in self._state.pending for person in step.assignees})
        self._published.publish(
            {
                attributes.COMPANY: request.company,
                attributes.QUOTE: request.quote_number,
                attributes.CUSTOMER: request.customer_account,
                attributes.AMOUNT: request.total,
                attributes.WAITING_FOR: "approval" if running else "none",
                attributes.APPROVERS: asked or None,
                attributes.DEADLINE: rules.next_deadline(self._state) if running else None,
            }
        )
        workflow.set_current_details(self._details())

    def _details(self) -> str:
        request = self._state.request
        lines = [
            f"**{request.quote_number}** rev {request.revision} for {request.customer_account}: "
            f"{plain(request.discount_pct)} % discount, {format_money(request.net, request.currency)} net",
            "",
            "| step | role | status | by | until |",
            "|---|---|---|---|---|",
        ]
        for step in self._state.steps:
            who = step.decided_by.name if step.decided_by else ", ".join(p.name for p in step.assignees)
            waits = step in self._state.pending and step.deadline is not None
            until = f"{step.deadline:%Y-%m-%d %H:%M} UTC" if waits else ""
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
