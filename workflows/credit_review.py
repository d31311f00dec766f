"""A company's credit ledgers, compared every night with what deals claim and Finance counts; made anew when told to.

What differs is an exception for operators, and is never mended by itself: a person says, signed, that a book is made
anew. One run per company, which also keeps what the last review found.

A review is one activity after another, each of about ten minutes or ten thousand ledgers, with what was found so far (a
hundred differences, a hundred failures) in and out: a million ledgers at a tenth of a second each are some 170 of them,
of six events each. Between two of them people are heard, and the run goes on as a new one where it is long enough, with
the review and the message that asked for it: neither is bounded, how many ledgers there are nor what is said meanwhile.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.credit_review_signatures import (
        A_TURN,
        CreditReviewActivities,
        ReviewLedgers,
        TellDifferences,
    )
    from domain.calendar import local_date
    from domain.credit_review_said import (
        REBUILD_CREDIT,
        AskedReview,
        CreditReviewStart,
        CreditReviewView,
        RebuildArgs,
        next_night,
        said_to_review,
    )
    from domain.messages import SignedMessage, VerifiedMessage
    from domain.refusals import Refusal
    from runs import names
    from workflows.spoken import SpokenTo
    from workflows.steps import long_look

LONGEST_TRY = timedelta(minutes=30)
ONE_TRY = 2 * A_TURN
PATIENT = RetryPolicy(maximum_interval=timedelta(minutes=2))
"""Until ``LONGEST_TRY`` is over."""
MOST_DUE = 5
"""Reviews that wait their turn."""


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
        self._due = list(start.due)
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
            elif self._due:
                await self._go_on(self._due[0])
                self._something = True
            elif workflow.now() >= self._next_at:
                self._next_at = next_night(workflow.now(), start.timezone)
                self._due.append(self._asked(RebuildArgs(dry_run=True, reason="nightly")))
            if self._long_enough():
                carried = {"view": self.state(), "due": tuple(self._due), **self._spoken()}
                workflow.continue_as_new(start.model_copy(update=carried))

    async def _rest(self) -> None:
        left = self._next_at - workflow.now()
        if self._due or left <= timedelta(0):
            return
        try:
            await workflow.wait_condition(
                lambda: bool(self._unheard) or self._long_enough(),
                timeout=left,
                timeout_summary="Until the ledgers are compared at night",
            )
        except TimeoutError:
            pass

    def _asked(
        self, args: RebuildArgs, message: SignedMessage | None = None, said: VerifiedMessage | None = None
    ) -> AskedReview:
        view = CreditReviewView(company=self._company, message_id=said.message_id if said else "")
        return AskedReview(args=args, view=view, message=message, said=said)

    async def _go_on(self, review: AskedReview) -> None:
        """Have the next ledgers reviewed; a review ends when there are no more, or none can be for half an hour."""
        args, view = review.args, review.view
        ask = ReviewLedgers(
            company=self._company, customer=args.customer, rebuild=not args.dry_run, after=review.after, view=view
        )
        done, why = await long_look(
            CreditReviewActivities.review_ledgers,
            ask,
            longest=LONGEST_TRY,
            summary=f"{'Compare' if args.dry_run else 'Rebuild'} credit ledgers, {view.ledgers} looked at before",
            queue=names.FINANCE_QUEUE,
            once=ONE_TRY,
            retry=PATIENT,
        )
        if done is None:
            workflow.logger.warning("credit ledgers cannot be reviewed: %s", why)
            view = view.ended_early(why, review.left)
        elif done.after is not None:
            self._due[0] = review.model_copy(update={"view": done.view, "after": done.after, "left": done.left})
            return
        else:
            view = done.view
        self._view = view.model_copy(update={"at": workflow.now()})
        await self._told(review)
        del self._due[0]

    async def _told(self, review: AskedReview) -> None:
        """Who asked for a review is answered; of a nightly one, what differs goes to the desk of exceptions."""
        if review.message is not None and review.said is not None:
            await self._safely(review.said, self._answered(review.message, review.said, None, self._view.words))
        elif self._view.differences:
            day = local_date(workflow.now(), self._start.timezone).isoformat()
            tell = TellDifferences(company=self._company, day=day, differences=self._view.differences)
            _, why = await long_look(
                CreditReviewActivities.tell_differences,
                tell,
                longest=LONGEST_TRY,
                summary="Tell what differs",
                queue=names.FINANCE_QUEUE,
            )
            if why:
                workflow.logger.warning("nobody is told what differs in credit ledgers: %s", why)

    # --- people ----------------------------------------------------------------------------------------------------

    async def _take(self, message: SignedMessage, said: VerifiedMessage) -> None:
        verdict = said_to_review(said)
        if verdict.args is None:
            await self._answered(message, said, verdict.code, verdict.detail)
        elif len(self._due) >= MOST_DUE:
            await self._answered(message, said, Refusal.TOO_MANY_REQUESTS, f"{MOST_DUE} reviews wait their turn")
        else:
            place = 0 if verdict.args.customer else len(self._due)  # one customer's waits for no others'
            self._due.insert(place, self._asked(verdict.args, message, said))

    async def _answered(self, message: SignedMessage, said: VerifiedMessage, code: Refusal | None, text: str) -> None:
        if self._answer(said, code, text):
            record_id = names.credit_review_record_id(self._company, *self._next_record())
            event, of = said.name or REBUILD_CREDIT, "a review of credit ledgers"
            await self._write_said(message, said, code, text, record_id=record_id, event=event, of=of)

    # --- showing ---------------------------------------------------------------------------------------------------

    @workflow.query(name=names.STATE, description="What the last review found")
    def state(self) -> CreditReviewView:
        """What the last review found."""
        return self._view.model_copy(update={"next_at": self._next_at})

    def _describe(self) -> None:
        view = self._view
        last = f"{view.at:%Y-%m-%d %H:%M} UTC: {view.words}" if view.at else "none yet"
        lines = [f"**Credit ledgers of {self._company.upper()}**, last review: {last}"]
        if self._due:
            due = self._due[0]
            lines.append(f"- under way: {due.view.ledgers} looked at, {'?' if due.left is None else due.left} to go")
        lines += [f"- {found.account} {found.deal_id} `{found.code}`: {found.text}" for found in view.differences[:20]]
        workflow.set_current_details("\n".join(lines))
