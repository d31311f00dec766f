"""One command for many deals: 500 parked for one cause are tried dry, signed, paused, resumed, and told one by one.

The deals are stand-ins that check a real signature as a deal does; all else is the product's own: the run, what the web
signs, and what the verifier makes of it.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from joserfc.jwk import KeySet, OKPKey
from temporalio import activity, workflow
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.bulk_signatures import BulkActivities, CheckDeals, Found, LookAtDeals, TellDeals
from activities.decisions import SignedDecisionActivities
from activities.heartbeat import KeptAlive
from activities.signatures import FailureType, Proofs
from domain.bulk import TOGETHER, BulkPhase, BulkView
from domain.bulk_said import after_look, after_telling, would_take
from domain.messages import CommandName, Outcome
from domain.people import Person
from domain.refusals import Refusal
from domain.sign_in import SignIn
from domain.views import DealView
from runs import names
from runs.bulk import BulkDesk
from runs.search import DealFilter, DealPage, DealRow
from tests.deadlines import PATIENCE
from tests.rights import POLICY
from tests.webworld import scenes
from tests.workflows.conftest import World, queues_of_its_own
from tests.workflows.replaying import replays
from tests.workflows.scripted_desks import ScriptedAudit
from web.access import Access
from web.attempts import Attempts
from web.bulk_runs import BulkBody, BulkRuns
from web.decisions import Decisions
from web.identity import SignedIn
from web.limits import Limits
from web.problems import Problem
from web.signing import DecisionSigner
from workers.worker import workflow_runner
from workflows.audit import AuditDelivery
from workflows.bulk import BulkRun

KEY = OKPKey.generate_key("Ed25519", {"kid": "k1", "use": "sig"})
OTTO, RITA = (
    SignedIn(person=Person(oid=f"oid-{name}", name=name, roles=roles), sign_in=SignIn(at=datetime.now(UTC)))
    for name, roles in (("otto", ("ops",)), ("rita", ("sales_rep.usmf",)))
)
MANY = 500


class StandInDeals(BulkActivities):
    """Parked deals that take a command which names them, once, and go on; some are otherwise."""

    def __init__(self, quotes: list[str]) -> None:
        self.views: dict[str, DealView] = {quote: scenes.parked(quote) for quote in quotes}
        self.told: dict[str, int] = {}
        self.heard: set[tuple[str, str]] = set()
        self.still_wrong: set[str] = set()
        self.away = 0
        self.until_paused = asyncio.Event()
        self.verifier = SignedDecisionActivities(KeySet([KEY]), POLICY)

    @activity.defn(name="check_deals")
    async def check_deals(self, ask: CheckDeals) -> Found:
        views = (self.views[quote] for quote in ask.quotes)
        return Found(items=tuple(would_take(v, ask.command, ask.person, ask.granted, ask.error) for v in views))

    @activity.defn(name="tell_deals")
    async def tell_deals(self, tell: TellDeals) -> Found:
        if len(self.told) >= 2 * TOGETHER:
            await self.until_paused.wait()
        found = [after_telling(quote, await self._hear(quote, tell)) for quote in tell.quotes]
        if self.away > 0:  # all were told, and the answer is lost: they are told again
            self.away -= 1
            raise ApplicationError("Temporal does not answer", type=FailureType.TRANSIENT)
        return Found(items=tuple(found))

    async def _hear(self, quote: str, tell: TellDeals) -> Outcome:
        audience = names.deal_id(tell.company, quote)
        proofs = Proofs(messages=(tell.message,), audiences=(audience,), company=tell.company)
        (said,) = (await self.verifier.verify_messages(proofs)).said
        if said.refused:
            return Outcome(message_id=said.message_id, accepted=False, code=Refusal.UNAUTHENTICATED)
        if (quote, said.message_id) not in self.heard:
            self.heard.add((quote, said.message_id))
            assert said.name == CommandName.RETRY and said.args["reason"] == "terms are mapped"
            self.told[quote] = self.told.get(quote, 0) + 1
            if quote not in self.still_wrong:
                self.views[quote] = scenes.deal(quote)
        return Outcome(message_id=said.message_id, accepted=True)

    @activity.defn(name="look_at_deals")
    async def look_at_deals(self, look: LookAtDeals) -> Found:
        return Found(items=tuple(after_look(self.views[item.quote], look.command) for item in look.items))


class Listed:
    """Temporal's list, as the web reads it."""

    def __init__(self, deals: StandInDeals) -> None:
        self.deals = deals

    async def every(self, wanted: DealFilter, most: int) -> DealPage:
        now = datetime.now(UTC)
        rows = [
            DealRow(
                company="usmf",
                quote=quote,
                error=wanted.error,
                amount=Decimal(1),
                status="running",
                workflow_id=names.deal_id("usmf", quote),
                run_id="r",
                started_at=now,
            )
            for quote in self.deals.views
        ]
        return DealPage(items=tuple(rows[:most]), beyond=len(rows) > most)


