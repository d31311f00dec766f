"""1,000 events, told three times and shuffled, end in the same state as told once and in order (S5, S24)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from temporalio.service import RPCError

from domain.messages import FinanceEventKind, SalesEventKind
from domain.tally import RECEIVED
from domain.views import DealView, Ending, WaitingFor
from runs import names
from tests.workflows.acting import until, waits_for
from tests.workflows.conftest import Stage, World, accounted_for

DEALS, COPIES = 20, 3
PARTS = 10
"""The order of ten is shipped and invoiced one by one; seven invoices are paid in three parts, three in two."""
ROUND = 8
OF_INVOICE = Decimal("104.5")
Tell = Callable[[Stage], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Event:
    """What happens, and how the deal is told of it."""

    happens: Callable[[World], object]
    tell: Tell


def of_sales(kind: SalesEventKind) -> Event:
    return Event(lambda world: None, lambda stage: stage.sales(kind))


def of_finance(kind: FinanceEventKind, document: str, happens: Callable[[World], object]) -> Event:
    return Event(happens, lambda stage: stage.finance(kind, document))


def shipped(n: int) -> Event:
    number = f"PS-{n}"
    return of_finance(FinanceEventKind.SHIPMENT_POSTED, number, lambda world: world.slips.update({number: {1: 1}}))


def invoiced(n: int) -> Event:
    number = f"INV-{n}"
    return of_finance(FinanceEventKind.INVOICE_POSTED, number, lambda world: world.invoice(number, 1, str(OF_INVOICE)))


def paid(n: int) -> Iterator[Event]:
    parts = 3 if n <= 7 else 2
    for part in range(1, parts + 1):
        left = str(OF_INVOICE - 30 * part) if part < parts else "0"
        happens = lambda world, left=left: world.invoice(f"INV-{n}", 1, left)  # noqa: E731  # one of a row
        yield of_finance(FinanceEventKind.PAYMENT_POSTED, f"PAY-{n}-{part}", happens)


def story() -> list[Event]:
    """What happens to the order, in its order: each part is shipped, invoiced and paid, beside the others."""
    numbers = range(1, PARTS + 1)
    events = [event for n in numbers for event in (shipped(n), invoiced(n))]
    return events + [event for n in numbers for event in paid(n)]


def in_rounds() -> list[list[Event]]:
    """The same, as much as happens before a shuffled deal is told of any of it; the last, which ends it, by itself."""
    *events, last = story()
    return [*(events[n : n + ROUND] for n in range(0, len(events), ROUND)), [last]]


def outcome(view: DealView) -> dict[str, Any]:
    """The state a deal ended in, without when and under which number that was."""
    kept = {"stage", "ending", "quote_status", "order_status", "lines", "documents", "invoiced", "paid", "credited"}
    state = view.model_dump(mode="json", include=kept | {"net", "tax", "total", "exceptions", "parked"})
    of_finance = {"invoice", "packing slip", "payment"}
    documents = [
        {**document, "at": None, "number": document["number"] if document["kind"] in of_finance else ""}
        for document in state["documents"]
    ]
    state["documents"] = sorted(documents, key=lambda document: (document["kind"], document["number"]))
    return state


async def to_order(stage: Stage, chance: random.Random | None) -> int:
    """Submit, activate and accept; how many messages the deal was sent."""
    told = [SalesEventKind.ACTIVATED, SalesEventKind.ACCEPTED]
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    if chance:
        told = [*told * COPIES, *[SalesEventKind.SUBMITTED] * (COPIES - 1)]
        chance.shuffle(told)
    for kind in told:
        await stage.sales(kind)
    await until(stage, waits_for(WaitingFor.SHIPMENT))
    return 2 + len(told)  # it was begun with the submission, and told of it


async def in_order(stage: Stage, world: World) -> dict[str, Any]:
    """Each event once, when it has happened."""
    await to_order(stage, None)
    for event in story():
        event.happens(world)
        await event.tell(stage)
        await stage.case.query(names.TALLY)
    return await ended(stage)


class Shuffled:
    """A deal that is told each event three times, at any time after it happened: over and under each other."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self.stage, self.sent = stage, 0
        self._chance = random.Random(seed)
        self._due: dict[int, list[Event]] = {}
        *rounds, last = in_rounds()
        for number, happened in enumerate(rounds):
            for event in happened * COPIES:
                self._due.setdefault(self._chance.randrange(number, len(rounds)), []).append(event)
        self._due[len(rounds)] = last * COPIES

    async def begin(self) -> None:
        self.sent = await to_order(self.stage, self._chance)

    async def hear(self, number: int) -> None:
        now = self._due.get(number, [])
        self._chance.shuffle(now)
        for event in now:
            with suppress(RPCError):  # it has ended: with the copy before
                await event.tell(self.stage)
                self.sent += 1

    async def ended(self) -> dict[str, Any]:
        state = await ended(self.stage)
        await accounted_for(self.stage.case)
        tally: dict[str, int] = await self.stage.case.query(names.TALLY)
        assert tally[RECEIVED] == self.sent, tally
        return state


async def ended(stage: Stage) -> dict[str, Any]:
    return outcome(DealView.model_validate(await stage.case.result()))


@pytest.mark.timeout(300)
async def test_a_thousand_events_told_three_times_and_shuffled_end_as_told_once_and_in_order(
    stage: Stage, world: World
) -> None:
    assert DEALS * (len(story()) + 3) == 1_000
    expected = await in_order(stage, world)
    assert expected["ending"] == Ending.CLOSED.value

    world.slips.clear()
    world.invoices.clear()  # all deals are of one order's story
    quotes = [World(quote=f"{world.quote}-{seed}") for seed in range(DEALS)]
    deals = [Shuffled(Stage(stage.env, quote), seed) for seed, quote in enumerate(quotes)]
    await asyncio.gather(*(deal.begin() for deal in deals))
    for number, happened in enumerate(in_rounds()):
        for event in happened:
            event.happens(world)
        await asyncio.gather(*(deal.hear(number) for deal in deals))
    for deal in deals:  # one after another: an ended run is asked out of its whole history
        assert await deal.ended() == expected
