"""A deal of very many lines, carried from its submission to the money while the worker is killed, and measured."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from dataclasses import dataclass

from temporalio.client import Client, WorkflowHandle
from temporalio.common import RawValue

from runs import names
from tests.stack import Deal, Json, Stack, line, money

PATIENCE = 900.0
"""Seconds each stage of the largest deal may take."""
ITEMS = ("P100", "P250")
APPROVERS = ("mona", "dirk", "cora")
SLOW_WRITES = {"system": "finance", "method": "POST", "path": r"\$batch", "effect": {"delay_ms": 1500}}
"""While the kill is awaited: whoever looks how far an order has come sees each part of it."""


@dataclass(frozen=True)
class Large:
    """What became of a large deal."""

    deal: Deal
    case: Json
    history_bytes: int
    """Of all runs of the deal together, as Temporal stores them."""
    events: int
    runs: int
    killed_at: int
    """Lines Finance had when the worker was killed; 0: it was not."""
    state_bytes: int
    timeline_bytes: int
    seconds: float

    def __str__(self) -> str:
        """The figures in one line."""
        return (
            f"{self.case['line_count']:,} lines: history {self.history_bytes:,} bytes in {self.events:,} events and "
            f"{self.runs} runs; state {self.state_bytes:,}, timeline {self.timeline_bytes:,} bytes; "
            f"worker killed at {self.killed_at:,} lines; {self.seconds:.0f} s"
        )


def carry(stack: Stack, lines: int, *, kill_at: float = 0.0) -> Large:
    """Carry a deal of so many lines to the end; the worker is killed when that share of the order is in Finance."""
    began = time.monotonic()
    deal = stack.deal(
        *(line(ITEMS[n % len(ITEMS)], 1 + n % 7, "1") for n in range(lines)),
        customer=stack.customer(credit_limit="500000000.00"),
    )
    deal.rep("submit")
    _approve(deal)
    deal.rep("activate")
    if kill_at:
        stack.desk.put("/faults", SLOW_WRITES)
    deal.rep("accept")
    killed_at = _kill(stack, deal, int(lines * kill_at)) if kill_at else 0
    deal.waits_for("shipment", PATIENCE)
    deal.ship()
    deal.waits_for("invoice", PATIENCE)
    deal.invoice()
    deal.waits_for("payment", PATIENCE)
    deal.pay(str(money(deal.case()["open_amount"])))
    case = deal.ends("closed", PATIENCE)
    seconds = time.monotonic() - began
    return asyncio.run(measured(stack, deal, case, killed_at=killed_at, seconds=seconds))


def _approve(deal: Deal) -> None:
    """Whoever is asked approves; a large amount may need several."""
    case = deal.until(lambda case: case["explanation"]["waiting_for"] in ("rep", "approval"), "assessed", PATIENCE)
    while case["explanation"]["waiting_for"] == "approval":
        for name in APPROVERS:
            for asked in deal.stack.person(name).inbox(deal.quote):
                deal.stack.person(name).decide(asked, "approve", comment="a large deal")
        time.sleep(0.2)
        case = deal.case()
    deal.waits_for("rep", PATIENCE)


def _kill(stack: Stack, deal: Deal, lines: int) -> int:
    """Kill the worker as soon as Finance has so many lines of the order; how many it had then."""
    deadline = time.monotonic() + PATIENCE
    while (there := _ordered(stack, deal)) < lines:
        assert time.monotonic() < deadline, f"Finance has {there} lines"
        time.sleep(0.2)
    os.kill(stack.worker_pid, signal.SIGKILL)
    there = _ordered(stack, deal)
    stack.desk.delete("/faults")
    return there


def _ordered(stack: Stack, deal: Deal) -> int:
    orders = deal.orders()
    return len(stack.desk.get(f"/orders/usmf/{orders[0]['SalesOrderNumber']}")["lines"]) if orders else 0


async def measured(stack: Stack, deal: Deal, case: Json, *, killed_at: int, seconds: float) -> Large:
    """What a deal cost: the sizes of its histories, and of the answers to its queries as they travel."""
    client = await stack.temporal()
    workflow_id = names.deal_id(deal.company, deal.quote)
    sizes = []
    async for run in client.list_workflows(f"WorkflowId = '{workflow_id}'"):
        described = await client.get_workflow_handle(workflow_id, run_id=run.run_id).describe()
        info = described.raw_description.workflow_execution_info
        sizes.append((info.history_size_bytes, info.history_length))
    plain = await Client.connect(stack.ready["temporal"])
    handle = plain.get_workflow_handle(workflow_id)
    return Large(
        deal=deal,
        case=case,
        history_bytes=sum(size for size, _ in sizes),
        events=sum(length for _, length in sizes),
        runs=len(sizes),
        killed_at=killed_at,
        state_bytes=await _answer_bytes(handle, names.STATE),
        timeline_bytes=await _answer_bytes(handle, names.TIMELINE),
        seconds=seconds,
    )


async def _answer_bytes(handle: WorkflowHandle[object, object], query: str) -> int:
    answer = await handle.query(query, result_type=RawValue)
    return len(answer.payload.data)
