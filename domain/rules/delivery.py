"""Fulfilment, invoice and payment: what Finance posted, and what of it Sales shows (lifecycle 2.6 to 2.8).

All documents of an order are read together, so the order in which they were told does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final, assert_never

from domain import facts
from domain.credit_following import follows, let_go
from domain.deal_state import DealState, OrderStatus, SalesDue
from domain.delivered import Delivery
from domain.facts import DeliveryFact
from domain.frozen import replace
from domain.fulfilment import Invoice
from domain.money import format_money, plain
from domain.refusals import Refusal
from domain.rules import deposits, refunds
from domain.rules.change import Change, illegal, with_exception, without_exceptions
from domain.rules.changing import read_back
from domain.rules.following import Rules
from domain.views import Ending

MOST_NEWS: Final = 5
"""Changes made in Finance that one audit record names."""
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


RULES: Final = Rules()


@RULES.rule
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
            paid = state.payments_told
            if fact.payment and len(paid) < MOST_INVOICES_TOLD:
                paid |= {fact.payment}
            news = replace(
                state,
                billing_told=state.billing_told + 1,
                invoices_told=told,
                payments_told=paid,
                recheck_told=state.recheck_told + (fact.order and follows(state)),
            )
            return Change(news, fact.text)
        case facts.BillingRead():
            return _billing_read(state, fact)
        case facts.ShipmentRecorded():
            return _shipment_recorded(state, fact)
        case facts.InvoicesRecorded():
            known = {**state.shown_invoices, **fact.open_amounts}
            shown_paid = state.shown_paid or (fact.paid and state.delivery.paid_up)
            text = f"Sales shows invoice {', '.join(fact.open_amounts)}"
            return Change(
                replace(state, shown_invoices=known, shown_paid=shown_paid), f"{text}, paid" if fact.paid else text
            )
        case facts.PaymentsRecorded():
            return _payments_recorded(state, fact)
        case _:
            assert_never(fact)


def takes_less_credit(before: Delivery, after: Delivery) -> bool:
    """Whether an order takes less of its customer's credit than when it was read before: by a cancellation, a smaller
    line or a credit. What is paid is told by the payment itself.
    """
    kept_before = before.lines.ordered - before.lines.cancelled
    kept_after = after.lines.ordered - after.lines.cancelled
    return kept_after < kept_before or after.lines.credited > before.lines.credited


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
        cancelled=billing.cancelled,
        payments=billing.payments,
        payments_left_out=billing.payments_left_out,
        discount=billing.discount,
        difference=billing.difference,
    )
    after = _delivered(state, delivery)
    all_told = fact.covers >= state.billing_told
    after = replace(
        after,
        billing_read=max(state.billing_read, fact.covers),
        finance_read_at=fact.at,
        invoices_told=frozenset() if all_told else state.invoices_told,
        payments_told=frozenset() if all_told else state.payments_told,
        shown_paid=state.shown_paid and delivery.paid_up,
    )
    if follows(after) and not follows(state):  # an order that was done is larger again
        after = replace(after, recheck_told=after.recheck_told + 1)
    after, news = refunds.looked_at(after, fact.at)
    if delivery.cancelled and after.credit_undecided:
        return _cancelled_with_credit(after, news)
    if delivery.cancelled:
        return _cancelled_in_finance(after, billing.changed_by)
    after = deposits.looked_at(after)
    return read_back(Change(after, f"Finance: {_words(state, delivery)}{news}"), fact)


def _cancelled_in_finance(state: DealState, by: str) -> Change:
    """Finance cancelled the whole order: the deal ends with it, and Sales is told."""
    due = SalesDue.ORDER_CANCELLED if state.sales_order_id else SalesDue.NOTHING
    settled = without_exceptions(state, Refusal.SALES_ORDER_CANCELLED, Refusal.CHANGE_FAILING, Refusal.CHANGE_REFUSED)
    if not state.sales_order_id:
        settled = with_exception(settled, f"{Refusal.WON_IN_SALES}: the quote is won in Sales")
    ended = replace(settled, changing=None, ending=Ending.CANCELLED, sales_due=due)
    who = f" (last changed there by {by})" if by else ""
    return Change(ended, f"order {state.order_number} was cancelled in Finance{who}: the deal is cancelled")


def _cancelled_with_credit(state: DealState, news: str) -> Change:
    """Finance cancelled the whole order, and money for it is there: the deal ends when that is decided about."""
    settled = without_exceptions(
        state, Refusal.CHANGE_FAILING, Refusal.CHANGE_REFUSED, Refusal.DEPOSIT_OVERDUE, Refusal.DEPOSIT_REVERSED
    )
    left = _money(state, state.delivery.unapplied)
    text = f"order {state.order_number} is cancelled in Finance: {left} of the customer's money are to be paid back"
    return Change(replace(settled, changing=None), f"{text}{news}")


def _words(state: DealState, delivery: Delivery) -> str:
    """What Finance holds, and what of it somebody changed there since it was read last."""
    lines, documents = delivery.lines, delivery.invoices.values()
    invoices = [document for document in documents if not document.is_credit]
    credits_ = [document for document in documents if document.is_credit]
    parts = [f"{plain(lines.shipped)} of {plain(lines.ordered - lines.cancelled)} shipped"]
    if lines.returned:
        parts.append(f"{plain(lines.returned)} returned")
    parts.append(f"{_counted(len(invoices), 'invoice')} of {_money(state, _total(invoices))}")
    if credits_:
        parts.append(f"{_counted(len(credits_), 'credit note')} of {_money(state, -_total(credits_))}")
    parts.append(f"{_money(state, sum((i.open_amount for i in documents), Decimal(0)))} open")
    if delivery.discount:
        parts.append(f"{_money(state, delivery.discount)} cash discount taken")
    if delivery.difference:
        parts.append(f"{_money(state, delivery.difference)} posted off within Finance's tolerance")
    if delivery.unapplied:
        parts.append(f"{_money(state, delivery.unapplied)} of the customer's money not applied")
    if delivery.hold:
        parts.append(f"held by its credit management ({delivery.hold})")
    return ", ".join(parts) + "".join(f"; {news}" for news in _news(state.delivery, delivery))


def _news(before: Delivery, after: Delivery) -> list[str]:
    """What somebody changed in Finance between two readings: order lines, packing slips, invoices; a few of many."""
    known = set(before.lines.changes)
    news = [change for change in after.lines.changes if change not in known]
    if known and not after.lines.changes:
        news.append("the order's quantities are as in the quote again")
    for slip, quantity in before.slips.items():
        now = after.slips.get(slip)
        if now is None:
            news.append(f"packing slip {slip} is not there any more")
        elif now != quantity:
            news.append(f"packing slip {slip} was corrected from {plain(quantity)} to {plain(now)}")
    corrected = [i.invoice_number for i in after.invoices.values() if i.correction]
    news += [f"an invoice was taken back by {number}" for number in corrected if number not in before.invoices]
    news += [f"invoice {number} is not there any more" for number in before.invoices if number not in after.invoices]
    more = len(news) - MOST_NEWS
    return news if more <= 0 else [*news[:MOST_NEWS], f"and {more} more changes"]


def _counted(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"


def _total(documents: Iterable[Invoice]) -> Decimal:
    return sum((document.total for document in documents), Decimal(0))


def _delivered(state: DealState, delivery: Delivery) -> DealState:
    """The state with these documents, and with what is wrong about them as open exceptions.

    What Finance shipped or invoiced beyond the order, or changed of it, is a fact we cannot undo, so it is never
    refused: it becomes an exception for a person. One that was only read too early (an invoice before its packing slip)
    goes away with the missing document.
    """
    settled = () if delivery.lines.to_ship else (Refusal.CREDIT_REFUSED,)
    others = without_exceptions(state, *_NOT_AS_ORDERED, *settled)
    return let_go(replace(others, delivery=delivery, exceptions=(*others.exceptions, *delivery.lines.differences)))


def _shipment_recorded(state: DealState, fact: facts.ShipmentRecorded) -> Change:
    shown = replace(state, shown_slips=state.shown_slips | frozenset(fact.slips), shown_shipped=state.delivery.in_sales)
    if fact.slips:
        return Change(shown, f"Sales shows packing slip {', '.join(fact.slips)}")
    return Change(shown, f"Sales shows the shipment as {state.delivery.in_sales or 'not begun'}")


def _payments_recorded(state: DealState, fact: facts.PaymentsRecorded) -> Change:
    words = ", ".join(f"{number}: {_money(state, amount)} open" for number, amount in fact.open_amounts.items())
    shown = replace(
        state, shown_invoices={**state.shown_invoices, **fact.open_amounts}, shown_paid=state.delivery.paid_up
    )
    return Change(shown, f"Sales shows {words or 'that nothing is open'}")


def _money(state: DealState, amount: Decimal) -> str:
    return format_money(amount, state.header.currency)
