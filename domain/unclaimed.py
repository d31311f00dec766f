"""What no deal takes: an event of an unknown order, an unreadable record, an order typed for a quote of a deal.

A feed hands it to its company's receiver (``workflows.after_end``), where it stands as an exception with an owner. It
is offered to the deals again once in a while, and leaves only when one takes it or a person says, signed, why it is
settled. What is reported of one record is one exception. Pure.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from domain.after_end import LONGEST_WHY, EndedDeal, LateEntry, LateStatus, Matter
from domain.feeds import Report, Unrouted
from domain.messages import Id
from domain.people import Person
from domain.record import Record
from domain.views import Ending

OFFER_AGAIN: Final = timedelta(hours=1)
"""How often the deals are offered what no deal takes."""
MOST_OFFERED: Final = 10
"""Reports of one exception that are offered again: each makes a deal read its documents, whatever it says."""
MOST_AT_ONCE: Final = 50
"""Exceptions that are offered in one activity."""

MORE: Final = "(more)"
"""Reference of the exception that stands for records without room of their own."""
_SETTLE_THE_LISTED: Final = (
    "Settle or dismiss those that are listed. The feed's query `unrouted` shows the latest 200 reports; the others are "
    "found in Finance and Sales by their day"
)

Words = Annotated[str, StringConstraints(max_length=LONGEST_WHY)]


class Unclaimed(Record):
    """A report that no deal takes, as a feed hands it over."""

    id: Id = Field(min_length=1)
    company: Id = ""
    what: Id
    reference: Id
    reason: Words
    help: Words
    code: Id
    again: Report | None = None

    @classmethod
    def of(cls, report: Unrouted, company: str) -> Unclaimed:
        """A feed's report, cut to what is kept of it."""
        return cls(
            id=report.id[:300],
            company=company,
            what=report.what[:300],
            reference=report.reference[:300],
            reason=report.reason[:LONGEST_WHY],
            help=report.help[:LONGEST_WHY],
            code=report.code[:300],
            again=report.again,
        )

    @property
    def key(self) -> str:
        """What tells it from every other report a receiver hears."""
        return f"unclaimed|{self.id}"

    def is_of(self, entry: LateEntry) -> bool:
        """Whether an exception is of the same record, for the same reason."""
        same = entry.reference == self.reference and self.code in entry.codes
        return bool(self.reference) and entry.matter is Matter.UNCLAIMED and same


class Offer(Record):
    """Offer the deals again what none took."""

    company: str
    exceptions: dict[int, tuple[Report, ...]] = Field(description="What was reported, by the number of the exception")


class Taken(Record):
    """What deals took, or what needs none any more."""

    numbers: tuple[int, ...] = ()


def entry_of(report: Unclaimed, company: str, n: int, now: datetime) -> LateEntry:
    """The exception that a report opens."""
    nobodys = EndedDeal(
        company=company, quote_number="", quote_id="", owner=Person(oid=""), ending=Ending.RUNNING, ended_at=now
    )
    return LateEntry(
        n=n,
        deal=nobodys,
        matter=Matter.UNCLAIMED,
        codes=(report.code,),
        text=report.reason,
        role=Matter.UNCLAIMED.role,
        reports=1,
        opened_at=now,
        looked_at=now,
        reference=report.reference,
        help=report.help,
        again=(report.again,) if report.again else (),
    )


def beyond_room(report: Unclaimed) -> Unclaimed:
    """A report that has no room of its own: all of one code are one exception, which counts them and stays."""
    last = f"{report.what} {report.reference}".strip()
    reason = f"More records stand open that no deal takes than are listed one by one. The last: {last}: {report.reason}"
    return report.model_copy(
        update={"reference": MORE, "reason": reason[:LONGEST_WHY], "help": _SETTLE_THE_LISTED, "again": None}
    )


def with_another(entry: LateEntry, report: Unclaimed) -> LateEntry:
    """The exception, after one more report of its record."""
    again = (*entry.again, *((report.again,) if report.again else ()))[-MOST_OFFERED:]
    return entry.model_copy(update={"reports": entry.reports + 1, "text": report.reason, "again": again})


def offered(entries: list[LateEntry], company: str, now: datetime) -> Offer | None:
    """What is to be offered again now; None: nothing is."""
    due = [e for e in entries if is_offered(e) and e.looked_at + OFFER_AGAIN <= now][:MOST_AT_ONCE]
    return Offer(company=company, exceptions={entry.n: entry.again for entry in due}) if due else None


def is_offered(entry: LateEntry) -> bool:
    """Whether an exception is one that a deal may still take."""
    return entry.matter is Matter.UNCLAIMED and entry.status is LateStatus.OPEN and bool(entry.again)
