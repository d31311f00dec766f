"""Who decides in whose place in one company: an entity that lives forever, as the credit ledgers do.

Approvers say so themselves, an administrator for others: signed messages, checked, judged by the table of rights, and
written to the audit, taken or refused. Requests for approval read the delegations just before they ask somebody. Every
memory is bounded; what is over falls out.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.delegation_signatures import Approvers, Delegating, DelegationChecks, OfCompany
    from domain.calendar import local_date
    from domain.delegation_start import DelegationsStart
    from domain.delegations import (
        Delegation,
        Delegations,
        said_to_delegations,
        to_is_requester,
    )
    from domain.messages import SignedMessage, VerifiedMessage
    from runs import names
    from workflows.spoken import SpokenTo
    from workflows.steps import URGENT, execute

LONGEST_LOOK = timedelta(seconds=20)
"""How long it is tried to learn whether a delegate made what waits for who delegates."""
SHOWN = 50


@workflow.defn(name=names.DELEGATIONS)
class CompanyDelegations(SpokenTo):
    """The delegations of one company's approvers."""

    @workflow.init
    def __init__(self, start: DelegationsStart) -> None:
        """Make the state before the first message is handled."""
        super().__init__(
            start.company, outcomes=start.outcomes, heard=start.heard, unheard=start.unheard, tally=start.tally
        )
        self._start = start
        self._now = start.delegations
        self._in_force: Approvers
        """Read anew for every few messages: what is refused by an old policy is wrong."""

    @workflow.run
    async def run(self, start: DelegationsStart) -> None:
        """Hear forever, one message after the other."""
        self._describe()
        while True:
            await workflow.wait_condition(lambda: bool(self._unheard) or self._long_enough())
            if self._unheard:
                await self._hear_some()
                self._something = True
                self._describe()
            if self._long_enough():
                workflow.continue_as_new(self._start.model_copy(update={"delegations": self._now, **self._spoken()}))

    async def _proved(self) -> list[tuple[SignedMessage, VerifiedMessage]]:
        messages = await super()._proved()
        self._in_force = await self._approvers()
        return messages

    async def _approvers(self) -> Approvers:
        """Who may delegate and be delegated to, by the policy in force now: what is refused by an old one is wrong."""
        return await execute(
            DelegationChecks.read_approvers,
            OfCompany(company=self._start.company),
            start_to_close_timeout=timedelta(seconds=10),
            retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=10)),
            summary="Who decides approvals in this company",
            priority=URGENT,
        )

    async def _take(self, message: SignedMessage, said: VerifiedMessage) -> None:
        now, approvers = workflow.now(), self._in_force
        today = local_date(now, approvers.timezone)
        verdict = said_to_delegations(self._now, said, approvers.people, today=today, now=now)
        if verdict.new is not None and (made := await self._made_by_delegate(verdict.new)):
            verdict = to_is_requester(self._now, made)
        self._now = verdict.after.kept_on(today)
        text = verdict.text if verdict.code is None else verdict.detail
        if self._answer(said, verdict.code, text):
            record_id = names.delegation_record_id(self._company, *self._next_record())
            event, of = said.name or "delegate", "who decides for whom"
            await self._write_said(message, said, verdict.code, text, record_id=record_id, event=event, of=of)

    async def _made_by_delegate(self, new: Delegation) -> str:
        """The number of a quote that waits for who delegates and that their delegate made; empty where there is none.

        Where the requests cannot be read it is empty as well: each of them asks nobody who made its quote.
        """
        try:
            found = await execute(
                DelegationChecks.find_made_quote,
                Delegating(company=self._start.company, of=new.of, to=new.to),
                start_to_close_timeout=timedelta(seconds=15),
                schedule_to_close_timeout=LONGEST_LOOK,
                retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=5)),
                summary="Whether the delegate made what waits",
                priority=URGENT,
            )
        except ActivityError as error:
            workflow.logger.warning("open requests cannot be read: %s", error.cause)
            return ""
        return found.quote_number

    def _describe(self) -> None:
        entries = self._now.entries
        lines = [f"**Delegations in {self._start.company.upper()}**: {len(entries)}", ""]
        if entries:
            lines += ["| who is asked | for | from | to |", "|---|---|---|---|"]
            lines += [f"| {e.to.label} | {e.of.label} | {e.first} | {e.last} |" for e in entries[:SHOWN]]
        workflow.set_current_details("\n".join(lines))

    # Messages and queries

    @workflow.query(name=names.STATE, description="Who decides for whom, from when to when")
    def state(self) -> Delegations:
        """The delegations as they stand."""
        return self._now
