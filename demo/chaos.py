"""A chaos run: deals are kept in flight while faults strike and processes are killed; then everything is judged.

The judge is the demo's (``demo.verdict``): every deal against its input, Sales and Finance, read from the sandbox's own
tables. A run is sound where no deal is lost, none is ordered twice, none passes the credit limit without a release, and
both systems agree.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote as encoded

from rich.console import Console
from rich.table import Table
from rich.text import Text
from temporalio.client import Client

from demo.desk import Desk
from demo.faults import AT_ONCE, Fault, faults
from demo.play import LOOK_EVERY, Demo, DemoOptions, on_stack
from demo.recorded import list_deals
from demo.samples import SAMPLE, SampleDeal
from demo.stack import Stack, StackOptions
from demo.stories import Stories
from demo.verdict import Expectation, Outcome, mismatches
from runs.search import DealRow
from workers.settings import Settings

MOST_DEALS = 1_000
STRIKE_LOOKS = 20
"""Looks, two a second, after which faults that found nothing to strike give their place to others."""
RESTARTED_LOOKS = 60
"""Looks, one a second, for the process that takes the place of one that was killed."""
DRAINED_WITHIN = 300.0
"""Seconds for all deals to end once nothing goes wrong any more."""


@dataclass(frozen=True)
class ChaosOptions:
    """What the command line asks for."""

    faults: int
    seed: int
    deals: int
    """In flight at a time."""
    report: Path | None = None


def chaos_deals() -> Iterator[tuple[str, SampleDeal]]:
    """Deals without end, of every kind that needs no clock moved: number of the quote, and what it is."""
    kinds = itertools.cycle(deal for deal in SAMPLE if not deal.expires)
    return ((f"{deal.prefix}{2001 + n}", deal) for n, deal in enumerate(kinds))


@dataclass
class Chaos(Demo):
    """One chaos run on a running stack."""

    chaos: ChaosOptions = field(default_factory=lambda: ChaosOptions(faults=0, seed=0, deals=1))
    struck: Counter[str] = field(default_factory=Counter)
    _said: str = ""

    async def run(self) -> int:
        """Keep deals in flight until all faults have struck, let them end, and judge; the exit code."""
        began = time.monotonic()
        self._stories = Stories(self.client, self.desk, {})
        supply = list(itertools.islice(chaos_deals(), MOST_DEALS))
        await self._play({number: deal.plan | {"shows": deal.title} for number, deal in supply}, {})
        striking = asyncio.create_task(self._strike())
        waiting = iter(supply)
        try:
            await self._keep_in_flight(waiting, striking)
            await striking
            await self.desk.delete("/faults")
            late = await self._drained()
        finally:
            striking.cancel()
        outcomes = await self._settled()
        report = judged(self.chaos, self.struck, outcomes, await self.desk.get("/state"), late)
        report["seconds"] = round(time.monotonic() - began, 1)
        if self.chaos.report:
            self.chaos.report.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        self.console.print(table_of(report))
        return 0 if report["sound"] else 1

    async def _keep_in_flight(self, waiting: Iterator[tuple[str, SampleDeal]], striking: asyncio.Task[None]) -> None:
        """Submit a deal for each that has ended, as long as there are faults to come."""
        while not striking.done():
            self._require_memory()
            arrived = await self._arrived_of(await list_deals(self.client))
            for _ in range(self.chaos.deals - (len(self._expected) - arrived)):
                number, deal = next(waiting, ("", None))
                if deal is None:
                    break
                await self._submit(number, deal)
            await asyncio.sleep(LOOK_EVERY)

    async def _submit(self, number: str, deal: SampleDeal) -> None:
        self._expected[number] = Expectation(deal.end, level=deal.levels, held=deal.held)
        await self.desk.post("/quotes", {"number": number, **deal.request})
        await self.desk.post(f"/quotes/{encoded(number, safe='')}/submit")

    async def _arrived_of(self, rows: list[DealRow]) -> int:
        return sum(1 for row in rows if row.quote in self._expected and self._arrived(row))

    async def _strike(self) -> None:
        """Put faults in force, a few at a time, until every one has struck."""
        left = list(faults(self.chaos.seed, self.chaos.faults))
        while left:
            some = left[:AT_ONCE]
            of_systems = [fault for fault in some if fault.of_system]
            await self.desk.put("/faults", [fault.of_system for fault in of_systems if fault.of_system])
            for fault in some:
                if fault.kills:
                    await self._kill(fault)
            missed = await self._missed(of_systems)
            for fault in of_systems:
                if fault not in missed:
                    self.struck[fault.name] += 1
            left = [*left[AT_ONCE:], *missed]
            self._say(
                f"{sum(self.struck.values())} of {self.chaos.faults} faults have struck, {len(self._expected)} deals"
            )

    def _say(self, text: str) -> None:
        """Say how far it is, once."""
        if text != self._said:
            self._said = text
            self.console.print(text, style="dim", markup=False, highlight=False, soft_wrap=True)

    async def _kill(self, fault: Fault) -> None:
        """End a process at once, and wait until another one stands in its place."""
        await asyncio.sleep(LOOK_EVERY)
        pid = self.stack.pids()[fault.kills]
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            self.struck[fault.name] += 1
        for _ in range(RESTARTED_LOOKS):
            if self.stack.pids()[fault.kills] != pid:
                return
            await asyncio.sleep(LOOK_EVERY)

    async def _missed(self, of_systems: list[Fault]) -> list[Fault]:
        """Those that found nothing to strike for a while."""
        in_force: list[dict[str, Any]] = []
        for _ in range(STRIKE_LOOKS):
            if not (in_force := await self.desk.get("/faults")):
                break
            await asyncio.sleep(LOOK_EVERY / 2)
        missed: list[Fault] = []
        unstruck = Counter(map(_key, in_force))
        for fault in of_systems:
            if fault.of_system and unstruck[_key(fault.of_system)] > 0:
                unstruck[_key(fault.of_system)] -= 1
                missed.append(fault)
        return missed

    async def _drained(self) -> list[str]:
        """Wait until all deals have ended; the quotes of those that have not in time."""
        until = time.monotonic() + DRAINED_WITHIN
        while True:
            rows = {row.quote: row for row in await list_deals(self.client)}
            late = [number for number in self._expected if number not in rows or not self._arrived(rows[number])]
            if not late or time.monotonic() > until:
                return late
            self._say(f"Nothing goes wrong any more; still under way: {', '.join(late[:5])}")
            await asyncio.sleep(LOOK_EVERY)


def _key(of_system: Mapping[str, Any]) -> str:
    """What tells a fault of a system from others: the desk leaves out what is not said."""
    return json.dumps([of_system["system"], of_system.get("method"), of_system["effect"]], sort_keys=True)


def judged(
    options: ChaosOptions, struck: Counter[str], outcomes: list[Outcome], state: Mapping[str, Any], late: list[str]
) -> dict[str, Any]:
    """What a run came to.

    Args:
        options: of the run.
        struck: how often what went wrong.
        outcomes: every deal, as the product, Sales and Finance have it.
        state: the desk's `GET /state`: what both systems hold.
        late: quotes whose deal had not ended in time.

    Returns:
        JSON types; `sound`: nothing is wrong.
    """
    found = [text for outcome in outcomes for text in mismatches(outcome)]
    orders = state["orders"]
    twice = orders["duplicates"] + orders["without_quote"]
    lost = sorted({*late, *(outcome.quote for outcome in outcomes if outcome.deal is None)})
    overrun = sum("above the credit limit" in text for text in found)
    total = sum(struck.values())
    return {
        "sound": not (found or twice or lost) and total >= options.faults,
        "seed": options.seed,
        "faults": total,
        "struck": dict(sorted(struck.items())),
        "deals": len(outcomes),
        "orders": orders["total"],
        "orders_twice": twice,
        "deals_lost": len(lost),
        "lost": lost,
        "credit_overrun": overrun,
        "mismatches": found,
    }


def table_of(report: Mapping[str, Any]) -> Table:
    """The report as a table to show."""
    table = Table(title=f"Chaos, seed {report['seed']}: {'sound' if report['sound'] else 'NOT SOUND'}")
    table.add_column("What")
    table.add_column("Number", justify="right")
    for name, number in report["struck"].items():
        table.add_row(name, str(number))
    table.add_section()
    for what in ("faults", "deals", "orders", "orders_twice", "deals_lost", "credit_overrun"):
        table.add_row(what.replace("_", " "), str(report[what]))
    for text in report["mismatches"][:20]:
        table.add_row(Text(text, style="red"), "")
    return table


async def play_chaos(settings: Settings, options: ChaosOptions, console: Console) -> int:
    """Start a stack of its own on free ports, and live through the faults; the exit code."""

    def chaos(stack: Stack, client: Client, desk: Desk) -> Awaitable[int]:
        return Chaos(DemoOptions(auto=True), stack, client, desk, console, chaos=options).run()

    return await on_stack(settings, StackOptions(ports="auto"), console, "The run", chaos, stopped=1)
