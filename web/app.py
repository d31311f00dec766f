"""The web application: pages for people, JSON for systems, intake of what the two systems report.

It holds no state of its own but who is signed in: what it shows is asked of the running deals, what it is told becomes
a signal to one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import structlog
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, ExceptionHandler, Scope
from temporalio.client import Client

from domain.refusals import Refusal
from ledger.data_desk import DataDesk
from ledger.map_desk import MapDesk
from ledger.opening import Ledger, LedgerAway, Opening
from ledger.reading import AuditReading
from ledger.signing import AuditKey
from runs.after_end import AfterEndDesk
from runs.approvals import Approvals
from runs.bulk import BulkDesk
from runs.calls import RunError
from runs.collections import CollectionsDesk
from runs.credit_review import CreditReviews
from runs.deals import Deals
from runs.delegations import DelegationDesk
from runs.histories import Histories
from runs.initial import Initials
from runs.map_changes import MapChangeRuns
from runs.parallel import ParallelRuns
from runs.parked import ParkedDeals
from runs.reviews import Reviews
from runs.search import Search
from runs.syncs import Syncs
from web.access import Access
from web.api.application import PREFIX, application
from web.api.bulk import add_bulk
from web.api.collections import add_collections
from web.api.credit import add_credit
from web.api.history import add_history
from web.api.initial import add_initial
from web.api.late import add_late
from web.api.maps import add_maps
from web.api.overview import add_overview
from web.api.parallel import add_parallel
from web.api.routes import add_delegations, add_operations, add_people, add_readings
from web.api.sync import add_sync
from web.attempts import Attempts
from web.bulk_runs import BulkRuns
from web.collecting import Accounts
from web.config import WebConfig
from web.credit_review import CreditReviewing
from web.data import Data
from web.decisions import Decisions
from web.delegating import Delegating
from web.entra import EntraSignIn
from web.health import health_routes
from web.histories import HistoryDesk
from web.initial import InitialSyncs
from web.initial_running import InitialRunning
from web.intake.event_grid import EventGrid
from web.intake.reports import Reports
from web.intake.routes import Intake
from web.languages import Languages, chosen, using
from web.late import LateDeals
from web.limits import Limits
from web.links import Dynamics
from web.maps import MapChanges
from web.middleware import SecurityHeaders, Tracing, security_headers
from web.overview import Overviews
from web.pages.approvals import ApprovalPages
from web.pages.audit import AUDIT, AuditPages
from web.pages.bulk import BulkPages
from web.pages.bulk_runs import BulkRunPages
from web.pages.collections import ACCOUNTS, CollectionPages
from web.pages.data import DataPages
from web.pages.deals import DEALS, DealPages
from web.pages.delegations import DelegationPages
from web.pages.differences import DifferencePages
from web.pages.explanations import ExplanationPages
from web.pages.inbox import INBOX, Inbox
from web.pages.initial import InitialPages
from web.pages.languages import LanguagePages
from web.pages.late import LATE, LatePages
from web.pages.maps import MapPages
from web.pages.matches import MatchPages
from web.pages.parallel import ParallelPages
from web.pages.site import STATIC, Site
from web.pages.views import ViewPages
from web.parallel import Parallel
from web.problems import Problem, of_run
from web.route_limits import LIMITS, Guard, RouteLimit, check_limits
from web.saved_views import SavedViews
from web.session import Sessions
from web.session_store import LedgerSessions, MemorySessions
from web.signin import SignIn
from web.signing import DecisionSigner, SigningKey
from web.syncing import Syncing
from web.tokens import SigningKeys, TokenVerifier
from web.view_store import LedgerViews, MemoryViews

log = structlog.get_logger(__name__)

_FOR_PROGRAMS = ("/api/", "/intake/", "/health/")
_HTTP_ERRORS = {
    404: Refusal.NOT_FOUND,
    405: Refusal.METHOD_NOT_ALLOWED,
    408: Refusal.TOO_SLOW,
    413: Refusal.TOO_LARGE,
}


class _Static(StaticFiles):
    """Files that can be read, and says so to who tries something else."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """A file; 405 with what is allowed otherwise."""
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405, headers={"Allow": "GET, HEAD"})
        return await super().get_response(path, scope)


class _Below(Mount):
    """A mount that also takes addresses with a line break in them, as a quote number may have."""

    def __init__(self, path: str, app: ASGIApp) -> None:
        super().__init__(path, app)
        self.path_regex = re.compile(self.path_regex.pattern, re.DOTALL)


def create_app(
    config: WebConfig,
    client: Client,
    key: SigningKey | None = None,
    *,
    audit_key: AuditKey | None = None,
    limits: Mapping[str, RouteLimit] = LIMITS,
) -> Starlette:
    """Build the ASGI application; it starts and ends with the server's lifespan.

    Args:
        config: addresses, keys and secrets.
        client: connected to the deals' namespace, with the pydantic data converter.
        key: signs decisions in place of the key in the file, e.g. one that stays in a vault.
        audit_key: signs downloads of the audit in place of the key in the file.
        limits: what one caller may ask of each route.

    Raises:
        OSError: the decision key cannot be read.
        ValueError: the decision key is not a private Ed25519 key with a ``kid``.
        NoLimit: a route has no limits.
    """
    keys, deals, approvals = SigningKeys(config.entra_authority, config.ca_file), Deals(client), Approvals(client)
    search, entra = _search(config, client), EntraSignIn(config)
    ledger, desk, audit = _stores(config)
    sessions, attempts, access = _sessions(config, ledger, entra), Attempts(ledger), Access(config.policy)
    initial = InitialSyncs(access, Initials(client), desk)
    decisions = Decisions(access, deals, approvals, _signer(config, key), Limits(), attempts)
    site, reviews, views = Site(config, client, sessions, search), Reviews(client), _views(ledger)
    dynamics, headers, refused = Dynamics(config.sales_url, config.finance_url), _headers(config), _problems(site)
    handlers = _exception_handlers(refused, headers)
    api = application(config, TokenVerifier(keys, config.client_id, clients=config.api_clients), handlers)
    beside = _beside_deals(config, client, access, approvals, search, decisions, ledger)
    _add_all(api, access, _OfDeals(deals, approvals, search, decisions, reviews), sessions, beside)
    site_app = Starlette(
        routes=[
            *health_routes(client, keys),
            *_intake(config, client, keys),
            _Below(PREFIX, api),
            *SignIn(config, sessions, entra, keys).routes(),
            *Inbox(site, access, approvals, search, views, beside.late).routes(),
            *BulkPages(site, access, approvals, decisions).routes(),
            *DealPages(site, access, deals, search, reviews, decisions, dynamics, beside.late, views).routes(),
            *ExplanationPages(site, access, reviews).routes(),
            *ApprovalPages(site, access, deals, search, reviews, decisions, dynamics, approvals).routes(),
            *_pages_beside_deals(site, access, beside, views),
            *AuditPages(site, access, config, audit, audit_key, views).routes(),
            *_pages_of_data(site, Data(access, desk, decisions), initial, beside.maps, beside.overviews),
            Route("/signed-out", _signed_out(site), methods=["GET"]),
            Mount("/static", _Static(directory=STATIC)),
        ],
        middleware=_middleware(headers, refused, limits),
        exception_handlers=handlers,
        lifespan=_closing(attempts, *(opening for opening in (ledger, audit) if opening)),
    )
    check_limits(site_app.routes, limits)
    site_app.state.sessions, site_app.state.attempts, site_app.state.ledger = sessions, attempts, ledger
    return site_app


def _signer(config: WebConfig, key: SigningKey | None) -> DecisionSigner:
    return DecisionSigner(key) if key else DecisionSigner.from_file(config.decision_private_key_file)


class _OfDeals(NamedTuple):
    """By what deals are read, and told what people say."""

    deals: Deals
    approvals: Approvals
    search: Search
    decisions: Decisions
    reviews: Reviews


class _Beside(NamedTuple):
    """What people say to runs that are no single deal's."""

    delegating: Delegating
    late: LateDeals
    accounts: Accounts
    bulk: BulkRuns
    credit: CreditReviewing
    maps: MapChanges
    parallel: Parallel
    syncing: Syncing
    initial: InitialRunning
    histories: HistoryDesk
    overviews: Overviews


