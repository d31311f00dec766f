"""What a company's receiver of late reports keeps: what waits to be looked at, what stands open, what was closed.

Every report becomes exactly one of the numbers of ``Book.tally``, and all of them together are what was received.
Whatever is reported, what is kept has a bound, and what the bound keeps out is counted. Pure: it is fed the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from pydantic import AwareDatetime, Field

from domain.after_end import (
    EndedDeal,
    Finding,
    FoundAfterEnd,
    LateEntry,
    LateReport,
    LateStatus,
    LookAfterEnd,
    Matter,
    findings,
)
from domain.digest import Digest
from domain.pauses import Pauses
from domain.people import Person
from domain.record import Record
from domain.unclaimed import (
    OFFER_AGAIN,
    Offer,
    Taken,
    Unclaimed,
    beyond_room,
    entry_of,
    is_offered,
    offered,
    with_another,
)
from domain.views import Ending

MOST_WAITING: Final = 1_000
"""Deals that wait to be looked at; one look serves all that was reported of a deal."""
MOST_OPEN: Final = 200
"""Exceptions that stand open in a company."""
MOST_CLOSED: Final = 100
"""Closed ones that are shown; of more their number is counted."""
MOST_KNOWN: Final = 50
"""Documents of a deal whose open amounts at its end are kept with an exception; of more, its run is read again."""
SHOWN_CLOSED: Final = 5
"""Documents that a closed one still names."""
MOST_HEARD: Final = 5_000
"""Reports that are known when they come again."""
WAITS: Final = Pauses(timedelta(seconds=5), timedelta(minutes=10))
"""How long a deal waits to be looked at, after looks that failed."""
LOOK_AGAIN: Final = timedelta(hours=24)
"""How often what stands open is looked at without being told of anything."""


class Tally(StrEnum):
    """What became of reports. ``RECEIVED`` is the sum of all others."""

    RECEIVED = "received"
    WAITING = "waiting"
    OPEN = "open"
    SETTLED = "settled"
    DISMISSED = "dismissed"
    DUPLICATE = "duplicate"
    UNREADABLE = "unreadable"
    FULL = "full"
    """There was no room. What they report shows in Finance and Sales."""


class Pending(Record):
    """A deal that waits to be looked at."""

    quote_number: str
    reports: dict[Matter, int]
    since: AwareDatetime
    next_at: AwareDatetime
    tries: int = 0


class BookState(Record):
    """What one run hands to the next."""

    pending: tuple[Pending, ...] = ()
    entries: tuple[LateEntry, ...] = ()
    last_n: int = 0
    seen: str = Field("", description="Digest of the reports that were heard")
    counts: dict[str, int] = Field(default_factory=dict)


class Book:
    """The late reports of one company."""

    def __init__(self, company: str, state: BookState | None = None) -> None:
        """Go on from what the run before had."""
        state = state or BookState()
        self._company = company
        self._pending = {entry.quote_number: entry for entry in state.pending}
        self._entries = {entry.n: entry for entry in state.entries}
        self._last_n = state.last_n
        self._seen = Digest(state.seen, MOST_HEARD)
        self._counts = dict(state.counts)
        self._looked_for: dict[Matter, int] = {}
        """The reports that the look under way is taken for; what comes meanwhile waits for the next one."""

    @property
    def state(self) -> BookState:
        """All of it, for the next run."""
        return BookState(
            pending=tuple(self._pending.values()),
            entries=tuple(self._entries.values()),
            last_n=self._last_n,
            seen=self._seen.packed(),
            counts=self._counts,
        )

    # --- in --------------------------------------------------------------------------------------------------------

    def receive(self, report: LateReport, now: datetime) -> Tally:
        """Take a report; what becomes of it at once."""
        became = self._receive(report, now)
        self._count(Tally.RECEIVED)
        if became is not Tally.WAITING:
            self._count(became)
        return became

    def unreadable(self) -> None:
        """Something came that is no report."""
        self._count(Tally.RECEIVED)
        self._count(Tally.UNREADABLE)

    def _receive(self, report: LateReport, now: datetime) -> Tally:
        if report.key in self._seen:
            return Tally.DUPLICATE
        waiting = self._pending.get(report.quote_number)
        if waiting is None and not report.needs_look and not self._stands_open(report.quote_number):
            self._seen.add(report.key)
            return Tally.SETTLED
        if waiting is None and len(self._pending) >= MOST_WAITING:
            return Tally.FULL
        self._seen.add(report.key)
        reports = dict(waiting.reports) if waiting else {}
        reports[report.matter] = reports.get(report.matter, 0) + 1
        since = waiting.since if waiting else now
        self._pending[report.quote_number] = Pending(
            quote_number=report.quote_number, reports=reports, since=since, next_at=now
        )
        return Tally.WAITING

    def _stands_open(self, quote_number: str) -> bool:
        return any(entry.is_open for entry in self._of(quote_number))

    # --- what no deal takes ----------------------------------------------------------------------------------------

    def receive_unclaimed(self, report: Unclaimed, now: datetime) -> LateEntry | None:
        """Take what no deal takes; the exception it opened, None where one of its record is open.

        What has no room of its own is counted by one exception for all of its code: nothing leaves by being too much.
        """
        self._count(Tally.RECEIVED)
        if report.key in self._seen:
            self._count(Tally.DUPLICATE)
            return None
        standing = next((e for e in self._entries.values() if e.is_open and report.is_of(e)), None)
        if standing is None and self._is_full:
            report = beyond_room(report)
            standing = next((e for e in self._entries.values() if e.is_open and report.is_of(e)), None)
        self._seen.add(report.key)
        if standing is not None:
            self._entries[standing.n] = with_another(standing, report)
            return None
        self._last_n += 1
        entry = self._entries[self._last_n] = entry_of(report, self._company, self._last_n, now)
        return entry

    @property
    def _is_full(self) -> bool:
        return sum(entry.is_open for entry in self._entries.values()) >= MOST_OPEN

    def to_offer(self, now: datetime) -> Offer | None:
        """What is offered to the deals again now; None: nothing is."""
        return offered(list(self._entries.values()), self._company, now)

    def offered(self, offer: Offer, taken: Taken, now: datetime) -> list[LateEntry]:
        """Take what became of an offer; the exceptions that a deal settled."""
        settled: list[LateEntry] = []
        for n in offer.exceptions:
            entry = self._entries.get(n)
            if entry is None or not entry.is_open:
                continue
            if n in taken.numbers and entry.again == offer.exceptions[n]:
                settled.append(self._close(entry, LateStatus.SETTLED, now))
            else:  # what was reported meanwhile is offered the next time
                self._entries[n] = entry.model_copy(update={"looked_at": now})
        return settled

    # --- looking ---------------------------------------------------------------------------------------------------

    @property
    def next_at(self) -> datetime | None:
        """When the next deal is to be looked at; None: nothing waits and nothing stands open."""
        waits = [pending.next_at for pending in self._pending.values()]
        again = [entry.looked_at + LOOK_AGAIN for entry in self._compared]
        offers = [entry.looked_at + OFFER_AGAIN for entry in self._entries.values() if is_offered(entry)]
        return min([*waits, *again, *offers], default=None)

    @property
    def _compared(self) -> list[LateEntry]:
        """The open ones of deals: each is compared again."""
        return [e for e in self._entries.values() if e.is_open and e.matter is not Matter.UNCLAIMED]

    def due(self, now: datetime) -> LookAfterEnd | None:
        """The look to take now, the one due longest in front; None: none is due.

        What stands open of the deal is looked at with it, whatever was reported.
        """
        waits = [(pending.next_at, pending.quote_number) for pending in self._pending.values()]
        again = [
            (entry.looked_at + LOOK_AGAIN, entry.deal.quote_number)
            for entry in self._compared
            if entry.deal.quote_number not in self._pending
        ]
        at, quote_number = min([*waits, *again], default=(None, ""))
        if at is None or at > now:
            return None
        pending = self._pending.get(quote_number)
        self._looked_for = dict(pending.reports) if pending else {}
        return self._look(quote_number)

    def _look(self, quote_number: str) -> LookAfterEnd:
        pending = self._pending.get(quote_number)
        standing = [entry for entry in self._of(quote_number) if entry.is_open]
        comparable = [entry for entry in standing if entry.matter is not Matter.UNKNOWN]
        matters = dict.fromkeys([*(pending.reports if pending else ()), *(entry.matter for entry in standing)])
        # What could not be compared may be by now: then it is money, which is what most reports are about.
        asked = [matter for matter in matters if matter is not Matter.UNKNOWN] or [Matter.MONEY]
        known = next((entry for entry in comparable if entry.known), None)
        return LookAfterEnd(
            company=self._company,
            quote_number=quote_number,
            deal=known.deal if known else None,
            known=known.known if known else {},
            matters=tuple(asked),
        )

    def failed(self, quote_number: str, now: datetime) -> None:
        """A look failed for a reason that passes: it is taken again, ever less often, until it succeeds."""
        pending = self._pending.get(quote_number)
        if pending is not None:
            again = {"tries": pending.tries + 1, "next_at": now + WAITS.after(pending.tries)}
            self._pending[quote_number] = pending.model_copy(update=again)
        for entry in self._of(quote_number):
            if entry.is_open:
                self._entries[entry.n] = entry.model_copy(update={"looked_at": now})

    def looked(self, look: LookAfterEnd, found: FoundAfterEnd, now: datetime) -> list[LateEntry]:
        """Take what a look found; the exceptions it opened or settled."""
        reports, self._looked_for = self._looked_for, {}
        self._leave(look.quote_number, reports, now)
        # Where a deal runs for the quote again, it was told the same and answers for it.
        what = dict.fromkeys(Matter) if found.running else findings(found, look.matters)
        if (unknown := what.get(Matter.UNKNOWN)) is not None:
            changed = [self._take(look, Matter.UNKNOWN, unknown, sum(reports.values()), found, now)]
        else:
            changed = [self._take(look, m, finding, reports.pop(m, 0), found, now) for m, finding in what.items()]
            self._count(Tally.SETTLED, sum(reports.values()))
        for entry in self._of(look.quote_number):
            if entry.is_open:
                self._entries[entry.n] = entry.model_copy(update={"looked_at": now})
        return [entry for entry in changed if entry is not None]

    def _leave(self, quote_number: str, looked_for: Mapping[Matter, int], now: datetime) -> None:
        """Let what was reported while a look was under way wait for the next one; nothing else waits any more."""
        pending = self._pending.pop(quote_number, None)
        if pending is None:
            return
        left = {matter: more for matter, n in pending.reports.items() if (more := n - looked_for.get(matter, 0)) > 0}
        if left:
            fresh = {"reports": left, "next_at": now, "tries": 0}
            self._pending[quote_number] = pending.model_copy(update=fresh)

    def _take(
        self,
        look: LookAfterEnd,
        matter: Matter,
        finding: Finding | None,
        reports: int,
        found: FoundAfterEnd,
        now: datetime,
    ) -> LateEntry | None:
        """What was found of one matter, with as many reports of it; the exception that was opened or settled."""
        standing = next((e for e in self._of(look.quote_number) if e.is_open and e.matter is matter), None)
        if finding is None:
            self._count(Tally.SETTLED, reports)
            return self._close(standing, LateStatus.SETTLED, now) if standing is not None else None
        if standing is not None:
            more = {"reports": standing.reports + reports, "looked_at": now}
            self._entries[standing.n] = standing.model_copy(update=more | _said(finding))
            return None
        dismissed = (e for e in self._of(look.quote_number) if e.status is LateStatus.DISMISSED)
        if any(e.matter is matter and e.facts == finding.facts for e in dismissed):
            self._count(Tally.DISMISSED, reports)
            return None
        if self._is_full:
            self._count(Tally.FULL, reports)
            return None
        return self._open(look, finding, reports, found, now)

    def _open(
        self,
        look: LookAfterEnd,
        finding: Finding,
        reports: int,
        found: FoundAfterEnd,
        now: datetime,
    ) -> LateEntry:
        self._last_n += 1
        known = found.known or look.known
        entry = LateEntry(
            n=self._last_n,
            deal=found.deal or look.deal or _nobodys(look, now),
            matter=finding.matter,
            role=finding.matter.role,
            reports=reports,
            opened_at=now,
            looked_at=now,
            known=known if len(known) <= MOST_KNOWN else {},
            **_said(finding),
        )
        self._entries[entry.n] = entry
        return entry

    def _close(
        self, entry: LateEntry, status: LateStatus, now: datetime, by: Person | None = None, reason: str = ""
    ) -> LateEntry:
        closed = entry.model_copy(
            update={
                "status": status,
                "closed_at": now,
                "closed_by": by,
                "reason": reason,
                "known": {},
                "again": (),
                "documents": entry.documents[:SHOWN_CLOSED],
            }
        )
        self._entries.pop(entry.n)
        self._entries[entry.n] = closed
        self._count(Tally.SETTLED if status is LateStatus.SETTLED else Tally.DISMISSED, entry.reports)
        old = [other.n for other in self._entries.values() if not other.is_open][:-MOST_CLOSED]
        for n in old:
            del self._entries[n]
        return closed

    # --- for people ------------------------------------------------------------------------------------------------

    def entry(self, n: int) -> LateEntry | None:
        """An exception by its number; None: there is none, or it was closed long ago."""
        return self._entries.get(n)

    def dismiss(self, n: int, by: Person, reason: str, now: datetime) -> LateEntry | None:
        """A person says that it is settled otherwise; None: it is not open."""
        entry = self._entries.get(n)
        if entry is None or not entry.is_open:
            return None
        return self._close(entry, LateStatus.DISMISSED, now, by, reason)

    @property
    def entries(self) -> tuple[LateEntry, ...]:
        """Open ones first, the newest in front; then the closed ones, the last closed in front."""
        standing = sorted((e for e in self._entries.values() if e.is_open), key=lambda e: -e.n)
        closed = [e for e in self._entries.values() if not e.is_open]
        return (*standing, *reversed(closed))

    @property
    def tally(self) -> dict[str, int]:
        """Reports received, and what became of them: the others always come to ``received``."""
        now = {
            Tally.WAITING: sum(sum(pending.reports.values()) for pending in self._pending.values()),
            Tally.OPEN: sum(entry.reports for entry in self._entries.values() if entry.is_open),
        }
        return {str(name): now.get(name, self._counts.get(name, 0)) for name in Tally}

    def _of(self, quote_number: str) -> list[LateEntry]:
        own = (entry for entry in self._entries.values() if entry.deal.quote_number == quote_number)
        return [entry for entry in own if entry.matter is not Matter.UNCLAIMED]

    def _count(self, what: Tally, number: int = 1) -> None:
        if number:
            self._counts[what] = self._counts.get(what, 0) + number


def _said(finding: Finding) -> dict[str, object]:
    """What an exception says of what was found."""
    return {
        "codes": tuple(str(code) for code in finding.codes),
        "text": finding.text,
        "documents": finding.documents,
        "more_documents": finding.more_documents,
        "open_amount": finding.open_amount,
        "facts": finding.facts,
    }


def _nobodys(look: LookAfterEnd, now: datetime) -> EndedDeal:
    """A deal of which nothing is known but its name."""
    return EndedDeal(
        company=look.company,
        quote_number=look.quote_number,
        quote_id="",
        owner=Person(oid=""),
        ending=Ending.RUNNING,
        ended_at=now,
    )
