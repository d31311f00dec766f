"""The API as an application: who calls is known first, errors are problem details, and so it is described."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Security
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from fastapi.security import OAuth2AuthorizationCodeBearer
from starlette.requests import Request
from starlette.responses import Response

from domain.refusals import Refusal
from web import exact_json, security_log
from web.api.bodies import ProblemBody
from web.commands import wrong
from web.config import WebConfig
from web.identity import SignedIn
from web.problems import PROBLEM_JSON, Problem, unauthorized
from web.tokens import SCOPE, InvalidToken, KeysUnavailable, TokenVerifier

PREFIX: Final = "/api/v1"
_DESCRIPTION: Final = (
    "Read deals, decide approvals and give commands, as a signed-in person. Errors are RFC 9457 problem details with a "
    "stable `code`. Every decision and command has a `message_id`; the same id sent again changes nothing and gets the "
    "same outcome. A quote number stands percent-encoded in its place in an address; one that is `.` or `..` goes into "
    "the query parameter `quote`, with `_` in its place."
)
_PROBLEMS: Final[dict[int, str]] = {
    400: "An argument is wrong; `field` names it",
    401: "The bearer token is missing or not good for this API, or a decision could not be proved to be the caller's",
    403: "Not the caller's to do, e.g. NO_AUTHORITY, NOT_ASSIGNED, REQUESTER_CANNOT_APPROVE",
    404: "There is no such deal, request or command",
    409: "Too late or out of place, e.g. ALREADY_DECIDED, SEEN_HASH_MISMATCH, ILLEGAL_TRANSITION",
    408: "The body took too long to arrive; nothing was recorded",
    413: "The body is larger than this address takes",
    429: "Too many requests in a short time; nothing was recorded",
    502: "What runs under this number cannot be read",
    503: "Temporal or Entra ID does not respond; nothing was recorded",
}
_SCHEMA: Final = "#/components/schemas/{model}"


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How an operation's problems are described: these, and those every operation can have."""
    content = {PROBLEM_JSON: {"schema": {"$ref": _SCHEMA.format(model=ProblemBody.__name__)}}}
    always = {400, 401, 408, 413, 429, 503}
    return {status: {"description": _PROBLEMS[status], "content": content} for status in sorted({*statuses, *always})}


class _ExactRequest(Request):
    """A request whose JSON numbers are exact."""

    async def json(self) -> Any:
        try:
            return exact_json.loads(await self.body())
        except ValueError as error:
            raise json.JSONDecodeError(str(error), "", 0) from error


class _PersonsRoute(APIRoute):
    """A route for signed-in people only: nothing else is looked at before it is known who asks."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        handle = super().get_route_handler()

        async def secured(request: Request) -> Response:
            request.state.who = await _identify(request, request.app.state.verifier)
            return await handle(_ExactRequest(request.scope, request.receive))

        return secured


async def _identify(request: Request, verifier: TokenVerifier) -> SignedIn:
    try:
        return await verifier.identify(request.headers.get("authorization"))
    except InvalidToken as error:
        security_log.token_refused(str(error), request.client.host if request.client else "")
        raise unauthorized(f"The bearer token is not accepted: {error}.") from error
    except KeysUnavailable as error:
        raise Problem(Refusal.ENTRA_UNAVAILABLE, "Entra ID's signing keys cannot be read.") from error


def _caller(request: Request) -> SignedIn:
    who: SignedIn = request.state.who
    return who


Caller = Annotated[SignedIn, Depends(_caller)]
"""Whoever calls."""


def _scope(config: WebConfig) -> str:
    return f"api://{config.client_id}/{SCOPE}"


def application(config: WebConfig, verifier: TokenVerifier, handlers: Mapping[Any, Any]) -> FastAPI:
    """The API without its operations, to be mounted at ``PREFIX``.

    Args:
        config: addresses for the document.
        verifier: believes bearer tokens.
        handlers: errors as problem details.
    """
    scheme = OAuth2AuthorizationCodeBearer(
        authorizationUrl=f"{config.entra_authority}/oauth2/v2.0/authorize",
        tokenUrl=f"{config.entra_authority}/oauth2/v2.0/token",
        scopes={_scope(config): "Act for the signed-in person"},
        scheme_name="entra",
        description=f"Access token of a user in v2.0 format, delegated scope {SCOPE}",
        auto_error=False,
    )
    app = FastAPI(
        title="Quote to Cash",
        version="1.0.0",
        description=_DESCRIPTION,
        servers=[{"url": f"{config.public_url}{PREFIX}"}],
        root_path_in_servers=False,
        docs_url=None,
        redoc_url=None,
        strict_content_type=False,
        # The whole site has its spans from `web.middleware.Tracing`.
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
        dependencies=[Security(scheme, scopes=[_scope(config)])],
        exception_handlers={**handlers, RequestValidationError: _invalid},
    )
    app.router.route_class = _PersonsRoute
    app.state.verifier = verifier
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    return app


async def _invalid(request: Request, error: Exception) -> Response:
    """400 with the fields that are wrong; 404 where it is the address itself."""
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(e["loc"][0] == "path" for e in found):
        return Problem(Refusal.NOT_FOUND).response()
    if any(e["type"] == "json_invalid" for e in found):
        reason = found[0]["ctx"]["error"]
        return Problem(Refusal.BAD_ARGUMENT, f"The body is not valid JSON: {reason}", field="body").response()
    return wrong([(tuple(e["loc"][1:]), e["msg"]) for e in found]).response()


def _document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with problem details in place of FastAPI's own form of a validation error."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            servers=app.servers,
        )
        for operations in document["paths"].values():
            for operation in operations.values():
                operation["responses"].pop("422", None)
        schemas = document["components"]["schemas"]
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        body = ProblemBody.model_json_schema(ref_template=_SCHEMA, mode="serialization")
        schemas |= body.pop("$defs") | {ProblemBody.__name__: body}
        app.openapi_schema = document
    return app.openapi_schema
