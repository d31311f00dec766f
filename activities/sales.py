"""What a deal tells Dynamics 365 Sales: approval, order, shipments, invoices and payments, each in one write.

The deal knows its lines by number, Sales by the lines of the quote: that translation is made here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from uuid import UUID

from temporalio import activity

from activities import signatures as ask_for
from activities.change_signatures import SalesChangeActivities, ShowCancelling, ShowOrdered
from activities.collecting import Collecting
from activities.failures import for_deal, refused
from activities.heartbeat import note_progress
from activities.postings import Postings
from activities.signatures import FailureType, Nothing, SalesActivities
from activities.snapshots import SalesQuotes, accepted_at
from domain.assessment import QuoteInSales
from domain.collections import InvoicesShown
from domain.fulfilment import Invoice, InvoicedLine
from dynamics.core.errors import NotFound, Refused
from dynamics.sales import records as sales
from dynamics.sales.client import Dataverse
from dynamics.sales.deal_rows import DealOf, Standing
from dynamics.sales.mirror import READ_ONLY, Shipped
from dynamics.sales.options import (
    QUOTE_STATE_NAMES,
    ApprovalChoice,
    CreditChoice,
    DealStage,
    QuoteState,
    QuoteStatus,
)
from runs import names

CLOSE_STATUS = {
    "expired": QuoteStatus.CANCELED,
    "cancelled": QuoteStatus.CANCELED,
    "lost": QuoteStatus.LOST,
}
"""Status a quote is closed with. Sales has none for expiry: the closing activity's subject says it."""

CREDIT_CHOICES = {
    "passed": CreditChoice.PASSED,
    "held": CreditChoice.HELD,
    "released": CreditChoice.RELEASED,
}
"""States of the credit decision that a rep sees on the quote."""


