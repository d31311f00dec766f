"""The web application: pages for people, JSON for systems, intake of what the two systems report.

It holds no state of its own: what it shows is asked of the running deals, what it is told becomes a signal to one.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ExceptionHandler
from temporalio.client import Client

from runs.calls import NoAnswer
from runs.feeds import Feeds
from runs.ledgers import Ledgers
from web.api.routes import Api
from web.config import WebConfig
from web.deals import Deals
from web.health import health_routes
from web.intake.routes import Intake
from web.middleware import SecurityHeaders, Tracing, security_headers
from web.pages.approvals import Approvals
from web.pages.cases import Cases
from web.pages.inbox import Inbox
from web.pages.site import STATIC, Site
from web.problems import Problem, unavailable
from web.review import Reviews
from web.session import Sessions
from web.signin import SignIn
from web.signing import DecisionSigner
from web.tokens import SigningKeys, TokenVerifier
from web.visibility import Visibility

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1024 * 1024
_FOR_PROGRAMS = ("/api/", "/intake/", "/health/")
_HTTP_ERRORS = {
    404: ("NOT_FOUND", "There is nothing at this address."),
    405: ("METHOD_NOT_ALLOWED", "This address does not take this method."),
    413: ("TOO_LARGE", "The body is larger than one megabyte."),
}


def create_app(config: WebConfig, client: Client) -> Starlette:
    """Build the application.

    Args:
        config: addresses, keys and secrets.
        client: connected to the deals' namespace, with the pydantic data converter.

    Returns:
        The ASGI application; it starts and ends with the server's lifespan.

    Raises:
        OSError: the decision key cannot be read.
        ValueError: the decision key is not a private Ed25519 key with a ``kid``.
    """
    secret = config.session_secret.get_secret_value().encode()
    keys = SigningKeys(config.entra_authority, config.ca_file)
    deals = Deals(client, DecisionSigner.from_file(config.decision_private_key_file))
    visibility = Visibility(client, cursor_key=hashlib.sha256(b"cursor" + secret).digest())
    sessions = Sessions(config)
    feeds = Feeds(client, every_seconds=config.sweep_seconds)
    site = Site(config, client, sessions, visibility)
    api = Api(config, TokenVerifier(keys, config.client_id), deals, visibility)
    authority = urlsplit(config.entra_authority)
    headers = security_headers(f"{authority.scheme}://{authority.netloc}", config.cookie_secure)
    return Starlette(
        routes=[
            *health_routes(client, keys),
            *Intake(config, client, visibility, feeds, Ledgers(client)).routes(),
            *api.routes(),
            *SignIn(config, sessions, keys).routes(),
            *Inbox(site, deals, visibility).routes(),
            *Cases(site, deals, visibility).routes(),
            *Approvals(site, deals, Reviews(client)).routes(),
            Route("/signed-out", _signed_out(site), methods=["GET"]),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[
            Middleware(Tracing),
            Middleware(SecurityHeaders, headers=headers),
        ],
        exception_handlers=_exception_handlers(site, headers),
        max_body_size=MAX_BODY_BYTES,
    )


def _exception_handlers(site: Site, headers: dict[str, str]) -> dict[Any, ExceptionHandler]:
    """Errors as problem details for programs, as pages for people."""

    async def problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        if request.url.path.startswith(_FOR_PROGRAMS):
            return error.response()
        return await site.problem(request, error)

    async def no_answer(request: Request, error: Exception) -> Response:
        assert isinstance(error, NoAnswer)
        return await problem(request, unavailable(error))

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code, text = _HTTP_ERRORS.get(error.status_code, ("HTTP_ERROR", error.detail))
        return await problem(request, Problem(error.status_code, code, text))

    async def unexpected(request: Request, error: Exception) -> Response:
        log.error("request failed", exc_info=error, extra={"path": request.url.path})
        response = await problem(request, Problem(500, "INTERNAL", "Something went wrong here. It is in the log."))
        # This handler answers outside of all middleware.
        response.headers.update(headers)
        return response

    return {Problem: problem, NoAnswer: no_answer, HTTPException: http_error, Exception: unexpected}


def _signed_out(site: Site) -> Callable[[Request], Awaitable[Response]]:
    async def signed_out(_request: Request) -> Response:
        return await site.render("signed_out.html", None, {})

    return signed_out
