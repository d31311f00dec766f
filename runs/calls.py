"""One rule for every call to Temporal: answer soon, or say clearly what came instead.

The SDK retries a service that is down for longer than a person or a webhook sender waits; here each call has five
seconds, and what is wrong with the service is told apart from what is wrong with the request.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace
from typing import Any, TypeVar

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowQueryFailedError,
)
from temporalio.common import Priority, TypedSearchAttributes, WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from domain.record import Record
from runs import names
from runs.codec import PayloadRefused
from runs.codec_keys import KeyMissing
from runs.names import ASK_AGAIN

BACKGROUND = Priority(priority_key=5)
"""Of what no deal waits for, and belongs to no company."""


def background(company: str) -> Priority:
    """Of what no deal of a company waits for: the company shares the queues with others as its deals do."""
    return replace(BACKGROUND, fairness_key=company)


T = TypeVar("T")

PATIENCE_SECONDS = 5.0
SEALED_FAILURE = "Encoded failure"
"""What the SDK leaves of the text of a failure that is sealed; it opens none that answers a query."""
_NO_ANSWER = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.INTERNAL,
        RPCStatusCode.UNKNOWN,
        RPCStatusCode.ABORTED,
    }
)


class RunError(Exception):
    """What came of a call instead of its answer; the text is for a person."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class NoAnswer(RunError):
    """Temporal or the workers did not answer, so it is not known whether anything happened."""

    def __init__(self, detail: str = "Temporal does not respond. Try again in a moment.") -> None:
        super().__init__(detail)


class NotFound(RunError):
    """There is no such run."""


class Unreadable(RunError):
    """A run answered something that is not ours: one started by someone else, or by another version."""


class BadSearch(RunError):
    """A list was asked for in a way that has no answer.

    Args:
        detail: what is wrong.
        field: the argument that is wrong; empty where it is none alone.
    """

    def __init__(self, detail: str, field: str = "") -> None:
        super().__init__(detail)
        self.field = field


class Rejected(RunError):
    """Temporal takes no run or message like this, e.g. because a number is too long for an id."""


async def answer(call: Awaitable[T], patience: float | None = None) -> T:
    """Wait for a call to Temporal.

    Args:
        call: the call.
        patience: seconds; None: the five that every call has.

    Raises:
        NoAnswer: the service is down, overloaded or slow.
        RPCError: the service answered with something else, e.g. that there is no such run.
    """
    try:
        return await asyncio.wait_for(call, PATIENCE_SECONDS if patience is None else patience)
    except TimeoutError as error:
        raise NoAnswer from error
    except RPCError as error:
        if error.status in _NO_ANSWER:
            raise NoAnswer from error
        raise


async def trouble(client: Client) -> str:
    """Why this process cannot work with Temporal now, in words; empty: it can.

    The namespace is asked for: a frontend whose database is away, that does not know the namespace or does not let us
    in says of itself that it serves.
    """
    try:
        await answer(client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace)))
    except NoAnswer:
        return "Temporal does not answer"
    except RPCError as error:
        return f"Temporal refuses namespace {client.namespace!r}: {error.message}"
    return ""


async def listed(client: Client, query: str) -> AsyncIterator[WorkflowExecution]:
    """Every run that a query of ``runs.query`` finds, newest first, as visibility has them.

    Raises:
        NoAnswer: Temporal does not answer.
    """
    rows = client.list_workflows(query)
    while True:
        await answer(rows.fetch_next_page())
        for run in rows.current_page or ():
            yield run
        if rows.next_page_token is None:
            return


async def tell(client: Client, workflow_id: str, signal: str, message: Record) -> bool:
    """Signal the run that goes on under an id; False where none does.

    Raises:
        NoAnswer: Temporal does not answer: it is not known whether the signal was stored.
        Rejected: Temporal takes no such message.
    """
    try:
        await answer(client.get_workflow_handle(workflow_id).signal(signal, message))
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise rejected(error) from error
    return True


async def begin_or_tell(
    client: Client,
    workflow: str,
    start: Record,
    workflow_id: str,
    signal: str,
    message: Record,
    *,
    priority: Priority,
    summary: str,
    search_attributes: TypedSearchAttributes | None = None,
) -> None:
    """Signal the run that goes on under an id; where none does, one begins with the signal.

    Args:
        client: connected to the deals' namespace.
        workflow: name of the workflow.
        start: what a run begins with.
        workflow_id: of the run.
        signal: name of the signal.
        message: what is told.
        priority: of the run that begins.
        summary: what the run is, for Temporal Web.
        search_attributes: of the run that begins.

    Raises:
        NoAnswer: Temporal does not answer: it is not known whether the signal was stored.
        Rejected: Temporal takes no such run or message.
    """
    begun = client.start_workflow(
        workflow,
        start,
        id=workflow_id,
        task_queue=names.DEAL_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        start_signal=signal,
        start_signal_args=[message],
        priority=priority,
        static_summary=summary,
        search_attributes=search_attributes,
    )
    try:
        await answer(begun)
    except RPCError as error:
        raise rejected(error) from error


