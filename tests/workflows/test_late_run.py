"""A company's receiver of late reports: looks, exceptions, people, bounds, a new run, and the same on replay."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.client import WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.after_end_signatures import AfterEndActivities
from domain.after_end import EndedDeal, FoundAfterEnd, LateReport, LateView, LookAfterEnd, changed_documents
from domain.audit import AuditKind
from domain.causes import Cause
from domain.messages import FinanceEvent, FinanceEventKind, Outcome, SignedMessage
from domain.people import Person
from domain.views import Ending
from runs import names
from runs.after_end import AfterEndDesk
from tests.deadlines import PATIENCE
from tests.workflows.conftest import World, queues_of_its_own
from tests.workflows.replaying import replays
from tests.workflows.scripted_desks import ScriptedAudit, ScriptedNotices
from tests.workflows.trusting import ROLES, TrustingVerifier
from workers.worker import workflow_runner
from workflows import spoken
from workflows.after_end import AfterEnd
from workflows.audit import AuditDelivery
from workflows.hearing import A_TURN

AMY, RITA = Person(oid="oid-amy", name="amy"), Person(oid="oid-rita", name="rita")


class ScriptedLooks(AfterEndActivities):
    """What Finance and Sales hold on deals that ended: so much is open on the one invoice of each."""

    def __init__(self) -> None:
        self.open: dict[str, str] = {}
        self.asked: list[LookAfterEnd] = []
        self.fail: list[ApplicationError] = []

    @activity.defn(name="look_after_end")
    async def look_after_end(self, look: LookAfterEnd) -> FoundAfterEnd:
        self.asked.append(look)
        if self.fail:
            raise self.fail.pop(0)
        left = self.open.get(look.quote_number)
        if left is None:
            return FoundAfterEnd(nothing=f"Temporal keeps no run of deal {look.quote_number} any more.")
        deal = EndedDeal(
            company=look.company,
            quote_number=look.quote_number,
            quote_id="1",
            order_number="SO-1",
            currency="USD",
            owner=RITA,
            ending=Ending.CLOSED,
            ended_at=datetime.now(UTC),
        )
        known, now = {"INV-1": Decimal(0)}, [("INV-1", Decimal(1100), Decimal(left), "USD")]
        documents = changed_documents(known, now)
        return FoundAfterEnd(deal=deal, known=known, documents=documents, open_amount=Decimal(left))


class Company:
    """The receiver of a company of its own, on a worker of its own."""

    def __init__(self, environment: WorkflowEnvironment, world: World) -> None:
        self.env, self.client, self.world = environment, environment.client, world
        self.looks, self.desk = ScriptedLooks(), AfterEndDesk(self.client)
        self.run: WorkflowHandle[Any, Any] = self.client.get_workflow_handle(names.after_end_id("usmf"))

    async def report(self, quote: str, n: int = 1, kind: FinanceEventKind = FinanceEventKind.PAYMENT_REVERSED) -> None:
        event = FinanceEvent(
            event_id=f"finance/{kind}/{n}",
            kind=kind,
            company="usmf",
            order_number="SO-1",
            occurred_at=datetime.now(UTC),
        )
        await self.desk.report("usmf", LateReport(quote_number=quote, event=event))

    async def dismiss(self, person: Person, n: int, reason: str, message_id: str = "") -> Outcome | None:
        token = f"{person.oid}|dismiss_late|n={n};reason={reason}"
        return await self.desk.tell("usmf", SignedMessage(message_id=message_id or str(uuid.uuid4()), token=token))

    async def until(self, ready: Callable[[LateView], object]) -> LateView:
        view = LateView(company="usmf")
        async with asyncio.timeout(PATIENCE):
            while not view.tally or not ready(view):
                await asyncio.sleep(0.05)
                view = await self.desk.read("usmf")
        return view

    def worker(self) -> tuple[Worker, Worker]:
        deals = Worker(
            self.client,
            task_queue=names.DEAL_QUEUE,
            workflows=[AfterEnd, AuditDelivery],
            activities=[
                TrustingVerifier().verify_messages,
                ScriptedAudit(self.world).record_audit,
                ScriptedNotices(self.world).tell_people,
            ],
            workflow_runner=workflow_runner(),
        )
        finance = Worker(self.client, task_queue=names.FINANCE_QUEUE, activities=[self.looks.look_after_end])
        return deals, finance


@pytest.fixture
async def company(
    environment: WorkflowEnvironment, world: World, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Company]:
    queues_of_its_own(monkeypatch)
    monkeypatch.setitem(ROLES, AMY.oid, "ar_manager.usmf")
    place = Company(environment, world)
    deals, finance = place.worker()
    async with deals, finance:
        yield place
    await replays(environment.client, (names.AFTER_END,))
    await place.run.terminate()


def states(view: LateView) -> list[str]:
    return [f"{entry.deal.quote_number} {entry.status}" for entry in view.entries]


async def test_what_stands_open_is_told_kept_and_settles_by_itself_or_by_a_person(company: Company) -> None:
    company.looks.open = {"Q-1": "1100", "Q-2": "1100"}
    await company.report("Q-1")
    await company.report("Q-1")
    await company.report("Q-2")
    view = await company.until(lambda view: len(view.entries) == 2)
    assert sorted(states(view)) == ["Q-1 open", "Q-2 open"]
    assert (view.tally["received"], view.tally["duplicate"], view.tally["open"]) == (3, 1, 2)
    (first,) = [entry for entry in view.entries if entry.deal.quote_number == "Q-1"]
    (second,) = [entry for entry in view.entries if entry.deal.quote_number == "Q-2"]

    # Nobody tells of the payment: the daily look finds it.
    company.looks.open["Q-1"] = "0"
    await company.env.fast_forward(company.run, timedelta(hours=25))
    view = await company.until(lambda view: view.tally.get("settled"))
    assert "Q-1 settled" in states(view) and "Q-2 open" in states(view)

    # A person says why the other one is settled otherwise; who may not, and who cannot prove it, does not.
    refused = await company.dismiss(RITA, second.n, "no")
    assert refused is not None and refused.code == "NO_AUTHORITY"
    unproved = await company.desk.tell("usmf", SignedMessage(message_id="m-forged", token="forged"))
    assert unproved is not None and unproved.code == "UNAUTHENTICATED"
    message_id = str(uuid.uuid4())
    taken = await company.dismiss(AMY, second.n, "written off", message_id)
    assert taken is not None and taken.accepted
    assert await company.dismiss(AMY, second.n, "written off", message_id) == taken, "the same message counts once"
    late = await company.dismiss(AMY, first.n, "written off")
    assert late is not None and late.code == "NOT_OPEN_ANY_MORE"
    view = await company.until(lambda view: view.tally["dismissed"])
    assert (view.tally["open"], view.tally["dismissed"], view.tally["settled"]) == (0, 1, 1)

    assert {(notice.kind, notice.role, notice.quote_number) for notice in company.world.notices} == {
        ("late.opened", "ar_manager", "Q-1"),
        ("late.opened", "ar_manager", "Q-2"),
    }
    async with asyncio.timeout(PATIENCE):
        while len(company.world.audited) < 7:
            await asyncio.sleep(0.05)
    written = sorted((record.kind, record.event, record.code) for record in company.world.audited)
    assert written == [
        (AuditKind.DECISION, "dismiss_late", ""),
        (AuditKind.REFUSAL, "dismiss_late", "NOT_OPEN_ANY_MORE"),
        (AuditKind.REFUSAL, "dismiss_late", "NO_AUTHORITY"),
        (AuditKind.REFUSAL, "dismiss_late", "UNAUTHENTICATED"),
        (AuditKind.TRANSITION, "late_open", ""),
        (AuditKind.TRANSITION, "late_open", ""),
        (AuditKind.TRANSITION, "late_settled", ""),
    ]
    (decision,) = [record for record in company.world.audited if record.kind is AuditKind.DECISION]
    assert (decision.actor.oid, decision.why, decision.facts["documents"]) == (AMY.oid, "written off", "INV-1")
    assert decision.deal_id == names.deal_id("usmf", "Q-2")


async def test_a_failure_that_passes_loses_nothing_and_what_cannot_be_compared_says_so(company: Company) -> None:
    company.looks.open = {"Q-1": "1100"}
    company.looks.fail = [ApplicationError("Finance answers 403", type=Cause.UNAUTHORIZED, non_retryable=True)]
    await company.report("Q-1")
    view = await company.until(lambda view: view.failing)
    assert view.failing.startswith("Q-1: ") and "Finance answers 403" in view.failing
    assert view.tally["waiting"] == 1

    await company.env.fast_forward(company.run, timedelta(minutes=1))
    view = await company.until(lambda view: view.entries)
    assert (states(view), view.failing) == (["Q-1 open"], "")
    await company.report("Q-GONE")
    view = await company.until(lambda view: len(view.entries) == 2)

    (unknown,) = [entry for entry in view.entries if entry.deal.quote_number == "Q-GONE"]
    assert (unknown.codes, unknown.role) == (("NOTHING_TO_COMPARE",), "ops")
    assert "keeps no run of deal Q-GONE" in unknown.text


async def test_junk_is_counted_and_a_new_run_goes_on_where_the_last_one_was(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    def soon(*, heard: bool) -> bool:
        return workflow.info().get_current_history_length() > (60 if heard else A_TURN)

    monkeypatch.setattr(spoken, "is_long_enough", soon)
    company.looks.open = {"Q-1": "1100"}
    await company.report("Q-1")
    await company.until(lambda view: view.entries)
    for junk in ({}, {"quote_number": ""}, {"quote_number": "Q" * 301, "event": {}}, "text", 7):
        await company.run.signal(names.REPORT_LATE, junk)
    await company.run.signal("no_such_signal", {"a": 1})
    view = await company.until(lambda view: view.tally["unreadable"] == 5)
    assert (await company.run.query(names.TALLY))["unknown"] == 1
    begun = (await company.run.describe()).run_id

    payments = (company.report(f"Q-{n}", n, FinanceEventKind.PAYMENT_POSTED) for n in range(2, 152))
    await asyncio.gather(*payments)
    view = await company.until(lambda view: view.tally["received"] == 156)

    assert (await company.run.describe()).run_id != begun, "the history has an end"
    assert states(view) == ["Q-1 open"]
    settled = {name: number for name, number in view.tally.items() if number and name not in ("received", "settled")}
    assert settled == {"open": 1, "unreadable": 5}
    assert view.tally["received"] == sum(number for name, number in view.tally.items() if name != "received")
