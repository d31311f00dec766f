"""What of a deal is invoiced, credited, paid and open, in its currency, by the documents in Finance."""

from __future__ import annotations

from decimal import Decimal

from domain.deal_state import DealState


def paid_amount(state: DealState) -> Decimal:
    """What was paid of the invoices, without what was credited: with what is unapplied or was paid back it comes to
    what was received. What is known of no payment is what is neither credited nor open.
    """
    delivery = state.delivery
    still_open = sum((i.open_amount for i in delivery.invoices.values() if not i.is_credit), Decimal(0))
    taken = delivery.discount + delivery.difference
    return invoiced_amount(state) - credited_amount(state) - still_open - taken


def open_amount(state: DealState) -> Decimal:
    """What Finance holds open on all invoices, in the deal's currency."""
    return sum((invoice.open_amount for invoice in state.delivery.invoices.values()), Decimal(0))


def invoiced_amount(state: DealState) -> Decimal:
    """Total of all invoices incl. tax, in the deal's currency; credit notes are not taken off."""
    return sum((i.total for i in state.delivery.invoices.values() if not i.is_credit), Decimal(0))


def credited_amount(state: DealState) -> Decimal:
    """Total of all credit notes incl. tax, in the deal's currency."""
    return -sum((i.total for i in state.delivery.invoices.values() if i.is_credit), Decimal(0))
