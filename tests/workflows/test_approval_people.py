"""What happens to a request beside its decisions reaches people: the deal, the audit, and the rep in Sales."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from domain.approvals import ApprovalState, ApprovalStatus
from domain.audit import AuditKind, AuditRecord
from domain.delegations import Delegation, Delegations
from domain.messages import Outcome, Reminding, RequestNote, SignedMessage
from domain.people import Person
from domain.views import TimelineEntry, WaitingFor
from runs import names
from tests.deadlines import PATIENCE
from tests.workflows.acting import until, waits_for
from tests.workflows.conftest import Stage, World, step
from tests.workflows.trusting import DIRK, MONA, OTTO, RITA

ASKED = (
    step(1, 1, "sales_manager", MONA, DIRK).model_copy(update={"accepted_roles": ("sales_manager", "sales_director")}),
)


async def asked(stage: Stage, world: World) -> None:
    """Submitted, and waiting for Mona."""
    world.plan = ASKED
    await stage.submit()
    await until(stage, waits_for(WaitingFor.APPROVAL))
    await request(stage, lambda state: bool(state.pending))


async def request(stage: Stage, ready=lambda state: True) -> ApprovalState:  # type: ignore[no-untyped-def]
    """The first request as soon as it is as wanted."""
    for _ in range(int(PATIENCE / 0.1)):
        state = ApprovalState.model_validate(await stage.approval.query(names.STATE))
        if ready(state):
            return state
        await asyncio.sleep(0.1)
    raise AssertionError("the request is not as expected")


async def tells(stage: Stage, person: Person, name: str, **args: str) -> Outcome:
    """Say something to the first request."""
    message_id = str(uuid.uuid4())
    rest = ";".join(f"{key}={value}" for key, value in args.items())
    message = SignedMessage(message_id=message_id, token=f"{person.oid}|{name}|{rest}")
    await stage.approval.signal(names.COMMAND, message)
    for _ in range(int(PATIENCE / 0.1)):
        known: Outcome | None = await stage.approval.query(names.OUTCOME, message_id, result_type=Outcome)
        if known:
            return known
        await asyncio.sleep(0.1)
    raise AssertionError("no outcome")


async def entry(stage: Stage, event: str) -> TimelineEntry:
    """The last line of the deal's timeline of a kind."""
    for _ in range(int(PATIENCE / 0.1)):
        lines: list[TimelineEntry] = await stage.case.query(names.TIMELINE, result_type=list[TimelineEntry])
        found = [line for line in lines if line.event == event]
        if found:
            return found[-1]
        await asyncio.sleep(0.1)
    raise AssertionError(f"no {event}")


async def audited(world: World, event: str) -> AuditRecord:
    for _ in range(int(PATIENCE / 0.1)):
        found = [record for record in world.audited if record.event == event]
        if found:
            return found[-1]
        await asyncio.sleep(0.1)
    raise AssertionError(f"no {event} in the audit")


async def test_s12_who_is_asked_is_reminded_and_the_deal_and_the_audit_know(stage: Stage, world: World) -> None:
    world.reminders = (50, 80)
    await asked(stage, world)
    await stage.env.fast_forward(stage.approval, timedelta(hours=4, minutes=2))
    state = await request(stage, lambda state: bool(state.steps[0].reminders))
    assert [(r.pct, [p.name for p in r.who]) for r in state.steps[0].reminders] == [(50, ["mona"])]
    line = await entry(stage, "ApproverReminded")
    assert line.text.startswith("approval 1: mona reminded of level 1, 50 % of the time is over, due ")
    record = await audited(world, "ApproverReminded")
    assert (record.kind, record.facts["per cent"]) == (AuditKind.REMINDER, "50")
    await stage.env.fast_forward(stage.approval, timedelta(hours=2, minutes=30))
    await request(stage, lambda state: [r.pct for r in state.steps[0].reminders] == [50, 80])
    await stage.env.fast_forward(stage.approval, timedelta(hours=2))
    state = await request(stage, lambda state: len(state.steps[0].assignees) == 2)
    assert (state.status, state.steps[0].reminded_pct) == (ApprovalStatus.PENDING, 0)
    await stage.decide(1, DIRK, "approve", step=1)
    await until(stage, waits_for(WaitingFor.REP))


async def test_somebody_else_is_asked_and_decides(stage: Stage, world: World) -> None:
    await asked(stage, world)
    refused = await tells(stage, RITA, "reassign", step="1", to=DIRK.oid, reason="please")
    assert refused.code == "REQUESTER_CANNOT_APPROVE"
    assert (await tells(stage, OTTO, "reassign", step="1", to=RITA.oid, reason="r")).code == "TO_IS_REQUESTER"
    assert (await tells(stage, OTTO, "reassign", step="1", to=DIRK.oid, reason="mona is ill")).accepted
    line = await entry(stage, "StepReassigned")
    assert (line.actor.name, line.text) == ("otto", "approval 1, step 1: dirk asked instead: mona is ill")
    record = await audited(world, "StepReassigned")
    assert (record.kind, record.why, record.facts["to"]) == (AuditKind.DECISION, "mona is ill", DIRK.oid)
    assert record.envelope_hash
    await stage.decide(1, MONA, "approve", step=1)
    await stage.decide(1, DIRK, "approve", step=1)
    view = await until(stage, waits_for(WaitingFor.REP))
    assert view.approvals[0].text == "approval completed: approved by dirk"


