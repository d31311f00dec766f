"""Finance's documents as this product reads them: all that was posted on one order, and what is new in a company."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import TypeVar

from dynamics.core.connection import Connection, Listing, Reading
from dynamics.core.errors import NotFound
from dynamics.core.literals import literal
from dynamics.finance import queries
from dynamics.finance.posted import (
    RETURN_ITEM,
    InvoiceMark,
    InvoiceOrigin,
    Origins,
    ReturnedLine,
    slips_of,
    sold_lots,
)
from dynamics.finance.queries import listing, of_company, same_text, valued
from dynamics.finance.records import (
    BillingRead,
    CreditHold,
    LineRest,
    OrderHeader,
    OrderLine,
    PostedInvoice,
    Slip,
    SlipLine,
    Transaction,
)
from dynamics.finance.settlements import Known
from dynamics.finance.settling import Settling, known_listings
from dynamics.finance.swept import CancelledOrder, OpenInvoice, Sweep

D = TypeVar("D", Slip, PostedInvoice)

_SLIPS, _INVOICES = "CustPackingSlipTransBiEntities", "SalesInvoiceHeadersV4"
_LINES = "SalesInvoiceLinesV4"
_LONGEST_ORDER_NUMBER = 20


class Documents:
    """Reads documents through one connection to Finance."""

    def __init__(self, connection: Connection) -> None:
        """Nothing is read yet."""
        self._connection = connection

    async def of_order(self, company: str, order_number: str, known: Known) -> BillingRead:
        """An order as it is now, with its packing slips, invoices and credit notes, and what is open on them.

        One batch, in this order: what is ordered and left first, what was posted after it, what is open last. What is
        posted meanwhile is then seen by a later look, and never taken for a cancellation or a payment. A second request
        where there are return orders, an invoice over several orders, or an invoice that was not told of before; a
        third where that brings such an invoice; up to three where something was settled by payments not known before.

        Args:
            company: Legal entity, lower case.
            order_number: SalesOrderNumber.
            known: What is known of it already.

        Raises:
            NotFound: no such order.
        """
        header, reading = await self._order(company, order_number, known)
        returned, rests = reading.all(ReturnedLine, "returned"), reading.all(LineRest, "rests")
        sold = sold_lots(returned, rests)
        returns = {line.return_number for line in returned}
        slips, posted = reading.all(SlipLine, "slips"), reading.all(PostedInvoice, "invoices")
        origins = Origins(order_number, reading.all(InvoiceOrigin, "origins"), sold)
        marks = reading.all(InvoiceMark, "marks")
        transactions = reading.all(Transaction, "transactions")
        seen = {invoice.number.casefold() for invoice in posted}
        over_several = [number for number in origins.invoices if number not in seen]
        unopened = _unseen(posted, transactions)
        if returns or over_several or unopened:
            later = await self._connection.read(
                collections=_of_returns(company, returns)
                | {
                    "several": valued(_INVOICES, company, "InvoiceNumber", over_several, expand=_LINES),
                    "transactions": _transactions(company, [*unopened, *over_several]),
                }
            )
            slips = (*slips, *later.all(SlipLine, "slips"))
            found = (*later.all(PostedInvoice, "invoices"), *later.all(PostedInvoice, "several"))
            posted = (*posted, *(i for i in found if i.number.casefold() not in seen))
            rows = (*reading.all(InvoiceOrigin, "origins"), *later.all(InvoiceOrigin, "origins"))
            origins = Origins(order_number, rows, sold)
            marks = (*marks, *later.all(InvoiceMark, "marks"))
            transactions = (*transactions, *later.all(Transaction, "transactions"))
        corrections = {mark.invoice.casefold() for mark in marks if mark.correction}
        own = [share for invoice in posted if (share := origins.of(invoice, corrections)) is not None]
        if left := _unseen(own, transactions, but=unopened):
            last = await self._connection.read(collections={"transactions": _transactions(company, left)})
            transactions = (*transactions, *last.all(Transaction, "transactions"))
        read = BillingRead(
            header=header,
            lines=tuple(line for line in reading.all(OrderLine, "lines") if line.lot not in sold),
            rests={r.lot: r for r in rests if same_text(r.order_number, order_number) and r.lot not in sold},
            slips=slips_of(order_number, slips, sold),
            invoices=tuple(own),
            transactions=transactions,
            hold=reading.one(CreditHold, "hold"),
        )
        return await self._settled(company, read, reading, known)

    async def _settled(self, company: str, read: BillingRead, reading: Reading, known: Known) -> BillingRead:
        """The same with what settled its documents."""
        billed = [t for invoice in read.invoices if (t := read.transaction(invoice)) is not None]
        settling = Settling(company, billed, reading, (*known.records, *known.payments))
        settling.add(read.transactions)
        settlements, payments = await settling.complete(self._connection)
        return read.model_copy(update={"settlements": settlements, "payments": payments})

    async def _order(self, company: str, number: str, known: Known) -> tuple[OrderHeader, Reading]:
        of = of_company(company)
        reading = await self._connection.read(
            {"header": queries.order(company, number), "hold": queries.credit_hold(company, number)},
            {
                "lines": [queries.order_lines(company, number)],
                "rests": [queries.line_rests(company, number)],
                "returned": [queries.returned_lines(company, number)],
                "slips": [listing(_SLIPS, f"{of} and SalesId eq {literal(number)}")],
                "invoices": [listing(_INVOICES, f"{of} and SalesOrderNumber eq {literal(number)}", expand=_LINES)],
                "origins": queries.invoice_origins(company, [number]),
                "marks": queries.invoice_marks(company, [number]),
                "transactions": _transactions(company, known.invoices),
                **known_listings(company, known),
            },
        )
        header = reading.one(OrderHeader, "header")
        if header is None:
            raise NotFound(
                f"Finance company {company} has no order {number}",
                system=self._connection.system,
                operation="read_billing",
            )
        return header, reading

    async def sweep(self, company: str, *, slips: date, invoices: date, settled: date, cancelled: date) -> Sweep:
        """What was posted in a company, each kind of document since a day of its own (of the company's calendar), the
        orders cancelled since, and those that credit management holds now.

        One batch; a second one where an invoice that was settled, or is open again, is older than the day, to learn its
        order; one more where there are documents of return orders or invoices over several orders, to learn which. A
        row that is not as expected is named in `unreadable`; it does not keep the others back.
        """
        of = of_company(company)
        reading = await self._connection.read(
            collections={
                "slips": [listing("CustPackingSlipJourBiEntities", f"{of} and DeliveryDate ge {_midnight(slips)}")],
                "invoices": [listing(_INVOICES, f"{of} and InvoiceDate ge {_midnight(invoices)}")],
                "settled": [listing("CustTransactions", f"{of} and LastSettleDate ge {_midnight(settled)}")],
                "opened": [queries.changed_while_open(company, settled)],
                "prepayments": [queries.prepayments(company, settled)],
                "holds": [queries.credit_holds(company)],
                "cancelled": [queries.cancelled_orders(company, cancelled)],
            }
        )
        unreadable: list[str] = []
        shipped = reading.readable(Slip, "slips", unreadable)
        posted = reading.readable(PostedInvoice, "invoices", unreadable)
        touched = reading.readable(Transaction, "settled", unreadable)
        changed = tuple(transaction for transaction in touched if transaction.invoice)
        opened = tuple(row for row in reading.readable(OpenInvoice, "opened", unreadable) if row.invoice)
        concerned = {row.invoice for row in changed} | {row.invoice for row in opened}
        older = concerned - {invoice.number for invoice in posted}
        known: tuple[PostedInvoice, ...] = ()
        if older:
            found = await self._connection.read(
                collections={"invoices": valued(_INVOICES, company, "InvoiceNumber", older)}
            )
            known = found.readable(PostedInvoice, "invoices", unreadable)
        sold, shared = await self._of_other_numbers(company, shipped, (*posted, *known), unreadable)
        orders = {i.number: sold.get(i.order_number.casefold(), i.order_number) for i in (*posted, *known)}
        return Sweep(
            slips=tuple(_renamed(slip, sold) for slip in shipped),
            invoices=tuple(_renamed(invoice, sold) for invoice in posted),
            settled=changed,
            opened=opened,
            prepayments=tuple(t for t in reading.readable(Transaction, "prepayments", unreadable) if _names_order(t)),
            payment_ids={t.voucher: t.payment_id for t in touched if t.payment_id},
            settled_orders={number: orders[number] for number in concerned if orders.get(number)},
            holds=tuple(h for h in reading.readable(CreditHold, "holds", unreadable) if h.holds),
            cancelled=reading.readable(CancelledOrder, "cancelled", unreadable),
            shared=shared,
            unreadable=tuple(unreadable),
        )

    async def _of_other_numbers(
        self, company: str, slips: Iterable[Slip], invoices: Sequence[PostedInvoice], unreadable: list[str]
    ) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
        """The orders of documents that name another: those sold, by return order, and those on invoices over several.

        No request where there are no such documents.
        """
        returns = _returns_in(slips, invoices)
        over_several = {invoice.number for invoice in invoices if not invoice.order_number}
        if not returns and not over_several:
            return {}, {}
        reading = await self._connection.read(
            collections={
                "returned": queries.lines_of_returns(company, returns),
                "origins": queries.orders_of_invoices(company, over_several),
            }
        )
        sold = _sold_orders(reading.readable(ReturnedLine, "returned", unreadable))
        return sold, _shared(reading.readable(InvoiceOrigin, "origins", unreadable))

    async def orders_of(self, company: str, invoices: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """The orders on invoices, by the invoices' numbers; one of no order (a free-text invoice) is left out."""
        reading = await self._connection.read(collections={"origins": queries.orders_of_invoices(company, invoices)})
        return _shared(reading.all(InvoiceOrigin, "origins"))

    async def sold_orders(self, company: str, returns: Iterable[str]) -> dict[str, str]:
        """The sales orders whose goods came back, by the numbers of return orders in lower case; one that is no return
        order is left out.
        """
        reading = await self._connection.read(collections={"returned": queries.lines_of_returns(company, returns)})
        return _sold_orders(reading.all(ReturnedLine, "returned"))


def _sold_orders(lines: Iterable[ReturnedLine]) -> dict[str, str]:
    return {line.return_number.casefold(): line.order_number for line in lines if line.order_number}


def _shared(rows: Iterable[InvoiceOrigin]) -> dict[str, tuple[str, ...]]:
    """The orders by invoice."""
    orders: dict[str, dict[str, None]] = {}
    for row in rows:
        if row.order_number:
            orders.setdefault(row.invoice, {})[row.order_number] = None
    return {invoice: tuple(of) for invoice, of in orders.items()}


def _of_returns(company: str, returns: Iterable[str]) -> dict[str, list[Listing]]:
    """What was posted on return orders."""
    return {
        "slips": valued(_SLIPS, company, "SalesId", returns),
        "invoices": valued(_INVOICES, company, "SalesOrderNumber", returns, expand=_LINES),
        "origins": queries.invoice_origins(company, returns),
        "marks": queries.invoice_marks(company, returns),
    }


def _unseen(
    invoices: Iterable[PostedInvoice], transactions: Sequence[Transaction], *, but: Iterable[str] = ()
) -> list[str]:
    """Invoices whose customer transaction was not read; ``but`` these, which were looked for in vain."""
    seen = {transaction.invoice.casefold() for transaction in transactions} | {number.casefold() for number in but}
    return [invoice.number for invoice in invoices if invoice.number.casefold() not in seen]


def _transactions(company: str, invoices: Iterable[str]) -> list[Listing]:
    return valued("CustTransactions", company, "Invoice", invoices)


def _returns_in(slips: Iterable[Slip], invoices: Iterable[PostedInvoice]) -> set[str]:
    """Orders of a sweep that may be return orders: those of slips of such, and of credit notes."""
    of_slips = {slip.order_number for slip in slips if slip.kind == RETURN_ITEM}
    return (of_slips | {invoice.order_number for invoice in invoices if invoice.total < 0}) - {""}


def _renamed(document: D, sold: dict[str, str]) -> D:
    """A document of a return order under the number of the order that was sold."""
    order = sold.get(document.order_number.casefold())
    return document if order is None else document.model_copy(update={"order_number": order})


def _names_order(prepayment: Transaction) -> bool:
    """Whether a prepayment may name an order: a reference is any text, an order's number is short."""
    return prepayment.amount < 0 and 0 < len(prepayment.reference) <= _LONGEST_ORDER_NUMBER


def _midnight(day: date) -> str:
    return f"{day.isoformat()}T00:00:00Z"
