"""A review of the credit ledgers of any number of customers: bounded in what it keeps, and resumed where it was."""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import timedelta
from decimal import Decimal, DecimalException
from types import SimpleNamespace
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment, WorkflowEnvironment
from temporalio.worker import Worker

import policies
from activities import credit_review
from activities.credit_review import CreditReviewWork
from activities.credit_review_signatures import A_TURN, ReviewedLedgers, ReviewLedgers
from domain.credit import CreditBook, CreditEntry, EntryStatus
from domain.credit_claims import ClaimKind, CreditClaim
from domain.credit_review import Difference, LedgerState, RebuildBook, RebuiltBook
from domain.credit_review_said import CreditReviewStart, CreditReviewView, ReviewedLedger
from domain.messages import Outcome, SignedMessage
from dynamics.core.errors import Refused, System, Throttled, Transient, Unreachable
from runs import names
from runs.calls import NoAnswer, Unreadable
from runs.credit_review import CreditReviews
from tests.workflows.conftest import World, dev_server, queues_of_its_own
from tests.workflows.replaying import replays
from tests.workflows.test_continue_as_new import LIMITS
from tests.workflows.test_lasting_runs import begin, eventually, said, statuses, workers_of
from tests.workflows.trusting import OTTO
from workflows.credit_review import CreditReview

POLICY = policies.load(None)
AWAY = NoAnswer("No worker responds")


class Many(CreditReviews):
    """A company of so many customers; each of their ledgers holds credit for a deal that claims none."""

    def __init__(self, accounts: Iterable[str], deals: Sequence[str] = ()) -> None:
        self.accounts = list(accounts)
        self.deals = list(deals)
        self.failing: dict[str, Exception] = {}
        """By account or deal, what a question to it comes to."""
        self.finance: dict[str, Exception] = {}
        self.looked_at: list[str] = []
        self.rebuilt: list[str] = []
        self.asked: list[list[str]] = []
        self.stops_at: str | None = None
        self.stopped, self.goes_on = asyncio.Event(), asyncio.Event()

    async def ledgers(self, company: str) -> AsyncIterator[str]:
        for account in self.accounts:
            yield account

    async def asking_deals(self, company: str) -> tuple[list[str], int]:
        return self.deals, 7

    async def claims_of_those_that_answer(
        self, deal_ids: Sequence[str]
    ) -> tuple[list[CreditClaim], dict[str, NoAnswer | Unreadable]]:
        self.asked.append(list(deal_ids))
        silent = {
            deal: error for deal in deal_ids if isinstance(error := self.failing.get(deal), NoAnswer | Unreadable)
        }
        return [claim(deal) for deal in deal_ids if deal not in silent and deal.startswith("of ")], silent

    async def ledger(self, company: str, account: str) -> LedgerState | None:
        if account == self.stops_at:
            self.stopped.set()
            await self.goes_on.wait()
        if error := self.failing.get(account):
            raise error
        entry = CreditEntry(
            deal_id=f"gone/{account}", order_number=f"O-{account}", amount=Decimal(5), status=EntryStatus.RESERVED
        )
        return LedgerState(book=CreditBook(entries=(entry,)))

    async def rebuild(self, company: str, account: str, rebuild: RebuildBook) -> RebuiltBook:
        self.rebuilt.append(account)
        return RebuiltBook(dropped=1)

    async def read_credit(self, company: str, account: str, **rest: object) -> object:
        self.looked_at.append(account)
        if error := self.finance.get(account):
            raise error
        return SimpleNamespace()

    @property
    def work(self) -> CreditReviewWork:
        finance: Any = self
        desk: Any = None
        return CreditReviewWork(finance, POLICY, self, desk)


def claim(deal: str) -> CreditClaim:
    account = deal.removeprefix("of ")
    return CreditClaim(
        deal_id=deal, account=account, order_number=f"O-{deal}", amount=Decimal(9), kind=ClaimKind.RESERVED
    )


@pytest.fixture(autouse=True)
def finance_that_knows_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    async def of_no_group(*_: object) -> None:
        return None

    monkeypatch.setattr(credit_review, "credit_facts", lambda *_, **__: SimpleNamespace(open_orders=()))
    monkeypatch.setattr(credit_review, "shared_credit", of_no_group)
    monkeypatch.setattr(credit_review, "PAUSE_SECONDS", 0.0)


