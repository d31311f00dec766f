"""What is reported of a company's deals after their end: one light receiver per company, not a run per deal.

A deal that ended keeps no run. What Finance and Sales report of it afterwards comes here: the receiver has the deal's
documents compared, Sales brought up to date, and keeps what stands open until both systems agree again by themselves or
a person says, signed, why it is settled otherwise. Nothing is dropped: every report is counted as what became of it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from datetime import timedelta
from hashlib import sha256
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.after_end_signatures import AfterEndActivities
    from domain.after_end import DISMISS_LATE, LateEntry, LateReport, LateView, LookAfterEnd
    from domain.after_end_book import Book
    from domain.after_end_said import DismissVerdict, said_to_after_end
    from domain.after_end_start import AfterEndStart
    from domain.audit import CODE, WORDS, AuditKind, AuditRecord, Outbox
    from domain.heard import Heard, content_digest
    from domain.messages import Outcome, SignedMessage, VerifiedMessage
    from domain.money import format_money
    from domain.notices import LONGEST_NAME, LONGEST_TEXT, Kind, Notice
    from domain.people import Person
    from domain.refusals import Refusal
    from runs import names
    from workflows.audit import deliver_apart
    from workflows.hearing import Counting, hear, is_long_enough
    from workflows.notices_courier import Courier
    from workflows.proof import AT_ONCE, verify
    from workflows.steps import RETRY, cause_of

KEPT = 300
"""Outcomes of messages that are kept."""
LONGEST_DETAIL = 500
WRITTEN_DOWN = 20
"""Messages without proof that are written to the audit in one run; of more only their number is kept."""
MOST_UNHEARD = 500
"""Messages that wait to be heard; what comes beyond them is counted and dropped, so that none can fill a run."""
ONE_LOOK = timedelta(minutes=5)
"""How long one look may take; it says every few seconds that it lives."""
LONGEST_TRY = timedelta(minutes=15)
SILENCE = timedelta(seconds=45)
UNPROVED = "unproved"
REPEATED = "repeated"
DROPPED_FULL = "full"
SHOWN = 30
SYSTEMS = Person(oid="systems", name="Finance and Sales")


@workflow.defn(name=names.AFTER_END)
class AfterEnd(Counting):
    """The receiver of what is reported of one company's deals after their end."""

    @workflow.init
    def __init__(self, start: AfterEndStart) -> None:
        """Make the state before the first message is handled."""
        self._start = start
        self._book = Book(start.company, start.book)
        self._outcomes = OrderedDict((outcome.message_id, outcome) for outcome in start.outcomes)
        self._heard = Heard(start.heard)
        self._unheard: list[SignedMessage] = list(start.unheard)
        self._tally = dict(start.tally)
        info = workflow.info()
        self._courier = Courier(f"{info.workflow_id}/{info.run_id}", start.notices)
        self._failing = ""
        self._unproved = 0
        self._records = 0
        self._something = False

    @workflow.run
    async def run(self, start: AfterEndStart) -> None:
        """Take what comes, look at what is due, forever."""
        delivering = asyncio.create_task(self._courier.deliver())
        while True:
            self._describe()
            await self._rest()
            if self._unheard:
                await self._hear_some()
                self._something = True
            elif (look := self._book.due(workflow.now())) is not None:
                await self._look(look)
                self._something = True
            if self._long_enough():
                delivering.cancel()
                workflow.continue_as_new(self._next())

    def _next(self) -> AfterEndStart:
        return self._start.model_copy(
            update={
                "book": self._book.state,
                "outcomes": tuple(self._outcomes.values()),
                "heard": self._heard.kept,
                "unheard": tuple(self._unheard),
                "notices": self._courier.pending,
                "tally": self._tally,
            }
        )

    async def _rest(self) -> None:
        """Until a message is to be heard or a look is due."""
        next_at = self._book.next_at
        left = None if next_at is None else next_at - workflow.now()
        if left is not None and left <= timedelta(0):
            return
        try:
            await workflow.wait_condition(
                lambda: bool(self._unheard) or self._book.next_at != next_at or self._long_enough(),
                timeout=left,
                timeout_summary="Until the next look at what stands open",
            )
        except TimeoutError:
            pass

    def _long_enough(self) -> bool:
        return is_long_enough(heard=self._something) and len(self._unheard) <= AT_ONCE

    # --- looking ---------------------------------------------------------------------------------------------------

    async def _look(self, look: LookAfterEnd) -> None:
        """Have a deal compared; what failed for a while is tried again, ever less often."""
        try:
            found = await workflow.execute_activity_method(
                AfterEndActivities.look_after_end,
                look,
                task_queue=names.FINANCE_QUEUE,
                start_to_close_timeout=ONE_LOOK,
                schedule_to_close_timeout=LONGEST_TRY,
                heartbeat_timeout=SILENCE,
                retry_policy=RETRY,
                summary=f"Compare deal {look.quote_number}, which has ended, with Finance and Sales"[:200],
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            cause, message = cause_of(error)
            self._failing = f"{look.quote_number}: {cause}: {message}"
            self._book.failed(look.quote_number, workflow.now())
            workflow.logger.warning("a deal that ended cannot be looked at: %s", self._failing)
            return
        self._failing = ""
        for entry in self._book.looked(look, found, workflow.now()):
            await self._tell_of(entry)

    async def _tell_of(self, entry: LateEntry) -> None:
        """Write down that an exception was opened or settled; who it belongs to is told of an open one."""
        measured = workflow.metric_meter().create_counter("q2c_late", "Exceptions after the end of deals")
        measured.add(1, {"company": self._start.company, "matter": str(entry.matter), "status": str(entry.status)})
        if entry.is_open:
            self._courier.take(None, lambda: [_notice(entry)])
        what = entry.text if entry.is_open else "Finance and Sales agree again"
        await self._write_down(
            self._record(AuditKind.TRANSITION, f"late_{entry.status}", SYSTEMS).model_copy(
                update={"deal_id": _deal_id(entry), "what": what[:WORDS], "facts": _facts(entry)}
            )
        )

    # --- people ----------------------------------------------------------------------------------------------------

    async def _hear_some(self) -> None:
        some = self._unheard[:AT_ONCE]
        verified = await verify(some, audiences=(workflow.info().workflow_id,), company=self._start.company)
        for message, said in zip(some, verified, strict=True):
            await self._take(message, said)
        del self._unheard[: len(some)]

    async def _take(self, message: SignedMessage, said: VerifiedMessage) -> None:
        """Hear a message, unless it was heard before; what is not proved takes no id from what is."""
        now = workflow.now()
        if not said.refused:
            refusal = self._heard.take(said, now)
            if refusal is not None:
                self._count(REPEATED)
                if refusal is Refusal.TOO_MANY_REQUESTS:
                    self._settle(Outcome(message_id=said.message_id, accepted=False, code=refusal))
                return
        verdict = said_to_after_end(said)
        entry: LateEntry | None = None
        if verdict.code is None:
            entry = self._book.dismiss(verdict.n, said.person.named, verdict.reason, now)
            if entry is None:
                verdict = verdict._replace(code=Refusal.NOT_OPEN_ANY_MORE, detail=f"number {verdict.n} is not open")
        if said.refused:
            self._count(UNPROVED)
            self._unproved += 1
            if said.message_id in self._outcomes:
                return
        self._settle(_outcome(said, verdict))
        if not said.refused or self._unproved <= WRITTEN_DOWN:
            await self._write_down_said(message, said, verdict, entry)

    async def _write_down_said(
        self, message: SignedMessage, said: VerifiedMessage, verdict: DismissVerdict, entry: LateEntry | None
    ) -> None:
        taken = entry is not None
        record = self._record(
            AuditKind.DECISION if taken else AuditKind.REFUSAL, said.name or DISMISS_LATE, said.person.named
        )
        signed_in = {name: value[:CODE] for name, value in said.sign_in.facts().items()}
        await self._write_down(
            record.model_copy(
                update={
                    "deal_id": _deal_id(entry) if entry else "",
                    "what": (f"dismissed: {entry.text}" if entry else verdict.detail)[:WORDS],
                    "why": str(said.args.get("reason") or "")[:WORDS],
                    "code": (verdict.code or "")[:CODE],
                    "policy_version": said.granted.policy_version[:CODE],
                    "envelope_id": message.message_id[:CODE],
                    "envelope_hash": sha256(message.token.encode()).hexdigest(),
                    "facts": signed_in | (_facts(entry) if entry else {}),
                }
            )
        )

    def _record(self, kind: AuditKind, event: str, actor: Person) -> AuditRecord:
        self._records += 1
        return AuditRecord(
            record_id=names.late_record_id(self._start.company, workflow.info().run_id, self._records),
            n=1,
            company=self._start.company[:CODE],
            kind=kind,
            event=event[:CODE],
            at=workflow.now(),
            actor=actor,
        )

    async def _write_down(self, record: AuditRecord) -> None:
        """Have it stored by a process of its own, which tries for as long as it takes."""
        await deliver_apart(Outbox(pending=(record,)), record.record_id, "An audit record of what came after the end")

    def _settle(self, outcome: Outcome) -> None:
        self._outcomes[outcome.message_id] = outcome
        while len(self._outcomes) > KEPT:
            self._outcomes.popitem(last=False)

    # --- showing ---------------------------------------------------------------------------------------------------

    def _describe(self) -> None:
        standing = [entry for entry in self._book.entries if entry.is_open]
        tally = self._book.tally
        became = ", ".join(f"{number:,} {name}" for name, number in tally.items() if number and name != "received")
        lines = [
            f"**After the end of deals of {self._start.company.upper()}**: {len(standing)} open",
            "",
            f"Received so far: {tally['received']:,}{f' ({became})' if became else ''}",
        ]
        lines += [f"\n**The last look failed**: {self._failing}"] if self._failing else []
        if standing:
            lines += ["", "| deal | what stands open | whose | since |", "|---|---|---|---|"]
            lines += [
                f"| {e.deal.quote_number} | {', '.join(e.codes)} | {e.role} | {e.opened_at:%Y-%m-%d %H:%M} UTC |"
                for e in standing[:SHOWN]
            ]
        workflow.set_current_details("\n".join(lines))

    # Messages and queries

    @workflow.signal(name=names.REPORT_LATE, description="Something reported of a deal that has ended")
    def report_late(self, *message: Any) -> None:
        """Keep a report until its deal is looked at."""
        hear(message, LateReport, lambda report: self._book.receive(report, workflow.now()), self._unreadable)

    def _unreadable(self, kind: str) -> None:
        self._book.unreadable()
        self._count(kind)

    @workflow.signal(name=names.COMMAND, description="A signed message of a person: dismiss what stands open")
    def command(self, *message: Any) -> None:
        """Take a signed message; its outcome is read back by the query ``outcome``."""
        hear(message, SignedMessage, self._keep, self._count)

    def _keep(self, message: SignedMessage) -> None:
        if len(self._unheard) >= MOST_UNHEARD:
            self._count(DROPPED_FULL)
        else:
            self._unheard.append(message)

    @workflow.query(name=names.STATE, description="What stands open, what was closed lately, and all that was reported")
    def state(self) -> LateView:
        """The exceptions as they stand."""
        return LateView(
            company=self._start.company,
            entries=tuple(entry.model_copy(update={"known": {}}) for entry in self._book.entries),
            tally=self._book.tally,
            failing=self._failing,
            next_look_at=self._book.next_at,
        )

    @workflow.query(name=names.OUTCOME, description="What became of a message, by its id")
    def outcome(self, message_id: str) -> Outcome | None:
        """What became of a message; None while it is not known."""
        return self._outcomes.get(message_id)


def _deal_id(entry: LateEntry) -> str:
    return names.deal_id(entry.deal.company, entry.deal.quote_number)


def _facts(entry: LateEntry) -> dict[str, str]:
    """What an audit record says of an exception: numbers and codes, no personal data."""
    money = format_money(entry.open_amount, entry.deal.currency) if entry.documents else ""
    facts = {
        "number": str(entry.n),
        "matter": str(entry.matter),
        "codes": ", ".join(entry.codes),
        "order": entry.deal.order_number,
        "documents": ", ".join(document.number for document in entry.documents),
        "open": money,
    }
    return {name: value[:CODE] for name, value in facts.items() if value}


def _notice(entry: LateEntry) -> Notice:
    deal = entry.deal
    return Notice(
        kind=Kind.LATE_OPENED,
        role=entry.role,
        company=deal.company,
        quote_number=deal.quote_number,
        customer=f"{deal.customer} {deal.customer_name}".strip()[:LONGEST_NAME],
        text=entry.text[:LONGEST_TEXT],
        at=entry.opened_at,
    )


def _outcome(said: VerifiedMessage, verdict: DismissVerdict) -> Outcome:
    digest = "" if said.refused else content_digest(said.person.oid, said.name, said.args)
    taken = verdict.code is None
    return Outcome(
        message_id=said.message_id,
        accepted=taken,
        code=verdict.code or "",
        detail=(f"number {verdict.n} is dismissed" if taken else verdict.detail)[:LONGEST_DETAIL],
        digest=digest,
    )
