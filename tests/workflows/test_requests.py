"""A request for approval: whatever becomes of it outside, its deal hears of it, asks again, or has an owner."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from domain.approvals import ApprovalState, ApprovalStatus
from domain.causes import Cause
from domain.messages import Outcome, SalesEventKind
from domain.views import WaitingFor
from runs import names
from tests.deadlines import PATIENCE
from tests.workflows.acting import marked, outcome, until, waits_for
from tests.workflows.conftest import Stage, World, step
from tests.workflows.trusting import MONA, OTTO
from workflows.approval import ON_ITS_WAY

ASKED = (step(1, 1, "sales_manager", MONA),)
ONE_CHANCE = (
    step(1, 1, "sales_manager", MONA, on_timeout="expire").model_copy(update={"sla_business_hours": Decimal("0.001")}),
)
"""Four seconds to decide, and nobody else to ask."""


async def asked(stage: Stage, world: World) -> None:
    """Submitted, and waiting for Mona."""
    world.plan = ASKED
    await stage.submit()
    await until(stage, waits_for(WaitingFor.APPROVAL))


async def request(stage: Stage) -> ApprovalState:
    """The first request as it stands."""
    return ApprovalState.model_validate(await stage.approval.query(names.STATE))


async def decided(stage: Stage, message_id: str) -> Outcome:
    """What became of a decision on the first request."""
    for _ in range(int(PATIENCE / 0.1)):
        known: Outcome | None = await stage.approval.query(names.OUTCOME, message_id, result_type=Outcome)
        if known:
            return known
        await asyncio.sleep(0.1)
    raise AssertionError("no outcome")


# Won in Sales without approval


async def test_what_is_won_before_it_was_approved_waits_and_a_later_approval_carries_it_on(
    stage: Stage, world: World
) -> None:
    await asked(stage, world)
    await stage.sales(SalesEventKind.ACCEPTED)
    view = await until(stage, lambda view: bool(view.exceptions))
    assert view.exceptions[0].startswith("ACCEPTED_WITHOUT_APPROVAL")
    assert view.explanation.waiting_for is WaitingFor.APPROVAL
    assert not {"prepare_order", "create_order"} & set(world.names())
    await stage.decide(1, MONA, "approve", step=1)
    view = await until(stage, waits_for(WaitingFor.SHIPMENT))
    assert view.exceptions == ()


async def test_what_is_won_after_a_rejection_waits_for_a_person_who_can_have_it_asked_again(
    stage: Stage, world: World
) -> None:
    await asked(stage, world)
    await stage.decide(1, MONA, "reject", step=1)
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACCEPTED)
    view = await until(stage, waits_for(WaitingFor.OPERATOR))
    assert view.parked is not None and view.parked.cause == Cause.WON_WITHOUT_APPROVAL
    assert view.exceptions[0].startswith("ACCEPTED_WITHOUT_APPROVAL")
    assert (await outcome(stage, await stage.say(OTTO, "retry"))).accepted
    await until(stage, waits_for(WaitingFor.APPROVAL))
    await stage.decide(2, MONA, "approve", step=1)
    assert (await until(stage, waits_for(WaitingFor.SHIPMENT))).exceptions == ()


async def test_what_is_won_with_problems_waits_for_a_person(stage: Stage, world: World) -> None:
    world.assessed = {"problems": ({"code": "NO_PRICE", "field": "lines[1]", "message": "Finance has no price"},)}
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACCEPTED)
    assert (await until(stage, waits_for(WaitingFor.OPERATOR))).parked is not None
    world.assessed = {}
    assert (await outcome(stage, await stage.say(OTTO, "retry"))).accepted
    await until(stage, waits_for(WaitingFor.SHIPMENT))


# Ended from outside


@pytest.mark.parametrize("how", ["terminate", "cancel"])
async def test_a_request_ended_from_outside_is_asked_again(stage: Stage, world: World, how: str) -> None:
    await asked(stage, world)
    await (stage.approval.terminate() if how == "terminate" else stage.approval.cancel())
    view = await until(stage, lambda view: len(view.approvals) == 2)
    assert [request.status for request in view.approvals] == [ApprovalStatus.LOST, ApprovalStatus.PENDING]
    await stage.decide(2, MONA, "approve", step=1)
    await until(stage, waits_for(WaitingFor.REP))
    late = await stage.say(MONA, "decide", decision="approve", step="1")
    assert (await outcome(stage, late)).code == "ALREADY_DECIDED"


async def test_a_request_that_is_ended_again_and_again_waits_for_a_person(stage: Stage, world: World) -> None:
    await asked(stage, world)
    for n in (1, 2, 3):
        await until(stage, lambda view, n=n: len(view.approvals) == n)  # type: ignore[misc]
        await stage.request(n).terminate()
    view = await until(stage, waits_for(WaitingFor.OPERATOR))
    assert view.parked is not None and view.parked.cause == Cause.REQUEST_LOST
    assert (await outcome(stage, await stage.say(OTTO, "retry"))).accepted
    await until(stage, waits_for(WaitingFor.APPROVAL))
    await stage.decide(4, MONA, "approve", step=1)
    await until(stage, waits_for(WaitingFor.REP))


@pytest.mark.parametrize("submitted", [False, True])
async def test_only_a_later_revision_takes_the_place_of_a_request(stage: Stage, world: World, submitted: bool) -> None:
    """Before: a late approver was told to decide on the revision that was dead."""
    await asked(stage, world)
    await (stage.sales(SalesEventKind.SUBMITTED, revision=1) if submitted else stage.sales(SalesEventKind.REVISED))
    ended = (await asyncio.wait_for(stage.approval.result(), PATIENCE))["state"]
    assert (ended["status"], ended["superseded_by"]) == ("superseded", 1 if submitted else None)


async def test_an_id_that_somebody_else_took_is_passed_over(stage: Stage, world: World) -> None:
    for n in (1, 2):
        await stage.client.start_workflow(
            "SomethingElse", id=names.approval_id("usmf", world.quote, n), task_queue="a queue no worker polls"
        )
    await asked(stage, world)
    view = await until(stage, waits_for(WaitingFor.APPROVAL))
    assert [request.n for request in view.approvals] == [3]
    await stage.decide(3, MONA, "approve", step=1)
    await until(stage, waits_for(WaitingFor.REP))


# In time is what was signed in time


async def away_over_the_deadline(stage: Stage, world: World, signed_after: timedelta) -> str:
    """A decision signed that long after the deadline; no worker gets to see it, or the deadline, until later."""
    world.plan = ONE_CHANCE
    await stage.submit()
    await until(stage, waits_for(WaitingFor.APPROVAL))
    while (deadline := (await request(stage)).steps[0].deadline) is None:  # first it reads who stands in for whom
        await asyncio.sleep(0.05)
    await stage.stop_work()
    message_id = await stage.decide(1, MONA, "approve", step=1, signed_at=deadline + signed_after)
    await asyncio.sleep((deadline + ON_ITS_WAY - datetime.now(UTC)).total_seconds() + 1)
    await stage.start_work()
    return message_id


async def test_a_decision_signed_in_time_counts_whenever_a_worker_gets_to_see_it(stage: Stage, world: World) -> None:
    message_id = await away_over_the_deadline(stage, world, timedelta(seconds=-1))
    await until(stage, waits_for(WaitingFor.REP))
    assert (await decided(stage, message_id)).accepted
    ended = await request(stage)
    assert ended.status is ApprovalStatus.COMPLETED
    assert ended.steps[0].decided_at and ended.ended_at and ended.steps[0].decided_at < ended.ended_at - ON_ITS_WAY


async def test_a_decision_signed_too_late_does_not_count_though_nobody_had_looked_yet(
    stage: Stage, world: World
) -> None:
    message_id = await away_over_the_deadline(stage, world, timedelta(seconds=1))
    view = await until(stage, lambda view: view.quote_status == "rejected")
    assert view.approvals[0].status is ApprovalStatus.EXPIRED
    assert (await decided(stage, message_id)).code == "EXPIRED"


async def test_a_request_that_came_while_sales_was_told_of_the_one_before_is_not_taken_back(
    stage: Stage, world: World
) -> None:
    """The rep changes a rejected quote and submits it while "rejected" is on its way: what arrives last hides it."""
    world.plan = (step(1, 1, "sales_manager", MONA),)
    await stage.submit()
    await until(stage, waits_for(WaitingFor.APPROVAL))
    await marked(world, "pending")
    world.held["mark_quote"] = asyncio.Event()
    await stage.decide(1, MONA, "reject", step=1)
    while world.marks()[-1] != "rejected":
        await asyncio.sleep(0.05)
    world.content, world.plan = "hash-2", ()
    await stage.sales(SalesEventKind.SUBMITTED, event_id="again")
    await stage.case.query(names.STATE)  # answered when the deal has heard what was said before
    world.held.pop("mark_quote").set()
    view = await until(stage, lambda view: view.quote_status == "approved")
    assert view.snapshot_hash == "hash-2"
    assert [ask.marked_over for name, ask in world.asked if name == "assess_quote"] == ["", "rejected"]
    while world.marks()[-1] != "approved":
        await asyncio.sleep(0.05)
