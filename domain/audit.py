"""What is written down forever of a deal: who did what, when, why, and what it changed.

A deal keeps what the audit store has not acknowledged yet in an ``Outbox`` that is part of its state. It sends a batch
whenever it waits, without waiting for the answer, and keeps what was not acknowledged for the next time. What grows too
much while the store is away, and what is left when the deal ends, is handed to a process of its own
(``workflows.audit``). So a deal never waits for the store, and nothing is lost while the store is away.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from pydantic import Field

from domain import customer_setup_facts, facts, order_change_facts
from domain.approvals import ApprovalPlan, ApprovalRequest, ApprovalState, StepApproval, StepState, StepStatus
from domain.facts import Fact
from domain.messages import VerifiedMessage
from domain.money import plain, shown_decimals, told_apart
from domain.pauses import Pauses
from domain.people import SYSTEM, Person
from domain.price_look import PriceLook
from domain.record import Record
from domain.sign_in import SignIn
from domain.views import TimelineEntry

BATCH: Final = 50
"""Records sent at a time."""
MOST_REFUSALS: Final = 100
"""Refusals kept for sending, each with its words; of more than these only their number is kept."""
FULL: Final = 200
"""Records a deal keeps while the store is away; at so many it hands them to a process of their own."""
WORDS: Final = 4_000
"""Characters of a text that are kept: what a comment may hold."""
CODE: Final = 200
"""Characters of a code, an id or a fact that are kept."""
ANSWER: Final = "answer"
"""Fact of a record of a step that was parked: what the system answered, as it came; as long as a text."""
SIGN_IN_UNKNOWN: Final = SignIn()
STEP_DECIDED: Final = "StepDecided"
"""Event of a record of one person's decision of one step."""
ORDER_CREATED: Final = "OrderCreated"
ROUNDING: Final = "rounding"
"""Fact of a record of an order: Finance's net less the approved one, where they differ within the tolerance."""
PAUSES: Final = Pauses(timedelta(minutes=1), timedelta(hours=1))
"""How long a deal leaves the store alone after it did not answer."""


class AuditKind(StrEnum):
    """What a record is about.

    Attributes:
        meaning: what such records say; docs/audit.md lists them.
    """

    meaning: str

    def __new__(cls, code: str, meaning: str) -> AuditKind:
        """Make a member: the code is its value."""
        member = str.__new__(cls, code)
        member._value_, member.meaning = code, meaning
        return member

    TRANSITION = "transition", "A deal, an account or what stands open after a deal's end moved on."
    DECISION = "decision", "A person's signed word, and it was taken."
    REFUSAL = "refusal", "What a person or a system said, and it was not taken."
    ATTEMPT = "attempt", "Refusals that are not kept one by one: how many there were."
    REMINDER = "reminder", "An approver was reminded."
    POLICY = "policy", "Other rules are in force."
    PEOPLE = "people", "Others may decide, or a person was erased."
    INTEGRITY = "integrity", "A record came under the id of another one and was not stored."
    NOTICE = "notice", "A person was told something, or could not be told."
    RETENTION = "retention", "Records were removed after their time."


class AuditRecord(Record):
    """One line of the audit. Only ``actor``, ``what`` and ``why`` hold personal data, never another field."""

    record_id: str = Field(description="The same id for the same line, however often it is sent")
    n: int = Field(0, description="Its number in its deal, counted from 1; 0 where it belongs to none")
    company: str = Field(description="Legal entity, lower case")
    deal_id: str = Field("", description="Workflow id of the deal; empty where it belongs to none")
    kind: AuditKind
    event: str = Field(description="What happened, as a code")
    at: datetime = Field(description="When it happened, UTC")
    actor: Person = Field(description="Who did it")
    what: str = Field("", description="What happened, in words")
    why: str = Field("", description="The reason given, in the words of who gave it")
    before: str = ""
    after: str = ""
    code: str = Field("", description="Refusal code; empty where it was taken")
    policy_version: str = ""
    envelope_id: str = Field("", description="Id of the signed message it rests on")
    envelope_hash: str = Field("", description="SHA-256 of the signed message, hexadecimal")
    facts: dict[str, str] = Field(default_factory=dict, description="Numbers of documents, amounts, levels")


class AuditBatch(Record):
    """Records of one deal on their way to the store, in their order."""

    records: tuple[AuditRecord, ...]


