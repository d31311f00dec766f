"""The lines of posted invoices, which no deal carries: read from Finance, and remembered by their own hash.

Whoever shows an invoice in Sales usually does so moments after it was read. What is remembered can be missing but never
wrong: it is known by the hash of its content, and what is read in its place is compared with it.
"""

from __future__ import annotations

from collections.abc import Sequence

from cachetools import LRUCache

from activities.billing_view import invoice_lines, line_numbers, lines_hash
from activities.failures import refused
from activities.signatures import FailureType
from domain.fulfilment import Invoice, InvoicedLine
from dynamics.finance.client import Finance
from dynamics.finance.records import BillingRead
from dynamics.finance.settlements import NOTHING_KNOWN, Known

LINES_KEPT = 100_000
"""Lines of all invoices kept together; the least recently used go first."""

Lines = tuple[InvoicedLine, ...]


class Postings:
    """Reads what Finance posted on orders."""

    def __init__(self, finance: Finance) -> None:
        """Read through ``finance``; nothing is remembered yet."""
        self._finance = finance
        self._kept: LRUCache[str, Lines] = LRUCache(LINES_KEPT, getsizeof=lambda lines: 1 + len(lines))

    async def read(self, company: str, order_number: str, known: Known = NOTHING_KNOWN) -> BillingRead:
        """Packing slips, invoices, what is open on them and what settled them.

        Args:
            company: Legal entity, lower case.
            order_number: SalesOrderNumber.
            known: What is known of it already: it is read in the same request.

        Raises:
            DynamicsError: they cannot be read.
        """
        read = await self._finance.read_billing(company, order_number, known)
        numbers = line_numbers(read)
        for posted in read.invoices:
            if len(posted.lines) < LINES_KEPT:
                self._kept[lines_hash(posted)] = invoice_lines(posted, numbers)
        return read

    async def lines(self, company: str, order_number: str, invoices: Sequence[Invoice]) -> dict[str, Lines]:
        """The lines of posted invoices of an order, by invoice number: remembered, or read again.

        Raises:
            DynamicsError: they cannot be read.
            ApplicationError: Finance holds an invoice with other lines than those that the deal has read.
        """
        kept = {invoice.invoice_number: self._kept.get(invoice.lines_hash) for invoice in invoices}
        found = {number: lines for number, lines in kept.items() if lines is not None}
        if len(found) == len(invoices):
            return found
        read = await self.read(company, order_number, Known(invoices=[i.invoice_number for i in invoices]))
        posted = {invoice.number: invoice for invoice in read.invoices}
        for invoice in invoices:
            number = invoice.invoice_number
            if number not in posted or lines_hash(posted[number]) != invoice.lines_hash:
                raise refused(
                    FailureType.CONFLICT,
                    f"Finance holds invoice {number} of order {order_number} with other lines than were read before",
                )
        numbers = line_numbers(read)
        return {invoice.invoice_number: invoice_lines(posted[invoice.invoice_number], numbers) for invoice in invoices}
