"""The budget of a system: so many requests a second however many ask, urgent ones first. The clock is not real."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any

from dynamics.core.budget import NORMAL, URGENT, Budget, prioritised


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer instead of passing."""

    def __init__(self) -> None:
        super().__init__(_Jumping(self))
        self.now = 0.0

    def time(self) -> float:
        return self.now


class _Jumping(selectors.SelectSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        self._loop.now += (timeout or 0) + 1e-6  # time never stands still: a timer may be a rounding error away
        return super().select(0)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


async def spend(budget: Budget, times: list[float], priority: int = NORMAL) -> None:
    with prioritised(priority):
        await budget.take()
    times.append(asyncio.get_running_loop().time())


def test_after_the_first_second_s_worth_requests_go_at_the_rate_of_the_budget() -> None:
    async def work() -> list[float]:
        budget = Budget(15)
        times: list[float] = []
        await asyncio.gather(*(spend(budget, times) for _ in range(165)))
        return times

    times = run(work())
    assert times[14] < 0.01
    assert 9.9 <= times[-1] <= 10.1  # 15 at once, 150 more at 15 a second
    for second in range(10):
        assert sum(1 for at in times[15:] if second < at <= second + 1) <= 16


def test_a_budget_below_one_a_second_still_lets_one_go() -> None:
    async def work() -> list[float]:
        budget = Budget(0.5)
        times: list[float] = []
        await asyncio.gather(*(spend(budget, times) for _ in range(3)))
        return times

    assert [round(at, 2) for at in run(work())] == [0.0, 2.0, 4.0]


def test_urgent_requests_overtake_the_bulk_that_waits_and_keep_their_order() -> None:
    async def work() -> list[str]:
        budget, went = Budget(10), []

        async def ask(name: str, priority: int) -> None:
            with prioritised(priority):
                await budget.take()
            went.append(name)

        bulk = [asyncio.create_task(ask(f"bulk {n}", NORMAL)) for n in range(40)]
        await asyncio.sleep(0.35)
        urgent = [asyncio.create_task(ask(f"credit {n}", URGENT)) for n in range(3)]
        await asyncio.gather(*bulk, *urgent)
        return went

    went = run(work())
    first = went.index("credit 0")
    assert first <= 15 and went[first : first + 3] == ["credit 0", "credit 1", "credit 2"]
    assert [name for name in went if name.startswith("bulk")] == [f"bulk {n}" for n in range(40)]


def test_who_gave_up_takes_nobody_s_turn() -> None:
    async def work() -> list[float]:
        budget = Budget(1)
        times: list[float] = []
        await budget.take()
        gone = asyncio.create_task(spend(budget, times))
        waiting = asyncio.create_task(spend(budget, times))
        await asyncio.sleep(0.1)
        gone.cancel()
        await waiting
        return times

    assert [round(at, 1) for at in run(work())] == [1.0]


def test_two_queues_that_call_one_system_share_its_budget() -> None:
    """Given activities of both queues reading Dataverse, when each sends 75 requests, then 15 a second go in all."""

    async def work() -> list[float]:
        budget = Budget(15)
        times: list[float] = []
        await asyncio.gather(*(spend(budget, times, URGENT if n % 2 else NORMAL) for n in range(150)))
        return times

    times = run(work())
    assert (len(times) - 15) / times[-1] <= 15.05
