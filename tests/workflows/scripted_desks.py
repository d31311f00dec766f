"""The product's own desks as a test has scripted them: the audit, messages to people, and who stands in for whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities import delegation_signatures as delegated
from activities import signatures as s
from activities.notice_signatures import TellingActivities
from domain.audit import AuditBatch, AuditReceipt
from domain.delegations import Delegations
from domain.notices import Notices

if TYPE_CHECKING:
    from tests.workflows.conftest import World


class ScriptedAudit(s.AuditActivities):
    """Keeps what a deal hands over, unless the store is away."""

    def __init__(self, world: World) -> None:
        self.world = world

    @activity.defn(name="record_audit")
    async def record_audit(self, batch: AuditBatch) -> AuditReceipt:
        if "record_audit" in self.world.held:
            await self.world.held["record_audit"].wait()
        if self.world.audit_away:
            raise ApplicationError("the audit store does not answer", type=s.FailureType.TRANSIENT)
        self.world.audited.extend(batch.records)
        if self.world.audit_answers_lost > 0:
            self.world.audit_answers_lost -= 1
            raise ApplicationError("the answer was lost", type=s.FailureType.TRANSIENT)
        return AuditReceipt(through=batch.records[-1].n, stored=len(batch.records))


class ScriptedNotices(TellingActivities):
    """Keeps what people are told."""

    def __init__(self, world: World) -> None:
        self.world = world

    @activity.defn(name="tell_people")
    async def tell_people(self, notices: Notices) -> s.Nothing:
        await self.world.ask("tell_people", notices)
        if self.world.nobody_told > 0:
            self.world.nobody_told -= 1
            raise ApplicationError("Temporal does not answer", type=s.FailureType.TRANSIENT)
        self.world.notices.extend(notices.notices)
        return s.Nothing()


class ScriptedDelegations(delegated.DelegationActivities):
    """Answers who stands in for whom."""

    def __init__(self, world: World) -> None:
        self.world = world

    @activity.defn(name="read_delegations")
    async def read_delegations(self, ask: delegated.OfCompany) -> Delegations:
        if self.world.delegations is None:
            raise ApplicationError("what runs there is none of ours", type=s.FailureType.REFUSED, non_retryable=True)
        return self.world.delegations
