"""A deal goes on as a new run in whatever it waits for, with its request, timers, messages and memory.

The server's limits are lowered a hundredfold: a run that did not go on as a new one in time would be ended by it.
"""

from __future__ import annotations

import asyncio
import functools
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from temporalio import workflow
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from domain.approval_start import ApprovalCheckpoint
from domain.approvals import ApprovalState, ApprovalStatus
from domain.causes import Cause
from domain.messages import FinanceEventKind, SalesEventKind, SignedMessage
from domain.views import DealView, Ending, WaitingFor
from runs import names
from runs.approvals import Approvals
from tests.deadlines import PATIENCE
from tests.workflows.acting import asked_people, outcome, to_fulfilment, until, waits_for
from tests.workflows.cancelled_probe import GoesOn, Note
from tests.workflows.conftest import Stage, World, at_work, dev_server, queues_of_its_own, step
from tests.workflows.trusting import CARL, MONA, OTTO
from workers.worker import workflow_runner
from workflows.quote_to_cash import steps
from workflows.quote_to_cash.background import Background, Part, Work
from workflows.quote_to_cash.request import Request

REFUSED = ApplicationError("the quote is locked", type="Refused", non_retryable=True)
AWAY = ApplicationError("503", type="Transient", non_retryable=True)
LIMITS = {
    "limit.historyCount.suggestContinueAsNew": "40",
    "limit.historySize.suggestContinueAsNew": "400000",
    "limit.historyCount.error": "500",
    "limit.historySize.error": "5000000",
    "history.MaxBufferedQueryCount": "10",
    "history.timerProcessorMaxTimeShift": '"10ms"',
}
"""Events a hundredfold; the size tenfold, since what a deal remembers stays as large as it is."""


@pytest.fixture(scope="module")
async def narrow() -> AsyncIterator[WorkflowEnvironment]:
    async with dev_server(**LIMITS) as environment:
        yield environment


