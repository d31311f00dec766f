"""Looks at a deal that ended: what its run left, what Finance holds now, and what Sales shows of it.

What Finance holds is shown in Sales at once, whatever a person does about it afterwards. Everything may be repeated:
documents are read anew each time, and what Sales shows already is not written again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from temporalio import activity

from activities.after_end_signatures import AfterEndActivities
from activities.billing_view import billing
from activities.collecting import Collecting
from activities.delivery import temporal_failures
from activities.failures import for_deal
from activities.postings import Postings
from activities.sales import to_write
from activities.snapshots import SalesQuotes
from domain.after_end import (
    MOST_DOCUMENTS,
    EndedDeal,
    FoundAfterEnd,
    LateDocument,
    LookAfterEnd,
    Matter,
    changed_documents,
)
from domain.fulfilment import Invoice
from domain.invoices_told import invoices_told
from domain.views import DealView, Ending
from dynamics.core.errors import Conflict, NotFound, Refused
from dynamics.finance.settlements import Known
from dynamics.sales.changes import SalesChanges
from dynamics.sales.client import Dataverse
from dynamics.sales.deal_rows import DealOf, Standing
from dynamics.sales.options import InvoiceState, OpportunityState, PaymentChoice, QuoteState
from dynamics.sales.records import InvoiceCopy
from runs import calls, names
from runs.deals import Deals

_ENDURED: Final = (NotFound, Refused, Conflict)
"""What Sales answers when a person has to correct something there; all else passes."""
_LONGEST: Final = 500


class AfterEndWork(AfterEndActivities):
    """The activity of the receivers of late reports."""

    def __init__(
        self,
        deals: Deals,
        postings: Postings,
        dataverse: Dataverse,
        quotes: SalesQuotes,
        changes: SalesChanges,
        page_of: Callable[[str, str], str],
        collecting: Collecting,
    ) -> None:
        """Bring together what is needed.

        Args:
            deals: Know what a deal ended with.
            postings: Reads what Finance posted.
            dataverse: Client of Sales.
            quotes: Knows the lines' ids of a quote.
            changes: Reads how records of Sales stand.
            page_of: Address of the page of a deal, by company and quote number.
            collecting: Tells accounts what is open on their invoices.
        """
        self._deals = deals
        self._postings = postings
        self._dataverse = dataverse
        self._quotes = quotes
        self._changes = changes
        self._page_of = page_of
        self._collecting = collecting

    @activity.defn(name="look_after_end")
    async def look_after_end(self, look: LookAfterEnd) -> FoundAfterEnd:
        """Compare a deal that ended with Finance and Sales, and show in Sales what Finance holds now."""
        if look.deal is not None:
            found = FoundAfterEnd(deal=look.deal, known=look.known)
        else:
            found = await self._ended(look)
        if found.deal is None:
            return found
        with for_deal():
            if Matter.MONEY in look.matters:
                found = await self._money(found, found.deal)
            if found.deal and found.deal.ending is Ending.CLOSED:
                found = found.model_copy(update={"in_sales": await self._in_sales(found.deal, look.matters)})
        return found

    async def _ended(self, look: LookAfterEnd) -> FoundAfterEnd:
        """What the deal's run left."""
        try:
            with temporal_failures():
                view = await self._deals.ended_with(look.company, look.quote_number)
        except (calls.NotFound, calls.Unreadable) as error:
            return FoundAfterEnd(nothing=error.detail)
        if view is None:
            return FoundAfterEnd(running=True)
        return FoundAfterEnd(deal=EndedDeal.of(view), known=open_at_the_end(view))

    # --- Finance, and what Sales shows of it -----------------------------------------------------------------------

    async def _money(self, found: FoundAfterEnd, deal: EndedDeal) -> FoundAfterEnd:
        if not deal.order_number:
            return found.model_copy(update={"nothing": "the deal ended without an order in Finance"})
        try:
            as_of = datetime.now(UTC)
            read = await self._postings.read(deal.company, deal.order_number, Known(sorted(found.known)))
        except NotFound:
            return found.model_copy(update={"nothing": f"Finance has no order {deal.order_number} any more"})
        invoices = billing(read).invoices
        changed = changed_documents(
            found.known, ((i.invoice_number, i.total, i.open_amount, i.currency) for i in invoices)
        )
        standing = [document for document in changed if document.stands_open]
        await self._tell_account(deal, read.header.billed, invoices, as_of)
        return found.model_copy(
            update={
                "documents": changed[:MOST_DOCUMENTS],
                "more_documents": max(0, len(standing) - MOST_DOCUMENTS),
                "open_amount": sum((document.open_amount for document in standing), Decimal(0)),
                "not_shown": await self._show(deal, invoices, changed),
            }
        )

    async def _tell_account(self, deal: EndedDeal, account: str, invoices: Sequence[Invoice], as_of: datetime) -> None:
        """Tell the account that is billed what is open now: what is overdue again is collected again."""
        news = invoices_told(
            deal.company,
            account,
            [invoice for invoice in invoices if not invoice.is_credit],
            order_number=deal.order_number,
            quote_number=deal.quote_number,
            as_of=as_of,
            customer_name=deal.customer_name if account == deal.customer else "",
            owner=deal.owner.named,
        )
        if news is not None:
            await self._collecting.show(news)

    async def _show(self, deal: EndedDeal, invoices: Sequence[Invoice], changed: Sequence[LateDocument]) -> str:
        """Bring Sales up to date; why it does not take it, empty where it shows all."""
        if not deal.sales_order_id:
            return "the deal left no order in Sales" if changed else ""
        order_id = UUID(deal.sales_order_id)
        try:
            copies = await self._dataverse.mirror.read_invoices(order_id, [i.invoice_number for i in invoices])
            due = _due(invoices, copies, {document.number for document in changed})
            if due.missing:
                await self._copy(deal, order_id, due.missing)
            if due.payments:
                await self._dataverse.mirror.write_payments(
                    order_id,
                    [to_write(posted) for posted in due.payments],
                    deal=self._deal(deal),
                    order_paid=False,
                    standing=_standing(invoices),
                )
        except _ENDURED as error:
            return str(error)[:_LONGEST]
        return ""

    async def _copy(self, deal: EndedDeal, order_id: UUID, missing: Sequence[Invoice]) -> None:
        ids = await self._quotes.line_ids(deal.quote_id)
        lines = await self._postings.lines(deal.company, deal.order_number, missing)
        await self._dataverse.mirror.write_invoices(
            order_id,
            [to_write(posted, lines[posted.invoice_number], ids) for posted in missing],
            deal=self._deal(deal),
            order_invoiced=False,
        )

    def _deal(self, deal: EndedDeal) -> DealOf:
        at = activity.info().scheduled_time
        page = self._page_of(deal.company, deal.quote_number)
        return DealOf(names.deal_id(deal.company, deal.quote_number), at, page)

    # --- Sales -----------------------------------------------------------------------------------------------------

    async def _in_sales(self, deal: EndedDeal, matters: Collection[Matter]) -> tuple[Matter, ...]:
        """The records of Sales that are not as a closed deal left them, of those that are asked for."""
        wrong: list[Matter] = []
        if Matter.SALES_ORDER in matters and deal.sales_order_id:
            orders = await self._changes.orders_of([UUID(deal.quote_id)])
            own = UUID(deal.sales_order_id)
            wrong += [Matter.SALES_ORDER] if any(order.id == own and order.cancelled for order in orders) else []
        if Matter.OPPORTUNITY in matters and deal.opportunity_id:
            found = (await self._changes.now("opportunity", [UUID(deal.opportunity_id)])).opportunities
            wrong += [Matter.OPPORTUNITY] if any(o.state != OpportunityState.WON for o in found) else []
        if Matter.QUOTE in matters:
            quotes = (await self._changes.now("quote", [UUID(deal.quote_id)])).quotes
            wrong += [] if any(quote.state is QuoteState.WON for quote in quotes) else [Matter.QUOTE]
        return tuple(wrong)


