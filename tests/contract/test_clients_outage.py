"""What a system sees of the product while it is away: a small read now and then, and no write. The clock is moved."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities import signatures as ask_for
from activities.reaching import DEALS_PER_SECOND, Reaching
from activities.reaching_signatures import WaitForSystem
from activities.signatures import FailureType
from dynamics.core.budget import Budget
from dynamics.core.circuit import OPENS_AFTER, TRIALS
from dynamics.core.errors import Throttled, Transient, Unreachable
from dynamics.sales.options import ApprovalChoice
from tests.contract.clients_work import p100, reference, worker
from tests.contract.clients_world import Clients, clients_of
from tests.contract.dataverse_world import LiveSandbox

SECONDS = 3_600.0


class Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


async def seen(clients: Clients, system: str, since: int = 0) -> list[tuple[str, str, int]]:
    """Method, path and answer of each request a system saw from the product, without those before the first so many."""
    log = [entry for entry in await clients.requests() if entry["system"] == system]
    return [(entry["method"], entry["path"].partition("?")[0], entry["status"]) for entry in log[since:]]


async def went_away(clients: Clients, system: str = "dataverse") -> int:
    """From now on a system answers nobody, and the product has noticed; how many requests it has seen by now."""
    await clients.play("PUT", "/faults", [{"system": system, "effect": {"status": 503}, "seconds": SECONDS}])
    for _ in range(OPENS_AFTER):
        with pytest.raises(Transient):
            await (clients.dataverse.who_am_i() if system == "dataverse" else clients.finance.entity_sets())
    return len(await seen(clients, system))


def waits(deal: str, promised: int) -> WaitForSystem:
    return WaitForSystem(deal_id=deal, accepted=True, promised=datetime(2026, 11, promised, tzinfo=UTC))


async def test_while_a_system_is_away_no_write_is_sent_and_the_trial_is_a_small_read(live_sandbox: LiveSandbox) -> None:
    clock = Clock()
    async with clients_of(live_sandbox, clock=clock) as clients:
        quote = await clients.quote(p100())
        before = await went_away(clients)

        async def write() -> None:
            await clients.dataverse.set_quote_approval(quote.id, ApprovalChoice.PENDING, reason="r", deal_id="c")

        for _ in range(20):
            with pytest.raises(Unreachable, match=r"HTTP 503"):  # a Transient: nothing was done, and that is known
                await write()
        assert await seen(clients, "dataverse", before) == []
        clock.now += TRIALS[0]
        outcomes = await asyncio.gather(*(write() for _ in range(20)), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {Unreachable}
        assert await seen(clients, "dataverse", before) == [("GET", "/api/data/v9.2/WhoAmI", 503)]

        await clients.play("DELETE", "/faults")
        with pytest.raises(Unreachable):
            await write()
        clock.now += TRIALS[1]
        await write()
        now = await seen(clients, "dataverse", before + 1)
        assert [(method, status) for method, _, status in now] == [("GET", 200), ("PATCH", 204)]
        assert (await clients.dataverse.read_quote(quote.id)).approval is ApprovalChoice.PENDING


async def test_an_outage_of_one_system_is_none_of_the_other(live_sandbox: LiveSandbox) -> None:
    async with clients_of(live_sandbox, clock=Clock()) as clients:
        await went_away(clients, "finance")
        with pytest.raises(Unreachable):
            await clients.finance.entity_sets()
        assert await clients.dataverse.who_am_i()


async def test_a_refusal_is_an_answer_and_opens_nothing(live_sandbox: LiveSandbox) -> None:
    async with clients_of(live_sandbox, clock=Clock()) as clients:
        for status in (500, 403, 429):
            await clients.fault("dataverse", "GET", "WhoAmI", status=status, times=2 * OPENS_AFTER, retry_after=1)
            for _ in range(2 * OPENS_AFTER):
                with pytest.raises(Exception) as failure:
                    await clients.dataverse.who_am_i()
                assert not isinstance(failure.value, Unreachable)


async def test_what_stands_in_line_for_the_budget_when_a_pause_or_an_outage_begins_is_not_sent(
    live_sandbox: LiveSandbox,
) -> None:
    """Twelve ask at once, four a second may go: behind the first 429 none follows, behind five silences neither."""
    for effect, refusal, most in (
        ({"status": 429, "retry_after": 30}, Throttled, 4),
        ({"status": 503}, Unreachable, 9),
    ):
        async with clients_of(live_sandbox, budget=Budget(4), clock=Clock()) as clients:
            await clients.dataverse.who_am_i()
            before = len(await seen(clients, "dataverse"))
            await clients.play("PUT", "/faults", [{"system": "dataverse", "effect": effect}])
            asked = (clients.dataverse.who_am_i() for _ in range(12))
            outcomes = await asyncio.gather(*asked, return_exceptions=True)
            sent = await seen(clients, "dataverse", before)
            assert len(sent) <= most, sent
            assert sum(isinstance(outcome, refusal) for outcome in outcomes) >= 12 - most


async def test_a_step_that_is_refused_unsent_burns_no_attempt_and_its_deal_waits_for_the_trial(
    live_sandbox: LiveSandbox,
) -> None:
    clock = Clock()
    async with clients_of(live_sandbox, clock=clock) as clients:
        work = worker(clients)
        quote = reference(await clients.quote(p100()), "usmf")
        before = await went_away(clients)
        mark = ask_for.MarkQuote(quote=quote, approval_status="pending", deal_id="c")
        with pytest.raises(ApplicationError) as refused:
            await work.run(work.sales.mark_quote, mark)
        assert (refused.value.type, refused.value.non_retryable) == (FailureType.TRANSIENT, True)

        reaching = Reaching(clients.dataverse, clients.finance)
        later = [await _told_to_wait(work, reaching, waits(deal, day)) for deal, day in (("b", 2), ("c", 3), ("a", 1))]
        assert later == [TRIALS[0], TRIALS[0] + 1 / DEALS_PER_SECOND, TRIALS[0]]
        assert await seen(clients, "dataverse", before) == []

        clock.now += TRIALS[0]
        assert await _told_to_wait(work, reaching, waits("a", 1)) == TRIALS[1]  # it made the trial, in vain
        await clients.play("DELETE", "/faults")
        clock.now += TRIALS[1]
        for deal, day in (("a", 1), ("b", 2), ("c", 3)):
            await work.run(reaching.wait_for_sales, waits(deal, day))
        assert [status for _, _, status in await seen(clients, "dataverse", before)] == [503, 200]
        await work.run(work.sales.mark_quote, mark)


async def _told_to_wait(work: Any, reaching: Reaching, wait: WaitForSystem) -> float:
    """Seconds until a deal that waits for Sales is to ask again."""
    with pytest.raises(ApplicationError) as again:
        await work.run(reaching.wait_for_sales, wait)
    assert not again.value.non_retryable and again.value.next_retry_delay
    return again.value.next_retry_delay.total_seconds()
