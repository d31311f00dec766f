"""What a run heard last is the cause of what it does next, and what a stranger put into a header harms nobody."""

from __future__ import annotations

import uuid
from datetime import timedelta
from functools import partial
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, Interceptor, OutboundInterceptor, SignalWorkflowInput, WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.signatures import Nothing
from domain.record import Record
from tests.sealing import SEALING
from tests.workflows.feed_world import eventually
from workers.tracing import HEADER, tracing

TRACER = TracerProvider().get_tracer("tested")


class Answer(Record):
    traces: tuple[str, ...]
    trace_parent: str = ""


@activity.defn
async def trace_in_hand(nothing: Nothing) -> str:
    return trace.format_trace_id(trace.get_current_span().get_span_context().trace_id)


@workflow.defn
class Child:
    def __init__(self) -> None:
        self._told = 0

    @workflow.run
    async def run(self, nothing: Nothing) -> Answer:
        await workflow.wait_condition(lambda: self._told > 0)
        return Answer(traces=())

    @workflow.signal
    def tell(self, nothing: Nothing) -> None:
        self._told += 1


@workflow.defn
class Parent(Child):
    """Acts when it is told, when its child is told, and again when long nobody said anything."""

    def __init__(self) -> None:
        super().__init__()
        self.acted: list[str] = []

    @workflow.run
    async def run(self, nothing: Nothing) -> Answer:
        await self._act()
        child = await workflow.start_child_workflow(Child.run, nothing, id=f"{workflow.info().workflow_id}/child")
        await workflow.wait_condition(lambda: self._told > 0)
        await self._act()
        await child
        await self._act()
        await workflow.sleep(timedelta(hours=2))
        await self._act()
        return Answer(traces=tuple(self.acted))

    async def _act(self) -> None:
        self.acted.append(
            await workflow.execute_activity(trace_in_hand, Nothing(), start_to_close_timeout=timedelta(seconds=30))
        )

    @workflow.query
    def so_far(self) -> int:
        return len(self.acted)


class Junk(Interceptor):
    """A stranger's client: its messages carry a trace header that nobody can read."""

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return _Junk(next)


class _Junk(OutboundInterceptor):
    async def signal_workflow(self, input: SignalWorkflowInput) -> None:
        input.headers = {HEADER: Payload(metadata={"encoding": b"json/plain"}, data=b"\xff{")}
        await super().signal_workflow(input)


async def test_what_was_heard_last_is_the_cause_of_what_follows_for_an_hour(environment: WorkflowEnvironment) -> None:
    target = environment.client.service_client.config.target_host
    client = await Client.connect(target, plugins=[SEALING], interceptors=tracing(TRACER))
    stranger = await Client.connect(target, plugins=[SEALING], interceptors=[Junk()])
    queue, run_id = f"q2c-{uuid.uuid4()}", f"traced/{uuid.uuid4()}"
    worker = Worker(
        client,
        task_queue=queue,
        workflows=[Parent, Child],
        activities=[trace_in_hand],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    heard: list[str] = []
    async with worker:
        with TRACER.start_as_current_span("webhook") as span:
            heard.append(trace.format_trace_id(span.get_span_context().trace_id))
            deal = await client.start_workflow(Parent.run, Nothing(), id=run_id, task_queue=queue)
        for number, told in enumerate((run_id, f"{run_id}/child"), start=1):
            await eventually(partial(_acted, deal, number))
            with TRACER.start_as_current_span("click") as span:
                heard.append(trace.format_trace_id(span.get_span_context().trace_id))
                await client.get_workflow_handle(told).signal(Child.tell, Nothing())
        await eventually(partial(_acted, deal, 3))
        await stranger.get_workflow_handle(run_id).signal(Child.tell, Nothing())
        await environment.fast_forward(deal, timedelta(hours=3))
        answer = await deal.result()
    assert list(answer.traces[:3]) == heard, "webhook, click on the run, click on its child"
    assert answer.traces[3] not in heard, "what nobody caused is a trace of its own"


async def _acted(deal: WorkflowHandle[Any, Any], number: int) -> bool:
    return bool(await deal.query("so_far") == number)
