"""A company's credit ledgers, compared every night with what deals claim and Finance counts; made anew when told to.

What differs is an exception for operators, and is never mended by itself: a person says, signed, that a book is made
anew. One run per company, which also keeps what the last review found.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.credit_review_signatures import (
        AT_ONCE,
        CreditReviewActivities,
        FindLedgers,
        FoundLedgers,
        ReviewLedgers,
        TellDifferences,
    )
    from domain.calendar import local_date
    from domain.credit_review import Difference
    from domain.credit_review_said import (
        REBUILD_CREDIT,
        CreditReviewStart,
        CreditReviewView,
        RebuildArgs,
        ReviewedLedger,
        next_night,
        said_to_review,
    )
    from domain.messages import SignedMessage, VerifiedMessage
    from runs import names
    from workflows.spoken import SpokenTo
    from workflows.steps import Argument, Result, long_look

LONGEST_TRY = timedelta(minutes=30)


@workflow.defn(name=names.CREDIT_REVIEW)
class CreditReview(SpokenTo):
    """Reviews one company's credit ledgers."""

    @workflow.init
    def __init__(self, start: CreditReviewStart) -> None:
        """Make the state before the first message is handled."""
        super().__init__(
            start.company, outcomes=start.outcomes, heard=start.heard, unheard=start.unheard, tally=start.tally
        )
        self._start = start
        self._view = start.view or CreditReviewView(company=start.company)
        planned = start.view.next_at if start.view else None
        self._next_at = planned or next_night(workflow.now(), start.timezone)

    @workflow.run
    async def run(self, start: CreditReviewStart) -> None:
        """Review every night, and when a person says so, forever."""
        while True:
            self._describe()
            await self._rest()
            if self._unheard:
                await self._hear_some()
                self._something = True
            elif workflow.now() >= self._next_at:
                await self._nightly()
                self._something = True
            if self._long_enough():
                workflow.continue_as_new(start.model_copy(update={"view": self.state(), **self._spoken()}))

    async def _rest(self) -> None:
        left = self._next_at - workflow.now()
        if left <= timedelta(0):
            return
        try:
            await workflow.wait_condition(
                lambda: bool(self._unheard) or self._long_enough(),
                timeout=left,
                timeout_summary="Until the ledgers are compared at night",
            )
        except TimeoutError:
            pass

    async def _nightly(self) -> None:
        """Compare all ledgers; what differs goes to the desk of exceptions."""
        self._next_at = next_night(workflow.now(), self._start.timezone)
        self._view, found = await self._review(RebuildArgs(dry_run=True, reason="nightly"), "")
        if found:
            day = local_date(workflow.now(), self._start.timezone).isoformat()
            tell = TellDifferences(company=self._company, day=day, differences=tuple(found))
            await self._asked(CreditReviewActivities.tell_differences, tell, "Tell what differs")

    async def _review(self, args: RebuildArgs, message_id: str) -> tuple[CreditReviewView, list[Difference]]:
        """Review one ledger or all of them; what was found of all, and the differences that are told."""
        view = CreditReviewView(company=self._company, message_id=message_id, next_at=self._next_at)
        found, failed = await self._found(args.customer)
        told: list[Difference] = []
        view = view.model_copy(update={"left_out": found.left_out, "failed": failed})
        accounts = sorted(found.accounts.items())
        for page in (accounts[first : first + AT_ONCE] for first in range(0, len(accounts), AT_ONCE)):
            ask = ReviewLedgers(company=self._company, accounts=dict(page), rebuild=not args.dry_run)
            what = f"{'Compare' if args.dry_run else 'Rebuild'} {len(page)} credit ledgers"
            done, why = await self._asked(CreditReviewActivities.review_ledgers, ask, what)
            ledgers = done.ledgers if done else tuple(ReviewedLedger(account=a, failed=why) for a, _ in page)
            for ledger in ledgers:
                view = view.with_ledger(ledger)
                told += ledger.differences
        return view.model_copy(update={"at": workflow.now()}), told[: len(view.differences)]

    async def _found(self, customer: str) -> tuple[FoundLedgers, dict[str, str]]:
        """The ledgers to review, and why none could be found."""
        find = FindLedgers(company=self._company)
        found, why = await self._asked(
            CreditReviewActivities.find_ledgers, find, "Find the credit ledgers and who claims credit"
        )
        if found is None:
            return FoundLedgers(accounts={}), {"": why}
        if not customer:
            return found, {}
        mine = next((a for a in found.accounts if a.casefold() == customer.casefold()), customer)
        return found.model_copy(update={"accounts": {mine: found.accounts.get(mine, ())}}), {}

    async def _asked(
        self,
        activity: Callable[[Any, Argument], Coroutine[Any, Any, Result]],
        argument: Argument,
        summary: str,
    ) -> tuple[Result | None, str]:
        """What an activity answers; None and why, where it failed for longer than is waited for."""
        found, why = await long_look(
            activity, argument, longest=LONGEST_TRY, summary=summary, queue=names.FINANCE_QUEUE
        )
        if why:
            workflow.logger.warning("credit ledgers cannot be reviewed: %s", why)
        return found, why[:500]

    # --- people ----------------------------------------------------------------------------------------------------

    async def _take(self, message: SignedMessage, said: VerifiedMessage) -> None:
        verdict = said_to_review(said)
        text = verdict.detail
        if verdict.args is not None:
            self._view, _ = await self._review(verdict.args, said.message_id)
            text = self._view.words
        if self._answer(said, verdict.code, text):
            record_id = names.credit_review_record_id(self._company, *self._next_record())
            event, of = said.name or REBUILD_CREDIT, "a review of credit ledgers"
            await self._write_said(message, said, verdict.code, text, record_id=record_id, event=event, of=of)

    # --- showing ---------------------------------------------------------------------------------------------------

    @workflow.query(name=names.STATE, description="What the last review found")
    def state(self) -> CreditReviewView:
        """What the last review found."""
        return self._view.model_copy(update={"next_at": self._next_at})

    def _describe(self) -> None:
        view = self._view
        last = f"{view.at:%Y-%m-%d %H:%M} UTC: {view.words}" if view.at else "none yet"
        lines = [f"**Credit ledgers of {self._company.upper()}**, last review: {last}"]
        lines += [f"- {found.account} {found.deal_id} `{found.code}`: {found.text}" for found in view.differences[:20]]
        workflow.set_current_details("\n".join(lines))
