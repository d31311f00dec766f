"""One trace from the click or webhook through signal, step and HTTP request to Dynamics.

The SDK's own tracing puts all that a run does into the trace that started it, for weeks, and only links what it was
told meanwhile. Here the message a run heard last is the cause of what it does next: a decision and the write to Sales
that follows are one trace, though two runs and three processes take part. What a run does without having heard
anything for an hour (a sweep, a reminder) begins a trace of its own. The trace that started a deal holds its stages.

Headers of messages are not sealed: one that cannot be read is left out, so that nobody stops a run with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from opentelemetry import context, propagate, trace
from opentelemetry.trace import Tracer
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.converter import PayloadConverter
from temporalio.worker import (
    ExecuteWorkflowInput,
    HandleQueryInput,
    HandleSignalInput,
    Interceptor,
    SignalChildWorkflowInput,
    SignalExternalWorkflowInput,
    StartActivityInput,
    StartChildWorkflowInput,
    StartLocalActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

from domain.record import Record
from runs.names import SPAN

HEADER: Final = "_tracer-data"
"""Where the SDK's tracing carries the context."""
CAUSE_HOLDS: Final = 3_600.0
"""Seconds after which what was heard last is no longer the cause of what a run does."""
_PARENT: Final = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def tracing(tracer: Tracer | None = None) -> list[ClientInterceptor]:
    """The interceptors of a client that traces, and of its workers, outermost first.

    Args:
        tracer: writes the spans; that of the process where None.
    """
    tracer = tracer or trace.get_tracer("q2c")
    return [ReadableHeaders(), TracingInterceptor(tracer), Causes(tracer)]


def parent_of(headers: Mapping[str, Payload]) -> str:
    """The W3C trace parent that a message carries; empty where it carries none that can be read."""
    if HEADER not in headers:
        return ""
    try:
        (carried,) = PayloadConverter.default.from_payloads([headers[HEADER]])
    except Exception:  # noqa: BLE001  # whatever a stranger put there
        return ""
    parent = carried.get("traceparent") if isinstance(carried, dict) else None
    return parent if isinstance(parent, str) and _PARENT.fullmatch(parent) else ""


def _readable(headers: Mapping[str, Payload]) -> Mapping[str, Payload]:
    return headers if parent_of(headers) else {name: value for name, value in headers.items() if name != HEADER}


class ReadableHeaders(ClientInterceptor, Interceptor):
    """Leaves out trace headers that cannot be read, before the SDK's tracing reads them."""

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:
        """See base class."""
        return _ReadableHeaders


class _ReadableHeaders(WorkflowInboundInterceptor):
    async def handle_signal(self, input: HandleSignalInput) -> None:
        input.headers = _readable(input.headers)
        await super().handle_signal(input)

    async def handle_query(self, input: HandleQueryInput) -> Any:
        input.headers = _readable(input.headers)
        return await super().handle_query(input)


class Causes(ClientInterceptor, Interceptor):
    """Makes what a run heard last the cause of what it does."""

    def __init__(self, tracer: Tracer) -> None:
        """Write spans that runs measure themselves with ``tracer``."""
        self._tracer = tracer

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:
        """See base class."""
        input.unsafe_extern_functions[SPAN] = self._write_span
        return _Told

    def _write_span(
        self, carrier: Mapping[str, str], name: str, began: float, ended: float, attributes: dict[str, str]
    ) -> None:
        """Write down a span that is over, in the trace the carrier names; moments in seconds since the epoch."""
        span = self._tracer.start_span(
            name, propagate.extract(carrier), attributes=attributes, start_time=int(began * 1e9)
        )
        span.end(end_time=int(ended * 1e9))


class _Cause:
    """What one run heard last."""

    def __init__(self) -> None:
        self._parent = ""
        self._heard_at: float | None = None

    def hear(self, parent: str) -> None:
        self._heard_at = workflow.time()
        self._parent = parent

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Let what is begun inside be part of the trace of what was heard last."""
        since = workflow.info().start_time.timestamp() if self._heard_at is None else self._heard_at
        if workflow.time() - since > CAUSE_HOLDS:
            token = context.attach(context.Context())
        elif self._parent:
            token = context.attach(propagate.extract({"traceparent": self._parent}))
        else:
            yield
            return
        try:
            yield
        finally:
            context.detach(token)

    def handed_on(self, answer: Any) -> Any:
        """The answer of a run that ends, with what it heard last, where the answer has room for it."""
        if self._parent and isinstance(answer, Record) and "trace_parent" in type(answer).model_fields:
            return answer.model_copy(update={"trace_parent": self._parent})
        return answer

    def hear_answer(self, child: Any) -> None:
        """Take over what a child heard last, once it ends."""
        if child.cancelled() or child.exception() is not None:
            return
        parent = getattr(child.result(), "trace_parent", "")
        if isinstance(parent, str) and _PARENT.fullmatch(parent):
            self.hear(parent)


class _Told(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        self._cause = _Cause()
        super().init(_Doing(outbound, self._cause))

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        return self._cause.handed_on(await super().execute_workflow(input))

    async def handle_signal(self, input: HandleSignalInput) -> None:
        self._cause.hear(parent_of(input.headers))
        await super().handle_signal(input)


class _Doing(WorkflowOutboundInterceptor):
    def __init__(self, inner: WorkflowOutboundInterceptor, cause: _Cause) -> None:
        super().__init__(inner)
        self._cause = cause

    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:
        with self._cause.at_work():
            return super().start_activity(input)

    def start_local_activity(self, input: StartLocalActivityInput) -> workflow.ActivityHandle[Any]:
        with self._cause.at_work():
            return super().start_local_activity(input)

    async def signal_child_workflow(self, input: SignalChildWorkflowInput) -> None:
        with self._cause.at_work():
            await super().signal_child_workflow(input)

    async def signal_external_workflow(self, input: SignalExternalWorkflowInput) -> None:
        with self._cause.at_work():
            await super().signal_external_workflow(input)

    async def start_child_workflow(self, input: StartChildWorkflowInput) -> workflow.ChildWorkflowHandle[Any, Any]:
        with self._cause.at_work():
            child = await super().start_child_workflow(input)
        child.add_done_callback(self._cause.hear_answer)
        return child
