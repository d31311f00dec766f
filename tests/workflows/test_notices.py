"""People are told beside all that a deal does: grouped, in their hours, tried again, on record; nothing waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from temporalio.testing import ActivityEnvironment, WorkflowEnvironment

from activities.notices import MessageDesk, PeopleDesk
from domain.audit import AuditKind
from domain.messages import FinanceEventKind, SalesEventKind
from domain.notices import Kind, Notices
from domain.notices_box import PAUSES, Box, Sending, WaitingRequest
from domain.notices_policy import NoticePolicy
from domain.notices_start import NoticesStart
from domain.people import Person
from domain.quiet_hours import Quiet
from domain.views import Ending, WaitingFor
from notices.rendering import Pages, Templates
from notices.sending import Sender
from notices.targets import Target
from runs import names
from runs.approvals import Approvals
from tests.deadlines import PATIENCE
from tests.receivers import mail_server
from tests.rights import POLICY
from tests.workflows.acting import to_fulfilment, until, waits_for
from tests.workflows.conftest import Stage, World, queues_of_its_own, step
from tests.workflows.notices_world import Recipient, somebody
from tests.workflows.replaying import replays
from tests.workflows.trusting import DIRK, MONA, RITA
from workers.pages import account_pages, deal_pages, late_pages, parallel_pages, request_pages

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def recipient(
    environment: WorkflowEnvironment, world: World, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Recipient]:
    """Somebody whose targets do what a test says."""
    queues_of_its_own(monkeypatch)
    async with somebody(environment, world) as recipient:
        yield recipient
    await replays(environment.client, (names.NOTICES,))


async def eventually(look: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.05)


# What deals and requests tell


async def test_a_rep_is_told_of_every_change_once_and_approvers_of_theirs(stage: Stage) -> None:
    stage.world.told = tuple(Kind)
    stage.world.plan = (step(1, 1, "sales_manager", MONA), step(2, 2, "sales_director", DIRK))
    await stage.submit()
    await until(stage, waits_for(WaitingFor.APPROVAL))
    await eventually(lambda: "approval.asked" in stage.world.told_of(), "mona is told")
    await stage.decide(1, MONA, "approve", 1)
    await eventually(lambda: stage.world.told_of().count("approval.asked") == 2, "dirk is told")
    await stage.decide(1, DIRK, "approve", 2)
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACTIVATED)
    await stage.sales(SalesEventKind.ACCEPTED)
    await until(stage, waits_for(WaitingFor.SHIPMENT))
    stage.world.invoice("I", 10, "0")
    await stage.finance(FinanceEventKind.SHIPMENT_POSTED, "S1", (1, 10))
    view = await until(stage, lambda view: view.ending is Ending.CLOSED)
    await eventually(lambda: "deal.paid" in stage.world.told_of(), "the rep is told of the money")
    assert view.parked is None
    found = {notice.notice_id: notice for notice in stage.world.notices}.values()
    assert sorted((notice.kind, notice.to[0].name) for notice in found) == [
        ("approval.asked", "dirk"),
        ("approval.asked", "mona"),
        ("deal.invoiced", "rita"),
        ("deal.ordered", "rita"),
        ("deal.paid", "rita"),
        ("deal.shipped", "rita"),
        ("quote.approved", "rita"),
    ]
    assert "margin" not in " ".join(notice.model_dump_json() for notice in found)


async def test_nothing_is_paid_for_what_nobody_chose(stage: Stage) -> None:
    stage.world.plan = (step(1, 1, "sales_manager", MONA),)
    await stage.submit()
    await until(stage, waits_for(WaitingFor.APPROVAL))
    await stage.decide(1, MONA, "approve", 1)
    await until(stage, waits_for(WaitingFor.REP))
    history = await stage.case.fetch_history()
    scheduled = [
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in history.events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    assert scheduled and "tell_people" not in scheduled
    assert stage.world.notices == []


async def test_reminders_and_escalation_are_told_in_their_time(stage: Stage) -> None:
    stage.world.told, stage.world.reminders = tuple(Kind), (50,)
    stage.world.plan = (step(1, 1, "sales_director", MONA, DIRK),)
    await stage.submit()
    await until(stage, waits_for(WaitingFor.APPROVAL))
    await eventually(lambda: "approval.asked" in stage.world.told_of(), "mona is asked")
    await stage.env.fast_forward(stage.approval, timedelta(hours=5))
    await eventually(lambda: "approval.reminder" in stage.world.told_of(), "mona is reminded")
    await stage.env.fast_forward(stage.approval, timedelta(hours=4))
    await eventually(lambda: "approval.escalated" in stage.world.told_of(), "dirk is asked")
    await stage.decide(1, DIRK, "approve", 1)
    await eventually(lambda: "approval.over" in stage.world.told_of(), "mona need not decide any more")
    (over,) = {n.notice_id: n for n in stage.world.notices if n.kind is Kind.APPROVAL_OVER}.values()
    assert [person.name for person in over.to] == ["mona"]


async def test_a_deal_never_waits_for_a_message_nor_fails_by_one(stage: Stage) -> None:
    stage.world.told = tuple(Kind)
    stage.world.held["tell_people"] = asyncio.Event()
    view = await to_fulfilment(stage)
    assert (view.order_status, view.parked) == ("confirmed", None)
    assert stage.world.notices == [], "nobody was told yet"
    stage.world.nobody_told = 2
    stage.world.held["tell_people"].set()
    await eventually(lambda: {"quote.approved", "deal.ordered"} <= set(stage.world.told_of()), "told in the end")


# What a recipient gets


async def test_what_comes_together_is_one_message_and_on_record(recipient: Recipient) -> None:
    await recipient.tell("a")
    await recipient.tell("b")
    await recipient.tell("b")
    box = await recipient.until(lambda box: len(box.waiting) == 2, "both wait")
    assert recipient.targets.sent == [] and len(box.seen) == 2
    await recipient.world_moves(MINUTE)
    await recipient.until(lambda box: box.deliveries, "it was sent")
    (message,) = recipient.targets.sent
    assert [notice.notice_id for notice in message.notices] == ["a", "b"]
    await eventually(lambda: recipient.world.audited, "the audit knows")
    (record,) = recipient.world.audited
    assert (record.kind, record.event, record.company) == (AuditKind.NOTICE, "NoticeSent", "usmf")
    assert record.what == "to Mona Meyer by mail: Q-1: approval.asked; Q-1: approval.asked"
    assert (record.deal_id, record.facts["try"]) == (names.deal_id("usmf", "Q-1"), "1")
    assert "mona@" not in record.model_dump_json()
    await recipient.counted(repeated=1)


async def test_a_target_that_is_down_is_tried_again_with_the_same_message(recipient: Recipient) -> None:
    recipient.targets.down = 2
    await recipient.tell()
    await recipient.until(lambda box: box.waiting, "it waits")
    for pause, done in ((MINUTE, 1), (PAUSES[0], 2), (PAUSES[1], 3)):
        await recipient.world_moves(pause)
        box = await recipient.until(partial(_tried, done), f"try {done}")
    assert [(d.status, d.tries, d.why) for d in box.deliveries] == [
        ("retried", 1, "target mail: cannot be reached"),
        ("retried", 2, "target mail: cannot be reached"),
        ("sent", 3, ""),
    ]
    assert len({delivery.message_id for delivery in box.deliveries}) == 1
    await eventually(lambda: len(recipient.world.audited) == 3, "each try is in the audit")
    assert [r.event for r in recipient.world.audited] == ["NoticeRetried", "NoticeRetried", "NoticeSent"]
    assert recipient.world.audited[0].why == "target mail: cannot be reached"


def _tried(times: int, box: Box) -> bool:
    return len(box.deliveries) == times


async def test_what_no_retry_helps_fails_at_once(recipient: Recipient) -> None:
    recipient.targets.gone = True
    await recipient.tell()
    await recipient.until(lambda box: box.waiting, "it waits")
    await recipient.world_moves(MINUTE)
    box = await recipient.until(lambda box: box.deliveries, "it was tried")
    assert [(d.status, d.why) for d in box.deliveries] == [("failed", "no such address")]
    assert box.sending == ()


async def test_quiet_hours_are_waited_for(recipient: Recipient) -> None:
    now = datetime.now(UTC)
    quiet = Quiet(begins=f"{now - timedelta(hours=1):%H:%M}", ends=f"{now + timedelta(hours=3):%H:%M}")
    await recipient.tell(timezone="UTC", quiet=quiet)
    await recipient.until(lambda box: box.waiting, "it waits")
    await recipient.world_moves(timedelta(hours=2))
    assert recipient.targets.sent == []
    await recipient.tell("second", timezone="UTC", quiet=quiet)
    await recipient.until(lambda box: len(box.waiting) == 2, "the second as well")
    await recipient.world_moves(timedelta(hours=1, minutes=1))
    await recipient.until(lambda box: box.deliveries, "it was sent")
    assert [len(message.notices) for message in recipient.targets.sent] == [2]


async def test_a_digest_says_what_still_waits_until_nothing_does(recipient: Recipient) -> None:
    recipient.targets.waiting = (WaitingRequest(company="usmf", quote_number="Q-9", n=2, overdue=True),)
    soon = datetime.now(UTC) + timedelta(hours=2)
    await recipient.tell(timezone="UTC", digest=f"{soon:%H:%M}")
    await recipient.until(lambda box: box.waiting, "it waits")
    await recipient.world_moves(timedelta(hours=2, minutes=1))
    await recipient.until(lambda box: len(box.deliveries) == 2, "the notice and the digest")
    assert [request.quote_number for request in recipient.targets.sent[-1].digest] == ["Q-9"]
    recipient.targets.waiting = ()
    await recipient.world_moves(timedelta(days=1))
    await recipient.until(lambda box: box.digest_at is None, "nothing waits any more")
    assert len(recipient.targets.sent) == 2


async def test_junk_harms_no_box_and_a_box_goes_on_as_it_was(recipient: Recipient) -> None:
    now = datetime.now(UTC)
    box = Box(origin="first", made=7, seen=("known",)).take(recipient.telling("a"), now).grouped(now + MINUTE)
    later = Sending(message=box.sending[0].message, tries=1, next_at=now + timedelta(hours=1))
    start = NoticesStart(box=box.model_copy(update={"sending": (later,)}), tally={"repeated": 3})
    await recipient.client.start_workflow(
        names.NOTICES, start, id=names.notices_id(recipient.oid), task_queue=names.DEAL_QUEUE
    )
    await recipient.run.signal(names.TELL, "nonsense")
    await recipient.run.signal(names.TELL, {"recipient": "somebody"})
    await recipient.run.signal(names.TELL, recipient.telling(recipient="somebody-else"))
    await recipient.run.signal("unheard of", "anything")
    await recipient.tell("known")
    await recipient.counted(repeated=4, unreadable=2, unknown=2)
    await recipient.world_moves(timedelta(hours=1))
    found = await recipient.until(lambda box: box.deliveries, "what was on its way is sent")
    assert [(d.message_id, d.status, d.tries) for d in found.deliveries] == [("first/8", "sent", 2)]


async def test_the_rep_is_who_owns_the_quote(stage: Stage) -> None:
    stage.world.told = (Kind.QUOTE_APPROVED,)
    await stage.submit()
    await eventually(lambda: stage.world.notices, "the rep is told")
    assert {person.oid for notice in stage.world.notices for person in notice.to} == {RITA.oid}


async def test_a_notice_becomes_a_mail(
    environment: WorkflowEnvironment, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From what a request tells to what a mail server takes, through all that a worker does for it."""
    queues_of_its_own(monkeypatch)
    recipient = Recipient(environment, world)
    await recipient.start_work()
    wanted = NoticePolicy.model_validate(
        {"version": "1", "everyone": {"targets": ["mail"]}, "roles": {"sales_manager": {"kinds": ["approval.asked"]}}}
    )
    mona = Person(oid=recipient.oid, name="Mona Meyer", upn="mona@contoso.example")
    asked = recipient.telling().notice.model_copy(update={"to": (mona,), "role": "sales_manager"})
    with mail_server() as mailbox:
        url = f"mailto://127.0.0.1:{mailbox.port}/{{address}}?from=q2c@contoso.example"
        targets = {"mail": Target("mail", url)}
        pages = Pages(
            home="https://w/",
            deal=deal_pages("https://w"),
            request=request_pages("https://w"),
            account=account_pages("https://w"),
            late=late_pages("https://w"),
            parallel=parallel_pages("https://w"),
        )
        await recipient.start_sending(MessageDesk(Sender(targets, Templates(pages))).send_message)
        desk = PeopleDesk(recipient.boxes, Approvals(recipient.client), POLICY, wanted, {"mail": True})
        for _ in range(2):  # an activity may be tried again
            await ActivityEnvironment().run(desk.tell_people, Notices(notices=(asked,)))
        await recipient.until(lambda box: box.waiting, "it waits")
        await recipient.world_moves(MINUTE)
        box = await recipient.until(lambda box: box.deliveries, "it was sent")
    await recipient.stop_work()
    assert [delivery.status for delivery in box.deliveries] == ["sent"]
    (mail,) = mailbox.mails
    body = mail.get_body(("plain",))
    assert mail["to"] == "mona@contoso.example" and mail["subject"] == "Approval requested: Q-1"
    assert body is not None and "https://w/approvals/usmf/Q-1/1?decide=approve" in body.get_content()
