"""What is collected: the list of accounts, one account with its invoices and letters, and what one may say to it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from domain.collections import CollectionsView
from domain.messages import Outcome
from runs.calls import RunError
from runs.collections import AccountRow
from web import letters
from web.addresses import ACCOUNT, account_path
from web.api.collections import account_body, pdf_answer
from web.collecting import MOST_LISTED, Accounts, AccountsQuery
from web.commands import parsed
from web.delegating import known_company
from web.exports import MOST_ROWS, Columns, amount_cell, csv_file
from web.pages.site import STATIC, Site, message_id_of
from web.problems import Problem, to_correct
from web.saved_views import SavedViews, ViewedList
from web.session import Session
from web.typed_numbers import numbers_typed

PAGE = "/collections"
ACCOUNTS = ViewedList("collections", PAGE, "Collections", AccountsQuery)
_ROWS = 50
_LETTER = f"{ACCOUNT}/letters/{{n:nth}}"


_COLUMNS: Final[Columns[AccountRow]] = {
    "Company": lambda row: row.company.upper(),
    "Account": lambda row: row.account,
    "Overdue": lambda row: amount_cell(row.overdue, row.currency),
    "Currency": lambda row: row.currency,
    "Level": lambda row: row.level,
    "Next look at Finance": lambda row: row.next_look,
}


@dataclass(frozen=True, slots=True)
class CollectionPages:
    """The pages under /collections.

    Show and pass on what ``accounts`` allow.
    """

    site: Site
    accounts: Accounts
    views: SavedViews

    def routes(self) -> list[Route]:
        """The routes of the list, of letters, of an account and of what one may say to it."""
        return self.site.routes(
            pages={
                PAGE: self.list,
                f"{PAGE}.csv": self.download,
                f"{_LETTER}/pdf": self.letter_pdf,
                _LETTER: self.letter,
                ACCOUNT: self.show,
            },
            forms={f"{ACCOUNT}/commands/{{name}}": self.say},
        )

    async def list(self, request: Request, session: Session) -> Response:
        """Accounts by what is overdue; every filter is in the address."""
        views = await self.views.on(session.identity, ACCOUNTS, request)
        if views.leads:
            return RedirectResponse(views.leads, 302)
        given = _given(request)
        query = parsed(AccountsQuery, {"limit": _ROWS, **given})
        page = await self.accounts.page(session.identity, query)
        filters = {name: value for name, value in given.items() if name != "cursor"}
        following = urlencode({**filters, "cursor": page.next_cursor})
        context = {
            "page": page,
            "query": query,
            "views": views,
            "filters": filters,
            "download": f"{PAGE}.csv?{urlencode(filters)}",
            "next": f"{PAGE}?{following}" if page.next_cursor else "",
        }
        return await self.site.render("collections.html", session, context)

    async def download(self, request: Request, session: Session) -> Response:
        """The same list as a file, all of its pages."""
        query = parsed(AccountsQuery, {"limit": MOST_LISTED, **_given(request), "cursor": ""})
        rows, more = await self.accounts.every(session.identity, query, MOST_ROWS)
        return csv_file("collections", _COLUMNS, rows, more=more)

    async def show(self, request: Request, session: Session) -> Response:
        """One account."""
        company, account = _asked(request)
        view = await self.accounts.view(session.identity, company, account)
        message_id = request.query_params.get("said", "")
        outcome = await self.accounts.outcome(company, account, message_id) if message_id else None
        return await self._page(session, view, outcome, unknown=bool(message_id) and outcome is None)

    async def say(self, request: Request, session: Session, form: FormData) -> Response:
        """Pass on what a person says; what was wrong or refused is shown on the account's page."""
        company, account = _asked(request)
        name = request.path_params["name"]
        try:
            message_id = message_id_of(form)
            body = account_body(name)
            fields = {
                f: text for f in body.model_fields if f != "message_id" and (text := str(form.get(f, "")).strip())
            }
            signed = parsed(body, numbers_typed(fields, "amount")).signed_args  # type: ignore[attr-defined]
            outcome = await self.accounts.say(company, account, session.who, message_id, name, signed)
        except (Problem, RunError) as error:
            problem = to_correct(error)
            view = await self.accounts.view(session.identity, company, account)
            typed = {f: str(form[f]) for f in form if f not in ("csrf", "message_id")}
            return await self._page(session, view, None, problem=problem, typed={name: typed})
        there = account_path(company, account, said=message_id)
        return await self.site.said(session, outcome, there)

    async def letter(self, request: Request, session: Session) -> Response:
        """A letter, to be read or printed."""
        company, account = _asked(request)
        letter = await self.accounts.letter(session.identity, company, account, request.path_params["n"])
        styles = f"/static/{(STATIC / 'site.css').name}"
        return HTMLResponse(letters.as_html(letter, styles))

    async def letter_pdf(self, request: Request, session: Session) -> Response:
        """A letter as a download."""
        company, account = _asked(request)
        letter = await self.accounts.letter(session.identity, company, account, request.path_params["n"])
        return await pdf_answer(self.accounts, letter)

    async def _page(
        self,
        session: Session,
        view: CollectionsView,
        outcome: Outcome | None,
        *,
        unknown: bool = False,
        problem: Problem | None = None,
        typed: Mapping[str, Mapping[str, str]] | None = None,
    ) -> Response:
        account = view.state
        today = self.accounts.today(account.company)
        context = {
            "account": account,
            "view": view,
            "today": today,
            "overdue": account.overdue(today),
            "levels": view.plan.levels,
            "open": [invoice for invoice in account.invoices if invoice.is_open],
            "paid": [invoice for invoice in account.invoices if not invoice.is_open],
            "may": self.accounts.allowed(session.who, account.company),
            "message_id": lambda: str(uuid.uuid4()),
            "outcome": outcome,
            "recorded": unknown,
            "problem": problem,
            "typed": typed or {},
        }
        return await self.site.render("collection.html", session, context, problem.status if problem else 200)


def _given(request: Request) -> dict[str, str]:
    """The filters in an address."""
    fields = AccountsQuery.model_fields
    return {n: v for n, v in request.query_params.items() if n in fields and n != "limit" and v}


def _asked(request: Request) -> tuple[str, str]:
    return known_company(request.path_params["company"]), request.path_params["account"]