class Desk:
    """Bulk runs over stand-in deals, on a worker of its own."""

    def __init__(self, environment: WorkflowEnvironment, world: World, count: int) -> None:
        self.client, self.world = environment.client, world
        mark = uuid.uuid4().hex[:6]
        self.deals = StandInDeals([f"B{mark}-{n}" for n in range(count)])
        access, self.desk = Access(POLICY), BulkDesk(self.client)
        nobody: Any = None  # no single deal or request is asked through these here
        decisions = Decisions(access, nobody, nobody, DecisionSigner(KEY), Limits(), Attempts(None))
        listed: Any = Listed(self.deals)
        self.bulk = BulkRuns(access, listed, self.desk, decisions)

    def worker(self) -> Worker:
        return Worker(
            self.client,
            task_queue=names.DEAL_QUEUE,
            workflows=[BulkRun, AuditDelivery],
            activities=[
                self.deals.verifier.verify_messages,
                ScriptedAudit(self.world).record_audit,
                self.deals.check_deals,
                self.deals.tell_deals,
                self.deals.look_at_deals,
            ],
            workflow_runner=workflow_runner(),
            interceptors=[KeptAlive()],
        )

    async def begin(self, who: SignedIn = OTTO, command: str = "retry") -> str:
        body = BulkBody.model_validate(
            {"company": "USMF", "command": command, "error": "Refused", "reason": "terms are mapped"}
        )
        return (await self.bulk.begin(who, body)).run

    async def until(self, run: str, ready: Callable[[BulkView], bool]) -> BulkView:
        view: BulkView | None = None
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    view = await self.bulk.shown(OTTO, "usmf", run)
                    if ready(view):
                        return view
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"not so: {view}") from None

    async def received(self, run: str, count: int) -> None:
        """Wait until the run was sent so many messages, its start with who asks among them."""
        handle = self.client.get_workflow_handle(names.bulk_id("usmf", run))
        async with asyncio.timeout(PATIENCE):
            while 1 + sum([1 async for event in handle.fetch_history_events() if _is_signal(event)]) < count:
                await asyncio.sleep(0.05)

    async def at(self, run: str, phase: BulkPhase) -> BulkView:
        return await self.until(run, lambda view: view.phase is phase)


def _is_signal(event: Any) -> bool:
    return bool(event.HasField("workflow_execution_signaled_event_attributes"))


