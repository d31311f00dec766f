"""What Sales shows of an order in Finance: its number, that it was shipped, its invoices and what is open on them.

Everything may be repeated, and what is large goes in steps: so many lines to a change set, after a look at what is
there already, so that a step that was cut off is continued and not begun again. A line is known by the line of the
quote it was made from. Nothing is written on a record that is read-only but the change of its state: the rest stands
in the rows of `dynamics.sales.deal_rows`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from cachetools import LRUCache

from dynamics.core.batch import BatchItem, ChangeSet, Read, Write, chunks
from dynamics.core.errors import Conflict, DynamicsError, NotFound, Refused, System
from dynamics.core.odata import BatchAnswer
from dynamics.sales import queries
from dynamics.sales.deal_rows import DealOf, Standing, deal_row, invoice_row
from dynamics.sales.invoice_copy import InvoiceCopies, copy_id
from dynamics.sales.options import CreditChoice, DealStage, FulfilmentChoice, OrderState, PaymentChoice
from dynamics.sales.records import InvoiceCopy, InvoiceToWrite, OrderLine, SalesOrder
from dynamics.sales.writes import cancelled, fulfil, invoice_state, recorded, reopened, win_opportunity
from dynamics.sales.writes import order_invoiced as order_is_invoiced

if TYPE_CHECKING:
    from dynamics.core.connection import Connection

LINES_PER_CHANGE_SET = 150
"""Lines written together: Dataverse recalculates the document for each, within one transaction."""

LINES_REMEMBERED = 100_000
"""Lines of orders (their ids, never their state) remembered, so that a later write needs no read before it."""

OPPORTUNITY_ALREADY_CLOSED = "0x80040515"
INVALID_STATE = "0x80048408"
READ_ONLY = "0x8004022e"
NUMBER_TAKEN = "0x80060892"
"""Codes this module reacts to (Microsoft Learn: "Web service error codes")."""

Progress = Callable[[int], None]
"""Told how many lines are written so far."""


def _unheard(lines: int) -> None:
    """Nobody asked to be told."""


@dataclass(frozen=True, slots=True)
class WrittenOrder:
    """The order as Sales shows it, and what Sales would not take along with it, in words for a person."""

    order: SalesOrder
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shipped:
    """What was shipped of an order, or came back."""

    slips: Sequence[str]
    """Numbers of the packing slips, for the closing activity's subject."""
    complete: bool
    """Nothing is left to ship."""
    short: bool = False
    """Nothing is left to ship, because the rest was cancelled."""
    invoiced: bool = False
    """Nothing is left to invoice either."""
    returned: Sequence[str] = ()
    """Those of the slips with which goods came back."""


