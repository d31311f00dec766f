"""The inbox: what waits for the person who looks at it, and nothing else; and what they decided before."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from domain.approvals import ApprovalRequest, ApprovalState, ApprovalStatus, StepApproval, StepStatus
from domain.causes import Cause
from domain.people import Person
from domain.rights import Action
from domain.views import WaitingFor
from runs.approvals import Approvals
from runs.search import DealFilter, DealPage, DealRow, Search
from web.access import Access
from web.bulk import Picked
from web.commands import parsed
from web.exports import Columns, amount_cell, csv_file
from web.inbox import ApprovalItem, InboxQuery, approvals_for, at_risk, by_amount
from web.late import LateDeals
from web.pages.site import Site
from web.saved_views import SavedViews, ViewedList
from web.session import Session

INBOX: Final = ViewedList("inbox", "/", "Inbox", InboxQuery)
_APPROVALS: Final = 200
_ROWS: Final = 200
"""Holds and parked deals of which the queues are made; more are on the page of deals."""
_MINE: Final = 10
_SHOWN_OF_A_CAUSE: Final = 25
_DECIDED: Final = 25
_COLUMNS: Final[Columns[ApprovalItem]] = {
    "Company": lambda item: item.company.upper(),
    "Quote": lambda item: item.quote,
    "Revision": lambda item: item.revision,
    "Request": lambda item: item.n,
    "Name": lambda item: item.name,
    "Customer": lambda item: item.customer,
    "Customer name": lambda item: item.customer_name,
    "Net": lambda item: amount_cell(item.net, item.currency),
    "Total incl. tax": lambda item: amount_cell(item.total, item.currency),
    "Currency": lambda item: item.currency,
    "Discount %": lambda item: item.discount_pct,
    "Margin %": lambda item: item.margin_pct,
    "Reasons": lambda item: "; ".join(reason.sentence or reason.text for reason in item.reasons),
    "Step": lambda item: item.step,
    "Role": lambda item: item.role,
    "Requested by": lambda item: item.requester.label,
    "Requested": lambda item: item.requested_at,
    "Due": lambda item: item.deadline,
}


@dataclass(frozen=True)
class Decided:
    """What a person decided of a request."""

    request: ApprovalRequest
    status: ApprovalStatus
    """Of the request now."""
    word: StepApproval
    decision: StepStatus


_DECIDED_COLUMNS: Final[Columns[Decided]] = {
    "Company": lambda said: said.request.company.upper(),
    "Quote": lambda said: said.request.quote_number,
    "Revision": lambda said: said.request.revision,
    "Request": lambda said: said.request.n,
    "Name": lambda said: said.request.name,
    "Customer": lambda said: said.request.customer_account,
    "Net": lambda said: amount_cell(said.request.net, said.request.currency),
    "Currency": lambda said: said.request.currency,
    "Discount %": lambda said: said.request.discount_pct,
    "Decision": lambda said: said.decision,
    "For": lambda said: said.word.stands_for.label if said.word.stands_for else "",
    "Decided": lambda said: said.word.at,
    "Comment": lambda said: said.word.comment,
    "Request now": lambda said: said.status,
}


@dataclass(frozen=True)
class CauseGroup:
    """Deals parked for one cause."""

    error: str
    suggestion: str
    rows: tuple[DealRow, ...]

    @property
    def shown(self) -> tuple[DealRow, ...]:
        """The first of them."""
        return self.rows[:_SHOWN_OF_A_CAUSE]

    @property
    def companies(self) -> tuple[str, ...]:
        """The companies with several of them: a bulk run is of one."""
        return tuple(company for company, count in Counter(row.company for row in self.rows).items() if count > 1)


@dataclass(frozen=True, slots=True)
class Inbox:
    """The first page, and the page of what its reader decided.

    Show what the lists and the requests say, and what no deal takes.
    """

    site: Site
    access: Access
    approvals: Approvals
    search: Search
    views: SavedViews
    late: LateDeals

    def routes(self) -> list[Route]:
        """The routes of the inbox and of past decisions, and both as files."""
        return self.site.routes(
            pages={
                "/": self.show,
                "/inbox.csv": self.download,
                "/decided": self.decided,
                "/decided.csv": self.decided_download,
            }
        )

    async def show(self, request: Request, session: Session) -> Response:
        """Approvals that ask me; my deals; credit holds, parked steps and unknown customers where I may act."""
        person = session.identity
        views = await self.views.on(person, INBOX, request)
        if views.leads:
            return RedirectResponse(views.leads, 302)
        given = {n: value.strip() for n, value in request.query_params.items() if value.strip() and n != "view"}
        query = parsed(InboxQuery, given)
        (deposits, unclaimed), (found, holds, parked, unknown, credits_, mine) = await asyncio.gather(
            asyncio.gather(
                self._waiting(person, Action.PROPOSE_REFUND, WaitingFor.DEPOSIT), self.late.unclaimed(person)
            ),
            asyncio.gather(
                approvals_for(person, self.access, self.approvals, self.search, _APPROVALS, query.cursor),
                self._waiting(person, Action.RECHECK_CREDIT, WaitingFor.CREDIT),
                self._waiting(person, Action.RETRY_STEP, WaitingFor.OPERATOR),
                self._waiting(person, Action.SET_UP_CUSTOMER, WaitingFor.CUSTOMER_SETUP),
                self._waiting(person, Action.PROPOSE_REFUND, WaitingFor.UNAPPLIED),
                self._my_deals(person),
            ),
        )
        filters = {name: value for name, value in given.items() if name != "cursor"}
        context = {
            "items": query.of(found.items, datetime.now(UTC)),
            "all_items": found.items,
            "query": query,
            "views": views,
            "filters": filters,
            "narrowed": [name for name in filters if name != "sort"],
            "download": f"/inbox.csv?{urlencode(filters)}",
            "next": f"/?{urlencode({**filters, 'cursor': found.next_cursor})}" if found.next_cursor else "",
            "unreadable": found.unreadable,
            "pick": Picked.of,
            "mine": mine,
            "holds": holds,
            "held": by_amount(holds.items, at_risk) if holds else [],
            "parked": parked,
            "unclaimed": unclaimed or [],
            "most_unclaimed": _SHOWN_OF_A_CAUSE,
            "credits": credits_ if credits_ and (credits_.items or credits_.unreadable) else None,
            "deposits": deposits if deposits and (deposits.items or deposits.unreadable) else None,
            "customers": unknown if unknown and (unknown.items or unknown.unreadable) else None,
            "groups": _by_cause(parked.items) if parked else [],
        }
        return await self.site.render("inbox.html", session, context)

    async def download(self, request: Request, session: Session) -> Response:
        """What waits for my decision as a file; filters and order as on the page."""
        given = {name: value for name, value in request.query_params.items() if value.strip() and name != "cursor"}
        query = parsed(InboxQuery, given)
        found = await approvals_for(session.identity, self.access, self.approvals, self.search, _APPROVALS)
        items = query.of(found.items, datetime.now(UTC))
        return csv_file("inbox", _COLUMNS, items, more=bool(found.next_cursor))

    async def decided(self, request: Request, session: Session) -> Response:
        """Requests of which I decided a step, newest first."""
        cursor = request.query_params.get("cursor", "")
        runs, following = await self.search.decided_by(session.identity.oid, limit=_DECIDED, cursor=cursor)
        found = await self.approvals.states_of(runs)
        context = {
            "decided": list(decisions_of(found.states, session.identity)),
            "unreadable": found.unreadable,
            "next": f"/decided?{urlencode({'cursor': following})}" if following else "",
        }
        return await self.site.render("decided.html", session, context)

    async def decided_download(self, _request: Request, session: Session) -> Response:
        """The same as a file."""
        runs, following = await self.search.decided_by(session.identity.oid, limit=_APPROVALS)
        found = await self.approvals.states_of(runs)
        rows = decisions_of(found.states, session.identity)
        return csv_file("decided", _DECIDED_COLUMNS, rows, more=bool(following or found.unreadable))

    async def _waiting(self, person: Person, action: Action, waiting_for: WaitingFor) -> DealPage | None:
        """Deals that wait for somebody who may do this, where the person may; None where they may nowhere."""
        companies = self.access.covered(person, action)
        if companies is not None and not companies:
            return None
        wanted = DealFilter(readable=companies, waiting_for=waiting_for, status="running")
        return await self.search.deals(wanted, limit=_ROWS)

    async def _my_deals(self, person: Person) -> DealPage | None:
        """Running deals of the person's own, where they may read any."""
        companies = self.access.covered(person, Action.READ_DEAL)
        if companies is not None and not companies:
            return None
        found = await self.search.deals(
            DealFilter(readable=companies, person=person.oid, status="running"), limit=_MINE
        )
        return found if found.items else None


def _by_cause(rows: Iterable[DealRow]) -> list[CauseGroup]:
    """Parked deals by cause, the cause of most deals first."""
    groups: dict[str, list[DealRow]] = {}
    for row in rows:
        groups.setdefault(row.error, []).append(row)
    return sorted(
        (CauseGroup(error, Cause.of(error).suggestion, tuple(found)) for error, found in groups.items()),
        key=lambda group: -len(group.rows),
    )


def decisions_of(states: Iterable[ApprovalState], person: Person) -> Iterator[Decided]:
    """What a person decided, step by step."""
    for state in states:
        for step in state.steps:
            word = step.decision_of(person)
            if word is not None:
                approved = any(person.is_same(other) for other in step.approved_by)
                decision = StepStatus.APPROVED if approved else StepStatus.REJECTED
                yield Decided(state.request, state.status, word, decision)