def _beside_deals(
    config: WebConfig,
    client: Client,
    access: Access,
    approvals: Approvals,
    search: Search,
    decisions: Decisions,
    ledger: Ledger | None,
) -> _Beside:
    """What is said to runs that are no single deal's, limited, signed and refused as what is said to deals."""
    return _Beside(
        Delegating(access, DelegationDesk(client), approvals, decisions),
        LateDeals(access, AfterEndDesk(client), decisions),
        Accounts(access, CollectionsDesk(client, _cursor_key(config)), decisions, config.letter_font_file),
        BulkRuns(access, search, BulkDesk(client), decisions),
        CreditReviewing(access, CreditReviews(client), decisions, config.policy),
        MapChanges(
            access,
            MapDesk(ledger, access.map_changes) if ledger else None,
            decisions,
            MapChangeRuns(client),
            Syncs(client),
        ),
        Parallel(access, ParallelRuns(client), decisions),
        Syncing(access, Syncs(client), Initials(client), decisions),
        InitialRunning(access, Initials(client), decisions),
        HistoryDesk(access, Histories(client), decisions),
        Overviews(Data(access, DataDesk(ledger) if ledger else None, decisions), ParkedDeals(client)),
    )


def api_document(config: WebConfig) -> dict[str, Any]:
    """The OpenAPI document of an installation with these addresses; no run, ledger or key is needed to say it."""
    nothing: Any = None  # what operations use when they are called, and none is
    api = application(config, nothing, {})
    beside = _Beside(*(nothing for _ in _Beside._fields))
    _add_all(api, Access(config.policy), _OfDeals(*(nothing for _ in _OfDeals._fields)), nothing, beside)
    document: dict[str, Any] = api.openapi()
    return document