class SalesMirror:
    """Writes to Sales what happened in Finance."""

    def __init__(self, dataverse: Connection, *, price_decimals: Callable[[], Awaitable[int]]) -> None:
        """Nothing is sent yet.

        Args:
            dataverse: The connection.
            price_decimals: Tells the decimals of prices in the organisation.
        """
        self._dataverse = dataverse
        self._price_decimals = price_decimals
        self._orders: LRUCache[UUID, SalesOrder] = LRUCache(LINES_REMEMBERED, getsizeof=lambda o: 1 + len(o.lines))

    # --- the order -------------------------------------------------------------------------------------------------

    async def read_order(self, order_id: UUID) -> SalesOrder:
        """A salesorder with all its lines, read now.

        Raises:
            NotFound: it was deleted.
        """
        with self._forgetting(order_id):
            answers = await self._dataverse.odata.batch(self._order_reads(order_id))
            return await self._remember(*answers)

    async def known_order(self, order_id: UUID) -> SalesOrder:
        """The order with its lines' ids, from memory where it was seen; its state may be old."""
        return self._orders.get(order_id) or await self.read_order(order_id)

    async def write_order(
        self,
        order_id: UUID,
        finance_number: str,
        *,
        deal: DealOf,
        quote_id: UUID,
        quote_number: str,
        credit: CreditChoice | None,
        opportunity_id: UUID | None,
        revenue: Decimal,
    ) -> WrittenOrder:
        """Write Finance's order number; the order is In Progress from then on. And win the opportunity, if Sales does.

        The number never depends on the opportunity: Sales refuses to win one on which another quote is open, and that
        is told and left as it is.

        One request. One more where another legal entity's order has taken the number, or somebody submitted the order
        before it had one.

        Args:
            order_id: The salesorder made from the quote.
            finance_number: SalesOrderNumber in Finance.
            deal: The deal, whose row is related to quote and order from here on.
            quote_id: The quote it was made from.
            quote_number: For the closing activity's subject.
            credit: How credit was decided; None leaves it.
            opportunity_id: The opportunity to win; None where there is none or it is closed.
            revenue: Net of the order in its currency, the opportunity's actual revenue.

        Raises:
            NotFound: the salesorder was deleted.
            Conflict: the number is taken even with the legal entity added.
            Refused: the order is cancelled, or carries another order's number.
        """
        confirmed = Standing(
            stage=DealStage.FULFILMENT,
            credit=credit,
            fulfilment=FulfilmentChoice.CONFIRMED,
            waiting_for="Shipment",
        )
        items: list[BatchItem] = [
            ChangeSet((recorded(order_id, finance_number),)),
            *self._order_reads(order_id),
            ChangeSet((deal_row(deal, confirmed, quote_id=quote_id, order_id=order_id),)),
        ]
        if opportunity_id is not None:
            items.append(ChangeSet((win_opportunity(opportunity_id, quote_number, revenue),)))
        with self._forgetting(order_id):
            number, order, lines, row, *won = await self._dataverse.odata.batch(items)
            written = await self._numbered(number.error, await self._remember(order, lines), finance_number)
            row.check()
        asides = [_aside(each.error, "the opportunity stays open") for each in won]
        return WrittenOrder(written, tuple(note for note in asides if note))

    async def _numbered(self, error: DynamicsError | None, order: SalesOrder, number: str) -> SalesOrder:
        """The order with its number, after what Sales answered to the first attempt to write it."""
        if error is None:
            return order
        entity = order.business_unit.name if order.business_unit else ""
        qualified = f"{number}/{entity}"
        if error.code.lower() == NUMBER_TAKEN and entity:
            await self._change(ChangeSet((recorded(order.id, qualified),)))
            return await self.read_order(order.id)
        if error.code.lower() != READ_ONLY:
            raise error
        if order.finance_number in (number, qualified):
            return order
        if order.finance_number or order.state is not OrderState.SUBMITTED:
            raise error
        await self._change(ChangeSet((reopened(order.id), recorded(order.id, number))))
        return await self.read_order(order.id)

    async def write_shipment(self, order_id: UUID, shipped: Shipped, *, deal: DealOf) -> None:
        """Say that goods were shipped: the order is Fulfilled, in part or completely. Or that they came back.

        One request. How much of each line was shipped is not written: the lines of a submitted order are read-only. An
        order whose rest was cancelled stays Fulfilled in part; where nothing was shipped that Sales does not show, only
        the deal's own row changes.

        Args:
            order_id: The salesorder.
            shipped: What was shipped.
            deal: The deal.

        Raises:
            NotFound: the salesorder was deleted.
            Refused: the order is cancelled.
        """
        with self._forgetting(order_id):
            self._check_shipped(await self._dataverse.odata.batch(_shipping(order_id, shipped, deal)))

    def _check_shipped(self, answers: Sequence[BatchAnswer]) -> None:
        """What Sales made of a shipment: of the order, if anything left the house, and of the deal's row."""
        if len(answers) == 1:
            answers[0].check()
        else:
            self._check_closed(answers, _FULFILLED)

    async def cancel_order(self, order_id: UUID, finance_number: str, *, deal: DealOf) -> None:
        """Cancel an order that was cancelled in Finance; one that is cancelled, or was deleted, is left as it is.

        One request.

        Raises:
            Refused: the order is fulfilled or invoiced in Sales.
        """
        write = cancelled(order_id, f"Order {finance_number} was cancelled in Finance")
        row = deal_row(deal, Standing(stage=DealStage.CLOSED, waiting_for=""), order_id=order_id)
        try:
            with self._forgetting(order_id):
                answers = await self._dataverse.odata.batch(_closing(order_id, write, row))
                self._check_closed(answers, (OrderState.CANCELED,))
        except NotFound:
            return

    def _check_closed(self, answers: Sequence[BatchAnswer], ends: Collection[OrderState]) -> None:
        """What Sales made of closing an order, which an earlier attempt or a person may have done already."""
        closed, shown, order = answers
        state = self._dataverse.row(SalesOrder, order.value()).state
        done = closed.error is not None and closed.error.code.lower() == INVALID_STATE and state in ends
        if not done:
            closed.check()
        shown.check()

    # --- invoices --------------------------------------------------------------------------------------------------

    async def read_invoices(self, order_id: UUID, numbers: Sequence[str]) -> dict[str, InvoiceCopy]:
        """The copies Sales holds of an order's posted invoices, by their Finance numbers, in one batch."""
        reading = await self._dataverse.read({number: queries.invoice(copy_id(order_id, number)) for number in numbers})
        found = {number: reading.one(InvoiceCopy, number) for number in numbers}
        return {number: copy for number, copy in found.items() if copy is not None}

    async def write_invoices(
        self,
        order_id: UUID,
        invoices: Sequence[InvoiceToWrite],
        *,
        deal: DealOf,
        order_invoiced: bool,
        order_paid: bool = False,
        shipped: Shipped | None = None,
        progress: Progress = _unheard,
    ) -> None:
        """Copy posted invoices with their lines to Sales, each once; the order is Invoiced when nothing is left.

        What is paid by now is Paid from the beginning, and what was shipped with it is said in the same request. One
        request where all lines fit into one change set; else one for each `LINES_PER_CHANGE_SET` of them. More
        where copies exist already, or another legal entity's invoice has taken a number. One more where this process
        has not seen the order's lines, or has not asked for the organisation's price decimals within the hour.

        Args:
            order_id: The salesorder.
            invoices: What Finance posted, with lines.
            deal: The deal.
            order_invoiced: Nothing of the order is left to invoice.
            order_paid: Nothing of the order is left to pay.
            shipped: What was shipped that Sales does not show yet; None: nothing.
            progress: Told how many lines are written.

        Raises:
            Conflict: an invoice's number is taken even with its legal entity added, or the total that Sales computed
                for a copy is not the one Finance posted.
            NotFound: the salesorder was deleted.
            Refused: the order is cancelled.
        """
        order = await self.known_order(order_id)
        copies = InvoiceCopies(order, await self._price_decimals())
        standing = _PAID if order_paid else _INVOICED if order_invoiced else Standing()
        paid = [copy_id(order_id, i.number) for i in invoices if i.payment is PaymentChoice.PAID]
        after = (
            *((order_is_invoiced(order_id),) if order_invoiced else ()),
            *(invoice_state(each, PaymentChoice.PAID) for each in paid),
            *self._shown(order, invoices, deal, standing),
        )
        small = sum(len(invoice.lines) for invoice in invoices) <= LINES_PER_CHANGE_SET
        with self._forgetting(order_id):
            before = _shipping(order_id, shipped, deal) if shipped else []
            if small:
                try:
                    await self._copy(before, copies, invoices, after)
                    return
                except Conflict as conflict:
                    if conflict.code == COPY_DIFFERS:
                        raise
            elif before:
                self._check_shipped(await self._dataverse.odata.batch(before))
            done = 0
            for invoice in invoices:
                done = await self._copy_in_steps(copies, invoice, done, progress)
            await self._change(ChangeSet(after))

    def _shown(
        self, order: SalesOrder, invoices: Sequence[InvoiceToWrite], deal: DealOf, standing: Standing
    ) -> tuple[Write, ...]:
        """The rows that show what is open on invoices, and where their deal stands."""
        rows = [
            invoice_row(
                deal,
                copy_id=copy_id(order.id, invoice.number),
                number=invoice.number,
                open_amount=invoice.open_amount,
                payment=invoice.payment,
                order_id=order.id,
                currency_id=order.currency_id,
            )
            for invoice in invoices
        ]
        return (*rows, deal_row(deal, standing, order_id=order.id))

    async def _copy(
        self,
        before: list[BatchItem],
        copies: InvoiceCopies,
        invoices: Sequence[InvoiceToWrite],
        after: tuple[Write, ...],
    ) -> None:
        """Write whole invoices together, and compare what Sales made of them.

        Args:
            before: What is said of a shipment with it.
            copies: Makes their bodies.
            invoices: What Finance posted.
            after: What is written with them, once they are there.
        """
        writes = [Write("POST", "invoices", copies.whole(invoice)) for invoice in invoices]
        reads = [Read(queries.invoice(copy_id(copies.order.id, invoice.number))) for invoice in invoices]
        answers = await self._dataverse.odata.batch([*before, ChangeSet((*writes, *after)), *reads])
        if before:
            self._check_shipped(answers[: len(before)])
        written, *read = answers[len(before) :]
        written.check()
        for invoice, answer in zip(invoices, read, strict=True):
            _compare(self._dataverse.row(InvoiceCopy, answer.value()), invoice)

    async def _copy_in_steps(
        self, copies: InvoiceCopies, invoice: InvoiceToWrite, done: int, progress: Progress
    ) -> int:
        """Write what an invoice's copy lacks, header first; how many lines are written in all."""
        invoice_id = copy_id(copies.order.id, invoice.number)
        reading = await self._dataverse.read(
            {"copy": queries.invoice(invoice_id)}, {"lines": [queries.invoice_lines(invoice_id)]}
        )
        if reading.one(InvoiceCopy, "copy") is None:
            await self._begin_copy(copies, invoice)
        there = {UUID(str(row["invoicedetailid"])) for row in reading.rows("lines")}
        missing = [body for line_id, body in copies.lines(invoice) if line_id not in there]
        done += len(there)
        for chunk in chunks(missing, LINES_PER_CHANGE_SET):
            await self._change(ChangeSet(tuple(Write("POST", "invoicedetails", body) for body in chunk)))
            done += len(chunk)
            progress(done)
        after = (await self.read_invoices(copies.order.id, [invoice.number])).get(invoice.number)
        if after is not None:
            _compare(after, invoice)
        return done

    async def _begin_copy(self, copies: InvoiceCopies, invoice: InvoiceToWrite) -> None:
        """Write a copy's header; a number another legal entity took gets this one's name."""
        try:
            await self._change(ChangeSet((Write("POST", "invoices", copies.header(invoice)),)))
        except Conflict as conflict:
            if conflict.code.lower() != NUMBER_TAKEN:
                raise
            header = copies.header(invoice, qualified=True)
            await self._change(ChangeSet((Write("POST", "invoices", header),)))

    async def write_payments(
        self,
        order_id: UUID,
        invoices: Sequence[InvoiceToWrite],
        *,
        deal: DealOf,
        order_paid: bool,
        standing: Standing | None = None,
    ) -> None:
        """Show what is still open on each invoice; a paid one is set Paid, a reopened one Active again.

        One request; one more where this process has not seen the order. ``standing``: where the deal stands, if its
        stage is not what follows from ``order_paid``.

        Raises:
            NotFound: an invoice's copy is not in Sales.
        """
        order = await self.known_order(order_id)
        states = [invoice_state(copy_id(order_id, invoice.number), invoice.payment) for invoice in invoices]
        if standing is None:
            standing = _PAID if order_paid else Standing(payment=PaymentChoice.PARTIAL if invoices else None)
        with self._forgetting(order_id):
            await self._change(ChangeSet((*states, *self._shown(order, invoices, deal, standing))))

    async def show_deal(self, deal: DealOf, standing: Standing, *, quote_id: UUID | None = None) -> None:
        """Show where a deal stands whose quote can be written no more; it is related to ``quote_id``, where given."""
        await self._change(ChangeSet((deal_row(deal, standing, quote_id=quote_id),)))

    # --- inside ----------------------------------------------------------------------------------------------------

    async def _change(self, change_set: ChangeSet) -> None:
        """Send a change set that must succeed."""
        (answer,) = await self._dataverse.odata.batch([change_set])
        answer.check()

    @staticmethod
    def _order_reads(order_id: UUID) -> list[BatchItem]:
        return [Read(queries.order(order_id)), Read(queries.order_lines(order_id).path)]

    async def _remember(self, order: BatchAnswer, lines: BatchAnswer) -> SalesOrder:
        found = self._dataverse.row(SalesOrder, order.value())
        rows = await self._dataverse.rows_of(lines, ("salesorderdetailid",))
        whole = found.model_copy(update={"lines": tuple(self._dataverse.row(OrderLine, row) for row in rows)})
        if len(whole.lines) < LINES_REMEMBERED:
            self._orders[whole.id] = whole
        return whole

    @contextmanager
    def _forgetting(self, order_id: UUID) -> Iterator[None]:
        """Forget what is remembered of an order that turns out not to be as it was: the next attempt reads it."""
        try:
            yield
        except NotFound:
            self._orders.pop(order_id, None)
            raise


