"""Stand-ins for the workflows the web application talks to: same types, names and messages, none of the business.

They answer what they were given to answer and remember what they were told, so that a test can look at it.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from domain.approval_people import said_to_request
from domain.approvals import ApprovalRequest, ApprovalState, ApprovalStatus, LineFinding, StepState, StepStatus
from domain.assessing import PreviewAnswer, QuotePreview
from domain.assessment import Attachment, ReviewLines, RivalQuote
from domain.deal_start import DealStart
from domain.delegation_start import DelegationsStart
from domain.delegations import Delegations, said_to_delegations
from domain.feeds import Look
from domain.fulfilment import OrderLines
from domain.heard import content_digest
from domain.messages import (
    CustomerChanged,
    FinanceEvent,
    OrderLinesRequest,
    Outcome,
    PreviewRequest,
    ReviewRequest,
    SalesEvent,
    SignedMessage,
    Supersede,
)
from domain.people import Person
from domain.record import Record
from domain.views import DealView, Explanation, LineView, TimelineEntry
from runs import attributes, names
from tests import rights
from tests.webworld.accounts import StandInCollections
from tests.webworld.claims import claims, verified
from tests.webworld.initial_syncs import StandInInitialRun
from tests.webworld.late import StandInAfterEnd
from tests.webworld.maps import StandInChange
from tests.webworld.syncs import StandInSync


class Scene(Record):
    """What a stand-in deal shows."""

    view: DealView
    timeline: tuple[TimelineEntry, ...] = ()


class SceneStart(DealStart):
    """What a stand-in deal is started with; a real start has no scene."""

    scene: Scene | None = None


@workflow.defn(name=names.QUOTE_TO_CASH)
class StandInDeal:
    @workflow.init
    def __init__(self, start: SceneStart) -> None:
        self.scene = start.scene
        self.told: list[str] = [start.event.event_id] if start.event else []
        self.outcomes: dict[str, Outcome] = {}
        self.ended = False

    @workflow.run
    async def run(self, start: SceneStart) -> DealView | None:
        await workflow.wait_condition(lambda: self.ended)
        return self.scene.view if self.scene else None

    @workflow.signal(name=names.SALES_EVENT)
    def sales_event(self, event: SalesEvent) -> None:
        self.told.append(event.event_id)

    @workflow.signal(name=names.FINANCE_EVENT)
    def finance_event(self, event: FinanceEvent) -> None:
        self.told.append(f"{event.event_id} {event.amount}")

    @workflow.signal(name=names.COMMAND)
    def command(self, message: SignedMessage) -> None:
        said = claims(message)
        self.told.append(f"{said['act']['name']} {json.dumps(said['act']['args'], sort_keys=True)}")
        if said["act"]["args"].get("reason") == "unheard" or message.message_id in self.outcomes:
            return
        refused = said["act"]["args"].get("reason") == "not held"
        self.outcomes[message.message_id] = Outcome(
            message_id=message.message_id,
            accepted=not refused,
            code="NOT_HELD" if refused else "",
            digest=content_digest(said["sub"], said["act"]["name"], said["act"]["args"]),
        )

    @workflow.signal(name=names.DECIDE)
    def decide(self, message: SignedMessage) -> None:
        self.told.append(f"late: {claims(message)['aud']}")

    @workflow.signal
    def end(self, why: str) -> None:
        self.ended = True

    @workflow.query(name=names.STATE)
    def state(self) -> DealView | None:
        return self.scene.view if self.scene else None

    @workflow.query(name=names.TIMELINE)
    def timeline(self) -> list[TimelineEntry]:
        return list(self.scene.timeline) if self.scene else []

    @workflow.query(name=names.EXPLAIN)
    def explain(self) -> Explanation | None:
        return self.scene.view.explanation if self.scene else None

    @workflow.query(name=names.OUTCOME)
    def outcome(self, message_id: str) -> Outcome | None:
        return self.outcomes.get(message_id)

    @workflow.query
    def received(self) -> list[str]:
        return self.told


@workflow.defn(name=names.APPROVAL)
class StandInApproval:
    """Asks the first candidate of each step, one step after the other; refuses what a real one would refuse."""

    @workflow.init
    def __init__(self, request: ApprovalRequest) -> None:
        now = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
        self.status = ApprovalStatus.PENDING
        self.steps = [
            StepState(
                plan=plan,
                status=StepStatus.PENDING if position == 0 else StepStatus.WAITING,
                assignees=plan.candidates[:1],
                asked_at=now,
                deadline=datetime(2026, 11, 24, 17, 0, tzinfo=UTC),
                clock_from=now,
                left=timedelta(hours=8),
            )
            for position, plan in enumerate(request.plan.steps)
        ]
        self.request = request
        self.outcomes: dict[str, Outcome] = {}
        self.asked = now
        self.queried = 0
        self.heard = 0
        self.successor: int | None = None

    @workflow.run
    async def run(self, request: ApprovalRequest) -> ApprovalState:
        self._publish()
        await workflow.wait_condition(lambda: self.status is not ApprovalStatus.PENDING)
        return self.state()

    @workflow.signal(name=names.DECIDE)
    def decide(self, message: SignedMessage) -> None:
        self.heard += 1
        if message.message_id in self.outcomes:
            return
        said = claims(message)
        args = said["act"]["args"]
        code = self._refusal(said["sub"], args)
        self.outcomes[message.message_id] = Outcome(
            message_id=message.message_id,
            accepted=not code,
            code=code,
            detail="" if code else args["decision"],
            digest=content_digest(said["sub"], said["act"]["name"], args),
        )
        if code:
            return
        position = args["step"] - 1
        approved = args["decision"] == "approve"
        self.steps[position] = self.steps[position].model_copy(
            update={
                "status": StepStatus.APPROVED if approved else StepStatus.REJECTED,
                "decided_by": Person(oid=said["sub"], name=said["name"]),
                "decided_at": self.asked,
                "comment": args["comment"],
            }
        )
        if not approved:
            self.status = ApprovalStatus.REJECTED
        elif position + 1 < len(self.steps):
            self.steps[position + 1] = self.steps[position + 1].model_copy(update={"status": StepStatus.PENDING})
        else:
            self.status = ApprovalStatus.COMPLETED
        self._publish()

    @workflow.signal(name=names.COMMAND)
    def command(self, message: SignedMessage) -> None:
        self.heard += 1
        if message.message_id in self.outcomes:
            return
        said = verified(message, self.request.company, self.asked)
        after, code, detail = said_to_request(self.state(), said, self.asked)
        self.steps = list(after.steps)
        self.outcomes[message.message_id] = Outcome(
            message_id=message.message_id,
            accepted=code is None,
            code=code or "",
            detail=detail,
            digest=content_digest(said.person.oid, said.name, said.args),
        )
        self._publish()

    def _refusal(self, sub: str, args: dict[str, Any]) -> str:
        if sub == self.request.requester.oid:
            return "REQUESTER_CANNOT_APPROVE"
        if args["step"] > len(self.steps):
            return "NOT_ASSIGNED"
        step = self.steps[args["step"] - 1]
        if step.status is not StepStatus.PENDING:
            return "ALREADY_DECIDED"
        if args["seen_hash"] != self.request.snapshot_hash:
            return "SEEN_HASH_MISMATCH"
        if sub not in [person.oid for person in step.assignees]:
            return "NOT_ASSIGNED"
        return "COMMENT_REQUIRED" if step.plan.comment_required and not args["comment"] else ""

    def _publish(self) -> None:
        asked = [p.oid for step in self.steps if step.status is StepStatus.PENDING for p in step.assignees]
        workflow.upsert_search_attributes(
            [
                attributes.APPROVERS.update(asked),
                attributes.PEOPLE.update([s.decided_by.oid for s in self.steps if s.decided_by] or None),
                attributes.COMPANY.update(self.request.company),
            ]
        )

    @workflow.query(name=names.STATE)
    def state(self) -> ApprovalState:
        self.queried += 1
        return ApprovalState(
            request=self.request,
            status=self.status,
            steps=tuple(self.steps),
            superseded_by=self.successor,
            requested_at=self.asked,
        )

    @workflow.query(name=names.OUTCOME)
    def outcome(self, message_id: str) -> Outcome | None:
        return self.outcomes.get(message_id)

    @workflow.signal(name=names.SUPERSEDE)
    def supersede(self, message: Supersede) -> None:
        self.successor = message.by_revision
        self.status = ApprovalStatus(message.status)

    @workflow.query
    def times_queried(self) -> int:
        return self.queried

    @workflow.query
    def times_told(self) -> int:
        return self.heard


@workflow.defn(name=names.DELEGATIONS)
class StandInDelegations:
    """Keeps what it is told by the real rules, with the shipped approvers."""

    @workflow.init
    def __init__(self, start: DelegationsStart) -> None:
        self.company = start.company
        self.kept = Delegations()
        self.outcomes: dict[str, Outcome] = {}

    @workflow.run
    async def run(self, start: DelegationsStart) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.signal(name=names.COMMAND)
    def command(self, message: SignedMessage) -> None:
        now = workflow.now()
        said = verified(message, self.company, now)
        approvers = rights.POLICY.approvers(self.company)
        verdict = said_to_delegations(self.kept, said, approvers, today=now.date(), now=now)
        self.kept = verdict.after
        self.outcomes[message.message_id] = Outcome(
            message_id=message.message_id,
            accepted=verdict.code is None,
            code=verdict.code or "",
            detail=verdict.detail,
            digest=content_digest(said.person.oid, said.name, said.args),
        )

    @workflow.query(name=names.STATE)
    def state(self) -> Delegations:
        return self.kept

    @workflow.query(name=names.OUTCOME)
    def outcome(self, message_id: str) -> Outcome | None:
        return self.outcomes.get(message_id)


@workflow.defn(name=names.CREDIT_LEDGER)
class StandInLedger:
    def __init__(self) -> None:
        self.told: list[CustomerChanged] = []

    @workflow.run
    async def run(self, start: RawValue) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.signal(name=names.CUSTOMER_CHANGED)
    def customer_changed(self, change: CustomerChanged) -> None:
        self.told.append(change)

    @workflow.query
    def received(self) -> list[CustomerChanged]:
        return self.told


class _Feed:
    def __init__(self) -> None:
        self.told: list[str] = []

    def note(self, event: FinanceEvent) -> None:
        self.told.append(event.event_id)


@workflow.defn(name=names.SALES_FEED)
class StandInSalesFeed(_Feed):
    @workflow.run
    async def run(self, start: RawValue) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.signal(name=names.LOOK_AT)
    def look_at(self, look: Look) -> None:
        self.told.append(str(look.record_id))

    @workflow.query
    def received(self) -> list[str]:
        return self.told


@workflow.defn(name=names.FINANCE_FEED)
class StandInFinanceFeed(_Feed):
    @workflow.run
    async def run(self, start: RawValue) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.signal(name=names.FINANCE_EVENT)
    def finance_event(self, event: FinanceEvent) -> None:
        self.note(event)

    @workflow.query
    def received(self) -> list[str]:
        return self.told


REVIEWED: dict[str, tuple[LineFinding, ...]] = {}
"""Lines by quote number that a reading finds; a quote that is not here cannot be read."""


class Beside(Record):
    """What a reading finds beside the lines."""

    justification: str = ""
    rivals: tuple[RivalQuote, ...] = ()
    attachments: tuple[Attachment, ...] | None = ()


BESIDE: dict[str, Beside] = {}
"""By quote number; nothing of any other."""


@workflow.defn(name=names.QUOTE_REVIEW)
class StandInReview:
    @workflow.run
    async def run(self, request: ReviewRequest) -> ReviewLines:
        lines = REVIEWED.get(request.quote_number)
        if lines is None:
            await workflow.wait_condition(lambda: False)
            raise AssertionError
        return ReviewLines(
            snapshot_hash=request.snapshot_hash,
            total_lines=len(lines),
            offset=request.offset,
            lines=lines[request.offset : request.offset + request.limit],
            **dict(BESIDE.get(request.quote_number, Beside())),
        )


ORDERED: dict[str, tuple[LineView, ...]] = {}
"""Lines by order number that Finance holds; it refuses to show those of any other."""


@workflow.defn(name=names.ORDER_REVIEW)
class StandInOrderReview:
    @workflow.run
    async def run(self, request: OrderLinesRequest) -> OrderLines:
        lines = ORDERED.get(request.order_number)
        if lines is None:
            raise ApplicationError("Finance has no such order", non_retryable=True)
        page = lines[request.offset : request.offset + request.limit]
        return OrderLines(total_lines=len(lines), offset=request.offset, lines=page)


PREVIEWED: dict[str, QuotePreview] = {}
"""What the rules would ask, by quote number; Sales has no other quote."""


@workflow.defn(name=names.QUOTE_PREVIEW)
class StandInPreview:
    @workflow.run
    async def run(self, request: PreviewRequest) -> PreviewAnswer:
        return PreviewAnswer(preview=PREVIEWED.get(request.quote_number))


WORKFLOWS = [
    StandInDeal,
    StandInApproval,
    StandInDelegations,
    StandInAfterEnd,
    StandInInitialRun,
    StandInSync,
    StandInChange,
    StandInLedger,
    StandInSalesFeed,
    StandInFinanceFeed,
    StandInReview,
    StandInOrderReview,
    StandInPreview,
    StandInCollections,
]