def _add_all(api: FastAPI, access: Access, of: _OfDeals, sessions: Sessions, beside: _Beside) -> None:
    """Add every operation there is."""
    add_operations(api, access, of.deals, of.approvals, of.search, of.decisions)
    add_readings(api, access, of.deals, of.reviews)
    add_people(api, access, sessions)
    add_delegations(api, access, beside.delegating)
    add_late(api, beside.late)
    add_credit(api, beside.credit)
    add_sync(api, beside.syncing)
    add_initial(api, beside.initial)
    add_history(api, beside.histories)
    add_overview(api, beside.overviews)
    add_collections(api, beside.accounts)
    add_bulk(api, beside.bulk)
    add_maps(api, beside.maps)
    add_parallel(api, beside.parallel)


def _pages_beside_deals(site: Site, access: Access, beside: _Beside, views: SavedViews) -> list[Route]:
    """The pages that are about no single running deal."""
    return [
        *DelegationPages(site, access, beside.delegating).routes(),
        *LatePages(site, beside.late, views).routes(),
        *CollectionPages(site, beside.accounts, views).routes(),
        *BulkRunPages(site, beside.bulk).routes(),
        *ParallelPages(site, beside.parallel).routes(),
        *ViewPages(site, views, (INBOX, DEALS, LATE, ACCOUNTS, AUDIT)).routes(),
        *LanguagePages(site).routes(),
    ]


