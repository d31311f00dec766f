"""A company's delegations: signed, checked, bounded, in the audit, and the same after a new run."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.delegations import DelegationReading
from domain.approvals import ApprovalState, StepState, StepStatus
from domain.audit import AuditKind
from domain.delegation_start import DelegationsStart
from domain.delegations import Delegations
from domain.messages import Outcome, SignedMessage
from domain.people import Person
from runs import names
from runs.approvals import Approvals
from runs.calls import NoAnswer
from runs.delegations import DelegationDesk
from tests.deadlines import PATIENCE
from tests.rights import POLICY, naming
from tests.unit.domain.makers import discounted, plan, priced, request
from tests.workflows.conftest import World, queues_of_its_own
from tests.workflows.replaying import replays
from tests.workflows.scripted_desks import ScriptedAudit
from tests.workflows.trusting import ROLES, TrustingVerifier
from workers.worker import workflow_runner
from workflows.audit import AuditDelivery
from workflows.delegations import CompanyDelegations

DIRK, DREW, ADA, RITA = (Person(oid=f"oid-{name}", name=name) for name in ("dirk", "drew", "ada", "rita"))
RULES = naming(("sales_director", DIRK), ("sales_director", DREW), policy=POLICY)


class OpenRequests(Approvals):
    """The open requests of the company; None: Temporal does not tell them."""

    found: tuple[ApprovalState, ...] | None = ()

    async def open_in(self, company: str) -> tuple[ApprovalState, ...]:
        if self.found is None:
            raise NoAnswer("Temporal does not respond")
        return self.found


class Company:
    """The delegations of a company of its own, on a worker of its own."""

    def __init__(self, environment: WorkflowEnvironment, world: World) -> None:
        self.client, self.world = environment.client, world
        self.desk = DelegationDesk(self.client)
        self.requests = OpenRequests(self.client)
        self.run: WorkflowHandle[Any, Any] = self.client.get_workflow_handle(names.delegations_id("usmf"))

    async def say(self, person: Person, name: str, message_id: str = "", **args: str) -> Outcome | None:
        rest = ";".join(f"{key}={value}" for key, value in args.items())
        token = f"{person.oid}|{name}|{rest}"
        return await self.desk.tell("usmf", SignedMessage(message_id=message_id or str(uuid.uuid4()), token=token))

    async def counted(self, **expected: int) -> None:
        """Wait until so much was counted of each kind."""
        async with asyncio.timeout(PATIENCE):
            while (await self.run.query(names.TALLY)) != expected:
                await asyncio.sleep(0.05)

    def worker(self) -> Worker:
        reading = DelegationReading(self.desk, self.requests, RULES)
        return Worker(
            self.client,
            task_queue=names.DEAL_QUEUE,
            workflows=[CompanyDelegations, AuditDelivery],
            activities=[
                TrustingVerifier().verify_messages,
                ScriptedAudit(self.world).record_audit,
                reading.read_approvers,
                reading.read_delegations,
                reading.find_made_quote,
            ],
            workflow_runner=workflow_runner(),
        )


@pytest.fixture
async def company(
    environment: WorkflowEnvironment, world: World, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Company]:
    queues_of_its_own(monkeypatch)
    monkeypatch.setitem(ROLES, ADA.oid, "admin")
    monkeypatch.setitem(ROLES, DREW.oid, "sales_director.usmf")
    suffix = uuid.uuid4().hex[:8]
    monkeypatch.setattr(names, "delegations_id", lambda company: f"delegations/{company}-{suffix}")
    place = Company(environment, world)
    async with place.worker():
        yield place
    await replays(environment.client, (names.DELEGATIONS,))
    await place.run.terminate()


def days(first: int = 0, last: int = 7) -> dict[str, str]:
    today = datetime.now(UTC).date()
    return {"first": str(today + timedelta(days=first)), "last": str(today + timedelta(days=last))}


async def code(answer: Outcome | None) -> str:
    assert answer is not None
    return answer.code


async def test_an_approver_delegates_and_the_audit_knows_and_it_ends(company: Company) -> None:
    assert await company.desk.read("usmf") == Delegations(), "nobody ever delegated"
    assert not await code(await company.say(DIRK, "delegate", to=DREW.oid, reason="holiday", **days()))
    (entry,) = (await company.desk.read("usmf")).entries
    assert (entry.of.name, entry.to.name, entry.set_by.name) == ("dirk", "drew", "dirk")
    assert await code(await company.say(DREW, "delegate", to=DIRK.oid, **days())) == "LOOP"
    assert not await code(await company.say(DIRK, "end_delegation"))
    assert await company.desk.read("usmf") == Delegations()
    async with asyncio.timeout(PATIENCE):
        while len(company.world.audited) < 3:
            await asyncio.sleep(0.05)
    found = {record.event: record for record in company.world.audited if record.kind is AuditKind.DECISION}
    assert set(found) == {"delegate", "end_delegation"}
    assert found["delegate"].what.startswith("drew decides for dirk from ")
    assert (found["delegate"].why, found["delegate"].actor.name, found["delegate"].deal_id) == ("holiday", "dirk", "")
    (refused,) = [record for record in company.world.audited if record.kind is AuditKind.REFUSAL]
    assert (refused.code, refused.actor.name) == ("LOOP", "drew")
    assert len({record.record_id for record in company.world.audited}) == 3


async def test_the_delegations_themselves_ask_whether_the_delegate_made_what_waits(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that comes by another way than the site is refused as well."""
    waits = request(plan(priced(discounted("P250", 100, 22))), requester="dirk")
    waits = waits.model_copy(update={"requester": DREW, "quote_number": "Q-7"})
    step = StepState(plan=waits.plan.steps[0], status=StepStatus.PENDING, assignees=(DIRK,))
    company.requests.found = (ApprovalState(request=waits, steps=(step,)),)
    refused = await company.say(DIRK, "delegate", to=DREW.oid, **days())
    assert refused is not None
    assert (refused.code, refused.detail.endswith("It is Q-7.")) == ("TO_IS_REQUESTER", True)
    by_admin = await company.say(ADA, "delegate_for", of=DIRK.oid, to=DREW.oid, **days())
    assert await code(by_admin) == "TO_IS_REQUESTER"
    assert await company.desk.read("usmf") == Delegations()
    assert not await code(await company.say(DREW, "delegate", to=DIRK.oid, **days())), "he made nothing"
    assert not await code(await company.say(DREW, "end_delegation"))
    company.requests.found = None
    monkeypatch.setattr("workflows.delegations.LONGEST_LOOK", timedelta(seconds=1))
    assert not await code(await company.say(DIRK, "delegate", to=DREW.oid, **days())), "nothing hangs on the look"


