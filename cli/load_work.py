"""What `q2c load` does: submits quotes at a steady rate, watches their deals, and reports how long each part took."""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from temporalio.client import Client

from cli import inputs
from cli import load_figures as loading
from cli.load_rep import NoSample, Rep, RepTokens, Sample
from cli.load_report import LoadReport, listed, page
from cli.output import fail, note, result, result_as_json
from domain.views import TimelineEntry
from dynamics.core.auth import GivenToken
from dynamics.core.budget import Budget
from dynamics.core.errors import DynamicsError
from dynamics.core.transport import Endpoint
from dynamics.sales.client import Dataverse, DataverseSettings
from runs.calls import RunError
from runs.deals import Deals
from runs.lookup import Lookup
from workers import composition
from workers.settings import Settings, SettingsError
from workers.telemetry import start_telemetry
from workers.temporal_client import TemporalUnusable, connect

LOOK_EVERY_SECONDS = 1.0
AT_ONCE = 25
"""Quotes the rep works on at a time, however slow Sales is."""
TEST_ENVIRONMENTS = frozenset(
    {"CustomerTest", "CustomerFreeTest", "CustomerPreview", "TestDrive", "Developer", "Trial"}
)
"""What an environment of Dataverse says it is where people try things (Microsoft Learn: OrganizationType EnumType)."""
NOBODY = (
    "Q2C_MODE is production: say who makes the quotes. Give the access token of a seller to --token-stdin, and with "
    "--like a quote to copy."
)
REFUSED = (
    "{url} says that it is no test environment (OrganizationType {kind}): q2c load makes quotes and orders that nobody "
    "wants, and cannot take the orders back. Run it against a sandbox, trial or developer environment."
)


class NotATest(Exception):
    """The environment is one that people work in; the text says where to go instead."""


@dataclass(frozen=True)
class Asked:
    """What is to be loaded; ``until``: decided or ordered."""

    deals: int
    rate: float
    like: str
    until: str
    company: str
    rep: str
    token: str
    """Of the seller who acts; empty: ``rep`` of the sandbox does."""
    patience: int
    keep: bool


@dataclass
class Loaded:
    """A quote of the load."""

    number: str
    quote_id: UUID
    sent: dict[str, datetime] = field(default_factory=dict)
    timeline: list[TimelineEntry] = field(default_factory=list)
    order: str = ""
    state: str = "made"
    """made, decided, asks (somebody has to approve it), won, ordered"""


def run(asked: Asked, html: Path | None, *, as_json: bool) -> int:
    """Load, report, and say with which exit code."""
    settings = inputs.settings()
    if settings.mode == "production" and not (asked.token and asked.like):
        fail(NOBODY)
    try:
        report = asyncio.run(_loaded(settings, asked, quiet=as_json))
    except (NoSample, NotATest, RunError, SettingsError, TemporalUnusable, DynamicsError) as error:
        fail(str(error))
    if html is not None:
        html.write_text(page(report), encoding="utf-8")
    if as_json:
        result_as_json(report.model_dump(mode="json"))
    else:
        _print(report)
    return int(bool(report.errors) or report.came_so_far < report.deals)


async def _loaded(settings: Settings, asked: Asked, *, quiet: bool) -> LoadReport:
    client = await connect(start_telemetry("q2c-load", environment={}), settings.codec)
    endpoint = Endpoint(settings.dataverse.url, ca_file=composition.authority_file(settings))
    target = DataverseSettings(endpoint, composition.credentials(settings))
    tokens = GivenToken(asked.token) if asked.token else RepTokens(settings, asked.rep)
    async with Dataverse(target, tokens=tokens) as sales:
        await require_test(sales)
        load = Load(client, Rep(sales), asked, quiet=quiet)
        return await load.run()


async def require_test(sales: Dataverse) -> None:
    """Nothing but an environment for tests is loaded, whatever the settings say.

    Raises:
        NotATest: it is another one, or does not say.
    """
    kind = await sales.organization_type()
    if kind not in TEST_ENVIRONMENTS:
        raise NotATest(REFUSED.format(url=sales.odata.origin, kind=kind or "is not told"))


