"""Who decides in whose place in one company: an entity that lives forever, as the credit ledgers do.

Approvers say so themselves, an administrator for others: signed messages, checked, judged by the table of rights, and
written to the audit, taken or refused. Requests for approval read the delegations just before they ask somebody. Every
memory is bounded; what is over falls out.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import timedelta
from hashlib import sha256
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.delegation_signatures import Approvers, Delegating, DelegationActivities, OfCompany
    from domain.audit import CODE, WORDS, AuditKind, AuditRecord, Outbox
    from domain.calendar import local_date
    from domain.delegation_start import DelegationsStart
    from domain.delegations import (
        Delegation,
        Delegations,
        DelegationVerdict,
        said_to_delegations,
        to_is_requester,
    )
    from domain.heard import Heard, content_digest
    from domain.messages import Outcome, SignedMessage, VerifiedMessage
    from domain.refusals import Refusal
    from runs import names
    from workflows.audit import deliver_apart
    from workflows.hearing import Counting, hear, is_long_enough
    from workflows.proof import AT_ONCE, verify
    from workflows.steps import URGENT

KEPT = 300
"""Outcomes of messages that are kept."""
LONGEST_DETAIL = 500
WRITTEN_DOWN = 20
"""Messages without proof that are written to the audit in one run; of more only their number is kept."""
LONGEST_LOOK = timedelta(seconds=20)
"""How long it is tried to learn whether a delegate made what waits for who delegates."""
MOST_UNHEARD = 500
"""Messages that wait to be heard; what comes beyond them is counted and dropped, so that none can fill a run."""
UNPROVED = "unproved"
REPEATED = "repeated"
DROPPED_FULL = "full"
SHOWN = 50


@workflow.defn(name=names.DELEGATIONS)
class CompanyDelegations(Counting):
    """The delegations of one company's approvers."""

    @workflow.init
    def __init__(self, start: DelegationsStart) -> None:
        """Make the state before the first message is handled."""
        self._start = start
        self._now = start.delegations
        self._outcomes = OrderedDict((outcome.message_id, outcome) for outcome in start.outcomes)
        self._heard = Heard(start.heard)
        self._unheard: list[SignedMessage] = list(start.unheard)
        self._tally = dict(start.tally)
        self._unproved = 0
        self._records = 0
        self._something = False

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
                workflow.continue_as_new(
                    self._start.model_copy(
                        update={
                            "delegations": self._now,
                            "outcomes": tuple(self._outcomes.values()),
                            "heard": self._heard.kept,
                            "unheard": tuple(self._unheard),
                            "tally": self._tally,
                        }
                    )
                )

    def _long_enough(self) -> bool:
        return is_long_enough(heard=self._something) and len(self._unheard) <= AT_ONCE

    async def _hear_some(self) -> None:
        some = self._unheard[:AT_ONCE]
        verified = await verify(some, audiences=(workflow.info().workflow_id,), company=self._start.company)
        approvers = await self._approvers()
        for message, said in zip(some, verified, strict=True):
            await self._take(message, said, approvers)
        del self._unheard[: len(some)]

    async def _approvers(self) -> Approvers:
        """Who may delegate and be delegated to, by the policy in force now: what is refused by an old one is wrong."""
        return await workflow.execute_activity_method(
            DelegationActivities.read_approvers,
            OfCompany(company=self._start.company),
            start_to_close_timeout=timedelta(seconds=10),
            retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=10)),
            summary="Who decides approvals in this company",
            priority=URGENT,
        )

    async def _take(self, message: SignedMessage, said: VerifiedMessage, approvers: Approvers) -> None:
        """Hear a message, unless it was heard before; what is not proved takes no id from what is."""
        now = workflow.now()
        if not said.refused:
            refusal = self._heard.take(said, now)
            if refusal is not None:
                self._count(REPEATED)
                if refusal is Refusal.TOO_MANY_REQUESTS:
                    self._settle(Outcome(message_id=said.message_id, accepted=False, code=refusal))
                return
        today = local_date(now, approvers.timezone)
        verdict = said_to_delegations(self._now, said, approvers.people, today=today, now=now)
        if verdict.new is not None and (made := await self._made_by_delegate(verdict.new)):
            verdict = to_is_requester(self._now, made)
        self._now = verdict.after.kept_on(today)
        if said.refused:
            self._count(UNPROVED)
            self._unproved += 1
            if said.message_id in self._outcomes:
                return
        self._settle(_outcome(said, verdict))
        if not said.refused or self._unproved <= WRITTEN_DOWN:
            await self._write_down(message, said, verdict)

    async def _made_by_delegate(self, new: Delegation) -> str:
        """The number of a quote that waits for who delegates and that their delegate made; empty where there is none.

        Where the requests cannot be read it is empty as well: each of them asks nobody who made its quote.
        """
        try:
            found = await workflow.execute_activity_method(
                DelegationActivities.find_made_quote,
                Delegating(company=self._start.company, of=new.of, to=new.to),
                start_to_close_timeout=timedelta(seconds=15),
                schedule_to_close_timeout=LONGEST_LOOK,
                retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=5)),
                summary="Whether the delegate made what waits",
                priority=URGENT,
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.warning("open requests cannot be read: %s", error.cause)
            return ""
        return found.quote_number

    async def _write_down(self, message: SignedMessage, said: VerifiedMessage, verdict: DelegationVerdict) -> None:
        """Have it stored by a process of its own, which tries for as long as it takes."""
        self._records += 1
        record_id = names.delegation_record_id(self._start.company, workflow.info().run_id, self._records)
        taken = verdict.code is None
        record = AuditRecord(
            record_id=record_id,
            n=1,
            company=self._start.company[:CODE],
            kind=AuditKind.DECISION if taken else AuditKind.REFUSAL,
            event=said.name[:CODE] or "delegate",
            at=workflow.now(),
            actor=said.person.named,
            what=(verdict.text if taken else verdict.detail)[:WORDS],
            why=str(said.args.get("reason") or "")[:WORDS],
            code=(verdict.code or "")[:CODE],
            policy_version=said.granted.policy_version[:CODE],
            envelope_id=message.message_id[:CODE],
            envelope_hash=sha256(message.token.encode()).hexdigest(),
            facts={name: value[:CODE] for name, value in said.sign_in.facts().items()},
        )
        await deliver_apart(Outbox(pending=(record,)), record_id, "An audit record of who decides for whom")

    def _settle(self, outcome: Outcome) -> None:
        self._outcomes[outcome.message_id] = outcome
        while len(self._outcomes) > KEPT:
            self._outcomes.popitem(last=False)

    def _describe(self) -> None:
        entries = self._now.entries
        lines = [f"**Delegations in {self._start.company.upper()}**: {len(entries)}", ""]
        if entries:
            lines += ["| who is asked | for | from | to |", "|---|---|---|---|"]
            lines += [f"| {e.to.label} | {e.of.label} | {e.first} | {e.last} |" for e in entries[:SHOWN]]
        workflow.set_current_details("\n".join(lines))

    # Messages and queries

    @workflow.signal(name=names.COMMAND, description="A signed message of a person: delegate, or end a delegation")
    def command(self, *message: Any) -> None:
        """Take a signed message; its outcome is read back by the query ``outcome``."""
        hear(message, SignedMessage, self._keep, self._count)

    def _keep(self, message: SignedMessage) -> None:
        if len(self._unheard) >= MOST_UNHEARD:
            self._count(DROPPED_FULL)
        else:
            self._unheard.append(message)

    @workflow.query(name=names.STATE, description="Who decides for whom, from when to when")
    def state(self) -> Delegations:
        """The delegations as they stand."""
        return self._now

    @workflow.query(name=names.OUTCOME, description="What became of a message, by its id")
    def outcome(self, message_id: str) -> Outcome | None:
        """What became of a message; None while it is not known."""
        return self._outcomes.get(message_id)


def _outcome(said: VerifiedMessage, verdict: DelegationVerdict) -> Outcome:
    digest = "" if said.refused else content_digest(said.person.oid, said.name, said.args)
    taken = verdict.code is None
    return Outcome(
        message_id=said.message_id,
        accepted=taken,
        code=verdict.code or "",
        detail=(verdict.text if taken else verdict.detail)[:LONGEST_DETAIL],
        digest=digest,
    )