async def test_who_may_not_delegate_and_what_is_not_proved_changes_nothing(company: Company) -> None:
    assert await code(await company.say(RITA, "delegate", to=DREW.oid, **days())) == "NO_AUTHORITY"
    assert await code(await company.say(DIRK, "delegate", to=RITA.oid, **days())) == "NO_AUTHORITY"
    assert await code(await company.say(DIRK, "delegate_for", of=DREW.oid, to=DIRK.oid, **days())) == "NO_AUTHORITY"
    assert await code(await company.say(DIRK, "delegate", to=DREW.oid, **days(-9, -8))) == "BAD_ARGUMENT"
    assert await code(await company.say(DIRK, "sing")) == "UNKNOWN_COMMAND"
    unproved = await company.desk.tell("usmf", SignedMessage(message_id="forged", token="nonsense"))
    assert await code(unproved) == "UNAUTHENTICATED"
    assert await company.desk.read("usmf") == Delegations()
    assert not await code(await company.say(ADA, "delegate_for", of=DREW.oid, to=DIRK.oid, **days()))
    assert not await code(await company.say(ADA, "end_delegation_for", of=DREW.oid))
    await company.run.signal(names.COMMAND, "nonsense")
    await company.run.signal("unheard of", "anything")
    await company.counted(unproved=1, unreadable=1, unknown=1)


async def test_the_same_message_counts_once_and_survives_a_new_run(company: Company) -> None:
    first = await company.say(DIRK, "delegate", "m-1", to=DREW.oid, **days())
    assert first is not None and first.accepted
    again = await company.say(DIRK, "delegate", "m-1", to=DREW.oid, **days())
    assert again == first
    await company.counted(repeated=1)
    start = DelegationsStart(
        company="usmf",
        delegations=await company.desk.read("usmf"),
        outcomes=(first,),
        tally={"repeated": 1},
    )
    await company.run.terminate()
    await company.client.start_workflow(names.DELEGATIONS, start, id=company.run.id, task_queue=names.DEAL_QUEUE)
    assert len((await company.desk.read("usmf")).entries) == 1
    assert await company.desk.outcome("usmf", "m-1") == first


async def test_delegations_that_are_over_fall_out(company: Company) -> None:
    today = datetime.now(UTC).date()
    await company.say(DIRK, "delegate", to=DREW.oid, **days(0, 0))
    book = await company.desk.read("usmf")
    assert [entry.last for entry in book.entries] >= [today - timedelta(days=1)]
    assert book.kept_on(today + timedelta(days=3)) == Delegations()
