"""A small process that goes one way where two things reach it together, and another where one follows the other."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import activity, workflow

with workflow.unsafe.imports_passed_through():
    from domain.record import Record


class Note(Record):
    """What is said."""

    text: str = ""


class Heard(Record):
    """What a run has heard, and whether it went on."""

    number: int
    is_done: bool


gates: dict[str, asyncio.Event] = {}


@activity.defn(name="early_wait")
async def wait(note: Note) -> Note:
    await gates.setdefault(note.text, asyncio.Event()).wait()
    return note


@activity.defn(name="early_quick")
async def quick(note: Note) -> Note:
    return note


@workflow.defn(name="Early")
class Early:
    """Hears of a result and of a signal."""

    def __init__(self) -> None:
        self.heard, self.is_done = 0, False

    @workflow.run
    async def run(self, start: Note) -> Note:
        queue = f"{workflow.info().task_queue}-wait"
        await workflow.execute_activity(wait, start, task_queue=queue, start_to_close_timeout=timedelta(minutes=3))
        self.heard += 1
        if self.heard > 1:
            workflow.upsert_memo({"together": True})
        await workflow.execute_activity(quick, start, start_to_close_timeout=timedelta(minutes=3))
        self.is_done = True
        await workflow.wait_condition(lambda: self.heard > 9)
        return start

    @workflow.signal
    def tell(self, _: Note) -> None:
        self.heard += 1

    @workflow.query
    def state(self) -> Heard:
        return Heard(number=self.heard, is_done=self.is_done)
