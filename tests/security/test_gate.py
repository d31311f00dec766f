"""Attacks on running processes by somebody who has the namespace and no keys, and what becomes of the run.

After each attack a true message is sent: it must count, and no workflow task may have failed.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
import structlog
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    PollActivityTaskQueueRequest,
    PollActivityTaskQueueResponse,
    ResetWorkflowExecutionRequest,
    RespondActivityTaskCompletedRequest,
    RespondActivityTaskFailedRequest,
)
from temporalio.bridge.proto.activity_result import ActivityResolution
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)
from temporalio.common import RawValue
from temporalio.converter import DataConverter, WorkflowSerializationContext
from temporalio.exceptions import ApplicationError

from runs.codec import SealingCodec, mark
from runs.codec_keys import KeyRing
from tests.deadlines import PATIENCE
from tests.sealing import KEYS
from tests.security.conftest import NOTE, Range, events, payload_of_signal, payload_of_start
from tests.security.probe import Note
from workers.gate import _of_activity, _resolved
from workers.sealing import sealing

FAILED = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED


def by_stranger(field: Range, handle: WorkflowHandle[Any, Any]) -> WorkflowHandle[Any, Any]:
    return field.stranger.get_workflow_handle(handle.id)


async def still_hears(field: Range, handle: WorkflowHandle[Any, Any], *before: str) -> None:
    """A true message right after the attack counts, and nothing is tried again and again."""
    await field.product.get_workflow_handle(handle.id).signal("first", Note(text="true"))
    await field.told(handle, *before, "first true")
    assert await events(handle, FAILED) == []


# Signals


@pytest.mark.parametrize(
    ("signal", "args"),
    [
        ("first", [{"text": "forged"}]),
        ("first", []),
        ("first", [{"text": "forged"}, {"text": "forged"}]),
        ("first", [None]),
        ("nothing_of_ours", [{"text": "forged"}]),
        ("nothing_of_ours", []),
    ],
    ids=["clear", "without a payload", "two", "null", "unknown", "unknown without a payload"],
)
async def test_a_signal_typed_by_hand_is_dropped_counted_and_logged(field: Range, signal: str, args: list[Any]) -> None:
    with structlog.testing.capture_logs() as logs:
        async with field.worker():
            handle = await field.begin()
            await by_stranger(field, handle).signal(signal, args=args)
            await still_hears(field, handle)
    (line,) = [line for line in logs if line["event"] == "a payload was refused"]
    assert (line["kind"], line["name"], line["workflow_id"]) == ("signal", signal, handle.id)


async def test_a_signal_sealed_under_foreign_keys_is_dropped(field: Range) -> None:
    async with field.worker():
        handle = await field.begin()
        foreign = await field.client(KeyRing.new())
        await foreign.get_workflow_handle(handle.id).signal("first", NOTE)
        await still_hears(field, handle)


async def test_a_signal_moved_to_another_deal_is_dropped(field: Range) -> None:
    async with field.worker():
        one, other = await field.begin(), await field.begin()
        await one.signal("first", NOTE)
        await by_stranger(field, other).signal("first", await payload_of_signal(one))
        await still_hears(field, other)


async def test_a_payload_moved_to_another_signal_of_the_same_deal_is_dropped(field: Range) -> None:
    """Both signals take the same type: only the purpose tells them apart."""
    async with field.worker():
        handle = await field.begin()
        await handle.signal("first", NOTE)
        await by_stranger(field, handle).signal("second", await payload_of_signal(handle))
        await still_hears(field, handle, "first hello")


async def test_two_copies_of_a_true_payload_call_no_handler(field: Range) -> None:
    async with field.worker():
        handle = await field.begin()
        await handle.signal("first", NOTE)
        copy = await payload_of_signal(handle)
        await by_stranger(field, handle).signal("first", args=[copy, copy])
        await still_hears(field, handle, "first hello")


async def test_a_thousand_forged_signals_leave_the_next_true_one_heard(field: Range) -> None:
    async with field.worker():
        handle = await field.begin()
        attacked = by_stranger(field, handle)
        for _ in range(20):
            await asyncio.gather(*(attacked.signal("first", {"text": "junk"}) for _ in range(50)))
        await still_hears(field, handle)


# Updates and queries


@pytest.mark.parametrize("args", [[{"text": "forged"}], [], [{}, {}]], ids=["clear", "without a payload", "two"])
async def test_an_update_typed_by_hand_is_refused_and_its_sender_told(field: Range, args: list[Any]) -> None:
    async with field.worker():
        handle = await field.begin()
        with pytest.raises(WorkflowUpdateFailedError):
            await by_stranger(field, handle).execute_update("ask", args=args)
        assert (await handle.execute_update("ask", NOTE, result_type=Note)).text == "answer to hello"
        await still_hears(field, handle, "asked hello")


async def test_the_answer_to_a_query_is_sealed_and_its_argument_must_be(field: Range) -> None:
    async with field.worker():
        handle = await field.begin()
        assert await handle.query("count_of", "first hello") == 0
        with pytest.raises(WorkflowQueryFailedError):
            await by_stranger(field, handle).query("count_of", "first hello")
        answer = await by_stranger(field, handle).query("told", result_type=RawValue)
        assert answer.payload.metadata["encoding"] == b"binary/encrypted"
        await still_hears(field, handle)


async def test_what_was_typed_through_the_codec_server_asks_and_does_nothing_else(field: Range) -> None:
    (typed,) = await DataConverter.default.encode(["first true"])
    by_hand = RawValue(SealingCodec(KEYS).seal_by_hand(typed, "default"))
    (note,) = await DataConverter.default.encode([{"text": "typed"}])
    note_by_hand = RawValue(SealingCodec(KEYS).seal_by_hand(note, "default"))
    async with field.worker():
        handle = await field.begin()
        await by_stranger(field, handle).signal("first", note_by_hand)
        with pytest.raises(WorkflowUpdateFailedError):
            await by_stranger(field, handle).execute_update("ask", note_by_hand)
        await still_hears(field, handle)
        found = await by_stranger(field, handle).query("count_of", by_hand, result_type=RawValue)
        place = field.product.data_converter.with_context(sealed_for(handle.id))
        assert await place.decode([found.payload]) == [1]
        refused = await field.begin_as_stranger(f"q2c/usmf/{uuid.uuid4().hex[:8]}", note_by_hand)
        assert await field.ends(refused) == (WorkflowExecutionStatus.FAILED, 0)


def sealed_for(workflow_id: str) -> Any:
    return WorkflowSerializationContext("default", workflow_id)


# Starts


@pytest.mark.parametrize("args", [[{"text": "forged"}], [], [{}, {}]], ids=["clear", "without a payload", "two"])
async def test_a_run_started_by_hand_fails_at_once_and_leaves_its_id_free(field: Range, args: list[Any]) -> None:
    async with field.worker():
        workflow_id = f"q2c/usmf/{uuid.uuid4().hex[:8]}"
        started = await field.begin_as_stranger(workflow_id, *args)
        assert await field.ends(started) == (WorkflowExecutionStatus.FAILED, 0)
        with pytest.raises(WorkflowFailureError) as failure:
            await field.product.get_workflow_handle(workflow_id).result()
        assert isinstance(failure.value.cause, ApplicationError)
        assert failure.value.cause.type == "PayloadRefused"
        ours = await field.product.start_workflow("Probe", {"text": "it"}, id=workflow_id, task_queue=field.queue)
        await still_hears(field, ours)


async def test_a_start_moved_to_another_id_fails(field: Range) -> None:
    async with field.worker():
        handle = await field.begin()
        copied = await field.begin_as_stranger(f"q2c/usmf/{uuid.uuid4().hex[:8]}", await payload_of_start(handle))
        assert await field.ends(copied) == (WorkflowExecutionStatus.FAILED, 0)


async def test_an_old_checkpoint_starts_nothing(field: Range) -> None:
    """A run may continue as new with a checkpoint; nobody may start one with it, not even under the same id."""
    async with field.worker():
        handle = await field.begin()
        await handle.signal("first", NOTE)
        await handle.signal("please", Note(text="continue"))
        continued = field.product.get_workflow_handle(handle.id)
        await field.told(continued, "first hello")
        checkpoint = await payload_of_start(continued)
        await continued.signal("end", NOTE)
        await continued.result()
        rolled_back = await field.begin_as_stranger(handle.id, checkpoint)
        assert await field.ends(rolled_back) == (WorkflowExecutionStatus.FAILED, 0)


async def test_a_child_started_without_its_parent_fails(field: Range) -> None:
    async with field.worker():
        handle = await field.begin()
        await handle.signal("please", Note(text="child"))
        await field.told(handle, "child of it")
        child = field.product.get_workflow_handle(f"{handle.id}/child")
        orphan = await field.stranger.start_workflow(
            "ProbeChild", await payload_of_start(child), id=child.id, task_queue=field.queue
        )
        assert await field.ends(orphan) == (WorkflowExecutionStatus.FAILED, 0)


# Results of activities


class Impostor:
    """Takes the tasks of an activity queue as a worker would, and answers without keys."""

    def __init__(self, client: Client, queue: str) -> None:
        self.service, self.queue = client.workflow_service, queue

    async def task(self) -> PollActivityTaskQueueResponse:
        return await self.service.poll_activity_task_queue(
            PollActivityTaskQueueRequest(namespace="default", task_queue=TaskQueue(name=self.queue))
        )

    async def complete(self, *payloads: Payload) -> None:
        request = RespondActivityTaskCompletedRequest(namespace="default", task_token=(await self.task()).task_token)
        request.result.payloads.extend(payloads)
        await self.service.respond_activity_task_completed(request)

    async def fail(self, failure: Failure) -> None:
        token = (await self.task()).task_token
        await self.service.respond_activity_task_failed(
            RespondActivityTaskFailedRequest(namespace="default", task_token=token, failure=failure)
        )


async def ask_impostor(field: Range, handle: WorkflowHandle[Any, Any]) -> Impostor:
    queue = f"impostor-{uuid.uuid4().hex[:8]}"
    await handle.signal("please", Note(text=queue))
    return Impostor(field.stranger, queue)


async def test_a_result_in_clear_fails_the_step_and_not_the_run(field: Range) -> None:
    (clear,) = await DataConverter.default.encode([{"text": "no approval needed"}])
    async with field.worker():
        handle = await field.begin()
        await (await ask_impostor(field, handle)).complete(clear)
        await field.told(handle, "failed: PayloadRefused")
        await still_hears(field, handle, "failed: PayloadRefused")


async def test_a_result_without_a_payload_is_visible_and_mended_by_a_reset(field: Range) -> None:
    """The SDK's core refuses it before any code of ours is asked: only Temporal's authorizer can keep it out."""
    async with field.worker():
        handle = await field.begin()
        await (await ask_impostor(field, handle)).complete()
        for _ in range(int(PATIENCE / 0.1)):
            if await events(handle, FAILED):
                break
            await asyncio.sleep(0.1)
        assert await events(handle, FAILED)
        done = await events(handle, EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
        await field.product.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace="default",
                workflow_execution=WorkflowExecution(workflow_id=handle.id),
                reason="an activity was completed without a result",
                workflow_task_finish_event_id=done[0].event_id,
                request_id=str(uuid.uuid4()),
            )
        )
        again = field.product.get_workflow_handle(handle.id)
        await again.signal("first", NOTE)
        await field.told(again, "first hello")


async def test_the_input_of_an_activity_is_no_result_of_it(field: Range) -> None:
    """Input and result may have the same type, as here: what an activity was asked is not its answer."""
    async with field.worker():
        handle = await field.begin()
        impostor = await ask_impostor(field, handle)
        task = await impostor.task()
        request = RespondActivityTaskCompletedRequest(namespace="default", task_token=task.task_token)
        request.result.payloads.extend(task.input.payloads)
        await impostor.service.respond_activity_task_completed(request)
        await field.told(handle, "failed: PayloadRefused")


async def test_a_failure_told_in_clear_is_not_believed(field: Range) -> None:
    failure = Failure(message="the customer is blocked")
    failure.application_failure_info.type = "Refused"
    failure.application_failure_info.details.payloads.add(data=b"{}", metadata={"encoding": b"json/plain"})
    async with field.worker():
        handle = await field.begin()
        await (await ask_impostor(field, handle)).fail(failure)
        await field.told(handle, "failed: PayloadRefused")
        await still_hears(field, handle, "failed: PayloadRefused")


async def test_a_true_result_is_believed(field: Range) -> None:
    async with field.worker():
        handle = await field.begin()
        await handle.signal("please", Note(text=field.queue))
        await field.told(handle, "looked at it")
        await still_hears(field, handle, "looked at it")


def test_a_timeout_is_the_servers_own_word() -> None:
    resolution = ActivityResolution()
    resolution.failed.failure.activity_failure_info.activity_id = "1"
    resolution.failed.failure.cause.timeout_failure_info.SetInParent()
    assert _resolved(resolution, _of_activity) == ""
    assert resolution.failed.failure.cause.HasField("timeout_failure_info")


def test_an_earlier_failure_that_the_server_cut_below_a_timeout_is_dropped_and_the_timeout_stands() -> None:
    """Above four kilobytes the server keeps of an earlier try no sealed words; a chaos run parked a deal over it."""
    resolution = ActivityResolution()
    resolution.failed.failure.activity_failure_info.activity_id = "1"
    timeout = resolution.failed.failure.cause
    timeout.timeout_failure_info.SetInParent()
    cut = timeout.cause
    cut.message = "Failure exceeds size limit."
    cut.server_failure_info.SetInParent()
    cut.cause.message = "Encoded failure"
    cut.cause.application_failure_info.type = "Throttled"
    assert _resolved(resolution, _of_activity) == ""
    assert resolution.failed.failure.cause.HasField("timeout_failure_info")
    assert not resolution.failed.failure.cause.cause.HasField("cause")


def test_what_is_said_in_clear_below_a_timeout_is_believed_no_more_than_elsewhere() -> None:
    resolution = ActivityResolution()
    resolution.failed.failure.activity_failure_info.activity_id = "1"
    resolution.failed.failure.cause.timeout_failure_info.SetInParent()
    resolution.failed.failure.cause.cause.application_failure_info.type = "Throttled"
    assert _resolved(resolution, _of_activity)


def test_a_failure_of_ours_with_a_foreign_detail_is_not_believed() -> None:
    resolution = ActivityResolution()
    cause = resolution.failed.failure.cause
    mark(cause.encoded_attributes, "activity/look/")
    cause.application_failure_info.details.payloads.add(data=b"why", metadata={"encoding": b"q2c/refused"})
    assert _resolved(resolution, _of_activity) == "why"
    assert cause.application_failure_info.type == "PayloadRefused"


# Keys that change while runs are in flight


async def test_a_key_is_replaced_while_a_run_is_in_flight(field: Range) -> None:
    both = KEYS
    old, new = both.keys
    only_old = both.without(new)
    async with field.worker(only_old) as client:
        handle = await field.begin(client)
        await handle.signal("first", Note(text="under the old key"))
        await field.told(handle, "first under the old key")
    async with field.worker(both.writing_with(new)) as client:
        await client.get_workflow_handle(handle.id).signal("second", Note(text="under the new key"))
        await field.told(handle, "first under the old key", "second under the new key")
        await handle.signal("first", Note(text="from a web that has not restarted"))
        await field.told(
            handle,
            "first under the old key",
            "second under the new key",
            "first from a web that has not restarted",
        )
    sealed = [await payload_of_signal(handle, number) for number in range(3)]
    assert [value.payload.metadata["encryption-key-id"].decode() for value in sealed] == [old, new, old]
    assert await events(handle, FAILED) == []


async def test_a_message_under_a_key_the_worker_was_not_given_waits_for_the_key(field: Range) -> None:
    """Rotated in the wrong order, nothing is lost: the task fails visibly until the worker has the key."""
    _, new = KEYS.keys
    async with field.worker(KEYS.without(new)) as client:
        handle = await field.begin(client)
        await field.told(handle)
        ahead = await field.client(KEYS.writing_with(new))
        await ahead.get_workflow_handle(handle.id).signal("first", NOTE)
        for _ in range(int(PATIENCE / 0.1)):
            if await events(handle, FAILED):
                break
            await asyncio.sleep(0.1)
        (failed, *_) = await events(handle, FAILED)
    failure = failed.workflow_task_failed_event_attributes.failure
    place = field.product.data_converter.with_context(sealed_for(handle.id))
    assert new in str(await place.decode_failure(failure))
    async with field.worker(KEYS):
        await field.told(handle, "first hello")


async def test_an_invented_key_id_blocks_nobody(field: Range) -> None:
    """The opposite of the test above: an id the ring did not sign was never a key of ours."""
    (clear,) = await DataConverter.default.encode([{"text": "x"}])
    clear.metadata.update({"encoding": b"binary/encrypted", "encryption-key-id": b"20261126-next.AAAAAAAAAAAAAAAA"})
    async with field.worker():
        handle = await field.begin()
        await by_stranger(field, handle).signal("first", RawValue(clear))
        await still_hears(field, handle)


async def test_a_worker_of_the_product_cannot_be_made_without_its_parts(field: Range) -> None:
    client = await Client.connect(field.address, plugins=[sealing(KEYS)])
    assert [plugin.name() for plugin in client.config()["plugins"]] == ["q2c.sealing"]
    assert client.data_converter.payload_codec is not None
