"""What a feed keeps between two looks at a system, and how it stays small whatever is reported to it.

A feed passes on reports: events that were handed to it because nobody knew their deal, and changes that a sweep found.
Each report becomes exactly one of ``Became``, or waits to be tried again; every number a feed keeps is bounded, and
what a bound keeps out is counted. Pure: the workflows in ``workflows.feeds`` feed it the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from domain.messages import FinanceEvent, FinanceEventKind
from domain.order_key import is_order_key
from domain.pauses import Pauses
from domain.record import Record
from domain.refusals import Refusal

SalesTable = Literal["quote", "opportunity", "salesorder"]
SALES_TABLES: Final[tuple[SalesTable, ...]] = ("quote", "opportunity", "salesorder")
"""The tables of Sales whose changes are followed, each by one feed for all companies: a delta link is a table's."""

WAITS: Final = Pauses(timedelta(seconds=2), timedelta(minutes=10))
TRIES: Final = 12
"""Looks for the deal of a report before a person is told: 2 s, 4 s, 8 s, … 10 min apart, three quarters of an hour."""
OLDEST: Final = timedelta(days=1)
"""How long a report waits at most, even where no look for its deal succeeded (the list of runs is not available)."""
MOST_WAITING: Final = 1_000
MOST_BYTES: Final = 256 * 1024
"""Reports that wait at most, and their size together: they travel from run to run in one payload."""
MOST_UNROUTED: Final = 200
"""Reports handed to a person that the feed shows itself; what is open of them is on the desk (`domain.unclaimed`)."""
MOST_TO_HAND_OVER: Final = 400
"""Reports that wait to be handed to the desk; of more, which only come while Temporal takes nothing, the oldest go."""
LONGEST_ORDER_NUMBER: Final = 20
"""Characters of a sales order number in Finance (SalesId)."""


class Became(StrEnum):
    """What became of a report."""

    DELIVERED = "delivered"
    KNOWN = "known"
    """The deal, or the feed, had it already."""
    FOREIGN = "foreign"
    """Of an order or quote this product has nothing to do with."""
    NOBODY = "nobody"
    """Its deal has ended, and had it already, or it can make nothing stand open: nobody needs it."""
    AFTER_END = "after_end"
    """Its deal has ended: handed to the company's receiver of late reports."""
    WAITING = "waiting"
    """Its deal is not to be seen yet: tried again."""
    LOOKED_AT = "looked_at"
    """A record was read; what it stands for is counted by itself."""
    UNROUTED = "unrouted"
    """Handed to a person, with the reason."""
    OVERFLOW = "overflow"
    """There was no room to keep it. What it reports is found by a later sweep."""
    UNREADABLE = "unreadable"
    """It is no report, or one with impossible values."""
    FAILED = "failed"
    """It could be read and not be taken: a defect of ours, and in the log. A later sweep finds what it reports."""


class Look(Record):
    """A record of Sales to look at, because what was reported of it could not be understood or mapped."""

    table: SalesTable
    record_id: UUID


Report = FinanceEvent | Look
"""What a feed tries."""


class Waiting(Record):
    """A report that waits to be tried."""

    report: Report
    since: AwareDatetime
    next_at: AwareDatetime
    tries: int = Field(0, ge=0)


class Unrouted(Record):
    """A report no deal took: a person has to look."""

    id: str = Field(description="Of the fact reported, so that it is shown once")
    at: AwareDatetime
    company: str = Field("", description="Empty where it is not known")
    what: str = Field(description="What was reported, as a code")
    reference: str = Field(description="Order number, quote number or record id")
    reason: str = Field(description="Why no deal took it")
    help: str = Field(description="What to do about it")
    code: str = Field("NO_DEAL", description="What it is an instance of (docs/api.md, refusals)")
    again: Report | None = Field(None, description="What is tried again; None: only a person can settle it")


class DocumentKind(StrEnum):
    """The kinds of document a sweep of Finance reads."""

    SLIP = "packing_slip"
    INVOICE = "invoice"
    SETTLEMENT = "settlement"
    CANCELLED_ORDER = "cancelled_order"


class FeedCursor(Record):
    """What a feed had reached when it continued as new."""

    waiting: tuple[Waiting, ...] = ()
    unrouted: tuple[Unrouted, ...] = ()
    to_hand_over: tuple[Unrouted, ...] = ()
    tally: dict[str, int] = Field(default_factory=dict)
    sweep_at: AwareDatetime | None = None
    marks: dict[DocumentKind, date] = Field(default_factory=dict, description="Finance: read up to this day")
    told: str = Field("", description="Finance: a digest of the documents since those days that were passed on")
    key_numbered: bool = Field(False, description="Finance: orders of deals carry our key as their number")
    link: str | None = Field(None, description="Sales: where the next page or sweep begins; None: from the start")
    anew: bool = Field(True, description="Sales: the pages being read are of a fresh start, not of changes")
    swept_at: AwareDatetime | None = Field(None, description="When the last sweep came to its end")


