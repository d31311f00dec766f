"""The matrix of cancellation (lifecycle 7) with a worker that is killed once inside each compensation.

Each deal is brought to where it can be cancelled; then all are cancelled, and the request of each compensation is held
in its system until the worker, a process of its own, is killed with SIGKILL. A new one finds all of them half done: the
held requests are carried out after all, with nobody to hear it, or are not. Either way nothing is done twice, and
nothing is left over.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from domain.views import DealView, Ending, WaitingFor
from sandbox.faults import Fault, FaultEffect, System
from tests.sealing import KEYS_FILE
from tests.workflows.life_checks import Tables, broken, written_down
from tests.workflows.life_steps import Life
from tests.workflows.life_world import SWEEPS, LifeWorld, eventually, life_world

HELD_MS = 7_000
"""How long a request is held: until all are, and the worker is killed; shorter than the server waits for a try."""
ONE_ORDER = Decimal(2_500)
"""A credit limit for one order of 2,090.00."""

Request = tuple[System, str, str]


@dataclass(frozen=True)
class Case:
    """A compensation: how a deal gets there, what begins it, which request of it is held, how the deal ends."""

    name: str
    prepare: Callable[[LifeWorld], Awaitable[Life]]
    begin: Callable[[Life], Awaitable[None]]
    held: Request
    """System, method and path of the request."""
    ends: Ending = Ending.CANCELLED
    sales: str = "canceled"
    """What Sales shows of the order; of the quote where there is none."""
    after: tuple[str, ...] = ()
    """What people do after the kill."""
    first: Request | None = None
    """The request after which the one to be held is the next of its kind."""


async def ordered(world: LifeWorld) -> Life:
    life = await Life.begin(world, limit=ONE_ORDER)
    await life.waits_for(WaitingFor.SHIPMENT)
    return life


async def marked(life: Life, status: str) -> None:
    """Until Sales shows it: nothing that one deal still has to write may meet the fault of another."""

    async def shown() -> bool:
        return bool(life.world.sandbox.desk.rep.latest(life.quote)["approval"] == status)

    await eventually(shown, f"Sales shows {status}")


async def rival_of(world: LifeWorld, life: Life) -> Life:
    """Another deal of the same customer, which waits until credit is given back."""
    rival = Life.submitted(world, of=life.customer)
    await rival.accepted()
    await rival.waits_for(WaitingFor.CREDIT)
    return rival


async def picked(world: LifeWorld) -> Life:
    life = await ordered(world)
    life.pick(1)
    return life


async def sent(world: LifeWorld) -> Life:
    life = Life.submitted(world)
    await life.waits_for(WaitingFor.REP)
    await marked(life, "approved")
    world.sandbox.desk.rep.activate(life.quote)
    await life.waits_for(WaitingFor.CUSTOMER)
    return life


async def asked(world: LifeWorld) -> Life:
    life = Life.submitted(world, discount=22)
    await life.waits_for(WaitingFor.APPROVAL)
    await marked(life, "pending")
    return life


async def parked(world: LifeWorld) -> Life:
    hold(world, ("dataverse", "PATCH", "quotes"), FaultEffect(status=403))
    life = Life.submitted(world)
    await life.until(lambda view: view.parked is not None, "parked")
    return life


async def in_doubt(world: LifeWorld) -> Life:
    """Finance made the header of the order, and nobody can ask it: it is not known whether there is one."""
    life = await sent(world)
    made = Fault("finance", FaultEffect(drop="after"), "POST", "SalesOrderHeaders", times=1)
    world.sandbox.desk.faults.replace([made])
    world.sandbox.desk.rep.accept(life.quote)
    await consumed(world)
    world.sandbox.desk.faults.replace([Fault("finance", FaultEffect(status=503))])
    await life.waits_for(WaitingFor.FINANCE)
    world.sandbox.desk.faults.clear()
    return life


async def cancel_order(life: Life) -> None:
    await life.cancel()


async def cancel_deal(life: Life) -> None:
    await life.say("rita", life.deal_id, "cancel", reason="entered twice")


async def abort(life: Life) -> None:
    await life.say("otto", life.deal_id, "abort", reason="no more")


CANCELS: Request = ("finance", "POST", "cancelRemainder")
READS: Request = ("finance", "", "")
BATCH: Request = ("dataverse", "POST", r"\$batch")
CASES = (
    Case("Finance's order is cancelled", ordered, cancel_order, CANCELS),
    Case("Finance is read back", ordered, cancel_order, READS, first=CANCELS),
    Case("Sales' order is cancelled", ordered, cancel_order, BATCH),
    Case("Sales shows that it is being cancelled", picked, cancel_order, BATCH, after=("unpick", "retry")),
    Case("the quote is closed in Sales", sent, cancel_deal, ("dataverse", "POST", "CloseQuote"), sales="closed"),
    Case("the request for approval ends", asked, cancel_deal, ("dataverse", "", ""), sales="closed"),
    Case(
        *("Sales hears that nobody looks any more", parked, abort, ("dataverse", "PATCH", "quotes")),
        ends=Ending.ABORTED,
        sales="draft",
    ),
    Case("an order that may be there is looked for", in_doubt, cancel_order, READS, sales="won"),
)


def hold(world: LifeWorld, request: Request, effect: FaultEffect) -> None:
    """Let the next such request suffer."""
    system, method, path = request
    world.sandbox.desk.faults.replace([Fault(system, effect, method or None, path, times=1)])


async def consumed(world: LifeWorld) -> None:
    """Until the request that is to suffer was made."""

    async def made() -> bool:
        return not world.sandbox.desk.faults.faults

    await eventually(made, "the request is under way")


@asynccontextmanager
async def worker(world: LifeWorld, log: Path) -> AsyncIterator[subprocess.Popen[bytes]]:
    """A worker in a process of its own; killed with SIGKILL where the block ends."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("Q2C_", "TEMPORAL_"))}
    info, settings = world.sandbox.info, world.settings
    ours = {
        "TEMPORAL_ADDRESS": world.client.service_client.config.target_host,
        "Q2C_STATE_DIR": str(settings.state_dir),
        "Q2C_CA_FILE": info.ca_file,
        "Q2C_ENTRA_URL": info.entra,
        "Q2C_ENTRA_TENANT": info.tenant,
        "Q2C_ENTRA_CLIENT_ID": info.client_id,
        "Q2C_ENTRA_CLIENT_SECRET": info.client_secret,
        "Q2C_DATAVERSE_URL": info.dataverse,
        "Q2C_DATAVERSE_REQUESTS_PER_SECOND": "200",
        "Q2C_FINANCE_URL": info.finance,
        "Q2C_FINANCE_REQUESTS_PER_SECOND": "200",
        "Q2C_DECISION_PUBLIC_KEYS_FILE": str(settings.decision.public_keys_file),
        "Q2C_LEDGER_URL": settings.ledger.url.get_secret_value(),
        "Q2C_CODEC_KEYS_FILE": str(KEYS_FILE),
        "Q2C_WORKER_HEALTH_PORT": "0",
        "Q2C_WORKER_SWEEP_SECONDS": str(SWEEPS),
    }
    with log.open("ab") as out:
        command = [sys.executable, "-m", "tests.workflows.short_worker"]
        process = subprocess.Popen(command, env=inherited | ours, stdout=out, stderr=out)  # noqa: ASYNC220
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(process.wait)


