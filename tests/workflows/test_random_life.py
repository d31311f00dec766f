"""A deal's life drawn at random, over the real workflows, activities and systems: whatever happens, both systems and
the deal agree in the end, and nothing is ordered twice, kept reserved or owed.

`Q2C_LIFE_EXAMPLES=200` lives more deals than the suite does, other ones each time; `Q2C_LIFE_STEPS="ship 1 2; cancel"`
lives one, which a failure prints.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.workflows.life_checks import at_rest, brought_to_its_end, written_down
from tests.workflows.life_steps import LIVES, Life
from tests.workflows.life_world import COMPANY, LifeWorld, life_world

EXAMPLES = int(os.environ.get("Q2C_LIFE_EXAMPLES", "0"))
FEW = 6
"""Lives that the suite lives, the same each time."""
STEPS = [step.strip() for step in os.environ.get("Q2C_LIFE_STEPS", "").split(";") if step.strip()]
LONGEST = 240.0
"""Seconds of one life; it takes three."""


class Running:
    """The surroundings in a thread of their own: Hypothesis calls a test that is no coroutine."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lives", daemon=True)
        self._open = AsyncExitStack()
        self._thread.start()

    def run(self, work: Any) -> Any:
        """Run a coroutine there."""
        future: Future[Any] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(LONGEST)

    def start(self, folder: Any) -> LifeWorld:
        """Start everything."""
        world: LifeWorld = self.run(self._open.enter_async_context(life_world(folder)))
        return world

    def stop(self) -> None:
        """Stop everything."""
        self.run(self._open.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, LifeWorld]]:
    running = Running()
    world = running.start(tmp_path_factory.mktemp("lives"))
    yield running, world
    running.stop()


async def live(world: LifeWorld, steps: list[str]) -> None:
    """One life: the steps, a look at everything, the end, and a look at what is left."""
    await world.start_work()
    world.post.holds, world.post.copies = False, 1
    world.post.held.clear()
    life = await Life.begin(world)
    for step in steps:
        await life.do(step)
    await at_rest(life)
    await brought_to_its_end(life)
    await written_down(life)


async def chain_verifies(world: LifeWorld) -> None:
    async with world.audit() as reader:
        _, finding = await reader.verify(COMPANY)
    assert finding is None, finding


@pytest.mark.timeout(600 + 60 * EXAMPLES)
def test_whatever_happens_to_a_deal_both_systems_agree_and_nothing_is_left(
    surroundings: tuple[Running, LifeWorld],
) -> None:
    running, world = surroundings

    @settings(
        max_examples=EXAMPLES or FEW,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(LIVES)
    def lives(steps: list[str]) -> None:
        print("; ".join(steps))  # noqa: T201  # pytest shows it where it fails
        running.run(live(world, steps))

    if STEPS:
        running.run(live(world, STEPS))
    else:
        lives()
    running.run(chain_verifies(world))