def ask(**how: Any) -> ReviewLedgers:
    return ReviewLedgers(company="usmf", view=CreditReviewView(company="usmf"), **how)


async def reviewed(many: Many, review: ReviewLedgers, attempt: int = 1, *beats: Any) -> ReviewedLedgers:
    """What one try answers; ``beats``: what the one before said last."""
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(environment.info, attempt=attempt, heartbeat_details=beats)
    return await environment.run(many.work.review_ledgers, review)


# However many there are


async def test_a_hundred_thousand_ledgers_are_a_few_small_activities(
    environment: WorkflowEnvironment, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: all accounts in one payload of 2.4 MB, which is refused, and an activity for each ten of them."""
    queues_of_its_own(monkeypatch)
    differs = Difference(code="CREDIT_OF_NO_DEAL", account="C" * 20, deal_id="q2c/usmf/Q-1", order_number="O", text="x")

    async def seen(
        work: CreditReviewWork, company: str, account: str, deals: object, *, rebuild: bool
    ) -> ReviewedLedger:
        many.looked_at.append(account)
        if len(many.looked_at) % 100 == 0:
            await asyncio.sleep(0)
        return ReviewedLedger(account=account, differences=(differs,), failed="no such customer")

    monkeypatch.setattr(CreditReviewWork, "_reviewed", seen)
    many = Many(f"C-{n:06}" for n in range(99_999, -1, -1))
    async with workers_of(environment, world, CreditReview), finance_of(environment, many):
        run = await begin(environment, names.CREDIT_REVIEW, CreditReviewStart(company="usmf", timezone="UTC"))
        told = await said(run, f"{OTTO.oid}|rebuild_credit|reason=look;dry_run=true")
        assert told.detail == "100000 credit ledgers compared, 100000 differences; 100 could not be"
        assert many.looked_at == sorted(many.accounts), "each once, in order"
        history = await run.fetch_history()
        await run.terminate()
    assert [event.event_type for event in history.events].count(EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED) < 15
    assert len(history.events) < 100
    assert max(event.ByteSize() for event in history.events) < 100_000
    await replays(environment.client, (names.CREDIT_REVIEW,))


async def test_an_activity_keeps_so_many_names_and_the_next_goes_on_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(credit_review, "MOST_AT_ONCE", 3)
    many = Many(["d", "b", "C", "a", "B", "e", "F", "g", "h", "A"], deals=["of f", "of bb", "of a"])
    ask_for = ask()
    answers: list[ReviewedLedgers] = []
    while not answers or answers[-1].after is not None:
        answers.append(await reviewed(many, ask_for))
        ask_for = ask_for.model_copy(update={"view": answers[-1].view, "after": answers[-1].after or ""})
    assert many.looked_at == ["A", "a", "B", "b", "bb", "C", "d", "e", "F", "f", "g", "h"]
    assert [(answer.after, answer.left) for answer in answers] == [("B", 9), ("C", 6), ("F", 3), (None, 0)]
    assert (answers[-1].view.ledgers, answers[-1].view.left_out) == (12, 7), "too many deals count once"


async def test_deals_are_asked_who_claims_credit_once_in_each_activity() -> None:
    many = Many((f"C-{n}" for n in range(50)), deals=["of C-7", "of X", "stuck"])
    many.failing["stuck"] = AWAY
    found = await reviewed(many, ask())
    assert many.asked.count(many.deals) == 1 and ["gone/C-7", "of C-7"] in many.asked
    assert found.view.failed == {"stuck": AWAY.detail}, "one that does not answer keeps no review from its end"
    assert found.view.ledgers == 51


async def test_after_its_turn_an_activity_says_how_far_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credit_review, "A_TURN", timedelta(0))
    found = await reviewed(Many("abc"), ask())
    assert (found.after, found.left, found.view.ledgers) == ("a", 2, 1)


async def test_what_earlier_tries_took_is_part_of_the_turn() -> None:
    """Else a try that goes on late would be cut off by the limit of all tries together."""
    environment = ActivityEnvironment()
    began = environment.info.scheduled_time + 2 * A_TURN
    environment.info = dataclasses.replace(environment.info, started_time=began, attempt=2)
    assert (await environment.run(Many("abc").work.review_ledgers, ask())).after == "a"


@pytest.mark.parametrize(("customer", "looked_at"), [("us-001", ["US-001", "us-001"]), ("Us-2", ["Us-2"])])
async def test_a_customer_is_found_however_it_is_written(customer: str, looked_at: list[str]) -> None:
    many = Many(["US-001", "us-001", "US-0010"], deals=["of US-001"])
    found = await reviewed(many, ask(customer=customer, rebuild=True))
    assert (many.looked_at, many.rebuilt, found.after) == (looked_at, looked_at, None)


# What fails


async def test_a_try_that_was_killed_is_followed_by_one_that_goes_on_there(
    environment: WorkflowEnvironment, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    queues_of_its_own(monkeypatch)
    many = Many(f"C-{n:02}" for n in range(40))
    many.stops_at = "C-20"
    async with workers_of(environment, world, CreditReview):
        async with finance_of(environment, many):
            run = await begin(environment, names.CREDIT_REVIEW, CreditReviewStart(company="usmf", timezone="UTC"))
            asked = await say(run, f"{OTTO.oid}|rebuild_credit|reason=all")
            await many.stopped.wait()
        many.stops_at = None
        async with finance_of(environment, many):
            told = await became(run, asked)
        await run.terminate()
    assert told.detail.startswith("40 credit ledgers compared, 40 differences; 40 rebuilt: 40 entries dropped")
    assert many.rebuilt == many.accounts, "none was rebuilt twice"
    assert many.looked_at == [*many.accounts[:21], *many.accounts[20:]]


@pytest.mark.parametrize(
    ("failure", "text", "tries"),
    [
        (Transient("503", system=System.FINANCE), "Transient: finance: 503", 3),
        (Unreachable("not sent", system=System.FINANCE), "Transient: finance: not sent", 1),
        (Refused("no", system=System.FINANCE), "Refused: finance: no", 1),
        (DecimalException("odd"), "DecimalException: odd", 1),
    ],
)
async def test_an_account_that_fails_alone_is_noted_and_the_next_one_reviewed(
    failure: Exception, text: str, tries: int
) -> None:
    many = Many("abc")
    many.finance["b"] = failure
    found = await reviewed(many, ask())
    assert (found.after, found.view.ledgers, found.view.failed) == (None, 3, {"b": text})
    assert many.looked_at.count("b") == tries


@pytest.mark.parametrize("failure", [AWAY, Unreadable("a worker failed to answer")])
async def test_a_deal_that_does_not_answer_fails_the_ledgers_that_know_it_and_no_other(failure: Exception) -> None:
    many = Many("abcdefgh")
    many.failing |= {f"gone/{account}": failure for account in "bcdef"}
    found = await reviewed(many, ask())
    assert (found.after, found.view.ledgers, sorted(found.view.failed)) == (None, 8, list("bcdef"))


async def test_what_was_found_before_a_system_went_away_is_answered_and_the_next_activity_waits_for_it() -> None:
    many = Many("abcdefgh")
    many.failing |= dict.fromkeys("cdefgh", AWAY)
    found = await reviewed(many, ask())
    assert (found.after, found.left, found.view.ledgers, found.view.failed) == ("b", 6, 2, {})
    go_on = ask(after=found.after).model_copy(update={"view": found.view})
    with pytest.raises(ApplicationError) as raised:
        await reviewed(many, go_on)
    assert (raised.value.type, raised.value.non_retryable) == ("Transient", False)
    many.failing.clear()
    found = await reviewed(many, go_on, 2)
    assert (found.after, found.view.ledgers, found.view.failed) == (None, 8, {})


async def test_a_try_whose_system_went_away_answers_what_the_killed_one_before_it_found() -> None:
    many = Many("abcdefgh")
    many.failing |= dict.fromkeys("cdefgh", AWAY)
    kept = ReviewedLedgers(view=CreditReviewView(company="usmf", ledgers=2), after="b", left=6)
    assert await reviewed(many, ask(), 2, kept.model_dump(mode="json")) == kept


async def test_a_pause_that_a_system_asked_for_is_kept() -> None:
    many = Many("abc")
    many.finance |= dict.fromkeys("abc", Throttled("429", system=System.FINANCE, retry_after=60))
    with pytest.raises(ApplicationError) as raised:
        await reviewed(many, ask())
    pause = raised.value.next_retry_delay
    assert pause is not None and pause >= timedelta(seconds=60) and many.looked_at == ["a", "b", "c"]


async def test_some_side_by_side_that_never_can_be_read_keep_none_behind_them_from_it() -> None:
    many = Many("abcdefgh")
    many.failing |= dict.fromkeys("abcd", AWAY)
    with pytest.raises(ApplicationError):
        await reviewed(many, ask())
    found = await reviewed(many, ask(), 2)
    assert (found.after, found.view.ledgers, sorted(found.view.failed)) == (None, 8, list("abcd"))


async def test_the_last_one_that_cannot_be_read_fails_alone_after_some_tries() -> None:
    many = Many(["a"])
    many.failing["a"] = AWAY
    for attempt in range(1, 6):
        with pytest.raises(ApplicationError, match="No worker"):
            await reviewed(many, ask(customer="A"), attempt)
    found = await reviewed(many, ask(customer="A"), 6)
    assert (found.after, found.view.failed) == (None, {"a": f"Transient: {AWAY.detail}"})


# What is said meanwhile


@pytest.fixture(scope="module")
async def narrow() -> AsyncIterator[WorkflowEnvironment]:
    async with dev_server(**LIMITS) as server:
        yield server


async def test_a_review_goes_on_from_run_to_run_and_who_asked_for_it_is_answered_at_its_end(
    narrow: WorkflowEnvironment, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One customer's review and a word without proof are not kept waiting by that of all."""
    queues_of_its_own(monkeypatch)
    monkeypatch.setattr(credit_review, "A_TURN", timedelta(0))
    many = Many(f"C-{n:02}" for n in range(60))
    many.stops_at = "C-10"
    async with workers_of(narrow, world, CreditReview), finance_of(narrow, many):
        run = await begin(narrow, names.CREDIT_REVIEW, CreditReviewStart(company="usmf", timezone="UTC"))
        of_all = await say(run, f"{OTTO.oid}|rebuild_credit|reason=all")
        await many.stopped.wait()
        of_one = await say(run, f"{OTTO.oid}|rebuild_credit|reason=one;customer=c-59")
        unsigned = await say(run, "nobody signed this")
        many.goes_on.set()
        assert (await became(run, unsigned)).code == "UNAUTHENTICATED"
        assert "1 rebuilt" in (await became(run, of_one)).detail
        assert "60 credit ledgers compared, 60 differences; 60 rebuilt" in (await became(run, of_all)).detail
        assert many.rebuilt == [*many.accounts[:11], "C-59", *many.accounts[11:]]
        await eventually(lambda: asyncio.sleep(0, len(world.audited) == 3), "written down")
        assert sorted(record.code for record in world.audited) == ["", "", "UNAUTHENTICATED"]
        assert sum("60 credit ledgers" in record.what for record in world.audited) == 1
        found = await statuses(narrow, run.id)
        await run.terminate()
    assert found.count(WorkflowExecutionStatus.CONTINUED_AS_NEW) > 3 and WorkflowExecutionStatus.FAILED not in found
    await replays(narrow.client, (names.CREDIT_REVIEW,))


async def test_so_many_reviews_wait_and_who_asks_for_more_is_told_so(
    environment: WorkflowEnvironment, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    queues_of_its_own(monkeypatch)
    many = Many("abc")
    many.stops_at = "a"
    async with workers_of(environment, world, CreditReview), finance_of(environment, many):
        run = await begin(environment, names.CREDIT_REVIEW, CreditReviewStart(company="usmf", timezone="UTC"))
        asked = [await say(run, f"{OTTO.oid}|rebuild_credit|reason=all;dry_run=true")]
        await many.stopped.wait()
        asked += [await say(run, f"{OTTO.oid}|rebuild_credit|reason=all;dry_run=true") for _ in range(6)]
        many.goes_on.set()
        codes = [(await became(run, each)).code for each in asked]
        await run.terminate()
    assert sorted(codes) == [""] * 6 + ["TOO_MANY_REQUESTS"], "the first was done, and five waited"


async def say(run: Any, token: str) -> str:
    message = SignedMessage(message_id=uuid.uuid4().hex, token=token)
    await run.signal(names.COMMAND, message)
    return message.message_id


async def became(run: Any, message_id: str) -> Outcome:
    return Outcome.model_validate(await eventually(lambda: run.query(names.OUTCOME, message_id), "answered"))


def finance_of(environment: WorkflowEnvironment, many: Many) -> Worker:
    return Worker(environment.client, task_queue=names.FINANCE_QUEUE, activities=[many.work.review_ledgers])