def _closing(order_id: UUID, write: Write, row: Write) -> list[BatchItem]:
    """Close an order for a reason, show it in the deal's row, and read what became of it."""
    return [ChangeSet((write,)), ChangeSet((row,)), Read(queries.order(order_id))]


def _shipping(order_id: UUID, shipped: Shipped, deal: DealOf) -> list[BatchItem]:
    """What is written of a shipment."""
    left = [slip for slip in shipped.slips if slip not in shipped.returned]
    row = deal_row(deal, _after_shipment(shipped, left), order_id=order_id)
    if not left:
        return [ChangeSet((row,))]
    return _closing(order_id, fulfil(order_id, f"Shipped: {', '.join(left)}", complete=shipped.complete), row)


def _after_shipment(shipped: Shipped, slips: Sequence[str]) -> Standing:
    """Where a deal stands when goods were shipped with ``slips``, came back, or will not be shipped any more."""
    if shipped.returned and not slips:
        return Standing(waiting_for="Credit note: goods came back")
    if shipped.complete:
        return Standing(stage=DealStage.INVOICE, fulfilment=FulfilmentChoice.SHIPPED, waiting_for="Invoice")
    if shipped.short:
        stage = DealStage.PAYMENT if shipped.invoiced else DealStage.INVOICE
        return Standing(stage=stage, fulfilment=FulfilmentChoice.PARTIAL, waiting_for=stage.name.capitalize())
    waits = None if slips else "Shipment"
    return Standing(stage=DealStage.FULFILMENT, fulfilment=FulfilmentChoice.PARTIAL, waiting_for=waits)


