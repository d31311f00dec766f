"""Fulfilment, invoice and payment: what Finance posted, and what of it Sales shows (lifecycle 2.6 to 2.8).

All documents of an order are read together, so the order in which they were told does not matter.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Final, assert_never

from domain import facts
from domain.deal_state import DealState, Delivery, OrderStatus
from domain.facts import DeliveryFact
from domain.money import format_money, plain
from domain.refusals import Refusal
from domain.rules.change import Change, illegal, without_exceptions

MOST_INVOICES_TOLD: Final = 50
"""Invoices told of and not read yet whose numbers are kept; Finance finds the others by their order."""

_NOT_AS_ORDERED = (
    Refusal.OVER_DELIVERY,
    Refusal.OVER_INVOICED,
    Refusal.OVER_RETURN,
    Refusal.OVER_CREDITED,
    Refusal.UNKNOWN_LINE,
    Refusal.LINE_CHANGED,
)


def follow(state: DealState, fact: DeliveryFact) -> Change:
    """What a document of Finance, or its copy in Sales, changes.

    Raises:
        Refused: it changes nothing.
    """
    match fact:
        case facts.BillingChanged():
            _ordered(state)
            told = state.invoices_told
            if fact.invoice and len(told) < MOST_INVOICES_TOLD:
                told |= {fact.invoice}
            return Change(replace(state, billing_told=state.billing_told + 1, invoices_told=told), fact.text)
        case facts.BillingRead():
            return _billing_read(state, fact)
        case facts.ShipmentRecorded():
            shown = replace(state, shown_slips=state.shown_slips | frozenset(fact.slips))
            return Change(shown, f"Sales shows packing slip {', '.join(fact.slips)}")
        case facts.InvoicesRecorded():
            shown = replace(state, shown_invoices={**state.shown_invoices, **fact.open_amounts})
            return Change(shown, f"Sales shows invoice {', '.join(fact.open_amounts)}")
        case facts.PaymentsRecorded():
            return _payments_recorded(state, fact)
        case _:
            assert_never(fact)


def _ordered(state: DealState) -> None:
    if state.order is OrderStatus.NONE:
        illegal("there is no order in Finance yet")


def _billing_read(state: DealState, fact: facts.BillingRead) -> Change:
    billing = fact.billing
    invoices = {invoice.invoice_number: invoice for invoice in billing.invoices}
    delivery = Delivery(
        lines=billing.lines,
        slips={slip.slip: slip.quantity for slip in billing.slips},
        invoices=invoices,
        hold=billing.hold,
    )
    after = _delivered(state, delivery)
    total = sum((invoice.total for invoice in invoices.values()), Decimal(0))
    open_amount = sum((invoice.open_amount for invoice in invoices.values()), Decimal(0))
    plural = "" if len(invoices) == 1 else "s"
    held = f", held by its credit management ({delivery.hold})" if delivery.hold else ""
    told = frozenset() if fact.covers >= state.billing_told else state.invoices_told
    return Change(
        replace(after, billing_read=max(state.billing_read, fact.covers), finance_read_at=fact.at, invoices_told=told),
        f"Finance: {_shipped(delivery)}, {len(invoices)} invoice{plural} of {_money(state, total)}, "
        f"{_money(state, open_amount)} open{held}",
    )


def _shipped(delivery: Delivery) -> str:
    lines = delivery.lines
    return f"{plain(lines.shipped)} of {plain(lines.ordered - lines.cancelled)} shipped"


def _delivered(state: DealState, delivery: Delivery) -> DealState:
    """The state with these documents, and with what is wrong about them as open exceptions.

    What Finance shipped or invoiced beyond the order, or changed of it, is a fact we cannot undo, so it is never
    refused: it becomes an exception for a person. One that was only read too early (an invoice before its packing slip)
    goes away with the missing document.
    """
    settled = () if delivery.lines.to_ship else (Refusal.CREDIT_REFUSED,)
    others = without_exceptions(state, *_NOT_AS_ORDERED, *settled)
    return replace(others, delivery=delivery, exceptions=(*others.exceptions, *delivery.lines.differences))


def _payments_recorded(state: DealState, fact: facts.PaymentsRecorded) -> Change:
    words = ", ".join(f"{number}: {_money(state, amount)} open" for number, amount in fact.open_amounts.items())
    shown = replace(state, shown_invoices={**state.shown_invoices, **fact.open_amounts})
    return Change(shown, f"Sales shows {words}")


def _money(state: DealState, amount: Decimal) -> str:
    return format_money(amount, state.header.currency)
