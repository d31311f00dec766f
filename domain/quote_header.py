"""What every record about a quote begins with: which quote it is, whose, and what it comes to."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pydantic import Field

from domain.record import Record


class QuoteHeader(Record):
    """A revision of a quote, without its lines. Money in the quote's currency."""

    company: str = Field(description="Legal entity in Finance, lower case")
    quote_number: str
    quote_id: str = Field(description="Of the revision's row in Sales (GUID)")
    revision: int
    name: str = ""
    customer_account: str = Field("", description="As Finance writes it, once it was asked; empty: it knows none")
    customer_name: str = ""
    customer_reference: str = Field("", description="The customer's purchase order or requisition number")
    currency: str = Field("", description="ISO 4217; empty before the quote was read")
    net: Decimal = Field(Decimal(0), description="Before tax, after all discounts, with freight")
    tax: Decimal = Decimal(0)
    total: Decimal = Field(Decimal(0), description="Net and tax")
    list_net: Decimal = Field(Decimal(0), description="What the lines cost at Finance's list prices")
    discount_pct: Decimal = Field(Decimal(0), description="The worst line's or the header's, in per cent")
    margin_pct: Decimal = Field(Decimal(0), description="Of the document, in per cent")
    line_count: int = 0
    snapshot_hash: str = Field("", description="SHA-256 of the content, lines included")

    @property
    def header_fields(self) -> dict[str, Any]:
        """The header by field name: ``ApprovalRequest(**found.header_fields, …)`` is about the same quote."""
        return {name: getattr(self, name) for name in QuoteHeader.model_fields}
