"""Reads who decides in whose place, for requests that are about to ask somebody."""

from __future__ import annotations

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.delegation_signatures import (
    Approvers,
    Delegating,
    DelegationActivities,
    DelegationChecks,
    MadeQuote,
    OfCompany,
)
from activities.delivery import temporal_failures
from activities.signatures import FailureType
from domain.delegations import Delegations, made_quote
from domain.policy import Policy, PolicyError
from runs.approvals import Approvals
from runs.calls import Unreadable
from runs.delegations import DelegationDesk


class DelegationReading(DelegationActivities, DelegationChecks):
    """Asks the run that keeps a company's delegations, its open requests, and the policy who approves there."""

    def __init__(self, desk: DelegationDesk, approvals: Approvals, policy: Policy) -> None:
        """Ask through ``desk`` and ``approvals``; ``policy`` names the approvers."""
        self._desk = desk
        self._approvals = approvals
        self._policy = policy

    @activity.defn(name="read_delegations")
    async def read_delegations(self, ask: OfCompany) -> Delegations:
        """The delegations of a company as they stand; none where nobody ever delegated."""
        try:
            with temporal_failures():
                return await self._desk.read(ask.company)
        except Unreadable as error:
            raise ApplicationError(error.detail, type=FailureType.REFUSED, non_retryable=True) from error

    @activity.defn(name="read_approvers")
    async def read_approvers(self, ask: OfCompany) -> Approvers:
        """Who may delegate and be delegated to, by the policy in force."""
        try:
            timezone = self._policy.calendar(ask.company).timezone
        except PolicyError:  # no company of ours: it has no approvers either
            timezone = "UTC"
        return Approvers(people=self._policy.approvers(ask.company), timezone=timezone)

    @activity.defn(name="find_made_quote")
    async def find_made_quote(self, ask: Delegating) -> MadeQuote:
        """A quote that waits for who delegates, and was made by who would be asked in their place."""
        with temporal_failures():
            requests = await self._approvals.open_in(ask.company)
        return MadeQuote(quote_number=made_quote(requests, ask.of, ask.to, self._policy.approvers(ask.company)))