class FeedStart(Record):
    """Which feed to run; ``cursor`` is what the run before it had reached (set when it continues as new)."""

    system: Literal["sales", "finance"]
    of: str = Field(description="The company of a Finance feed (lower case), the table of a Sales feed")
    every_seconds: int = Field(900, gt=0, description="Rest between two sweeps")
    cursor: FeedCursor | None = None


class FeedView(Record):
    """A feed as it stands, for operators."""

    waiting: int
    unrouted: int = Field(description="Reports shown by the query `unrouted`")
    tally: dict[str, int] = Field(description="Reports received, and what became of them")
    next_sweep_at: AwareDatetime | None
    failing: str = Field("", description="What failed when it was last tried, and why; empty: nothing")
    marks: dict[DocumentKind, date] = Field(default_factory=dict)


def key_of(report: Report) -> str:
    """What tells a report from every other: a payment that settles two orders is two reports with one event id."""
    if isinstance(report, Look):
        return f"{report.table}/{report.record_id}"
    return f"{report.event_id}|{report.order_number or report.invoice}"


def unrouted_event(event: FinanceEvent, at: datetime, reason: str) -> Unrouted:
    """What a person is shown of an event of Finance that no deal took."""
    return Unrouted(
        id=key_of(event),
        at=at,
        company=event.company,
        what=event.kind,
        reference=event.order_number,
        reason=reason,
        help="Look at the order in Finance and at its quote in Sales, and follow it by hand",
        again=event,
    )


def typed_order(event: FinanceEvent, at: datetime, quote_number: str) -> Unrouted:
    """What a person is shown of an order that somebody typed into Finance for a quote of ours.

    Args:
        event: what was reported of the order.
        at: now.
        quote_number: the quote of a deal that the order names as its reference.
    """
    reason = f"Order {event.order_number} names quote {quote_number}, and the deal of that quote did not make it"
    help_ = "Cancel it in Finance where the deal has an order, or makes one; else agree with the rep who follows it"
    code = Refusal.ORDER_WITHOUT_DEAL
    return unrouted_event(event, at, reason).model_copy(update={"help": help_, "code": code, "again": None})


def may_be_ours(event: FinanceEvent, key_numbered: bool) -> bool:
    """Whether an event may concern a deal, by its order number alone.

    Args:
        event: as Finance reports it; an invoice over several orders names none of them, and a credit note may name a
            return order.
        key_numbered: in this company the orders of deals carry our key as their number.
    """
    number = event.order_number
    if not number and event.invoice:
        return True
    if not number:
        return event.kind is FinanceEventKind.INVOICE_POSTED and bool(event.customer_account)
    return len(number) <= LONGEST_ORDER_NUMBER and (not key_numbered or is_order_key(number) or is_credit(event))


def is_credit(event: FinanceEvent) -> bool:
    """Whether an event reports a credit note, or that one was paid back: one of a return order names that, and not the
    order that was sold.
    """
    if event.amount is None:
        return False
    noted = event.kind is FinanceEventKind.INVOICE_POSTED and event.amount < 0
    return noted or (event.kind is FinanceEventKind.PAYMENT_POSTED and event.amount <= 0)


