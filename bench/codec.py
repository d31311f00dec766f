"""What sealing and the audit cost: CPU for a payload, and for an undisturbed deal with and without them.

Deals run on a development server with the workflows, worker and gate of the product and scripted activities, in rounds
that alternate between the kinds, in one process whose CPU time is taken (client, worker and the SDK's core; not the
server). Real activities cost more and are the same in both, so the share measured here is above that of production.
Prints one line of JSON; exits 1 where a deal with codec and audit costs more than 15 % above one without.
Repeat with `python -m bench.codec [rounds] [deals]`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import structlog
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, WorkflowSerializationContext
from temporalio.testing import WorkflowEnvironment

from demo.temporal_server import temporal_binary
from domain.audit import Outbox, of_entry
from domain.messages import FinanceEventKind, SalesEventKind
from domain.views import DealView, TimelineEntry, WaitingFor
from ledger.audit import AuditStore
from ledger.database import open_database
from runs import names
from runs.attributes import ATTRIBUTES
from runs.codec import data_converter
from tests.sealing import KEYS, SEALING
from tests.workflows.conftest import Stage, World, workers

MOST = 1.15
"""CPU of a deal with codec and audit, over that of one without."""
LOOK_EVERY = 0.05


@dataclass
class Kind:
    """One way to run deals."""

    name: str
    client: Client
    queue_suffix: str
    audit: AuditStore | None = None


async def payload_cost() -> dict[str, float]:
    """Microseconds to seal and open one payload, by its size in bytes."""
    context = WorkflowSerializationContext("default", "q2c/usmf/Q-1")
    plain, sealed = pydantic_data_converter, data_converter(KEYS).with_context(context)
    costs = {}
    for size in (256, 1_024, 4_096, 16_384):
        value = "x" * size
        costs[str(size)] = round((await _round_trip(sealed, value) - await _round_trip(plain, value)) * 1e6, 1)
    return costs


async def _round_trip(converter: DataConverter, value: str, times: int = 2_000) -> float:
    began = time.process_time()
    for _ in range(times):
        await converter.decode(await converter.encode([value]), [str])
    return (time.process_time() - began) / times


async def measure(rounds: int, deals: int) -> dict[str, Any]:
    """Run the rounds."""
    extra = [
        argument
        for attribute in ATTRIBUTES
        for argument in ("--search-attribute", f"{attribute.name}={attribute.kind}")
    ]
    with tempfile.TemporaryDirectory() as folder:
        database = await open_database(f"sqlite:///{folder}/ledger.db")
        async with await WorkflowEnvironment.start_local(
            dev_server_existing_path=str(temporal_binary()),
            dev_server_extra_args=extra,
            dev_server_log_level="never",
            data_converter=pydantic_data_converter,
        ) as environment:
            address = environment.client.service_client.config.target_host
            sealed = await Client.connect(address, plugins=[SEALING])
            kinds = [
                Kind("plain", environment.client, "plain"),
                Kind("sealed", sealed, "sealed"),
                Kind("sealed and audited", sealed, "audited", AuditStore(database)),
            ]
            spent: dict[str, list[float]] = {kind.name: [] for kind in kinds}
            for number in range(rounds + 1):
                for kind in kinds:
                    cost = await _round(environment, kind, deals)
                    if number:  # the first round warms up
                        spent[kind.name].append(cost)
        await database.close()
    cpu = {name: median(costs) for name, costs in spent.items()}
    ratios = [audited / plain for plain, audited in zip(spent["plain"], spent["sealed and audited"], strict=True)]
    return {
        "payload_us": await payload_cost(),
        "deal_cpu_ms": {name: round(cost * 1000, 1) for name, cost in cpu.items()},
        "sealed": round(cpu["sealed"] / cpu["plain"], 3),
        "sealed_and_audited": round(median(ratios), 3),
        "allowed": MOST,
        "rounds": rounds,
        "deals": deals,
    }


async def _round(environment: WorkflowEnvironment, kind: Kind, deals: int) -> float:
    """CPU seconds of one deal of this kind."""
    async with _world(environment, kind) as stage:
        began = time.process_time()
        for _ in range(deals):
            stage.world.quote, stage.world.invoices = f"Q-{uuid.uuid4().hex[:8]}", []
            stage.case = kind.client.get_workflow_handle(names.deal_id("usmf", stage.world.quote))
            entries = await _deal(stage)
            if kind.audit is not None:
                await _audit(stage, entries, kind.audit)
        return (time.process_time() - began) / deals


@asynccontextmanager
async def _world(environment: WorkflowEnvironment, kind: Kind) -> AsyncIterator[Stage]:
    world = World(quote="Q-0")
    before = {queue: getattr(names, queue) for queue in ("DEAL_QUEUE", "DATAVERSE_QUEUE", "FINANCE_QUEUE")}
    for queue, name in before.items():
        setattr(names, queue, f"{name}-{kind.queue_suffix}")
    stage = Stage(environment, world)
    stage.client = kind.client
    try:
        async with workers(kind.client, world):
            yield stage
    finally:
        for queue, name in before.items():
            setattr(names, queue, name)


async def _deal(stage: Stage) -> list[TimelineEntry]:
    """An undisturbed deal, from submission to paid; what its timeline held before its last event."""
    await stage.submit()
    await _until(stage, WaitingFor.REP)
    await stage.sales(SalesEventKind.ACTIVATED)
    await stage.sales(SalesEventKind.ACCEPTED)
    await _until(stage, WaitingFor.SHIPMENT)
    await stage.finance(FinanceEventKind.SHIPMENT_POSTED, f"PS-{stage.world.quote}", (1, 10))
    await _until(stage, WaitingFor.INVOICE)
    stage.world.invoice("INV-1", 10, "1045")
    await stage.finance(FinanceEventKind.INVOICE_POSTED, "INV-1")
    await _until(stage, WaitingFor.PAYMENT)
    # Asked while the run is in the worker's memory: an ended one would be replayed to answer.
    entries: list[TimelineEntry] = await stage.case.query(names.TIMELINE, result_type=list[TimelineEntry])
    stage.world.invoice("INV-1", 10, "0")
    await stage.finance(FinanceEventKind.PAYMENT_POSTED, "PAY-1")
    await stage.case.result()
    return entries


async def _until(stage: Stage, waiting_for: WaitingFor) -> None:
    while True:
        view = await stage.case.query(names.STATE, result_type=DealView)
        if view.explanation.waiting_for is waiting_for:
            return
        await asyncio.sleep(LOOK_EVERY)


async def _audit(stage: Stage, entries: list[TimelineEntry], store: AuditStore) -> None:
    """Store the deal's timeline as it would have been: a batch for each time it started to wait."""
    outbox = Outbox()
    for position, entry in enumerate(entries):
        outbox = outbox.add(of_entry(entry, company="usmf", deal_id=stage.case.id), run_id="run-1")
        if position % 3 == 2 or position == len(entries) - 1:
            outbox = outbox.acknowledged(await store.append(outbox.batch().records))


def main() -> int:
    """Measure and print."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    deals = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    result = asyncio.run(measure(rounds, deals))
    print(json.dumps(result))
    return 0 if result["sealed_and_audited"] <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
