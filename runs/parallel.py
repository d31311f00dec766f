"""The one way to begin a company's parallel run, to see how it stands, and to pass on who ends it."""

from __future__ import annotations

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError

from domain.entities.parallel_run import ParallelStart, ParallelView
from domain.messages import Outcome, SignedMessage
from runs import attributes, names, outcomes
from runs.calls import NotFound, answer, ask, background, rejected


class ParallelRuns:
    """The parallel runs of all companies."""

    def __init__(self, client: Client) -> None:
        """Reach them through ``client``, connected to the deals' namespace."""
        self._client = client

    async def begin(self, company: str) -> None:
        """Begin one; one that goes on is left alone.

        Raises:
            NoAnswer: Temporal does not answer.
            Rejected: Temporal takes no such run.
        """
        begun = self._client.start_workflow(
            names.PARALLEL,
            ParallelStart(company=company),
            id=names.parallel_id(company),
            task_queue=names.DEAL_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            priority=background(company),
            static_summary=_called(company),
            search_attributes=attributes.typed({attributes.COMPANY: company}),
        )
        try:
            await answer(begun)
        except RPCError as error:
            raise rejected(error) from error

    async def read(self, company: str) -> ParallelView | None:
        """How one stands, or how it ended; None where there is none.

        Raises:
            NoAnswer: Temporal or every worker is down.
            Unreadable: what runs under the id is not ours.
        """
        workflow_id = names.parallel_id(company)
        try:
            return await ask(self._client, workflow_id, names.STATE, ParallelView, what=_called(company))
        except NotFound:
            return None

    async def outcome(self, company: str, message_id: str) -> Outcome | None:
        """What became of a message; None where it is not known. Raises as ``read``."""
        workflow_id = names.parallel_id(company)
        return await outcomes.known(self._client, workflow_id, message_id, what=_called(company))

    async def tell(self, company: str, message: SignedMessage) -> Outcome | None:
        """Pass on what a person signed; what became of it, None where it is not known within five seconds.

        Raises:
            NoAnswer: Temporal is down and nothing was recorded.
            NotFound: no parallel run of the company goes on.
        """
        workflow_id = names.parallel_id(company)
        if not await outcomes.send(self._client, workflow_id, names.COMMAND, message):
            raise NotFound(f"No parallel run of {company.upper()} goes on.")
        return await outcomes.awaited(self._client, workflow_id, message.message_id, what=_called(company))


def _called(company: str) -> str:
    return f"Records of {company.upper()} in both systems, every night"