_FULFILLED = (OrderState.FULFILLED, OrderState.INVOICED)
_INVOICED = Standing(
    stage=DealStage.PAYMENT,
    fulfilment=FulfilmentChoice.INVOICED,
    payment=PaymentChoice.OPEN,
    waiting_for="Payment",
)
_PAID = Standing(stage=DealStage.CLOSED, fulfilment=FulfilmentChoice.CLOSED, payment=PaymentChoice.PAID, waiting_for="")

COPY_DIFFERS = "COPY_DIFFERS"
"""Our code for a copy whose total is not Finance's."""


def _compare(copy: InvoiceCopy, invoice: InvoiceToWrite) -> None:
    """Name a difference between what Finance posted and what Sales computed for its copy."""
    if copy.total != invoice.total:
        raise Conflict(
            f"the copy of invoice {invoice.number} in Sales comes to {copy.total:f} {invoice.currency}, Finance posted "
            f"{invoice.total:f}: correct the copy by {invoice.total - copy.total:f}",
            system=System.DATAVERSE,
            code=COPY_DIFFERS,
            operation="POST invoices",
        )


def _aside(error: DynamicsError | None, what: str) -> str:
    """What Sales would not do beside the order's number, in words; empty where it did, or had done before.

    Raises:
        DynamicsError: it did not refuse, but failed: another attempt may succeed.
    """
    if error is None or error.code.lower() == OPPORTUNITY_ALREADY_CLOSED:
        return ""
    if not isinstance(error, Refused | NotFound):
        raise error
    return f"{what}: {error.message}"