async def ended(case: Case, life: Life) -> DealView:
    """The deal after its end, checked in both systems' tables: nothing twice, nothing left over."""
    for step in case.after:
        await life.do(step)
    view = await life.over()
    found = Tables(life)
    assert view.ending is case.ends, f"{case.name}: {view.ending}, {view.exceptions}"
    world = life.world.sandbox
    if life.order:
        assert [*broken(view, found)] == [], case.name
        cancelled = [
            event
            for event in world.finance.events.history
            if event["BusinessEventId"] == "Q2CSalesOrderRemainderCancelledBusinessEvent"
            and event["SalesOrderId"] == life.order
        ]
        assert (len(cancelled), found.in_sales) == (1, [case.sales]), case.name
    else:
        shown = world.desk.rep.latest(life.quote)
        assert (found.orders, shown["state"]) == ([], case.sales), case.name
    await written_down(life)
    return view


@pytest.mark.timeout(240)
@pytest.mark.parametrize("done", [True, False], ids=["done and unheard", "never done"])
async def test_a_worker_killed_inside_each_compensation_leaves_nothing_half_done_or_done_twice(
    tmp_path: Path, done: bool, record_property: Callable[[str, object], None]
) -> None:
    log = tmp_path / "worker.log"
    held = FaultEffect(delay_ms=HELD_MS) if done else FaultEffect(delay_ms=HELD_MS, drop="before")
    async with life_world(tmp_path, works=False) as world:
        async with worker(world, log):
            lives = [await case.prepare(world) for case in CASES]
            rival = await rival_of(world, lives[0])
            began = time.monotonic()
            for case, life in zip(CASES, lives, strict=True):
                if case.first:
                    hold(world, case.first, FaultEffect(delay_ms=200))
                else:
                    hold(world, case.held, held)
                await case.begin(life)
                await consumed(world)
                if case.first:
                    hold(world, case.held, held)
                    await consumed(world)
            record_property("seconds until the kill", round(time.monotonic() - began, 1))
        async with worker(world, log):
            for case, life in zip(CASES, lives, strict=True):
                await ended(case, life)
            await rival.waits_for(WaitingFor.SHIPMENT)
            assert len(Tables(rival).orders) == 1