class Load:
    """One load test."""

    def __init__(self, client: Client, rep: Rep, asked: Asked, *, quiet: bool) -> None:
        """Act as ``rep``, and watch deals through ``client``."""
        self._rep, self._asked, self._quiet = rep, asked, quiet
        self._deals, self._lookup = Deals(client), Lookup(client)
        self._quotes: dict[str, Loaded] = {}
        self._errors: Counter[str] = Counter()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._mark = uuid.uuid4().hex[:6]

    async def run(self) -> LoadReport:
        """Make, watch, clean up, and report."""
        sample = await self._rep.sample(self._asked.like)
        bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(file=sys.stderr),
            disable=self._quiet or not sys.stderr.isatty(),
        )
        began = time.monotonic()
        with bars:
            names = (
                ("submitted", "decided", "won", "ordered")
                if self._asked.until == "ordered"
                else (
                    "submitted",
                    "decided",
                )
            )
            tasks = {name: bars.add_task(name, total=self._asked.deals) for name in names}
            made = asyncio.create_task(self._make_all(sample))
            until = None
            while not self._is_done(made):
                await asyncio.wait([made], timeout=LOOK_EVERY_SECONDS) if not made.done() else await asyncio.sleep(
                    LOOK_EVERY_SECONDS
                )
                await self._look()
                for name, task in tasks.items():
                    bars.update(task, completed=self._count(name))
                if made.done() and until is None:
                    until = time.monotonic() + self._asked.patience
                if until is not None and time.monotonic() > until:
                    break
            await made
        seconds = time.monotonic() - began
        await self._read_all()
        left = await self._clean_up()
        return self._report(seconds, left)

    # --- the rep ---------------------------------------------------------------------------------------------------

    async def _make_all(self, sample: Sample) -> None:
        pace = Budget(self._asked.rate / 60)
        async with asyncio.TaskGroup() as group:
            for number in range(self._asked.deals):
                await pace.take()
                group.create_task(self._tried("make and submit", self._make(sample, number)))

    async def _make(self, sample: Sample, number: int) -> None:
        async with self._slots:
            quote_id, quote = await self._rep.make(sample, f"Load {self._mark} {number + 1}")
            loaded = self._quotes[quote] = Loaded(quote, quote_id)
            loaded.sent["submitted"] = datetime.now(UTC)
            await self._rep.submit(quote_id)

    async def _win(self, quote: Loaded) -> None:
        async with self._slots:
            quote.sent["won"] = datetime.now(UTC)
            await self._rep.win(quote.quote_id)

    async def _tried(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except DynamicsError as error:
            self._errors[f"{what}: {type(error).__name__}: {str(error).split(' Trace ID:')[0][:200]}"] += 1

    # --- how far deals are -----------------------------------------------------------------------------------------

    def _is_done(self, made: asyncio.Task[None]) -> bool:
        last = ("ordered",) if self._asked.until == "ordered" else ("decided", "asks")
        return made.done() and all(quote.state in (*last, "asks") for quote in self._quotes.values())

    async def _look(self) -> None:
        """See which deals are decided about, win those, and see which are ordered."""
        try:
            found = await self._lookup.of_quotes(self._asked.company, self._quotes)
        except RunError:
            return  # a busy Temporal: the next look shows it
        winning = []
        for number, standing in found.items():
            quote = self._quotes[number]
            if standing.stage in ("fulfilment", "invoice", "payment"):
                quote.state = "ordered"
            elif quote.state == "made" and standing.waiting_for == "approval":
                quote.state = "asks"
            elif quote.state in ("made", "asks") and standing.waiting_for == "rep" and standing.stage == "quote":
                quote.state = "decided"
                if self._asked.until == "ordered":
                    quote.state = "won"
                    winning.append(quote)
        await asyncio.gather(*(self._tried("activate and win", self._win(quote)) for quote in winning))

    def _count(self, name: str) -> int:
        beyond = {"submitted": 0, "decided": 1, "won": 2, "ordered": 3}
        reached = {"made": 0, "asks": 1, "decided": 1, "won": 2, "ordered": 3}
        return sum(reached[quote.state] >= beyond[name] for quote in self._quotes.values())

    async def _read_all(self) -> None:
        async def read(quote: Loaded) -> None:
            async with self._slots:
                try:
                    quote.timeline = await self._deals.timeline(self._asked.company, quote.number)
                    quote.order = (await self._deals.state(self._asked.company, quote.number)).order_number
                except RunError as error:
                    self._errors[f"read the deal: {error}"] += 1

        await asyncio.gather(*(read(quote) for quote in self._quotes.values()))

    async def _clean_up(self) -> dict[str, int]:
        """Delete what is a draft still; what is left is counted."""
        drafts = [quote for quote in self._quotes.values() if quote.state in ("made", "asks", "decided")]
        orders = sum(bool(quote.order) for quote in self._quotes.values())
        if self._asked.keep:
            return {"drafts": len(drafts), "orders in Finance": orders}
        before = sum(self._errors.values())
        await asyncio.gather(*(self._tried("delete the draft", self._rep.delete(quote.quote_id)) for quote in drafts))
        return {"drafts": sum(self._errors.values()) - before, "orders in Finance": orders}

    def _report(self, seconds: float, left: dict[str, int]) -> LoadReport:
        quotes = list(self._quotes.values())
        found = []
        for way in loading.WAYS:
            taken = [loading.taken(way, quote.timeline, quote.sent) for quote in quotes]
            if of := loading.latency(way.name, [each for each in taken if each is not None]):
                found.append(of)
        wanted = ("ordered",) if self._asked.until == "ordered" else ("decided", "asks", "ordered")
        orders = sorted(quote.order for quote in quotes if quote.order)
        return LoadReport(
            deals=self._asked.deals,
            rate=self._asked.rate,
            until=self._asked.until,
            seconds=round(seconds, 1),
            came_so_far=sum(quote.state in wanted for quote in quotes),
            waiting_for_approval=sum(quote.state == "asks" for quote in quotes),
            stages=tuple(found),
            requests=dict(self._rep.requests),
            errors=dict(self._errors),
            left=left,
            orders=tuple(orders[:1_000]),
            begun=tuple(
                round((quote.sent["submitted"] - min(q.sent["submitted"] for q in quotes)).total_seconds(), 1)
                for quote in quotes
            )
            if quotes
            else (),
        )


def _print(report: LoadReport) -> None:
    console = Console(file=sys.stdout, highlight=False, markup=False)
    rows = Table("Part of the way", "Deals", *(f"p{share}" for share in loading.SHARES), "most", box=None)
    for stage in report.stages:
        shares = (f"{stage.percentiles[share]:.2f} s" for share in loading.SHARES)
        rows.add_row(stage.name, f"{stage.count:,}", *shares, f"{stage.most:.2f} s")
    console.print(rows)
    result(f"{report.came_so_far:,} of {report.deals:,} deals {report.until} in {report.seconds:,.0f} s")
    result(f"requests of the rep: {listed(report.requests)}")
    for error, times in report.errors.items():
        note(f"{times:,} × {error}")
    if any(report.left.values()):
        note(f"left: {listed(report.left)}")
