"""Letters: what a sync could not apply, kept until a person or a success ends it."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from enum import StrEnum
from typing import Final

from pydantic import AwareDatetime, Field

from domain.entities.merge import LetterCause
from domain.record import Record

LONGEST_TEXT: Final = 1_000
LONGEST_VALUE: Final = 400
_QUOTED: Final = re.compile(r"'[^']*'|\"[^\"]*\"|\[[^\]]*\]")
_PARTICULAR: Final = re.compile(r"\b[0-9a-fA-F-]{8,}\b|\S*\d\S*")

OF_RECORDS: Final = frozenset(
    {
        LetterCause.DUPLICATE,
        LetterCause.DELETED_IN_FINANCE,
        LetterCause.DELETED_IN_SALES,
    }
)
"""Causes that are about a record as a whole."""


class LetterStatus(StrEnum):
    """Where a letter stands."""

    OPEN = "open"
    PROPOSED = "proposed"
    """Somebody has proposed another value, and somebody else has to approve it."""
    QUEUED = "queued"
    """It is about to be tried again."""
    DONE = "done"
    """Both sides agree."""
    DISMISSED = "dismissed"
    """A person has said that nothing is to be done."""


STANDING: Final = (LetterStatus.OPEN, LetterStatus.PROPOSED, LetterStatus.QUEUED)
"""Statuses in which a letter is kept, whatever its age."""


class NewLetter(Record):
    """What could not be applied just now."""

    field: str = Field("", description="Of the map; empty: the record as a whole")
    cause: LetterCause
    text: str = ""
    finance_value: str = ""
    sales_value: str = ""
    pii: bool = False


class Letter(NewLetter):
    """A letter as it is kept."""

    letter_id: str
    entity: str
    company: str
    key: str = Field(description="Of the record, for people")
    at: str = Field(exclude=True, description="Of the record, for the ledger")
    sales_id: str = ""
    reason: str = Field(description="The same for letters of one cause and text")
    status: LetterStatus
    seen: int = Field(1, description="How often it was tried in vain")
    first_at: AwareDatetime
    last_at: AwareDatetime
    proposed: str | None = Field(None, description="The value that somebody proposed, in the words of Sales")
    proposed_by: str = Field("", description="Entra object id")
    replay: str = Field("", description="The run that tried it again last")
    ended_by: str = ""
    ended_at: AwareDatetime | None = None

    def age_days(self, now: datetime) -> int:
        """Whole days since it was written."""
        return max(0, (now - self.first_at).days)


class LetterGroup(Record):
    """Letters that stand for one reason."""

    reason: str
    cause: LetterCause
    text: str = Field(description="Of the newest one")
    letters: int
    oldest_at: AwareDatetime


def letter_id(entity: str, company: str, key: str, cause: LetterCause, field: str) -> str:
    """The id of a letter: the same as long as the same cannot be applied for the same cause."""
    return _short(entity, company, key, cause, field)


def reason_of(entity: str, company: str, cause: LetterCause, text: str) -> str:
    """What letters of one reason have in common: the cause and the text, without what is particular to a record."""
    return _short(entity, company, cause, _PARTICULAR.sub("#", _QUOTED.sub("'…'", text)))


def _short(*parts: str) -> str:
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()[:12]
