"""Reads credit ledgers with their other two sides, what deals claim and what Finance counts; and rebuilds their books.

However many ledgers a company has, one activity keeps the names of so many, reviews them in order for a while, and says
behind which account the next one goes on. Each of its signs of life holds what was found so far: a try that was killed
is followed by one that goes on there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.credit_groups import shared_credit
from activities.credit_review_signatures import (
    A_TURN,
    CreditReviewActivities,
    ReviewedLedgers,
    ReviewLedgers,
    TellDifferences,
)
from activities.delivery import temporal_failures
from activities.failures import for_deal
from activities.finance_view import credit_facts
from activities.heartbeat import note_progress
from activities.signatures import FailureType, Nothing
from domain.calendar import local_date
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
from runs.calls import NoAnswer, Unreadable
from runs.credit_review import CreditReviews
from runs.ledgers import LedgerRefused

MOST_AT_ONCE = 10_000
"""Ledgers that one activity knows the names of."""
TRIES = 2
"""How often a ledger is reviewed again whose book was refused, or that could not be read."""
PAUSE_SECONDS = 3.0
TOGETHER = 3
"""Ledgers in a row that cannot be read for a reason which passes: the system is away, and none of them fails alone.

Each further try looks at so many more, so that a few side by side that never can be keep none behind them waiting.
"""
ATTEMPTS = 6
"""After which the last ledgers of a list fail alone: none behind them tells whether a system is away."""
PASSES = (FailureType.TRANSIENT, FailureType.THROTTLED, FailureType.UNAUTHORIZED)


def in_order(account: str) -> tuple[str, str]:
    """The place of an account in a review: those that differ in case alone stand beside each other."""
    return account.casefold(), account


class _Found(NamedTuple):
    """The ledgers that are next."""

    accounts: list[str]
    behind: int
    """How many ledgers are behind the account the review goes on from, these among them."""
    deals: Mapping[str, tuple[str, ...]]
    """Deals that claim credit, by account."""
    left_out: int
    silent: Mapping[str, str]
    """Why a deal does not say what it claims."""


class _InFinance(NamedTuple):
    """What Finance says of a customer's credit now; why it cannot be said, where it cannot."""

    counted: tuple[str, ...] = ()
    group: GroupCredit | None = None
    failed: str = ""


class _Turn:
    """What one activity does, and what was found so far."""

    def __init__(self, review: ReviewLedgers) -> None:
        """Go on where an earlier try was."""
        details = activity.info().heartbeat_details
        told = details[0] if details and isinstance(details[0], dict) else {"view": review.view, "after": review.after}
        self.review = review
        self.done = ReviewedLedgers.model_validate(told)
        note_progress(self.done)

    def begin(self, found: _Found) -> None:
        """So many ledgers are next; what cannot be asked at all is noted once in a review."""
        view = self.done.view
        if not self.done.after:
            view = view.model_copy(update={"left_out": found.left_out}).with_failed(found.silent)
        self.done = self.done.model_copy(update={"view": view, "left": found.behind})

    def note(self, ledgers: Iterable[ReviewedLedger]) -> None:
        """The next ledgers were looked at."""
        view, after, left = self.done.view, self.done.after, self.done.left or 0
        for ledger in ledgers:
            view, after, left = view.with_ledger(ledger), ledger.account, max(left - 1, 0)
        self.done = ReviewedLedgers(view=view, after=after, left=left)
        note_progress(self.done)

    def end(self, found: _Found) -> None:
        """All that were next were looked at."""
        if found.behind <= len(found.accounts):
            self.done = self.done.model_copy(update={"after": None})


@contextmanager
def _besides(own: LedgerState | None) -> Iterator[None]:
    """Calls to runs beside the customer's ledger: where that has just answered, one that does not fails alone.

    Raises:
        ApplicationError: one does not answer, and Temporal and its workers do.
    """
    try:
        yield
    except NoAnswer as error:
        if own is None:
            raise
        raise ApplicationError(error.detail, type=FailureType.TIMEOUT) from error


