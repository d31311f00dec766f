"""What a review of a company's credit ledgers asks; implemented in ``credit_review``."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from pydantic import Field

from activities.declaring import declares_activities
from activities.signatures import Nothing
from domain.credit_review import Difference
from domain.credit_review_said import CreditReviewView
from domain.record import Record

A_TURN = timedelta(minutes=10)
"""How long one activity reviews ledgers, about."""


class ReviewLedgers(Record):
    """Compare ledgers with deals and Finance, or make their books anew: those behind an account, for a while."""

    company: str
    customer: str = Field("", description="Account, however it is written; empty: all of them")
    rebuild: bool = False
    after: str = Field("", description="Account behind which to go on; empty: from the beginning")
    view: CreditReviewView = Field(description="What was found of those before")


class ReviewedLedgers(Record):
    """What was found so far."""

    view: CreditReviewView
    after: str | None = Field(None, description="Account behind which to go on; null: there are no more")
    left: int | None = Field(None, description="Ledgers behind it; null: not known")


class TellDifferences(Record):
    """Hand differences to the company's desk of exceptions."""

    company: str
    day: str = Field(description="On which they were found: the same is told once a day")
    differences: tuple[Difference, ...]


@declares_activities
class CreditReviewActivities(Protocol):
    """Reviews of credit ledgers (task queue q2c-finance)."""

    async def review_ledgers(self, review: ReviewLedgers) -> ReviewedLedgers:
        """Compare ledgers with what deals claim and Finance counts, or make their books anew; goes on where it was."""

    async def tell_differences(self, tell: TellDifferences) -> Nothing:
        """Hand differences to the desk, where each is an exception until a person settles it."""
