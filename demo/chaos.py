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
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote as encoded

import httpx
from rich.console import Console
from rich.table import Table
from rich.text import Text
from temporalio.client import Client

from demo.audited import wrong_audit
from demo.desk import Desk
from demo.doomed import Deaths, Place
from demo.faults import AT_ONCE, FULL_DISK_SECONDS, KILLED, MOST_SKEW, STORM, Fault, boundaries, faults
from demo.play import LOOK_EVERY, Demo, DemoOptions, on_stack
from demo.recorded import list_deals
from demo.relay import Relay, between
from demo.samples import SAMPLE, TIGHT, TIGHT_DEAL, SampleDeal
from demo.stack import START_TIMEOUT, Stack, StackOptions, wait_healthy
from demo.stories import Stories
from demo.temporal_server import wait_ready
from demo.verdict import Expectation, Outcome, mismatches
from runs.search import DealRow
from workers.settings import Settings

MOST_DEALS = 1_000
STRIKE_LOOKS = 12
"""Looks, two a second, after which faults that found nothing to strike give their place to others."""
ALIVE_SECONDS = 3.0
"""How long a worker or web application lives at least: deals are to go on between the faults."""
COUNTED = (
    *("faults", "activity_boundaries", "activity_boundaries_killed_at", "clock_of_both_systems_ahead_by_seconds"),
    *("deals", "orders", "orders_twice", "deals_lost", "credit_overrun", "wrong_in_audit", "seconds"),
)
"""What the table shows of a report."""
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
    """Deals without end, of every kind that needs no clock moved, some of which compete for the same credit.

    Number of the quote, and what it is.
    """
    straight = [deal for deal in SAMPLE if not deal.expires]
    by_three = (straight[n : n + 3] for n in range(0, len(straight), 3))
    kinds = itertools.cycle([deal for some in by_three for deal in (TIGHT_DEAL, *some)])
    return ((f"{deal.prefix}{2001 + n}", deal) for n, deal in enumerate(kinds))


