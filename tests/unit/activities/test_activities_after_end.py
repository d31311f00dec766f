"""What a look at a deal that ended writes to Sales, and which records of Sales it finds changed."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from temporalio.testing import ActivityEnvironment

from activities import after_end
from activities.after_end import AfterEndWork
from domain.after_end import EndedDeal, FoundAfterEnd, LookAfterEnd, Matter
from domain.collections import InvoicesShown
from domain.fulfilment import Invoice
from domain.people import Person
from domain.views import Ending
from dynamics.core.errors import Conflict, NotFound, System
from dynamics.sales.options import InvoiceState, OpportunityState, OrderState, PaymentChoice, QuoteState
from dynamics.sales.records import Changes, InvoiceCopy, OpportunityChange, OrderChange, QuoteChange

ORDER, QUOTE, OPPORTUNITY = uuid4(), uuid4(), uuid4()


def deal(ending: Ending = Ending.CLOSED, **changes: Any) -> EndedDeal:
    fields: dict[str, Any] = {
        "company": "usmf",
        "quote_number": "Q-1",
        "quote_id": str(QUOTE),
        "order_number": "SO-1",
        "sales_order_id": str(ORDER),
        "opportunity_id": str(OPPORTUNITY),
        "currency": "USD",
        "owner": Person(oid="oid-rita"),
        "ending": ending,
        "ended_at": datetime(2026, 11, 27, tzinfo=UTC),
    }
    return EndedDeal(**(fields | changes))


def invoice(number: str, total: str, left: str) -> Invoice:
    return Invoice(
        invoice_number=number,
        invoiced_on=datetime(2026, 11, 27, 12, tzinfo=UTC),
        due_on=None,
        currency="USD",
        net=Decimal(total),
        tax=Decimal(0),
        total=Decimal(total),
        open_amount=Decimal(left),
    )


class World:
    """Finance's invoices, Sales' copies of them, and what was written."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *invoices: Invoice) -> None:
        self.copies: dict[str, InvoiceCopy] = {}
        self.copied: list[str] = []
        self.paid: list[tuple[str, Decimal]] = []
        self.standing: Any = None
        self.refuse: Exception | None = None
        self.order: Exception | None = None
        self.changes = {
            "quote": Changes(quotes=(quote(QuoteState.WON),), deleted=()),
            "opportunity": Changes(opportunities=(opportunity(OpportunityState.WON),), deleted=()),
        }
        self.orders: tuple[OrderChange, ...] = ()
        monkeypatch.setattr(after_end, "billing", lambda _: SimpleNamespace(invoices=invoices))
        mirror = SimpleNamespace(
            read_invoices=self.read_invoices, write_invoices=self.write_invoices, write_payments=self.write_payments
        )
        quotes = SimpleNamespace(line_ids=self.line_ids)
        changes = SimpleNamespace(now=self.now, orders_of=self.orders_of)
        dataverse: Any = SimpleNamespace(mirror=mirror)
        anything: Any = SimpleNamespace(read=self.read, lines=self.lines)
        collecting: Any = SimpleNamespace(show=self.tell_account)
        self.told: list[InvoicesShown] = []
        self.work = AfterEndWork(anything, anything, dataverse, quotes, changes, lambda *_: "", collecting)  # type: ignore[arg-type]

    def copy(self, number: str, state: InvoiceState) -> None:
        self.copies[number] = InvoiceCopy(id=uuid4(), state=state)

    async def look(self, of: EndedDeal, *matters: Matter) -> FoundAfterEnd:
        look = LookAfterEnd(
            company="usmf", quote_number="Q-1", deal=of, known={"INV-1": Decimal(0)}, matters=matters or (Matter.MONEY,)
        )
        found: FoundAfterEnd = await ActivityEnvironment().run(self.work.look_after_end, look)
        return found

    async def tell_account(self, news: InvoicesShown) -> None:
        self.told.append(news)

    async def read(self, company: str, order: str, known: Any) -> Any:
        if self.order:
            raise self.order
        return SimpleNamespace(header=SimpleNamespace(billed="US-001"))

    async def lines(self, company: str, order: str, invoices: Any) -> dict[str, Any]:
        return {posted.invoice_number: () for posted in invoices}

    async def line_ids(self, quote_id: str) -> dict[int, UUID]:
        return {}

    async def read_invoices(self, order_id: UUID, numbers: Any) -> dict[str, InvoiceCopy]:
        return {number: copy for number, copy in self.copies.items() if number in numbers}

    async def write_invoices(self, order_id: UUID, invoices: Any, **_: Any) -> None:
        if self.refuse:
            raise self.refuse
        self.copied += [posted.number for posted in invoices]

    async def write_payments(self, order_id: UUID, invoices: Any, *, standing: Any, **_: Any) -> None:
        self.paid += [(posted.number, posted.open_amount) for posted in invoices]
        self.standing = standing

    async def now(self, table: str, ids: Any) -> Changes:
        return self.changes[table]

    async def orders_of(self, ids: Any) -> tuple[OrderChange, ...]:
        return self.orders


