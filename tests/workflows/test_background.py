"""Whatever goes on beside the stages of a deal and dies is seen, started again by a person, and loses nothing."""

from __future__ import annotations

import ast
import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError

from domain import explain
from domain.causes import Cause
from domain.messages import FinanceEventKind, SalesEventKind
from domain.notices import Kind
from domain.views import DealView, Ending, WaitingFor
from runs import attributes, names
from tests.deadlines import PATIENCE
from tests.workflows.acting import outcome, until, waits_for
from tests.workflows.conftest import Stage, step
from tests.workflows.trusting import CARL, MONA, OTTO, RITA
from workflows.quote_to_cash import process
from workflows.quote_to_cash.background import Background, Part, Work

BROKEN = "broken for the test"


async def to_the_rep(stage: Stage) -> None:
    await stage.submit()


async def to_the_rep_who_is_told(stage: Stage) -> None:
    stage.world.told = tuple(Kind)
    await stage.submit()


async def to_the_approver(stage: Stage) -> None:
    stage.world.plan = (step(1, 1, "sales_manager", MONA),)
    await stage.submit()


async def to_the_warehouse(stage: Stage) -> None:
    await stage.submit()
    await stage.sales(SalesEventKind.ACTIVATED)
    await stage.sales(SalesEventKind.ACCEPTED)


async def eventually(look: Callable[[], Awaitable[bool]], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not await look():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.1)


async def is_described(stage: Stage) -> None:
    await until(stage, waits_for(WaitingFor.REP))

    async def shown() -> bool:
        details = (await stage.case.query("__temporal_workflow_metadata")).current_details
        return "Waiting for rep" in details

    await eventually(shown, "Temporal Web shows the deal as it stands")


async def is_audited(stage: Stage) -> None:
    async def stored() -> bool:
        return {"Assessed", "QuoteMarked", "StepParked", "StepResumed"} <= {r.event for r in stage.world.audited}

    await eventually(stored, "what happened before, meanwhile and after is in the audit store")


async def are_told(stage: Stage) -> None:
    async def passed_on() -> bool:
        return "quote.approved" in stage.world.told_of()

    await eventually(passed_on, "what happened before and meanwhile is passed on to people")


async def hears(stage: Stage) -> None:
    refused = await outcome(stage, await stage.say(CARL, "retry", reason="not mine"))
    assert refused.code == "NO_AUTHORITY"


async def takes_the_answer(stage: Stage) -> None:
    view = await until(stage, lambda view: view.quote_status == "approved")
    assert [approval.status for approval in view.approvals] == ["completed"]


async def expires(stage: Stage) -> None:
    await until(stage, waits_for(WaitingFor.REP))
    await stage.env.fast_forward(stage.case, timedelta(days=8))
    await until(stage, lambda view: view.ending is Ending.EXPIRED)


async def looks_daily(stage: Stage) -> None:
    await until(stage, waits_for(WaitingFor.INVOICE))  # told while the look was dead
    reads = stage.world.names().count("read_billing")
    await stage.env.fast_forward(stage.case, timedelta(hours=25))

    async def looked() -> bool:
        return stage.world.names().count("read_billing") > reads

    await eventually(looked, "Finance is read after a day")


async def tries_again(stage: Stage) -> None:
    """A cancellation that Finance refused once is tried again after a while."""
    await until(stage, waits_for(WaitingFor.SHIPMENT))
    stage.world.fail["change_order"] = [ApplicationError("picked", type="Refused", non_retryable=True)]
    await stage.say(RITA, "cancel_order", reason="not wanted")
    await until(stage, lambda view: view.order_status == "compensating")
    await stage.env.fast_forward(stage.case, timedelta(minutes=2))
    await until(stage, lambda view: view.ending is Ending.CANCELLED)


@dataclass(frozen=True)
class Story:
    """How a deal gets to where a part of it goes on, what is said while it is dead, and what shows that it lives."""

    begin: Callable[[Stage], Awaitable[object]]
    lives: Callable[[Stage], Awaitable[object]]
    meanwhile: Callable[[Stage], Awaitable[object]] | None = None