def open_at_the_end(view: DealView) -> dict[str, Decimal]:
    """What was open on each invoice and credit note when a deal ended, by number."""
    return {d.number: d.open_amount for d in view.documents if d.system == "Finance" and d.open_amount is not None}


@dataclass(frozen=True, slots=True)
class _Due:
    """What Sales does not show yet."""

    missing: tuple[Invoice, ...]
    """Documents without a copy."""
    payments: tuple[Invoice, ...]
    """Documents whose open amount it may show otherwise."""


def _due(invoices: Sequence[Invoice], copies: dict[str, InvoiceCopy], changed: Collection[str]) -> _Due:
    missing = tuple(invoice for invoice in invoices if invoice.invoice_number not in copies)
    payments = []
    for invoice in invoices:
        copy = copies.get(invoice.invoice_number)
        paid = copy is not None and copy.state is InvoiceState.PAID
        if paid != (invoice.open_amount == 0) or (invoice.invoice_number in changed and not paid):
            payments.append(invoice)
    return _Due(missing, tuple(payments))


def _standing(invoices: Sequence[Invoice]) -> Standing:
    """What Sales shows of the deal: it has ended, and money may be open all the same."""
    if all(invoice.open_amount == 0 for invoice in invoices):
        return Standing(payment=PaymentChoice.PAID, waiting_for="")
    untouched = all(invoice.open_amount == invoice.total for invoice in invoices)
    payment = PaymentChoice.OPEN if untouched else PaymentChoice.PARTIAL
    return Standing(payment=payment, waiting_for="Payment, open after the deal had ended")
