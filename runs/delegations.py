"""The one way to reach a company's delegations: read them, tell them what a person delegates."""

from __future__ import annotations

from temporalio.client import Client
from temporalio.common import Priority, WorkflowIDConflictPolicy
from temporalio.service import RPCError

from domain.delegation_start import DelegationsStart
from domain.delegations import Delegations
from domain.messages import Outcome, SignedMessage
from runs import names, outcomes
from runs.calls import NoAnswer, NotFound, answer, ask, rejected


class DelegationDesk:
    """The delegations of all companies."""

    def __init__(self, client: Client) -> None:
        """Reach them through ``client``, connected to the deals' namespace."""
        self._client = client

    async def read(self, company: str) -> Delegations:
        """The delegations of a company; none where nobody ever delegated.

        Raises:
            NoAnswer: Temporal or every worker is down.
            Unreadable: what runs under the id is not ours.
        """
        workflow_id = names.delegations_id(company)
        try:
            return await ask(self._client, workflow_id, names.STATE, Delegations, what=_called(company))
        except NotFound:
            return Delegations()

    async def tell(self, company: str, message: SignedMessage) -> Outcome | None:
        """Pass on what a person signed; the company's delegations begin to run where they do not yet.

        Returns:
            What became of it; None where it is recorded but not known within five seconds.

        Raises:
            NoAnswer: Temporal is down and nothing was recorded.
        """
        workflow_id = names.delegations_id(company)
        begun = self._client.start_workflow(
            names.DELEGATIONS,
            DelegationsStart(company=company),
            id=workflow_id,
            task_queue=names.DEAL_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            start_signal=names.COMMAND,
            start_signal_args=[message],
            priority=Priority(fairness_key=company),
            static_summary=f"Who decides for whom in {company.upper()}",
        )
        try:
            await answer(begun)
        except NoAnswer as error:
            raise NoAnswer(
                "Temporal does not respond, so this was not recorded. Send it again in a moment; it counts once."
            ) from error
        except RPCError as error:
            raise rejected(error) from error
        return await outcomes.awaited(self._client, workflow_id, message.message_id, what=_called(company))

    async def outcome(self, company: str, message_id: str) -> Outcome | None:
        """What became of a message, if it was heard. Raises as ``runs.calls.ask_for``."""
        return await outcomes.known(self._client, names.delegations_id(company), message_id, what=_called(company))


def _called(company: str) -> str:
    return f"Who decides for whom in {company.upper()}"