class SteadyDesk(Desk):
    """A desk that is asked nothing while the sandbox is being killed and started again."""

    def __init__(self, origin: str) -> None:
        super().__init__(origin)
        self.awake = asyncio.Lock()

    async def _send(
        self, method: str, path: str, body: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> Any:
        async with self.awake:
            return await super()._send(method, path, body)

    async def answers(self) -> None:
        """Wait until it answers; asked by who holds `awake`."""
        while True:
            try:
                await super()._send("GET", "/faults")
            except httpx.TransportError:
                await asyncio.sleep(LOOK_EVERY / 4)
            else:
                return


@dataclass(frozen=True)
class Wrong:
    """What a run found to be wrong beside the outcomes of its deals.

    Attributes:
        late: quotes whose deal had not ended in time.
        overruns: where a credit limit was passed.
        audit: what is wrong with the audit.
    """

    late: list[str] = field(default_factory=list)
    overruns: list[str] = field(default_factory=list)
    audit: list[str] = field(default_factory=list)


@dataclass
class Chaos(Demo):
    """One chaos run on a running stack."""

    desk: SteadyDesk
    relay: Relay = field(kw_only=True)
    deaths: Deaths = field(kw_only=True)
    chaos: ChaosOptions = field(kw_only=True)
    struck: Counter[str] = field(default_factory=Counter)
    died_at: Counter[Place] = field(default_factory=Counter)
    overruns: list[str] = field(default_factory=list)
    _said: str = ""

    async def run(self) -> int:
        """Keep deals in flight until all faults have struck, let them end, and judge; the exit code."""
        began = time.monotonic()
        self._stories = Stories(self.client, self.desk, {})
        await self.desk.put("/clock", {"offset_seconds": skew(self.chaos.seed)})
        await self.desk.post("/customers", TIGHT)
        supply = list(itertools.islice(chaos_deals(), MOST_DEALS))
        await self._play({number: deal.plan | {"shows": deal.title} for number, deal in supply}, {})
        striking = asyncio.create_task(self._strike())
        waiting = iter(supply)
        try:
            await self._keep_in_flight(waiting, striking)
            await striking
            await self.desk.delete("/faults")
            await self.relay.settle()
            late = await self._drained()
        finally:
            striking.cancel()
        outcomes = await self._settled()
        ledger = self.stack.environment()["Q2C_LEDGER_URL"]
        audit = await wrong_audit(ledger, self.client, self._company, set(self._expected) - set(late))
        wrong = Wrong(late, self.overruns, audit)
        report = judged(self.chaos, self.struck, outcomes, await self.desk.get("/state"), wrong)
        report |= self._coverage()
        report["seconds"] = round(time.monotonic() - began, 1)
        if self.chaos.report:
            self.chaos.report.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        self.console.print(table_of(report))
        return 0 if report["sound"] else 1

    def _coverage(self) -> dict[str, Any]:
        """At which boundaries the worker died, of all there are."""
        every = boundaries(self.deaths.activities())
        return {
            "clock_of_both_systems_ahead_by_seconds": skew(self.chaos.seed),
            "activity_boundaries": len(every),
            "activity_boundaries_killed_at": len(self.died_at),
            "not_killed_at": [f"{activity}, {where}" for activity, where in every if not self.died_at[activity, where]],
        }

    async def _keep_in_flight(self, waiting: Iterator[tuple[str, SampleDeal]], striking: asyncio.Task[None]) -> None:
        """Submit a deal for each that has ended, as long as there are faults to come."""
        while not striking.done():
            await self._watch_credit()
            arrived = await self._arrived_of(await list_deals(self.client))
            for _ in range(self.chaos.deals - (len(self._expected) - arrived)):
                number, deal = next(waiting, ("", None))
                if deal is None:
                    break
                await self._submit(number, deal)
            await asyncio.sleep(LOOK_EVERY)

    async def _watch_credit(self) -> None:
        """Note where the customer with little credit owes more than its limit, by Finance's own tables."""
        customer = await self.desk.get(f"/customers/{TIGHT['company']}/{TIGHT['account']}")
        if Decimal(customer["exposure"]) > Decimal(customer["credit_limit"]):
            self.overruns.append(f"{TIGHT['account']}: exposure of {customer['exposure']} above the credit limit")

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
            some, left = left[:AT_ONCE], left[AT_ONCE:]
            of_systems = [fault for fault in some if fault.of_system]
            await self.desk.put("/faults", [fault.of_system for fault in of_systems if fault.of_system])
            self.relay.due.extend(fault.fate for fault in some if fault.fate)
            missed, unkilled = await asyncio.gather(self._missed(of_systems), self._kill_each(some))
            missed += self._not_told([fault for fault in some if fault.fate])
            self.struck += _names(some) - _names([*missed, *unkilled])
            left += [*missed, *(_anywhere() for _ in unkilled)]
            self._say(
                f"{sum(self.struck.values())} of {self.chaos.faults} faults have struck, {len(self._expected)} deals"
            )

    def _say(self, text: str) -> None:
        """Say how far it is, once."""
        if text != self._said:
            self._said = text
            self.console.print(text, style="dim", markup=False, highlight=False, soft_wrap=True)

    def _not_told(self, of_deliveries: list[Fault]) -> list[Fault]:
        """The fates that no delivery has met; the relay deals them out in their order."""
        missed = of_deliveries[len(of_deliveries) - len(self.relay.due) :] if self.relay.due else []
        self.relay.due.clear()
        return missed

    async def _kill_each(self, some: list[Fault]) -> list[Fault]:
        """End processes, one after another; those that did not come by where they were to die."""
        unkilled: list[Fault] = []
        for fault in some:
            if fault.kills:
                await asyncio.sleep(LOOK_EVERY)
                await self._kill(fault.kills)
            elif fault.full_disk:
                await self._fill_disk()
            elif fault.at_boundary and not await self._died_at_boundary():
                unkilled.append(fault)
        return unkilled

    async def _kill(self, part: str) -> None:
        """End a process at once, and wait until another one stands in its place."""
        async with self.desk.awake if part == "sandbox" else nullcontext():
            pid = self.stack.pids()[part]
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            await self._replaced(part, pid)

    async def _fill_disk(self) -> None:
        """Let the worker write to no file for a while, as if there were no room left."""
        from resource import RLIMIT_FSIZE, prlimit  # of Linux alone

        pid = self.stack.pids()["worker"]
        _, most = prlimit(pid, RLIMIT_FSIZE)
        prlimit(pid, RLIMIT_FSIZE, (0, most))
        try:
            await asyncio.sleep(FULL_DISK_SECONDS)
        finally:
            with suppress(ProcessLookupError):  # it died of something else
                prlimit(pid, RLIMIT_FSIZE, (most, most))

    async def _replaced(self, part: str, pid: int) -> None:
        """Wait until another process works in the place of one that was killed, and let it do something."""
        while self.stack.pids()[part] == pid:  # noqa: ASYNC110  # the supervisor has no event for it
            await asyncio.sleep(LOOK_EVERY / 4)
        if part == "sandbox":
            await self.desk.answers()
        elif part == "temporal":
            await wait_ready(self.stack.temporal_address, START_TIMEOUT)
        else:
            origin = self.stack.web_url if part == "web" else self.stack.worker_health_url
            await wait_healthy(f"{origin}/health/ready")
            await asyncio.sleep(ALIVE_SECONDS)

    async def _died_at_boundary(self) -> bool:
        """Have the worker die at a boundary where it did not yet, and wait until another one stands in its place."""
        every = boundaries(self.deaths.activities())
        wanted = [place for place in every if not self.died_at[place]] or every
        pid = self.stack.pids()["worker"]
        self.deaths.want(wanted)
        for _ in range(STRIKE_LOOKS):
            await asyncio.sleep(LOOK_EVERY / 2)
            if place := self.deaths.met(wanted):
                self.died_at[place] += 1
                await self._replaced("worker", pid)
                return True
        self.deaths.forgive(wanted)
        return False

    async def _missed(self, of_systems: list[Fault]) -> list[Fault]:
        """Those that found nothing to strike for a while; a storm has struck when it has begun."""
        in_force: list[dict[str, Any]] = []
        for _ in range(STRIKE_LOOKS):
            if not (in_force := await self.desk.get("/faults")):
                break
            await asyncio.sleep(LOOK_EVERY / 2)
        unstruck = Counter(_key(each) for each in in_force if each["times"] in (1, STORM))
        missed: list[Fault] = []
        for fault in of_systems:
            if fault.of_system and unstruck[_key(fault.of_system)] > 0:
                unstruck[_key(fault.of_system)] -= 1
                missed.append(fault)
        return missed

    async def _drained(self) -> list[str]:
        """Wait until all deals have ended; the quotes of those that have not in time."""
        until = time.monotonic() + DRAINED_WITHIN
        while True:
            await self._watch_credit()
            rows = {row.quote: row for row in await list_deals(self.client)}
            late = [number for number in self._expected if number not in rows or not self._arrived(rows[number])]
            if not late or time.monotonic() > until:
                return late
            self._say(f"Nothing goes wrong any more; still under way: {', '.join(late[:5])}")
            await asyncio.sleep(LOOK_EVERY)


def skew(seed: int) -> int:
    """Seconds by which the clock of both systems is ahead of the product's in a run; negative: behind."""
    return random.Random(seed).choice((-MOST_SKEW, MOST_SKEW))  # noqa: S311  # dice that repeat


def _names(some: list[Fault]) -> Counter[str]:
    return Counter(fault.name for fault in some)


def _anywhere() -> Fault:
    """What is done where the worker did not come by where it was to die: it is killed where it is."""
    return Fault(f"kill -9 of the {KILLED[0]}", kills=KILLED[0])


def _key(of_system: Mapping[str, Any]) -> str:
    """What tells a fault of a system from others: the desk leaves out what is not said."""
    told = [of_system["system"], of_system.get("method"), of_system["effect"], of_system["probability"]]
    return json.dumps(told, sort_keys=True)


def judged(
    options: ChaosOptions,
    struck: Counter[str],
    outcomes: list[Outcome],
    state: Mapping[str, Any],
    wrong: Wrong,
) -> dict[str, Any]:
    """What a run came to.

    Args:
        options: of the run.
        struck: how often what went wrong.
        outcomes: every deal, as the product, Sales and Finance have it.
        state: the desk's `GET /state`: what both systems hold.
        wrong: what is known to be wrong beside the outcomes.

    Returns:
        JSON types; `sound`: nothing is wrong.
    """
    late, audit = wrong.late, wrong.audit
    found = [*wrong.overruns, *(text for outcome in outcomes for text in mismatches(outcome))]
    orders = state["orders"]
    twice = orders["duplicates"] + orders["without_quote"]
    lost = sorted({*late, *(outcome.quote for outcome in outcomes if outcome.deal is None)})
    overrun = sum("above the credit limit" in text for text in found)
    total = sum(struck.values())
    return {
        "sound": not (found or twice or lost or audit) and total >= options.faults,
        "seed": options.seed,
        "faults": total,
        "struck": dict(sorted(struck.items())),
        "deals": len(outcomes),
        "orders": orders["total"],
        "orders_twice": twice,
        "deals_lost": len(lost),
        "lost": lost,
        "credit_overrun": overrun,
        "wrong_in_audit": len(audit),
        "mismatches": [*found, *audit],
    }


def table_of(report: Mapping[str, Any]) -> Table:
    """The report as a table to show."""
    table = Table(title=f"Chaos, seed {report['seed']}: {'sound' if report['sound'] else 'NOT SOUND'}")
    table.add_column("What")
    table.add_column("Number", justify="right")
    for name, number in report["struck"].items():
        table.add_row(name, str(number))
    table.add_section()
    for what in COUNTED:
        if what in report:
            table.add_row(what.replace("_", " "), str(report[what]))
    for text in report["mismatches"][:20]:
        table.add_row(Text(text, style="red"), "")
    return table


async def play_chaos(settings: Settings, options: ChaosOptions, console: Console) -> int:
    """Start a stack of its own on free ports, and live through the faults; the exit code."""

    async def chaos(stack: Stack, client: Client, _: Desk) -> int:
        async with SteadyDesk(stack.info().desk) as desk, between(desk, stack.web_url, options.seed) as relay:
            demo, deaths = DemoOptions(auto=True), Deaths(stack.state.path)
            return await Chaos(demo, stack, client, desk, console, relay=relay, deaths=deaths, chaos=options).run()

    return await on_stack(settings, StackOptions(ports="auto", killed=True), console, "The run", chaos, stopped=1)
