"""The deals' runs as the demo reads them: from visibility while they move, from their history when they are judged."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from temporalio.api.common.v1 import WorkflowExecution as ExecutionId
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import WorkflowExecutionOptions
from temporalio.api.workflowservice.v1 import UpdateWorkflowExecutionOptionsRequest
from temporalio.client import Client
from temporalio.converter import WorkflowSerializationContext

from demo.actions import HistoryCost, history_cost
from domain.views import DealView
from runs.attributes import WAITING_FOR
from runs.calls import NoAnswer, answer
from runs.names import STATE, approval_id
from runs.search import DealRow, every_deal

T = TypeVar("T")

PATIENCE_SECONDS: Final = 20.0


@dataclass(frozen=True)
class Run:
    """A deal, read whole: its state, everything it ever waited for, and what it cost with its approvals."""

    deal: DealView
    waited_for: frozenset[str]
    cost: HistoryCost


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until there is an answer: what was killed is being started again, or the stack ends by itself."""
    while True:
        try:
            return await answer(ask(), PATIENCE_SECONDS)
        except NoAnswer:
            await asyncio.sleep(1)


async def list_deals(client: Client) -> list[DealRow]:
    """Every deal, by quote number, as visibility has it: a moment behind the runs themselves."""

    async def listed() -> list[DealRow]:
        return sorted([row async for row in every_deal(client)], key=lambda row: row.quote)

    return await patiently(listed)


async def read_run(client: Client, row: DealRow) -> Run:
    """A deal with its history; of an ended one the state is its result, of a running one it is asked."""
    return await patiently(lambda: _read_run(client, row))


async def _read_run(client: Client, row: DealRow) -> Run:
    handle = client.get_workflow_handle(row.workflow_id, run_id=row.run_id)
    events = [event async for event in handle.fetch_history_events()]
    deal = await _result(client, row.workflow_id, events[-1])
    if deal is None:
        deal = await handle.query(STATE, result_type=DealView)
    cost = history_cost(events)
    for request in deal.approvals:
        child = client.get_workflow_handle(approval_id(deal.company, deal.quote_number, request.n))
        cost += history_cost([event async for event in child.fetch_history_events()])
    return Run(deal, frozenset(_waits(events)), cost)


async def _result(client: Client, workflow_id: str, last: HistoryEvent) -> DealView | None:
    if last.event_type != EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
        return None
    payloads = last.workflow_execution_completed_event_attributes.result.payloads
    place = WorkflowSerializationContext(client.namespace, workflow_id)
    (deal,) = await client.data_converter.with_context(place).decode(payloads, [DealView])
    return deal if isinstance(deal, DealView) else None


def _waits(events: list[HistoryEvent]) -> set[str]:
    """Everything the deal ever waited for, by the search attribute it wrote."""
    found = set()
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES:
            fields = event.upsert_workflow_search_attributes_event_attributes.search_attributes.indexed_fields
            if WAITING_FOR.name in fields and fields[WAITING_FOR.name].data:
                value: Any = json.loads(fields[WAITING_FOR.name].data)
                found.add(str(value))
    return found


async def expire_now(client: Client, row: DealRow) -> None:
    """Move the clock of one run past the expiry of its quote, as the development server can.

    The durable timer fires as it would in thirty days; no other run notices.
    """
    handle = client.get_workflow_handle(row.workflow_id, run_id=row.run_id)
    deal = await patiently(lambda: handle.query(STATE, result_type=DealView))
    if deal.expires_at is None:
        raise ValueError(f"{row.quote} has no expiry")
    await move_clock(client, row.workflow_id, deal.expires_at)


async def move_clock(client: Client, workflow_id: str, to: datetime) -> None:
    """Let the time of one run pass until a second after a moment, as the development server can.

    Args:
        client: connected to the development server.
        workflow_id: of the run that is latest under this id.
        to: with time zone, in the future.
    """
    ahead = to - datetime.now(UTC) + timedelta(seconds=1)
    options = WorkflowExecutionOptions()
    options.time_skipping_config.enabled = True
    options.time_skipping_config.fast_forward_config.id = str(uuid.uuid4())
    options.time_skipping_config.fast_forward_config.duration.CopyFrom(Duration(seconds=int(ahead.total_seconds())))
    request = UpdateWorkflowExecutionOptionsRequest(
        namespace=client.namespace,
        workflow_execution=ExecutionId(workflow_id=workflow_id),
        workflow_execution_options=options,
        update_mask=FieldMask(paths=["time_skipping_config"]),
    )
    await patiently(lambda: client.workflow_service.update_workflow_execution_options(request))
