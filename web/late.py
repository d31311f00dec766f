"""What stands open after the end of deals: listed for who may read them, and dismissed by who may say so.

The company's receiver decides; here is refused what can be known to be, so that nothing is stored for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from domain.after_end import DISMISS_LATE, LateEntry, LateStatus, LateView, Matter
from domain.after_end_said import said_to_after_end
from domain.messages import Outcome
from domain.people import Person
from domain.record import Record
from domain.refusals import Refusal
from domain.rights import Action
from domain.severity import Severity
from runs import names
from runs.after_end import AfterEndDesk
from runs.calls import RunError
from web.access import Access
from web.addresses import COMPANY_LENGTH
from web.commands import DismissBody
from web.decisions import Decisions, in_words
from web.delegating import known_company
from web.identity import SignedIn
from web.saying import Saying

LIMIT = 500
_LOOK_SECONDS = 2.0
"""How long the page of a deal waits to learn whether something stands open after its end."""


class LateQuery(BaseModel):
    """Query of GET /late; what is left out does not narrow, but only open ones are listed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: Literal["open", "settled", "dismissed", "any"] = Field("open", description="`any`: all that are kept")
    company: str = Field("", max_length=COMPANY_LENGTH, description="Finance legal entity, in any case")
    matter: Matter | Literal[""] = Field("", description="What it is about")
    role: str = Field("", max_length=50, description="Whose it is, e.g. ar_manager")
    severity: Severity | Literal[""] = Field("", description="How much harm it does to wait")
    sort: Literal["newest", "oldest", "severity"] = Field(
        "severity", description="`severity`: the worst first, and of those the oldest; open ones come first always"
    )
    q: str = Field("", max_length=100, description="Part of a quote, order, customer or document number, or of a name")
    limit: int = Field(100, ge=1, le=LIMIT, description="At most this many items")

    def in_order(self, entries: Iterable[LateEntry]) -> list[LateEntry]:
        """Exceptions in the order that is asked for; closed ones come after all that is open, the last one first."""
        found = sorted(entries, key=lambda e: e.closed_at or e.opened_at, reverse=True)
        open_ones, closed = [e for e in found if e.is_open], [e for e in found if not e.is_open]
        if self.sort != "newest":
            open_ones.reverse()
        if self.sort == "severity":
            open_ones.sort(key=lambda e: e.severity.rank)
        return open_ones + closed

    def fits(self, entry: LateEntry) -> bool:
        """Whether an exception is asked for."""
        if self.status not in ("any", entry.status) or (self.matter and entry.matter is not self.matter):
            return False
        if self.severity and entry.severity is not self.severity:
            return False
        if self.role and entry.role != self.role:
            return False
        deal = entry.deal
        words = (deal.quote_number, deal.order_number, deal.customer, deal.customer_name, entry.reference)
        text = "\n".join((*words, *(document.number for document in entry.documents))).casefold()
        return self.q.strip().casefold() in text


class LatePage(Record):
    """What stands open after the end of deals, or was closed lately."""

    items: tuple[LateEntry, ...]
    more: int = Field(0, description="How many more fit than the limit let through")
    tally: dict[str, dict[str, int]] = Field(
        default_factory=dict, description="By company: reports received, and what became of them"
    )
    failing: dict[str, str] = Field(default_factory=dict, description="By company: why looks fail; empty: none does")


class _Shown(NamedTuple):
    """A company's receiver as it stands."""

    company: str
    view: LateView