async def goes_on(client: Client, workflow_id: str) -> bool:
    """Whether a run goes on under an id, whoever may answer for it.

    Raises:
        NoAnswer: Temporal does not answer.
    """
    try:
        described = await answer(client.get_workflow_handle(workflow_id).describe())
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return described.status is WorkflowExecutionStatus.RUNNING


async def latest(client: Client, workflow_id: str, result: type[T]) -> tuple[WorkflowExecutionDescription, T | None]:
    """The latest run under an id, and its own result; None where it did not complete.

    The result is that of the run that was described: a run that has begun meanwhile has none for days.

    Raises:
        NoAnswer: Temporal does not answer.
        RPCError: there is no such run.
        ValueError, KeyError, RuntimeError: its result is of another kind.
    """
    last = await answer(client.get_workflow_handle(workflow_id).describe())
    if last.status is not WorkflowExecutionStatus.COMPLETED:
        return last, None
    run = client.get_workflow_handle(workflow_id, run_id=last.run_id, result_type=result)
    return last, await answer(run.result())


def rejected(error: RPCError) -> Exception:
    """The error of a run or message that Temporal does not take; any other error as it is.

    A run takes so many signals and no more; the next run, moments away, takes as many again.
    """
    if error.status is RPCStatusCode.INVALID_ARGUMENT and "limit for signal events" in error.message:
        return NoAnswer("The run takes nothing more at the moment. Try again in a moment.")
    if error.status is RPCStatusCode.INVALID_ARGUMENT:
        return Rejected(f"Temporal does not take this: {error.message}")
    return error


async def ask_for(
    client: Client,
    workflow_id: str,
    query: str,
    result: type[T],
    *,
    what: str,
    arg: str | None = None,
    patience: float | None = None,
) -> T | None:
    """Ask the latest run under an id a question that may have no answer yet.

    Args:
        client: connected to the deals' namespace.
        workflow_id: of the run.
        query: name of the question.
        result: type of the answer.
        what: how a person calls what is asked, e.g. ``Deal Q-1001``.
        arg: argument of the question; None: it has none.
        patience: seconds; None: the five that every call has.

    Raises:
        NotFound: there is no such run.
        NoAnswer: Temporal or every worker is down.
        Unreadable: the run cannot answer, or answers something else.
    """
    handle = client.get_workflow_handle(workflow_id)
    args: list[Any] = [] if arg is None else [arg]
    try:
        return await answer(handle.query(query, args=args, result_type=result), patience)
    except NoAnswer as error:
        raise NoAnswer(
            f"No worker responds, so {what} cannot be read. What is decided meanwhile is kept and done later."
        ) from error
    except KeyMissing as error:
        raise Unreadable(f"{what} cannot be read: it was {error}.") from error
    except PayloadRefused as error:
        raise Unreadable(f"{what} cannot be read: what answered is no worker of ours. {error}") from error
    except WorkflowQueryFailedError as error:
        if ASK_AGAIN in str(error):
            raise NoAnswer(f"{what} is changing. Try again in a moment.") from error
        why = "a worker failed to answer, its log says why" if str(error) == SEALED_FAILURE else str(error)
        raise Unreadable(f"{what} cannot be read: {why}. Try again in a moment.") from error
    except RPCError as error:
        if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
            raise NotFound(f"{what} not found.") from error
        if error.status is RPCStatusCode.FAILED_PRECONDITION:
            raise NoAnswer(f"No worker has taken up {what} yet. Try again in a moment.") from error
        raise
    except (ValueError, KeyError, RuntimeError) as error:
        raise Unreadable(f"{what} cannot be read: what runs under its id gave an answer of another kind.") from error


async def ask(
    client: Client, workflow_id: str, query: str, result: type[T], *, what: str, patience: float | None = None
) -> T:
    """Ask a run a question that it can always answer. Takes and raises as ``ask_for``."""
    found = await ask_for(client, workflow_id, query, result, what=what, patience=patience)
    if found is None:
        raise Unreadable(f"{what} cannot be read: what runs under its id has no {query}.")
    return found
