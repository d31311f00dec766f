"""A run that lives forever is jammed, ended or outgrown by nothing that it is told, reads or is answered."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

import policies
from activities.bulk_signatures import CheckDeals, Found
from activities.delegation_signatures import Approvers, OfCompany
from activities.gauge_signatures import GaugeActivities
from activities.parallel_signatures import CompareEntity
from activities.signatures import Nothing, Proofs, Verified
from domain.after_end_book import Book
from domain.after_end_start import AfterEndStart
from domain.bulk import Bulk, BulkItem, BulkQuery, BulkStart, ItemStatus
from domain.collections import (
    MOST_INVOICES,
    Account,
    Dispute,
    Letter,
    LetterLine,
    Promise,
    Rest,
    WatchedInvoice,
)
from domain.credit_review_said import CreditReviewStart, CreditReviewView
from domain.delegation_start import DelegationsStart
from domain.entities.parallel import EntityDay, Standing
from domain.entities.parallel_run import DayPlan, ParallelStart, ParallelState
from domain.messages import CommandName, FinanceEvent, FinanceEventKind, Outcome, SignedMessage
from domain.notices import Kind
from domain.unclaimed import Unclaimed
from runs import names
from tests.deadlines import PATIENCE
from tests.workflows.conftest import World, dev_server, queues_of_its_own
from tests.workflows.notices_world import Recipient, somebody
from tests.workflows.replaying import replays
from tests.workflows.scripted_desks import ScriptedAudit, ScriptedNotices
from tests.workflows.test_collections import PLAN
from tests.workflows.test_continue_as_new import LIMITS
from tests.workflows.test_credit_review import ScriptedReviews
from tests.workflows.trusting import OTTO, TrustingVerifier
from workers.worker import workflow_runner
from workflows import after_end, bulk, collections, gauges, spoken, steps
from workflows.after_end import AfterEnd
from workflows.audit import AuditDelivery
from workflows.credit_review import CreditReview
from workflows.delegations import CompanyDelegations
from workflows.hearing import FAILED
from workflows.notices import TOO_LONG
from workflows.parallel import ParallelRun

Handle = WorkflowHandle[Any, Any]
MINUTES = timedelta(minutes=2)
RULES = policies.parallel().model_copy(update={"tolerated": {}})


@pytest.fixture(scope="module")
async def narrow() -> AsyncIterator[WorkflowEnvironment]:
    """A server whose limits are a hundredth of Temporal's."""
    async with dev_server(**LIMITS) as server:
        yield server


@pytest.fixture(autouse=True)
def own_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    queues_of_its_own(monkeypatch)


async def eventually(look: Callable[[], Any], what: str) -> Any:
    """What ``look`` gives, as soon as it gives something."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not (found := await look()):
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"not {what}") from None
    return found


def workers_of(env: WorkflowEnvironment, world: World, workflow: type, *activities: Callable[..., Any]) -> Worker:
    known = {activity._Definition.must_from_callable(each).name for each in activities}
    usual: list[Callable[..., Any]] = [
        TrustingVerifier().verify_messages,
        ScriptedAudit(world).record_audit,
        ScriptedNotices(world).tell_people,
    ]
    missing = [each for each in usual if activity._Definition.must_from_callable(each).name not in known]
    return Worker(
        env.client,
        task_queue=names.DEAL_QUEUE,
        workflows=[workflow, AuditDelivery],
        activities=[*activities, *missing],
        workflow_runner=workflow_runner(),
    )


async def begin(env: WorkflowEnvironment, workflow: str, start: Any, run_id: str = "") -> Handle:
    return await env.client.start_workflow(
        workflow, start, id=run_id or f"{workflow}/{uuid.uuid4().hex[:8]}", task_queue=names.DEAL_QUEUE
    )


async def said(run: Handle, token: str) -> Outcome:
    """What became of a person's word."""
    message = SignedMessage(message_id=uuid.uuid4().hex, token=token)
    await run.signal(names.COMMAND, message)

    async def became() -> Any:
        return await run.query(names.OUTCOME, message.message_id)

    return Outcome.model_validate(await eventually(became, "answered"))


