"""Changing and cancelling an order that Finance holds: asked, carried out, and believed when Finance shows it.

What is done to undo an order goes backwards through what was done to make it: Finance's order first, then the
customer's credit, then Sales. Nothing is called cancelled before Finance was read to say so (lifecycle 7).
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, NoReturn

from domain import facts, order_change_facts
from domain.causes import Cause
from domain.changing import PAUSES, ChangeStep, OrderChange, cuts
from domain.deal_state import DealState, OrderStatus, QuoteStatus, SalesDue
from domain.frozen import replace
from domain.growing import sizes_of
from domain.lines import LineLedger
from domain.money import plain
from domain.refusals import Refusal
from domain.rules import growing
from domain.rules.change import Change, Refused, illegal, stale, with_exception, without_exceptions
from domain.rules.closing import ended_here
from domain.rules.following import Rules
from domain.views import Ending

RULES: Final = Rules()


@RULES.rule
def _order_change_due(state: DealState, fact: order_change_facts.OrderChangeDue) -> Change:
    return retried(state, fact.reason)


@RULES.rule
def _ordered_shown(state: DealState, fact: order_change_facts.OrderedShown) -> Change:
    text = "Sales shows what is ordered in Finance" if fact.changes else "Sales shows the order as it was sold"
    return Change(replace(state, shown_ordered=fact.changes), text)


@RULES.rule
def _asked(state: DealState, fact: order_change_facts.OrderChangeAsked) -> Change:
    change = OrderChange(lines=fact.lines, reason=fact.reason, by=fact.by, asked_at=fact.at, number=state.version + 1)
    if state.order is OrderStatus.NONE:
        illegal("there is no order in Finance yet: cancel the deal")
    under_way = state.changing
    if under_way is not None and (under_way.is_whole or not change.is_whole):
        raise Refused(Refusal.CHANGE_OPEN, f"{under_way.by.label} asked for one before: {under_way.words}")
    if state.confirmation_number and not state.delivery.lines.to_ship:
        _nothing_left(state)
    if not change.is_whole and _check_lines(state, change):
        growing.may_be_asked(state, change)
        change = change.model_copy(update={"step": ChangeStep.LOOK})
    if under_way is not None:  # what it had of the customer's credit is given back with it
        change = change.model_copy(update={"credit": under_way.credit})
    after = replace(without_exceptions(state, Refusal.CHANGE_REFUSED), changing=change)
    undone = f"; undoes order {state.order_number} in Finance" if change.is_whole else f" of order {state.order_number}"
    return Change(after, f"asked: {change.words}{undone}: {change.reason}")


def _nothing_left(state: DealState) -> NoReturn:
    """Refuse what comes too late, with the way that is left (lifecycle 7)."""
    delivery = state.delivery
    if not delivery.any_invoiced:
        text = "all of it is shipped: open a return order in Finance; what comes back is credited"
    elif delivery.all_invoiced and delivery.all_paid:
        text = "it is shipped, invoiced and paid: open a return order and have it credited, then refunded or used"
    else:
        text = "it is shipped and invoiced: open a return order in Finance and have it credited, or dispute the invoice"
    raise Refused(Refusal.NOTHING_TO_CANCEL, text)


def _check_lines(state: DealState, change: OrderChange) -> bool:
    """Refuse at once what is known to be impossible; lines that the deal does not keep are looked at in Finance.

    Returns:
        Whether a line becomes larger, or may.
    """
    if not state.sales_order_id:
        illegal("the order is being made: cancel it whole now, or change its lines once Sales shows it")
    numbers = [line.line_no for line in change.lines]
    if len(set(numbers)) != len(numbers):
        raise Refused(Refusal.DUPLICATE_LINE, "a line is named twice")
    known = {line.line_no for line in state.delivery.lines.shown}
    whole = len(known) == state.delivery.lines.count
    ledger = [LineLedger.model_validate(line.model_dump()) for line in state.delivery.lines.shown]
    larger = sizes_of(ledger, change.lines).larger
    found, refused = cuts(
        ledger, [line for line in change.lines if line.line_no not in larger and (whole or line.line_no in known)]
    )
    if refused:
        raise Refused(refused[0].code, str(refused[0]))
    if not found and not larger and whole:
        illegal("nothing would change")
    return bool(larger) or any(line.line_no not in known for line in change.lines)


@RULES.rule
def _made(state: DealState, fact: order_change_facts.OrderChangeMade) -> Change:
    """Finance took it: the order is read, and what it shows counts."""
    change = _of(state, fact.lines)
    told = state.billing_told + 1
    after = replace(
        without_exceptions(state, Refusal.CHANGE_FAILING),
        changing=change.model_copy(update={"sent": told, "failure": "", "cause": "", "failures": 0, "retry_at": None}),
        billing_told=told,
    )
    if state.order is OrderStatus.CREATING:  # an earlier try had made it
        after = replace(
            after,
            order=OrderStatus.CREATED,
            quote=QuoteStatus.ORDERED,
            order_number=fact.order_number,
        )
    for text in fact.refused:
        after = with_exception(after, f"{Refusal.CHANGE_REFUSED}: {text}")
    if fact.confirmation_number:
        after = replace(after, confirmation_number=fact.confirmation_number)
    what = f"{plain(fact.cancelled)} of order {after.order_number} cancelled in Finance, to be read back"
    if change.raised:
        less = f", {plain(fact.cancelled)} cancelled" if fact.cancelled else ""
        what = f"order {after.order_number} raised by {plain(fact.raised)} in Finance{less}, to be read back"
    return Change(after, "; ".join((what, *fact.refused)))


@RULES.rule
def _failed(state: DealState, fact: order_change_facts.OrderChangeFailed) -> Change:
    change = _of(state, fact.lines)
    if change.is_over_for(fact.cause):
        return growing.given_up(state, change, f"{fact.message}; Finance's order counts as it is read next")
    return Change(
        _failing(state, change, fact.message, fact.at, cause=fact.cause),
        f"not yet: {fact.message}; tried again by itself",
    )


def _failing(
    state: DealState, change: OrderChange, message: str, at: datetime, *, cause: str = Cause.CONFLICT
) -> DealState:
    """The state with a change that did not succeed: visible to a person, and tried again forever."""
    failures = change.failures + 1
    again = change.model_copy(
        update={
            "sent": 0,
            "failures": failures,
            "failure": message,
            "cause": str(cause),
            "retry_at": at + PAUSES.after(failures - 1),
        }
    )
    text = f"{Refusal.CHANGE_FAILING}: order {state.order_number}: {change.words}: {message}"
    return with_exception(replace(without_exceptions(state, Refusal.CHANGE_FAILING), changing=again), text)


def retried(state: DealState, reason: str) -> Change:
    """A change that rests is tried again.

    Raises:
        Refused: none rests.
    """
    change = state.changing
    if change is None or change.retry_at is None:
        stale("no change of the order rests")
    due = change.model_copy(update={"retry_at": None})
    return Change(replace(state, changing=due), f"the order is changed in Finance again: {reason}")


@RULES.rule
def _absent(state: DealState, fact: order_change_facts.OrderAbsent) -> Change:
    """Finance was proved to have no such order: there is nothing to undo there."""
    _of(state, ())
    text = f"Finance has no order {fact.order_number}: nothing is to be undone there"
    settled = replace(without_exceptions(state, Refusal.CHANGE_FAILING, Refusal.SALES_ORDER_CANCELLED), changing=None)
    if not state.sales_order_id:
        never = replace(settled, order=OrderStatus.NONE, order_number="")
        return Change(ended_here(never, Ending.CANCELLED, SalesDue.CANCELLED), text)
    gone = replace(settled, delivery=replace(state.delivery, cancelled=True))
    return Change(replace(gone, ending=Ending.CANCELLED, sales_due=SalesDue.ORDER_CANCELLED), text)


def _of(state: DealState, lines: tuple[object, ...]) -> OrderChange:
    """The change under way that a result belongs to.

    Raises:
        Refused: another one took its place, or none is.
    """
    change = state.changing
    if change is None or change.lines != lines:
        stale("another change of the order took its place")
    return change


def read_back(change: Change, fact: facts.BillingRead) -> Change:
    """What a look at Finance means for the change under way: done, not done yet, or to be tried again at once.

    Args:
        change: the state with what was read, and its words.
        fact: the reading.
    """
    state = change.state
    asked = state.changing
    if asked is None:
        return change
    if not asked.sent:
        return Change(replace(state, changing=asked.model_copy(update={"retry_at": None})), change.text)
    if fact.covers < asked.sent:
        return change
    if missing := _missing(state, asked):
        return Change(_failing(state, asked, missing, fact.at), f"{change.text}; {missing}")
    lines = state.delivery.lines
    done = f"order {state.order_number} is changed: {plain(lines.cancelled)} of {plain(lines.ordered)} cancelled"
    if asked.raised:
        done = f"order {state.order_number} is changed: {asked.words}, as Finance shows it"
    kept = f", {plain(lines.shipped)} shipped and kept" if lines.shipped else ""
    return Change(replace(state, changing=None), f"{change.text}; {done}{kept}")


def _missing(state: DealState, asked: OrderChange) -> str:
    """What Finance does not show of a change that it took; empty where it shows all."""
    lines = state.delivery.lines
    if asked.is_whole:
        left = f"Finance still shows {lines.to_ship} line{'' if lines.to_ship == 1 else 's'} with something to ship"
        return left if lines.to_ship else ""
    wanted = {line.line_no: line.quantity for line in asked.lines}
    short = [
        line.line_no
        for line in asked.raised
        for shown in lines.shown
        if shown.line_no == line.line_no and shown.ordered - shown.cancelled < line.quantity
    ]
    if short:
        return f"Finance does not show line {short[0]} as raised"
    late = [
        line.line_no
        for line in lines.shown
        if line.line_no in wanted
        and line.ordered - line.cancelled > max(wanted[line.line_no], line.shipped, line.invoiced)
        and not any(f"line {line.line_no}:" in text for text in state.exceptions if Refusal.CHANGE_REFUSED in text)
    ]
    return f"Finance does not show it yet on line {late[0]}" if late else ""
