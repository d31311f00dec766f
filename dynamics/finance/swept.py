"""What a sweep reads of a company: what was posted, settled, opened again and cancelled since a day."""

from __future__ import annotations

from pydantic import Field

from domain.event_ids import payment_number
from dynamics.core.rows import FinanceInstant, ReadRow
from dynamics.finance.records import CreditHold, PostedInvoice, Slip, Transaction


class CancelledOrder(ReadRow):
    """SalesTableBiEntities: an order that is cancelled."""

    order_number: str = Field(alias="SalesId")
    account: str = Field("", alias="CustAccount")
    changed_on: FinanceInstant = Field(alias="SysModifiedDateTime")


class OpenInvoice(ReadRow):
    """CustTransBiEntities: a customer transaction that is open, and when its row was changed last."""

    account: str = Field("", alias="AccountNum")
    invoice: str = Field("", alias="Invoice")
    changed_at: FinanceInstant = Field(alias="SysModifiedDateTime")


class Sweep(ReadRow):
    """What Finance posted since a day, in one company."""

    slips: tuple[Slip, ...]
    invoices: tuple[PostedInvoice, ...]
    settled: tuple[Transaction, ...] = Field(description="Invoices and credit notes with a settlement")
    prepayments: tuple[Transaction, ...] = Field((), description="Those that name an order")
    payment_ids: dict[str, str] = Field(default_factory=dict, description="PaymId by voucher of each payment")
    settled_orders: dict[str, str] = Field(description="Order number by number of each settled or open invoice")
    holds: tuple[CreditHold, ...] = Field((), description="Orders that credit management holds now")
    cancelled: tuple[CancelledOrder, ...] = ()
    shared: dict[str, tuple[str, ...]] = Field(default_factory=dict, description="Orders of invoices over several")
    opened: tuple[OpenInvoice, ...] = Field((), description="Invoices that are open and were changed since")
    unreadable: tuple[str, ...] = Field((), description="Why a row was not understood")

    def payment_of(self, settled: Transaction) -> str:
        """What settled it last, as its event names it too."""
        voucher = settled.last_settle_voucher
        return payment_number(self.payment_ids.get(voucher, ""), voucher)
