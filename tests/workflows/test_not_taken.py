"""A defect in what one message does costs that message, counted and in the log, and no other.

Each defect is put in the rules for one odd message: whoever hears it goes on, and hears the next one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from domain import approval_rules
from domain.credit_ledger import News
from domain.credit_review import RebuildBook
from domain.feeds import Look, Reports
from domain.messages import (
    CustomerChanged,
    FinanceEvent,
    FinanceEventKind,
    LedgerNote,
    SalesEventKind,
    VerifiedMessage,
)
from domain.notices_box import Box
from domain.notices_policy import Telling
from domain.views import WaitingFor
from runs import names
from runs.ledgers import LedgerRefused
from tests.workflows.acting import until, waits_for
from tests.workflows.conftest import Stage, World, queues_of_its_own, step
from tests.workflows.feed_world import FeedWorld, eventually
from tests.workflows.feed_world import until as until_feed
from tests.workflows.notices_world import Recipient, somebody
from tests.workflows.replaying import replays
from tests.workflows.test_credit_ledger import ask, book, ledger, tally
from tests.workflows.test_requests import decided
from tests.workflows.trusting import MONA
from workflows import credit_ledger
from workflows.hearing import FAILED
from workflows.quote_to_cash import reports

ODD = Decimal(13)
"""An amount that the rules cannot take."""


def defect(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, is_odd: Callable[..., bool]) -> None:
    """From now on a part of the rules fails where what it is asked is odd."""
    real = getattr(where, name)

    def fails(*args: Any, **kwargs: Any) -> Any:
        if is_odd(*args, **kwargs):
            raise LookupError("a defect")
        return real(*args, **kwargs)

    monkeypatch.setattr(where, name, fails)


@pytest.fixture
def account() -> str:
    return f"C-{uuid4().hex[:8]}"


async def test_a_report_that_cannot_be_taken_is_counted_and_the_deal_hears_the_next(
    stage: Stage, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails in a handler fails every task of the deal, which hears nothing any more."""
    defect(monkeypatch, reports, "fact_of_finance", lambda event: event.amount == ODD)
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    event = FinanceEvent(
        event_id="odd",
        kind=FinanceEventKind.PAYMENT_POSTED,
        company="usmf",
        amount=ODD,
        occurred_at=datetime.now(UTC),
    )
    await stage.case.signal(names.FINANCE_EVENT, event)
    await stage.sales(SalesEventKind.ACTIVATED)
    await until(stage, waits_for(WaitingFor.CUSTOMER))
    assert (await stage.case.query(names.TALLY))[FAILED] == 1


async def test_a_decision_that_cannot_be_taken_is_answered_and_the_next_one_counts(
    stage: Stage, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: it failed every task of the request, whose approvers were not heard any more."""

    def is_odd(_state: object, said: VerifiedMessage, *_: object) -> bool:
        return said.args.get("decision") == "odd"

    defect(monkeypatch, approval_rules, "decided", is_odd)
    world.plan = (step(1, 1, "sales_manager", MONA),)
    await stage.submit()
    await until(stage, waits_for(WaitingFor.APPROVAL))
    odd = await stage.decide(1, MONA, "odd", step=1)
    answered = await decided(stage, odd)
    assert (answered.accepted, answered.code) == (False, "INTERNAL")
    assert (await stage.approval.query(names.TALLY))[FAILED] == 1
    await stage.decide(1, MONA, "approve", step=1)
    await until(stage, waits_for(WaitingFor.REP))


async def test_an_event_that_cannot_be_taken_is_counted_and_the_next_one_reaches_its_deal(
    feeds: FeedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    defect(monkeypatch, Reports, "receive", lambda _, report, now: getattr(report, "amount", None) == ODD)
    deal = await feeds.deal(order=(order := feeds.order()))
    feed = await feeds.finance_feed()
    await feed.signal(names.FINANCE_EVENT, feeds.event(order, amount=ODD))
    await feed.signal(names.FINANCE_EVENT, event := feeds.event(order))
    shown = await until_feed(feed, failed=1, delivered=1)
    assert shown.tally == {"received": 2, "failed": 1, "delivered": 1}
    assert await deal.query("told") == [event.event_id]


async def test_a_record_that_cannot_be_taken_is_counted_and_the_next_one_looked_at(
    feeds: FeedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = uuid4()
    defect(monkeypatch, Reports, "receive", lambda _, report, now: getattr(report, "record_id", None) == odd)
    feed = await feeds.sales_feed()
    for record in (odd, uuid4()):
        await feed.signal(names.LOOK_AT, Look(table="quote", record_id=record))
    await until_feed(feed, failed=1, looked_at=1)


async def hears(handle: WorkflowHandle[Any, Any], deal_id: str) -> None:
    """A ledger takes a deal's word into its book."""
    await handle.signal(names.RELEASE, LedgerNote(deal_id=deal_id, at=datetime.now(UTC)))


@pytest.mark.parametrize("part", ["free", "into"])
async def test_news_that_cannot_be_taken_are_counted_and_the_ledger_hears_the_next(
    feeds: FeedWorld, account: str, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """Before: taken at once they failed every task, taken later they ended the part that takes them, unseen."""
    defect(monkeypatch, News, part, lambda news, *args: ODD in (news.freed, *args))
    await feeds.ledgers.reserve("usmf", account, ask(account, "q2c/usmf/Q-1", "10.00"))
    handle = ledger(feeds, account)
    await handle.signal(names.CUSTOMER_CHANGED, CustomerChanged(event_id="odd", reason="paid", freed=ODD))

    async def is_counted() -> bool:
        return (await tally(feeds, account)).get(FAILED) == 1

    await eventually(is_counted)
    await hears(handle, "q2c/usmf/Q-1")

    async def is_freed() -> bool:
        return not (await book(feeds, account)).entries

    await eventually(is_freed)


async def test_a_question_that_cannot_be_decided_is_refused_and_the_next_one_answered(
    feeds: FeedWorld, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: only some errors were caught; any other failed every task, and all deals of the customer waited."""
    defect(monkeypatch, credit_ledger, "reserve", lambda book, deal_id, number, amount, *_: amount == ODD)
    with pytest.raises(LedgerRefused, match="a defect"):
        await feeds.ledgers.reserve("usmf", account, ask(account, "q2c/usmf/odd", str(ODD)))
    assert (await feeds.ledgers.reserve("usmf", account, ask(account, "q2c/usmf/next", "10.00"))).decision
    defect(monkeypatch, credit_ledger, "unusable", lambda *_: True)
    rebuild = RebuildBook(account=account, claims=(), read_at=datetime.now(UTC))
    assert "a defect" in (await ledger(feeds, account).execute_update(names.REBUILD, rebuild))["refused"]
    assert (await feeds.ledgers.reserve("usmf", account, ask(account, "q2c/usmf/last", "10.00"))).decision


@pytest.fixture
async def recipient(
    environment: WorkflowEnvironment, world: World, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Recipient]:
    queues_of_its_own(monkeypatch)
    async with somebody(environment, world) as recipient:
        yield recipient
    await replays(environment.client, (names.NOTICES,))


async def test_a_notice_that_cannot_be_taken_is_counted_and_the_next_one_waits(
    recipient: Recipient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_odd(_box: Box, telling: Telling, _now: datetime) -> bool:
        return telling.name == "odd"

    defect(monkeypatch, Box, "take", is_odd)
    await recipient.tell(name="odd")
    await recipient.counted(**{FAILED: 1})
    await recipient.tell()
    await recipient.until(lambda box: box.waiting, "the notice waits")