async def statuses(env: WorkflowEnvironment, run_id: str) -> list[WorkflowExecutionStatus | None]:
    return [run.status async for run in env.client.list_workflows(f"WorkflowId = '{run_id}'")]


# Messages to a person


@pytest.fixture
async def recipient(environment: WorkflowEnvironment, world: World) -> AsyncIterator[Recipient]:
    async with somebody(environment, world) as recipient:
        yield recipient
    await replays(environment.client, (names.NOTICES,))


@pytest.mark.parametrize(
    "wrong",
    [
        {"timezone": "Nowhere/Never"},
        {"timezone": "/etc/passwd"},
        {"timezone": ""},
        {"digest": "25:99"},
        {"digest": "x"},
    ],
)
async def test_a_time_that_no_clock_shows_is_counted_and_the_next_notice_is_told(
    recipient: Recipient, wrong: dict[str, str]
) -> None:
    """Before: whoever could seal such a notice failed the run's every task."""
    await recipient.tell(**wrong)
    await recipient.counted(**{FAILED: 1})
    await recipient.tell()
    await recipient.until(lambda box: box.waiting, "the notice waits")
    await recipient.world_moves(MINUTES)
    await recipient.until(lambda box: box.deliveries, "the notice is told")


async def test_what_would_fill_a_box_is_counted(recipient: Recipient) -> None:
    await recipient.tell(name="x" * 1_000_000)
    await recipient.counted(**{TOO_LONG: 1})


async def test_of_notices_that_are_all_over_their_number_is_told(recipient: Recipient) -> None:
    """Before: a message of nothing but a number had no company, and failed the run's every task."""
    kinds = [Kind.APPROVAL_ASKED, Kind.APPROVAL_OVER] * 11
    kinds += [Kind.APPROVAL_ASKED, Kind.APPROVAL_REMINDER, Kind.APPROVAL_OVER, Kind.DEAL_SHIPPED]
    for n, kind in enumerate(kinds):
        notice = recipient.telling(str(n)).notice.model_copy(update={"kind": kind})
        await recipient.tell(notice=notice)
    await recipient.until(lambda box: box.left_out == 1, "one finds no room")
    await recipient.world_moves(MINUTES)
    box = await recipient.until(lambda box: box.deliveries, "their number is told")
    assert ([*recipient.targets.sent[0].notices], box.deliveries[0].status) == ([], "sent")


# After the end of deals


async def test_no_exception_is_opened_without_being_told_of_however_often_the_run_goes_on(
    narrow: WorkflowEnvironment, world: World
) -> None:
    """Before: what was opened while another one was written down was lost where the run then went on as a new one."""
    async with workers_of(narrow, world, AfterEnd):
        run = await begin(narrow, names.AFTER_END, AfterEndStart(company="usmf"))

        async def report(n: int) -> None:
            more = {"id": f"r-{n}", "reference": f"O-{n}", "code": "NO_DEAL"}
            await run.signal(
                names.REPORT_UNCLAIMED, Unclaimed(company="usmf", what="order", reason="no deal", help="look", **more)
            )

        for first in range(0, 150, 5):
            await asyncio.gather(*(report(n) for n in range(first, first + 5)))
            await asyncio.sleep(0.02)

        async def written() -> bool:
            return len({record.facts["number"] for record in world.audited if record.event == "late_open"}) == 150

        await eventually(written, "all written down")
        found = await statuses(narrow, run.id)
        await run.terminate()
    assert found.count(WorkflowExecutionStatus.CONTINUED_AS_NEW) > 3 and WorkflowExecutionStatus.FAILED not in found


# Proof that cannot be had