class CreditReviewWork(CreditReviewActivities):
    """Compares and rebuilds."""

    def __init__(self, finance: Finance, policy: Policy, reviews: CreditReviews, desk: AfterEndDesk) -> None:
        """Read ``finance``, and deals and ledgers through ``reviews``; what differs goes to ``desk``."""
        self._finance = finance
        self._policy = policy
        self._reviews = reviews
        self._desk = desk

    @activity.defn(name="review_ledgers")
    async def review_ledgers(self, review: ReviewLedgers) -> ReviewedLedgers:
        """Compare ledgers with what deals claim and Finance counts, or make their books anew; goes on where it was.

        What was found is answered though a system is away by now: the next activity waits for the system.
        """
        info = activity.info()
        left = 2 * A_TURN - (info.started_time - info.scheduled_time)  # what earlier tries took is gone
        until = time.monotonic() + min(A_TURN, left).total_seconds()
        turn = _Turn(review)
        try:
            with temporal_failures():
                found = await self._found(review, turn.done.after or "")
            turn.begin(found)
            await self._take(turn, found, until)
        except ApplicationError as error:
            if turn.done.after == review.after:
                raise
            activity.logger.warning("a review of credit ledgers goes no further for the moment: %s", error)
        return turn.done

    async def _found(self, review: ReviewLedgers, after: str) -> _Found:
        """The next ledgers of a company, and running deals that claim credit of each account."""
        asked, left_out = await self._reviews.asking_deals(review.company)
        claims, silent = await self._reviews.claims_of_those_that_answer(asked)
        deals: dict[str, tuple[str, ...]] = {}
        for claim in claims:
            deals[claim.account] = (*deals.get(claim.account, ()), claim.deal_id)
        wanted, begin = review.customer.casefold(), in_order(after)
        claimed = {a for a in deals if in_order(a) > begin and wanted in ("", a.casefold())}
        next_ones, behind = set(claimed), len(claimed)
        async for account in self._reviews.ledgers(review.company):
            if in_order(account) > begin and wanted in ("", account.casefold()) and account not in claimed:
                behind += 1
                next_ones.add(account)
                if len(next_ones) > 2 * MOST_AT_ONCE:
                    next_ones = set(sorted(next_ones, key=in_order)[:MOST_AT_ONCE])
        if review.customer and not after and not next_ones:
            next_ones, behind = {review.customer}, 1
        accounts = sorted(next_ones, key=in_order)[:MOST_AT_ONCE]
        why = {deal_id: error.detail for deal_id, error in silent.items()}
        return _Found(accounts, behind, deals, left_out, why)

    async def _take(self, turn: _Turn, found: _Found, until: float) -> None:
        """Review ledgers, and note each; one alone that cannot be read keeps none of the others waiting.

        Raises:
            ApplicationError: several in a row cannot be read.
        """
        doubtful: list[ReviewedLedger] = []
        away: ApplicationError | None = None
        for account in found.accounts:
            seen, away = await self._looked_at(turn.review, account, found.deals.get(account, ()))
            doubtful.append(seen)
            if away is None:
                turn.note(doubtful)
                doubtful = []
                if time.monotonic() >= until:
                    return
            elif len(doubtful) >= TOGETHER * activity.info().attempt:
                raise away
        if away is not None and activity.info().attempt < ATTEMPTS:
            raise away
        turn.note(doubtful)
        turn.end(found)

    async def _looked_at(
        self, review: ReviewLedgers, account: str, deals: Iterable[str]
    ) -> tuple[ReviewedLedger, ApplicationError | None]:
        """What a look at one ledger comes to; and the failure where a system may be away, to be tried again."""
        for left in range(TRIES, -1, -1):
            away = None
            try:
                with for_deal(), temporal_failures():
                    seen = await self._reviewed(review.company, account, deals, rebuild=review.rebuild)
                if seen.rebuilt is None or not seen.rebuilt.refused:
                    break  # else the ledger was too young, or the deals answered too slowly
            except ApplicationError as error:
                seen = ReviewedLedger(account=account, failed=f"{error.type}: {error.message}")
                pause = error.next_retry_delay
                if error.type in PASSES:
                    away = ApplicationError(error.message, type=error.type, next_retry_delay=pause)
                if error.non_retryable or pause:
                    break
            except Unreadable as error:
                seen = ReviewedLedger(account=account, failed=error.detail)
                break
            except Exception as error:  # noqa: BLE001 - what is odd about one customer is no other's business
                activity.logger.exception("a credit ledger cannot be reviewed")
                seen = ReviewedLedger(account=account, failed=f"{type(error).__name__}: {error}")
                break
            if left:
                await asyncio.sleep(PAUSE_SECONDS)
        return seen, away

    async def _reviewed(self, company: str, account: str, deals: Iterable[str], *, rebuild: bool) -> ReviewedLedger:
        here = await self._in_finance(company, account)
        if here.failed:
            return ReviewedLedger(account=account, failed=here.failed)
        group = here.group.facts.group if here.group else ""
        read_at = datetime.now(UTC)
        own = await self._reviews.ledger(company, account)
        with _besides(own):
            claims = await self._claims(deals, own, await self._of_group(group))
            ledger = await self._reviews.ledger(company, account) or LedgerState()
            shared = await self._of_group(group)  # what came meanwhile is in the books
        seen = Compared(
            account=account,
            book=ledger.book,
            claims=claims,
            counted=here.counted,
            group=group,
            told_group=ledger.groups[0] if ledger.groups else "",
            group_book=shared.book if shared else None,
            at=datetime.now(UTC),
        )
        found = differences(seen)
        more = len(found) - MOST_DIFFERENCES
        with _besides(own):
            book = await self._rebuilt(company, account, claims, read_at, here.group) if rebuild else None
        return ReviewedLedger(account=account, differences=found[:MOST_DIFFERENCES], more=max(more, 0), rebuilt=book)

    async def _of_group(self, group: str) -> LedgerState | None:
        """The ledger of a customer's group; None where it is in none."""
        return (await self._reviews.ledger(GROUPS, group) or LedgerState()) if group else None

    async def _claims(self, deals: Iterable[str], *ledgers: LedgerState | None) -> tuple[CreditClaim, ...]:
        """What the deals claim, and every deal that the ledgers know."""
        known = {run_of(entry.deal_id) for ledger in ledgers if ledger for entry in ledger.book.entries}
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
