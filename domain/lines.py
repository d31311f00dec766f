"""The line ledger: how much of each order line was ordered, cancelled, shipped, returned, invoiced and credited.

It is filled with what Finance's documents say. What cannot be is not refused, because it has happened: it is named, and
becomes a person's business. What a person asks for (``cancel``, ``change_order``) has not happened yet: that is refused
where the goods are already gone.
"""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from domain.money import arithmetic, plain
from domain.record import Record
from domain.refusals import Refusal


class LineViolation(ValueError):
    """A quantity that cannot be, with a code and the reason in words."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class LineLedger(Record):
    """Quantities of one order line, in its sales unit, none negative (lifecycle: line ledger).

    Shipped is at most ordered x (1 + over-delivery) - cancelled; invoiced is at most shipped; returned is at most
    shipped; credited is at most invoiced. An over-delivery that is allowed is invoiced as well. What Finance corrected
    (a packing slip, a whole invoice) was never shipped or invoiced; what came back or was credited is told beside it.
    """

    line_no: int
    item: str = ""
    ordered: Decimal
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
        """Ordered and neither cancelled nor invoiced nor come back, whether it is shipped or not.

        A credit for goods that came back takes back what was invoiced for them; any other credit leaves it invoiced.
        """
        invoiced = self.invoiced - min(self.credited, self.returned)
        return max(self.ordered - self.cancelled - self.returned - invoiced, Decimal(0))

    @property
    def open_to_credit(self) -> Decimal:
        """What came back, is invoiced and not credited."""
        if not self.returned:
            return Decimal(0)
        return max(self.invoiced - self.credited - (self.shipped - self.returned), Decimal(0))

    @property
    def violations(self) -> tuple[LineViolation, ...]:
        """What of the ledger cannot be, for a person to settle."""
        limits = (
            (Refusal.OVER_DELIVERY, "shipped", self.shipped, "may be delivered", self.deliverable),
            (Refusal.OVER_INVOICED, "invoiced", self.invoiced, "shipped", self.shipped),
            (Refusal.OVER_RETURN, "returned", self.returned, "shipped", self.shipped),
            (Refusal.OVER_CREDITED, "credited", self.credited, "invoiced", self.invoiced),
        )
        return tuple(
            LineViolation(code, f"line {self.line_no}: {plain(quantity)} {done}, but only {plain(most)} {may}")
            for code, done, quantity, may, most in limits
            if quantity > most
        )

    # What a person may ask of an order that is partly delivered (lifecycle 7, S30 and S36; ``domain.changing``).

    def cancel(self, quantity: Decimal) -> LineLedger:
        """Cancel some of what is not shipped.

        Raises:
            LineViolation: BAD_QTY, or BELOW_SHIPPED above what is open.
        """
        if self._above_zero(quantity) > self.open_to_ship:
            text = f"{plain(quantity)} cannot be cancelled, only {plain(self.open_to_ship)} is not shipped"
            raise self._violation(Refusal.BELOW_SHIPPED, f"{text}; the rest comes back as a return")
        return self.model_copy(update={"cancelled": self.cancelled + quantity})

    def cancel_remainder(self) -> LineLedger:
        """Cancel all that is not shipped; nothing open changes nothing."""
        return self.model_copy(update={"cancelled": self.cancelled + self.open_to_ship})

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
            raise self._violation(Refusal.BELOW_SHIPPED, f"{text}; the rest comes back as a return")
        return changed

    def _above_zero(self, quantity: Decimal) -> Decimal:
        if not quantity.is_finite() or quantity <= 0:
            raise self._violation(Refusal.BAD_QTY, f"{quantity} is not a quantity above 0")
        return quantity

    def _violation(self, code: str, text: str) -> LineViolation:
        return LineViolation(code, f"line {self.line_no}: {text}")
