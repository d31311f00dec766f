"""What is said to a run, whatever it is: it is taken, or counted; it never raises, never blocks, never grows a run."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.approvals import ApprovalState, ApprovalStatus
from domain.messages import FinanceEvent, FinanceEventKind, HandOver, SignedMessage
from domain.tally import RECEIVED
from domain.views import DealView, Ending, WaitingFor
from runs import names
from tests.deadlines import PATIENCE
from tests.workflows.acting import outcome, to_fulfilment, until, waits_for
from tests.workflows.conftest import Stage, World, step
from tests.workflows.task_time import MOST_SECONDS, Metered
from tests.workflows.trusting import MONA, OTTO, RITA
from workers.gate import A_PORTION
from workflows.hearing import FAILED, UNKNOWN, UNREADABLE

DEALS = (
    names.SALES_EVENT,
    names.FINANCE_EVENT,
    names.CREDIT_RECHECK,
    names.COMMAND,
    names.DECIDE,
    names.DECISION_REFUSED,
    names.REQUEST_NOTED,
)
NO_ZONE = "2026-11-23T10:00:00"
NAIVE = {
    "event_id": "e",
    "kind": "accepted",
    "company": "usmf",
    "quote_number": "Q",
    "quote_id": "q",
    "revision": 0,
    "occurred_at": NO_ZONE,
}
HUGE = {"message_id": "m" * 301, "reason": "r"}
NO_NUMBER = {
    "event_id": "e",
    "kind": "payment_posted",
    "company": "usmf",
    "amount": "NaN",
    "occurred_at": "2026-11-23T10:00:00Z",
}
JUNK: tuple[list[Any], ...] = (
    [],
    [None],
    ["text"],
    [17],
    [[]],
    [{}],
    [{}, {}],
    [NAIVE],
    [NAIVE | {"revision": -1, "occurred_at": "2026-11-23T10:00:00Z"}],
    [NAIVE | {"revision": 10**40, "occurred_at": "2026-11-23T10:00:00Z"}],
    [NO_NUMBER],
    [NO_NUMBER | {"amount": "1e400"}],
    [NO_NUMBER | {"kind": "shipment_posted", "amount": None, "control_number": -1}],
    [NO_NUMBER | {"amount": None, "occurred_at": NO_ZONE}],
    [HUGE],
    [{"message_id": "m", "token": "t" * 16_001}],
    [{"message_id": "", "token": "t"}],
    [{"message_id": "m", "person": None, "code": 1, "at": "yesterday"}],
    [{"message_id": "m", "person": {"oid": "o", "name": "n"}, "code": "NO_AUTHORITY", "at": NO_ZONE}],
    [{"message_id": "m", "n": 1, "at": NO_ZONE, "question_closed": 1}],
    [{"message_id": "m", "n": 1, "at": "2026-11-23T10:00:00Z", "question_closed": 2**64}],
)


HEARD = [junk for junk in JUNK if len(junk) == 1]
"""What reaches a handler: no or two arguments stop at the gate of the run, which counts and logs them."""


@pytest.mark.parametrize("signal", DEALS)
async def test_no_message_harms_a_deal(stage: Stage, world: World, signal: str) -> None:
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    before = await stage.case.query("tally")
    for junk in JUNK:
        await stage.case.signal(signal, args=junk)
    tally = await stage.case.query("tally")
    assert tally.get(UNREADABLE, 0) == len(HEARD)
    assert tally == before | {UNREADABLE: len(HEARD), RECEIVED: before[RECEIVED] + len(HEARD)}
    assert (await outcome(stage, await stage.say(RITA, "cancel", reason="still hears"))).accepted


@pytest.mark.parametrize("signal", [names.DECIDE, names.SUPERSEDE])
async def test_no_message_harms_a_request(stage: Stage, world: World, signal: str) -> None:
    world.plan = (step(1, 1, "sales_manager", MONA),)
    await stage.submit()
    await until(stage, waits_for(WaitingFor.APPROVAL))
    for junk in JUNK:
        await stage.approval.signal(signal, args=junk)
    assert await stage.approval.query("tally") == {UNREADABLE: len(HEARD)}
    await stage.decide(1, MONA, "approve", step=1)
    await until(stage, waits_for(WaitingFor.REP))


async def test_a_message_of_an_unknown_name_is_counted(stage: Stage, world: World) -> None:
    world.plan = (step(1, 1, "sales_manager", MONA),)
    await stage.submit()
    await until(stage, waits_for(WaitingFor.APPROVAL))
    for handle in (stage.case, stage.approval):
        await handle.signal("aprove", {"by": "mistake"})
        assert (await handle.query("tally"))[UNKNOWN] == 1


async def test_a_request_told_to_hand_over_by_a_stranger_goes_on(stage: Stage, world: World) -> None:
    world.plan = (step(1, 1, "sales_manager", MONA),)
    await stage.submit()
    await until(stage, waits_for(WaitingFor.APPROVAL))
    first = (await stage.approval.describe()).run_id
    await stage.approval.signal(names.HAND_OVER, HandOver(message_id="a stranger"))
    while (await stage.approval.describe()).run_id == first:
        await asyncio.sleep(0.1)
    assert ApprovalState.model_validate(await stage.approval.query(names.STATE)).status is ApprovalStatus.PENDING
    await stage.decide(1, MONA, "approve", step=1)
    view = await until(stage, waits_for(WaitingFor.REP))
    assert [request.status for request in view.approvals] == [ApprovalStatus.COMPLETED]


# Bursts


async def test_three_thousand_events_are_taken_together_and_finance_is_read_few_times(
    stage: Stage, world: World
) -> None:
    """Buffered while no worker runs, they are heard in portions: what each costs must not grow with their number."""
    await to_fulfilment(stage)
    reads = world.names().count("read_billing")
    await stage.stop_work()
    burst = 3_000

    async def pay(numbers: range) -> None:
        for n in numbers:
            event = FinanceEvent(
                event_id=f"pay/{n}",
                kind=FinanceEventKind.PAYMENT_POSTED,
                company="usmf",
                document=f"P-{n}",
                occurred_at=datetime.now(UTC),
            )
            await stage.case.signal(names.FINANCE_EVENT, event)

    await asyncio.gather(*(pay(range(start, burst, 30)) for start in range(30)))
    before = (await stage.case.describe()).history_length or 0
    meter = Metered()
    await stage.start_work(meter)
    await until(stage, lambda view: world.names().count("read_billing") > reads)
    tally: dict[str, int] = {}
    while tally.get("applied", 0) < burst:
        await asyncio.sleep(0.2)
        tally = await stage.case.query("tally")
    await asyncio.sleep(1)
    assert meter.longest < MOST_SECONDS
    assert world.names().count("read_billing") - reads <= 1 + burst // A_PORTION
    assert FAILED not in tally
    # A task that was under way when the worker ended is closed by the server when it keeps too much aside for it.
    since = [event async for event in stage.case.fetch_history_events() if event.event_id > before]
    assert not [event for event in since if event.HasField("workflow_task_failed_event_attributes")]


async def test_a_flood_of_unsigned_commands_is_heard_and_a_persons_word_among_them_counts(
    stage: Stage, world: World
) -> None:
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    flood = [SignedMessage(message_id=f"flood-{n}", token="no token") for n in range(300)]
    await asyncio.gather(*(stage.case.signal(names.COMMAND, message) for message in flood))
    assert (await outcome(stage, await stage.say(RITA, "cancel", reason="meant"))).accepted
    assert (await asyncio.wait_for(stage.case.result(), PATIENCE))["ending"] == "cancelled"
    said = await stage.case.query(names.OUTCOME, "flood-299")
    assert said["code"] == "UNAUTHENTICATED"


async def test_what_is_said_while_a_deal_writes_down_its_end_is_answered(stage: Stage, world: World) -> None:
    """The audit may take its time; who speaks meanwhile is refused, and not left without an answer."""
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    world.held["record_audit"] = asyncio.Event()
    assert (await outcome(stage, await stage.say(RITA, "cancel", reason="entered twice"))).accepted
    await until(stage, lambda view: view.ending is Ending.CANCELLED and "close_quote" in world.names())
    await asyncio.sleep(1)  # it has heard everything, and writes down how it ended
    message = await stage.say(OTTO, "retry", reason="too late")
    await asyncio.sleep(0.5)
    world.held["record_audit"].set()
    assert DealView.model_validate(await asyncio.wait_for(stage.case.result(), PATIENCE)).ending is Ending.CANCELLED
    assert (await outcome(stage, message)).code