class Doubtful(TrustingVerifier):
    """Cannot check who said it, as often as it is told to; nor who approves."""

    def __init__(self, times: int) -> None:
        self.times = times

    def _doubt(self) -> None:
        self.times -= 1
        if self.times >= 0:
            raise ApplicationError("who answered is none of ours", type="PayloadRefused", non_retryable=True)

    @activity.defn(name="verify_messages")
    async def verify_messages(self, proofs: Proofs) -> Verified:
        self._doubt()
        return Verified(said=tuple(self._said(message, proofs.company) for message in proofs.messages))

    @activity.defn(name="read_approvers")
    async def read_approvers(self, of: OfCompany) -> Approvers:
        self._doubt()
        return Approvers(people=(), timezone="UTC")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spoken, "LOOK_AGAIN", timedelta(milliseconds=50))
    monkeypatch.setattr(steps, "LOOK_AGAIN", timedelta(milliseconds=50))


async def test_a_word_that_cannot_be_checked_waits_and_ends_no_run(
    environment: WorkflowEnvironment, world: World, impatient: None
) -> None:
    """Before: an answer that somebody else gave in place of a worker ended the run, and all it remembered."""
    doubtful, work = Doubtful(3), ScriptedReviews()
    reviewed: list[Callable[..., Any]] = [work.tell_differences, work.review_ledgers]
    finance = Worker(environment.client, task_queue=names.FINANCE_QUEUE, activities=reviewed)
    async with workers_of(environment, world, CreditReview, doubtful.verify_messages), finance:
        run = await begin(environment, names.CREDIT_REVIEW, CreditReviewStart(company="usmf", timezone="UTC"))
        became = await said(run, f"{OTTO.oid}|rebuild_credit|reason=look;dry_run=true")
        assert became.accepted, became
        assert await run.query(names.TALLY) == {spoken.UNCHECKED: 3}
        await replays(environment.client, (names.CREDIT_REVIEW,))
        await run.terminate()


async def test_who_approves_is_read_until_it_can_be(
    environment: WorkflowEnvironment, world: World, impatient: None
) -> None:
    doubtful = Doubtful(4)
    checks = (doubtful.verify_messages, doubtful.read_approvers)
    async with workers_of(environment, world, CompanyDelegations, *checks):
        run = await begin(environment, names.DELEGATIONS, DelegationsStart(company="usmf"))
        became = await said(run, "nobody signed this")
        assert became.code == "UNAUTHENTICATED"
        await replays(environment.client, (names.DELEGATIONS,))
        await run.terminate()


@pytest.mark.parametrize("defect", [ValueError, AttributeError])
async def test_a_word_that_cannot_be_taken_is_answered_and_the_next_one_heard(
    environment: WorkflowEnvironment, world: World, monkeypatch: pytest.MonkeyPatch, defect: type[Exception]
) -> None:
    """Before: a defect in what one word does failed the run's every task."""
    take = CreditReview._take

    async def fails(run: CreditReview, message: SignedMessage, proved: Any) -> None:
        if proved.name == "broken":
            raise defect("broken for the test")
        await take(run, message, proved)

    monkeypatch.setattr(CreditReview, "_take", fails)
    async with workers_of(environment, world, CreditReview):
        run = await begin(environment, names.CREDIT_REVIEW, CreditReviewStart(company="usmf", timezone="UTC"))
        became = await said(run, f"{OTTO.oid}|broken|")
        assert (became.code, became.detail) == ("BAD_ARGUMENT", "it could not be taken: broken for the test")
        assert (await said(run, "nobody signed this")).code == "UNAUTHENTICATED"
        await run.terminate()


class DoubtfulDeals:
    """Deals of which nothing can be said, the first time."""

    def __init__(self) -> None:
        self.asked = 0

    @activity.defn(name="check_deals")
    async def check_deals(self, ask: CheckDeals) -> Found:
        self.asked += 1
        if self.asked == 1:
            raise ApplicationError("who answered is none of ours", type="PayloadRefused", non_retryable=True)
        return Found(items=tuple(BulkItem(quote=quote, status=ItemStatus.LEFT_OUT) for quote in ask.quotes))


