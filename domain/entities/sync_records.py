"""What a sync knows of records: what changed, what was agreed last, and what became of a look."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, NamedTuple

from pydantic import Field

from domain.entities.letters import NewLetter
from domain.entities.merge import Both, Said
from domain.record import Record

Source = Literal["sales", "finance", "sweep", "person"]
SEPARATOR: Final = "\x1f"
LONGEST_KEY: Final = 400
_WITHOUT: Final = "\x1e"


class Of(NamedTuple):
    """The entity and the company of a sync."""

    entity: str
    company: str


def key_of(parts: tuple[str, ...]) -> str:
    """A record's key as one text: systems compare keys without regard to case; empty: it has none."""
    if not all(part.strip() for part in parts):
        return ""
    return SEPARATOR.join(part.strip().upper() for part in parts)[:LONGEST_KEY]


def key_without(row_id: str) -> str:
    """What stands for the key of a row that has none yet."""
    return _WITHOUT + row_id.lower()


def row_without(key: str) -> str:
    """The row that has no key yet; empty: the key is one."""
    return key[len(_WITHOUT) :] if key.startswith(_WITHOUT) else ""


def parts_of(key: str) -> tuple[str, ...]:
    """The parts of a key."""
    return tuple(key.split(SEPARATOR))


def shown(key: str) -> str:
    """A key for people."""
    return key.replace(SEPARATOR, "/").replace(_WITHOUT, "row ")


class SalesChange(Record):
    """A row that change tracking told."""

    sales_id: str
    key: str = Field(description="Empty: it has none")
    version: int
    changed_at: str = ""


class FinanceChange(Record):
    """A record whose table says when it was changed."""

    key: str
    changed_at: str


class SweptRecord(Record):
    """A record that a sweep read."""

    key: str
    content: str = Field(description="Hash of its values")


class Noted(Record):
    """What a look for changes found."""

    found: int = Field(0, description="Records that are to be looked at")
    known: int = Field(0, description="Our own writes, and what was looked at before")
    without_key: int = 0


class Known(Record):
    """What is known of a record."""

    sales_id: str = ""
    paired: bool = False
    fields: dict[str, Both] = Field({})
    content: str = Field("", description="Hash of Finance's values when it was looked at last")
    deactivated: bool = Field(False, description="The sync has deactivated its row")


class Due(Record):
    """A record that is to be looked at."""

    key: str
    source: Source
    changed_at: str = ""
    seen_at: str
    tries: int = 0
    said: dict[str, Said] = Field({})
    anew: tuple[str, ...] = ()
    known: Known = Known()

    began: str = Field("", description="When the sync asked first what changed")

    @property
    def of_beginning(self) -> bool:
        """Whether it was so before the sync began: the first reading of all has found it, or its own time says so."""
        if not self.changed_at:
            return self.source == "sweep"
        return bool(self.began) and datetime.fromisoformat(self.changed_at) < datetime.fromisoformat(self.began)


class Looked(Record):
    """What a look at a record came to.

    Attributes:
        due: what was looked at.
        sales_id: its row; empty: there is none, or several.
        paired: both sides have it, or had it.
        deactivated: its row was deactivated by the sync.
        gone: no side has it any more.
        fields: its values, as they are now.
        sales_version: of the row.
        content: hash of Finance's record.
        letters: what could not be applied.
        agreed: fields that are the same now; an empty name: the record as a whole is in order.
        again_at: it is looked at again then; None: it is done with.
    """

    due: Due
    sales_id: str = ""
    paired: bool = False
    deactivated: bool = False
    gone: bool = False
    fields: dict[str, Both] = Field({})
    sales_version: int = 0
    content: str = ""
    letters: tuple[NewLetter, ...] = ()
    agreed: frozenset[str] = frozenset()
    again_at: datetime | None = None