class LateDeals:
    """What stands open after the end of deals, as pages and API show and dismiss it."""

    def __init__(self, access: Access, desk: AfterEndDesk, decisions: Decisions) -> None:
        """Show what ``desk`` has, as far as ``access`` allows; limited, signed and refused as ``decisions`` does."""
        self._access = access
        self._desk = desk
        self._decisions = decisions

    def companies(self, person: Person) -> tuple[str, ...]:
        """The companies whose exceptions a person may read.

        Raises:
            Problem: 403, none at all.
        """
        readable = self._access.readable(person)
        return self._access.companies if readable is None else readable

    def may_dismiss(self, person: Person, company: str) -> bool:
        """Whether a person may dismiss exceptions of a company."""
        return self._access.may(person, Action.DISMISS_LATE, company)

    async def listed(self, person: Person, query: LateQuery) -> LatePage:
        """What a person may see of what was asked for, in the order asked for: open ones first.

        Raises:
            Problem: 403, they may read no company, or not the one asked for.
            RunError: it cannot be read.
        """
        companies = self.companies(person)
        if query.company:
            company = known_company(query.company)
            self._access.check_readable(person, company)
            companies = (company,)
        views = await asyncio.gather(*(self._desk.read(company) for company in companies))
        found = query.in_order(entry for view in views for entry in view.entries if query.fits(entry))
        return LatePage(
            items=tuple(found[: query.limit]),
            more=max(0, len(found) - query.limit),
            tally={company: view.tally for company, view in zip(companies, views, strict=True) if view.tally},
            failing={company: view.failing for company, view in zip(companies, views, strict=True) if view.failing},
        )

    async def of_deal(self, company: str, quote: str) -> tuple[LateEntry, ...]:
        """What stands open of a deal that ended; nothing as well where nobody answers at once."""
        try:
            view = await self._desk.read(company, patience=_LOOK_SECONDS)
        except RunError:
            return ()
        return tuple(e for e in view.entries if e.is_open and quote in (e.deal.quote_number, e.reference))

    async def unclaimed(self, person: Person) -> list[LateEntry] | None:
        """What no deal takes, for an operator; None where the person is none, or nobody answers at once."""
        may = self._access.may
        companies = [c for c in self._access.companies if may(person, Action.RETRY_STEP, c)]
        if not companies:
            return None
        try:
            views = await asyncio.gather(*(self._desk.read(c, patience=_LOOK_SECONDS) for c in companies))
        except RunError:
            return None
        return LateQuery(matter=Matter.UNCLAIMED).in_order(
            e for view in views for e in view.entries if e.is_open and e.matter is Matter.UNCLAIMED
        )

    async def outcome(self, company: str, message_id: str) -> Outcome | None:
        """What became of a message. Raises as ``runs.calls.ask_for``."""
        return await self._desk.outcome(company, message_id)

    async def dismiss(self, company: str, n: int, who: SignedIn, message_id: str, body: DismissBody) -> Outcome | None:
        """Say that what stands open is settled otherwise, and why.

        Returns:
            That it was accepted; None where it is recorded but not known within five seconds.

        Raises:
            Problem: it was refused, here or by the company's receiver.
            NoAnswer: Temporal is down and nothing was recorded.
        """
        company = known_company(company)
        args: dict[str, Any] = {"n": n, "reason": body.reason}
        saying = Saying(self._decisions, company, names.after_end_id(company), who, message_id, DISMISS_LATE, args)
        saying.check()
        if refusal := await self._refusal(saying):
            return await saying.refused_unless_known(*refusal, lambda: self._desk.outcome(company, message_id))
        return await saying.send(lambda message: self._desk.tell(company, message))

    async def _refusal(self, saying: Saying) -> tuple[Refusal, str] | None:
        """Why the receiver would not take what is said; None where it would, or where it does not answer."""
        company = saying.company
        verdict = said_to_after_end(saying.verified(datetime.now(UTC)))
        if verdict.code is not None:
            return verdict.code, in_words(verdict.detail)
        try:
            view = await self._desk.read(company, patience=_LOOK_SECONDS)
        except RunError:
            return None
        entry = next((entry for entry in view.entries if entry.n == verdict.n), None)
        if entry is None:
            return Refusal.NOT_FOUND, f"Nothing with the number {verdict.n} is known in {company.upper()}."
        if not entry.is_open:
            ended = "settled by itself" if entry.status is LateStatus.SETTLED else "dismissed"
            return Refusal.NOT_OPEN_ANY_MORE, f"It was {ended} already; nothing changed."
        return None
