"""What an account that is billed is told of a deal's invoices: by the deal, or by a look at it after its end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from domain.collections import LONGEST_NUMBER, MOST_TOLD, InvoicesShown, ShownInvoice
from domain.fulfilment import Invoice
from domain.people import Person


def invoices_told(
    company: str,
    account: str,
    invoices: Sequence[Invoice],
    *,
    order_number: str,
    quote_number: str,
    as_of: datetime,
    customer_name: str = "",
    owner: Person | None = None,
) -> InvoicesShown | None:
    """What is told; None where it is not known who is billed, or nothing can be told.

    An invoice without a due date is due when it was posted; beyond the room of one message they are counted.
    """
    readable = [
        ShownInvoice(
            number=invoice.invoice_number,
            due_on=(invoice.due_on or invoice.invoiced_on).date(),
            currency=invoice.currency,
            total=invoice.total,
            open_amount=invoice.open_amount,
        )
        for invoice in invoices
        if _can_be_told(invoice)
    ]
    if not account or len(account) > LONGEST_NUMBER or not readable:
        return None
    return InvoicesShown(
        company=company,
        account=account,
        customer_name=customer_name[:200],
        order_number=order_number[:LONGEST_NUMBER],
        quote_number=quote_number[:100],
        owner=owner,
        invoices=tuple(readable[:MOST_TOLD]),
        more=len(invoices) - len(readable[:MOST_TOLD]),
        as_of=as_of,
    )


def _can_be_told(invoice: Invoice) -> bool:
    """Whether it is one that can be collected: what Finance says is not checked on its way here."""
    amounts = (invoice.total, invoice.open_amount)
    sound = all(amount.is_finite() and abs(amount) < 10**15 for amount in amounts)
    return sound and 0 < len(invoice.invoice_number) <= LONGEST_NUMBER and len(invoice.currency) == 3
