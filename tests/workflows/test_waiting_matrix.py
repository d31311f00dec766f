"""No loop of a deal turns without waiting or doing something, whatever state the deal is in.

The states are all that can be reached (``tests.reachable``). For each, the loop of its stage is run with stand-ins for
steps, requests and waits, up to the first thing it does or waits for. That it also gets somewhere is shown on the graph
of what the deal does by itself: without anything from outside, it comes to a wait or to an end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from typing import Any, cast

import pytest
from temporalio import workflow

from domain import moves
from domain.deal_start import DealStart
from domain.deal_state import DealState, OrderStatus, QuoteStatus
from domain.explain import explain
from domain.growing import LargerOrder
from domain.moves import ClosingMove, CreditMove, DeliveryMove, QuoteMove
from domain.views import WaitingFor
from tests.deals import T0
from tests.reachable import done, essence, next_states, states, waiting
from workflows.quote_to_cash import closing
from workflows.quote_to_cash.background import Background
from workflows.quote_to_cash.billing import Billing
from workflows.quote_to_cash.changing import Changing
from workflows.quote_to_cash.closing import Closing
from workflows.quote_to_cash.credit import Credit
from workflows.quote_to_cash.delivery import Delivery
from workflows.quote_to_cash.deposits import Deposits
from workflows.quote_to_cash.order import Order
from workflows.quote_to_cash.quote import Quote
from workflows.quote_to_cash.record import DealRecord
from workflows.quote_to_cash.request import Request
from workflows.quote_to_cash.steps import Steps
from workflows.quote_to_cash.waiting import Ended, Waiting
from workflows.quote_to_cash.write_back_lag import WriteBackLag

MOST_TURNS = 100
"""Turns of a loop that neither does something nor waits."""


class Does(Exception):
    """The loop does something that takes time: an activity, a child, a signal."""


class Waits(Exception):
    """The loop waits."""


class WaitingStandIn:
    """Waits as the real one does, but tells instead of waiting."""

    def __init__(self, record: DealRecord, over: Callable[[], bool]) -> None:
        self.record, self.over, self.turns = record, over, 0

    async def turn(self) -> None:
        self.turns += 1
        assert self.turns < MOST_TURNS, f"the loop turns without rest: {essence(self.record.state)}"
        if self.over():
            raise Ended

    async def until(
        self, condition: Callable[[], bool], *, deadline: datetime | None = None, summary: str = ""
    ) -> bool:
        await self.turn()
        if condition():
            return True
        raise Waits

    def publish(self) -> None:
        """Nothing is published."""


class StepsStandIn:
    """Every step takes time."""

    async def run(self, *args: Any, **kwargs: Any) -> Any:
        raise Does

    park = try_once = attempt = run


class RequestStandIn:
    """Asking, ending: each takes time."""

    async def ask(self) -> bool:
        raise Does

    async def ask_larger(self, number: int, larger: LargerOrder) -> bool:
        raise Does

    async def end(self, waiting: Waiting) -> None:
        raise Does


class BackgroundStandIn:
    """Starts nothing."""

    def start(self, name: str, work: Any) -> None:
        """Nothing goes on."""

    def stop(self, name: str) -> None:
        """Nothing went on."""


def loops(state: DealState) -> Iterator[tuple[str, Callable[[], Awaitable[object]], DealRecord]]:
    """The loops that may run in this state, each on a record of its own."""

    def parts() -> tuple[DealRecord, Waiting, Waiting, Steps, Request, Background]:
        start = DealStart(company="usmf", quote_number="Q-1", quote_id="q", revision=0)
        record = DealRecord(start, deal_id="d", environment="t", run_id="r", clock=lambda: T0, report=lambda _: None)
        record.state = state
        waiting = WaitingStandIn(record, lambda: not record.state.running)
        ending = WaitingStandIn(record, lambda: record.state.given_up)
        return (
            record,
            cast(Waiting, waiting),
            cast(Waiting, ending),
            cast(Steps, StepsStandIn()),
            cast(Request, RequestStandIn()),
            cast(Background, BackgroundStandIn()),
        )

    record, waiting, ending, steps, request, background = parts()
    if not state.running:
        yield "closing", Closing(record, ending, steps, request).clean_up, record
        return
    if state.order is OrderStatus.NONE:
        yield "quote", Quote(record, waiting, steps, request, background).agree, record
        record, waiting, ending, steps, request, background = parts()
        yield "credit", Credit(record, waiting, steps).check, record
    elif state.sales_order_id or (state.cancelling and state.order is not OrderStatus.CREATING):
        for name in ("ship", "invoice", "pay"):
            record, waiting, ending, steps, request, background = parts()
            changing = Changing(record, waiting, steps, background, request)
            billing = Billing(record, waiting, steps)
            deposits = Deposits(record, waiting, steps, billing)
            order = Order(record, waiting, steps, changing=changing, deposits=deposits, lag=WriteBackLag())
            delivery = Delivery(
                record,
                waiting,
                steps,
                background,
                order=order,
                changing=changing,
                billing=billing,
                lag=WriteBackLag(),
            )
            yield name, getattr(delivery, name), record


@pytest.fixture(autouse=True)
def outside_a_workflow(monkeypatch: pytest.MonkeyPatch) -> None:
    async def tell_ledger(record: DealRecord, signal: str, entry: str = "") -> None:
        raise Does

    monkeypatch.setattr(workflow, "now", lambda: T0)
    monkeypatch.setattr(closing, "tell_ledger", tell_ledger)


@pytest.mark.timeout(600)
async def test_every_turn_of_every_loop_waits_or_does_something() -> None:
    seen = set[tuple[str, str]]()
    for state in states():
        for name, loop, record in loops(state):
            try:
                await loop()
            except (Does, Waits, Ended) as how:
                seen.add((name, type(how).__name__))
            else:
                seen.add((name, "goes on"))
                assert goes_on(name, record.state), (name, essence(state))
    assert {how for name, how in seen if name == "quote"} == {"Does", "Waits", "goes on"}
    assert {how for name, how in seen if name == "credit"} == {"Does", "Waits", "goes on"}
    assert {how for name, how in seen if name == "closing"} >= {"Does", "Ended", "goes on"}
    assert {how for name, how in seen if name in ("ship", "invoice", "pay")} == {"Does", "Waits", "goes on"}


def goes_on(name: str, state: DealState) -> bool:
    """Whether the next stage is where the deal is."""
    match name:
        case "quote":
            return state.won
        case "credit":
            return state.may_order or not state.won
        case "closing":
            return moves.in_closing(state) is ClosingMove.DONE
        case "ship":
            return state.delivery.all_shipped
        case "invoice":
            return state.delivery.all_invoiced
        case _:
            return state.settled


def test_what_a_deal_does_by_itself_comes_to_a_wait_or_an_end() -> None:
    """The graph of the deal's own moves has no circle: nothing is done again and again without a word from outside."""
    following = {essence(state): {essence(after) for _, after in next_states(state, done(state))} for state in states()}
    settled = set[tuple[object, ...]]()

    def visit(key: tuple[object, ...], path: tuple[tuple[object, ...], ...]) -> None:
        assert key not in path, f"a circle: {path[path.index(key) :]}"
        if key in settled:
            return
        for after in following[key] - {key}:
            visit(after, (*path, key))
        settled.add(key)

    for key in following:
        visit(key, ())
    assert len(settled) == len(states())


