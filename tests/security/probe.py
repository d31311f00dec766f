"""A small process with every kind of message, to be attacked; its two signals take the same type on purpose."""

from __future__ import annotations

from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError

with workflow.unsafe.imports_passed_through():
    from domain.record import Record


class Note(Record):
    """What is said."""

    text: str


class Begin(Record):
    """What a probe starts with."""

    text: str
    heard: tuple[str, ...] = ()


@activity.defn(name="probe_look")
async def look(note: Note) -> Note:
    return Note(text=f"looked at {note.text}")


@workflow.defn(name="ProbeChild")
class ProbeChild:
    @workflow.run
    async def run(self, begin: Begin) -> Note:
        return Note(text=f"child of {begin.text}")


@workflow.defn(name="Probe")
class Probe:
    @workflow.init
    def __init__(self, begin: Begin) -> None:
        self.heard = list(begin.heard)
        self.wanted: list[str] = []
        self.ended = False

    @workflow.run
    async def run(self, begin: Begin) -> Note:
        while not self.ended:
            await workflow.wait_condition(lambda: bool(self.wanted) or self.ended)
            while self.wanted:
                await self.do(self.wanted.pop(0), begin)
        return Note(text="ended")

    async def do(self, what: str, begin: Begin) -> None:
        try:
            if what == "child":
                child = f"{workflow.info().workflow_id}/child"
                self.heard.append((await workflow.execute_child_workflow(ProbeChild.run, begin, id=child)).text)
            elif what == "continue":
                workflow.continue_as_new(Begin(text=begin.text, heard=tuple(self.heard)))
            else:
                found = await workflow.execute_activity(
                    look,
                    Note(text="it"),
                    task_queue=what,
                    start_to_close_timeout=timedelta(seconds=60),
                    retry_policy=RetryPolicy(maximum_attempts=1),
                )
                self.heard.append(found.text)
        except (ActivityError, ChildWorkflowError) as error:
            cause = error.cause
            kind = cause.type if isinstance(cause, ApplicationError) else type(cause).__name__
            self.heard.append(f"failed: {kind}")

    @workflow.signal
    def first(self, note: Note) -> None:
        self.heard.append(f"first {note.text}")

    @workflow.signal
    def second(self, note: Note) -> None:
        self.heard.append(f"second {note.text}")

    @workflow.signal
    def please(self, what: Note) -> None:
        self.wanted.append(what.text)

    @workflow.signal
    def end(self, note: Note) -> None:
        self.ended = True

    @workflow.update
    def ask(self, note: Note) -> Note:
        self.heard.append(f"asked {note.text}")
        return Note(text=f"answer to {note.text}")

    @workflow.query
    def told(self) -> list[str]:
        return self.heard

    @workflow.query
    def count_of(self, text: str) -> int:
        return self.heard.count(text)
