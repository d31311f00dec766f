"""What a person says about credit ledgers, what a review of them found, and when the next one is due. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from itertools import islice
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, Field, StringConstraints

from domain.credit_review import Difference, RebuiltBook
from domain.heard import HeardMessage
from domain.messages import Outcome, SignedMessage, VerifiedMessage
from domain.record import Record
from domain.said import Said, judged

REBUILD_CREDIT: Final = "rebuild_credit"
"""Name of a message: a person has credit ledgers made anew, or only compared."""
NIGHT: Final = time(2, 30)
"""When a company's ledgers are compared, in its own time."""
MOST_TOLD: Final = 100
"""Differences of a whole review that are shown; of more, their number is."""
LONGEST_REASON: Final = 500


class RebuildArgs(Record):
    """What a person says who has ledgers made anew."""

    customer: Annotated[str, StringConstraints(max_length=100)] = Field("", description="Account; empty: all of them")
    dry_run: bool = Field(False, description="Compare only")
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1_000)]


def said_to_review(said: VerifiedMessage) -> Said[RebuildArgs]:
    """What a person's message comes to, whatever the ledgers hold.

    Args:
        said: the message, its proof checked and the person's rights looked up.
    """
    return judged(said, REBUILD_CREDIT, RebuildArgs)


class ReviewedLedger(Record):
    """One ledger, compared or made anew."""

    account: str
    differences: tuple[Difference, ...] = ()
    more: int = Field(0, description="Differences beyond those")
    rebuilt: RebuiltBook | None = None
    failed: str = Field("", description="Why it could not be; empty: it could")


class CreditReviewView(Record):
    """What the last review of a company's credit ledgers found."""

    company: str
    message_id: str = Field("", description="Of the person who asked for it; empty: it was the nightly one")
    at: AwareDatetime | None = Field(None, description="When it ended; null: there was none yet")
    ledgers: int = Field(0, description="Ledgers that were looked at")
    differences: tuple[Difference, ...] = Field((), description="The first hundred")
    more: int = Field(0, description="Differences beyond those")
    rebuilt: int = Field(0, description="Ledgers that were made anew")
    dropped: int = Field(0, description="Entries that no deal holds")
    added: int = Field(0, description="Entries that were missing")
    changed: int = Field(0, description="Entries that were otherwise")
    failed: dict[str, str] = Field(
        default_factory=dict,
        description="Why, by account or by a deal that does not answer, a hundred; empty: why the review ended early",
    )
    left_out: int = Field(0, description="Deals that were too many to be asked")
    next_at: AwareDatetime | None = None

    def with_ledger(self, ledger: ReviewedLedger) -> CreditReviewView:
        """The same after one more ledger."""
        room = MOST_TOLD - len(self.differences)
        book = ledger.rebuilt or RebuiltBook()
        failed = ledger.failed or book.refused
        done = ledger.rebuilt is not None and not book.refused
        noted = self.with_failed({ledger.account: failed} if failed else {})
        return noted.model_copy(
            update={
                "ledgers": self.ledgers + 1,
                "differences": (*self.differences, *ledger.differences[:room]),
                "more": self.more + ledger.more + max(0, len(ledger.differences) - room),
                "rebuilt": self.rebuilt + done,
                "dropped": self.dropped + book.dropped,
                "added": self.added + book.added,
                "changed": self.changed + book.changed,
            }
        )

    def with_failed(self, failed: Mapping[str, str]) -> CreditReviewView:
        """The same with more that could not be looked at, as far as there is room, and why."""
        room = MOST_TOLD - len(self.failed)
        more = {name: why[:LONGEST_REASON] for name, why in islice(failed.items(), room)}
        return self.model_copy(update={"failed": {**self.failed, **more}})

    def ended_early(self, why: str, left: int | None) -> CreditReviewView:
        """The same where it went no further, and how many ledgers were not looked at, as far as it is known."""
        rest = "" if left is None else f"; {left} ledgers were not looked at"
        return self.model_copy(update={"failed": {**self.failed, "": why[:LONGEST_REASON] + rest}})

    @property
    def words(self) -> str:
        """In one sentence."""
        text = f"{self.ledgers} credit ledgers compared, {len(self.differences) + self.more} differences"
        if self.rebuilt:
            text += (
                f"; {self.rebuilt} rebuilt: {self.dropped} entries dropped, {self.added} added, {self.changed} changed"
            )
        failed = len(self.failed.keys() - {""})
        text += f"; {failed} could not be" if failed else ""
        return f"{text}; it ended early: {self.failed['']}" if "" in self.failed else text


class AskedReview(Record):
    """A review that is due, and how far it is."""

    args: RebuildArgs
    view: CreditReviewView
    message: SignedMessage | None = Field(None, description="Of the person who asked for it; null: it is nightly")
    said: VerifiedMessage | None = None
    after: str = Field("", description="Account behind which it goes on; empty: from the beginning")
    left: int | None = Field(None, description="Ledgers behind it; null: not known")


class CreditReviewStart(Record):
    """Whose ledgers; the rest is what the run before it held (set when it continues as new)."""

    company: str = Field(description="Legal entity, lower case")
    timezone: str = Field(description="IANA name: its nights are those of the company")
    view: CreditReviewView | None = None
    due: tuple[AskedReview, ...] = Field((), description="Reviews that are under way or wait, the next one first")
    outcomes: tuple[Outcome, ...] = ()
    heard: tuple[HeardMessage, ...] = ()
    unheard: tuple[SignedMessage, ...] = ()
    tally: dict[str, int] = Field(default_factory=dict)


def next_night(now: datetime, timezone: str) -> datetime:
    """When the ledgers are compared next: UTC."""
    zone = ZoneInfo(timezone)
    here = now.astimezone(zone)
    tonight = datetime.combine(here.date(), NIGHT, zone)
    if tonight <= here:
        tonight = datetime.combine(here.date() + timedelta(days=1), NIGHT, zone)
    return tonight.astimezone(UTC)
