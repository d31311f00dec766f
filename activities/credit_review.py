"""Reads a credit ledger with its other two sides, what deals claim and what Finance counts; and rebuilds its book."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from temporalio import activity

from activities.credit_groups import shared_credit
from activities.credit_review_signatures import (
    CreditReviewActivities,
    FindLedgers,
    FoundLedgers,
    ReviewedLedgers,
    ReviewLedgers,
    TellDifferences,
)
from activities.delivery import temporal_failures
from activities.failures import for_deal
from activities.finance_view import credit_facts
from activities.signatures import Nothing
from domain.calendar import local_date
from domain.credit import CreditBook
from domain.credit_claims import CreditClaim
from domain.credit_groups import GROUPS, GroupCredit
from domain.credit_parts import run_of
from domain.credit_review import (
    MOST_DIFFERENCES,
    Compared,
    LedgerState,
    RebuildBook,
    RebuiltBook,
    differences,
)
from domain.credit_review_said import ReviewedLedger
from domain.exchange import NoRate
from domain.policy import Policy
from domain.refusals import Refusal
from domain.unclaimed import Unclaimed
from dynamics.finance.client import Finance
from runs.after_end import AfterEndDesk
from runs.calls import Unreadable
from runs.credit_review import CreditReviews
from runs.ledgers import LedgerRefused

TRIES = 2
"""How often a book is made anew again that was refused."""
PAUSE_SECONDS = 3.0


class _InFinance(NamedTuple):
    """What Finance says of a customer's credit now; why it cannot be said, where it cannot."""

    counted: tuple[str, ...] = ()
    group: GroupCredit | None = None
    failed: str = ""


class CreditReviewWork(CreditReviewActivities):
    """Compares and rebuilds."""

    def __init__(self, finance: Finance, policy: Policy, reviews: CreditReviews, desk: AfterEndDesk) -> None:
        """Read ``finance``, and deals and ledgers through ``reviews``; what differs goes to ``desk``."""
        self._finance = finance
        self._policy = policy
        self._reviews = reviews
        self._desk = desk

    @activity.defn(name="find_ledgers")
    async def find_ledgers(self, find: FindLedgers) -> FoundLedgers:
        """Find the ledgers of a company, and running deals that claim credit of each account."""
        with temporal_failures():
            deals, left_out = await self._reviews.asking_deals(find.company)
            claims = await self._reviews.claims(deals)
            accounts: dict[str, tuple[str, ...]] = dict.fromkeys(await self._reviews.ledgers(find.company), ())
        for claim in claims:
            accounts[claim.account] = (*accounts.get(claim.account, ()), claim.deal_id)
        return FoundLedgers(accounts=accounts, left_out=left_out)

    @activity.defn(name="review_ledgers")
    async def review_ledgers(self, review: ReviewLedgers) -> ReviewedLedgers:
        """Compare some ledgers with what deals claim and Finance counts; or make their books anew."""
        found = []
        for account, deals in review.accounts.items():
            with for_deal(), temporal_failures():
                seen = await self._reviewed(review.company, account, deals, rebuild=review.rebuild)
                for _ in range(TRIES):
                    if seen.rebuilt is None or not seen.rebuilt.refused:
                        break
                    await asyncio.sleep(PAUSE_SECONDS)  # the ledger was too young, or the deals answered too slowly
                    seen = await self._reviewed(review.company, account, deals, rebuild=True)
                found.append(seen)
        return ReviewedLedgers(ledgers=tuple(found))

    async def _reviewed(self, company: str, account: str, deals: Iterable[str], *, rebuild: bool) -> ReviewedLedger:
        here = await self._in_finance(company, account)
        if here.failed:
            return ReviewedLedger(account=account, failed=here.failed)
        group = here.group.facts.group if here.group else ""
        read_at = datetime.now(UTC)
        try:
            ledger, shared = await self._books(company, account, group)
            claims = await self._claims(deals, ledger.book, shared)
            ledger, shared = await self._books(company, account, group)  # what came meanwhile is in the books
        except Unreadable as error:
            return ReviewedLedger(account=account, failed=error.detail)
        seen = Compared(
            account=account,
            book=ledger.book,
            claims=claims,
            counted=here.counted,
            group=group,
            told_group=ledger.groups[0] if ledger.groups else "",
            group_book=shared,
            at=datetime.now(UTC),
        )
        found = differences(seen)
        more = len(found) - MOST_DIFFERENCES
        book = await self._rebuilt(company, account, claims, read_at, here.group) if rebuild else None
        return ReviewedLedger(account=account, differences=found[:MOST_DIFFERENCES], more=max(more, 0), rebuilt=book)

    async def _books(self, company: str, account: str, group: str) -> tuple[LedgerState, CreditBook | None]:
        """The customer's ledger, and the book of its group's; None where it is in none."""
        own = await self._reviews.ledger(company, account) or LedgerState()
        shared = await self._reviews.ledger(GROUPS, group) if group else None
        return own, (shared or LedgerState()).book if group else None

    async def _claims(self, deals: Iterable[str], *books: CreditBook | None) -> tuple[CreditClaim, ...]:
        """What the deals claim, and every deal that the books know."""
        known = {run_of(entry.deal_id) for book in books if book for entry in book.entries}
        return tuple(await self._reviews.claims(sorted({*deals, *known})))

    async def _rebuilt(
        self,
        company: str,
        account: str,
        claims: tuple[CreditClaim, ...],
        read_at: datetime,
        group: GroupCredit | None,
    ) -> RebuiltBook:
        """The group's book first: what it lacks must not be given before the customer's own is right."""
        try:
            if group is not None:
                shared = tuple(c.model_copy(update={"amount": group.amount(c.amount)}) for c in claims)
                told = await self._reviews.rebuild(
                    GROUPS, group.facts.group, RebuildBook(account=account, claims=shared, read_at=read_at)
                )
                if told.refused:
                    return told
            return await self._reviews.rebuild(
                company, account, RebuildBook(account=account, claims=claims, read_at=read_at)
            )
        except LedgerRefused as refusal:
            return RebuiltBook(refused=str(refusal)[:500])

    async def _in_finance(self, company: str, account: str) -> _InFinance:
        today = local_date(datetime.now(UTC), self._policy.calendar(company).timezone)
        read = await self._finance.read_credit(company, account, today=today, currency="", shared=True)
        try:
            facts = credit_facts(read, self._policy, today=today)
        except NoRate as missing:
            return _InFinance(failed=str(missing))
        if facts is None:
            return _InFinance(failed=f"Finance has no customer {account}")
        group = await shared_credit(self._finance, read, facts, self._policy, today)
        return _InFinance(tuple(order.order_number for order in facts.open_orders), group)

    @activity.defn(name="tell_differences")
    async def tell_differences(self, tell: TellDifferences) -> Nothing:
        """Hand differences to the desk, where each is an exception until a person settles it."""
        with temporal_failures():
            for found in tell.differences:
                code = Refusal[found.code]
                report = Unclaimed(
                    id=f"credit/{tell.day}/{found.code}/{found.reference}"[:300],
                    company=tell.company,
                    what="credit ledger",
                    reference=found.reference,
                    reason=f"Credit of customer {found.account}: {found.text}",
                    help=code.sentence,
                    code=code,
                )
                await self._desk.report_unclaimed(tell.company, report)
        return Nothing()