STORIES: dict[Part, Story] = {
    Part.DETAILS: Story(to_the_rep, is_described),
    Part.AUDIT_TRAIL: Story(to_the_rep, is_audited),
    Part.NOTICES: Story(to_the_rep_who_is_told, are_told),
    Part.PEOPLE: Story(to_the_rep, hears),
    Part.ANSWER: Story(to_the_approver, takes_the_answer, lambda stage: stage.decide(1, MONA, "approve", 1)),
    Part.EXPIRY: Story(to_the_rep, expires),
    Part.CHANGE: Story(to_the_warehouse, tries_again),
    Part.LOOK: Story(
        to_the_warehouse,
        looks_daily,
        lambda stage: stage.finance(FinanceEventKind.SHIPMENT_POSTED, "S1", (1, 10)),
    ),
}
"""A part without a story fails its test."""


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch) -> set[Part]:
    """Parts that die as soon as they begin, once in each run."""
    doomed: set[Part] = set()
    begin = Background.start

    def start(self: Background, part: Part, work: Work) -> None:
        died: list[Part] = []

        async def once() -> None:
            await asyncio.sleep(0)
            if part in doomed and not died:
                died.append(part)
                raise RuntimeError(BROKEN)
            await work()

        begin(self, part, once)

    monkeypatch.setattr(Background, "start", start)
    return doomed


@pytest.mark.parametrize("part", list(Part))
async def test_a_part_that_dies_is_seen_and_a_retry_revives_it(stage: Stage, dying: set[Part], part: Part) -> None:
    story = STORIES[part]
    dying.add(part)
    await story.begin(stage)
    view = await until(stage, lambda view: view.parked is not None)

    assert view.parked is not None and view.parked.cause == Cause.BACKGROUND
    assert view.parked.message == f"{part}: RuntimeError: {BROKEN}"
    assert view.explanation.waiting_for is WaitingFor.OPERATOR and part in view.explanation.text
    await eventually(lambda: is_listed(stage), "the list of deals says so")
    if story.meanwhile:
        await story.meanwhile(stage)
    refused = await stage.say(CARL, "retry", reason="not mine")
    said = await stage.say(OTTO, "retry", reason="reported")

    assert (await outcome(stage, said)).accepted
    assert (await outcome(stage, refused)).code == "NO_AUTHORITY"
    await story.lives(stage)
    view = await stage.case.query(names.STATE, result_type=DealView)
    assert view.parked is None


async def is_listed(stage: Stage) -> bool:
    shown = (await stage.case.describe()).typed_search_attributes
    return (shown.get(attributes.ERROR.key), shown.get(attributes.WAITING_FOR.key)) == (
        Cause.BACKGROUND,
        WaitingFor.OPERATOR,
    )


async def test_one_that_dies_again_is_seen_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given details that cannot be written, when ops retry, then the deal parks again; it never goes on half deaf."""
    monkeypatch.setattr(explain, "details", _broken)
    await stage.submit()
    await until(stage, lambda view: view.parked is not None and view.parked.failures == 1)
    await stage.say(OTTO, "retry", reason="try")
    await until(stage, lambda view: view.parked is not None and view.parked.failures == 2)


def _broken(state: object) -> str:
    raise ValueError(BROKEN)


def test_nothing_else_goes_on_beside_the_stages() -> None:
    """Tasks are begun in one place; a wait's own timer only sleeps, and ends with its wait."""
    folder = Path(process.__file__).parent
    begun = {
        (path.name, ast.unparse(node))
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in BEGIN_TASKS
    }
    assert begun == {
        ("background.py", "asyncio.create_task(self._work[part](), name=part)"),
        ("waiting.py", "asyncio.create_task(sleep)"),
    }


BEGIN_TASKS = {"create_task", "ensure_future", "gather", "TaskGroup"}
