"""A company in shadow mode: what Sales reports of it goes to a shadow or to a deal, and never to both."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.heartbeat import KeptAlive
from activities.shadow_signatures import LookedInShadow, LookInShadow
from domain.messages import SalesEvent, SalesEventKind
from runs import names
from runs.deals import Deals
from runs.lookup import Lookup
from tests.time_travel import move_clock
from tests.workflows.conftest import queues_of_its_own
from tests.workflows.replaying import replays
from workers.worker import workflow_runner
from workflows.shadow import ShadowOfQuote


def event(quote: str, kind: SalesEventKind, company: str = "usmf") -> SalesEvent:
    return SalesEvent(
        event_id=f"dv/quote/{quote}/{kind}",
        kind=kind,
        company=company,
        quote_number=quote,
        quote_id=str(uuid.uuid4()),
        revision=0,
        occurred_at=datetime.now(UTC),
    )


async def runs_of(client: Client, told: SalesEvent) -> tuple[bool, bool]:
    """Whether a deal, and whether a shadow, is there for what was told."""
    lookup = Lookup(client)
    ids = (
        names.deal_id(told.company, told.quote_number),
        names.shadow_id(told.company, told.quote_number, told.event_id),
    )
    deal, shadow = [await lookup.last_run(workflow_id) is not None for workflow_id in ids]
    return deal, shadow


async def test_a_company_in_shadow_mode_begins_no_deal_and_a_deal_that_runs_keeps_its_events(
    environment: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    queues_of_its_own(monkeypatch)
    client, quote = environment.client, f"SH-{uuid.uuid4().hex[:8]}"
    live, shadowed = Deals(client), Deals(client, shadow=["usmf"])
    submitted, won = event(quote, SalesEventKind.SUBMITTED), event(quote, SalesEventKind.ACCEPTED)

    assert await shadowed.tell(submitted) and await shadowed.tell(submitted)
    assert await runs_of(client, submitted) == (False, True)
    assert await shadowed.begin(won) and not await shadowed.begin(won), "once, however often it is told"
    assert not await shadowed.tell(event(quote, SalesEventKind.WITHDRAWN)), "nothing is decided then"
    assert await runs_of(client, event(quote, SalesEventKind.WITHDRAWN)) == (False, False)
    of_other = event(quote, SalesEventKind.SUBMITTED, company="demf")
    assert await shadowed.tell(of_other)
    assert await runs_of(client, of_other) == (True, False)

    begun = event(f"{quote}-B", SalesEventKind.SUBMITTED)
    assert await live.begin(begun) and not await live.begin(begun)
    later = event(f"{quote}-B", SalesEventKind.ACTIVATED)
    assert await shadowed.tell(later)
    assert await runs_of(client, later) == (True, False), "its deal has it"


async def test_peoples_order_is_looked_for_until_it_is_there_or_a_week_is_over(
    environment: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    queues_of_its_own(monkeypatch)
    client, quote = environment.client, f"SH-{uuid.uuid4().hex[:8]}"
    looked: dict[str, int] = {}

    @activity.defn(name="look_in_shadow")
    async def look(ask: LookInShadow) -> LookedInShadow:
        looked[ask.event.quote_number] = 0
        return LookedInShadow(decision="no approval needed")

    @activity.defn(name="find_order_in_shadow")
    async def find(ask: LookInShadow) -> LookedInShadow:
        number = ask.event.quote_number
        looked[number] += 1
        return LookedInShadow(decision="", order="SO-1" if looked[number] == 2 and number == quote else "")

    deals = Worker(client, task_queue=names.DEAL_QUEUE, workflows=[ShadowOfQuote], workflow_runner=workflow_runner())
    finance = Worker(client, task_queue=names.FINANCE_QUEUE, activities=[look, find], interceptors=[KeptAlive()])
    async with deals, finance:
        shadowed = Deals(client, shadow=["usmf"])

        async def ended(number: str, kind: SalesEventKind) -> LookedInShadow:
            told = event(number, kind)
            await shadowed.tell(told)
            run_id = names.shadow_id("usmf", number, told.event_id)
            if kind is SalesEventKind.ACCEPTED:
                await move_clock(client, run_id, datetime.now(UTC) + timedelta(days=8))
            found: LookedInShadow = await client.get_workflow_handle(run_id, result_type=LookedInShadow).result()
            return found

        found, never, lost = await asyncio.gather(
            ended(quote, SalesEventKind.ACCEPTED),
            ended(f"{quote}-N", SalesEventKind.ACCEPTED),
            ended(f"{quote}-L", SalesEventKind.LOST),
        )
    assert (found.order, never.order, lost.order) == ("SO-1", "", "")
    assert looked == {quote: 2, f"{quote}-N": 7, f"{quote}-L": 0}
    await replays(client, (names.SHADOW,))
