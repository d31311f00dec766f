"""What stands open after the end of deals, as a stand-in shows it: kept and dismissed by the real rules."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from temporalio import workflow
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy

from domain.after_end import EndedDeal, LateDocument, LateEntry, LateReport, LateView, Matter
from domain.after_end_book import Book, BookState
from domain.after_end_said import said_to_after_end
from domain.after_end_start import AfterEndStart
from domain.heard import content_digest
from domain.messages import Outcome, SignedMessage
from domain.people import Person
from domain.refusals import Refusal
from domain.views import Ending
from runs import names
from tests.webworld.claims import verified

AT = datetime(2026, 11, 23, 14, tzinfo=UTC)


@workflow.defn(name=names.AFTER_END)
class StandInAfterEnd:
    """Keeps what it is given; people dismiss it by the real rules."""

    @workflow.init
    def __init__(self, start: AfterEndStart) -> None:
        self.company = start.company
        self.book = Book(start.company, start.book)
        self.outcomes: dict[str, Outcome] = {}

    @workflow.run
    async def run(self, start: AfterEndStart) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.signal
    def put(self, state: BookState) -> None:
        self.book = Book(self.company, state)

    @workflow.signal(name=names.REPORT_LATE)
    def report_late(self, report: LateReport) -> None:
        self.book.receive(report, workflow.now())

    @workflow.signal(name=names.COMMAND)
    def command(self, message: SignedMessage) -> None:
        said = verified(message, self.company, workflow.now())
        verdict = said_to_after_end(said)
        if verdict.code is None and self.book.dismiss(verdict.n, said.person, verdict.reason, workflow.now()) is None:
            verdict = verdict._replace(code=Refusal.NOT_OPEN_ANY_MORE)
        self.outcomes[message.message_id] = Outcome(
            message_id=message.message_id,
            accepted=verdict.code is None,
            code=verdict.code or "",
            detail=verdict.detail,
            digest=content_digest(said.person.oid, said.name, said.args),
        )

    @workflow.query(name=names.STATE)
    def state(self) -> LateView:
        return LateView(company=self.company, entries=self.book.entries, tally=self.book.tally)

    @workflow.query(name=names.OUTCOME)
    def outcome(self, message_id: str) -> Outcome | None:
        return self.outcomes.get(message_id)


def entry(n: int, quote: str, **changes: Any) -> LateEntry:
    """An invoice of 1,100.00 that is open again."""
    deal = EndedDeal(
        company="usmf",
        quote_number=quote,
        quote_id="8c1f2a60-0000-0000-0000-000000000001",
        order_number=f"SO-{n}",
        customer="US-001",
        customer_name="Contoso <Retail>",
        currency="USD",
        owner=Person(oid="oid-rita", name="Rita Reyes"),
        ending=Ending.CLOSED,
        ended_at=AT,
    )
    amount = Decimal("1100.00")
    document = LateDocument(
        number=f"INV-{n}", total=amount, open_amount=amount, currency="USD", was_open=Decimal("0.00")
    )
    fields: dict[str, Any] = {
        "n": n,
        "deal": deal,
        "matter": Matter.MONEY,
        "codes": ("PAYMENT_REVERSED_AFTER_END",),
        "text": document.text,
        "role": "ar_manager",
        "documents": (document,),
        "open_amount": amount,
        "reports": 1,
        "opened_at": AT,
        "looked_at": AT,
    }
    return LateEntry(**(fields | changes))


def typed(n: int, **changes: Any) -> LateEntry:
    """An order that somebody typed into Finance for a quote of a deal."""
    nobodys = entry(n, "").deal.model_copy(update={"customer": "", "customer_name": "", "order_number": ""})
    fields: dict[str, Any] = {
        "deal": nobodys,
        "matter": Matter.UNCLAIMED,
        "codes": ("ORDER_WITHOUT_DEAL",),
        "role": "ops",
        "documents": (),
        "text": "Order 000777 names quote Q-9, and the deal of that quote did not make it",
        "help": "Cancel it in Finance, or agree with the rep",
        "reference": "000777",
    }
    return entry(n, "", **(fields | changes))


async def put(client: Client, *entries: LateEntry) -> None:
    """From now on these are all that stands open, or was closed, in USMF."""
    await client.start_workflow(
        names.AFTER_END,
        AfterEndStart(company="usmf"),
        id=names.after_end_id("usmf"),
        task_queue=names.DEAL_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        start_signal="put",
        start_signal_args=[BookState(entries=entries, last_n=len(entries), counts={"received": len(entries)})],
    )