def test_no_result_of_what_is_done_leaves_the_same_to_be_done_again() -> None:
    """An assessment that comes back stale, late or odd is not asked for again without rest."""
    for state in states():
        if not state.running or moves.in_quote(state) not in (QuoteMove.ASSESS, QuoteMove.LOOK_AT_EXPIRY):
            continue
        for fact, after in next_states(state, done(state)):
            if after.running:
                assert moves.in_quote(after) is not moves.in_quote(state), (fact, essence(state))


def test_whoever_waits_says_for_whom() -> None:
    """A deal that waits has an owner: someone who can act, or a system that is away."""
    for state in states():
        waits = state.running and moves.in_quote(state) is QuoteMove.WAIT and not state.won
        if waits and state.quote is not QuoteStatus.SUBMITTED:
            said = explain(state)
            assert said.waiting_for is not WaitingFor.NOTHING, essence(state)
            assert said.text and said.unblock
        for blocked in waiting(state):
            said = explain(blocked)
            assert said.waiting_for in (WaitingFor.OPERATOR, WaitingFor.SALES, WaitingFor.FINANCE)


def test_won_without_approval_has_an_owner_and_a_later_approval_carries_it_on() -> None:
    stuck = [s for s in states() if s.running and s.accepted and not s.approved_hash]
    assert {s.quote for s in stuck} >= {QuoteStatus.REJECTED, QuoteStatus.INVALID, QuoteStatus.PENDING_APPROVAL}
    for state in stuck:
        assert moves.in_quote(state) is not QuoteMove.WAIT or state.open_request is not None, essence(state)


def test_every_decision_is_met() -> None:
    """The search is wide enough: each move of each loop is next in some state."""
    running = [state for state in states() if state.running]
    assert {moves.in_quote(state) for state in running} == set(QuoteMove)
    assert {moves.in_credit(state) for state in running} == set(CreditMove)
    assert {moves.in_delivery(state) for state in running} == set(DeliveryMove)
    assert {moves.in_closing(state) for state in states() if not state.running} == set(ClosingMove)
    assert {state.quote for state in states()} == set(QuoteStatus)
