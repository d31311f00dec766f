"""What a deal tells the account that is billed for it: its invoices, and what is open on them."""

from __future__ import annotations

from collections.abc import Sequence

from domain.collections import InvoicesShown
from domain.deal_state import DealState
from domain.fulfilment import Invoice
from domain.invoices_told import invoices_told


def told_to_account(state: DealState, invoices: Sequence[Invoice]) -> InvoicesShown | None:
    """What the account is told of invoices, which travels with the step that shows them in Sales.

    None where it is not known who is billed, or nothing can be told.
    """
    account, found = state.credit_account, state.assessment
    return invoices_told(
        state.company,
        account,
        invoices,
        order_number=state.order_number,
        quote_number=state.quote_number,
        as_of=state.finance_read_at or state.updated_at,
        customer_name=state.header.customer_name if account == state.header.customer_account else "",
        owner=found.owner.named if found else None,
    )
