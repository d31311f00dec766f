"""The web application: pages for people, JSON for systems, intake of what the two systems report.

It holds no state of its own but who is signed in: what it shows is asked of the running deals, what it is told becomes
a signal to one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, ExceptionHandler
from temporalio.client import Client

from domain.refusals import Refusal
from ledger.opening import Ledger, LedgerAway
from runs.approvals import Approvals
from runs.calls import RunError
from runs.deals import Deals
from runs.feeds import Feeds
from runs.ledgers import Ledgers
from runs.reviews import Reviews
from runs.search import Search
from web.access import Access
from web.api.application import PREFIX, application
from web.api.routes import add_operations, add_people
from web.attempts import Attempts
from web.config import WebConfig
from web.decisions import Decisions
from web.entra import EntraSignIn
from web.health import health_routes
from web.intake.event_grid import EventGrid
from web.intake.reports import Reports
from web.intake.routes import Intake
from web.limits import Limits
from web.middleware import SecurityHeaders, Tracing, security_headers
from web.pages.approvals import ApprovalPages
from web.pages.deals import DealPages
from web.pages.inbox import Inbox
from web.pages.site import STATIC, Site
from web.problems import Problem, of_run
from web.session import Sessions
from web.session_store import LedgerSessions, MemorySessions
from web.signin import SignIn
from web.signing import DecisionSigner, SigningKey
from web.tokens import SigningKeys, TokenVerifier

log = structlog.get_logger(__name__)

MAX_BODY_BYTES = 1024 * 1024
_FOR_PROGRAMS = ("/api/", "/intake/", "/health/")
_HTTP_ERRORS = {
    404: Refusal.NOT_FOUND,
    405: Refusal.METHOD_NOT_ALLOWED,
    413: Refusal.TOO_LARGE,
}


class _Below(Mount):
    """A mount that also takes addresses with a line break in them, as a quote number may have."""

    def __init__(self, path: str, app: ASGIApp) -> None:
        super().__init__(path, app)
        self.path_regex = re.compile(self.path_regex.pattern, re.DOTALL)


def create_app(config: WebConfig, client: Client, key: SigningKey | None = None) -> Starlette:
    """Build the application.

    Args:
        config: addresses, keys and secrets.
        client: connected to the deals' namespace, with the pydantic data converter.
        key: signs decisions in place of the key in the file, e.g. one that stays in a vault.

    Returns:
        The ASGI application; it starts and ends with the server's lifespan.

    Raises:
        OSError: the decision key cannot be read.
        ValueError: the decision key is not a private Ed25519 key with a ``kid``.
    """
    secret = config.session_secret.get_secret_value().encode()
    keys = SigningKeys(config.entra_authority, config.ca_file)
    deals, approvals = Deals(client), Approvals(client)
    search = Search(client, cursor_key=hashlib.sha256(b"cursor" + secret).digest())
    signer = DecisionSigner(key) if key else DecisionSigner.from_file(config.decision_private_key_file)
    entra = EntraSignIn(config)
    ledger = Ledger(config.ledger_url.get_secret_value()) if config.ledger_url else None
    store = LedgerSessions(ledger) if config.sessions == "ledger" and ledger else MemorySessions()
    attempts = Attempts(ledger)
    sessions = Sessions(config, store, entra.read_again)
    access = Access(config.policy)
    decisions = Decisions(access, deals, approvals, signer, Limits(), attempts)
    feeds = Feeds(client, every_seconds=config.sweep_seconds)
    reports = Reports(config.companies, deals, feeds, Ledgers(client))
    site = Site(config, client, sessions, search)
    authority = urlsplit(config.entra_authority)
    headers = security_headers(f"{authority.scheme}://{authority.netloc}", config.cookie_secure)
    handlers = _exception_handlers(site, headers)
    api = application(config, TokenVerifier(keys, config.client_id, clients=config.api_clients), handlers)
    add_operations(api, access, deals, approvals, search, decisions)
    add_people(api, access, sessions)
    site_app = Starlette(
        routes=[
            *health_routes(client, keys),
            *Intake(config, reports).routes(),
            *EventGrid(reports, keys, config.client_id, config.event_grid_clients).routes(),
            _Below(PREFIX, api),
            *SignIn(config, sessions, entra, keys).routes(),
            *Inbox(site, access, approvals, search).routes(),
            *DealPages(site, access, deals, search, decisions).routes(),
            *ApprovalPages(site, access, deals, approvals, Reviews(client), decisions).routes(),
            Route("/signed-out", _signed_out(site), methods=["GET"]),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[
            Middleware(Tracing),
            Middleware(SecurityHeaders, headers=headers),
        ],
        exception_handlers=handlers,
        lifespan=_closing(attempts, ledger),
        max_body_size=MAX_BODY_BYTES,
    )
    site_app.state.sessions, site_app.state.attempts, site_app.state.ledger = sessions, attempts, ledger
    return site_app


def _exception_handlers(site: Site, headers: dict[str, str]) -> dict[Any, ExceptionHandler]:
    """Errors as problem details for programs, as pages for people."""

    async def problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        if request.url.path.startswith(_FOR_PROGRAMS):
            return error.response()
        return await site.problem(request, error)

    async def run_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, RunError)
        return await problem(request, of_run(error))

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        found = Problem(_HTTP_ERRORS.get(error.status_code, Refusal.BAD_ARGUMENT))
        found.headers |= dict(error.headers or {})
        return await problem(request, found)

    async def unexpected(request: Request, error: Exception) -> Response:
        log.error("request failed", exc_info=error, path=request.url.path)
        response = await problem(request, Problem(Refusal.INTERNAL))
        # This handler answers outside of all middleware.
        response.headers.update(headers)
        return response

    async def ledger_away(request: Request, error: Exception) -> Response:
        log.error("the ledger is away", reason=str(error))
        return await problem(request, Problem(Refusal.LEDGER_UNAVAILABLE))

    return {
        Problem: problem,
        RunError: run_error,
        LedgerAway: ledger_away,
        HTTPException: http_error,
        Exception: unexpected,
    }


def _closing(attempts: Attempts, ledger: Ledger | None) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    """The application's life: what it opened is closed at its end."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await attempts.close()
        if ledger is not None:
            await ledger.close()

    return lifespan


def _signed_out(site: Site) -> Callable[[Request], Awaitable[Response]]:
    async def signed_out(_request: Request) -> Response:
        return await site.render("signed_out.html", None, {})

    return signed_out