class AuditReceipt(Record):
    """What the store has."""

    through: int = Field(description="Number of the last record of the batch that is stored for good")
    stored: int = 0
    known: int = Field(0, description="Were stored before")
    conflicts: int = Field(0, description="Had the id of another record; written down as errors of integrity")


class Outbox(Record):
    """The records of a deal that the store has not acknowledged."""

    next_n: int = 1
    pending: tuple[AuditRecord, ...] = ()
    refusals: int = Field(0, description="How many of those pending are refusals")
    uncounted: int = Field(0, description="Refusals beyond those kept, of which only the number is known")
    failures: int = Field(0, description="How often in a row the store did not answer")
    resting_until: datetime | None = None

    def add(self, record: AuditRecord, *, run_id: str) -> Outbox:
        """The outbox with one more record; it is given its number and id here.

        Args:
            record: what happened.
            run_id: of the run that adds it: a run that is reset tells its own story again, under ids of its own.
        """
        refused = record.kind is AuditKind.REFUSAL
        if refused and self.refusals >= MOST_REFUSALS:
            return self.model_copy(update={"uncounted": self.uncounted + 1})
        numbered = record.model_copy(update={"n": self.next_n, "record_id": f"{record.deal_id}/{run_id}/{self.next_n}"})
        return self.model_copy(
            update={
                "pending": (*self.pending, numbered),
                "next_n": self.next_n + 1,
                "refusals": self.refusals + refused,
            }
        )

    def counted(self, *, company: str, deal_id: str, at: datetime, run_id: str) -> Outbox:
        """The outbox with a record of how many refusals were not kept, where there were any. Do this before a batch."""
        if not self.uncounted:
            return self
        summary = AuditRecord(
            record_id="",
            company=company,
            deal_id=deal_id,
            kind=AuditKind.ATTEMPT,
            event="RefusalsNotListed",
            at=at,
            actor=SYSTEM,
            what=f"{self.uncounted} more refused messages",
            facts={"count": str(self.uncounted)},
        )
        return self.model_copy(update={"uncounted": 0}).add(summary, run_id=run_id)

    def due(self, now: datetime) -> bool:
        """Whether something is to be sent and the store is not left alone for a while."""
        return self.has_news and (self.resting_until is None or now >= self.resting_until)

    def batch(self) -> AuditBatch:
        """The oldest records, as many as are sent at a time."""
        return AuditBatch(records=self.pending[:BATCH])

    def acknowledged(self, receipt: AuditReceipt) -> Outbox:
        """The outbox without what the store has."""
        return self._after(receipt.through).model_copy(update={"failures": 0, "resting_until": None})

    def oldest(self) -> Outbox:
        """The oldest records, as many as are given to a process of their own at a time."""
        return Outbox(pending=self.pending[:FULL])

    def without(self, other: Outbox) -> Outbox:
        """The outbox without the records of another, which are older than the rest."""
        return self._after(other.pending[-1].n if other.pending else 0)

    @property
    def has_news(self) -> bool:
        """Whether anything is to be sent."""
        return bool(self.pending or self.uncounted)

    @property
    def is_full(self) -> bool:
        """Whether it holds as much as a deal carries."""
        return len(self.pending) >= FULL

    def _after(self, through: int) -> Outbox:
        left = tuple(record for record in self.pending if record.n > through)
        refusals = sum(record.kind is AuditKind.REFUSAL for record in left)
        return self.model_copy(update={"pending": left, "refusals": refusals})

    def unanswered(self, now: datetime) -> Outbox:
        """The outbox after the store did not answer: everything is kept, and sent again later."""
        until = now + PAUSES.after(self.failures)
        return self.model_copy(update={"failures": self.failures + 1, "resting_until": until})