@pytest.fixture
async def desk(environment: WorkflowEnvironment, world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    queues_of_its_own(monkeypatch)
    monkeypatch.setattr("domain.bulk.PACE", timedelta(0))
    monkeypatch.setattr("domain.bulk.SETTLES", timedelta(0))
    place = Desk(environment, world, MANY)
    async with place.worker():
        yield place
    await replays(environment.client, (names.BULK,))


async def test_s28_all_of_a_cause_are_tried_dry_signed_paused_resumed_and_told_each(desk: Desk) -> None:
    other, ended, *rest = desk.deals.views
    desk.deals.views[ended] = scenes.deal(ended)  # it went on by itself after the list was read
    parked = desk.deals.views[other].parked
    assert parked is not None
    desk.deals.views[other] = desk.deals.views[other].model_copy(
        update={"parked": parked.model_copy(update={"cause": "Conflict"})}
    )
    desk.deals.still_wrong, desk.deals.away = {rest[0]}, 1
    run = await desk.begin()
    view = await desk.at(run, BulkPhase.READY)
    assert (view.counts, view.total) == ({"ready": MANY - 2, "left_out": 2}, MANY)
    assert view.asked_by is not None and view.asked_by.label == "otto" and desk.deals.told == {}
    left_out = (await desk.bulk.items(OTTO, "usmf", run, 0, "left_out")).items
    assert {item.quote: item.code for item in left_out} == {other: "NOT_PARKED", ended: "NOT_PARKED"}
    page = await desk.bulk.items(OTTO, "usmf", run, 400, "")
    assert (len(page.items), page.more) == (100, False) and page.items[0].detail == "Create the order in Finance"

    assert await desk.bulk.sign(OTTO, "usmf", run) == view.parts == -(-(MANY - 2) // TOGETHER)
    await desk.until(run, lambda view: view.told == 2)
    pausing = asyncio.create_task(desk.bulk.move(OTTO, "usmf", run, "pause", str(uuid.uuid4()), "the warehouse closes"))
    await desk.received(run, 2 + view.parts)
    desk.deals.until_paused.set()
    paused = await pausing
    assert paused is not None and paused.accepted
    view = await desk.until(run, lambda view: view.counts.get("moved_on") == 3 * TOGETHER - 1)
    assert (view.phase, view.told, view.counts["ready"]) == (BulkPhase.PAUSED, 3, MANY - 2 - 3 * TOGETHER)
    assert len(desk.deals.told) == 3 * TOGETHER, "what was under way when it was paused, and nothing after"

    await desk.bulk.move(OTTO, "usmf", run, "resume", str(uuid.uuid4()))
    view = await desk.at(run, BulkPhase.DONE)
    assert view.counts == {"moved_on": MANY - 3, "parked_again": 1, "left_out": 2}
    assert desk.deals.told == dict.fromkeys(rest, 1), "each once, though an answer was lost"
    (again,) = (await desk.bulk.items(OTTO, "usmf", run, 0, "parked_again")).items
    assert (again.quote, again.code) == (rest[0], "Refused")
    said = [record.what.rpartition(": ")[2] for record in desk.world.audited]
    assert said[0] == f"retry for {MANY} deals" and len(said) == 3, said
    over = await desk.desk.outcome("usmf", run, str(uuid.uuid4()))
    assert over is None
    with pytest.raises(Problem, match="ILLEGAL_TRANSITION"):
        await desk.bulk.sign(OTTO, "usmf", run)


async def test_what_nobody_signed_is_told_to_nobody_and_an_ended_run_leaves_the_rest(desk: Desk) -> None:
    for quote in [*desk.deals.views][30:]:
        del desk.deals.views[quote]
    with pytest.raises(Problem, match="NO_AUTHORITY"):
        await desk.begin(RITA)
    run = await desk.begin()
    await desk.at(run, BulkPhase.READY)
    with pytest.raises(Problem, match="NO_AUTHORITY"):
        await desk.bulk.sign(RITA, "usmf", run)
    unsigned = (await desk.desk.unsigned("usmf", run)).parts
    assert [len(part.quotes) for part in unsigned] == [TOGETHER, 5]
    workflow_id = names.bulk_id("usmf", run)
    args = {"do": "run", "bulk": workflow_id, "part": 0, "reason": "terms are mapped"}
    for audience, who in (([workflow_id], OTTO), ([workflow_id], RITA)):  # it names no deal; she may not say it at all
        message = DecisionSigner(KEY).sign(
            audience=audience, message_id=str(uuid.uuid4()), who=who, action="retry", args=args
        )
        await desk.desk.sign("usmf", run, message)
    view = await desk.until(run, lambda view: view.counts.get("refused") == TOGETHER)
    assert view.counts == {"refused": TOGETHER, "ready": 5} and desk.deals.told == {}
    await desk.bulk.move(OTTO, "usmf", run, "cancel", str(uuid.uuid4()), "not today")
    view = await desk.at(run, BulkPhase.CANCELLED)
    assert view.counts == {"refused": TOGETHER, "ready": 5} and desk.deals.told == {}


async def test_a_long_run_goes_on_as_a_new_one_and_loses_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    length = workflow.Info.get_current_history_length
    monkeypatch.setattr("workflows.spoken.is_long_enough", lambda heard: heard and length(workflow.info()) > 20)
    desk.deals.until_paused.set()
    for quote in [*desk.deals.views][3 * TOGETHER :]:
        del desk.deals.views[quote]
    run = await desk.begin()
    await desk.at(run, BulkPhase.READY)
    assert await desk.bulk.sign(OTTO, "usmf", run) == 3
    view = await desk.at(run, BulkPhase.DONE)
    assert view.counts == {"moved_on": 3 * TOGETHER} and view.asked_by is not None
    assert desk.deals.told == dict.fromkeys(desk.deals.views, 1)
    mine = f"WorkflowId = '{names.bulk_id('usmf', run)}'"
    async with asyncio.timeout(PATIENCE):  # the list follows the runs
        while (await desk.client.count_workflows(mine)).count < 2:
            await asyncio.sleep(0.1)
