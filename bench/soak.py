"""Feeds and ledgers for a long time in a short one: thousands of reports, with the server's limits a hundredth.

A run of Temporal's may hold 51,200 events, 50 MB, 10,000 signals and 2,000 updates; here 512, 2 MiB, 100 and 20. So
what would end a feed after months ends it here within a minute, unless it goes on as a new run in time, with all it
holds: of a feed 1,000 reports, 0.4 MB that each of its runs begins with, so that the size is lowered to a twenty-fifth
only. Dynamics is scripted; activities, list of runs, workflows and server are the real ones.

Prints the largest histories and what became of every report. Exits 1 where a run failed, was ended or got stuck, where
a report was lost, or where a bound was passed. Repeat with `uv run python -m bench.soak [share of the full load]`;
tests/workflows/test_soak.py does so with a small share.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sys
import sysconfig
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle, WorkflowQueryFailedError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment

from domain.credit import CreditBook
from domain.credit_facts import CreditFacts
from domain.credit_ledger import LedgerRequest
from domain.feeds import MOST_UNROUTED, MOST_WAITING, FeedView
from domain.messages import CustomerChanged, LedgerNote
from domain.order_key import order_key
from dynamics.sales.records import Changes
from runs import names
from runs.attributes import ATTRIBUTES
from runs.calls import NoAnswer, answer, rejected
from runs.feeds import Feeds
from runs.ledgers import Ledgers
from tests.sealing import SEALING
from tests.workflows.feed_world import POLICY, FeedWorld, eventually, feed_world
from workers.leaving import leave

T = TypeVar("T")

TRIES = 5
EVENTS, BYTES, SIGNALS, UPDATES = 512, 2 * 1024 * 1024, 100, 20
LIMITS = {
    "limit.historyCount.error": EVENTS,
    "limit.historyCount.suggestContinueAsNew": 41,
    "limit.historySize.error": BYTES,
    "limit.historySize.suggestContinueAsNew": 42 * 1024,
    "history.maximumSignalsPerExecution": SIGNALS,
    "history.maxTotalUpdates": UPDATES,
    "limit.numPendingSignals.error": 20,
    "limit.numPendingActivities.error": 20,
}
"""The server's limits and suggestions, each a hundredth of its default."""

EVENTS_OF_EACH = 2
"""Events of each deal; each is told three times."""
AT_ONCE = 30
TOLD_AT_ONCE = MOST_WAITING // 4
"""Reports that are told before it is looked whether the feeds have taken them."""
LONGEST_SETTLING = 300.0
LONGEST_ANSWER = 30.0
STATUS = WorkflowExecutionStatus


@dataclass(frozen=True)
class Load:
    """How much is reported."""

    foreign: int = 20_000
    deals: int = 5_000
    looks: int = 2_000
    changed_quotes: int = 2_000
    questions: int = 2_000
    customers: int = 8

    def times(self, share: float) -> Load:
        """A share of the load, at least a little of each."""
        return Load(**{name: max(4, int(number * share)) for name, number in vars(self).items()})


@dataclass
class Findings:
    """What was seen, and what was wrong."""

    rows: list[tuple[str, int, int, int]] = field(default_factory=list)
    """Workflow type, runs, events of the longest history, bytes of the largest."""
    tallies: dict[str, dict[str, int]] = field(default_factory=dict)
    refused_for_now: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    def expect(self, holds: bool, otherwise: str) -> None:
        """Note a problem unless it holds."""
        if not holds:
            self.problems.append(otherwise)


async def soak(load: Load, seed: int = 1) -> Findings:
    """Put the load on a server of its own and look what became of it."""
    extra = [f"--search-attribute={attribute.name}={attribute.kind}" for attribute in ATTRIBUTES]
    extra += [f"--dynamic-config-value={name}={value}" for name, value in LIMITS.items()]
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(Path(sysconfig.get_path("scripts")) / "temporal"),
        dev_server_extra_args=extra,
        plugins=[SEALING],
    ) as server:
        async with feed_world(server.client) as world:
            return await _Soak(server.client, world, load, random.Random(seed)).run()


