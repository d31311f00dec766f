"""What all pages share: templates, the session, protection of forms, and errors as pages."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from temporalio.client import Client

from domain.messages import Outcome
from domain.phrases import marked, phrase
from domain.refusals import Refusal
from domain.rights import Action
from domain.severity import severity_of, worst_first
from ledger.opening import LedgerAway
from runs import names
from runs.query import in_temporal_web, of_type
from runs.search import Search
from web import security_log
from web.addresses import Approval, Deal, account_path
from web.config import WebConfig
from web.languages import LANGUAGES, current, gettext, ngettext
from web.pages import words
from web.problems import Problem
from web.session import Session, Sessions
from web.typed_numbers import to_type

ROOT = Path(__file__).parent.parent
STATIC = ROOT / "static"

_TITLES: dict[int | str, str] = {
    400: marked("That did not work"),
    403: marked("You don't have access"),
    404: marked("Page not found"),
    405: marked("That did not work"),
    408: marked("Too slow"),
    413: marked("Too large"),
    429: marked("Too many requests"),
    500: marked("Something went wrong"),
    502: marked("This cannot be read"),
    503: marked("Not available right now"),
    Refusal.SIGNED_OUT: marked("You are signed out"),
    Refusal.SIGN_IN_LOST: marked("Sign-in not completed"),
    Refusal.SIGN_IN_REFUSED: marked("Sign-in refused"),
    Refusal.FORGED_FORM: marked("Load the page again"),
}
"""Headlines of problem pages, by code or else by status."""

PageHandler = Callable[[Request, Session], Awaitable[Response]]
FormHandler = Callable[[Request, Session, FormData], Awaitable[Response]]


class Site:
    """Renders pages for signed-in people."""

    def __init__(self, config: WebConfig, client: Client, sessions: Sessions, search: Search) -> None:
        """Prepare the templates.

        Args:
            config: addresses.
            client: names the namespace in links to Temporal Web.
            sessions: who is signed in.
            search: counts what waits for the reader.
        """
        self._config = config
        self.secure = config.cookie_secure
        """Whether the site is served over TLS."""
        self._namespace = client.namespace
        self._sessions = sessions
        self._search = search
        self._templates = Environment(
            loader=FileSystemLoader(ROOT / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.i18n"],
        )
        self._templates.install_gettext_callables(gettext, ngettext, newstyle=True)  # type: ignore[attr-defined]
        self._templates.filters |= _filters()
        self._templates.globals |= {
            "static": {path.name: _static_address(path) for path in STATIC.iterdir() if path.is_file()},
            "run_link": self.run_link,
            "language": current,
            "languages": tuple(LANGUAGES.values()),
            "months": words.months,
            "what_failed": words.parked,
            "deal_path": lambda row: Deal(row.company, row.quote).path(),
            "deal_path_of": lambda row: Deal(row.company, row.quote).path(),
            "request_path": lambda r: Approval(Deal(r.company, r.quote_number), r.n).path(),
            "account_path": account_path,
            "deal_path_to": lambda company, quote: Deal(company, quote).path(),
            "approval_path": lambda item: Approval(Deal(item.company, item.quote), item.n).path(),
        }

    def run_link(self, workflow_id: str) -> str:
        """Address of a run in Temporal Web."""
        return f"{self._config.temporal_ui}/namespaces/{self._namespace}/workflows/{quote(workflow_id, safe='')}"

    def routes(
        self, pages: Mapping[str, PageHandler] | None = None, forms: Mapping[str, FormHandler] | None = None
    ) -> list[Route]:
        """The routes of pages (GET) and of what their forms are sent to (POST), each by its path."""
        shown = [Route(path, self.page(handler), methods=["GET"]) for path, handler in (pages or {}).items()]
        taken = [Route(path, self.form(handler), methods=["POST"]) for path, handler in (forms or {}).items()]
        return shown + taken

    def page(self, handler: PageHandler) -> Callable[[Request], Awaitable[Response]]:
        """A page for signed-in people; others are sent to sign in and come back here."""

        async def show(request: Request) -> Response:
            session = await self._sessions.current(request)
            if session is None:
                path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
                return RedirectResponse(f"/auth/sign-in?{urlencode({'next': path})}", 302)
            return await handler(request, session)

        return show

    def form(self, handler: FormHandler) -> Callable[[Request], Awaitable[Response]]:
        """What a form is sent to: only from a page of this session."""

        async def take(request: Request) -> Response:
            session = await self._sessions.current(request)
            if session is None:
                raise Problem(Refusal.SIGNED_OUT)
            form = await request.form()
            if not session.owns_form(str(form.get("csrf", ""))):
                security_log.forged_form(session.identity)
                raise Problem(Refusal.FORGED_FORM)
            return await handler(request, session, form)

        return take

    async def render(
        self, template: str, session: Session | None, context: dict[str, Any], status: int = 200
    ) -> Response:
        """A page, with what the frame around it needs."""
        waiting = 0
        if session is not None and status < 500:
            waiting = await self._search.count_approvals(session.identity.oid)
        content = self._templates.get_template(template).render(
            context
            | {
                "person": session.identity if session else None,
                "csrf": session.csrf if session else "",
                "waiting_for_me": waiting,
                "reads_audit": self._reads(session, Action.READ_AUDIT),
                "reads_collections": self._reads(session, Action.READ_COLLECTIONS),
                "reads_data": self._reads(session, Action.READ_DATA),
                "temporal_ui": in_temporal_web(self._config.temporal_ui, self._namespace, of_type(names.QUOTE_TO_CASH)),
            }
        )
        return HTMLResponse(content, status, _language_headers())

    def _reads(self, session: Session | None, action: Action) -> bool:
        """Whether the way to what a right shows is shown."""
        if session is None:
            return False
        return self._config.policy.rights.companies_of(session.identity, action) != frozenset()

    async def said(self, session: Session, outcome: Outcome | None, address: str) -> Response:
        """To the page at ``address``, which shows what became of what was said.

        None: it is stored, and nobody could answer yet (202); the page tells when somebody has.
        """
        if outcome is None:
            return await self.render("recorded.html", session, {"address": address}, 202)
        return RedirectResponse(address, 303)

    async def problem(self, request: Request, problem: Problem) -> Response:
        """An error as a page that says what to do."""
        try:
            session = await self._sessions.current(request)
        except LedgerAway:  # the page says what is wrong to whoever looks at it
            session = None
        content = self._templates.get_template("problem.html").render(
            problem=problem,
            titles=_TITLES,
            person=session.identity if session else None,
            csrf=session.csrf if session else "",
            waiting_for_me=0,
            reads_audit=self._reads(session, Action.READ_AUDIT),
            reads_collections=self._reads(session, Action.READ_COLLECTIONS),
            reads_data=self._reads(session, Action.READ_DATA),
            temporal_ui=self._config.temporal_ui,
            address=request.url.path if request.method == "GET" else "",
        )
        return HTMLResponse(content, problem.status, problem.headers | _language_headers())


def _language_headers() -> dict[str, str]:
    """Which language a page is in, and on what that depends."""
    return {"Content-Language": current().code, "Vary": "Accept-Language, Cookie"}


def _filters() -> dict[str, Callable[..., object]]:
    """How templates write values."""
    return {
        "money": words.money,
        "amount": words.amount,
        "unit_price": words.unit_price,
        "percent": words.percent,
        "quantity": words.quantity,
        "figure": words.figure,
        "size": words.size,
        "moment": words.moment,
        "day": words.day,
        "words": words.words,
        "waiting": words.waiting,
        "sentence": words.sentence,
        "changed": words.changed,
        "tone": words.tone,
        "distance": lambda value: words.distance(value, datetime.now(UTC)),
        "ago": lambda value: words.ago(value, datetime.now(UTC)),
        "lasting": lambda value: words.lasting(value, datetime.now(UTC)),
        "stretch": words.stretch,
        "refusal": words.refusal,
        "refused": words.refused,
        "role": words.role,
        "to_type": to_type,
        "known": words.known,
        "english": words.english,
        "told": words.told,
        "exception": words.exception,
        "severity": severity_of,
        "worst_first": worst_first,
        "inside": words.inside,
        "cause": words.cause,
        "status_words": words.status_words,
    }


def _static_address(path: Path) -> str:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    return f"/static/{path.name}?v={digest}"


def message_id_of(form: FormData) -> str:
    """The id that the page of a form was rendered with, so that a double click counts once.

    Raises:
        Problem: 400, it is none of ours.
    """
    try:
        return str(uuid.UUID(str(form.get("message_id", ""))))
    except ValueError:
        raise Problem(Refusal.BAD_ARGUMENT, phrase("The form is incomplete. Load the page again.")) from None
