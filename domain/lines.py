"""The line ledger: how much of each order line was ordered, cancelled, shipped, returned, invoiced and credited.

Quantities only ever move by a named operation that checks what must always hold, so that no document of Finance can
quietly break the arithmetic of a deal: what breaks it is refused with a code and becomes a person's business.
"""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from domain.money import arithmetic, plain
from domain.record import Record


class LineViolation(ValueError):
    """A quantity that cannot be, with a code and the reason in words."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class LineLedger(Record):
    """Quantities of one order line, in its sales unit, none negative (lifecycle: line ledger).

    Shipped is at most ordered x (1 + over-delivery) - cancelled; invoiced is at most shipped; returned is at most
    shipped; credited is at most invoiced. An over-delivery that is allowed is invoiced as well.
    """

    line_no: int
    item: str = ""
    ordered: Decimal = Field(gt=0)
    cancelled: Decimal = Decimal(0)
    shipped: Decimal = Decimal(0)
    returned: Decimal = Decimal(0)
    invoiced: Decimal = Decimal(0)
    credited: Decimal = Decimal(0)
    over_delivery_pct: Decimal = Field(Decimal(0), ge=0, description="Allowed above the ordered quantity")

    @property
    def deliverable(self) -> Decimal:
        """The most that may be shipped in all: the order less what was cancelled, and the over-delivery allowed."""
        with arithmetic():
            return self.ordered * (100 + self.over_delivery_pct) / 100 - self.cancelled

    @property
    def open_to_ship(self) -> Decimal:
        """Ordered and neither cancelled nor shipped; 0 where more was shipped than ordered."""
        return max(self.ordered - self.cancelled - self.shipped, Decimal(0))

    @property
    def open_to_invoice(self) -> Decimal:
        """Shipped and not invoiced (invoices follow deliveries); 0 where more was invoiced."""
        return max(self.shipped - self.invoiced, Decimal(0))

    @property
    def net_delivered(self) -> Decimal:
        """Shipped and not returned."""
        return self.shipped - self.returned

    @property
    def done(self) -> bool:
        """Nothing is left to ship or to invoice."""
        return self.open_to_ship == 0 and self.open_to_invoice == 0

    @property
    def violations(self) -> tuple[LineViolation, ...]:
        """What of the ledger cannot be; empty unless it was filled with what Finance reports.

        No operation makes a ledger with a violation. A document of Finance may: it is a fact nobody can undo, and the
        violation is what a person is told.
        """
        limits = (
            ("OVER_DELIVERY", "shipped", self.shipped, "may be delivered", self.deliverable),
            ("OVER_INVOICED", "invoiced", self.invoiced, "shipped", self.shipped),
            ("OVER_RETURN", "returned", self.returned, "shipped", self.shipped),
            ("OVER_CREDITED", "credited", self.credited, "invoiced", self.invoiced),
        )
        return tuple(
            LineViolation(code, f"line {self.line_no}: {plain(quantity)} {done}, but only {plain(most)} {may}")
            for code, done, quantity, may, most in limits
            if quantity > most
        )

    def ship(self, quantity: Decimal) -> LineLedger:
        """Ship more of the line.

        Raises:
            LineViolation: BAD_QTY, or OVER_DELIVERY above what may be delivered.
        """
        return self._moved(shipped=self.shipped + self._above_zero(quantity))

    def invoice(self, quantity: Decimal) -> LineLedger:
        """Invoice some of what was shipped.

        Raises:
            LineViolation: BAD_QTY, or OVER_INVOICED above what was shipped.
        """
        return self._moved(invoiced=self.invoiced + self._above_zero(quantity))

    def take_back(self, quantity: Decimal) -> LineLedger:
        """Receive a return.

        Raises:
            LineViolation: BAD_QTY, or OVER_RETURN above what was shipped.
        """
        return self._moved(returned=self.returned + self._above_zero(quantity))

    def credit(self, quantity: Decimal) -> LineLedger:
        """Credit some of what was invoiced.

        Raises:
            LineViolation: BAD_QTY, or OVER_CREDITED above what was invoiced.
        """
        return self._moved(credited=self.credited + self._above_zero(quantity))

    def cancel(self, quantity: Decimal) -> LineLedger:
        """Cancel some of what is not shipped.

        Raises:
            LineViolation: BAD_QTY, or BELOW_SHIPPED above what is open.
        """
        if self._above_zero(quantity) > self.open_to_ship:
            text = f"{plain(quantity)} cannot be cancelled, only {plain(self.open_to_ship)} is not shipped"
            raise self._violation("BELOW_SHIPPED", f"{text}; the rest comes back as a return")
        return self._moved(cancelled=self.cancelled + quantity)

    def cancel_remainder(self) -> LineLedger:
        """Cancel all that is not shipped; nothing open changes nothing."""
        return self._moved(cancelled=self.cancelled + self.open_to_ship)

    def change_order(self, ordered: Decimal) -> LineLedger:
        """Order more or less of the line.

        Args:
            ordered: The new quantity in all, what was cancelled before included.

        Raises:
            LineViolation: BAD_QTY, or BELOW_SHIPPED under what was shipped.
        """
        changed = self.model_copy(update={"ordered": self._above_zero(ordered)})
        if changed.deliverable < self.shipped:
            text = f"cannot be changed to {plain(ordered)}, {plain(self.shipped)} is shipped already"
            raise self._violation("BELOW_SHIPPED", f"{text}; the rest comes back as a return")
        return changed

    def observe(self, *, shipped: Decimal, invoiced: Decimal) -> LineLedger:
        """Take over the totals Finance reports; a total below what is known already is an older report, and ignored.

        Reports may come twice and in any order: the result is the same as in order and once.

        Raises:
            LineViolation: BAD_QTY, OVER_DELIVERY or OVER_INVOICED: the totals cannot be.
        """
        if shipped < 0 or invoiced < 0:
            raise self._violation("BAD_QTY", f"totals {plain(shipped)} shipped and {plain(invoiced)} invoiced")
        return self._moved(shipped=max(shipped, self.shipped), invoiced=max(invoiced, self.invoiced))

    def _moved(self, **quantities: Decimal) -> LineLedger:
        after = self.model_copy(update=quantities)
        if after.violations:
            raise after.violations[0]
        return after

    def _above_zero(self, quantity: Decimal) -> Decimal:
        if not quantity.is_finite() or quantity <= 0:
            raise self._violation("BAD_QTY", f"{quantity} is not a quantity above 0")
        return quantity

    def _violation(self, code: str, text: str) -> LineViolation:
        return LineViolation(code, f"line {self.line_no}: {text}")
