"""A company's review of its credit ledgers: at night, by a person, and what the ledger itself makes of a rebuild."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.credit_review_signatures import (
    CreditReviewActivities,
    ReviewedLedgers,
    ReviewLedgers,
    TellDifferences,
)
from activities.signatures import Nothing
from domain.credit import CreditBook, CreditEntry, EntryStatus
from domain.credit_claims import ClaimKind, CreditClaim
from domain.credit_ledger import LedgerStart
from domain.credit_review import Difference, LedgerState, RebuildBook, RebuiltBook
from domain.credit_review_said import CreditReviewStart, CreditReviewView, ReviewedLedger
from domain.messages import Outcome, SignedMessage
from domain.people import Person
from runs import names
from runs.calls import Unreadable
from runs.credit_review import CreditReviews
from tests.deadlines import PATIENCE
from tests.workflows.conftest import World, queues_of_its_own
from tests.workflows.replaying import replays
from tests.workflows.scripted_desks import ScriptedAudit
from tests.workflows.trusting import CARL, OTTO, TrustingVerifier
from workers.worker import workflow_runner
from workflows.audit import AuditDelivery
from workflows.credit_ledger import CreditLedger
from workflows.credit_review import CreditReview

DEAL = "q2c/usmf/Q-1"
DIFFERS = Difference(code="CREDIT_OF_NO_DEAL", account="US-007", deal_id=DEAL, order_number="Q2C-1", text="of no deal")


class ScriptedReviews(CreditReviewActivities):
    """A company of twelve customers, of whom one activity reviews ten; the ledger of one differs."""

    def __init__(self) -> None:
        self.reviewed: list[ReviewLedgers] = []
        self.told: list[TellDifferences] = []
        self.failure: ApplicationError | None = None

    @activity.defn(name="review_ledgers")
    async def review_ledgers(self, review: ReviewLedgers) -> ReviewedLedgers:
        self.reviewed.append(review)
        if self.failure is not None and review.after:
            raise self.failure
        wanted = review.customer.casefold()
        accounts = [a for n in range(1, 13) if (a := f"US-{n:03}") > review.after and wanted in ("", a.casefold())]
        view, book = review.view, RebuiltBook(dropped=1) if review.rebuild else None
        for account in accounts[:10]:
            found = (DIFFERS,) if account == "US-007" else ()
            view = view.with_ledger(ReviewedLedger(account=account, differences=found, rebuilt=book))
        left = len(accounts) - 10
        return ReviewedLedgers(view=view, after=accounts[9], left=left) if left > 0 else ReviewedLedgers(view=view)

    @activity.defn(name="tell_differences")
    async def tell_differences(self, tell: TellDifferences) -> Nothing:
        self.told.append(tell)
        return Nothing()


class Company:
    """The review of a company, on a worker of its own."""

    def __init__(self, environment: WorkflowEnvironment, world: World) -> None:
        self.env, self.client, self.world = environment, environment.client, world
        self.work, self.reviews = ScriptedReviews(), CreditReviews(environment.client)
        self.run = self.client.get_workflow_handle(names.credit_review_id("usmf"))

    async def say(self, person: Person, **args: str) -> Outcome | None:
        rest = ";".join(f"{name}={value}" for name, value in args.items())
        message = SignedMessage(message_id=str(uuid.uuid4()), token=f"{person.oid}|rebuild_credit|{rest}")
        return await self.reviews.tell("usmf", message, timezone="America/New_York")

    async def begin(self) -> None:
        await self.client.start_workflow(
            names.CREDIT_REVIEW,
            CreditReviewStart(company="usmf", timezone="America/New_York"),
            id=self.run.id,
            task_queue=names.DEAL_QUEUE,
        )

    async def until_reviewed(self, message_id: str = "") -> CreditReviewView:
        async with asyncio.timeout(PATIENCE):
            while True:
                view = await self.reviews.read("usmf")
                if view.at is not None and view.message_id == message_id:
                    return view
                await asyncio.sleep(0.05)

    def workers(self) -> list[Worker]:
        scripted: list[Callable[..., Any]] = [self.work.tell_differences, self.work.review_ledgers]
        proofs: list[Callable[..., Any]] = [TrustingVerifier().verify_messages, ScriptedAudit(self.world).record_audit]
        deals = Worker(
            self.client,
            task_queue=names.DEAL_QUEUE,
            workflows=[CreditReview, AuditDelivery, CreditLedger],
            activities=proofs,
            workflow_runner=workflow_runner(),
        )
        return [deals, Worker(self.client, task_queue=names.FINANCE_QUEUE, activities=scripted)]


@pytest.fixture
async def company(
    environment: WorkflowEnvironment, world: World, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Company]:
    queues_of_its_own(monkeypatch)
    suffix = uuid.uuid4().hex[:8]
    monkeypatch.setattr(names, "credit_review_id", lambda company: f"credit-review/{company}-{suffix}")
    made = Company(environment, world)
    deals, finance = made.workers()
    async with deals, finance:
        yield made
    await replays(environment.client, (names.CREDIT_REVIEW, names.CREDIT_LEDGER))


async def test_ledgers_are_compared_at_night_and_what_differs_is_an_exception_and_stays_as_it_is(
    company: Company,
) -> None:
    await company.begin()
    view = await company.reviews.read("usmf")
    assert view.next_at is not None and view.at is None
    await company.env.fast_forward(company.run, timedelta(days=1))
    view = await company.until_reviewed()
    assert (view.ledgers, view.differences, view.rebuilt) == (12, (DIFFERS,), 0)
    assert [(ask.after, ask.view.ledgers) for ask in company.work.reviewed][:2] == [("", 0), ("US-010", 10)]
    assert not any(ask.rebuild for ask in company.work.reviewed)
    assert company.work.told[0].differences == (DIFFERS,)


async def test_an_operator_alone_has_ledgers_rebuilt_and_it_is_written_down(company: Company) -> None:
    await company.begin()
    refused = await company.say(CARL, customer="US-007", reason="why not")
    assert refused is not None and refused.code == "NO_AUTHORITY" and not company.work.reviewed
    no_reason = await company.say(OTTO, customer="US-007")
    assert no_reason is not None and no_reason.code == "BAD_ARGUMENT"

    done = await company.say(OTTO, customer="us-007", reason="after a restore")
    assert done is not None and done.accepted and "1 rebuilt: 1 entries dropped" in done.detail
    (asked,) = company.work.reviewed
    assert (asked.customer, asked.rebuild) == ("us-007", True)
    looked = await company.say(OTTO, dry_run="true", reason="all of them")
    assert looked is not None and "12 credit ledgers compared, 1 differences" in looked.detail
    assert not company.work.told, "who asked was answered"
    async with asyncio.timeout(PATIENCE):
        while len(company.world.audited) < 4:
            await asyncio.sleep(0.05)
    codes = [record.code for record in company.world.audited]
    assert sorted(codes) == ["", "", "BAD_ARGUMENT", "NO_AUTHORITY"]


async def test_a_review_that_goes_no_further_says_why_how_many_are_left_and_what_it_found(company: Company) -> None:
    company.work.failure = ApplicationError("503", type="Transient", non_retryable=True)
    await company.begin()
    done = await company.say(OTTO, dry_run="true", reason="all of them")
    assert done is not None and done.accepted
    assert (
        "10 credit ledgers compared, 1 differences; it ended early: Transient: 503; 2 ledgers were not" in done.detail
    )
    view = await company.reviews.read("usmf")
    assert view.failed == {"": "Transient: 503; 2 ledgers were not looked at"} and view.differences == (DIFFERS,)


def entry(deal_id: str, amount: int, status: EntryStatus = EntryStatus.RESERVED) -> CreditEntry:
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    return CreditEntry(
        deal_id=deal_id, order_number=f"O-{deal_id}", amount=Decimal(amount), status=status, asked_at=long_ago
    )


def claim(deal_id: str, amount: int, account: str) -> CreditClaim:
    return CreditClaim(
        deal_id=deal_id,
        account=account,
        order_number=f"O-{deal_id}",
        amount=Decimal(amount),
        kind=ClaimKind.RESERVED,
    )


async def test_a_ledger_takes_a_new_book_in_one_step_and_refuses_what_was_read_before_it_began(
    company: Company,
) -> None:
    account = f"C-{uuid.uuid4().hex[:8]}"
    book = CreditBook(entries=(entry("gone", 100), entry("other amount", 50)))
    ledger: Any = await company.client.start_workflow(
        names.CREDIT_LEDGER,
        LedgerStart(company="usmf", customer_account=account, book=book),
        id=names.ledger_id("usmf", account),
        task_queue=names.DEAL_QUEUE,
    )

    def rebuild(read_at: datetime) -> RebuildBook:
        claims = (claim("other amount", 60, account), claim("forgotten", 70, account))
        return RebuildBook(account=account, claims=claims, read_at=read_at)

    too_early = await company.reviews.rebuild("usmf", account, rebuild(datetime.now(UTC) - timedelta(minutes=1)))
    assert "begun a new run" in too_early.refused
    junk = await ledger.execute_update(names.REBUILD, {"account": "", "claims": 7}, result_type=RebuiltBook)
    assert junk.refused
    assert (await ledger.query(names.LEDGER, result_type=LedgerState)).book == book

    await company.env.fast_forward(ledger, timedelta(seconds=10))
    told = await company.reviews.rebuild("usmf", account, rebuild(datetime.now(UTC) + timedelta(seconds=9)))
    assert (told.refused, told.dropped, told.added, told.changed) == ("", 1, 1, 1)
    after = (await ledger.query(names.LEDGER, result_type=LedgerState)).book
    assert {e.deal_id: int(e.amount) for e in after.entries} == {"other amount": 60, "forgotten": 70}


async def test_of_deals_that_cannot_say_what_they_claim_it_is_known_why(company: Company) -> None:
    account = f"C-{uuid.uuid4().hex[:8]}"
    odd = await company.client.start_workflow(
        names.CREDIT_LEDGER,
        LedgerStart(company="usmf", customer_account=account),
        id=names.deal_id("usmf", account),
        task_queue=names.DEAL_QUEUE,
    )
    found, silent = await company.reviews.claims_of_those_that_answer([odd.id, "q2c/usmf/gone"])
    assert found == [] and list(silent) == [odd.id] and "cannot be read" in silent[odd.id].detail
    with pytest.raises(Unreadable):
        await company.reviews.claims([odd.id])
    assert await company.reviews.claims(["q2c/usmf/gone"]) == []
