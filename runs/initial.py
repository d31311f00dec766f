"""The one way to begin dry runs of initial syncs, and what carries out their plans, and to ask how they stand."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import NamedTuple

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.service import RPCError

from domain.entities.initial import InitialStart, InitialView, Writers, WritersStart
from domain.entities.initial_run import InitialRunStart, InitialRunView
from domain.messages import Outcome, SignedMessage
from runs import attributes, names, outcomes, query
from runs.calls import BACKGROUND, Unreadable, answer, ask, background, goes_on, rejected
from runs.comparisons import begun, ended, reason

MOST_LISTED = 50
ASKED_WITHIN = timedelta(minutes=2)


class ListedRun(NamedTuple):
    """A run as a list shows it."""

    workflow_id: str
    entity: str
    company: str
    began_at: datetime
    goes_on: bool
    failed: bool
    undoes: bool = False


class Initials:
    """Dry runs of initial syncs."""

    def __init__(self, client: Client) -> None:
        """Reach them through a connected client."""
        self._client = client

    async def begin(self, start: InitialStart) -> str:
        """Begin a dry run, or join the one of the same map that goes on; its workflow id.

        Raises:
            NoAnswer: Temporal does not answer.
            Rejected: Temporal takes no such run.
        """
        workflow_id = names.initial_id(start.entity, start.company, start.map_hash)
        summary = f"Dry run of the initial sync: {start.entity} of {start.company.upper()}"
        return await begun(self._client, names.INITIAL, start, workflow_id, summary)

    async def view(self, workflow_id: str, *, patience: float | None = None) -> InitialView:
        """How far a dry run is; ``patience`` in seconds.

        Raises:
            NotFound: there is none.
            NoAnswer: Temporal or every worker is down.
            Unreadable: what runs under the id is not ours.
        """
        what = f"Dry run {workflow_id}"
        return await ask(self._client, workflow_id, names.STATE, InitialView, what=what, patience=patience)

    async def result(self, workflow_id: str) -> InitialView:
        """What a dry run came to, as soon as it has ended.

        Raises:
            Unreadable: it failed; the text says why.
            NotFound: there is none.
        """
        return await ended(self._client, workflow_id, InitialView, "dry run")

    async def writers(self, start: WritersStart) -> Writers:
        """The maps that Dual-Write runs, as a worker is told.

        Raises:
            NoAnswer: Temporal does not answer.
            Unreadable: no worker asked in time, or it could not; the text says why.
        """
        asking = self._client.start_workflow(
            names.WRITERS,
            start,
            id=names.writers_id(uuid.uuid4().hex),
            task_queue=names.DEAL_QUEUE,
            priority=BACKGROUND,
            execution_timeout=ASKED_WITHIN,
            result_type=Writers,
            static_summary="Which maps Dual-Write runs",
        )
        try:
            handle = await answer(asking)
        except RPCError as error:
            raise rejected(error) from error
        try:
            found: Writers = await handle.result()
        except WorkflowFailureError as error:
            raise Unreadable(f"Which maps Dual-Write runs could not be asked: {reason(error)}") from error
        return found

    # What carries out plans

    async def say(self, start: InitialRunStart, message: SignedMessage, *, begins: bool) -> Outcome | None:
        """Pass on what a person signed.

        Args:
            start: which records.
            message: what was said.
            begins: whether a run begins where none goes on.

        Returns:
            What became of it; None where it is not known within five seconds.

        Raises:
            NotFound: no such run goes on.
            NoAnswer: Temporal is down and nothing was recorded.
        """
        workflow_id = _id_of(start.entity, start.company, undoes=start.undoes)
        what = _called(start.entity, start.company, undoes=start.undoes)
        return await outcomes.said(
            self._client,
            names.INITIAL_RUN,
            start,
            workflow_id,
            message,
            begins=begins,
            company=start.company,
            priority=background(start.company),
            what=what,
        )

    async def run_view(
        self, entity: str, company: str, *, undoes: bool = False, patience: float | None = None
    ) -> InitialRunView:
        """How the newest run stands, or the newest undo, or how it ended; ``patience`` in seconds.

        Raises:
            NotFound: there is none.
            NoAnswer: Temporal or every worker is down.
            Unreadable: what runs under the id is not ours.
        """
        workflow_id, what = _id_of(entity, company, undoes=undoes), _called(entity, company, undoes=undoes)
        return await ask(self._client, workflow_id, names.STATE, InitialRunView, what=what, patience=patience)

    async def goes_on(self, entity: str, company: str) -> bool:
        """Whether something carries out a plan now, or undoes that.

        Raises:
            NoAnswer: Temporal does not answer.
        """
        for undoes in (False, True):
            if await goes_on(self._client, _id_of(entity, company, undoes=undoes)):
                return True
        return False

    # Lists

    async def listed(self, companies: tuple[str, ...] | None, of_type: str) -> list[ListedRun]:
        """The newest runs, newest first, one of each entity and company, and one that undoes.

        Args:
            companies: whose; None: of all.
            of_type: ``names.INITIAL`` or ``names.INITIAL_RUN``.

        Raises:
            NoAnswer: Temporal does not answer.
        """
        conditions = [query.of_type(of_type), query.LATEST]
        if companies is not None:
            conditions.append(query.among(attributes.COMPANY, companies))
        rows = self._client.list_workflows(query.all_of(*conditions), page_size=MOST_LISTED)
        await answer(rows.fetch_next_page())
        found: dict[tuple[str, str, bool], ListedRun] = {}
        for row in rows.current_page or ():
            try:
                entity, company = names.parse_initial_id(row.id)
            except ValueError:
                continue  # somebody else's run under our type
            goes_on = row.status is WorkflowExecutionStatus.RUNNING
            failed = not goes_on and row.status is not WorkflowExecutionStatus.COMPLETED
            undoes = row.id == names.initial_undo_id(entity, company)
            begun = ListedRun(row.id, entity, company, row.start_time, goes_on, failed, undoes)
            found.setdefault((entity, company, undoes), begun)
        return list(found.values())


def _id_of(entity: str, company: str, *, undoes: bool) -> str:
    return (names.initial_undo_id if undoes else names.initial_run_id)(entity, company)


def _called(entity: str, company: str, *, undoes: bool) -> str:
    what = "Undo of the initial sync" if undoes else "Initial sync"
    return f"{what} of {entity} in {company.upper()}"
