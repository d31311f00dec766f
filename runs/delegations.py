"""The one way to reach a company's delegations: read them, tell them what a person delegates."""

from __future__ import annotations

from temporalio.client import Client
from temporalio.common import Priority

from domain.delegation_start import DelegationsStart
from domain.delegations import Delegations
from domain.messages import Outcome, SignedMessage
from runs import names, outcomes
from runs.calls import NoAnswer, NotFound, ask, begin_or_tell


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
        try:
            await begin_or_tell(
                self._client,
                names.DELEGATIONS,
                DelegationsStart(company=company),
                workflow_id,
                names.COMMAND,
                message,
                priority=Priority(fairness_key=company),
                summary=f"Who decides for whom in {company.upper()}",
            )
        except NoAnswer as error:
            raise NoAnswer(
                "Temporal does not respond, so this was not recorded. Send it again in a moment; it counts once."
            ) from error
        return await outcomes.awaited(self._client, workflow_id, message.message_id, what=_called(company))

    async def outcome(self, company: str, message_id: str) -> Outcome | None:
        """What became of a message, if it was heard. Raises as ``runs.calls.ask_for``."""
        return await outcomes.known(self._client, names.delegations_id(company), message_id, what=_called(company))


def _called(company: str) -> str:
    return f"Who decides for whom in {company.upper()}"
