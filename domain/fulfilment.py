"""What became of an order in Finance: lines, packing slips, invoices and what is open on them.

All of it is Finance's word, read or reported; nothing here is computed by us.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from pydantic import Field

from domain.record import Record


class OrderedLine(Record):
    """A line of the order as Finance made it. Amount in the order's currency, before tax."""

    line_no: int
    item: str
    quantity: Decimal
    amount: Decimal


class ShippedTotal(Record):
    """How much of a line has been shipped so far, over all packing slips."""

    line_no: int
    shipped: Decimal


class InvoicedLine(Record):
    """A line of a posted invoice. Money in the invoice's currency."""

    line_no: int = Field(description="The deal's number of the quote's line; 0: of no line of the quote")
    item: str
    quantity: Decimal
    price: Decimal
    net: Decimal
    tax: Decimal


class Invoice(Record):
    """A posted sales invoice and what is still open on it. Money in the invoice's currency, incl. tax where total."""

    invoice_number: str
    invoiced_on: datetime
    due_on: datetime | None
    currency: str
    net: Decimal
    tax: Decimal
    total: Decimal
    open_amount: Decimal
    settled_on: datetime | None = None
    lines: tuple[InvoicedLine, ...]


class PackingSlip(Record):
    """A posted packing slip of the order."""

    slip: str
    shipped: tuple[ShippedTotal, ...] = Field(description="Quantities on this slip")


class Billing(Record):
    """All that Finance holds on an order after its confirmation, read at one moment."""

    status: str = Field(description="SalesOrderProcessingStatus symbol")
    slips: tuple[PackingSlip, ...]
    invoices: tuple[Invoice, ...]
    unknown_lines: tuple[str, ...] = Field(
        (), description="What belongs to no line of the quote, in words for a person"
    )
