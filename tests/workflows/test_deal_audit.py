"""What a deal hands to the audit store: every transition, in order, at the latest when it waits or ends."""

from __future__ import annotations

import asyncio
from hashlib import sha256

from domain.approvals import ApprovalState
from domain.audit import AuditKind, AuditRecord
from domain.messages import Outcome
from domain.refusals import Refusal
from domain.views import TimelineEntry, WaitingFor
from runs import names
from tests.deadlines import PATIENCE
from tests.workflows.acting import outcome, to_fulfilment, until, waits_for
from tests.workflows.conftest import Stage, World, step
from tests.workflows.trusting import DIRK, MONA, OTTO, RITA


async def timeline(stage: Stage) -> list[TimelineEntry]:
    entries: list[TimelineEntry] = await stage.case.query(names.TIMELINE, result_type=list[TimelineEntry])
    return entries


async def kept(world: World, most: int) -> list[AuditRecord]:
    for _ in range(int(PATIENCE / 0.1)):
        if len(world.audited) >= most:
            return world.audited
        await asyncio.sleep(0.1)
    raise AssertionError([record.event for record in world.audited])


async def test_a_deal_that_waits_has_handed_over_all_that_happened(stage: Stage, world: World) -> None:
    await to_fulfilment(stage)
    told = await timeline(stage)
    records = await kept(world, len(told))
    assert [(record.event, record.at) for record in records] == [(entry.event, entry.at) for entry in told]
    assert [record.n for record in records] == list(range(1, len(told) + 1))
    assert len({record.record_id for record in records}) == len(records)
    assert {record.company for record in records} == {"usmf"}


async def test_what_a_person_said_is_kept_with_the_message_it_rests_on(stage: Stage, world: World) -> None:
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    refused = await stage.say(OTTO, "retry", reason="nothing waits")
    assert not (await outcome(stage, refused)).accepted
    message = await stage.say(RITA, "cancel", reason="entered twice")
    assert (await outcome(stage, message)).accepted
    await asyncio.wait_for(stage.case.result(), PATIENCE)
    (said,) = [record for record in world.audited if record.envelope_id == message]
    assert (said.kind, said.actor.oid, said.why) == (AuditKind.DECISION, RITA.oid, "entered twice")
    assert said.facts["signed in at"], "the sign-in behind a command is kept with it"
    assert said.envelope_hash == sha256(f"{RITA.oid}|cancel|reason=entered twice".encode()).hexdigest()
    (no,) = [record for record in world.audited if record.envelope_id == refused]
    assert (no.kind, no.actor.oid) == (AuditKind.REFUSAL, OTTO.oid)


async def test_a_store_that_is_away_delays_nothing_and_has_everything_in_the_end(stage: Stage, world: World) -> None:
    world.audit_away = True
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    assert world.audited == []
    told = await timeline(stage)
    message = await stage.say(RITA, "cancel", reason="the customer is bankrupt")
    assert (await outcome(stage, message)).accepted
    await asyncio.wait_for(stage.case.result(), PATIENCE)
    world.audit_away = False
    records = await kept(world, len(told) + 1)
    assert [record.n for record in records] == list(range(1, len(records) + 1))
    assert message in {record.envelope_id for record in records}


async def test_a_batch_whose_answer_is_lost_comes_again_under_the_same_ids(stage: Stage, world: World) -> None:
    """As after a worker killed between the store and its answer: the store knows the records, and none is missing."""
    world.audit_answers_lost = 1
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    message = await stage.say(RITA, "cancel", reason="entered twice")
    assert (await outcome(stage, message)).accepted
    await asyncio.wait_for(stage.case.result(), PATIENCE)
    for _ in range(int(PATIENCE / 0.1)):
        numbers = sorted({record.n for record in world.audited})
        if message in {record.envelope_id for record in world.audited} and len(numbers) < len(world.audited):
            break
        await asyncio.sleep(0.1)
    assert numbers == list(range(1, len(numbers) + 1)), "none is missing"
    assert len({record.record_id for record in world.audited}) == len(numbers), "the same record has the same id again"
    assert len(world.audited) > len(numbers), "it came again"


async def test_each_signed_decision_of_a_request_is_kept_with_role_and_amount(stage: Stage, world: World) -> None:
    world.plan = (step(1, 1, "sales_manager", MONA), step(2, 2, "sales_director", DIRK))
    await stage.submit()
    await until(stage, waits_for(WaitingFor.APPROVAL))
    first = await stage.decide(1, MONA, "approve", step=1)
    second = await stage.decide(1, DIRK, "approve", step=2)
    await until(stage, waits_for(WaitingFor.REP))
    await kept(world, 7)
    decided = [record for record in world.audited if record.event == "StepDecided"]
    assert [(r.envelope_id, r.actor.oid, r.facts["role"], r.facts["amount"], r.kind) for r in decided] == [
        (first, MONA.oid, "sales_manager", "1045.00", AuditKind.DECISION),
        (second, DIRK.oid, "sales_director", "1045.00", AuditKind.DECISION),
    ]
    events = [record.event for record in world.audited]
    assert events.index("StepDecided") < events.index("ApprovalEnded")
    assert all(record.envelope_hash and record.facts["signed in at"] for record in decided)


async def test_a_step_that_two_must_approve_is_approved_by_two_and_both_are_kept(stage: Stage, world: World) -> None:
    both = step(1, 1, "sales_manager", MONA, DIRK).model_copy(
        update={"needed": 2, "at_once": 2, "accepted_roles": ("sales_manager", "sales_director")}
    )
    world.plan = (both,)
    await stage.submit()
    await until(stage, waits_for(WaitingFor.APPROVAL))
    first = await stage.decide(1, DIRK, "approve", step=1)
    again = await stage.decide(1, DIRK, "approve", step=1)
    for _ in range(int(PATIENCE / 0.1)):
        refused = await stage.approval.query(names.OUTCOME, again, result_type=Outcome)
        if refused:
            break
        await asyncio.sleep(0.1)
    assert refused is not None and refused.code == Refusal.ALREADY_DECIDED
    request = ApprovalState.model_validate(await stage.approval.query(names.STATE))
    assert (request.status, request.steps[0].missing, request.steps[0].assignees) == ("pending", 1, (MONA,))
    second = await stage.decide(1, MONA, "approve", step=1)
    await until(stage, waits_for(WaitingFor.REP))
    await kept(world, 8)
    decided = [record for record in world.audited if record.event == "StepDecided"]
    assert [(r.envelope_id, r.actor.oid, r.facts["role"]) for r in decided] == [
        (first, DIRK.oid, "sales_director"),
        (second, MONA.oid, "sales_manager"),
    ]
    (ended,) = (record for record in world.audited if record.event == "ApprovalEnded")
    assert ended.facts["step 1"] == f"approved by {DIRK.oid}" and ended.facts["step 1, 2"] == f"approved by {MONA.oid}"