def quote(state: QuoteState) -> QuoteChange:
    return QuoteChange(id=QUOTE, number="Q-1", state=state, status=4)


def opportunity(state: OpportunityState) -> OpportunityChange:
    return OpportunityChange(id=OPPORTUNITY, state=state)


async def test_the_account_that_is_billed_is_told_what_is_open_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, invoice("INV-1", "100.00", "40.00"), invoice("CRN-1", "-10.00", "-10.00"))
    await world.look(deal())
    (news,) = world.told
    assert (news.account, news.quote_number) == ("US-001", "Q-1")
    assert [(i.number, i.open_amount) for i in news.invoices] == [("INV-1", Decimal("40.00"))], "no credit notes"


async def test_what_sales_shows_already_is_not_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, invoice("INV-1", "1100", "0"))
    world.copy("INV-1", InvoiceState.PAID)

    found = await world.look(deal())

    assert (found.documents, found.not_shown, world.copied, world.paid) == ((), "", [], [])


async def test_a_late_document_is_copied_and_what_is_open_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, invoice("INV-1", "1100", "1100"), invoice("CN-1", "-200", "-200"))
    world.copy("INV-1", InvoiceState.PAID)

    found = await world.look(deal())

    assert [document.number for document in found.documents] == ["CN-1", "INV-1"]
    assert found.open_amount == 900
    assert (world.copied, world.paid) == (["CN-1"], [("INV-1", Decimal(1100)), ("CN-1", Decimal(-200))])
    assert world.standing.payment is PaymentChoice.OPEN and world.standing.stage is None, "the deal stays closed"


async def test_paid_again_the_copy_is_set_paid(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, invoice("INV-1", "1100", "0"))
    world.copy("INV-1", InvoiceState.ACTIVE)

    found = await world.look(deal())

    assert (found.documents, world.paid) == ((), [("INV-1", Decimal(0))])
    assert world.standing.payment is PaymentChoice.PAID


async def test_what_sales_does_not_take_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, invoice("INV-1", "1100", "0"), invoice("INV-2", "50", "0"))
    world.copy("INV-1", InvoiceState.PAID)
    world.refuse = Conflict("the copy comes to 49.99", system=System.DATAVERSE, operation="POST invoices")

    assert "the copy comes to 49.99" in (await world.look(deal())).not_shown
    assert "no order in Sales" in (await world.look(deal(sales_order_id=""))).not_shown


async def test_an_order_that_is_gone_leaves_nothing_to_compare(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    world.order = NotFound("no such order", system=System.FINANCE, operation="read_billing")

    assert (await world.look(deal())).nothing == "Finance has no order SO-1 any more"
    assert "without an order" in (await world.look(deal(order_number=""))).nothing


@pytest.mark.parametrize(
    ("ending", "changed", "found"),
    [
        (Ending.CLOSED, False, ()),
        (Ending.CLOSED, True, (Matter.SALES_ORDER, Matter.OPPORTUNITY, Matter.QUOTE)),
        (Ending.ABORTED, True, ()),
    ],
)
async def test_records_of_sales_count_where_the_deal_was_paid(
    monkeypatch: pytest.MonkeyPatch, ending: Ending, changed: bool, found: tuple[Matter, ...]
) -> None:
    world = World(monkeypatch)
    if changed:
        world.orders = (OrderChange(id=ORDER, state=OrderState.CANCELED, quote_id=QUOTE),)
        world.changes = {
            "quote": Changes(deleted=(QUOTE,)),
            "opportunity": Changes(opportunities=(opportunity(OpportunityState.OPEN),), deleted=()),
        }

    look = await world.look(deal(ending), Matter.SALES_ORDER, Matter.OPPORTUNITY, Matter.QUOTE)

    assert look.in_sales == found
