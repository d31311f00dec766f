"""Settlements of customer transactions as Finance tells them, and what is known of an order's before it is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from dynamics.core.rows import Exact, ReadRow


class Settlement(ReadRow):
    """CustSettlementBiEntities: one side of a settlement of two customer transactions, in their currency."""

    record: int = Field(alias="TransRecId", description="SysRecId of the transaction whose side it is")
    other: int = Field(alias="OffsetRecid", description="SysRecId of the one it was settled against")
    kind: str = Field("", alias="TransType", description="Of the transaction whose side it is")
    amount: Exact = Field(alias="SettleAmountCur", description="With the sign of that transaction")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an order's documents and payments, so that it is read in the first request."""

    invoices: Sequence[str] = ()
    """Invoices known or told of before."""
    records: Sequence[int] = ()
    """Of the customer transactions of invoices and credit notes known before: their settlements are read at once."""
    payments: Sequence[int] = ()
    """Records of payments known before."""
    told: Sequence[str] = ()
    """Payment ids that were told of."""
    deposits_of: str = ""
    """Order whose deposits are read as well; empty: none are looked for."""


NOTHING_KNOWN = Known()
