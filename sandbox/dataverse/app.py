"""The ASGI application of the Dataverse origin: tokens, limits, and the Web API behind them.

(Microsoft Learn: "Authenticate to Dataverse with the Web API", "Impersonate another user", "Service protection API
limits".)
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final, Protocol

from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from sandbox.dataverse import errors
from sandbox.dataverse.environment import Dataverse
from sandbox.dataverse.service import Service
from sandbox.dataverse.virtual_tables import VirtualTables
from sandbox.entra.tokens import InvalidToken
from sandbox.odata.batch import Answer, Request
from sandbox.odata.jsonio import whole

_METHODS: Final = ["GET", "POST", "PATCH", "PUT", "DELETE"]


class Authority(Protocol):
    """Checks tokens: `sandbox.entra.tokens.TokenAuthority`."""

    tenant_id: str
    issuer_base: str

    def verify(
        self, authorization: str | None, audience: str, *, trailing_slash_accepted: bool = False
    ) -> Mapping[str, Any]:
        """The claims of a valid token, else InvalidToken."""


def build_app(dataverse: Dataverse, authority: Authority) -> Starlette:
    """The application to serve at the environment's origin.

    Args:
        dataverse: The environment.
        authority: Checks the bearer tokens, whose audience is the environment's origin.
    """
    endpoint = _Endpoint(dataverse, authority)
    return Starlette(routes=[Route("/api/data/{rest:path}", endpoint.answer, methods=_METHODS)])


class _Endpoint:
    def __init__(self, dataverse: Dataverse, authority: Authority) -> None:
        self._dataverse = dataverse
        self._authority = authority
        self._service = Service(dataverse)
        self._virtual = VirtualTables(dataverse)

    async def answer(self, http: HttpRequest) -> Response:
        """Check the token and the limits, then let the Web API answer."""
        try:
            claims = self._authority.verify(
                http.headers.get("authorization"), self._dataverse.origin, trailing_slash_accepted=True
            )
        except InvalidToken:
            return self._unauthorized()
        try:
            user = self._caller(http, claims)
        except errors.DataverseError as problem:
            return self._response(problem)
        body = await http.body()
        try:
            self._dataverse.protection.enter(user)
        except errors.DataverseError as problem:
            return self._response(problem)
        started = time.perf_counter()
        try:
            if self._dataverse.execution_seconds:
                await asyncio.sleep(self._dataverse.execution_seconds)
            request = Request(http.method, self._url(http), dict(http.headers), body)
            found = await self._answered(request, user)
        finally:
            self._dataverse.protection.leave(user, time.perf_counter() - started)
        headers = {**found.headers, **self._dataverse.protection.remaining(user)}
        return Response(await whole(found.body), found.status, headers)

    async def _answered(self, request: Request, user: str) -> Answer:
        """By the service behind a virtual table, or by the Web API itself."""
        found = await self._virtual.answer(request, user)
        if found is None:
            return await self._service.handle(request, user)
        return self._service.refusal(found) if isinstance(found, errors.DataverseError) else found

    def _caller(self, http: HttpRequest, claims: Mapping[str, Any]) -> str:
        """The user of the token, or the one it asks to act for (`CallerObjectId`, `MSCRMCallerID`)."""
        user = self._dataverse.user_of(claims)
        object_id = http.headers.get("callerobjectid")
        if object_id is not None:
            user = self._dataverse.user_of({"oid": object_id})
        user_id = http.headers.get("mscrmcallerid")
        if user_id is not None:
            user = self._dataverse.operation(user_id).user
        return str(user["systemuserid"])

    @staticmethod
    def _url(http: HttpRequest) -> str:
        path = http.scope["raw_path"].decode("ascii") if http.scope.get("raw_path") else http.scope["path"]
        query = http.scope["query_string"].decode("ascii")
        return f"{path.partition('?')[0]}?{query}" if query else path.partition("?")[0]

    def _response(self, problem: errors.DataverseError) -> Response:
        found = self._service.refusal(problem)
        return Response(found.body, found.status, dict(found.headers))

    def _unauthorized(self) -> Response:
        authority = f"{self._authority.issuer_base}/{self._authority.tenant_id}/oauth2/authorize"
        challenge = f"Bearer authorization_uri={authority}, resource_id={self._dataverse.origin}/"
        return Response(b"", 401, {"WWW-Authenticate": challenge})