@pytest.fixture
async def stage(narrow: WorkflowEnvironment, world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    queues_of_its_own(monkeypatch)
    async with at_work(Stage(narrow, world)) as stage:
        yield stage


async def noise(stage: Stage, rounds: int = 12) -> None:
    """What a deal is told that changes nothing: more than one run's history holds."""
    for round_ in range(rounds):
        for n in range(10):
            await stage.case.signal(names.CREDIT_RECHECK, {"message_id": f"noise-{round_}-{n}", "reason": "noise"})
        await asyncio.sleep(0.05)


async def runs_of(stage: Stage, workflow_id: str) -> list[WorkflowExecutionStatus | None]:
    """How the runs under an id stand, newest first."""
    query = f"WorkflowId = '{workflow_id}'"
    return [run.status async for run in stage.client.list_workflows(query)]


async def went_on(stage: Stage, handle: WorkflowHandle[object, object], times: int = 2) -> None:
    """It went on as a new run that many times at least, and no run was ended otherwise."""
    statuses: list[WorkflowExecutionStatus | None] = []
    for _ in range(int(PATIENCE / 0.1)):
        statuses = await runs_of(stage, handle.id)
        if statuses.count(WorkflowExecutionStatus.CONTINUED_AS_NEW) >= times:
            break
        await asyncio.sleep(0.1)
    assert statuses.count(WorkflowExecutionStatus.CONTINUED_AS_NEW) >= times, statuses
    assert not {WorkflowExecutionStatus.FAILED, WorkflowExecutionStatus.TERMINATED} & set(statuses)


async def approve(stage: Stage) -> None:
    """Approve, as soon as the request runs: between two runs of its deal it does for a moment not."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            await stage.decide(1, MONA, "approve", step=1)
            return
        except RPCError as error:
            assert error.status is RPCStatusCode.NOT_FOUND and time.monotonic() < deadline, error
        await asyncio.sleep(0.1)


async def test_while_a_request_is_open_which_goes_on_as_well(stage: Stage, world: World) -> None:
    world.plan = (step(1, 1, "sales_manager", MONA),)
    await stage.submit()
    await until(stage, waits_for(WaitingFor.APPROVAL))
    before = await asked_people(stage)
    await noise(stage)
    await went_on(stage, stage.case)
    after = ApprovalState.model_validate(await stage.approval.query(names.STATE))
    assert after == before
    assert (await stage.case.query("tally"))["ignored"] == 120
    await approve(stage)
    view = await until(stage, waits_for(WaitingFor.REP))
    assert [request.status for request in view.approvals] == [ApprovalStatus.COMPLETED]
    assert (await stage.approval.describe()).status is WorkflowExecutionStatus.COMPLETED


async def test_while_nobody_listens_to_an_open_request(
    stage: Stage, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given that what waits for the answer died, when the deal goes on as a new run, then the request does as well."""
    begin = Background.start

    def start(background: Background, part: Part, work: Work) -> None:
        died: list[Part] = []

        async def dies() -> None:
            if part is Part.ANSWER and workflow.info().continued_run_id is None and not died:
                died.append(part)
                raise RuntimeError("broken for the test")
            await work()

        begin(background, part, dies)

    monkeypatch.setattr(Background, "start", start)
    world.plan = (step(1, 1, "sales_manager", MONA),)
    await stage.submit()
    await until(stage, lambda view: view.parked is not None and view.parked.cause == Cause.BACKGROUND)
    await noise(stage)
    await went_on(stage, stage.case)
    await approve(stage)
    assert (await outcome(stage, await stage.say(OTTO, "retry", reason="reported"))).accepted
    view = await until(stage, waits_for(WaitingFor.REP))
    assert [request.status for request in view.approvals] == [ApprovalStatus.COMPLETED]


async def test_while_somebody_takes_the_id_of_the_open_request(
    stage: Stage, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two runs of a deal its request does not run: another workflow may take its id, and it is asked anew."""
    hand_over = Request.hand_over

    async def taken(request: Request) -> ApprovalCheckpoint | None:
        kept = await hand_over(request)
        if kept is not None and workflow.info().continued_run_id is None:
            await workflow.start_child_workflow(
                "SomethingElse",
                id=names.approval_id("usmf", world.quote, 1),
                task_queue="a queue no worker polls",
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            )
        return kept

    monkeypatch.setattr(Request, "hand_over", taken)
    world.plan = (step(1, 1, "sales_manager", MONA),)
    await stage.submit()
    await until(stage, waits_for(WaitingFor.APPROVAL))
    await noise(stage)
    view = await until(stage, lambda view: len(view.approvals) == 2)
    assert [request.status for request in view.approvals] == [ApprovalStatus.LOST, ApprovalStatus.PENDING]
    assert "its id was taken" in view.approvals[0].text
    await stage.decide(2, MONA, "approve", step=1)
    await until(stage, waits_for(WaitingFor.REP))


async def test_while_the_customer_decides_and_the_quote_expires_all_the_same(stage: Stage, world: World) -> None:
    world.expires_at = datetime.now(UTC) + timedelta(days=2)
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACTIVATED)
    await until(stage, waits_for(WaitingFor.CUSTOMER))
    await noise(stage)
    await went_on(stage, stage.case)
    shown = await stage.case.query("__temporal_workflow_metadata")
    assert f"**{world.quote}** 1 line 1,045.00 USD" in str(shown)
    await stage.env.fast_forward(stage.case, timedelta(days=2, minutes=1))
    ended = DealView.model_validate(await asyncio.wait_for(stage.case.result(), PATIENCE))
    assert ended.ending is Ending.EXPIRED


async def test_while_a_step_waits_for_a_person(stage: Stage, world: World) -> None:
    world.fail["create_order"] = [REFUSED]
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACCEPTED)
    await until(stage, waits_for(WaitingFor.OPERATOR))
    await noise(stage)
    await went_on(stage, stage.case)
    view = await until(stage, waits_for(WaitingFor.OPERATOR))
    assert view.parked is not None and (view.parked.message, view.parked.failures) == ("the quote is locked", 1)
    assert (await outcome(stage, await stage.say(OTTO, "retry"))).accepted
    await until(stage, waits_for(WaitingFor.SHIPMENT))
    asked = [argument for name, argument in world.asked if name == "create_order"]
    assert [ask.probe for ask in asked] == [False, True]
    assert len({ask.order_number for ask in asked}) == 1


async def test_in_a_long_outage_each_try_of_which_makes_the_history_longer(
    stage: Stage, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "LOOK_AGAIN", timedelta(milliseconds=100))
    world.fail["assess_quote"] = [AWAY] * 1_000
    await stage.submit()
    since = (await until(stage, waits_for(WaitingFor.FINANCE))).explanation.since
    await went_on(stage, stage.case, times=5)
    view = await until(stage, waits_for(WaitingFor.FINANCE))
    assert view.explanation.since == since
    world.fail.clear()
    await until(stage, waits_for(WaitingFor.REP))


async def test_while_credit_is_held(stage: Stage, world: World) -> None:
    world.credit_passes = False
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACCEPTED)
    await until(stage, waits_for(WaitingFor.CREDIT))
    await noise(stage)
    await went_on(stage, stage.case)
    assert (await outcome(stage, await stage.say(CARL, "credit_release", reason="known well"))).accepted
    await until(stage, waits_for(WaitingFor.SHIPMENT))
    assert world.names().count("create_order") == 1


async def test_while_a_busy_order_is_shipped_and_paid(stage: Stage, world: World) -> None:
    await to_fulfilment(stage)
    world.invoice("INV-1", 10, "1045")
    for n in range(60):
        await stage.finance(FinanceEventKind.PAYMENT_POSTED, f"P-{n}")
        await asyncio.sleep(0.1)
    await went_on(stage, stage.case)
    await stage.finance(FinanceEventKind.SHIPMENT_POSTED, "PS-1", (1, 10))
    world.invoice("INV-1", 10, "0")
    await stage.finance(FinanceEventKind.PAYMENT_POSTED, "P-last")
    ended = DealView.model_validate(await asyncio.wait_for(stage.case.result(), PATIENCE))
    assert (ended.ending, ended.paid) == (Ending.CLOSED, world.invoices[0].total)


async def test_a_request_that_is_told_much(stage: Stage, world: World) -> None:
    world.plan = (step(1, 1, "sales_manager", MONA),)
    await stage.submit()
    await until(stage, waits_for(WaitingFor.APPROVAL))
    approvals = Approvals(stage.client)

    async def decide(by: int) -> None:
        """Each attempt is heard, also between two runs, and refused; its deal writes it down."""
        for n in range(20):
            message = SignedMessage(message_id=f"m-{by}-{n}", token="no token")
            said = await approvals.decide("usmf", world.quote, 1, message)
            assert said is None or said.code == "UNAUTHENTICATED"

    await asyncio.gather(*(decide(by) for by in range(6)))
    statuses = await runs_of(stage, stage.approval.id)
    assert WorkflowExecutionStatus.COMPLETED in statuses, "its deal, which is told of each, never had it go on"
    repeated = SignedMessage(message_id="again", token=f"{CARL.oid}|decide|decision=approve;step=1;seen_hash=hash-1")
    for _ in range(20):  # heard once; of the others its deal is not told
        said = await approvals.decide("usmf", world.quote, 1, repeated)
        assert said is None or not said.accepted
    statuses = await runs_of(stage, stage.approval.id)
    assert WorkflowExecutionStatus.CONTINUED_AS_NEW in statuses, "only its deal had it go on"
    assert not {WorkflowExecutionStatus.FAILED, WorkflowExecutionStatus.TERMINATED} & set(statuses)
    assert len(await stage.approval.query("refusals")) == 121
    await approve(stage)
    await until(stage, waits_for(WaitingFor.REP))
    assert (await stage.approval.query(names.OUTCOME, "m-0-0"))["code"] == "UNAUTHENTICATED"


async def test_a_run_that_is_cancelled_in_the_task_in_which_it_would_go_on(narrow: WorkflowEnvironment) -> None:
    """Before: what it was told came first, it went on, and the new run knew nothing of the cancellation."""
    queue = f"cancelled-{uuid.uuid4().hex[:8]}"
    worker = functools.partial(
        Worker, narrow.client, task_queue=queue, workflows=[GoesOn], workflow_runner=workflow_runner()
    )
    async with worker():
        run = await narrow.client.start_workflow(GoesOn.run, Note(), id=queue, task_queue=queue)
        async with asyncio.timeout(PATIENCE):
            while (await run.describe()).history_length < 4:  # its first task is done
                await asyncio.sleep(0.05)
    for _ in range(45):
        await run.signal(GoesOn.told, Note())
    await run.cancel()
    async with worker():
        with pytest.raises(WorkflowFailureError):
            await asyncio.wait_for(run.result(follow_runs=False), PATIENCE)
    assert [r.status async for r in narrow.client.list_workflows(f"WorkflowId = '{queue}'")] == [
        WorkflowExecutionStatus.CANCELED
    ]