class DataverseSalesActivities(SalesActivities, SalesChangeActivities):
    """The activities on Sales' queue."""

    def __init__(
        self,
        dataverse: Dataverse,
        quotes: SalesQuotes,
        postings: Postings,
        page_of: Callable[[str, str], str],
        collecting: Collecting | None = None,
    ) -> None:
        """Bring together what is needed to write to Sales.

        Args:
            dataverse: Client of Sales.
            quotes: Knows which salesorder a quote became, and its lines' numbers.
            postings: Knows the lines of invoices posted in Finance, or reads them.
            page_of: Address of the page of a deal, by company and quote number.
            collecting: Tells the account that is billed; None: nobody is told.
        """
        self._dataverse = dataverse
        self._quotes = quotes
        self._postings = postings
        self._page_of = page_of
        self._collecting = collecting

    @activity.defn(name="mark_quote")
    async def mark_quote(self, mark: ask_for.MarkQuote) -> Nothing:
        """Write approval and credit status of a quote. Never creates a quote.

        A quote that is won or closed takes no column any more: then credit, and why the deal waits, stand in the
        deal's row.
        """
        quote_id = UUID(mark.quote.quote_id)
        credit = CreditChoice[mark.credit_status.upper()] if mark.credit_status else None
        with for_deal():
            try:
                await self._dataverse.set_quote_approval(
                    quote_id,
                    ApprovalChoice[mark.approval_status.upper()],
                    reason=mark.reason,
                    deal_id=mark.deal_id,
                    credit=credit,
                )
            except Refused as refusal:
                if refusal.code.lower() != READ_ONLY:
                    raise
                stage = DealStage.CREDIT if credit is CreditChoice.HELD and not mark.ordered else None
                standing = Standing(stage=stage, credit=credit, waiting_for=mark.reason)
                await self._dataverse.mirror.show_deal(self._deal(), standing, quote_id=quote_id)
        return Nothing()

    @activity.defn(name="read_quote")
    async def read_quote(self, ask: ask_for.ReadQuote) -> QuoteInSales:
        """Read where a quote stands; one that was deleted is gone."""
        with for_deal():
            try:
                quote = await self._dataverse.read_quote(UUID(ask.quote.quote_id))
            except NotFound:
                return QuoteInSales(state="gone")
        won = quote.state is QuoteState.WON
        return QuoteInSales(state=QUOTE_STATE_NAMES[quote.state], accepted_at=accepted_at(quote) if won else None)

    @activity.defn(name="close_quote")
    async def close_quote(self, close: ask_for.CloseQuote) -> Nothing:
        """Close an open quote; a quote that is closed already, or was deleted, is left as it is."""
        quote_id = UUID(close.quote.quote_id)
        with for_deal():
            try:
                await self._dataverse.close_quote(quote_id, CLOSE_STATUS[close.reason], close.text)
            except NotFound:
                return Nothing()
            except Refused:
                quote = await self._dataverse.read_quote(quote_id)
                if quote.state is not QuoteState.CLOSED:
                    raise
        return Nothing()

    @activity.defn(name="record_order")
    async def record_order(self, order: ask_for.RecordOrder) -> ask_for.RecordedOrder:
        """Write the Finance order number to the salesorder (made from the quote if need be), win the opportunity."""
        with for_deal():
            order_id = UUID(order.sales_order_id) if order.sales_order_id else await self._order_of(order.quote)
            try:
                written = await self._dataverse.mirror.write_order(
                    order_id,
                    order.order_number,
                    deal=self._deal(),
                    quote_id=UUID(order.quote.quote_id),
                    credit=CREDIT_CHOICES.get(order.credit_status),
                    opportunity_id=UUID(order.opportunity_id) if order.opportunity_id else None,
                    revenue=order.revenue,
                    quote_number=order.quote.quote_number,
                )
            except NotFound:
                self._quotes.forget(order.quote.quote_id)
                raise
        return ask_for.RecordedOrder(sales_order_id=str(order_id), notes=written.notes)

    @activity.defn(name="record_shipment")
    async def record_shipment(self, shipment: ask_for.RecordShipment) -> Nothing:
        """Say that the order was shipped, in part or completely, or that goods came back."""
        with for_deal():
            await self._dataverse.mirror.write_shipment(
                UUID(shipment.sales_order_id), _shipped(shipment), deal=self._deal()
            )
        return Nothing()

    @activity.defn(name="cancel_sales_order")
    async def cancel_sales_order(self, cancel: ask_for.CancelSalesOrder) -> Nothing:
        """Cancel the order in Sales; one that is cancelled already, or was deleted, is left as it is."""
        with for_deal():
            await self._dataverse.mirror.cancel_order(
                UUID(cancel.sales_order_id), cancel.order_number, deal=self._deal()
            )
        return Nothing()

    @activity.defn(name="record_invoice")
    async def record_invoice(self, invoice: ask_for.RecordInvoice) -> Nothing:
        """Write copies of posted invoices, each once, and compare what Sales makes of them with what was posted; with
        them what was shipped and paid, as far as it is known by now.

        The account that is billed is told first: what is collected does not hang on Sales.
        """
        await self._tell_account(invoice.collect)
        with for_deal():
            ids = await self._quotes.line_ids(invoice.quote_id)
            lines = await self._postings.lines(invoice.company, invoice.order_number, invoice.invoices)
            await self._dataverse.mirror.write_invoices(
                UUID(invoice.sales_order_id),
                [to_write(posted, lines[posted.invoice_number], ids) for posted in invoice.invoices],
                deal=self._deal(),
                order_invoiced=invoice.order_invoiced,
                order_paid=invoice.order_paid,
                shipped=_shipped(invoice.shipment) if invoice.shipment else None,
                progress=note_progress,
            )
        return Nothing()

    @activity.defn(name="record_payment")
    async def record_payment(self, payment: ask_for.RecordPayment) -> Nothing:
        """Write open amounts and payment status of invoices; the account that is billed is told first."""
        await self._tell_account(payment.collect)
        with for_deal():
            await self._dataverse.mirror.write_payments(
                UUID(payment.sales_order_id),
                [to_write(posted) for posted in payment.invoices],
                deal=self._deal(),
                order_paid=payment.order_paid,
            )
        return Nothing()

    async def _tell_account(self, news: InvoicesShown | None) -> None:
        if news is not None and self._collecting is not None:
            await self._collecting.show(news)

    async def _order_of(self, ref: ask_for.QuoteRef) -> UUID:
        """The salesorder of a quote: remembered, read, or made."""
        known = self._quotes.order_of(ref.quote_id)
        if known is not None:
            return known
        _, quote = await self._quotes.read(ref.quote_id)
        if quote.state not in (QuoteState.WON, QuoteState.ACTIVE):
            raise refused(
                FailureType.CONFLICT, f"quote {ref.quote_number} is not won: no salesorder can be made from it"
            )
        return (await self._dataverse.convert_quote(quote)).id

    @activity.defn(name="show_cancelling")
    async def show_cancelling(self, show: ShowCancelling) -> Nothing:
        """Say on the deal's own row what it waits for; the order itself is left as it is."""
        with for_deal():
            standing = Standing(waiting_for="Cancellation in Finance")
            await self._dataverse.mirror.show_deal(self._deal(), standing, quote_id=UUID(show.quote_id))
        return Nothing()

    @activity.defn(name="show_ordered")
    async def show_ordered(self, show: ShowOrdered) -> Nothing:
        """Say on the deal's own row what Finance has of the order; its lines in Sales are read-only."""
        with for_deal():
            standing = Standing(ordered_in_finance="\n".join(show.changes))
            await self._dataverse.mirror.show_deal(self._deal(), standing, quote_id=UUID(show.quote_id))
        return Nothing()

    def _deal(self) -> DealOf:
        """The deal this activity runs for."""
        info = activity.info()
        deal_id = info.workflow_id or ""
        return DealOf(deal_id, info.scheduled_time, self._page_of(*names.parse_deal_id(deal_id)))


def _shipped(shipment: ask_for.RecordShipment) -> Shipped:
    return Shipped(
        slips=shipment.slips,
        complete=shipment.complete,
        short=shipment.short,
        invoiced=shipment.invoiced,
        returned=shipment.returned,
    )


def to_write(
    invoice: Invoice, lines: Sequence[InvoicedLine] = (), ids: Mapping[int, UUID] = MappingProxyType({})
) -> sales.InvoiceToWrite:
    """A posted invoice as it is copied to Sales.

    Args:
        invoice: As the deal knows it.
        lines: Its lines by the deal's numbers; none where only what is open is written.
        ids: Ids of the quote's lines in Sales, by number.
    """
    return sales.InvoiceToWrite(
        number=invoice.invoice_number,
        currency=invoice.currency,
        invoiced_on=invoice.invoiced_on.date(),
        due_on=invoice.due_on.date() if invoice.due_on else None,
        net=invoice.net,
        tax=invoice.tax,
        total=invoice.total,
        open_amount=invoice.open_amount,
        share=invoice.share,
        lines=tuple(
            sales.InvoiceLineToWrite(
                line_no=line.line_no,
                quote_line_id=ids.get(line.line_no),
                item=line.item,
                quantity=line.quantity,
                price=line.price,
                net=line.net,
                tax=line.tax,
            )
            for line in lines
        ),
    )
