"""The handlers of the API."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.messages import Outcome, may_give
from domain.people import Person
from domain.record import Record
from web.access import check_readable, readable
from web.api.bodies import (
    Accepted,
    ApprovalsQuery,
    DealDetail,
    DealsQuery,
    Recorded,
)
from web.api.operations import Handler, Operation, openapi
from web.commands import COMMAND_ARGS, CommandBody, DecisionBody, command_name, parsed
from web.config import WebConfig
from web.deals import Deals
from web.inbox import ApprovalPage, approvals_for
from web.problems import Problem, refused, unauthorized
from web.tokens import SCOPE, InvalidToken, KeysUnavailable, TokenVerifier
from web.visibility import DealFilter, DealPage, Visibility

PREFIX = "/api/v1"
_OUTCOMES: dict[int, tuple[str, type[BaseModel]]] = {
    200: ("Accepted by the deal", Accepted),
    202: ("Recorded; the outcome is not known yet", Recorded),
}
_REFUSALS = {
    400: "An argument is wrong; `field` names it",
    403: "Not the caller's to decide, e.g. NOT_ASSIGNED, NO_AUTHORITY, REQUESTER_CANNOT_APPROVE",
    404: "There is no such deal, request or command",
    409: "Too late or out of place, e.g. ALREADY_DECIDED, SEEN_HASH_MISMATCH, ILLEGAL_TRANSITION",
}


class Api:
    """The operations, on the deals and their lists."""

    def __init__(self, config: WebConfig, verifier: TokenVerifier, deals: Deals, visibility: Visibility) -> None:
        """Serve the API.

        Args:
            config: addresses for the document.
            verifier: believes bearer tokens.
            deals: reads deals and tells them things.
            visibility: reads the lists.
        """
        self._config = config
        self._verifier = verifier
        self._deals = deals
        self._visibility = visibility
        self.operations = self._operations()

    def routes(self) -> list[Route]:
        """The routes under /api/v1."""
        described = [
            Route(f"{PREFIX}{operation.path}", self._secured(operation.handler), methods=[operation.method])
            for operation in self.operations
        ]
        return [Route(f"{PREFIX}/openapi.json", self.document, methods=["GET"]), *described]

    async def document(self, _request: Request) -> Response:
        """The OpenAPI document; open to all, since it says nothing of any deal."""
        return JSONResponse(
            openapi(
                self.operations,
                server=f"{self._config.public_url}{PREFIX}",
                authority=self._config.entra_authority,
                scope=f"api://{self._config.client_id}/{SCOPE}",
            )
        )

    async def approvals(self, request: Request, person: Person) -> Response:
        """What waits for the caller's decision."""
        query = parsed(ApprovalsQuery, dict(request.query_params))
        page = await approvals_for(person, self._deals, self._visibility, query.limit, query.cursor)
        return _json(page)

    async def decide(self, request: Request, person: Person) -> Response:
        """Decide a step. Who may is the request's to say, so that a refused attempt is on record."""
        body = parsed(DecisionBody, await _json_body(request))
        message_id = str(body.message_id or uuid.uuid4())
        args = body.model_dump(mode="json", exclude={"message_id"})
        path = request.path_params
        outcome = await self._deals.decide(path["company"].lower(), path["quote"], path["n"], person, message_id, args)
        return _outcome(message_id, outcome)

    async def cases(self, request: Request, person: Person) -> Response:
        """The list of deals."""
        query = parsed(DealsQuery, dict(request.query_params))
        wanted = DealFilter(**query.model_dump(exclude={"limit", "cursor"}), readable=readable(person))
        return _json(await self._visibility.cases(wanted, limit=query.limit, cursor=query.cursor))

    async def case(self, request: Request, person: Person) -> Response:
        """One deal and its timeline."""
        company, quote = request.path_params["company"].lower(), request.path_params["quote"]
        check_readable(person, company)
        view = await self._deals.case(company, quote)
        timeline = await self._deals.timeline(company, quote)
        return _json(DealDetail(**dict(view), timeline=tuple(timeline)))

    async def command(self, request: Request, person: Person) -> Response:
        """Give a deal a command."""
        company, quote = request.path_params["company"].lower(), request.path_params["quote"]
        name = command_name(request.path_params["name"])
        body = parsed(CommandBody, await _json_body(request))
        args = parsed(COMMAND_ARGS[name], body.args)
        if not may_give(person, name, company):
            raise Problem(403, "NO_AUTHORITY", f"None of your roles may give the command {name} in {company.upper()}.")
        message_id = str(body.message_id or uuid.uuid4())
        outcome = await self._deals.command(company, quote, person, message_id, name, args.model_dump(mode="json"))
        return _outcome(message_id, outcome)

    def _secured(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def secured(request: Request) -> Response:
            try:
                person = await self._verifier.identify(request.headers.get("authorization"))
            except InvalidToken as error:
                raise unauthorized(f"The bearer token is not accepted: {error}.") from error
            except KeysUnavailable as error:
                raise Problem(503, "ENTRA_UNAVAILABLE", "Entra ID's signing keys cannot be read.") from error
            return await handler(request, person)

        return secured

    def _operations(self) -> list[Operation]:
        return [
            Operation(
                "GET",
                "/approvals",
                self.approvals,
                "listApprovals",
                "The steps that wait for the caller's decision",
                query=ApprovalsQuery,
                answers={200: ("The steps, newest request first", ApprovalPage)},
                problems={400: _REFUSALS[400]},
            ),
            Operation(
                "POST",
                "/approvals/{company}/{quote}/{n:int}/decision",
                self.decide,
                "decideApproval",
                "Approve or reject a step",
                body=DecisionBody,
                answers=_OUTCOMES,
                problems=_REFUSALS,
            ),
            Operation(
                "GET",
                "/cases",
                self.cases,
                "listCases",
                "Deals, newest first",
                query=DealsQuery,
                answers={200: ("A page of deals", DealPage)},
                problems={400: _REFUSALS[400], 403: "The caller has no role"},
            ),
            Operation(
                "GET",
                "/cases/{company}/{quote}",
                self.case,
                "readCase",
                "A deal as it stands, with its timeline",
                answers={200: ("The deal", DealDetail)},
                problems={403: "The caller has no role in this company", 404: "There is no such deal"},
            ),
            Operation(
                "POST",
                "/cases/{company}/{quote}/commands/{name}",
                self.command,
                "commandCase",
                "Give a deal a command: retry, skip, abort, withdraw, cancel, credit_recheck, credit_release, "
                "credit_reject",
                body=CommandBody,
                answers=_OUTCOMES,
                problems=_REFUSALS,
            ),
        ]


def _outcome(message_id: str, outcome: Outcome | None) -> Response:
    if outcome is None:
        return _json(Recorded(message_id=message_id), 202)
    if not outcome.accepted:
        raise refused(outcome.code, outcome.detail, message_id)
    return _json(Accepted(message_id=message_id, detail=outcome.detail))


def _json(body: Record, status: int = 200) -> Response:
    return Response(body.model_dump_json(), status, media_type="application/json")


async def _json_body(request: Request) -> Any:
    try:
        return json.loads(await request.body() or b"{}", parse_float=Decimal)
    except ValueError as error:
        raise Problem(400, "BAD_ARGUMENT", "The body is not JSON.", field="body") from error
