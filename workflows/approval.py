"""One request for a human decision: asked of people in turn, until all agree, one does not, or its time is over.

How a request moves on is said in ``domain.approval_rules``; here is when. What is said to it is heard in the order in
which it came, before any deadline is looked at.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, FailureError

from activities.delegation_signatures import DelegationActivities, OfCompany
from domain import approval_rules as rules
from domain.approval_people import said_to_request
from domain.approval_start import ApprovalAnswer, ApprovalCheckpoint, ApprovalStart
from domain.approvals import ApprovalState, ApprovalStatus, StepState
from domain.commands import DECIDE
from domain.delegations import NOBODY_AWAY
from domain.heard import Heard, content_digest
from domain.messages import (
    MOST_ASKED,
    AskedNow,
    DecisionRefused,
    HandOver,
    Outcome,
    Reminding,
    RequestNote,
    SignedMessage,
    Supersede,
    VerifiedMessage,
)
from domain.money import format_money, plain
from domain.notices import of_request, untold
from domain.refusals import Refusal
from runs import attributes, names
from workflows.hearing import Counting, all_has_come, heard, taken
from workflows.notices_courier import Courier
from workflows.proof import AT_ONCE, verify, verify_before_asking
from workflows.published import Published
from workflows.steps import URGENT, execute, tell

ON_ITS_WAY = timedelta(seconds=10)
"""How long a decision may be on its way: a deadline is looked at that much later, and decided by who signed before."""
KEPT = 500
"""Outcomes of messages, and refused decisions, that are kept."""
LONGEST_DETAIL = 500
LONGEST_LOOK = timedelta(minutes=1)
"""How long it is tried to learn who stands in for whom."""
WRITTEN_DOWN = 20
"""Messages without proof that the deal is told of; of more only their number is kept."""
UNPROVED = "unproved"
"""Counted: a message whose proof does not hold."""
REPEATED = "repeated"
"""Counted: a message that was heard before, or another one under its id."""


@workflow.defn(name=names.APPROVAL)
class Approval(Counting):
    """A request for approval of one revision of a quote."""

    @workflow.init
    def __init__(self, start: ApprovalStart) -> None:
        """Make the state before the first message is handled."""
        before = start.checkpoint
        self._state = (
            before.state
            if before
            else ApprovalState(
                request=start.request,
                steps=tuple(StepState(plan=plan) for plan in start.request.plan.steps),
                requested_at=workflow.now(),
            )
        )
        self._messages: list[SignedMessage | Supersede] = list(before.unheard) if before else []
        outcomes = before.outcomes if before else ()
        self._outcomes = OrderedDict((outcome.message_id, outcome) for outcome in outcomes)
        self._heard = Heard(before.heard if before else ())
        self._refused: deque[str] = deque(before.refused if before else (), maxlen=KEPT)
        self._proofs = list(before.proofs if before else ())
        self._tally: dict[str, int] = {}
        self._asked = before.state.asked_now if before else start.request.plan.asked_first
        self._handing_over = False
        self._published = Published()
        self._delegations = NOBODY_AWAY
        self._told = start.told
        self._told_of = before.state if before else untold(self._state)
        info = workflow.info()
        self._courier = Courier(f"{info.workflow_id}/{info.run_id}", before.notices if before else ())

    @workflow.run
    async def run(self, start: ApprovalStart) -> ApprovalAnswer:
        """Ask, remind, escalate by deadline, and answer how it ended."""
        if start.checkpoint is None:
            await self._learn()
        self._state = rules.opened(self._state, workflow.now(), self._delegations)
        await self._tell_who_is_asked()
        telling = asyncio.create_task(self._courier.deliver())
        try:
            return await self._ask(start)
        finally:
            telling.cancel()

    async def _ask(self, start: ApprovalStart) -> ApprovalAnswer:
        while self._state.status is ApprovalStatus.PENDING:
            self._publish()
            await self._wait()
            await self._hear_some()
            await self._look_at_the_clock()
            await self._tell_who_is_asked()
            if self._handing_over and self._is_light():
                break
            if workflow.info().is_continue_as_new_suggested() and self._is_light():
                workflow.continue_as_new(start.model_copy(update={"checkpoint": self._checkpoint()}))
        if self._state.status is ApprovalStatus.PENDING:
            return ApprovalAnswer(state=self._state, handed_over=self._checkpoint())
        while self._messages or not all_has_come():
            await self._something_came()
            await self._hear_some()
        self._publish()
        self._measure()
        return ApprovalAnswer(state=self._state, proofs=tuple(self._proofs), notices=self._courier.pending)

    def _measure(self) -> None:
        """Record how long it took from asking to the answer."""
        asked, ended = self._state.requested_at, self._state.ended_at
        if asked is None or ended is None:
            return
        workflow.metric_meter().create_histogram_float(
            "q2c_approval_duration_seconds", "From asking for approval to its end", "s"
        ).record(max(0.0, (ended - asked).total_seconds()), {"status": str(self._state.status)})

    async def _something_came(self) -> None:
        """Until there is something to hear, where more is on its way."""
        await workflow.wait_condition(lambda: bool(self._messages) or all_has_come())

    async def _wait(self) -> None:
        await self._something_came()
        due, reminder = rules.next_deadline(self._state), rules.next_reminder(self._state, workflow.now())
        left = (due + ON_ITS_WAY if reminder is None else min(reminder, due + ON_ITS_WAY)) - workflow.now()
        try:
            await workflow.wait_condition(
                lambda: bool(self._messages) or self._handing_over or workflow.info().is_continue_as_new_suggested(),
                timeout=max(left, timedelta(0)),
                timeout_summary=f"Decision due {due:%Y-%m-%d %H:%M} UTC",
            )
        except TimeoutError:
            workflow.logger.info("a deadline has passed, or somebody is to be reminded")

    async def _look_at_the_clock(self) -> None:
        """Remind who is asked, and ask others where the time is over: never before all that was said is heard."""
        if self._messages or not all_has_come():
            return
        now = workflow.now() - ON_ITS_WAY
        if rules.is_overdue(self._state, now):
            await self._learn()
            if self._messages or not all_has_come():
                return
        before, self._state = self._state, rules.overdue(self._state, now, self._delegations)
        moved = zip(before.steps, self._state.steps, strict=True)
        overdue = tuple(step.plan.level for step, after in moved if after.escalations > step.escalations)
        if overdue and self._state.status is ApprovalStatus.PENDING:
            await self._tell_who_is_asked(overdue)
        before, self._state = self._state, rules.reminded(self._state, workflow.now())
        for step, after in zip(before.steps, self._state.steps, strict=True):
            if after.reminded_pct != step.reminded_pct:
                await self._note(reminding=_reminding(after))

    async def _tell_who_is_asked(self, overdue: tuple[int, ...] = ()) -> None:
        """Have the deal show who is asked now, where that changed; ``overdue``: levels nobody decided in time."""
        who = self._state.asked_now[:MOST_ASKED]
        if who and who != self._asked:
            self._asked = who
            await self._note(asked=AskedNow(who=who, overdue=overdue))

    async def _learn(self) -> None:
        """Who stands in for whom, just before somebody is asked.

        Where it cannot be read, those are asked whom the policy names: that gives nobody a right, and nothing hangs.
        """
        try:
            self._delegations = await execute(
                DelegationActivities.read_delegations,
                OfCompany(company=self._state.request.company),
                start_to_close_timeout=timedelta(seconds=10),
                schedule_to_close_timeout=LONGEST_LOOK,
                retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=5)),
                summary="Who stands in for whom",
                priority=URGENT,
            )
        except ActivityError as error:
            workflow.logger.warning("delegations cannot be read: everybody is asked themselves: %s", error.cause)
            self._delegations = NOBODY_AWAY

    def _is_light(self) -> bool:
        """Whether what is not heard yet is little enough to be taken along."""
        return len(self._messages) <= AT_ONCE and all_has_come()

    def _tell_people(self) -> None:
        """Have those told who are asked now, or are not any more."""
        before, self._told_of = self._told_of, self._state
        self._courier.take(self._told, lambda: of_request(before, self._state, workflow.now()))

    def _checkpoint(self) -> ApprovalCheckpoint:
        self._tell_people()
        return ApprovalCheckpoint(
            state=self._state,
            outcomes=tuple(self._outcomes.values()),
            heard=self._heard.kept,
            refused=tuple(self._refused),
            unheard=tuple(self._messages),
            proofs=tuple(self._proofs),
            notices=self._courier.pending,
        )

    # What is said

    async def _hear_some(self) -> None:
        """Hear what came, in its order: the decisions up to where the deal ends the request, or that end."""
        if not self._messages:
            return
        first = self._messages[0]
        if isinstance(first, Supersede):
            self._end(first)
            del self._messages[0]
            return
        signed = []
        for message in self._messages[:AT_ONCE]:
            if isinstance(message, Supersede):
                break
            signed.append(message)
        verified = await self._verified(signed)
        for message, said in zip(signed, verified, strict=True):
            await self._take(message, said)
        del self._messages[: len(signed)]

    async def _verified(self, signed: list[SignedMessage]) -> tuple[VerifiedMessage, ...]:
        """What was said; and who stands in for whom, where somebody may be asked because of it."""
        here, company = (workflow.info().workflow_id,), self._state.request.company
        if not rules.may_ask(self._state):
            return await verify(signed, audiences=here, company=company)
        found = await verify_before_asking(signed, audiences=here, company=company)
        if any(said.name == DECIDE for said in found.said):
            if found.delegations is None:
                await self._learn()
            else:
                self._delegations = found.delegations
        return found.said

    def _end(self, moved_on: Supersede) -> None:
        if self._state.status is ApprovalStatus.PENDING:
            self._state = rules.ended(
                self._state,
                ApprovalStatus(moved_on.status),
                moved_on.reason,
                workflow.now(),
                by_revision=moved_on.by_revision,
            )

    async def _take(self, message: SignedMessage, said: VerifiedMessage) -> None:
        """Hear a decision, unless it was heard before; what is not proved takes no id from what is."""
        if said.refused:
            self._count(UNPROVED)
            outcome = self._decide(said)
            if said.message_id not in self._outcomes:
                self._settle(outcome)
            if self._tally[UNPROVED] <= WRITTEN_DOWN:
                await self._tell_deal(said, outcome)
            return
        refusal = self._heard.take(said, workflow.now())
        if refusal is not None:
            self._count(REPEATED)
            if refusal is Refusal.TOO_MANY_REQUESTS:
                self._settle(Outcome(message_id=said.message_id, accepted=False, code=refusal))
            return
        digest = content_digest(said.person.oid, said.name, said.args)
        before = self._state
        outcome = self._decide(said).model_copy(update={"digest": digest})
        self._settle(outcome)
        if not outcome.accepted:
            await self._tell_deal(said, outcome)
        elif said.name != DECIDE:
            await self._note(said=message)
        else:
            self._proofs.append(message)
            for step, after in zip(before.steps, self._state.steps, strict=True):
                if step.question is not None and after.status is not step.status:
                    await self._note(question_closed=step.plan.step)

    def _settle(self, outcome: Outcome) -> None:
        self._outcomes[outcome.message_id] = outcome
        while len(self._outcomes) > KEPT:
            self._outcomes.popitem(last=False)

    def _decide(self, said: VerifiedMessage) -> Outcome:
        now = workflow.now()
        with taken(self._count):
            if said.name == DECIDE:
                self._state, code, detail = rules.decided(self._state, said, now, self._delegations)
            else:
                self._state, code, detail = said_to_request(self._state, said, now)
            return self._became(said, code, detail)
        return Outcome(message_id=said.message_id, accepted=False, code=Refusal.INTERNAL)

    def _became(self, said: VerifiedMessage, code: Refusal | None, detail: str) -> Outcome:
        if code is None:
            did = str(said.args.get("decision") or said.name)[:LONGEST_DETAIL]
            return Outcome(message_id=said.message_id, accepted=True, detail=did)
        who = said.person.label
        self._refused.append(f"{workflow.now():%Y-%m-%d %H:%M:%S} UTC {who}: {code} {detail}"[:LONGEST_DETAIL])
        workflow.logger.info("a message was refused", extra={"code": code, "actor": said.person.oid})
        return Outcome(message_id=said.message_id, accepted=False, code=code, detail=detail[:LONGEST_DETAIL])

    async def _tell_deal(self, said: VerifiedMessage, refused: Outcome) -> None:
        """A refused attempt is written down in the deal, where all that was ever tried is read."""
        note = DecisionRefused(
            message_id=said.message_id,
            person=said.person,
            code=refused.code,
            detail=refused.detail,
            at=workflow.now(),
        )
        await self._signal_deal(names.DECISION_REFUSED, note)

    async def _note(self, **what: Reminding | AskedNow | SignedMessage | int) -> None:
        """Have the deal write down what changed here without a decision."""
        at, message_id = workflow.now(), str(workflow.uuid4())
        note = RequestNote.model_validate({"message_id": message_id, "n": self._state.request.n, "at": at, **what})
        await self._signal_deal(names.REQUEST_NOTED, note)

    async def _signal_deal(self, signal: str, note: DecisionRefused | RequestNote) -> None:
        parent = workflow.info().parent
        if parent is None:
            return
        try:
            await tell(workflow.get_external_workflow_handle(parent.workflow_id), signal, note)
        except FailureError as error:  # the deal has ended, and with it its record
            workflow.logger.info("%s could not be written down: %s", signal, error)

    # What people see

    def _publish(self) -> None:
        request = self._state.request
        running = self._state.status is ApprovalStatus.PENDING
        asked = sorted({person.oid for step in self._state.pending for person in step.assignees})
        decided = sorted({word.person.oid.lower() for step in self._state.steps for word in step.decisions})
        self._published.publish(
            {
                attributes.COMPANY: request.company,
                attributes.QUOTE: request.quote_number,
                attributes.CUSTOMER: request.customer_account,
                attributes.AMOUNT: request.total,
                attributes.CURRENCY: request.currency,
                attributes.WAITING_FOR: "approval" if running else "none",
                attributes.STAGE: names.ESCALATED if self._state.was_late else None,
                attributes.APPROVERS: asked or None,
                attributes.PEOPLE: decided or None,
                attributes.DEADLINE: rules.next_deadline(self._state) if running else None,
            }
        )
        workflow.set_current_details(self._details())
        self._tell_people()

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
            who = step.decider or "; ".join(filter(None, (step.asked_of, step.approved_so_far)))
            waits = step in self._state.pending and step.deadline is not None
            until = f"{step.deadline:%Y-%m-%d %H:%M} UTC" if waits else ""
            lines.append(f"| {step.plan.step} | {step.plan.role} | {step.status} | {who} | {until} |")
        if self._state.status is not ApprovalStatus.PENDING:
            lines.append(f"\n**{self._state.status}**: {self._state.reason}")
        asked = [step.question.text for step in self._state.pending if step.question]
        lines.extend(f"\n**waits for an answer of the rep**: {text}" for text in asked)
        lines.extend(f"\nrefused: {text}" for text in list(self._refused)[-10:])
        return "\n".join(lines)

    # Messages and queries

    decide = heard(
        names.DECIDE, SignedMessage, lambda request: request._messages.append, "A signed decision of an approver"
    )
    command = heard(
        names.COMMAND,
        SignedMessage,
        lambda request: request._messages.append,
        "A signed message of a person: reassign, ask, answer",
    )
    supersede = heard(
        names.SUPERSEDE,
        Supersede,
        lambda request: request._messages.append,
        "The deal: the quote was withdrawn, revised or expired",
    )
    hand_over = heard(
        names.HAND_OVER, HandOver, lambda request: request._leave, "The deal continues as new: go on under its next run"
    )

    def _leave(self, _: HandOver) -> None:
        self._handing_over = True

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
        return list(self._refused)


def _reminding(step: StepState) -> Reminding:
    plan = step.plan
    return Reminding(
        step=plan.step, level=plan.level, role=plan.role, pct=step.reminded_pct, who=step.assignees, due=step.deadline
    )
