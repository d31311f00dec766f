"""What the code makes of a recorded run, command by command: its fingerprint, kept beside the history.

A replay compares a run's commands with its history, but not how long a timer runs, on which queue an activity is, or
how often and how long it is tried. The fingerprint has these as well: it is read from what the code itself asks of
Temporal while the run is replayed. So a change under `workflow.patched` leaves both as they are, one without it fails
both, and one of a limit alone, which runs in flight meet with their next step, fails the fingerprint and has to be
meant.

Write them anew where the change is meant, and read what git shows: `uv run python -m tests.replay.fingerprints`
"""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner

from demo.temporal_server import NAMESPACE
from tests.sealing import SEALING
from workers.composition import WORKFLOWS
from workers.worker import workflow_runner

FOLDER = Path(__file__).parent / "histories"
SAYS_NOTHING = {"respond_to_query", "update_response"}
"""Answers to who asks; they are no step of the run."""


class Watching(WorkflowRunner):
    """The product's sandbox for workflows; what they ask of Temporal is written down."""

    def __init__(self) -> None:
        self._runner = workflow_runner()
        self.commands: list[str] = []

    def prepare_workflow(self, defn: Any) -> None:
        """As the sandbox does."""
        self._runner.prepare_workflow(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """As the sandbox does; what comes of each task of the instance is written down."""
        instance = self._runner.create_instance(det)
        activate = instance.activate

        def watched(act: Any) -> Any:
            completion = activate(act)
            said = (in_words(command) for command in completion.successful.commands)
            self.commands.extend(text for text in said if text)
            return completion

        setattr(instance, "activate", watched)  # noqa: B010  # an instance of the SDK's, known as abstract only
        return instance

    def set_worker_level_failure_exception_types(self, types: Any) -> None:
        """As the sandbox does."""
        self._runner.set_worker_level_failure_exception_types(types)


def in_words(command: Any) -> str:
    """A command in one line, without anything that is sealed or belongs to one run; empty for an answer."""
    kind = str(command.WhichOneof("variant"))
    if kind in SAYS_NOTHING:
        return ""
    what = getattr(command, kind)
    if kind == "schedule_activity":
        limits = {
            "a try": what.start_to_close_timeout,
            "in all": what.schedule_to_close_timeout,
            "until it begins": what.schedule_to_start_timeout,
            "heard within": what.heartbeat_timeout,
        }
        said = [f"{name} {lasting(limit)}" for name, limit in limits.items() if limit.ToTimedelta()]
        said += [f"tries {what.retry_policy.maximum_attempts}", f"priority {what.priority.priority_key}"]
        return f"{kind} {what.activity_type} on {what.task_queue}: {', '.join(said)}"
    if kind == "start_timer":
        return f"{kind} {lasting(what.start_to_fire_timeout)}"
    names = [getattr(what, name, "") for name in ("workflow_type", "signal_name", "patch_id")]
    if kind == "upsert_workflow_search_attributes":
        names = sorted(what.search_attributes.indexed_fields)
    return " ".join((kind, *filter(None, names)))


def lasting(duration: Duration) -> str:
    """A time limit in seconds."""
    delta: timedelta = duration.ToTimedelta()
    return f"{delta.total_seconds():.3f}".rstrip("0").rstrip(".") + " s"


def recorded(file: Path, **renamed: str) -> WorkflowHistory:
    """A recorded run, with activities renamed where a test wants it broken."""
    content = file.read_text()
    for before, after in renamed.items():
        assert f'"name": "{before}"' in content
        content = content.replace(f'"name": "{before}"', f'"name": "{after}"')
    return WorkflowHistory.from_json(started(file)["workflowId"], content)


def started(file: Path) -> dict[str, Any]:
    """How a recorded run began. Its payloads are sealed for its workflow id, so it replays under that id only."""
    begun: dict[str, Any] = json.loads(file.read_text())["events"][0]["workflowExecutionStartedEventAttributes"]
    return begun


async def commands_of(history: WorkflowHistory) -> tuple[list[str], Exception | None]:
    """What the code makes of a history, and what the replay has against it."""
    watching = Watching()
    replayer = Replayer(workflows=list(WORKFLOWS), namespace=NAMESPACE, plugins=[SEALING], workflow_runner=watching)
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    return watching.commands, result.replay_failure


def kept(file: Path) -> list[str]:
    """The fingerprint that is kept of a history."""
    return fingerprint_of(file).read_text().splitlines()


def fingerprint_of(file: Path) -> Path:
    """Where the fingerprint of a history is kept."""
    return file.with_suffix(".commands")


async def write(files: list[Path]) -> None:
    """Keep what the code makes of each history now."""
    for file in files:
        commands, failure = await commands_of(recorded(file))
        if failure is not None:
            raise failure
        fingerprint_of(file).write_text("".join(f"{command}\n" for command in commands))


if __name__ == "__main__":
    asyncio.run(write(sorted(FOLDER.glob("*.json"))))
