"""The web application: pages for people, JSON for systems, intake of what the two systems report.

It holds no state of its own: what it shows is asked of the running deals, what it is told becomes a signal to one.
"""

from __future__ import annotations

import hashlib
import logging
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from temporalio.client import Client

from web.api.routes import Api
from web.config import WebConfig
from web.deals import Deals
from web.health import health_routes
from web.intake.routes import Intake
from web.middleware import SecurityHeaders, Tracing
from web.problems import Problem
from web.signing import DecisionSigner
from web.tokens import SigningKeys, TokenVerifier
from web.visibility import Visibility

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1024 * 1024


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
    api = Api(config, TokenVerifier(keys, config.client_id), deals, visibility)
    authority = urlsplit(config.entra_authority)
    return Starlette(
        routes=[
            *health_routes(client, keys),
            *Intake(config, client, visibility).routes(),
            *api.routes(),
        ],
        middleware=[
            Middleware(Tracing),
            Middleware(
                SecurityHeaders, form_targets=f"{authority.scheme}://{authority.netloc}", tls=config.cookie_secure
            ),
        ],
        exception_handlers={Problem: _problem, HTTPException: _http_error, Exception: _unexpected},
        max_body_size=MAX_BODY_BYTES,
    )


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response()


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 413: "TOO_LARGE"}.get(error.status_code, "HTTP_ERROR")
    return await _problem(request, Problem(error.status_code, code, error.detail))


async def _unexpected(request: Request, error: Exception) -> Response:
    log.exception("request failed", exc_info=error, extra={"path": request.url.path})
    return await _problem(request, Problem(500, "INTERNAL", "Something went wrong here. It is in the log."))
