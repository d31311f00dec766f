"""What Finance posted on an order, put together: goods that came back, credits, invoices over several orders.

A return order has a number and lots of its own, and so have its packing slips and credit notes. A credit note without
one adds lines with negative quantities to the order, with lots of their own. An invoice over several orders names none.
Which order and line each of their rows belongs to is told by other rows beside them. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from pydantic import Field

from dynamics.core.rows import FinanceInstant, ReadRow, YesNo
from dynamics.finance.queries import same_text
from dynamics.finance.records import InvoiceLine, LineRest, PostedInvoice, SlipLine

RETURN_ITEM = "ReturnItem"
"""SalesType of a return order's packing slip."""


class ReturnedLine(ReadRow):
    """ReturnOrderLinesV2: a line of a return order, and what was sold that comes back with it."""

    return_number: str = Field(alias="ReturnOrderNumber")
    lot: str = Field(alias="ReturnInventoryLotId", description="Of the return order's line")
    sold_lot: str = Field("", alias="ReturningInventoryLotId")
    order_number: str = Field("", alias="ReferenceNumber", description="The sales order")


class InvoiceOrigin(ReadRow):
    """CustInvoiceTransBiEntities: which order and lot a line of an invoice bills."""

    invoice: str = Field(alias="InvoiceId")
    invoiced_on: FinanceInstant = Field(alias="InvoiceDate")
    sequence: int = Field(alias="LineCreationSequenceNumber")
    order_number: str = Field("", alias="SalesId")
    lot: str = Field("", alias="InventTransId")


class InvoiceMark(ReadRow):
    """CustInvoiceJourBiEntities: whether a document takes an invoice back as if it had not been posted."""

    invoice: str = Field(alias="InvoiceId")
    correction: YesNo = Field(False, alias="IsCorrection")


Place = tuple[str, datetime, int]
"""Invoice, its date and a line's number: what tells a posted line from every other."""


def sold_lots(returned: Iterable[ReturnedLine], rests: Iterable[LineRest]) -> dict[str, str]:
    """The lots that were sold, by those of the lines that take them back.

    Args:
        returned: lines of return orders.
        rests: lines of the order; those that credit notes added name what was sold.
    """
    of_returns = {line.lot: line.sold_lot for line in returned}
    return of_returns | {rest.lot: rest.sold_lot for rest in rests if rest.sold_lot}


def slips_of(order_number: str, rows: Iterable[SlipLine], sold: Mapping[str, str]) -> tuple[SlipLine, ...]:
    """Rows of an order's packing slips, those of goods that came back by the lot that was sold.

    Args:
        order_number: SalesOrderNumber.
        rows: of the order, and of return orders, which may take back goods of other orders as well.
        sold: the order's lots by those of the lines that take them back.
    """
    kept = []
    for row in rows:
        if row.lot in sold:
            kept.append(row.model_copy(update={"lot": sold[row.lot]}))
        elif same_text(row.order_number, order_number):
            kept.append(row)
    return tuple(kept)


class Origins:
    """Which order and lot each line of some invoices bills."""

    def __init__(self, order_number: str, rows: Iterable[InvoiceOrigin], sold: Mapping[str, str]) -> None:
        """Know the lines of one order.

        Args:
            order_number: SalesOrderNumber.
            rows: of the order and of return orders.
            sold: the order's lots by those of the lines that take them back.
        """
        self._order = order_number.casefold()
        self._sold = sold
        self._lots = {
            (row.invoice.casefold(), row.invoiced_on, row.sequence): self._sold.get(row.lot, row.lot)
            for row in rows
            if row.order_number.casefold() == self._order or row.lot in self._sold
        }

    @property
    def invoices(self) -> dict[str, None]:
        """The invoices on which something of the order is, in lower case."""
        return dict.fromkeys(invoice for invoice, _, _ in self._lots)

    def of(self, invoice: PostedInvoice, corrections: Collection[str]) -> PostedInvoice | None:
        """An invoice as it concerns the order: whole, or the order's share of it; None: nothing of the order is on it.

        Args:
            invoice: with its lines.
            corrections: documents that take an invoice back, in lower case.
        """
        told = [self._lots.get(_place(invoice, line), "") for line in invoice.lines]
        lines = tuple(line.model_copy(update={"lot": lot}) for line, lot in zip(invoice.lines, told, strict=True))
        known = invoice.model_copy(update={"lines": lines, "correction": invoice.number.casefold() in corrections})
        if invoice.order_number.casefold() == self._order or (lines and all(told)):
            return known
        own = tuple(place for place, lot in enumerate(told) if lot)
        return _share(known, own) if own else None


def _place(invoice: PostedInvoice, line: InvoiceLine) -> Place:
    return invoice.number.casefold(), invoice.invoiced_on, line.sequence


def _share(whole: PostedInvoice, own: Sequence[int]) -> PostedInvoice:
    """One order's share of an invoice over several: its lines. What the lines do not come to (charges, cents of
    rounding) is on the largest line of the whole, so that the shares of all orders come to exactly the whole.
    """
    largest = max(range(len(whole.lines)), key=lambda place: (abs(whole.lines[place].net), -place))
    tax_left = whole.tax - sum((line.tax for line in whole.lines), Decimal(0))
    net_left = whole.total - whole.tax - sum((line.net for line in whole.lines), Decimal(0))
    lines = list(whole.lines)
    rest = {"net": lines[largest].net + net_left, "tax": lines[largest].tax + tax_left}
    lines[largest] = lines[largest].model_copy(update=rest)
    mine = tuple(lines[place] for place in own)
    tax = sum((line.tax for line in mine), Decimal(0))
    return whole.model_copy(
        update={
            "lines": mine,
            "tax": tax,
            "total": sum((line.net for line in mine), tax),
            "parts": tuple(line.net + line.tax for line in lines),
            "own": tuple(own),
        }
    )
