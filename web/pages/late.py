"""What stands open after the end of deals: a list with filters, and dismissing with a reason."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from domain.after_end import LateEntry, Matter
from domain.messages import Outcome
from domain.refusals import Refusal
from domain.severity import Severity
from runs.calls import RunError
from web.addresses import LATE_DISMISS, Deal
from web.commands import DismissBody, parsed
from web.delegating import known_company
from web.exports import Columns, amount_cell, csv_file
from web.late import LIMIT, LateDeals, LateQuery
from web.pages.site import Site, message_id_of
from web.problems import Problem, to_correct
from web.saved_views import SavedViews, ShownViews, ViewedList
from web.session import Session

PAGE = "/late"
LATE = ViewedList("late", PAGE, "After the end", LateQuery)


_COLUMNS: Final[Columns[LateEntry]] = {
    "Company": lambda entry: entry.deal.company.upper(),
    "Quote": lambda entry: entry.deal.quote_number,
    "Number": lambda entry: entry.n,
    "Status": lambda entry: entry.status,
    "Severity": lambda entry: entry.severity,
    "About": lambda entry: entry.matter,
    "Text": lambda entry: entry.text,
    "Codes": lambda entry: " ".join(entry.codes),
    "Customer": lambda entry: entry.deal.customer,
    "Customer name": lambda entry: entry.deal.customer_name,
    "Order": lambda entry: entry.deal.order_number,
    "Reference": lambda entry: entry.reference,
    "Documents": lambda entry: " ".join(document.number for document in entry.documents),
    "Open": lambda entry: amount_cell(entry.open_amount, entry.deal.currency) if entry.documents else None,
    "Currency": lambda entry: entry.deal.currency,
    "Whose": lambda entry: entry.role,
    "Since": lambda entry: entry.opened_at,
    "Closed": lambda entry: entry.closed_at,
    "Dismissed by": lambda entry: entry.closed_by.label if entry.closed_by else "",
    "Reason": lambda entry: entry.reason,
}


@dataclass(frozen=True, slots=True)
class LatePages:
    """The page under /late.

    Show and pass on what ``late`` allows.
    """

    site: Site
    late: LateDeals
    views: SavedViews

    def routes(self) -> list[Route]:
        """The routes of the list and of dismissing."""
        return self.site.routes(
            pages={PAGE: self.show, f"{PAGE}.csv": self.download}, forms={LATE_DISMISS: self.dismiss}
        )

    async def show(self, request: Request, session: Session) -> Response:
        """What the reader may see; every filter is in the address, so that a list can be sent to someone."""
        views = await self.views.on(session.identity, LATE, request)
        if views.leads:
            return RedirectResponse(views.leads, 302)
        given = _given(request)
        message_id, told = given.pop("said", ""), given.pop("of", "")
        outcome = None
        if message_id and told in self.late.companies(session.identity):
            outcome = await self.late.outcome(told, message_id)
        return await self._page(session, views, given, outcome, unknown=bool(message_id) and outcome is None)

    async def download(self, request: Request, session: Session) -> Response:
        """The same list as a file."""
        given = {
            n: value.strip()
            for n, value in request.query_params.items()
            if value.strip() and n not in ("limit", "view")
        }
        page = await self.late.listed(session.identity, parsed(LateQuery, {**given, "limit": LIMIT}))
        return csv_file("after-the-end", _COLUMNS, page.items, more=page.more > 0)

    async def dismiss(self, request: Request, session: Session, form: FormData) -> Response:
        """Dismiss one; what was wrong or refused is shown on the list."""
        company, n = known_company(request.path_params["company"]), int(request.path_params["n"])
        reason = str(form.get("reason", "")).strip()
        try:
            message_id = message_id_of(form)
            body = parsed(DismissBody, {"reason": reason})
            outcome = await self.late.dismiss(company, n, session.who, message_id, body)
        except (Problem, RunError) as error:
            problem = to_correct(error, also_missing=True)
            typed = {(company, n): reason}
            views = await self.views.on(session.identity, LATE, request)
            return await self._page(session, views, {}, None, problem=problem, typed=typed)
        there = f"{PAGE}?of={company}&said={message_id}"
        return await self.site.said(session, outcome, there)

    async def _page(
        self,
        session: Session,
        views: ShownViews,
        given: dict[str, str],
        outcome: Outcome | None,
        *,
        unknown: bool = False,
        problem: Problem | None = None,
        typed: dict[tuple[str, int], str] | None = None,
    ) -> Response:
        query = parsed(LateQuery, given)
        person = session.identity
        page = await self.late.listed(person, query)
        words = typed or {}
        context: dict[str, Any] = {
            "page": page,
            "query": query,
            "views": views,
            "filters": given,
            "download": f"{PAGE}.csv?{urlencode(given)}",
            "companies": self.late.companies(person),
            "severities": [severity.value for severity in Severity],
            "matters": [matter.value for matter in Matter],
            "deal_page": lambda entry: Deal(entry.deal.company, entry.deal.quote_number).path(),
            "dismissable": lambda entry: entry.is_open and self.late.may_dismiss(person, entry.deal.company),
            "typed": lambda entry: words.get((entry.deal.company, entry.n), ""),
            "sentences": _sentences,
            "message_id": lambda: str(uuid.uuid4()),
            "outcome": outcome,
            "recorded": unknown,
            "problem": problem,
        }
        return await self.site.render("late.html", session, context, problem.status if problem else 200)


def _given(request: Request) -> dict[str, str]:
    """The filters in an address."""
    return {name: value.strip() for name, value in request.query_params.items() if value.strip() and name != "view"}


def _sentences(entry: LateEntry) -> list[str]:
    """What to do about it, a sentence for each code."""
    return [found.sentence for code in entry.codes if (found := Refusal.of(code)) is not None]
