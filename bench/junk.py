"""Thousands of junk signals to one run, and what becomes of it: of its history, its worker's memory, and the truth.

Two kinds of senders. The **insider** has the namespace and a key of the codec, and no key that signs decisions: what it
sends is sealed as the product seals, to true and to invented names. The **stranger** has the namespace only: it sends
clear payloads, payloads under a key of its own, none, or two. Right after the flood something true is said, and must
count.

Junk comes while workers run, and, with `asleep`, while none does: then as much waits as the server lets wait for one
run, and comes in one task.

Each run may hold what Temporal's default limits allow, times the share of the flood: 51,200 events, 50 MB and 10,000
signals for 10,000 pieces of junk. A run that did not go on as a new one in time would be ended by the server.

Repeat with `uv run python -m bench.junk [pieces [kind]]`; tests/workflows/test_junk.py does so with 1,000.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import resource
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import structlog
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from domain.credit_ledger import LedgerRequest
from domain.feeds import FeedStart
from domain.messages import CustomerChanged, DecisionRefused, FinanceEventKind, LedgerNote, SignedMessage
from domain.views import WaitingFor
from runs import names
from runs.calls import NoAnswer
from runs.codec_keys import KeyRing
from tests.workflows.acting import outcome, until, waits_for
from tests.workflows.conftest import Stage, World, dev_server, step
from tests.workflows.feed_world import FeedWorld, credit_facts, eventually, feed_world, told
from tests.workflows.notices_world import Recipient, somebody
from tests.workflows.test_credit_ledger import ask
from tests.workflows.trusting import MONA, RITA
from workers.sealing import sealing

FULL = 10_000
LIMITS = {
    "limit.historyCount.error": 51_200,
    "limit.historyCount.suggestContinueAsNew": 4_096,
    "limit.historySize.error": 50 * 1024 * 1024,
    "limit.historySize.suggestContinueAsNew": 4 * 1024 * 1024,
    "history.maximumSignalsPerExecution": 10_000,
}
"""The server's defaults, for the full flood; a smaller one gets a share of each."""
MOST_EVENTS_EACH = 5
"""Events that one piece of junk may add to all histories together: itself, a workflow task, and a part of a step."""
MOST_BYTES_EACH = 4_000
MOST_MEMORY = 150 * 1024 * 1024
"""Bytes by which the process of worker, client and test may grow; what 10,000 pieces say is a tenth of it."""
SPARE = 50
"""Signals that are left of what one run may hold, for what it was told before and for the truth."""
AT_ONCE = 40
PATIENCE = 240.0

T = TypeVar("T")
Say = Callable[[int], Awaitable[None]]
THE_SERVERS = (
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND,
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND,
)
"""How the server takes back a task that it has too much news for."""
PASSING = (
    RPCStatusCode.NOT_FOUND,
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.CANCELLED,
)
"""How a call fails while the run goes on as a new one, has its fill, or is still busy with what came before."""
ENDED_BADLY = (
    WorkflowExecutionStatus.FAILED,
    WorkflowExecutionStatus.TERMINATED,
    WorkflowExecutionStatus.TIMED_OUT,
    WorkflowExecutionStatus.CANCELED,
)


@dataclass
class Target:
    """A run to be flooded."""

    handle: WorkflowHandle[Any, Any]
    sealed: Sequence[tuple[str, Callable[[int], Any]]]
    """What an insider says: names of signals, and what the n-th of each carries."""
    truth: Callable[[], Awaitable[None]]
    """Says something true and returns when it has counted."""
    stage: Stage | FeedWorld | Recipient
    """Whose workers serve it."""


@dataclass
class Findings:
    """What was seen, and what was wrong."""

    pieces: int
    runs: int = 0
    events: int = 0
    size: int = 0
    longest: int = 0
    largest: int = 0
    put_off: int = 0
    failed: int = 0
    """Workflow tasks the worker failed: a busy machine stops one that took more than two seconds of its time."""
    seconds: float = 0.0
    memory: int = 0
    problems: list[str] = field(default_factory=list)


