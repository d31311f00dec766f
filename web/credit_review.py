"""A company's credit ledgers compared with deals and Finance: read, and rebuilt by who may say so."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from domain.credit_review_said import REBUILD_CREDIT, CreditReviewView, said_to_review
from domain.messages import Outcome
from domain.people import Person
from domain.policy import Policy, PolicyError
from domain.refusals import Refusal
from domain.rights import Action
from runs import names
from runs.credit_review import CreditReviews
from web.access import Access
from web.commands import RebuildCreditBody
from web.decisions import Decisions, in_words
from web.delegating import known_company
from web.identity import SignedIn
from web.problems import Problem
from web.saying import Saying


class CreditReviewing:
    """Reviews of credit ledgers, as the API shows and asks for them."""

    def __init__(self, access: Access, reviews: CreditReviews, decisions: Decisions, policy: Policy) -> None:
        """Ask ``reviews``, as far as ``access`` allows; limited, signed and refused as ``decisions`` does.

        ``policy`` knows the companies, and their time zones.
        """
        self._policy = policy
        self._access = access
        self._reviews = reviews
        self._decisions = decisions

    async def read(self, person: Person, company: str) -> CreditReviewView:
        """What the last review of a company found.

        Raises:
            Problem: 403, they may not have ledgers rebuilt.
            RunError: it cannot be read.
        """
        company = known_company(company)
        if not self._access.may(person, Action.REBUILD_CREDIT, company):
            raise Problem(Refusal.NO_AUTHORITY)
        return await self._reviews.read(company)

    async def rebuild(self, company: str, who: SignedIn, message_id: str, body: RebuildCreditBody) -> Outcome | None:
        """Have ledgers compared, and made anew unless it is a dry run.

        Returns:
            That it was done; None where it is recorded but not known within five seconds.

        Raises:
            Problem: it was refused, here or by the review.
            NoAnswer: Temporal is down and nothing was recorded.
        """
        company = known_company(company)
        args: dict[str, Any] = {"customer": body.customer, "dry_run": body.dry_run, "reason": body.reason}
        workflow_id = names.credit_review_id(company)
        saying = Saying(self._decisions, company, workflow_id, who, message_id, REBUILD_CREDIT, args)
        saying.check()
        verdict = said_to_review(saying.verified(datetime.now(UTC)))
        if verdict.code is not None:
            raise saying.refused(verdict.code, in_words(verdict.detail))
        try:
            timezone = self._policy.calendar(company).timezone
        except PolicyError:  # a review of no company of ours would run for ever
            raise Problem(Refusal.NOT_FOUND) from None
        return await saying.send(lambda message: self._reviews.tell(company, message, timezone=timezone))