async def test_the_rep_is_asked_and_answers_and_sales_shows_the_question(stage: Stage, world: World) -> None:
    await asked(stage, world)
    assert (await tells(stage, MONA, "ask", step="1", question="Who else bids?")).accepted
    view = await until(stage, waits_for(WaitingFor.REP))
    (question,) = view.questions
    assert (question.by.name, question.question, question.n) == ("mona", "Who else bids?", 1)
    assert view.explanation.text == "mona asks: Who else bids?"
    for _ in range(int(PATIENCE / 0.1)):
        marks = [mark.reason for name, mark in world.asked if name == "mark_quote"]
        if len(marks) == 2:
            break
        await asyncio.sleep(0.1)
    assert marks[-1].startswith("mona asks: Who else bids?\nAnswer it on the page of the deal")
    assert (await request(stage)).steps[0].deadline is None
    await stage.env.fast_forward(stage.approval, timedelta(hours=30))
    assert (await request(stage)).steps[0].assignees == (MONA,), "its hours stand still"
    assert (await tells(stage, RITA, "answer", step="1", answer="Two others")).accepted
    view = await until(stage, waits_for(WaitingFor.APPROVAL))
    assert view.questions == ()
    assert (await audited(world, "QuestionAnswered")).why == "Two others"
    assert (await audited(world, "QuestionAsked")).why == "Who else bids?"
    await stage.decide(1, MONA, "approve", step=1)
    await until(stage, lambda view: view.quote_status == "approved")


async def test_a_question_is_closed_where_it_was_decided_without_the_answer(stage: Stage, world: World) -> None:
    world.plan = (*ASKED, step(2, 2, "sales_director", DIRK))
    await stage.submit()
    await request_is_there(stage)
    assert (await tells(stage, MONA, "ask", step="1", question="?")).accepted
    await until(stage, waits_for(WaitingFor.REP))
    await stage.decide(1, MONA, "approve", step=1)
    view = await until(stage, waits_for(WaitingFor.APPROVAL))
    assert view.questions == ()
    assert (await entry(stage, "QuestionClosed")).text == "step 1 was decided before the question was answered"


async def request_is_there(stage: Stage) -> None:
    await until(stage, waits_for(WaitingFor.APPROVAL))
    await request(stage, lambda state: bool(state.pending))


async def test_s11_the_delegate_decides_for_who_is_away_and_everybody_reads_it(stage: Stage, world: World) -> None:
    today = datetime.now(UTC).date()
    entry_ = Delegation(
        of=MONA,
        to=DIRK,
        first=today - timedelta(days=2),
        last=today + timedelta(days=2),
        set_by=MONA,
        set_at=datetime.now(UTC),
    )
    world.delegations = Delegations(entries=(entry_,))
    await asked(stage, world)
    assert (await request(stage)).steps[0].asked_of == "dirk for mona"
    await stage.decide(1, DIRK, "approve", step=1)
    view = await until(stage, waits_for(WaitingFor.REP))
    assert view.approvals[0].text == "approval completed: approved by dirk for mona"
    record = await audited(world, "StepDecided")
    assert (record.what, record.facts["for"]) == (
        "approve of step 1 (sales_manager, level 1), dirk for mona",
        MONA.oid,
    )
    reasons = [mark.reason for name, mark in world.asked if name == "mark_quote"]
    assert reasons[-1] == "approval completed: approved by dirk for mona"


async def test_where_delegations_cannot_be_read_everybody_is_asked_themselves(stage: Stage, world: World) -> None:
    world.delegations = None
    await asked(stage, world)
    assert (await request(stage)).steps[0].asked_of == "mona"


@pytest.mark.parametrize("what", ["unsigned", "of nobody", "of another request"])
async def test_a_note_that_nobody_signed_is_not_written_down_as_theirs(stage: Stage, world: World, what: str) -> None:
    await asked(stage, world)
    token = {"unsigned": "nonsense", "of nobody": "oid-nobody|ask|step=1;question=x"}.get(what, "oid-mona|sing|")
    said = SignedMessage(message_id=str(uuid.uuid4()), token=token)
    note = RequestNote(message_id="n-1", n=1, at=datetime.now(UTC), said=said)
    await stage.case.signal(names.REQUEST_NOTED, note)
    await stage.case.signal(names.REQUEST_NOTED, "nonsense")
    other = Reminding(step=1, level=1, role="sales_manager", pct=50, who=(MONA,), due=None)
    await stage.case.signal(
        names.REQUEST_NOTED, RequestNote(message_id="n-2", n=9, at=datetime.now(UTC), reminding=other)
    )
    line = await entry(stage, "ApproverReminded")
    assert (line.accepted, line.code) == (False, "STALE")
    view = await until(stage, waits_for(WaitingFor.APPROVAL))
    assert view.questions == ()