async def flood(client: Client, target: Target, sender: str, pieces: int, *, asleep: bool = False) -> Findings:
    """Send junk to a run, then something true, and look at all its runs.

    Args:
        client: the product's.
        target: the run.
        sender: ``insider`` or ``stranger``.
        pieces: how many signals.
        asleep: no worker runs meanwhile; a few less are sent, so that all may wait for one run.

    Returns:
        What was seen. A piece that the server puts off, because the run has its fill, is sent again.
    """
    found = Findings(pieces)
    say = await (insider if sender == "insider" else stranger)(client, target)
    await _all(say, range(20), found)  # imports, pools and caches are not what is measured
    before, began, run_id = memory(), time.monotonic(), (await target.handle.describe()).run_id
    if asleep:
        await target.stage.stop_work()
        await _all(say, range(20, pieces - SPARE), found)
        began = time.monotonic()
        await target.stage.start_work()
    else:
        await _all(say, range(20, pieces), found)
    await target.truth()
    if asleep:  # what is true may count before all junk was heard
        await _goes_on(target, run_id)
    found.seconds, found.memory = time.monotonic() - began, memory() - before
    await _look_at_runs(client, target, found, share(pieces))
    return found


def share(pieces: int) -> dict[str, int]:
    """The server's limits for so many pieces."""
    return {name: max(1, limit * pieces // FULL) for name, limit in LIMITS.items()}


async def insider(client: Client, target: Target) -> Say:
    """Says what is sealed as it should be: nonsense, and words that only look true."""

    async def say(n: int) -> None:
        name, made = target.sealed[n % len(target.sealed)]
        await target.handle.signal(name, made(n))

    return say


async def stranger(client: Client, target: Target) -> Say:
    """Says what the codec refuses: clear text, a foreign key, no payload, two, a name of nobody."""
    address = client.service_client.config.target_host
    clear = (await Client.connect(address)).get_workflow_handle(target.handle.id)
    foreign = (await Client.connect(address, plugins=[sealing(KeyRing.new())])).get_workflow_handle(target.handle.id)
    names_ = [name for name, _ in target.sealed]

    async def say(n: int) -> None:
        name, junk = names_[n % len(names_)], {"message_id": f"m-{n}", "status": "completed", "padding": "x" * 200}
        match n % 5:
            case 0:
                await clear.signal(name, junk)
            case 1:
                await foreign.signal(name, junk)
            case 2:
                await clear.signal(name)
            case 3:
                await clear.signal(name, args=[junk, junk])
            case _:
                await clear.signal(f"nobody-{n}", junk)

    return say


async def _all(say: Say, numbers: range, found: Findings) -> None:
    left = iter(numbers)

    async def worker() -> None:
        for n in left:
            await _insistently(say, n, found)

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


async def _insistently(say: Say, n: int, found: Findings) -> None:
    async def said() -> None:
        await say(n)

    found.put_off += (await _until_taken(said))[1]


async def _until_taken(call: Callable[[], Awaitable[T]]) -> tuple[T, int]:
    """Say something again for as long as the run has its fill; what the call gives, and how often it was put off."""
    deadline, put_off = time.monotonic() + PATIENCE, 0
    while True:
        try:
            return await call(), put_off
        except NoAnswer:
            passing = True
        except RPCError as error:
            full = error.status is RPCStatusCode.INVALID_ARGUMENT and "limit for signal events" in error.message
            passing = full or error.status in PASSING
            if not passing:
                raise
        if time.monotonic() > deadline:
            raise TimeoutError(f"the run took nothing for {PATIENCE:.0f} s")
        put_off += 1
        await asyncio.sleep(0.05)


async def _goes_on(target: Target, run_id: str) -> None:
    """Wait until the run has gone on as a new one; that it never does is found by ``_look_at_runs``."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        described, _ = await _until_taken(target.handle.describe)
        if described.run_id != run_id:
            return
        await asyncio.sleep(0.2)


async def _look_at_runs(client: Client, target: Target, found: Findings, limits: dict[str, int]) -> None:
    async for run in client.list_workflows(f"WorkflowId = '{target.handle.id}'"):
        if run.status in ENDED_BADLY:
            found.problems.append(f"a run is {run.status.name if run.status else 'unknown'}")
        handle = client.get_workflow_handle(run.id, run_id=run.run_id)
        info = (await handle.describe()).raw_description.workflow_execution_info
        found.runs += 1
        found.events += info.history_length
        found.size += info.history_size_bytes
        found.longest = max(found.longest, info.history_length)
        found.largest = max(found.largest, info.history_size_bytes)
        async for event in handle.fetch_history_events():
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
                found.failed += event.workflow_task_failed_event_attributes.cause not in THE_SERVERS
    bounds = (
        ("events of one run", found.longest, limits["limit.historyCount.error"]),
        ("bytes of one run", found.largest, limits["limit.historySize.error"]),
        ("events of all runs", found.events, MOST_EVENTS_EACH * found.pieces + 1_000),
        ("bytes of all runs", found.size, MOST_BYTES_EACH * found.pieces + 1_000_000),
        ("bytes of memory", found.memory, MOST_MEMORY),
    )
    found.problems += [f"{value:,} {what}, at most {most:,}" for what, value, most in bounds if value > most]
    if found.runs < 2:
        found.problems.append("it did not go on as a new run")


def memory() -> int:
    """Bytes this process holds in memory now."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


# The five targets


@asynccontextmanager
async def deal(stage: Stage) -> AsyncIterator[Target]:
    """A deal that waits for its rep; the truth: the rep cancels it."""
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))

    async def truth() -> None:
        said, _ = await _until_taken(lambda: stage.say(RITA, "cancel", reason="meant"))
        assert (await _until_taken(lambda: outcome(stage, said)))[0].accepted

    yield Target(
        stage.case,
        (
            (names.COMMAND, _unsigned),
            (names.DECIDE, _unsigned),
            (names.SALES_EVENT, _nonsense),
            (names.FINANCE_EVENT, _nonsense),
            (names.DECISION_REFUSED, _invented),
            (names.CREDIT_RECHECK, lambda n: {"message_id": f"c-{n}", "reason": "junk"}),
            ("invented", _nonsense),
        ),
        truth,
        stage,
    )