def of_entry(
    entry: TimelineEntry,
    *,
    company: str,
    deal_id: str,
    fact: Fact | None = None,
    why: str = "",
    envelope_id: str = "",
    envelope_hash: str = "",
    sign_in: SignIn = SIGN_IN_UNKNOWN,
) -> AuditRecord:
    """The record of a line of a deal's timeline. It raises nothing, whatever the line holds: too much is cut.

    Args:
        entry: the line.
        company: legal entity, lower case.
        deal_id: workflow id of the deal.
        fact: what the line is about: its numbers of documents and amounts are recorded as well.
        why: the reason a person gave.
        envelope_id: id of the signed message it rests on, where a person said it.
        envelope_hash: SHA-256 of that message.
        sign_in: how and when that person had signed in.
    """
    kind = AuditKind.TRANSITION if entry.accepted else AuditKind.REFUSAL
    if entry.accepted and envelope_id:
        kind = AuditKind.DECISION
    elif entry.accepted and isinstance(fact, facts.ApproverReminded):
        kind = AuditKind.REMINDER
    return AuditRecord(
        record_id="",
        company=company[:CODE],
        deal_id=deal_id[:CODE],
        kind=kind,
        event=entry.event[:CODE],
        at=entry.at,
        actor=entry.actor.named,
        what=entry.text[:WORDS],
        why=why[:WORDS],
        before=entry.before[:CODE],
        after=entry.after[:CODE],
        code=entry.code[:CODE],
        policy_version=entry.policy_version[:CODE],
        envelope_id=envelope_id[:CODE],
        envelope_hash=envelope_hash[:CODE],
        facts={
            "stage": str(entry.stage),
            "version": str(entry.version),
            **(facts_of(fact) if fact else {}),
            **_of_sign_in(sign_in),
        },
    )


def of_decision(
    said: VerifiedMessage, step: StepState, asked: ApprovalRequest, *, deal_id: str, at: datetime, envelope_hash: str
) -> AuditRecord:
    """The record of one signed decision of a step: who decided as what, about how much.

    Args:
        said: the decision, with its proof checked.
        step: the step as it stands after it.
        asked: what was asked.
        deal_id: workflow id of the deal.
        at: when it counted, UTC.
        envelope_hash: SHA-256 of the signed message.
    """
    decision = said.args.get("decision", "")
    word = step.decision_of(said.person)
    return AuditRecord(
        record_id="",
        company=asked.company[:CODE],
        deal_id=deal_id[:CODE],
        kind=AuditKind.DECISION,
        event=STEP_DECIDED,
        at=at,
        actor=said.person.named,
        what=_what(decision, step, word)[:WORDS],
        why=said.args.get("comment", "")[:WORDS],
        policy_version=asked.plan.policy_version[:CODE],
        envelope_id=said.message_id[:CODE],
        envelope_hash=envelope_hash,
        facts={
            "approval": str(asked.n),
            "step": str(step.plan.step),
            "decision": decision[:CODE],
            "role": ((word.role if word else "") or step.plan.role)[:CODE],
            "amount": str(shown_decimals(asked.total, asked.currency)),
            "currency": asked.currency,
            **({"for": word.stands_for.oid} if word and word.stands_for else {}),
            **_of_sign_in(said.sign_in),
        },
    )


def _what(decision: str, step: StepState, word: StepApproval | None) -> str:
    text = f"{decision} of step {step.plan.step} ({step.plan.role}, level {step.plan.level})"
    return f"{text}, {word.words}" if word and word.stands_for else text


def _of_sign_in(sign_in: SignIn) -> dict[str, str]:
    return {name: value[:CODE] for name, value in sign_in.facts().items()}


def facts_of(fact: Fact) -> dict[str, str]:
    """Numbers of documents and amounts a fact carries, as text."""
    return {name: str(value)[: WORDS if name == ANSWER else CODE] for name, value in _numbers_of(fact).items()}


