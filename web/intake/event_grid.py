"""Reports of Dynamics by Azure Event Grid: its handshakes, its token of Entra ID, its two schemas.

An event's `data` is what the sender would post over HTTPS itself, and becomes the same (`web.intake.reports`). Who
delivers shows a token for this application: of an application the settings name, with the role Event Grid's guide gives
it. What cannot be understood is 400. Event Grid does not repeat 400, 401, 403 and 413: it dead-letters the event where
its subscription has a place for that, and drops it otherwise. All else, 503 among it, is repeated for a day.
Sources: Microsoft Learn, "Deliver events to Microsoft Entra protected endpoints" (token and role; its scripts name
Event Grid's application), "Endpoint validation with CloudEvents schema" (both headers of the answer), "Endpoint
validation with Event Grid event schema" (200 with `validationResponse` within 30 s), "Event Grid message delivery and
retry" (what is repeated; up to 5,000 events together); CloudEvents, "HTTP 1.1 Web Hooks for Event Delivery", section 4.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import InvalidClaimError, JoseError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dynamics import webhooks as dataverse
from web import security_log
from web.intake.reports import NotUnderstood, Reports, System, not_understood, unauthenticated
from web.intake.routes import malformed
from web.problems import unauthorized
from web.tokens import InvalidToken, SigningKeys, TokenVerifier

SYSTEM: Final = "event-grid"
ORIGIN: Final = "eventgrid.azure.net"
ROLE: Final = "AzureEventGridSecureWebhookSubscriber"
VALIDATION: Final = "Microsoft.EventGrid.SubscriptionValidationEvent"
MOST_EVENTS: Final = 1_000
"""Of one delivery; Event Grid sends at most 5,000, and one unless its subscription says otherwise."""
_TELLS_SYSTEM: Final = {"BusinessEventId": System.FINANCE, "MessageName": System.DATAVERSE}


class EventGrid:
    """Takes deliveries of Event Grid."""

    def __init__(
        self,
        reports: Reports,
        keys: SigningKeys,
        client_id: str,
        clients: Sequence[str],
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Take in what ``reports`` understands.

        Args:
            reports: the intake.
            keys: Entra's keys.
            client_id: this application: the tokens' audience.
            clients: applications that may deliver (`azp`): Event Grid's own. Without one there is no such address.
            now: seconds since the epoch, UTC.
        """
        self._reports = reports
        self._clients = clients
        self._tokens = _Deliverers(keys, client_id, clients=clients, now=now)

    def routes(self) -> list[Route]:
        """The route under /intake."""
        return [Route("/intake/event-grid", self.hear, methods=["OPTIONS", "POST"])]

    async def hear(self, request: Request) -> Response:
        """A handshake or a delivery; 404 where nobody may deliver."""
        if not self._clients:
            raise HTTPException(404)
        return await (self.agree(request) if request.method == "OPTIONS" else self.take(request))

    async def agree(self, request: Request) -> Response:
        """The handshake of CloudEvents: this address agrees to deliveries of Event Grid, and of nobody else."""
        origin = request.headers.get("webhook-request-origin", "")
        headers = {"Allow": "OPTIONS, POST"}
        if origin == ORIGIN:
            rate = request.headers.get("webhook-request-rate", "")
            headers["WebHook-Allowed-Origin"] = ORIGIN
            headers["WebHook-Allowed-Rate"] = rate if rate.isdecimal() and len(rate) < 10 else "*"
        return Response(status_code=200, headers=headers)

    async def take(self, request: Request) -> Response:
        """A delivery: 200 taken, 400 malformed, 401 nobody who may deliver, 503 Temporal does not take it."""
        await self._check_sender(request)
        try:
            events = self._events(await request.body())
            if code := _validation_code(events):
                return JSONResponse({"validationResponse": code})
            taken = [await self._reports.take_object(*_report(event)) for event in events]
        except NotUnderstood as error:
            raise malformed(error) from error
        return JSONResponse({"events": [{"status": each.status, "kind": each.kind} for each in taken]})

    def _events(self, body: bytes) -> Sequence[Mapping[str, Any]]:
        """One event, or several: the schema of Event Grid has an array always, CloudEvents in batches only."""
        try:
            return dataverse.json_objects(body, MOST_EVENTS)
        except dataverse.Malformed as error:
            raise not_understood(SYSTEM, error, error.field) from error

    async def _check_sender(self, request: Request) -> None:
        try:
            await self._tokens.check(request.headers.get("authorization"))
        except InvalidToken as error:
            unauthenticated()
            security_log.sender_refused(SYSTEM, request.client.host if request.client else "")
            raise unauthorized(str(error)) from error


def _validation_code(events: Sequence[Mapping[str, Any]]) -> str:
    """What the handshake of Event Grid's schema wants to hear again; empty where this is none."""
    if len(events) != 1 or events[0].get("eventType") != VALIDATION:
        return ""
    data = events[0].get("data")
    code = data.get("validationCode") if isinstance(data, Mapping) else None
    if not isinstance(code, str) or not 0 < len(code) <= 200:
        raise not_understood(SYSTEM, ValueError("data.validationCode: missing"), "data.validationCode")
    return code


def _report(event: Mapping[str, Any]) -> tuple[System, Mapping[str, Any]]:
    """Who reports, told by what every report of theirs holds, and the report."""
    data = event.get("data")
    if isinstance(data, Mapping):
        for field, system in _TELLS_SYSTEM.items():
            if field in data:
                return system, data
    wanted = " or ".join(_TELLS_SYSTEM)
    raise not_understood(SYSTEM, ValueError(f"data: no report of Dynamics, which holds {wanted}"), "data")


class _DelivererClaims(jwt.JWTClaimsRegistry):
    """What a token of an application says that may deliver."""

    def validate_roles(self, value: object) -> None:
        if not isinstance(value, list) or ROLE not in value:
            raise InvalidClaimError("roles", f"the token lacks the role {ROLE}")

    def validate_azp(self, value: object) -> None:
        if not isinstance(value, str):
            raise InvalidClaimError("azp", "the token does not say which application it was given to")
        self.check_value("azp", value)


class _Deliverers(TokenVerifier):
    """Believes tokens of applications: nobody stands behind them, and they may deliver and do nothing else."""

    def __init__(
        self, keys: SigningKeys, client_id: str, *, clients: Sequence[str] = (), now: Callable[[], float] = time.time
    ) -> None:
        super().__init__(keys, client_id, now=now)
        self._deliverers = list(clients)

    async def check(self, authorization: str | None) -> None:
        """Raises as ``TokenVerifier.identify``."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise InvalidToken("a bearer token is required")
        claims = await self._claims(token.strip())
        registry = _DelivererClaims(
            now=lambda: int(self._now()),
            iss={"essential": True, "value": self._keys.issuer},
            aud={"essential": True, "values": self._audiences},
            exp={"essential": True},
            azp={"essential": True, "values": self._deliverers},
            roles={"essential": True},
        )
        try:
            registry.validate(claims)
        except JoseError as error:
            raise InvalidToken(error.description or str(error)) from error
