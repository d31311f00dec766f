"""What a deal knows and remembers: its state, its audit records, what became of messages, and what it was told.

All of it fits a ``Checkpoint``, so that a new run goes on where this one stops. Every memory is bounded: what falls out
is in the history.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from datetime import datetime
from hashlib import sha256
from typing import TypeVar

from temporalio import workflow

from activities.signatures import QuoteRef
from domain.approval_start import ApprovalCheckpoint
from domain.approvals import ApprovalRequest, StepState
from domain.audit import SIGN_IN_UNKNOWN, Outbox, of_decision, of_entry
from domain.deal import Transition, apply
from domain.deal_start import Checkpoint, DealStart, begun_again, may_follow
from domain.deal_state import DealState
from domain.facts import Event, Fact
from domain.heard import Heard
from domain.messages import Outcome, SalesEvent, SignedMessage, VerifiedMessage
from domain.notices import of_deal
from domain.order_key import order_key, refund_key
from domain.people import SYSTEM, Person
from domain.record import Record
from domain.refusals import Refusal
from domain.sign_in import SignIn
from domain.tally import APPLIED, RECEIVED, WAITING
from workflows.hearing import UNKNOWN, UNREADABLE
from workflows.notices_courier import Courier

R = TypeVar("R", bound=Record)
V = TypeVar("V")

KEPT = 500
"""Audit records and outcomes of messages that are kept."""
SEEN = 2_000
"""Ids of events that are kept, so that one delivered twice counts once."""
ROOM = 300_000
"""Characters that audit records, and outcomes, may take in a checkpoint each: a payload holds two million bytes."""

_COUNTED = {"": APPLIED, Refusal.DUPLICATE: "duplicate", Refusal.STALE: "stale"}


class DealRecord:
    """The state of one deal and all that was ever said to it; the only place where it changes."""

    def __init__(
        self,
        start: DealStart,
        *,
        deal_id: str,
        environment: str,
        run_id: str,
        clock: Callable[[], datetime],
        report: Callable[[Transition], None],
    ) -> None:
        """Begin with a start, or with the checkpoint of the run before.

        Args:
            start: what the run was started with.
            deal_id: workflow id.
            environment: namespace; part of the order's key.
            run_id: of this run; part of the ids of its audit records.
            clock: the workflow's clock, UTC.
            report: is told every transition and refusal, e.g. for metrics.
        """
        self.deal_id = deal_id
        self._environment = environment
        self._run_id = run_id
        self._clock = clock
        self._report = report
        before = start.checkpoint
        self.state = before.state if before else _begun(start, clock())
        self.timeline = deque(before.timeline if before else (), maxlen=KEPT)
        self.outbox = before.outbox if before else Outbox()
        self._tally = dict(before.tally) if before else {}
        self.unheard = list(before.unheard) if before else []
        self.notes = list(before.notes) if before else []
        self.courier = Courier(f"{deal_id}/{run_id}", before.notices if before else ())
        self.submission: SalesEvent | None = None
        self._outcomes = OrderedDict((outcome.message_id, outcome) for outcome in (before.outcomes if before else ()))
        self.heard = Heard(before.heard if before else ())
        self._in_doubt = set(before.in_doubt) if before else set()
        self._seen = OrderedDict.fromkeys(before.seen if before else ())
        if start.event:
            self._seen[start.event.event_id] = None
            if before is None:
                self.receive()  # what a deal begins with is told by no signal
                self.count(APPLIED)

    # Facts

    def apply(
        self,
        fact: Fact,
        *,
        event_id: str = "",
        actor: Person = SYSTEM,
        at: datetime | None = None,
        envelope: SignedMessage | None = None,
        sign_in: SignIn = SIGN_IN_UNKNOWN,
        counted: bool = True,
    ) -> Transition | None:
        """Put a fact to the deal.

        Args:
            fact: what became true.
            event_id: the same id for the same fact however often it is told; empty: our own step.
            actor: who made it true.
            at: when, UTC; now unless said.
            envelope: the signed message it rests on, where a person said it.
            sign_in: how and when that person had signed in.
            counted: whether it is counted here what became of the event; not where it is counted already.

        Returns:
            What it did; None where the event was taken before and counts for nothing.
        """
        if event_id and event_id in self._seen:
            if counted:
                self.count(_COUNTED[Refusal.DUPLICATE])
            return None
        before = self.state
        transition = apply(before, Event(at=at or self._clock(), actor=actor, fact=fact))
        self.state = transition.state
        if event_id:
            self._seen[event_id] = None
            _forget(self._seen, SEEN)
            if counted:
                self.count(_COUNTED.get(transition.code, "refused"))
        self.timeline.append(transition.audit)
        self._keep_for_audit(transition, fact, envelope, sign_in)
        self._tell_people(before)
        self._report(transition)
        return transition

    def _keep_for_audit(
        self, transition: Transition, fact: Fact, envelope: SignedMessage | None, sign_in: SignIn
    ) -> None:
        record = of_entry(
            transition.audit,
            company=self.state.company,
            deal_id=self.deal_id,
            fact=fact,
            why=str(getattr(fact, "reason", "")),
            envelope_id=envelope.message_id if envelope else "",
            envelope_hash=_hash_of(envelope) if envelope else "",
            sign_in=sign_in,
        )
        self.outbox = self.outbox.add(record, run_id=self._run_id)

    def _tell_people(self, before: DealState) -> None:
        """Have those told who chose to be; before the first assessment it is not known who did."""
        found = self.state.assessment
        told = found.deal_policy.told if found else None
        self.courier.take(told, lambda: of_deal(before, self.state))

    def keep_decision(
        self, said: VerifiedMessage, envelope: SignedMessage, step: StepState, asked: ApprovalRequest
    ) -> None:
        """Keep for the audit who decided a step of a request, with the message it rests on."""
        word = step.decision_of(said.person)
        at = word.at if word else self._clock()
        record = of_decision(said, step, asked, deal_id=self.deal_id, at=at, envelope_hash=_hash_of(envelope))
        self.outbox = self.outbox.add(record, run_id=self._run_id)

    @property
    def tally(self) -> dict[str, int]:
        """How many messages were received, and what became of them; it balances (``domain.tally``)."""
        return self._tally | ({WAITING: len(self.unheard)} if self.unheard else {})

    def receive(self) -> None:
        """Count a message that was received and could be read; what becomes of it is counted by ``count``, once."""
        self._tally[RECEIVED] = self._tally.get(RECEIVED, 0) + 1

    def count(self, kind: str) -> None:
        """Count what became of a message; one that is none of ours, or cannot be read, is received by that."""
        if kind in (UNREADABLE, UNKNOWN):
            self.receive()
        self._tally[kind] = self._tally.get(kind, 0) + 1

    # Messages of people

    def settle(self, outcome: Outcome) -> None:
        """Remember what became of a message."""
        self._outcomes[outcome.message_id] = outcome
        _forget(self._outcomes, KEPT)

    def outcome(self, message_id: str) -> Outcome | None:
        """What became of a message; None while it is not known."""
        return self._outcomes.get(message_id)

    # Steps whose last try may have succeeded

    def doubt(self, step: str) -> None:
        """Note that a try of a step failed, so that its outcome is not known."""
        self._in_doubt.add(step)

    def is_in_doubt(self, step: str) -> bool:
        """Whether an earlier try of a step may have succeeded."""
        return step in self._in_doubt

    def certain(self, step: str) -> None:
        """Note that a step has succeeded."""
        self._in_doubt.discard(step)

    # What the deal is known by

    @property
    def quote(self) -> QuoteRef:
        """The current revision of the quote."""
        state = self.state
        return QuoteRef(
            company=state.company, quote_number=state.quote_number, quote_id=state.quote_id, revision=state.revision
        )

    @property
    def order_number(self) -> str:
        """The key of the order in Finance: the same however often it is computed."""
        state = self.state
        return order_key(self._environment, state.company, state.quote_number, state.revision)

    def refund_key(self, n: int) -> str:
        """The mark under which the n-th refund is prepared in Finance."""
        return refund_key(self._environment, self.deal_id, n)

    # The next run

    def keep(self, event: SalesEvent) -> bool:
        """Keep a submission that came when the deal had ended, to begin anew with; whether it is one to begin with."""
        ended = self.state
        may = may_follow(event, revision=ended.revision, ending=ended.ending, ended_at=ended.updated_at)
        if may and (self.submission is None or event.revision >= self.submission.revision):
            self.submission = event
        return may

    def next_start(self, request: ApprovalCheckpoint | None = None) -> DealStart:
        """What the next run goes on with: this deal, and its open request for approval."""
        state = self.state
        return DealStart(
            company=state.company,
            quote_number=state.quote_number,
            quote_id=state.quote_id,
            revision=state.revision,
            checkpoint=self._checkpoint(state, request),
        )

    def anew(self, event: SalesEvent) -> DealStart:
        """What the next run begins anew with: what is remembered stays, the deal itself starts with the submission."""
        state = begun_again(self.state, event, self._clock())
        return DealStart(
            company=state.company,
            quote_number=state.quote_number,
            quote_id=state.quote_id,
            revision=state.revision,
            event=event,
            checkpoint=self._checkpoint(state, None),
        )

    def _checkpoint(self, state: DealState, request: ApprovalCheckpoint | None) -> Checkpoint:
        return Checkpoint(
            state=state,
            timeline=_latest(self.timeline),
            outcomes=_latest(self._outcomes.values()),
            heard=self.heard.kept,
            tally=self._tally,
            seen=tuple(self._seen),
            unheard=tuple(self.unheard),
            notes=tuple(self.notes),
            in_doubt=tuple(sorted(self._in_doubt)),
            outbox=self.outbox,
            notices=self.courier.pending,
            request=request,
        )


def _hash_of(envelope: SignedMessage) -> str:
    return sha256(envelope.token.encode()).hexdigest()


def report(transition: Transition) -> None:
    """Log a transition and count it."""
    state, audit = transition.state, transition.audit
    workflow.logger.info(
        audit.text,
        extra={
            "company": state.company,
            "quote": state.quote_number,
            "event": audit.event,
            "code": audit.code,
            "stage": str(state.stage),
        },
    )
    workflow.metric_meter().create_counter("q2c_transitions", "Transitions of deals, and refusals by code").add(
        1, {"stage": str(state.stage), "event": audit.event, "code": audit.code}
    )


def _begun(start: DealStart, now: datetime) -> DealState:
    return DealState(
        company=start.company,
        quote_number=start.quote_number,
        quote_id=start.quote_id,
        revision=start.revision,
        submitted_by=start.event.actor if start.event else "",
        started_at=now,
        updated_at=now,
        waiting_since=now,
    )


def _latest(records: Iterable[R]) -> tuple[R, ...]:
    """The latest records that fit into a checkpoint, oldest first."""
    kept: list[R] = []
    room = ROOM
    for record in reversed(list(records)):
        room -= len(record.model_dump_json())
        if room < 0:
            break
        kept.append(record)
    return tuple(reversed(kept))


def _forget(memory: OrderedDict[str, V], most: int) -> None:
    while len(memory) > most:
        memory.popitem(last=False)
