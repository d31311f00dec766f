"""What a review of a company's credit ledgers asks; implemented in ``credit_review``."""

from __future__ import annotations

from typing import Protocol

from pydantic import Field

from activities.declaring import declares_activities
from activities.signatures import Nothing
from domain.credit_review import Difference
from domain.credit_review_said import ReviewedLedger
from domain.record import Record

AT_ONCE = 10
"""Ledgers reviewed in one activity."""


class FindLedgers(Record):
    """Find a company's credit ledgers, and the deals that claim credit."""

    company: str


class FoundLedgers(Record):
    """Accounts with a ledger, or with a deal that claims credit."""

    accounts: dict[str, tuple[str, ...]] = Field(description="Deals that claim credit of it, by account")
    left_out: int = Field(0, description="Deals that were too many to be asked")


class ReviewLedgers(Record):
    """Compare ledgers with deals and Finance; or make their books anew."""

    company: str
    accounts: dict[str, tuple[str, ...]] = Field(max_length=AT_ONCE, description="Deals known to claim credit of each")
    rebuild: bool = False


class ReviewedLedgers(Record):
    """What was found."""

    ledgers: tuple[ReviewedLedger, ...]


class TellDifferences(Record):
    """Hand differences to the company's desk of exceptions."""

    company: str
    day: str = Field(description="On which they were found: the same is told once a day")
    differences: tuple[Difference, ...]


@declares_activities
class CreditReviewActivities(Protocol):
    """Reviews of credit ledgers (task queue q2c-finance)."""

    async def find_ledgers(self, find: FindLedgers) -> FoundLedgers:
        """Find the ledgers of a company, and running deals that claim credit of each account."""

    async def review_ledgers(self, review: ReviewLedgers) -> ReviewedLedgers:
        """Compare some ledgers with what deals claim and Finance counts; or make their books anew."""

    async def tell_differences(self, tell: TellDifferences) -> Nothing:
        """Hand differences to the desk, where each is an exception until a person settles it."""
