"""What an undisturbed deal costs: HTTP requests to Dynamics and Temporal Actions, from submission to paid."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from demo.actions import history_cost
from runs import names
from tests.replay.record import happy_path
from tests.stack import Deal, Stack

MOST_REQUESTS = 15
"""One of them because Finance numbers its orders itself."""
MOST_ACTIONS = 29
"""Of the deal and its customer's ledger, without the audit trail's own activities."""
MOST_FOR_AUDIT = 7
"""One for each rest of the deal at most: while it waits for others, what happened before is stored."""

AUDIT = "record_audit"


async def histories_of(stack: Stack, deal: Deal) -> list[HistoryEvent]:
    """Events of the deal and of its customer's ledger, which it alone used."""
    client = await stack.temporal()
    events: list[HistoryEvent] = []
    for workflow_id in (names.deal_id(deal.company, deal.quote), names.ledger_id(deal.company, deal.customer)):
        handle = client.get_workflow_handle(workflow_id)
        events += [event async for event in handle.fetch_history_events()]
    return events


def kinds(events: Iterable[HistoryEvent]) -> Counter[str]:
    """The events by kind; activities and signals by name."""
    counted: Counter[str] = Counter()
    for event in events:
        activity = event.activity_task_scheduled_event_attributes.activity_type.name
        signal = event.workflow_execution_signaled_event_attributes.signal_name
        counted[activity or signal or EventType.Name(event.event_type).removeprefix("EVENT_TYPE_").lower()] += 1
    return counted


async def test_an_undisturbed_deal_stays_within_its_requests_and_actions(
    stack: Stack, record_property: Callable[[str, object], None]
) -> None:
    """No sweep runs meanwhile: the stack's rest an hour. The desk acts inside the sandbox and makes no requests."""
    happy_path(stack)  # tokens and connections are there afterwards, as in a system that runs
    since = datetime.now(UTC).isoformat()
    deal = happy_path(stack)

    seen = [r for r in stack.desk.requests(since) if r["system"] in ("dataverse", "finance")]
    events = await histories_of(stack, deal)
    cost, counted = history_cost(events), kinds(events)
    audit = counted[AUDIT]
    actions = cost.actions - audit

    calls = [f"{r['system']} {r['method']} {r['path'][:60]} {r['status']}" for r in seen]
    measured = (
        f"{len(seen)} requests to Dynamics, {actions} Actions and {audit} for the audit trail, {cost.events} events"
    )
    record_property("cost of an undisturbed deal", measured)
    sys.stdout.write("\n".join((measured, *calls, *(f"{number} {kind}" for kind, number in counted.items()), "")))
    assert all(request["status"] < 400 for request in seen)
    assert len(seen) <= MOST_REQUESTS, calls
    assert actions <= MOST_ACTIONS, counted
    assert audit <= MOST_FOR_AUDIT, counted