@asynccontextmanager
async def approval(stage: Stage) -> AsyncIterator[Target]:
    """A request for approval; the truth: its approver approves."""
    stage.world.plan = (step(1, 1, "sales_manager", MONA),)
    await stage.submit()
    await until(stage, waits_for(WaitingFor.APPROVAL))

    async def truth() -> None:
        await _until_taken(lambda: stage.decide(1, MONA, "approve", step=1))
        view, _ = await _until_taken(lambda: until(stage, waits_for(WaitingFor.REP), seconds=PATIENCE))
        assert [request.status for request in view.approvals] == ["completed"]

    junk = ((names.DECIDE, _unsigned), (names.SUPERSEDE, _nonsense), (names.HAND_OVER, _nonsense), ("x", _nonsense))
    yield Target(stage.approval, junk, truth, stage)


@asynccontextmanager
async def ledger(world: FeedWorld) -> AsyncIterator[Target]:
    """A ledger with a held deal; the truth: the customer's limit changes and the deal is woken."""
    account = f"C-{uuid.uuid4().hex[:8]}"
    held = await world.deal()

    def question(deal_id: str, amount: str) -> LedgerRequest:
        return ask(account, deal_id, amount, credit_facts(account, "100.00"))

    answer = await world.ledgers.reserve("usmf", account, question(held.id, "200.00"))
    assert answer.decision and not answer.decision.passed
    handle = world.client.get_workflow_handle(names.ledger_id("usmf", account))

    async def truth() -> None:
        woken, _ = await _until_taken(lambda: held.query("rechecks", result_type=int))
        change = CustomerChanged(event_id=f"true/{uuid.uuid4()}", reason="limit raised")
        await _until_taken(lambda: world.ledgers.changed("usmf", account, change))
        await eventually(lambda: _more_than(held, woken), patience=PATIENCE)
        decided, _ = await _until_taken(
            lambda: world.ledgers.reserve("usmf", account, question("q2c/usmf/true", "1.00"))
        )
        assert decided.decision and decided.decision.passed

    yield Target(
        handle,
        (
            (names.CUSTOMER_CHANGED, _nonsense),
            (names.CUSTOMER_CHANGED, lambda n: CustomerChanged(event_id=f"junk/{n}", reason="junk")),
            (names.ORDER_VISIBLE, lambda n: LedgerNote(deal_id=f"q2c/usmf/none-{n}", at=datetime.now(UTC))),
            (names.RELEASE, lambda n: LedgerNote(deal_id=f"q2c/usmf/none-{n}", at=datetime.now(UTC))),
            ("invented", _nonsense),
        ),
        truth,
        world,
    )


@asynccontextmanager
async def messages(recipient: Recipient) -> AsyncIterator[Target]:
    """Messages to one person; the truth: something they are told is sent."""
    await recipient.tell("first")

    async def truth() -> None:
        await _until_taken(lambda: recipient.tell("true"))
        await recipient.world_moves(timedelta(minutes=1))
        await recipient.until(lambda box: box.deliveries, "what is true was sent")

    yield Target(
        recipient.run,
        (
            (names.TELL, _nonsense),
            (names.TELL, lambda n: recipient.telling(f"junk-{n}", recipient=f"nobody-{n}")),
            (names.TELL, lambda n: recipient.telling("first")),
            ("invented", _nonsense),
        ),
        truth,
        recipient,
    )


async def _more_than(deal: WorkflowHandle[Any, Any], before: int) -> bool:
    now: int = await deal.query("rechecks")
    return now > before