def _numbers_of(fact: Fact) -> dict[str, object]:
    match fact:
        case facts.Submitted():
            return {"revision": fact.revision}
        case facts.ApprovalAsked():
            level = max((step.level for step in fact.plan.steps), default=0)
            return {"approval": fact.n, "level": level} | _covered(fact.plan)
        case facts.ApprovalReused():
            return _covered(fact.plan)
        case facts.ApprovalEnded():
            return {"approval": fact.n, "outcome": fact.result.status} | _decided(fact.result)
        case facts.ApproverReminded():
            return {"approval": fact.n, "step": fact.reminding.step, "per cent": fact.reminding.pct}
        case facts.ApproversAsked():
            numbers: dict[str, object] = {"approval": fact.n, "asked": ", ".join(fact.asked.who)}
            overdue = ", ".join(map(str, fact.asked.overdue))
            return numbers | ({"overdue level": overdue} if overdue else {})
        case facts.StepReassigned():
            return {"approval": fact.n, "step": fact.step, "to": fact.to.oid, "added": fact.added}
        case facts.QuestionAsked() | facts.QuestionAnswered() | facts.QuestionClosed():
            return {"approval": fact.n, "step": fact.step}
        case customer_setup_facts.CustomerApproved():
            return {"role": fact.role, "corrected": ",".join(fact.changes)}
        case customer_setup_facts.CustomerChosen():
            return {"role": fact.role, "customer": fact.account}
        case customer_setup_facts.CustomerIsNew() | customer_setup_facts.CustomerDenied():
            return {"role": fact.role}
        case customer_setup_facts.CustomerCreated() | customer_setup_facts.CustomerMapped():
            return {"customer": fact.account}
        case facts.CreditReleased() | facts.ReleaseAsked():
            persons = 1 if fact.release.also_by is None else 2
            amount = shown_decimals(fact.release.most, fact.currency)
            terms = {"amount": amount, "currency": fact.currency, "persons": persons}
            return ({"role": fact.role} if fact.role else {}) | terms
        case facts.PricesMoved():
            return _of_look(fact.look)
        case facts.RefundProposed() | facts.RefundApproved():
            amount = shown_decimals(fact.amount, fact.currency)
            which = {"of": fact.of} if isinstance(fact, facts.RefundProposed) else {"refund": fact.n}
            return which | {"role": fact.role, "amount": amount, "currency": fact.currency}
        case facts.RefundPrepared():
            return {"refund": fact.n, "journal": fact.journal}
        case facts.OrderCreated():
            net = shown_decimals(fact.net, fact.currency)
            order = {"order": fact.order_number, "net": net, "currency": fact.currency}
            return order | (
                {"rounding": fact.rounding.net, "lines off": fact.rounding.lines_off} if fact.rounding else {}
            )
        case facts.OrderConfirmed():
            return {"confirmation": fact.confirmation_number}
        case facts.ShipmentRecorded():
            return {"slips": ",".join(fact.slips)}
        case facts.InvoicesRecorded():
            return {"invoices": ",".join(fact.open_amounts)}
        case facts.StepParked():
            return {"cause": fact.parked.cause, ANSWER: fact.parked.message}
        case _:
            return _of_change(fact)


def _of_change(fact: Fact) -> dict[str, object]:
    """What was undone, or made smaller, of an order."""
    match fact:
        case order_change_facts.OrderChangeAsked():
            return {"lines": len(fact.lines) or "all"}
        case order_change_facts.OrderChangeMade():
            return {"undoes": fact.order_number, "cancelled": fact.cancelled}
        case order_change_facts.OrderChangeFailed():
            return {"cause": fact.cause}
        case order_change_facts.OrderAbsent():
            return {"undoes": fact.order_number}
        case _:
            return {}


def _of_look(look: PriceLook) -> dict[str, object]:
    """What moved of Finance's prices, in figures."""
    counts: dict[str, object] = {"rose": look.rose, "fell": look.fell, "cost moved": look.cost_moved}
    moved = {"verdict": look.verdict} | counts
    if look.blocked_lines:
        return moved | {"blocked": look.blocked_lines}
    if look.margin_then is None or look.margin_now is None:
        return moved
    return moved | {
        "margin then": told_apart(look.margin_then, look.margin_now),
        "margin now": told_apart(look.margin_now, look.margin_then),
        "list net then": plain(look.list_net_then),
        "list net now": plain(look.list_net_now),
    }


def _covered(plan: ApprovalPlan) -> dict[str, object]:
    """Which steps an earlier approval covers: by whom, and given to which request."""
    covered = [(step, step.covered_by) for step in plan.steps if step.covered_by is not None]
    return {f"{step.chain} {step.level}": f"{given.person.oid}, approval {given.n}" for step, given in covered}


def _decided(result: ApprovalState) -> dict[str, object]:
    """Who decided which step, by the object id of Entra, which is no personal data by itself."""
    settled = [step for step in result.steps if step.decided_by is not None]
    return {
        f"step {step.plan.level}" + (f", {number}" if number > 1 else ""): f"{step.status} by {word.person.oid}"
        for step in settled
        for number, word in enumerate(step.decisions[-1:] if step.status is StepStatus.REJECTED else step.decisions, 1)
    }


class RetentionPolicy(Record):
    """How long records are kept, by company (policies/audit.yaml)."""

    version: str
    default_years: int = Field(7, ge=1, le=100)
    years: dict[str, int] = Field(default_factory=dict, description="By company, where it differs")

    def years_of(self, company: str) -> int:
        """Years a company's records are kept."""
        return self.years.get(company, self.default_years)
