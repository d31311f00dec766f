"""What Dataverse sees of a budget: so many requests a second from one process, whichever queue's work they are for."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from activities import signatures as ask_for
from dynamics.core.budget import URGENT, Budget, prioritised
from tests.contract.clients_work import p100, reference, worker
from tests.contract.clients_world import Clients, clients_of
from tests.contract.dataverse_world import LiveSandbox

A_SECOND = 8


async def seen(clients: Clients, since: datetime) -> list[float]:
    """Seconds after a moment at which Dataverse got each request of the product."""
    log = await clients.play("GET", f"/requests?system=dataverse&since={since.isoformat().replace('+', '%2B')}")
    return [(datetime.fromisoformat(entry["at"]) - since).total_seconds() for entry in log]


async def test_the_work_of_both_queues_keeps_to_one_budget(live_sandbox: LiveSandbox) -> None:
    """Given 8 requests a second, when Finance's queue reads 15 quotes and Sales' queue marks 15, 8 a second come."""
    async with clients_of(live_sandbox) as others:
        quotes = [reference(await others.quote(p100()), "usmf") for _ in range(15)]
    async with clients_of(live_sandbox, budget=Budget(A_SECOND)) as clients:
        work = worker(clients)
        await clients.dataverse.who_am_i()  # the connection and the token are there
        since = datetime.now(UTC)
        await asyncio.gather(
            *(work.run(work.finance.assess_quote, ask_for.AssessQuote(quote=q, deal_id="c")) for q in quotes),
            *(
                work.run(work.sales.mark_quote, ask_for.MarkQuote(quote=q, approval_status="pending", deal_id="c"))
                for q in quotes
            ),
        )
        times = sorted(await seen(clients, since))
    assert len(times) >= 30
    # A second's worth goes at once; from then on none may come earlier than its token.
    early = [(n, at) for n, at in enumerate(times, start=1) if at < (n - A_SECOND) / A_SECOND - 0.1]
    assert early == []


async def test_what_a_person_waits_for_goes_before_what_nobody_waits_for(live_sandbox: LiveSandbox) -> None:
    async with clients_of(live_sandbox, budget=Budget(4)) as clients:
        await clients.dataverse.who_am_i()
        done: list[str] = []

        async def ask(name: str) -> None:
            await clients.dataverse.business_units()
            done.append(name)

        async def urgently() -> None:
            with prioritised(URGENT):
                await ask("urgent")

        bulk = [asyncio.create_task(ask("bulk")) for _ in range(16)]
        await asyncio.sleep(0.05)  # they stand in line
        await urgently()
        assert len(done) < 10
        await asyncio.gather(*bulk)
    assert done.count("bulk") == 16
