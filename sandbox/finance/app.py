"""Finance over HTTP: tokens, throttling, `/data`, `/metadata` and `/api/services`.

Tokens are checked as the real environment does: `aud` must be the environment's address, lower case and without a
trailing slash, and the application must be registered, otherwise 401. Under high resource utilization every request is
429 with Retry-After.
Sources: Microsoft Learn, "Troubleshoot service authentication" and "Service protection API limits".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final, Protocol

from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from sandbox.entra.tokens import InvalidToken
from sandbox.finance import metadata_service, session
from sandbox.finance.errors import HIGH_UTILIZATION, NotAllowed
from sandbox.finance.operations import OPERATIONS
from sandbox.finance.posting import GROUP, SERVICE, BadServiceRequest
from sandbox.finance.session import SESSION_GROUP, SESSION_SERVICE
from sandbox.finance.system import Finance
from sandbox.odata.batch import Request
from sandbox.odata.jsonio import BadJson, decode, encode, whole

_VERBS = ["GET", "POST", "PATCH", "PUT", "DELETE"]
Handler = Callable[[HttpRequest], Awaitable[Response]]


class Authority(Protocol):
    """Who says whether a token is good: `sandbox.entra.tokens.TokenAuthority`."""

    def verify(self, authorization: str | None, audience: str) -> dict[str, Any]:
        """The token's claims; `InvalidToken` when it is not good for this audience."""


def build_app(finance: Finance, authority: Authority) -> Starlette:
    """The ASGI application of a Finance environment, to be served at `finance.origin`."""
    http = _Http(finance, authority)
    service = "/api/services/{group}/{service}"
    routes = [
        Route("/data/$batch", http.guarded(http.batch), methods=["POST"]),
        Route("/data", http.guarded(http.data), methods=["GET"]),
        Route("/data/{path:path}", http.guarded(http.data), methods=_VERBS),
        Route("/api/services", http.guarded(http.groups), methods=["GET"]),
        Route("/api/services/{group}", http.guarded(http.services), methods=["GET"]),
        Route(service, http.guarded(http.operations), methods=["GET"]),
        Route(service + "/{operation}", http.guarded(http.describe), methods=["GET"]),
        Route(service + "/{operation}", http.guarded(http.post), methods=["POST"]),
    ]
    for root in ("/metadata", "/Metadata"):
        routes += [
            Route(root, http.guarded(http.metadata), methods=["GET"]),
            Route(root + "/{path:path}", http.guarded(http.metadata), methods=["GET"]),
        ]
    return Starlette(routes=routes)


class _Http:
    def __init__(self, finance: Finance, authority: Authority) -> None:
        self._finance = finance
        self._authority = authority

    def guarded(self, handler: Handler) -> Handler:
        """A handler that is reached with a good token only, and not while resources are short."""

        async def answer(request: HttpRequest) -> Response:
            if self._finance.high_utilization is not None:
                retry_after = str(self._finance.high_utilization)
                return Response(HIGH_UTILIZATION, 429, {"Retry-After": retry_after}, "text/plain")
            try:
                claims = self._authority.verify(request.headers.get("authorization"), self._finance.origin)
            except InvalidToken:
                return Response(b"", 401, {"WWW-Authenticate": "Bearer"})
            application = claims.get("appid")
            if application not in self._finance.applications:
                return Response(b"", 401, {"WWW-Authenticate": "Bearer"})
            request.state.user = application
            return await handler(request)

        return answer

    async def data(self, request: HttpRequest) -> Response:
        """Any request below `/data` but `$batch`."""
        url = request.scope["raw_path"].decode().removeprefix("/data")
        query = request.scope["query_string"].decode()
        headers = {name.decode(): value.decode("latin-1") for name, value in request.scope["headers"]}
        answer = self._finance.odata.execute(
            Request(request.method, f"{url}?{query}" if query else url, headers, await request.body()),
            may_write=self._may_write(request),
        )
        return Response(await whole(answer.body), answer.status, dict(answer.headers))

    async def batch(self, request: HttpRequest) -> Response:
        """`POST /data/$batch`."""
        body = await request.body()
        kind = request.headers.get("content-type", "")
        answer = await self._finance.odata.execute_batch(kind, body, may_write=self._may_write(request))
        return Response(await whole(answer.body), answer.status, dict(answer.headers))

    def _may_write(self, request: HttpRequest) -> bool:
        return request.state.user not in self._finance.readers

    async def metadata(self, request: HttpRequest) -> Response:
        """The REST metadata service."""
        path = request.path_params.get("path", "")
        found = metadata_service.answer(self._finance.origin, path, request.scope["query_string"].decode())
        return _json(found.body, found.status)

    async def groups(self, request: HttpRequest) -> Response:
        """The service groups there are."""
        return _json({"ServiceGroups": [{"Name": name} for name in SERVICES]})

    async def services(self, request: HttpRequest) -> Response:
        """The services of a group."""
        group = SERVICES.get(request.path_params["group"])
        return Response(b"", 404) if group is None else _json({"Services": [{"Name": name} for name in group]})

    async def operations(self, request: HttpRequest) -> Response:
        """The operations of a service."""
        known = _operations(request)
        return Response(b"", 404) if known is None else _json({"Operations": [{"Name": name} for name in known]})

    async def describe(self, request: HttpRequest) -> Response:
        """What an operation takes and returns."""
        name = request.path_params["operation"]
        known = _operations(request)
        if known is None or name not in known:
            return Response(b"", 404)
        if request.path_params["group"] == SESSION_GROUP:
            return _json({"Parameters": [], "Return": {"Name": "return", "Type": session.CONTRACTS[name]}})
        contract = OPERATIONS[name].contract
        returns = {"Name": "return", "Type": contract.replace("Contract", "Response")}
        return _json({"Parameters": [{"Name": "_request", "Type": contract}], "Return": returns})

    async def post(self, request: HttpRequest) -> Response:
        """Run an operation of a service."""
        name = request.path_params["operation"]
        known = _operations(request)
        if known is None or name not in known:
            return Response(b"", 404)
        if request.path_params["group"] == SESSION_GROUP:
            return _json(session.answer(self._finance.books, self._finance.odata.default_company, name))
        if not self._may_write(request):
            return _json(NotAllowed(f"Access denied: {request.path_params['service']}.{name}.").body, 403)
        try:
            body = decode(await request.body())
            if not isinstance(body, dict):
                raise BadServiceRequest("The request body must be a JSON object.")
            return _json(self._finance.post(name, body.get("_request"), user=request.state.user))
        except (BadJson, BadServiceRequest) as problem:
            return _json(
                {
                    "Message": "An error has occurred.",
                    "ExceptionMessage": str(problem),
                    "ExceptionType": "Microsoft.Dynamics.Ax.Services.XppServicesDeserializationException",
                },
                500,
            )


SERVICES: Final[Mapping[str, Mapping[str, Collection[str]]]] = {
    SESSION_GROUP: {SESSION_SERVICE: session.CONTRACTS},
    GROUP: {SERVICE: OPERATIONS},
}
"""Service group -> service -> operations."""


def _operations(request: HttpRequest) -> Collection[str] | None:
    return SERVICES.get(request.path_params["group"], {}).get(request.path_params["service"])


def _json(body: Any, status: int = 200) -> Response:
    return Response(encode(body), status, media_type="application/json")
