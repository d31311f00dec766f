"""What a deal tells the account that is billed for it: its invoices, and what is open on them."""

from __future__ import annotations

from collections.abc import Sequence

from temporalio import workflow

from domain.collections import LONGEST_NUMBER, MOST_TOLD, InvoicesShown, ShownInvoice
from domain.deal_state import DealState
from domain.fulfilment import Invoice


def told_to_account(state: DealState, invoices: Sequence[Invoice]) -> InvoicesShown | None:
    """What the account is told of invoices, which travels with the step that shows them in Sales.

    None where it is not known who is billed, or nothing can be told. An invoice without a due date is due when it was
    posted; beyond the room of one message they are counted.
    """
    account, found = state.credit_account, state.assessment
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
        company=state.company,
        account=account,
        customer_name=state.header.customer_name[:200] if account == state.header.customer_account else "",
        order_number=state.order_number[:LONGEST_NUMBER],
        quote_number=state.quote_number[:100],
        owner=found.owner.named if found else None,
        invoices=tuple(readable[:MOST_TOLD]),
        more=len(invoices) - len(readable[:MOST_TOLD]),
        as_of=state.finance_read_at or workflow.now(),
    )


def _can_be_told(invoice: Invoice) -> bool:
    """Whether it is one that can be collected: what Finance says is not checked on its way here."""
    amounts = (invoice.total, invoice.open_amount)
    sound = all(amount.is_finite() and abs(amount) < 10**15 for amount in amounts)
    return sound and 0 < len(invoice.invoice_number) <= LONGEST_NUMBER and len(invoice.currency) == 3
