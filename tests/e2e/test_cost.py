"""What an undisturbed deal costs: HTTP requests to Dynamics and Temporal Actions, from submission to paid."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime

from demo.actions import HistoryCost, history_cost
from runs import names
from tests.replay.record import happy_path
from tests.stack import Deal, Stack

MOST_REQUESTS = 18
"""Two of them because Finance numbers its orders itself, one because it reports the confirmation before the list of
deals knows that number, and one because a webhook of Win has no image to read."""
MOST_ACTIONS = 40


async def actions_of(stack: Stack, deal: Deal) -> HistoryCost:
    """Actions and events of the deal and of its customer's ledger, which it alone used."""
    client = await stack.temporal()
    cost = HistoryCost()
    for workflow_id in (names.deal_id(deal.company, deal.quote), names.ledger_id(deal.company, deal.customer)):
        handle = client.get_workflow_handle(workflow_id)
        cost += history_cost([event async for event in handle.fetch_history_events()])
    return cost


async def test_an_undisturbed_deal_stays_within_its_requests_and_actions(
    stack: Stack, record_property: Callable[[str, object], None]
) -> None:
    """No sweep runs meanwhile: the stack's rest an hour. The desk acts inside the sandbox and makes no requests."""
    happy_path(stack)  # tokens and connections are there afterwards, as in a system that runs
    since = datetime.now(UTC).isoformat()
    deal = happy_path(stack)

    seen = [r for r in stack.desk.requests(since) if r["system"] in ("dataverse", "finance")]
    cost = await actions_of(stack, deal)

    calls = [f"{r['system']} {r['method']} {r['path'][:60]} {r['status']}" for r in seen]
    measured = f"{len(seen)} requests to Dynamics, {cost.actions} Actions in {cost.events} events"
    record_property("cost of an undisturbed deal", measured)
    sys.stdout.write(f"{measured}\n" + "\n".join(calls) + "\n")
    assert all(request["status"] < 400 for request in seen)
    assert len(seen) <= MOST_REQUESTS, calls
    assert cost.actions <= MOST_ACTIONS
