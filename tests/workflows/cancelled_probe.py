"""Small processes that are cancelled while something of theirs is under way; workflow modules are imported apart."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Protocol

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.declaring import declares_activities
    from domain.messages import LedgerNote
    from domain.record import Record
    from runs import names
    from workflows.steps import ONCE, attempt, tell

gates: dict[str, asyncio.Event] = {}


class Note(Record):
    """What is said."""

    text: str = ""
    succeeds: bool = True


@declares_activities
class Slow(Protocol):
    """What takes until a test lets it end, and hears of no cancellation."""

    async def be_slow(self, note: Note) -> Note:
        """Wait for the test; then succeed, or fail for good."""


async def for_ever_after(operation: Awaitable[object]) -> None:
    """Await an operation, and go on for ever, whatever it came to."""
    try:
        await operation
    except FailureError:
        pass
    await workflow.wait_condition(lambda: False)


@workflow.defn(name="CancelledWhileItAsks")
class Asks:
    """Asks, and waits for ever after the answer, whatever it is."""

    @workflow.run
    async def run(self, note: Note) -> None:
        await for_ever_after(
            attempt(Slow.be_slow, note, queue=workflow.info().task_queue, summary="Ask", patience=ONCE)
        )


@workflow.defn(name="CancelledWhileItTells")
class Tells:
    """Tells another run something, and waits for ever, whatever becomes of it."""

    @workflow.run
    async def run(self, note: Note) -> None:
        other = workflow.get_external_workflow_handle(note.text)
        await for_ever_after(tell(other, names.RELEASE, LedgerNote(deal_id="deal/usmf/1", at=workflow.now())))


@workflow.defn(name="CancelledWhileItGoesOn")
class GoesOn:
    """Goes on as a new run, whenever it has been told enough."""

    @workflow.run
    async def run(self, note: Note) -> None:
        await workflow.wait_condition(lambda: workflow.info().is_continue_as_new_suggested())
        workflow.continue_as_new(note)

    @workflow.signal
    def told(self, note: Note) -> None:
        """Hear it."""
