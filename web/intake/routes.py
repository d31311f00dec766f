"""The two addresses Dynamics 365 reports to.

Each call is checked, understood and handed to Temporal as a signal, within milliseconds and whatever state the deal is
in. Where Temporal does not take it, the sender is told 503: Finance tries again, and what Dataverse does not repeat is
found by the feeds' sweep.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Sequence
from typing import Any

import structlog
from opentelemetry import metrics
from pydantic import SecretStr, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.messages import FinanceEvent, SalesEvent
from domain.refusals import Refusal
from dynamics import business_events as finance
from dynamics import webhooks as dataverse
from runs.calls import Rejected
from runs.deals import Deals
from runs.feeds import Feeds
from runs.ledgers import Ledgers
from web import security_log
from web.config import WebConfig
from web.problems import Problem

log = structlog.get_logger(__name__)
_events = metrics.get_meter(__name__).create_counter(
    "q2c_intake_events", description="Events reported by Dynamics 365, by system, kind and what became of them"
)

_secrets = metrics.get_meter(__name__).create_counter(
    "q2c_intake_secrets", description="Calls of Dynamics 365 by the secret they show: the newest or the previous one"
)


class Intake:
    """Hands events to deals, feeds and ledgers."""

    def __init__(self, config: WebConfig, deals: Deals, feeds: Feeds, ledgers: Ledgers) -> None:
        """Take in events.

        Args:
            config: secrets of the two senders, and the map from business unit to company.
            deals: are told what concerns them.
            feeds: keep events whose deal is not known.
            ledgers: are told what changes a customer's credit.
        """
        self._config = config
        self._deals = deals
        self._feeds = feeds
        self._ledgers = ledgers

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
        body = await _json_object(request, "dataverse")
        try:
            change = dataverse.read_change(body, self._config.companies)
        except (dataverse.Malformed, ValidationError) as error:
            raise _malformed("dataverse", error) from error
        event = change.event
        if change.route == "feed":
            await self._feeds.look_at(dataverse.FOLLOWED[change.entity], change.record_id)
            return _taken("dataverse", event.kind if event else change.why, "feed")
        if event is None:
            return _taken("dataverse", change.why, "ignored")
        try:
            known = await self._deals.tell(event)
        except Rejected as error:
            raise _malformed("dataverse", error) from error
        return _taken("dataverse", event.kind, "taken" if known else "ignored", event)

    async def from_finance(self, request: Request) -> Response:
        """A business event: 202 taken or ignored, 400 malformed, 401 wrong secret, 503 Temporal does not take it."""
        _check_secret("finance", request.query_params.get("code", ""), self._config.finance_events_secrets, request)
        body = await _json_object(request, "finance")
        try:
            report = finance.read_report(body, set(self._config.companies.values()))
        except finance.Malformed as error:
            raise _malformed("finance", error, field=error.field) from error
        except ValidationError as error:
            raise _malformed("finance", error) from error
        if report.why_ignored:
            return _taken("finance", report.why_ignored, "ignored")
        calls = [self._tell_order(event) for event in report.orders]
        if report.customer:
            # No ledger, no deal of this customer that waits for credit: then there is nobody to tell.
            calls.append(self._ledgers.changed(report.company, report.customer_account, report.customer))
        await asyncio.gather(*calls)
        kind = report.orders[0].kind if report.orders else "customer"
        return _taken("finance", kind, "taken", *report.orders)

    async def _tell_order(self, event: FinanceEvent) -> bool:
        """Tell the deal that owns the order; the feed, where no deal is known to."""
        try:
            told = await self._deals.tell_of_order(event)
        except Rejected as error:
            raise _malformed("finance", error) from error
        if not told:
            await self._feeds.tell(event)
        return told


def _malformed(system: str, error: Exception, **members: str) -> Problem:
    """400: the sender reported something that cannot be understood; its log and ours say what."""
    _events.add(1, {"system": system, "kind": "", "result": "malformed"})
    log.warning("report refused", system=system, reason=str(error))
    return Problem(Refusal.MALFORMED, str(error), **members)


def _taken(system: str, kind: str, result: str, *events: SalesEvent | FinanceEvent) -> Response:
    """Count and log a call that needs no repeating, and say so."""
    _events.add(1, {"system": system, "kind": kind, "result": result})
    for event in events:
        number = {"quote": event.quote_number} if isinstance(event, SalesEvent) else {"order": event.order_number}
        log.info(f"{system} event {result}", event_id=event.event_id, company=event.company, **number)
    if not events:
        log.debug(f"{system} event {result}", kind=kind)
    return JSONResponse({"status": result, "kind": kind}, 202)


def _check_secret(system: str, presented: str, valid: Sequence[SecretStr], request: Request) -> None:
    """Refuse who shows none of the valid secrets; every one is compared, so that time tells nothing."""
    address = request.client.host if request.client else ""
    shown = presented.encode("utf-8", "replace")
    matches = [hmac.compare_digest(shown, secret.get_secret_value().encode()) for secret in valid]
    if not any(matches):
        _events.add(1, {"system": "", "kind": "", "result": "unauthenticated"})
        security_log.sender_refused(system, address)
        raise Problem(Refusal.UNAUTHENTICATED, "The sender's secret is missing or wrong.")
    _secrets.add(1, {"system": system, "secret": "newest" if matches[0] else "previous"})


async def _json_object(request: Request, system: str) -> dict[str, Any]:
    try:
        return finance.json_object(await request.body())
    except finance.Malformed as error:
        raise _malformed(system, error) from error
