"""What can happen to an order that waits for its deposit."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from domain.record import Record


class DepositAwaited(Record):
    """The order stands in Finance and is not confirmed before its deposit is there."""

    at: datetime = Field(description="UTC")


class DepositOverdue(Record):
    """The deposit was to be there by now."""


class DepositEnough(Record):
    """What came in is enough: the order is released."""


DepositFact = DepositAwaited | DepositOverdue | DepositEnough