class _Soak:
    def __init__(self, client: Client, world: FeedWorld, load: Load, chance: random.Random) -> None:
        self._client = client
        self._world = world
        self._load = load
        self._chance = chance
        self._feeds = Feeds(client, every_seconds=5)
        self._ledgers = Ledgers(client)
        self._found = Findings()
        self._deals: dict[str, tuple[WorkflowHandle[Any, Any], str]] = {}
        self._sent: dict[str, set[str]] = {}

    async def run(self) -> Findings:
        began = time.monotonic()
        # usmf sends its order numbers, demf lets Finance number: a foreign order is told by its number or its mark.
        self._world.finance.numbers_automatically = lambda company: company == "demf"  # type: ignore[method-assign]
        await self._feeds.ensure(["usmf", "demf"])
        await self._start_deals()
        await asyncio.gather(self._tell_finance_feeds(), self._look_at_quotes(), self._ask_ledgers())
        await self._settled()
        await self._check_feeds()
        await self._check_deals()
        await self._check_ledgers()
        await self._check_runs()
        self._found.seconds = time.monotonic() - began
        return self._found

    # --- the load --------------------------------------------------------------------------------------------------

    async def _start_deals(self) -> None:
        async def start(_: int) -> None:
            order = self._world.order()
            deal = await self._world.deal(order=order, stage="fulfilment", listed=False)
            self._deals[order] = deal, order
            self._sent[deal.id] = set()

        await _all(start, range(self._load.deals))
        deadline = time.monotonic() + LONGEST_SETTLING
        while (await self._client.count_workflows(f"WorkflowType = '{names.QUOTE_TO_CASH}'")).count < self._load.deals:
            assert time.monotonic() < deadline, "Temporal does not list all deals"
            await asyncio.sleep(0.5)

    async def _tell_finance_feeds(self) -> None:
        """Events of foreign orders, and those of our deals three times each, in any order."""
        strangers = [
            self._world.event(f"SO-{n:06}", company="usmf" if n % 2 else "demf") for n in range(self._load.foreign)
        ]
        ours = []
        for order, (deal, _) in self._deals.items():
            for n in range(EVENTS_OF_EACH):
                event = self._world.event(order, event_id=f"finance/invoice/{order}/{n}")
                self._sent[deal.id].add(event.event_id)
                ours += [event] * 3
        events = [*strangers, *ours]
        self._chance.shuffle(events)
        await self._told(self._feeds.tell, events, ("finance", "usmf"), ("finance", "demf"))

    async def _told(
        self, tell: Callable[[Any], Awaitable[object]], reports: Sequence[Any], *feeds: tuple[str, str]
    ) -> None:
        """Report no faster than the feeds take it: what goes above that is turned away, and left to the sweeps."""
        for start in range(0, len(reports), TOLD_AT_ONCE):
            some = reports[start : start + TOLD_AT_ONCE]
            await _all(lambda report: self._persistently(lambda: tell(report)), some)
            await eventually(lambda: self._room(feeds), LONGEST_SETTLING)

    async def _room(self, feeds: Iterable[tuple[str, str]]) -> bool:
        return all([(await self._feed(*feed)).waiting <= TOLD_AT_ONCE for feed in feeds])

    async def _look_at_quotes(self) -> None:
        quotes = [self._world.quote() for _ in range(self._load.changed_quotes)]
        for start in range(0, len(quotes), 50):
            self._world.sales.pages.append(Changes(quotes=tuple(quotes[start : start + 50]), deleted=()))
        records = [str(self._chance.choice(quotes).id) for _ in range(self._load.looks)]
        await self._told(lambda record: self._feeds.look_at("quote", record), records, ("sales", "quote"))

    async def _ask_ledgers(self) -> None:
        """Deals ask, have their order, end, and pay; and now and then somebody sends nonsense."""
        accounts = [f"C-{n}" for n in range(self._load.customers)]

        async def deal(n: int) -> None:
            account, deal_id = self._chance.choice(accounts), f"q2c/usmf/L-{n}"
            await self._persistently(lambda: self._ledgers.reserve("usmf", account, _question(account, deal_id)))
            note = LedgerNote(deal_id=deal_id, at=datetime.now(UTC))
            ledger = self._client.get_workflow_handle(names.ledger_id("usmf", account))
            signal, message = self._chance.choice(
                [
                    (names.ORDER_VISIBLE, note),
                    (names.RELEASE, note),
                    (names.RELEASE, note),
                    (names.RELEASE, {"deal_id": deal_id}),
                    (names.CUSTOMER_CHANGED, CustomerChanged(event_id=f"pay/{n}", reason="paid", freed=Decimal(50))),
                ]
            )
            await self._persistently(lambda: _signal(ledger, signal, message))

        await _all(deal, range(self._load.questions))

    async def _persistently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call until it is taken, as Finance and a deal's activity do."""
        while True:
            try:
                return await call()
            except NoAnswer:
                self._found.refused_for_now += 1
                await asyncio.sleep(self._chance.uniform(0.01, 0.1))

    # --- what became of it -----------------------------------------------------------------------------------------

    async def _settled(self) -> None:
        """Wait until every report is taken; what a person has to see may still wait."""
        pushed = self._load.foreign + 3 * self._load.deals * EVENTS_OF_EACH
        deadline = time.monotonic() + LONGEST_SETTLING
        while time.monotonic() < deadline:
            shown = [await self._feed("finance", company) for company in ("usmf", "demf")]
            quotes = await self._feed("sales", "quote")
            taken = sum(feed.tally.get("received", 0) for feed in shown)
            if taken >= pushed and not any(feed.waiting for feed in (*shown, quotes)):
                return
            await asyncio.sleep(0.5)
        self._found.problems.append(f"the feeds had not taken everything after {LONGEST_SETTLING:.0f} s")

    async def _feed(self, system: str, of: str) -> FeedView:
        feed = self._client.get_workflow_handle(names.feed_id(system, of))

        async def look() -> FeedView:
            shown: FeedView = await answer(feed.query(names.STATE, result_type=FeedView), LONGEST_ANSWER)
            return shown

        return await self._persistently(look)

    async def _check_feeds(self) -> None:
        foreign = 0
        for system, of in (("finance", "usmf"), ("finance", "demf"), ("sales", "quote")):
            feed = await self._feed(system, of)
            tally = self._found.tallies[f"feed of {system} {of}"] = feed.tally
            rest = sum(number for name, number in tally.items() if name != "received")
            balanced = tally.get("received", 0) == rest + feed.waiting
            self._found.expect(balanced, f"{system} {of}: {tally} and {feed.waiting} waiting do not balance")
            self._found.expect(feed.waiting <= MOST_WAITING and feed.unrouted <= MOST_UNROUTED, f"{of}: over a bound")
            self._found.expect(not tally.get("overflow"), f"{system} {of}: {tally} had to turn reports away")
            foreign += tally.get("foreign", 0)
        # One that was refused for the moment may have been stored all the same: it then comes twice.
        most = self._load.foreign + self._found.refused_for_now
        dropped = self._load.foreign <= foreign <= most
        self._found.expect(dropped, f"{foreign} of {self._load.foreign} foreign events dropped")
        looked = self._found.tallies["feed of sales quote"].get("looked_at", 0)
        self._found.expect(looked > 0, "no record was looked at")

    async def _check_deals(self) -> None:
        async def check(order: str) -> None:
            deal, _ = self._deals[order]
            told = await self._asked(deal)
            self._found.expect(told == self._sent[deal.id], f"{deal.id} was told {len(told)} events, not its own")

        await _all(check, self._deals)

    async def _asked(self, deal: WorkflowHandle[Any, Any]) -> set[str]:
        """What a deal was told; asked again where a worker that is short of processor time gives up."""
        for _ in range(TRIES):
            try:
                return set(await deal.query("told"))
            except WorkflowQueryFailedError:
                self._found.refused_for_now += 1
                await asyncio.sleep(1)
        return set()

    async def _check_ledgers(self) -> None:
        asked = 0
        for n in range(self._load.customers):
            ledger = self._client.get_workflow_handle(names.ledger_id("usmf", f"C-{n}"))
            try:
                tally = self._found.tallies[f"ledger C-{n}"] = await ledger.query(names.TALLY)
            except RPCError as error:  # a customer nobody asked for has no ledger
                self._found.expect(error.status is RPCStatusCode.NOT_FOUND, f"ledger C-{n}: {error}")
                continue
            book = await ledger.query(names.STATE, result_type=CreditBook)
            asked += tally.get("decided", 0) + tally.get("stale", 0)
            used = book.reserved(_facts(f"C-{n}"), without="")
            self._found.expect(used <= _LIMIT, f"ledger C-{n}: {used} reserved of {_LIMIT}")
        self._found.expect(asked >= self._load.questions, f"{asked} of {self._load.questions} questions answered")

    async def _check_runs(self) -> None:
        runs: dict[str, list[tuple[int, int]]] = {}
        async for run in self._client.list_workflows():
            self._found.expect(
                run.status in (STATUS.RUNNING, STATUS.CONTINUED_AS_NEW, STATUS.COMPLETED),
                f"{run.id} ({run.workflow_type}) is {run.status.name if run.status else 'unknown'}",
            )
            info = run.raw_info
            if run.status is STATUS.RUNNING:  # the list shows sizes of ended runs only
                handle = self._client.get_workflow_handle(run.id, run_id=run.run_id)
                info = (await handle.describe()).raw_description.workflow_execution_info
            runs.setdefault(run.workflow_type, []).append((info.history_length, info.history_size_bytes))
        stuck = (await self._client.count_workflows("TemporalReportedProblems IS NOT NULL")).count
        self._found.expect(not stuck, f"{stuck} runs whose task keeps failing")
        for kind, sizes in sorted(runs.items()):
            longest, largest = max(events for events, _ in sizes), max(size for _, size in sizes)
            self._found.rows.append((kind, len(sizes), longest, largest))
            if kind != names.QUOTE_TO_CASH:
                self._found.expect(longest <= EVENTS and largest <= BYTES, f"{kind}: {longest} events, {largest} bytes")


