"""What is reported of a company's deals after their end: one light receiver per company, not a run per deal.

A deal that ended keeps no run. What Finance and Sales report of it afterwards comes here: the receiver has the deal's
documents compared, Sales brought up to date, and keeps what stands open until both systems agree again by themselves or
a person says, signed, why it is settled otherwise. Nothing is dropped: every report is counted as what became of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.after_end_signatures import AfterEndActivities
    from activities.unclaimed_signatures import UnclaimedActivities
    from domain.after_end import DISMISS_LATE, LateEntry, LateReport, LateView, LookAfterEnd, Matter
    from domain.after_end_book import Book, BookState
    from domain.after_end_said import DismissVerdict, said_to_after_end
    from domain.after_end_start import AfterEndStart
    from domain.audit import CODE, WORDS, AuditKind, AuditRecord, Outbox
    from domain.messages import SignedMessage, VerifiedMessage
    from domain.money import format_money
    from domain.notices import LONGEST_NAME, LONGEST_TEXT, Kind, Notice
    from domain.people import Person
    from domain.refusals import Refusal
    from domain.unclaimed import Offer, Taken, Unclaimed
    from runs import names
    from workflows.audit import deliver_apart
    from workflows.hearing import hear
    from workflows.notices_courier import Courier
    from workflows.spoken import SpokenTo, as_said
    from workflows.steps import Argument, Result, long_look

"""How long one look may take; it says every few seconds that it lives."""
LONGEST_TRY = timedelta(minutes=15)
SHOWN = 30
MOST_BYTES = 700_000
"""Of all exceptions as the next run begins with them: a third of what Temporal takes in one payload."""
SYSTEMS = Person(oid="systems", name="Finance and Sales")


@workflow.defn(name=names.AFTER_END)
class AfterEnd(SpokenTo):
    """The receiver of what is reported of one company's deals after their end."""

    @workflow.init
    def __init__(self, start: AfterEndStart) -> None:
        """Make the state before the first message is handled."""
        super().__init__(
            start.company, outcomes=start.outcomes, heard=start.heard, unheard=start.unheard, tally=start.tally
        )
        self._start = start
        self._book = Book(start.company, start.book)
        info = workflow.info()
        self._courier = Courier(f"{info.workflow_id}/{info.run_id}", start.notices)
        self._failing = ""
        self._opened = [entry for n in start.untold if (entry := self._book.entry(n)) is not None]
        """What was opened by a report, and is still to be told of."""

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
            elif (offer := self._book.to_offer(workflow.now())) is not None:
                await self._offer(offer)
                self._something = True
            await self._tell_of_opened()
            if self._long_enough():
                delivering.cancel()
                workflow.continue_as_new(self._next())

    def _next(self) -> AfterEndStart:
        return self._start.model_copy(
            update={
                "book": _carried(self._book.state),
                "untold": tuple(entry.n for entry in self._opened),
                "notices": self._courier.pending,
                **self._spoken(),
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
                lambda: bool(self._unheard or self._opened) or self._book.next_at != next_at or self._long_enough(),
                timeout=left,
                timeout_summary="Until the next look at what stands open",
            )
        except TimeoutError:
            pass

    # --- looking ---------------------------------------------------------------------------------------------------

    async def _look(self, look: LookAfterEnd) -> None:
        """Have a deal compared; what failed for a while is tried again, ever less often."""
        what = f"Compare deal {look.quote_number}, which has ended, with Finance and Sales"[:200]
        found = await self._tried(AfterEndActivities.look_after_end, look, look.quote_number, what)
        if found is None:
            self._book.failed(look.quote_number, workflow.now())
            workflow.logger.warning("a deal that ended cannot be looked at: %s", self._failing)
            return
        for entry in self._book.looked(look, found, workflow.now()):
            await self._tell_of(entry)

    async def _offer(self, offer: Offer) -> None:
        """Offer the deals again what none took; what could not be offered is, at the next time."""
        what = f"Offer the deals again what none took ({len(offer.exceptions)})"
        taken = await self._tried(UnclaimedActivities.offer_again, offer, "what no deal takes", what)
        for entry in self._book.offered(offer, taken or Taken(), workflow.now()):
            await self._tell_of(entry)

    async def _tried(
        self,
        activity: Callable[[Any, Argument], Coroutine[Any, Any, Result]],
        argument: Argument,
        about: str,
        summary: str,
    ) -> Result | None:
        """What an activity answers; None where it failed for longer than is waited for, and why is shown."""
        found, why = await long_look(
            activity, argument, longest=LONGEST_TRY, summary=summary, queue=names.FINANCE_QUEUE
        )
        self._failing = f"{about}: {why}" if why else ""
        return found

    async def _tell_of_opened(self) -> None:
        while self._opened and not self._long_enough():  # the next run tells of the others
            await self._tell_of(self._opened.pop(0))

    async def _tell_of(self, entry: LateEntry) -> None:
        """Write down that an exception was opened or settled; who it belongs to is told of an open one."""
        measured = workflow.metric_meter().create_counter("q2c_late", "Exceptions after the end of deals")
        measured.add(1, {"company": self._start.company, "matter": str(entry.matter), "status": str(entry.status)})
        if entry.is_open:
            self._courier.take(None, lambda: [_notice(entry)])
        agreed = "A deal took it" if entry.matter is Matter.UNCLAIMED else "Finance and Sales agree again"
        what = entry.text if entry.is_open else agreed
        await self._write_down(
            self._record(AuditKind.TRANSITION, f"late_{entry.status}", SYSTEMS).model_copy(
                update={"deal_id": _deal_id(entry), "what": what[:WORDS], "facts": _facts(entry)}
            )
        )

    # --- people ----------------------------------------------------------------------------------------------------

    async def _take(self, message: SignedMessage, said: VerifiedMessage) -> None:
        verdict = said_to_after_end(said)
        entry: LateEntry | None = None
        if verdict.code is None:
            entry = self._book.dismiss(verdict.n, said.person.named, verdict.reason, workflow.now())
            if entry is None:
                verdict = verdict._replace(code=Refusal.NOT_OPEN_ANY_MORE, detail=f"number {verdict.n} is not open")
        text = f"number {verdict.n} is dismissed" if verdict.code is None else verdict.detail
        if self._answer(said, verdict.code, text):
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
                    **as_said(message, said, verdict.code),
                    "facts": signed_in | (_facts(entry) if entry else {}),
                }
            )
        )

    def _record(self, kind: AuditKind, event: str, actor: Person) -> AuditRecord:
        return AuditRecord(
            record_id=names.late_record_id(self._start.company, *self._next_record()),
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
                f"| {e.deal.quote_number or e.reference} | {', '.join(e.codes)} | {e.role} "
                f"| {e.opened_at:%Y-%m-%d %H:%M} UTC |"
                for e in standing[:SHOWN]
            ]
        workflow.set_current_details("\n".join(lines))

    # Messages and queries

    @workflow.signal(name=names.REPORT_LATE, description="Something reported of a deal that has ended")
    def report_late(self, *message: Any) -> None:
        """Keep a report until its deal is looked at."""
        hear(message, LateReport, lambda report: self._book.receive(report, workflow.now()), self._unreadable)

    @workflow.signal(name=names.REPORT_UNCLAIMED, description="Something reported that no deal takes")
    def report_unclaimed(self, *message: Any) -> None:
        """Keep what no deal takes until one does, or a person settles it."""
        hear(message, Unclaimed, self._take_unclaimed, self._unreadable)

    def _take_unclaimed(self, report: Unclaimed) -> None:
        entry = self._book.receive_unclaimed(report, workflow.now())
        if entry is not None:
            self._opened.append(entry)

    def _unreadable(self, kind: str) -> None:
        self._book.unreadable()
        self._count(kind)

    @workflow.query(name=names.STATE, description="What stands open, what was closed lately, and all that was reported")
    def state(self) -> LateView:
        """The exceptions as they stand."""
        return LateView(
            company=self._start.company,
            entries=tuple(entry.model_copy(update={"known": {}, "again": ()}) for entry in self._book.entries),
            tally=self._book.tally,
            failing=self._failing,
            next_look_at=self._book.next_at,
        )