def _pages_of_data(
    site: Site, data: Data, initial: InitialSyncs, maps: MapChanges, overviews: Overviews
) -> list[Route]:
    """The pages about what both systems hold."""
    return [
        *DataPages(site, data, maps, overviews).routes(),
        *DifferencePages(site, data).routes(),
        *MatchPages(site, data).routes(),
        *MapPages(site, maps).routes(),
        *InitialPages(site, initial).routes(),
    ]


def _stores(config: WebConfig) -> tuple[Ledger | None, DataDesk | None, AuditReading | None]:
    """Where attempts and sessions are written, where data is decided, and where the audit is read; None: nowhere."""
    ledger = Ledger(config.ledger_url.get_secret_value()) if config.ledger_url else None
    audit = AuditReading(config.audit_url.get_secret_value()) if config.audit_url else None
    return ledger, DataDesk(ledger) if ledger else None, audit


def _sessions(config: WebConfig, ledger: Ledger | None, entra: EntraSignIn) -> Sessions:
    """Who is signed in: kept in the ledger where it is shared, else by this process."""
    store = LedgerSessions(ledger) if config.sessions == "ledger" and ledger else MemorySessions()
    return Sessions(config, store, entra.read_again)


def _views(ledger: Ledger | None) -> SavedViews:
    """The views that people keep of lists: in the ledger where there is one, else until this process ends."""
    return SavedViews(LedgerViews(ledger) if ledger else MemoryViews())


def _middleware(headers: dict[str, str], refused: Refuse, limits: Mapping[str, RouteLimit]) -> list[Middleware]:
    return [
        Middleware(Tracing),
        Middleware(SecurityHeaders, headers=headers),
        Middleware(Languages, for_programs=_FOR_PROGRAMS),
        Middleware(Guard, refuse=refused, limits=limits),
    ]


def _intake(config: WebConfig, client: Client, keys: SigningKeys) -> list[Route]:
    """Where the two systems report, each way that is open to them."""
    reports = Reports.through(
        client, config.companies, shadow=config.policy.entity_map.shadow, sweep_seconds=config.sweep_seconds
    )
    grid = EventGrid(reports, keys, config.client_id, config.event_grid_clients)
    return [*Intake(config, reports).routes(), *grid.routes()]


def _search(config: WebConfig, client: Client) -> Search:
    return Search(client, cursor_key=_cursor_key(config))


def _cursor_key(config: WebConfig) -> bytes:
    return hashlib.sha256(b"cursor" + config.session_secret.get_secret_value().encode()).digest()


def _headers(config: WebConfig) -> dict[str, str]:
    authority, site = urlsplit(config.entra_authority), urlsplit(config.public_url)
    targets = f"{authority.scheme}://{authority.netloc}"
    if site.scheme == "http" and site.hostname in ("localhost", "127.0.0.1"):
        targets += " http://localhost:*"  # a sandbox on this machine has its sign-in pages on a port without TLS
    return security_headers(targets, config.cookie_secure)


Refuse = Callable[[Request, Problem], Awaitable[Response]]


def _problems(site: Site) -> Refuse:
    """Problems as problem details for programs, as pages for people."""

    async def refused(request: Request, problem: Problem) -> Response:
        if request.url.path.startswith(_FOR_PROGRAMS):
            return problem.response()
        # An error that nothing expected is answered outside of all middleware.
        with using(chosen(request.headers.get("cookie", ""), request.headers.get("accept-language", ""))):
            return await site.problem(request, problem)

    return refused


def _exception_handlers(refused: Refuse, headers: dict[str, str]) -> dict[Any, ExceptionHandler]:
    """Errors as what each of them is to whoever asked."""

    async def problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return await refused(request, error)

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


def _closing(attempts: Attempts, *openings: Opening) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    """The application's life: what it opened is closed at its end."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await attempts.close()
        for opening in openings:
            await opening.close()

    return lifespan


def _signed_out(site: Site) -> Callable[[Request], Awaitable[Response]]:
    async def signed_out(_request: Request) -> Response:
        return await site.render("signed_out.html", None, {})

    return signed_out
