"""What changed in Sales, as change tracking of the running sandbox tells it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from dynamics.core.errors import Refused
from dynamics.core.literals import key
from dynamics.sales.options import ApprovalChoice, OpportunityState
from tests.contract.clients_world import Clients, clients_of
from tests.contract.dataverse_world import LiveSandbox

P100: dict[str, Any] = {"item": "P100", "quantity": "10", "discount_pct": "5"}
P250: dict[str, Any] = {"item": "P250", "quantity": "2"}


@pytest.fixture
async def clients(live_sandbox: LiveSandbox) -> AsyncIterator[Clients]:
    async with clients_of(live_sandbox) as clients:
        yield clients


async def test_change_tracking_tells_what_changed_and_what_was_deleted(clients: Clients) -> None:
    page = await clients.changes.page("quote", None)
    while page.next_link:
        page = await clients.changes.page("quote", page.next_link)
    quote, doomed = await clients.quote(P100), await clients.quote(P250)
    clients.live.sandbox.dataverse.delete("quotes", str(doomed.id))
    assert page.delta_link
    page = await clients.changes.page("quote", page.delta_link)
    changed = {change.id: change for change in page.quotes}
    assert changed[quote.id].approval == ApprovalChoice.REQUESTED and changed[quote.id].number == quote.number
    assert doomed.id in page.deleted and doomed.id not in changed
    assert page.delta_link and (await clients.changes.page("quote", page.delta_link)).quotes == ()


async def test_opportunities_lost_and_reopened_are_told_by_change_tracking(clients: Clients) -> None:
    page = await clients.changes.page("opportunity", None)
    while page.next_link:
        page = await clients.changes.page("opportunity", page.next_link)
    quote = await clients.quote(P100, opportunity=True)
    assert quote.opportunity is not None
    of = quote.opportunity.id
    assert await clients.changes.last_closings([of]) == {}
    lost = {
        "Status": 4,
        "OpportunityClose": {"subject": "Lost", "opportunityid@odata.bind": f"/opportunities({of})"},
    }
    await clients.dataverse.odata.action("LoseOpportunity", lost)

    page = await clients.changes.page("opportunity", page.delta_link)
    assert [(change.id, change.state) for change in page.opportunities] == [(of, OpportunityState.LOST)]
    assert [(other.id, other.opportunity_id) for other in await clients.changes.quotes_of([of])] == [(quote.id, of)]
    assert list(await clients.changes.last_closings([of])) == [of]

    await clients.dataverse.odata.patch(key("opportunities", of), {"statecode": 0, "statuscode": 1})
    now = await clients.changes.now("opportunity", [of, uuid4()])
    assert [change.state for change in now.opportunities] == [OpportunityState.OPEN] and len(now.deleted) == 1


async def test_a_delta_link_that_sales_does_not_take_is_refused(clients: Clients) -> None:
    page = await clients.changes.page("opportunity", None)
    assert page.delta_link
    for broken in (
        page.delta_link.replace("%21", "x"),
        page.delta_link.split("%21")[0] + "%2101%2F01%2F2020%2000%3A00%3A00",
    ):
        with pytest.raises(Refused):
            await clients.changes.page("opportunity", broken)
