"""Very many deals that wait for their payment, without carrying each of them there.

One deal is carried to its payment, and noise makes it go on as a new run. What that run was begun with is all the deal
knows; each of the others is begun with it as well, under a quote of its own. So they are what a deal is after it went
on as a new run: the product's own workflow in the product's own state. They share customer, order and invoice.
"""

from __future__ import annotations

import asyncio
import time
from itertools import count
from typing import Final

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.common import Priority
from temporalio.converter import WorkflowSerializationContext

from demo.temporal_server import NAMESPACE
from domain.deal_start import DealStart
from domain.views import WaitingFor
from runs import names, search
from tests.stack import Deal, Stack, line

AT_ONCE: Final = 40
NOISE: Final = 200
"""Messages sent between two looks whether the deal went on as a new run."""
PATIENCE: Final = 3_600.0


class Payers:
    """Deals of one stack that wait for their payment."""

    def __init__(self, client: Client, start: DealStart) -> None:
        """``start`` is what each begins with, but for the number of its quote."""
        self._client = client
        self._start, self._number = start.model_dump_json(), start.quote_number
        self._begun = 0

    @classmethod
    async def of(cls, stack: Stack) -> Payers:
        """Those of a stack, none yet: carry one deal to its payment and have it go on as a new run."""
        deal = await asyncio.to_thread(_unpaid, stack)
        client, numbers = await stack.temporal(), count()
        handle = client.get_workflow_handle(names.deal_id(deal.company, deal.quote))
        first = (await handle.describe()).run_id
        while (described := await handle.describe()).run_id == first:
            for _ in range(NOISE):
                noise = {"message_id": f"noise-{next(numbers)}", "reason": "noise"}
                await handle.signal(names.CREDIT_RECHECK, noise)
        return cls(client, await _begun_with(client, handle.id, described.run_id))

    async def become(self, many: int) -> None:
        """Begin more until there are so many, and wait until each says that it waits for its payment."""
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> None:
            async with slots:
                await self._begin(f"WAIT-{number}")

        await asyncio.gather(*(one(number) for number in range(self._begun, many)))
        self._begun = many
        deadline = time.monotonic() + PATIENCE
        while (waiting := await search.count(self._client, search.open_deals(WaitingFor.PAYMENT))) <= many:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{waiting} of {many} deals wait for their payment")
            await asyncio.sleep(1)

    async def _begin(self, quote: str) -> None:
        start = DealStart.model_validate_json(self._start.replace(self._number, quote))
        await self._client.start_workflow(
            names.QUOTE_TO_CASH,
            start,
            id=names.deal_id(start.company, quote),
            task_queue=names.DEAL_QUEUE,
            priority=Priority(fairness_key=start.company),
        )


def _unpaid(of: Stack) -> Deal:
    """A deal that waits for its payment."""
    deal = of.deal(line("P100", 10, "5"))
    deal.accepted()
    deal.ship()
    deal.waits_for("invoice")
    deal.invoice()
    deal.waits_for("payment")
    return deal


async def _begun_with(client: Client, workflow_id: str, run_id: str) -> DealStart:
    """What a run was begun with."""
    converter = client.data_converter.with_context(WorkflowSerializationContext(NAMESPACE, workflow_id))
    async for event in client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history_events():
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
            given = event.workflow_execution_started_event_attributes.input.payloads
            (start,) = await converter.decode(given, [DealStart])
            assert isinstance(start, DealStart) and start.checkpoint
            return start
    raise RuntimeError("a run without a beginning")
