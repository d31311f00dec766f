"""What was delivered, invoiced and paid of an order as Finance was read last, and what Sales has to show of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from domain.fulfilment import Invoice, LineTotals
from domain.payments import CreditSource, Payment


class ShippedInSales(StrEnum):
    """What Sales shows of an order's shipment."""

    NOTHING = ""
    PARTIAL = "partial"
    COMPLETE = "complete"
    SHORT = "short"
    """Nothing more is shipped: the rest was cancelled."""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What was ordered, and every document Finance posted about it, as it was read last."""

    lines: LineTotals = field(default_factory=LineTotals)
    slips: dict[str, Decimal] = field(default_factory=dict)
    invoices: dict[str, Invoice] = field(default_factory=dict)
    hold: str = ""
    """Entry of Finance's hold list that keeps the order from being posted."""
    cancelled: bool = False
    """Finance has cancelled the whole order."""
    payments: tuple[Payment, ...] = ()
    payments_left_out: int = 0
    """How many payments there are beyond those that are kept."""
    discount: Decimal = Decimal(0)
    """Cash discount taken off the invoices."""
    difference: Decimal = Decimal(0)
    """What Finance posted off the invoices, within its tolerance."""

    @property
    def all_shipped(self) -> bool:
        """Nothing is left to ship. An order whose lines were all cancelled was not shipped."""
        return self.any_shipped and not self.lines.to_ship

    @property
    def all_invoiced(self) -> bool:
        """Nothing is left to ship or to invoice."""
        return (self.any_invoiced or self.lines.returned > 0) and not self.lines.to_invoice

    @property
    def all_credited(self) -> bool:
        """Nothing came back that is invoiced and not credited."""
        return not self.lines.to_credit

    @property
    def any_shipped(self) -> bool:
        """Something was shipped."""
        return self.lines.some_shipped > 0

    @property
    def any_invoiced(self) -> bool:
        """Something was invoiced."""
        return self.lines.some_invoiced > 0

    @property
    def all_paid(self) -> bool:
        """Finance holds nothing open on any invoice. A credit that settles nothing yet is the customer's to use."""
        return all(invoice.open_amount <= 0 for invoice in self.invoices.values())

    @property
    def paid_up(self) -> bool:
        """Nothing is left to ship, to invoice, to credit or to pay (lifecycle 2.9)."""
        return self.all_shipped and self.all_invoiced and self.all_credited and self.all_paid

    @property
    def credit_sources(self) -> tuple[CreditSource, ...]:
        """Payments and credit notes of which something is unapplied, or was paid back."""
        paid = [
            CreditSource(number=p.number, record=p.record, is_note=False, unapplied=p.unapplied, refunded=p.refunded)
            for p in self.payments
        ]
        notes = [
            CreditSource(
                number=note.invoice_number,
                record=note.record,
                is_note=True,
                unapplied=-note.open_amount,
                refunded=note.refunded,
            )
            for note in self.invoices.values()
            if note.is_credit and not note.correction
        ]
        return tuple(source for source in (*paid, *notes) if source.unapplied or source.refunded)

    @property
    def unapplied(self) -> Decimal:
        """What of payments and credit notes settles nothing: the customer's credit."""
        return sum((source.unapplied for source in self.credit_sources), Decimal(0))

    @property
    def refunded(self) -> Decimal:
        """What was paid back of payments and credit notes."""
        return sum((source.refunded for source in self.credit_sources), Decimal(0))

    @property
    def deposits(self) -> Decimal:
        """What came in as deposits of the order and neither bounced nor was paid back, settled with its invoices or
        not.
        """
        return sum((p.applied + p.unapplied for p in self.payments if p.deposit and not p.reversed), Decimal(0))

    @property
    def received(self) -> Decimal:
        """What came in for this deal and did not bounce, without what settled documents of others."""
        return sum((p.amount - p.elsewhere for p in self.payments if not p.reversed), Decimal(0))

    @property
    def in_sales(self) -> ShippedInSales:
        """What of the shipment Sales has to show."""
        if not self.any_shipped:
            return ShippedInSales.NOTHING
        if self.lines.to_ship:
            return ShippedInSales.PARTIAL
        return ShippedInSales.SHORT if self.lines.cancelled else ShippedInSales.COMPLETE