def _carried(book: BookState) -> BookState:
    """A book that fits what goes from run to run in one payload: of the largest no report is offered again."""
    kept = {entry.n: entry for entry in book.entries}
    sizes = {n: len(entry.model_dump_json().encode()) for n, entry in kept.items()}
    over = sum(sizes.values()) - MOST_BYTES
    for n in sorted(sizes, key=lambda each: -sizes[each]):
        if over <= 0:
            break
        kept[n] = kept[n].model_copy(update={"again": (), "known": {}})
        over -= sizes[n] - len(kept[n].model_dump_json().encode())
    return book.model_copy(update={"entries": tuple(kept.values())})


def _deal_id(entry: LateEntry) -> str:
    quote = entry.deal.quote_number
    return names.deal_id(entry.deal.company, quote) if quote else ""


def _facts(entry: LateEntry) -> dict[str, str]:
    """What an audit record says of an exception: numbers and codes, no personal data."""
    money = format_money(entry.open_amount, entry.deal.currency) if entry.documents else ""
    facts = {
        "number": str(entry.n),
        "matter": str(entry.matter),
        "codes": ", ".join(entry.codes),
        "order": entry.deal.order_number,
        "reference": entry.reference,
        "severity": str(entry.severity),
        "documents": ", ".join(document.number for document in entry.documents),
        "open": money,
    }
    return {name: value[:CODE] for name, value in facts.items() if value}


def _notice(entry: LateEntry) -> Notice:
    deal, unclaimed = entry.deal, entry.matter is Matter.UNCLAIMED
    return Notice(
        kind=Kind.EXCEPTION_OPENED if unclaimed else Kind.LATE_OPENED,
        role=entry.role,
        company=deal.company,
        quote_number=deal.quote_number,
        account=(entry.reference or deal.company)[:LONGEST_NAME] if unclaimed else "",
        customer=f"{deal.customer} {deal.customer_name}".strip()[:LONGEST_NAME],
        text=entry.text[:LONGEST_TEXT],
        severity=entry.severity,
        at=entry.opened_at,
    )