async def test_a_step_with_many_deals_that_failed_is_taken_again(
    environment: WorkflowEnvironment, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: it ended the run, and what was told to whom was to be found out by hand."""
    monkeypatch.setattr(bulk, "LOOK_AGAIN", timedelta(milliseconds=50))
    deals, now = DoubtfulDeals(), datetime.now(UTC)
    about = {"company": "usmf", "command": CommandName.RETRY, "query": BulkQuery(), "begun_at": now, "moved_at": now}
    items = tuple(BulkItem(quote=f"Q-{n}") for n in range(3))
    async with workers_of(environment, world, bulk.BulkRun, deals.check_deals):
        start = BulkStart(bulk=Bulk(items=items, asked_by=OTTO, **about))
        run = await begin(environment, names.BULK, start)

        async def checked() -> bool:
            return bool((await run.query(names.STATE))["counts"] == {ItemStatus.LEFT_OUT: 3})

        await eventually(checked, "checked")
        await replays(environment.client, (names.BULK,))
    assert deals.asked == 2


# Counting


class TiredCounter(GaugeActivities):
    """Counts only when it is asked again."""

    def __init__(self) -> None:
        self.asked = 0

    @activity.defn(name="count_runs")
    async def count_runs(self, nothing: Nothing) -> Nothing:
        self.asked += 1
        if self.asked == 1:
            raise ApplicationError("who answered is none of ours", type="PayloadRefused", non_retryable=True)
        while True:
            activity.heartbeat()
            await asyncio.sleep(0.05)


async def test_somebody_counts_again_after_a_shift_that_failed(
    environment: WorkflowEnvironment, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: nobody counted until a worker was started."""
    monkeypatch.setattr(gauges, "LOOK_AGAIN", timedelta(milliseconds=50))
    monkeypatch.setattr(names, "GAUGE_QUEUE", f"gauges-{uuid.uuid4().hex[:8]}")
    counter = TiredCounter()
    counting = Worker(environment.client, task_queue=names.GAUGE_QUEUE, activities=[counter.count_runs])
    async with workers_of(environment, world, gauges.Gauges), counting:
        run = await begin(environment, names.GAUGES, Nothing())

        async def again() -> bool:
            return counter.asked > 1

        await eventually(again, "counting again")
        await run.terminate()


# What goes from run to run


def test_an_account_and_the_exceptions_after_the_end_fit_one_payload_however_much_was_said() -> None:
    now = datetime.now(UTC)
    account = Account(company="usmf", account="C-1")
    for _ in range(300):
        account = account.with_entry(now, OTTO, "dispute_open", "ж" * 500, reason="ж" * 1_000)
    line = LetterLine(
        invoice="I" * 60,
        order_number="O" * 60,
        due_on=now.date(),
        days_overdue=1,
        total=Decimal(1),
        open_amount=Decimal(1),
    )
    about = {"on": now.date(), "company": "usmf", "account": "C-1", "customer_name": "ж" * 200, "level": "first"}
    more = {"kind": PLAN.levels[0].letter, "currency": "USD", "demanded": Decimal(1), "policy": "p"}
    letters = tuple(Letter(n=n, lines=(line,) * 100, **about, **more) for n in range(1, 25))
    said = {"reason": "ж" * 1_000, "by": OTTO, "on": now.date()}
    pauses = {
        "dispute": Dispute(amount=Decimal(1), **said),
        "promise": Promise(amount=Decimal(1), until=now.date(), **said),
        "rest": Rest(until=now.date(), **said),
    }
    money = {"currency": "USD", "total": Decimal(1), "open_amount": Decimal(1)}
    watched = {"due_on": now.date(), "as_of": now, "order_number": "O" * 60, "quote_number": "Q" * 100, "owner": OTTO}
    invoices = tuple(WatchedInvoice(number=f"{n:060}", **money, **watched, **pauses) for n in range(MOST_INVOICES))
    account = account.model_copy(update={"letters": letters, "invoices": invoices})
    carried = collections._carried(account)
    assert len(account.model_dump_json().encode()) > collections.MOST_BYTES
    assert len(carried.model_dump_json().encode()) <= collections.MOST_BYTES
    assert carried.invoices == invoices and carried.history[-1] == account.history[-1]
    assert collections._carried(carried) == carried

    book = Book("usmf")
    for n in range(200):
        for again in range(10):
            event = FinanceEvent(
                event_id=f"{n}/{again}/{'x' * 200}",
                kind=FinanceEventKind.INVOICE_POSTED,
                company="usmf",
                occurred_at=now,
                order_number="o" * 200,
                document="d" * 200,
            )
            what = {"what": "w", "reference": f"O-{n}", "reason": "r" * 1_000, "help": "h" * 500, "code": "NO_DEAL"}
            book.receive_unclaimed(Unclaimed(id=f"{n}/{again}", company="usmf", again=event, **what), now)
    state = book.state
    light = after_end._carried(state)
    assert len(state.model_dump_json().encode()) > 1.5 * after_end.MOST_BYTES
    assert sum(len(entry.model_dump_json().encode()) for entry in light.entries) <= after_end.MOST_BYTES
    assert [entry.n for entry in light.entries] == [entry.n for entry in state.entries]
    assert any(entry.again for entry in light.entries), "no more is given up than has to be"


# Nights


async def test_a_night_that_came_while_the_run_went_on_as_a_new_one_is_made_up_for(
    environment: WorkflowEnvironment, world: World
) -> None:
    """Before: the next run counted from its own beginning, and the ledgers were not compared that night."""
    work = ScriptedReviews()
    reviewed: list[Callable[..., Any]] = [work.tell_differences, work.review_ledgers]
    finance = Worker(environment.client, task_queue=names.FINANCE_QUEUE, activities=reviewed)
    view = CreditReviewView(company="usmf", next_at=datetime.now(UTC) - timedelta(seconds=1))
    async with workers_of(environment, world, CreditReview), finance:
        run = await begin(
            environment, names.CREDIT_REVIEW, CreditReviewStart(company="usmf", timezone="UTC", view=view)
        )

        async def compared() -> bool:
            shown = CreditReviewView.model_validate(await run.query(names.STATE))
            assert shown.next_at is not None
            return shown.ledgers == 12 and shown.next_at > datetime.now(UTC)

        await eventually(compared, "compared")
        await run.terminate()


class LongNight:
    """One comparison that ends when a test says so, however often it is asked for."""

    def __init__(self) -> None:
        self.asked, self.done = 0, asyncio.Event()

    @activity.defn(name="plan_day")
    async def plan_day(self, of: Any) -> DayPlan:
        return DayPlan(rules=RULES, timezone="UTC", entities=("customer",))

    @activity.defn(name="compare_entity")
    async def compare_entity(self, ask: CompareEntity) -> EntityDay:
        self.asked += 1
        while not self.done.is_set():
            activity.heartbeat()
            await asyncio.sleep(0.05)
        return EntityDay(entity=ask.entity, status="compared", finance=5, sales=5, standing=Standing())


async def test_a_long_comparison_keeps_no_run_from_going_on_as_a_new_one(
    narrow: WorkflowEnvironment, world: World
) -> None:
    """Before: for as long as a comparison went on, up to a day, what a run was told made it longer without end."""
    night = LongNight()
    state = ParallelState(company="usmf", began_at=datetime.now(UTC), rules=RULES)
    async with workers_of(narrow, world, ParallelRun, night.plan_day, night.compare_entity):
        run = await begin(narrow, names.PARALLEL, ParallelStart(company="usmf", state=state))

        async def comparing() -> bool:
            return night.asked > 0

        await eventually(comparing, "comparing")
        for n in range(300):
            await run.signal(names.COMMAND, SignedMessage(message_id=f"m-{n}", token="nobody signed this"))
            await asyncio.sleep(0.01)
        assert (await said(run, "nobody signed this")).code == "UNAUTHENTICATED"
        found = await statuses(narrow, run.id)
        assert found.count(WorkflowExecutionStatus.CONTINUED_AS_NEW) > 3, found
        assert not {WorkflowExecutionStatus.FAILED, WorkflowExecutionStatus.TERMINATED} & set(found)
        night.done.set()

        async def counted() -> bool:
            return len((await run.query(names.STATE))["state"]["days"]) == 1

        await eventually(counted, "counted once")
        await replays(narrow.client, (names.PARALLEL,))
        await run.terminate()
