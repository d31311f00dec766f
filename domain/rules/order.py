"""The order: created in Finance, confirmed, shown in Sales, and what people do to it there (lifecycle 2.5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from domain import facts
from domain.credit_facts import CreditStatus
from domain.deal_state import DealState, OrderStatus, QuoteStatus, SalesDue
from domain.delivered import Delivery
from domain.frozen import replace
from domain.refusals import Refusal
from domain.rules.change import Change, illegal, stale, with_exception, without_exceptions
from domain.rules.closing import ended_here
from domain.rules.following import Rules
from domain.views import Ending

RULES: Final = Rules()


@RULES.rule
def _opportunity_reopened(state: DealState, _fact: facts.OpportunityReopened) -> Change:
    text = f"{Refusal.OPPORTUNITY_REOPENED}: the opportunity was reopened in Sales"
    return Change(with_exception(state, text), "the opportunity was reopened in Sales")


@RULES.rule
def _started(state: DealState, fact: facts.OrderStarted) -> Change:
    if not state.may_order:
        illegal("an order needs approved content, acceptance and credit")
    started = replace(state, order=OrderStatus.CREATING, order_number=fact.order_number)
    return Change(started, f"order {fact.order_number} is being created in Finance")


@RULES.rule
def _put_off(state: DealState, fact: facts.OrderPutOff) -> Change:
    if state.order is not OrderStatus.CREATING:
        illegal(f"order put off: it is {state.order}")
    if state.cancelling:
        return _never_made(state)
    again = replace(
        state,
        order=OrderStatus.NONE,
        order_number="",
        order_absent_at=None,
        order_put_off=True,
        credit=CreditStatus.NOT_CHECKED,
        credit_decision=None,
    )
    return Change(again, f"no order was made yet, and {fact.why}: credit is checked again")


def _never_made(state: DealState) -> Change:
    """The order was cancelled before it was made, and it was not made: there is nothing to undo in Finance."""
    never = replace(without_exceptions(state, Refusal.CHANGE_FAILING), changing=None, order=OrderStatus.NONE)
    ended = ended_here(replace(never, order_number=""), Ending.CANCELLED, SalesDue.CANCELLED)
    return Change(ended, "no order was made, and it is not wanted any more")


@RULES.rule
def _created(state: DealState, fact: facts.OrderCreated) -> Change:
    if state.order is not OrderStatus.CREATING:
        illegal(f"order created: it is {state.order}")
    created = replace(
        state,
        order=OrderStatus.CREATED,
        quote=QuoteStatus.ORDERED,
        order_number=fact.order_number,
        ordered_digest=fact.lines.digest,
        delivery=Delivery(lines=fact.lines),
        order_net=fact.net,
        rounding_difference=fact.rounding_difference,
        rounding=fact.rounding,
        finance_read_at=fact.at,
        given="",
    )
    plural = "" if fact.lines.count == 1 else "s"
    text = f"order {fact.order_number} created with {fact.lines.count} line{plural}"
    return Change(created, f"{text}; {fact.rounding.words}" if fact.rounding else text)


@RULES.rule
def _confirmed(state: DealState, fact: facts.OrderConfirmed) -> Change:
    if state.order is not OrderStatus.CREATED:
        illegal(f"order confirmed: it is {state.order}")
    confirmed = replace(state, order=OrderStatus.CONFIRMED, confirmation_number=fact.confirmation_number)
    if fact.beyond:
        read = replace(confirmed, billing_told=state.billing_told + 1)
        return Change(read, f"order {state.order_number} was {fact.beyond} in Finance before it was confirmed")
    return Change(confirmed, f"order confirmed ({fact.confirmation_number})")


@RULES.rule
def _recorded(state: DealState, fact: facts.OrderRecorded) -> Change:
    if not state.confirmation_number:
        illegal(f"order recorded in Sales: it is {state.order}")
    shown = replace(state, sales_order_id=fact.sales_order_id)
    if not fact.notes:
        return Change(shown, "Sales shows the order; opportunity won")
    return Change(shown, f"Sales shows the order, but not all with it: {'; '.join(fact.notes)}")


@RULES.rule
def _cancelled_in_sales(state: DealState, _fact: facts.SalesOrderCancelled) -> Change:
    """The rep calls it off: right before there is an order in Finance, else somebody has to cancel that one too."""
    text = "the order was cancelled in Sales"
    if state.order is OrderStatus.NONE:
        return Change(
            replace(state, quote=QuoteStatus.CANCELLED, ending=Ending.CANCELLED), f"{text}: nothing is ordered"
        )
    if state.cancelling:
        return Change(state, f"{text}: Finance's order is being cancelled")
    told = (
        f"{Refusal.SALES_ORDER_CANCELLED}: order {state.order_number} is in Finance, its order in Sales was cancelled"
    )
    return Change(with_exception(state, told), text)


@RULES.rule
def _other_orders(state: DealState, fact: facts.OtherSalesOrders) -> Change:
    """A quote that was converted twice, before or after the order: somebody's business until one is left."""
    after = with_second_orders(state, fact.numbers)
    if after.exceptions == state.exceptions:
        stale("what Sales has of orders is known")
    if fact.numbers:
        return Change(after, f"the quote was made into another order in Sales: {', '.join(fact.numbers)}")
    return Change(after, "the other orders made from the quote were cancelled in Sales")


def with_second_orders(state: DealState, numbers: Sequence[str]) -> DealState:
    """The state with an exception for each order that Sales has of the quote beside the deal's own, and no other."""
    after = without_exceptions(state, Refusal.SECOND_SALES_ORDER)
    for number in numbers:
        text = f"{Refusal.SECOND_SALES_ORDER}: Sales has order {number} of the quote as well"
        after = with_exception(after, text)
    return after
