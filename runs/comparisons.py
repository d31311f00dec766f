"""The one way to begin a comparison of both systems' records, and to ask how far one is."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TypeVar

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleCalendarSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
    ScheduleUpdate,
    WorkflowFailureError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from domain.entities.comparison_run import CompareStart
from domain.entities.comparison_view import ComparisonView
from domain.entities.initial import InitialStart
from runs import attributes, names, query
from runs.calls import NotFound, Unreadable, answer, ask, background, listed, rejected
from runs.codec import Addressed, start_of

View = TypeVar("View")
LONGEST = timedelta(hours=24)
"""After which a comparison that nobody could carry out ends by itself, so that the next one begins."""
CATCH_UP = timedelta(hours=6)
"""How late a comparison of the night may begin, after Temporal was away."""


class Comparisons:
    """Comparisons of both systems' records."""

    def __init__(self, client: Client) -> None:
        """Reach them through a connected client."""
        self._client = client

    async def begin(self, start: CompareStart, day: date) -> str:
        """Begin a comparison, or join the one of the same day that goes on; its workflow id.

        Raises:
            NoAnswer: Temporal does not answer.
            Rejected: Temporal takes no such run.
        """
        workflow_id = names.comparison_id(start.entity, start.company, day.isoformat())
        summary = f"{start.entity} of {start.company.upper()} in both systems"
        return await begun(self._client, names.COMPARISON, start, workflow_id, summary)

    async def running(self, entity: str, company: str) -> str:
        """Workflow id of a comparison of an entity in a company that goes on, whoever began it; empty: none does.

        Raises:
            NoAnswer: Temporal does not answer.
        """
        begins = names.nightly_id(entity, company)
        asked = query.all_of(query.of_type(names.COMPARISON), query.RUNNING, query.id_begins(begins))
        async for run in listed(self._client, asked):
            if run.id.startswith((f"{begins}/", f"{begins}-")):
                return run.id
        return ""

    async def view(self, workflow_id: str) -> ComparisonView:
        """How far a comparison is.

        Raises:
            NotFound: there is none.
            NoAnswer: Temporal or every worker is down.
            Unreadable: what runs under the id is not ours.
        """
        return await ask(self._client, workflow_id, names.STATE, ComparisonView, what=f"Comparison {workflow_id}")

    async def result(self, workflow_id: str) -> ComparisonView:
        """What a comparison came to, as soon as it has ended.

        Raises:
            Unreadable: it failed; the text says why.
            NotFound: there is none.
        """
        return await ended(self._client, workflow_id, ComparisonView, "comparison")

    # Every night

    async def nightly(self, start: CompareStart, hour: int, minute: int, timezone: str) -> None:
        """Compare every night at a time of a time zone; what was said before of the same is replaced.

        Raises:
            NoAnswer: Temporal does not answer.
        """
        plan = Schedule(
            action=ScheduleActionStartWorkflow(
                names.COMPARISON,
                # A client marks what it starts itself; what a schedule starts is marked here.
                Addressed(start_of(names.COMPARISON), start),
                id=names.nightly_id(start.entity, start.company),
                task_queue=names.DEAL_QUEUE,
                priority=background(start.company),
                execution_timeout=LONGEST,
                static_summary=f"{start.entity} of {start.company.upper()} in both systems, every night",
                typed_search_attributes=attributes.typed({attributes.COMPANY: start.company}),
            ),
            spec=ScheduleSpec(
                calendars=[ScheduleCalendarSpec(hour=[ScheduleRange(hour)], minute=[ScheduleRange(minute)])],
                time_zone_name=timezone,
            ),
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=CATCH_UP),
        )
        schedule_id = names.nightly_id(start.entity, start.company)
        try:
            await answer(self._client.create_schedule(schedule_id, plan))
        except ScheduleAlreadyRunningError:
            handle = self._client.get_schedule_handle(schedule_id)
            await answer(handle.update(lambda _: ScheduleUpdate(schedule=plan)))

    async def stop_nightly(self, start: CompareStart) -> bool:
        """Compare every night no more; False where nobody did.

        Raises:
            NoAnswer: Temporal does not answer.
        """
        handle = self._client.get_schedule_handle(names.nightly_id(start.entity, start.company))
        try:
            await answer(handle.delete())
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return True


async def begun(
    client: Client, workflow: str, start: CompareStart | InitialStart, workflow_id: str, summary: str
) -> str:
    """Begin a run that reads both systems in the background, or join the one that goes on; its workflow id.

    Raises:
        Rejected: Temporal does not begin it.
        NoAnswer: Temporal does not answer.
    """
    beginning = client.start_workflow(
        workflow,
        start,
        id=workflow_id,
        task_queue=names.DEAL_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        priority=background(start.company),
        execution_timeout=LONGEST,
        static_summary=summary,
        search_attributes=attributes.typed({attributes.COMPANY: start.company}),
    )
    try:
        await answer(beginning)
    except RPCError as error:
        raise rejected(error) from error
    return workflow_id


async def ended(client: Client, workflow_id: str, kind: type[View], what: str) -> View:
    """What such a run came to, as soon as it has ended; ``what`` it is in the words of its errors.

    Raises:
        Unreadable: it failed; the text says why.
        NotFound: there is none.
    """
    handle = client.get_workflow_handle(workflow_id, result_type=kind)
    try:
        done: View = await handle.result()
    except WorkflowFailureError as error:
        raise Unreadable(f"The {what} failed: {reason(error)}") from error
    except RPCError as error:
        raise NotFound(f"{what.capitalize()} {workflow_id} not found.") from error
    return done


def reason(error: BaseException) -> str:
    """What an activity said: the errors around it only say that something did, and those below it are sealed."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, ApplicationError):
        found = found.__cause__
    return found.message if found is not None else str(error.__cause__ or error)