_LIMIT = Decimal(1_000)


def _facts(account: str) -> CreditFacts:
    return CreditFacts(
        company="usmf",
        customer_account=account,
        currency="USD",
        as_of=datetime.now(UTC),
        credit_limit=_LIMIT,
        unlimited=False,
        credit_management=True,
        open_ar=Decimal(0),
    )


def _question(account: str, deal_id: str) -> LedgerRequest:
    return LedgerRequest(
        deal_id=deal_id,
        order_number=order_key("soak", "usmf", uuid4().hex, 0),
        amount=Decimal(90),
        facts=_facts(account),
        terms=POLICY.credit_terms("usmf", account),
    )


async def _signal(handle: WorkflowHandle[Any, Any], name: str, message: Any) -> None:
    """Signal as the product does: a run that takes no more at the moment is tried again."""
    try:
        await answer(handle.signal(name, message))
    except RPCError as error:
        raise rejected(error) from error


async def _all(work: Callable[[Any], Awaitable[Any]], items: Iterable[Any]) -> None:
    """Do all work, so much at a time."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


def show(found: Findings) -> None:
    """Print what was seen."""
    print(f"{found.seconds:.0f} s; {found.refused_for_now:,} calls were refused for the moment and made again")
    print(f"limits of a run: {EVENTS} events, {BYTES:,} bytes, {SIGNALS} signals, {UPDATES} updates\n")
    print(f"{'workflow':<16}{'runs':>8}{'most events':>14}{'most bytes':>14}")
    for kind, runs, events, size in found.rows:
        print(f"{kind:<16}{runs:>8,}{events:>14,}{size:>14,}")
    print()
    for who, tally in found.tallies.items():
        print(f"{who}: {', '.join(f'{number:,} {name}' for name, number in sorted(tally.items()))}")
    for problem, times in Counter(found.problems).items():
        print(f"WRONG: {problem}{f' ({times} times)' if times > 1 else ''}")


def main() -> int:
    """Soak, print, and say by the exit code whether all was well."""
    logging.getLogger("temporalio").setLevel(logging.ERROR)  # nonsense is sent on purpose, and each is logged
    share = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    found = asyncio.run(soak(Load().times(share)))
    show(found)
    return 1 if found.problems else 0


if __name__ == "__main__":
    leave(main())
