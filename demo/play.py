"""Plays the demo: the whole product on this machine, with deals that meet every kind of decision.

Without `--auto` a person decides: the demo plays rep, customer, warehouse and accounts receivable, and says where to
click. With `--auto` approvers, credit manager and operator are played too, through the same JSON API a person's client
would use, and the run ends with a verdict: every deal ended as its input says, and both systems agree.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote as encoded

import httpx
from rich.console import Console
from rich.text import Text
from temporalio.client import Client
from temporalio.service import RPCError

from demo.actions import HistoryCost
from demo.desk import Desk, DeskRefused
from demo.policies import write_policies
from demo.recorded import expire_now, list_deals, read_run
from demo.samples import SAMPLE_COMPANY, End, SampleDeal, sample_deals
from demo.screen import Screen, screen, verdict
from demo.stack import Stack, StackOptions, run_stack
from demo.stories import Stories
from demo.summary import summarise
from demo.supervision import StackFailed
from demo.verdict import Expectation, Outcome, mismatches
from runs.search import DealRow
from workers.serving import stop_signals
from workers.settings import Settings
from workers.telemetry import start_telemetry
from workers.temporal_client import connect

STANDARD_OUTPUT = Path("-")
CASES = 17
"""Sample deals where nobody says how many: each kind once."""
LOOK_EVERY = 1.0
LOOKS_TO_REST = 10
"""A look at many deals is work for Temporal: it rests ten times as long as the last one took."""
TIMEOUT_SAMPLE = 420.0
TIMEOUT_DATA = 1200.0
READS_AT_ONCE = 6
LOOKS_AGAIN = 3
THROTTLED_CALLS = 4
KEEPS_IN_MEMORY = frozenset({"temporal", "sandbox"})
AFTER_CONFIRMATION = ("fulfilment", "invoice", "payment", "closed")
PARKING_FAULT = {
    "system": "finance",
    "method": "POST",
    "path": "Q2CPostingService/confirm",
    "effect": {"status": 400},
    "times": 2,
}
"""Once with the step that makes the order, and once with the one that confirms it alone."""
THROTTLING_FAULTS = [
    {"system": system, "effect": {"status": 429, "retry_after": 2}, "times": THROTTLED_CALLS, "probability": 0.2}
    for system in ("dataverse", "finance")
]


@dataclass(frozen=True)
class DemoOptions:
    """What the command line asks for.

    Attributes:
        auto: people are played; the run ends with a verdict.
        cases: how many sample deals.
        data: folder of Northwind's tables instead of the sample company.
        summary: file the summary is written to as JSON, with `auto`; `-`: standard output; None: nowhere.
        ports: of the stack.
    """

    auto: bool = False
    cases: int = CASES
    data: Path | None = None
    summary: Path | None = None
    ports: Literal["fixed", "auto"] = "fixed"


async def play(settings: Settings, options: DemoOptions, console: Console) -> int:
    """Run the demo to its end, or until Ctrl-C.

    Args:
        settings: the product's settings.
        options: what to show.
        console: where people look.

    Returns:
        Exit code: with `auto` 0 only if there is no mismatch; 1 where the stack failed.
    """
    stack_options = StackOptions(
        ports=options.ports,
        data=str(options.data.resolve()) if options.data else "fixtures",
        policies=write_policies if options.data else None,
    )

    def demo(stack: Stack, client: Client, desk: Desk) -> Awaitable[int]:
        return Demo(options, stack, client, desk, console).run()

    return await on_stack(settings, stack_options, console, "The demo", demo, stopped=1 if options.auto else 0)


async def on_stack(
    settings: Settings,
    options: StackOptions,
    console: Console,
    what: str,
    play_on: Callable[[Stack, Client, Desk], Awaitable[int]],
    *,
    stopped: int,
) -> int:
    """Play something on a stack of its own until it has ended, somebody stops it, or the stack fails.

    Args:
        settings: the product's settings.
        options: of the stack.
        console: where people look.
        what: is played, for people.
        play_on: plays it; answers the exit code.
        stopped: the exit code where somebody stopped it.

    Returns:
        The exit code; 1 where the stack failed.
    """

    def say(text: str) -> None:
        console.print(text, style="dim", soft_wrap=not console.is_terminal, markup=False, highlight=False)

    with stop_signals() as stop:
        say("Starting Temporal, the sandbox, the worker and the web application …")
        try:
            async with run_stack(settings, options, say) as stack:
                client = await connect(start_telemetry("q2c-demo", environment={}), stack.codec, stack.environment())
                async with Desk(stack.info().desk) as desk:
                    code = await _until_stopped(stack, stop, play_on(stack, client, desk))
                    return stopped if code is None else code
        except (StackFailed, DeskRefused, httpx.TransportError, RPCError) as error:
            console.print(Text(f"{what} cannot go on. {error}", style="red"))
            return 1


async def _until_stopped(stack: Stack, stop: asyncio.Event, playing: Awaitable[int]) -> int | None:
    """The exit code of what is played; None where somebody stopped it.

    Raises:
        StackFailed: a part of the stack kept ending.
    """
    running = asyncio.ensure_future(playing)
    holding = asyncio.create_task(stack.hold_until(stop))
    ends: set[asyncio.Future[Any]] = {running, holding}
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        holding.cancel()
        return running.result()
    running.cancel()
    await asyncio.wait({running})
    holding.result()
    return None


@dataclass
class Demo:
    """One run of the demo on a running stack."""

    options: DemoOptions
    stack: Stack
    client: Client
    desk: Desk
    console: Console
    _samples: dict[str, SampleDeal] = field(default_factory=dict)
    _expected: dict[str, Expectation] = field(default_factory=dict)
    _company: str = SAMPLE_COMPANY
    _stories: Stories = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is submitted yet."""
        self._stories = Stories(self.client, self.desk, {})

    async def run(self) -> int:
        """Submit the deals, watch them, and with `auto` judge them; returns the exit code."""
        began = time.monotonic()
        if self.options.data:
            await self._start_data()
        else:
            await self._start_samples()
        timeout = TIMEOUT_DATA if self.options.data else TIMEOUT_SAMPLE
        titles = {number: deal.title for number, deal in self._samples.items()}
        with screen(self.console, self.stack.info(), titles, len(self._expected), auto=self.options.auto) as shown:
            submitting = asyncio.create_task(self._submit_samples())
            try:
                async with asyncio.timeout(timeout if self.options.auto else None):
                    await self._watch(shown, submitting)
            except TimeoutError:
                self.console.print(f"[red]Not every deal had ended after {timeout:.0f} s.[/]")
            finally:
                submitting.cancel()
        return await self._judge(began)

    async def _start_data(self) -> None:
        """Play the quotes the data set brought along; they are already in Sales as drafts."""
        expected = await self.desk.get("/expected")
        self._company = (await self.desk.get("/people"))[0]["company"]
        self._expected = {
            number: Expectation(End.CLOSED if quote["closes"] else End.FULFILMENT, net=Decimal(quote["net"]))
            for number, quote in expected["quotes"].items()
        }
        await self._play({}, {"submit": 0, "activate": 0.1, "accept": 0.1, "ship": 0.1, "invoice": 0.1, "pay": 0.1})

    async def _start_samples(self) -> None:
        self._samples = dict(sample_deals(self.options.cases))
        self._expected = {
            number: Expectation(deal.end, level=deal.levels, held=deal.held, parked=deal.parked, story=deal.story)
            for number, deal in self._samples.items()
        }
        self._stories = Stories(self.client, self.desk, self._samples)
        await self._stories.prepare()
        await self.desk.put("/faults", PARKING_FAULT)
        plans = {number: deal.plan | {"shows": deal.sentence or deal.title} for number, deal in self._samples.items()}
        await self._play(plans, {})

    async def _play(self, plans: Mapping[str, Mapping[str, Any]], delays: Mapping[str, float]) -> None:
        """Let the sandbox play people: with `auto` those who decide in the product as well."""
        await self.desk.put(
            "/autopilot",
            {
                "enabled": True,
                "delays": delays,
                "approvals_api": self.stack.web_url if self.options.auto else None,
                "plans": plans,
            },
        )

    async def _submit_samples(self) -> None:
        """Submit the sample deals; where people decide, the demo goes on when the sandbox dies on the way."""
        try:
            await self._submit_each()
        except (DeskRefused, httpx.TransportError) as error:
            if self.options.auto:
                raise
            self.console.print(Text(f"The other sample deals could not be submitted. {error}", style="red"))

    async def _submit_each(self) -> None:
        """Create and submit the sample deals: first the one whose step is to be parked, then all others, throttled."""
        for number, deal in self._samples.items():
            await self.desk.post("/quotes", {"number": number, **deal.request})
            await self.desk.post(f"/quotes/{encoded(number, safe='')}/submit")
            if deal.parked:
                await self._until_parked()
                await self.desk.put("/faults", THROTTLING_FAULTS)

    async def _until_parked(self) -> None:
        """Wait until the refusal has hit: the step waits for an operator, or was retried already."""
        while True:
            for row in await list_deals(self.client):
                if row.waiting_for == "operator" or row.stage in AFTER_CONFIRMATION:
                    return
            await asyncio.sleep(LOOK_EVERY / 2)

    async def _watch(self, shown: Screen, submitting: asyncio.Task[None]) -> None:
        """Show the deals until all have arrived where they must; without `auto` until somebody ends the demo."""
        expiring: set[str] = set()
        while True:
            began = time.monotonic()
            self._require_memory()
            if submitting.done():
                submitting.result()
            rows = {row.quote: row for row in await list_deals(self.client)}
            shown.show(list(rows.values()))
            rows = {number: row for number, row in rows.items() if number in self._expected}  # not what people entered
            await self._go_on(rows)
            if self.options.auto:
                await self._let_time_pass(rows, expiring)
                arrived = len(rows) == len(self._expected) and all(map(self._arrived, rows.values()))
                if arrived and await self._stories.ended():
                    return
            await asyncio.sleep(max(LOOK_EVERY, (time.monotonic() - began) * LOOKS_TO_REST))

    async def _go_on(self, rows: Mapping[str, DealRow]) -> None:
        """Go on with the stories; where people decide, a sandbox that is being started again is no end."""
        try:
            await self._stories.go_on(rows)
        except (DeskRefused, httpx.TransportError):
            if self.options.auto:
                raise

    def _require_memory(self) -> None:
        """Stop a run whose deals are gone: there is nothing left to judge.

        Raises:
            StackFailed: Temporal or the sandbox died on the way.
        """
        forgot = self.stack.restarts & KEEPS_IN_MEMORY
        if self.options.auto and forgot:
            raise StackFailed(
                f"The deals of this run went with what {' and '.join(sorted(forgot))} kept in memory, so there is "
                "nothing to judge. Start the demo again."
            )

    async def _let_time_pass(self, rows: Mapping[str, DealRow], expiring: set[str]) -> None:
        """Move the clock of deals that are to expire: theirs alone, once the customer has the quote."""
        for number, deal in self._samples.items():
            row = rows.get(number)
            if deal.expires and number not in expiring and row is not None and row.waiting_for == "customer":
                expiring.add(number)
                await expire_now(self.client, row)

    def _arrived(self, row: DealRow) -> bool:
        end = self._expected[row.quote].end
        if end is End.FULFILMENT:
            return (row.stage, row.waiting_for) == ("fulfilment", "shipment")
        if end is End.REJECTED:
            return (row.stage, row.waiting_for) == ("quote", "rep")
        return row.ended

    async def _judge(self, began: float) -> int:
        """Compare deal, Sales and Finance, and say what came of it; the exit code."""
        summary = summarise(
            await self._settled(),
            await self.desk.get("/state"),
            await self.desk.get("/requests/summary"),
            time.monotonic() - began,
        )
        if self.options.summary:
            write_summary(summary, self.options.summary)
        self.console.print()
        self.console.print(verdict(summary))
        return 1 if summary["mismatches"] else 0

    async def _settled(self) -> list[Outcome]:
        """The deals as they stand everywhere; the last writes may still be on their way, so more than one look."""
        outcomes = await self._outcomes()
        for _ in range(LOOKS_AGAIN - 1):
            if not any(map(mismatches, outcomes)):
                break
            await asyncio.sleep(LOOK_EVERY * 3)
            outcomes = await self._outcomes()
        return outcomes

    async def _outcomes(self) -> list[Outcome]:
        rows = {row.quote: row for row in await list_deals(self.client)}
        slots = asyncio.Semaphore(READS_AT_ONCE)

        async def one(number: str) -> Outcome:
            async with slots:
                return await self._outcome(number, rows.get(number))

        return await asyncio.gather(*(one(number) for number in self._expected))

    async def _outcome(self, number: str, row: DealRow | None) -> Outcome:
        run = await read_run(self.client, row) if row else None
        sales = await self.desk.get(f"/quotes/{encoded(number, safe='')}")
        order_number = run.deal.order_number if run else ""
        order = await self.desk.get(f"/orders/{self._company}/{order_number}") if order_number else None
        return Outcome(
            quote=number,
            expected=self._expected[number],
            deal=run.deal if run else None,
            waited_for=run.waited_for if run else frozenset(),
            cost=run.cost if run else HistoryCost(),
            sales=sales,
            order=order,
            facts=await self._stories.facts(number),
        )


def write_summary(summary: Mapping[str, Any], target: Path) -> None:
    """Write the summary as JSON, whole or not at all; `-` is standard output."""
    text = json.dumps(summary, indent=2) + "\n"
    if target == STANDARD_OUTPUT:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    part = target.with_name(f".{target.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(target)