@asynccontextmanager
async def feed(world: FeedWorld) -> AsyncIterator[Target]:
    """A feed of Finance; the truth: an event of a deal's order reaches the deal."""
    order = world.order()
    followed = await world.deal(order=order, stage="fulfilment")
    start = FeedStart(system="finance", of=world.company, every_seconds=86_400)
    handle = await world.client.start_workflow(
        names.FINANCE_FEED,
        start,
        id=f"feed/finance/{world.company}/{uuid.uuid4().hex[:8]}",
        task_queue=names.DEAL_QUEUE,
    )

    async def truth() -> None:
        """Told again every ten seconds, as a sweep would: a feed that is full leaves what comes to the next sweep."""
        event = world.event(order, kind=FinanceEventKind.INVOICE_POSTED)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            await _until_taken(lambda: handle.signal(names.FINANCE_EVENT, event))
            with suppress(AssertionError):
                await eventually(lambda: _was_told(followed, event.event_id), patience=10)
                return
        raise TimeoutError(f"what is true did not reach its deal in {PATIENCE:.0f} s")

    yield Target(
        handle,
        (
            (names.FINANCE_EVENT, _nonsense),
            (names.FINANCE_EVENT, lambda n: world.event(f"SO-{n}", event_id=f"foreign/{n}")),
            (names.FINANCE_EVENT, lambda n: world.event(world.order(), event_id=f"ours/{n}")),
            ("invented", _nonsense),
        ),
        truth,
        world,
    )


async def _was_told(deal: WorkflowHandle[Any, Any], event_id: str) -> bool:
    return event_id in await told(deal)


def _unsigned(n: int) -> SignedMessage:
    return SignedMessage(message_id=f"junk-{n}", token="no token" * 40)


def _invented(n: int) -> DecisionRefused:
    return DecisionRefused(message_id=f"r-{n}", person=MONA, code="NO_AUTHORITY", at=datetime.now(UTC))


def _nonsense(n: int) -> dict[str, Any]:
    return {"event_id": f"e-{n}", "message_id": "", "status": "completed", "padding": "x" * 200}


# The whole of it


KINDS = (deal, approval, messages, ledger, feed)


async def main(pieces: int, kinds: Sequence[Callable[[Any], Any]]) -> int:
    """Flood each kind of run by both senders, awake and asleep, each on workers of its own; print what was seen.

    Returns:
        An exit code.
    """
    logging.getLogger("temporalio").setLevel(logging.ERROR)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    problems = 0
    print(f"{pieces:,} pieces of junk to each; limits of a run: {share(pieces)}\n")
    print(
        f"{'to':<10}{'by':<10}{'':<8}{'s':>6}{'runs':>6}{'events':>9}{'longest':>9}{'MB':>7}"
        f"{'put off':>9}{'failed':>8}{'memory MB':>11}"
    )
    async with dev_server(**{name: str(limit) for name, limit in share(pieces).items()}) as server:
        for target in kinds:
            for sender, asleep in itertools.product(("insider", "stranger"), (False, True)):
                found = await _one(server, target, sender, pieces, asleep=asleep)
                to, waits = target.__name__, "asleep" if asleep else ""
                print(
                    f"{to:<10}{sender:<10}{waits:<8}{found.seconds:>6.0f}{found.runs:>6}{found.events:>9,}"
                    f"{found.longest:>9,}{found.size / 1e6:>7.1f}{found.put_off:>9,}{found.failed:>8}"
                    f"{found.memory / 1e6:>11.1f}",
                    flush=True,
                )
                for problem in found.problems:
                    print(f"WRONG: {problem}")
                problems += len(found.problems)
    return 1 if problems else 0


async def _one(server: Any, target: Callable[[Any], Any], sender: str, pieces: int, *, asleep: bool) -> Findings:
    if target in (deal, approval):
        stage = Stage(server, World(quote=f"Q-{uuid.uuid4().hex[:8]}"))
        await stage.start_work()
        try:
            async with target(stage) as flooded:
                return await flood(server.client, flooded, sender, pieces, asleep=asleep)
        finally:
            await stage.stop_work()
    if target is messages:
        async with somebody(server, World(quote="")) as recipient, target(recipient) as flooded:
            return await flood(server.client, flooded, sender, pieces, asleep=asleep)
    async with feed_world(server.client) as world, target(world) as flooded:
        return await flood(server.client, flooded, sender, pieces, asleep=asleep)


if __name__ == "__main__":
    asked = [kind for kind in KINDS if kind.__name__ in sys.argv[2:]]
    raise SystemExit(asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else FULL, asked or KINDS)))
