"""The inbox: what waits for the person who looks at it, and nothing else."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.people import Person
from domain.rights import Action
from domain.views import WaitingFor
from runs.approvals import Approvals
from runs.search import DealFilter, DealPage, Search
from web.access import Access
from web.inbox import approvals_for
from web.pages.site import Site
from web.session import Session

_APPROVALS = 50
_ROWS = 25
_NEVER = datetime.max.replace(tzinfo=UTC)


class Inbox:
    """The first page."""

    def __init__(self, site: Site, access: Access, approvals: Approvals, search: Search) -> None:
        """Show what the lists and the requests say."""
        self._site = site
        self._access = access
        self._approvals = approvals
        self._search = search

    def routes(self) -> list[Route]:
        """The route of the inbox."""
        return [Route("/", self._site.page(self.show), methods=["GET"])]

    async def show(self, request: Request, session: Session) -> Response:
        """Approvals that ask me; credit holds and parked steps where I may do something about them."""
        person = session.identity
        approvals, holds, parked = await asyncio.gather(
            approvals_for(
                person, self._access, self._approvals, self._search, _APPROVALS, request.query_params.get("cursor", "")
            ),
            self._waiting(person, Action.RECHECK_CREDIT, WaitingFor.CREDIT),
            self._waiting(person, Action.RETRY_STEP, WaitingFor.OPERATOR),
        )
        items = sorted(approvals.items, key=lambda item: item.deadline or _NEVER)
        causes = Counter(row.error for row in parked.items) if parked else Counter[str]()
        context = {
            "items": items,
            "unreadable": approvals.unreadable,
            "next_cursor": approvals.next_cursor,
            "holds": holds,
            "parked": parked,
            "causes": causes.most_common(),
        }
        return await self._site.render("inbox.html", session, context)

    async def _waiting(self, person: Person, action: Action, waiting_for: WaitingFor) -> DealPage | None:
        """Deals that wait for somebody who may do this, where the person may; None where they may nowhere."""
        companies = self._access.covered(person, action)
        if companies is not None and not companies:
            return None
        wanted = DealFilter(readable=companies, waiting_for=waiting_for, status="running")
        return await self._search.deals(wanted, limit=_ROWS)
