"""The addresses Dynamics 365 reports to over HTTPS.

Each call is checked, understood and handed to Temporal as a signal, within milliseconds and whatever state the deal is
in. Where Temporal does not take it, the sender is told 503: Finance tries again, and what Dataverse does not repeat is
found by the feeds' sweep.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from opentelemetry import metrics
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.refusals import Refusal
from web import security_log
from web.config import WebConfig
from web.intake.reports import NotUnderstood, Reports, System, unauthenticated
from web.problems import Problem

_secrets = metrics.get_meter(__name__).create_counter(
    "q2c_intake_secrets", description="Calls of Dynamics 365 by the secret they show: the newest or the previous one"
)


class Intake:
    """Takes reports of senders that show a secret."""

    def __init__(self, config: WebConfig, reports: Reports) -> None:
        """Take in what ``reports`` understands, from who shows one of the secrets of ``config``."""
        self._config = config
        self._reports = reports

    def routes(self) -> list[Route]:
        """The routes under /intake."""
        return [
            Route("/intake/dataverse", self.from_dataverse, methods=["POST"]),
            Route("/intake/finance", self.from_finance, methods=["POST"]),
        ]

    async def from_dataverse(self, request: Request) -> Response:
        """A webhook call: 202 taken or ignored, 400 malformed, 401 wrong key, 503 Temporal does not take it."""
        _check_secret(
            "dataverse", request.headers.get("x-q2c-webhook-key", ""), self._config.dataverse_webhook_keys, request
        )
        return await self._take(System.DATAVERSE, request)

    async def from_finance(self, request: Request) -> Response:
        """A business event: 202 taken or ignored, 400 malformed, 401 wrong secret, 503 Temporal does not take it."""
        _check_secret("finance", request.query_params.get("code", ""), self._config.finance_events_secrets, request)
        return await self._take(System.FINANCE, request)

    async def _take(self, system: System, request: Request) -> Response:
        try:
            taken = await self._reports.take(system, await request.body())
        except NotUnderstood as error:
            raise malformed(error) from error
        return JSONResponse({"status": taken.status, "kind": taken.kind}, 202)


def malformed(error: NotUnderstood) -> Problem:
    """400: the sender reported something that cannot be understood."""
    return Problem(Refusal.MALFORMED, str(error), **({"field": error.field} if error.field else {}))


def _check_secret(system: str, presented: str, valid: Sequence[SecretStr], request: Request) -> None:
    """Refuse who shows none of the valid secrets; every one is compared, so that time tells nothing."""
    address = request.client.host if request.client else ""
    shown = presented.encode("utf-8", "replace")
    matches = [hmac.compare_digest(shown, secret.get_secret_value().encode()) for secret in valid]
    if not any(matches):
        unauthenticated()
        security_log.sender_refused(system, address)
        raise Problem(Refusal.UNAUTHENTICATED, "The sender's secret is missing or wrong.")
    _secrets.add(1, {"system": system, "secret": "newest" if matches[0] else "previous"})
