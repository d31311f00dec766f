"""What Sales shows of a deal once its own records are read-only: rows of the product's table, `q2c_deal`.

A won quote, a submitted order and a paid invoice take no column at all from the documented role (Microsoft Learn:
"Dynamics 365 Sales and privacy laws"). So what happens to them afterwards stands in rows of a table of the product's
own: one for the deal, related to its quote and order, and one for each invoice, related to that as well.

A row is written by its primary key, computed from what it is about: it is created or changed, however often it is
written. The alternate key `q2c_caseid` would not do, because a key's value in an address may hold no slash (Microsoft
Learn: "Use an alternate key to reference a record").
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

from dynamics.core.batch import Write
from dynamics.core.literals import key
from dynamics.core.odata import Row
from dynamics.sales.options import CreditChoice, DealStage, FulfilmentChoice, PaymentChoice

ENTITY_SET = "q2c_deals"
_NAMESPACE = UUID("2f6a4bde-6f1c-5d0e-9a52-0c7a3f0d9b11")
_TEXT = 200
"""Characters of q2c_name, q2c_caseid and q2c_waitingfor."""
_MEMO = 2_000
"""Characters of q2c_orderedinfinance and q2c_collected."""
_LINK = 500
"""Characters of q2c_link."""


@dataclass(frozen=True, slots=True)
class DealOf:
    """The deal that a write is made for."""

    deal_id: str
    """Workflow id."""
    at: datetime
    """When what is written became true, UTC."""
    link: str = ""
    """Address of the deal's page; empty: not shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a deal stands; what is None stays as it is."""

    stage: DealStage | None = None
    credit: CreditChoice | None = None
    fulfilment: FulfilmentChoice | None = None
    payment: PaymentChoice | None = None
    waiting_for: str | None = None
    """What the deal waits for from now on, in words; empty: nothing."""
    ordered_in_finance: str | None = None
    """Quantities of the order that are not those of its lines in Sales, in words; empty: none."""
    collected: str | None = None
    """What is collected for the deal, in words; empty: nothing."""


def deal_row_id(deal_id: str) -> UUID:
    """The id of a deal's row: the same however often it is written."""
    return uuid5(_NAMESPACE, deal_id)


def invoice_row_id(copy_id: UUID) -> UUID:
    """The id of the row of an invoice, by the id of the invoice's copy in Sales."""
    return uuid5(_NAMESPACE, str(copy_id))


def deal_row(of: DealOf, standing: Standing, *, quote_id: UUID | None = None, order_id: UUID | None = None) -> Write:
    """PATCH of a deal's row, which creates it where it is not there.

    Args:
        of: The deal.
        standing: Where it stands.
        quote_id: The quote to relate it to; None leaves the relation.
        order_id: The order to relate it to; None leaves the relation.
    """
    body: Row = {"q2c_name": of.deal_id[:_TEXT], "q2c_caseid": of.deal_id[:_TEXT]}
    choices = {
        "q2c_stage": standing.stage,
        "q2c_creditstatus": standing.credit,
        "q2c_fulfilmentstatus": standing.fulfilment,
        "q2c_paymentstatus": standing.payment,
    }
    body |= {column: int(choice) for column, choice in choices.items() if choice is not None}
    if standing.waiting_for is not None:
        body["q2c_waitingfor"] = standing.waiting_for[:_TEXT] or None
        body["q2c_waitingsince"] = f"{of.at:%Y-%m-%dT%H:%M:%SZ}" if standing.waiting_for else None
    if standing.ordered_in_finance is not None:
        body["q2c_orderedinfinance"] = standing.ordered_in_finance[:_MEMO] or None
    if standing.collected is not None:
        body["q2c_collected"] = standing.collected[:_MEMO] or None
    return _write(deal_row_id(of.deal_id), body | _related(of, quote_id, order_id))


def invoice_row(
    of: DealOf,
    *,
    copy_id: UUID,
    number: str,
    open_amount: Decimal,
    payment: PaymentChoice,
    order_id: UUID,
    currency_id: UUID | None,
) -> Write:
    """PATCH of the row of an invoice, which creates it where it is not there.

    Args:
        of: The deal the invoice belongs to.
        copy_id: Id of the invoice's copy in Sales.
        number: The invoice's number in Finance.
        open_amount: What is open on it, in the invoice's currency.
        payment: Open, partly paid or paid.
        order_id: Id of the order.
        currency_id: Id of the order's currency, in which the amount is.
    """
    body: Row = {
        "q2c_name": number[:_TEXT],
        "q2c_openamount": open_amount,
        "q2c_paymentstatus": int(payment),
        "q2c_InvoiceId@odata.bind": f"/invoices({copy_id})",
    }
    if currency_id is not None:
        body["transactioncurrencyid@odata.bind"] = f"/transactioncurrencies({currency_id})"
    return _write(invoice_row_id(copy_id), body | _related(of, None, order_id))


def _related(of: DealOf, quote_id: UUID | None, order_id: UUID | None) -> dict[str, Any]:
    return {
        **({"q2c_link": of.link} if of.link and len(of.link) <= _LINK else {}),
        **({"q2c_QuoteId@odata.bind": f"/quotes({quote_id})"} if quote_id else {}),
        **({"q2c_SalesOrderId@odata.bind": f"/salesorders({order_id})"} if order_id else {}),
    }


def _write(row_id: UUID, body: Row) -> Write:
    return Write("PATCH", key(ENTITY_SET, row_id), body)