class Reports:
    """The reports of one feed: those that wait, those handed to a person, and how many became what."""

    def __init__(self, cursor: FeedCursor) -> None:
        """Go on from what the run before had reached."""
        self._waiting = {key_of(entry.report): entry for entry in cursor.waiting}
        self._bytes = sum(_size(entry.report) for entry in cursor.waiting)
        self._unrouted = {entry.id: entry for entry in cursor.unrouted}
        self._to_hand_over = {entry.id: entry for entry in cursor.to_hand_over}
        self.tally: dict[str, int] = dict(cursor.tally)

    # --- in --------------------------------------------------------------------------------------------------------

    def receive(self, report: Report, now: datetime) -> Became:
        """Take a report to be tried at once.

        Where there is no room, it takes that of reports that were tried already, most often first: they count as
        OVERFLOW. So whoever reports of orders that do not exist, as often as they like, keeps nothing true from being
        tried.

        A record told of again has changed again: whoever is looking at it now may have read it before, so it is looked
        at once more. An event is the same however often it is told.

        Returns:
            WAITING; KNOWN: it waits already; OVERFLOW: what waits is all to be tried for the first time.
        """
        key, size = key_of(report), _size(report)
        if key in self._waiting:
            became = Became.KNOWN
            if isinstance(report, Look):
                self._waiting[key] = self._waiting[key].model_copy(update={"next_at": now})
        elif not self._make_room(size):
            became = Became.OVERFLOW
        else:
            self._waiting[key] = Waiting(report=report, since=now, next_at=now)
            self._bytes += size
            became = Became.WAITING
        self.count({became: 1})
        return became

    def _make_room(self, size: int) -> bool:
        """Room for one more report of so many bytes; False: there is none to be had."""
        while len(self._waiting) >= MOST_WAITING or self._bytes + size > MOST_BYTES:
            most_tried = max(self._waiting.values(), key=lambda entry: entry.tries)
            if not most_tried.tries:
                return False
            self.settle(most_tried, Became.OVERFLOW)
        return True

    def count(self, became: Mapping[str, int]) -> None:
        """Count reports that were received, and what became of them. WAITING counts as received only."""
        for name, number in became.items():
            self.tally["received"] = self.tally.get("received", 0) + number
            if name != Became.WAITING:
                self.tally[name] = self.tally.get(name, 0) + number

    # --- what waits ------------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> tuple[Waiting, ...]:
        """The reports that wait, in the order they came."""
        return tuple(self._waiting.values())

    @property
    def room(self) -> int:
        """How many more reports may wait."""
        return MOST_WAITING - len(self._waiting) if self._bytes < MOST_BYTES else 0

    @property
    def next_at(self) -> datetime | None:
        """When the next report is to be tried; None: none waits."""
        return min((entry.next_at for entry in self._waiting.values()), default=None)

    def due(self, now: datetime, most: int) -> tuple[Waiting, ...]:
        """The reports to try now, at most so many, the one that is due longest in front."""
        due = sorted((e for e in self._waiting.values() if e.next_at <= now), key=lambda entry: entry.next_at)
        return tuple(due[:most])

    def settle(self, entry: Waiting, became: Became) -> bool:
        """This became of a report, as it stood when it was due.

        Returns:
            False: it has lost its room meanwhile, and is counted, or was told again, and is tried again.
        """
        key = key_of(entry.report)
        if self._waiting.get(key) is not entry:
            return False
        del self._waiting[key]
        self._bytes -= _size(entry.report)
        self.tally[became] = self.tally.get(became, 0) + 1
        return True

    def again(self, entry: Waiting, now: datetime) -> bool:
        """The deal of a report was looked for and is not to be seen: try again later.

        Returns:
            False: it was tried often enough, and a person has to look.
        """
        if key_of(entry.report) not in self._waiting:
            return True  # It has lost its room meanwhile: a sweep finds the document again.
        if entry.tries + 1 >= TRIES or now - entry.since > OLDEST:
            return False
        again = {"tries": entry.tries + 1, "next_at": now + WAITS.after(entry.tries)}
        self._waiting[key_of(entry.report)] = entry.model_copy(update=again)
        return True

    def postpone(self, entries: Iterable[Waiting], until: datetime) -> None:
        """Nobody could look for these: they wait, and it does not count as a try."""
        for entry in entries:
            if key_of(entry.report) in self._waiting:
                self._waiting[key_of(entry.report)] = entry.model_copy(update={"next_at": until})

    # --- for a person ----------------------------------------------------------------------------------------------

    @property
    def unrouted(self) -> tuple[Unrouted, ...]:
        """What a person has to look at, oldest first; the latest 200."""
        return tuple(self._unrouted.values())

    def hand_out(self, report: Unrouted) -> bool:
        """Show a report to a person; False: it is shown already."""
        if report.id in self._unrouted:
            return False
        self._unrouted[report.id] = self._to_hand_over[report.id] = report
        for kept, most in ((self._unrouted, MOST_UNROUTED), (self._to_hand_over, MOST_TO_HAND_OVER)):
            while len(kept) > most:
                del kept[next(iter(kept))]
        return True

    @property
    def to_hand_over(self) -> tuple[Unrouted, ...]:
        """What the desk was not handed yet, oldest first."""
        return tuple(self._to_hand_over.values())

    def handed_over(self, reports: Iterable[Unrouted]) -> None:
        """The desk has these."""
        for report in reports:
            self._to_hand_over.pop(report.id, None)


def _size(report: Report) -> int:
    return len(report.model_dump_json())
