"""Fulfilment, invoice and payment: what Finance posted, and what of it Sales shows (lifecycle 2.6 to 2.8).

Finance's documents are kept under their numbers, so their order does not matter.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import assert_never

from domain import facts
from domain.deal_state import DealState, Delivery, OrderStatus
from domain.facts import DeliveryFact
from domain.messages import ShippedLine
from domain.money import format_money, plain
from domain.refusals import Refusal
from domain.rules.change import Change, illegal, stale, without_exceptions

_BEYOND_THE_ORDER = (
    Refusal.OVER_DELIVERY,
    Refusal.OVER_INVOICED,
    Refusal.OVER_RETURN,
    Refusal.OVER_CREDITED,
    Refusal.UNKNOWN_LINE,
)


def follow(state: DealState, fact: DeliveryFact) -> Change:
    """What a document of Finance, or its copy in Sales, changes.

    Raises:
        Refused: it changes nothing.
    """
    match fact:
        case facts.ShipmentPosted():
            return _shipment_posted(state, fact)
        case facts.BillingChanged():
            _ordered(state)
            told = state.invoices_told | ({fact.invoice} if fact.invoice else frozenset())
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


def _shipment_posted(state: DealState, fact: facts.ShipmentPosted) -> Change:
    _ordered(state)
    if fact.slip in state.delivery.slips:
        stale(f"packing slip {fact.slip} is known")
    delivery = replace(state.delivery, slips={**state.delivery.slips, fact.slip: fact.lines})
    quantities = ", ".join(f"line {line.line_no}: {plain(line.quantity)}" for line in fact.lines)
    return Change(_delivered(state, delivery), f"packing slip {fact.slip} posted ({quantities})")


def _billing_read(state: DealState, fact: facts.BillingRead) -> Change:
    slips = dict(state.delivery.slips)
    for slip in fact.billing.slips:
        told = tuple(ShippedLine(line_no=line.line_no, quantity=line.shipped) for line in slip.shipped)
        slips.setdefault(slip.slip, told)
    invoices = {invoice.invoice_number: invoice for invoice in fact.billing.invoices}
    delivery = replace(state.delivery, slips=slips, invoices=invoices, unknown_lines=fact.billing.unknown_lines)
    after = _delivered(state, delivery)
    total = sum((invoice.total for invoice in invoices.values()), Decimal(0))
    open_amount = sum((invoice.open_amount for invoice in invoices.values()), Decimal(0))
    plural = "" if len(invoices) == 1 else "s"
    return Change(
        replace(after, billing_read=max(state.billing_read, fact.covers), finance_read_at=fact.at),
        f"Finance: {len(invoices)} invoice{plural} of {_money(state, total)}, {_money(state, open_amount)} open",
    )


def _delivered(state: DealState, delivery: Delivery) -> DealState:
    """The state with these documents, and with what is wrong about them as open exceptions.

    What Finance shipped or invoiced beyond the order is a fact we cannot undo, so it is never refused: it becomes an
    exception for a person. One that was only told too early (an invoice before its packing slip) goes away with the
    missing document.
    """
    others = without_exceptions(state, *_BEYOND_THE_ORDER)
    return replace(others, delivery=delivery, exceptions=(*others.exceptions, *delivery.violations))


def _payments_recorded(state: DealState, fact: facts.PaymentsRecorded) -> Change:
    words = ", ".join(f"{number}: {_money(state, amount)} open" for number, amount in fact.open_amounts.items())
    shown = replace(state, shown_invoices={**state.shown_invoices, **fact.open_amounts})
    return Change(shown, f"Sales shows {words}")


def _money(state: DealState, amount: Decimal) -> str:
    currency = state.header.currency
    return format_money(amount, currency) if currency else plain(amount)
