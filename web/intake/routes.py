"""The two addresses Dynamics 365 reports to.

Each call is checked, understood and handed to Temporal as a signal, within milliseconds and whatever state the deal is
in. Where Temporal does not take it, the sender is told 503: Finance tries again, and what Dataverse does not repeat is
found by the feeds' sweep.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
from collections import OrderedDict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from opentelemetry import metrics
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from temporalio.client import Client
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.service import RPCError, RPCStatusCode

from domain.messages import DealStart, FinanceEvent, SalesEvent, SalesEventKind
from domain.record import Record
from domain.views import Stage, WaitingFor
from dynamics import business_events as finance
from dynamics import webhooks as dataverse
from runs import names
from runs.calls import answer
from runs.feeds import Feeds
from runs.ledgers import Ledgers
from web.config import WebConfig
from web.problems import Problem
from web.visibility import Visibility

log = logging.getLogger(__name__)
_events = metrics.get_meter(__name__).create_counter(
    "q2c_intake_events", description="Events reported by Dynamics 365, by system, kind and what became of them"
)

_KNOWN_ORDERS = 10_000


class Intake:
    """Hands events to deals, feeds and ledgers."""

    def __init__(
        self, config: WebConfig, client: Client, visibility: Visibility, feeds: Feeds, ledgers: Ledgers
    ) -> None:
        """Take in events.

        Args:
            config: secrets of the two senders, and the map from business unit to company.
            client: connected to the deals' namespace.
            visibility: finds the deal of an order.
            feeds: keep events whose deal is not known.
            ledgers: are told what changes a customer's credit.
        """
        self._config = config
        self._client = client
        self._visibility = visibility
        self._feeds = feeds
        self._ledgers = ledgers
        self._orders: OrderedDict[tuple[str, str], str] = OrderedDict()

    def routes(self) -> list[Route]:
        """The routes under /intake."""
        return [
            Route("/intake/dataverse", self.from_dataverse, methods=["POST"]),
            Route("/intake/finance", self.from_finance, methods=["POST"]),
        ]

    async def from_dataverse(self, request: Request) -> Response:
        """A webhook call: 202 taken or ignored, 400 malformed, 401 wrong key, 503 Temporal does not take it."""
        _check_secret(
            request.headers.get("x-q2c-webhook-key", ""), self._config.dataverse_webhook_key.get_secret_value()
        )
        try:
            change = dataverse.read_change(await _json_object(request), self._config.companies)
        except dataverse.Malformed as error:
            _events.add(1, {"system": "dataverse", "kind": "", "result": "malformed"})
            log.warning("webhook refused", extra={"reason": str(error)})
            raise Problem(400, "MALFORMED", str(error)) from error
        event = change.event
        if change.route == "ignore" or event is None:
            return _taken("dataverse", change.why, "ignored")
        if change.route == "feed":
            if event.kind is SalesEventKind.OPPORTUNITY_LOST:
                await self._feeds.look_at("opportunity", event.event_id.split("/")[2])
            else:
                await self._feeds.look_at("quote", event.quote_id)
            return _taken("dataverse", event.kind, "feed")
        if event.kind is SalesEventKind.SUBMITTED:
            await self._start_or_tell_deal(event)
            return _taken("dataverse", event.kind, "taken", event)
        known = await self._tell(names.deal_id(event.company, event.quote_number), names.SALES_EVENT, event)
        return _taken("dataverse", event.kind, "taken" if known else "ignored", event)

    async def from_finance(self, request: Request) -> Response:
        """A business event: 202 taken or ignored, 400 malformed, 401 wrong secret, 503 Temporal does not take it."""
        _check_secret(request.query_params.get("code", ""), self._config.finance_events_secret.get_secret_value())
        try:
            report = finance.read_report(await _json_object(request))
        except finance.Malformed as error:
            _events.add(1, {"system": "finance", "kind": "", "result": "malformed"})
            log.warning("business event refused", extra={"reason": str(error)})
            raise Problem(400, "MALFORMED", str(error), field=error.field) from error
        if report.why_ignored:
            return _taken("finance", report.why_ignored, "ignored")
        calls = [self._tell_order(event) for event in report.orders]
        if report.customer:
            # No ledger, no deal of this customer that waits for credit: then there is nobody to tell.
            calls.append(self._ledgers.changed(report.company, report.customer_account, report.customer))
        await asyncio.gather(*calls)
        kind = report.orders[0].kind if report.orders else "customer"
        return _taken("finance", kind, "taken", *report.orders)

    async def _start_or_tell_deal(self, event: SalesEvent) -> None:
        """Signal-with-start: the same call begins the deal or reaches the one that runs."""
        start = DealStart(
            company=event.company,
            quote_number=event.quote_number,
            quote_id=event.quote_id,
            revision=event.revision,
            event=event,
        )
        attributes = {
            "Q2CStage": Stage.OPPORTUNITY.value,
            "Q2CWaitingFor": WaitingFor.NOTHING.value,
            "Q2CCompany": event.company,
            "Q2CQuote": event.quote_number,
            "Q2CQuoteId": event.quote_id,
        }
        await answer(
            self._client.start_workflow(
                names.QUOTE_TO_CASH,
                start,
                id=names.deal_id(event.company, event.quote_number),
                task_queue=names.DEAL_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                start_signal=names.SALES_EVENT,
                start_signal_args=[event],
                static_summary=f"Quote {event.quote_number} of {event.company.upper()}: quote to cash",
                static_details=(
                    f"Started when quote **{event.quote_number}** (revision {event.revision}) was submitted for "
                    f"approval in Dynamics 365 Sales. The current details show the stage and what it waits for."
                ),
                search_attributes=TypedSearchAttributes(
                    [
                        SearchAttributePair(SearchAttributeKey.for_keyword(name), value)
                        for name, value in attributes.items()
                    ]
                ),
            )
        )

    async def _tell_order(self, event: FinanceEvent) -> bool:
        """Tell the deal that owns the order; the feed, where no deal is known to."""
        key = (event.company, event.order_number)
        workflow_id = self._orders.get(key) or await self._visibility.workflow_of_order(*key)
        if workflow_id and await self._tell(workflow_id, names.FINANCE_EVENT, event):
            self._orders[key] = workflow_id
            if len(self._orders) > _KNOWN_ORDERS:
                self._orders.popitem(last=False)
            return True
        self._orders.pop(key, None)
        await self._feeds.tell(event)
        return False

    async def _tell(self, workflow_id: str, signal: str, message: Record) -> bool:
        """Signal a run; False where none runs under this id."""
        try:
            await answer(self._client.get_workflow_handle(workflow_id).signal(signal, message))
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return True


def _taken(system: str, kind: str, result: str, *events: SalesEvent | FinanceEvent) -> Response:
    """Count and log a call that needs no repeating, and say so."""
    _events.add(1, {"system": system, "kind": kind, "result": result})
    for event in events:
        number = {"quote": event.quote_number} if isinstance(event, SalesEvent) else {"order": event.order_number}
        log.info("%s event %s", system, result, extra={"event_id": event.event_id, "company": event.company} | number)
    if not events:
        log.debug("%s event %s: %s", system, result, kind)
    return JSONResponse({"status": result, "kind": kind}, 202)


def _check_secret(presented: str, expected: str) -> None:
    if not hmac.compare_digest(presented.encode(), expected.encode()):
        _events.add(1, {"system": "", "kind": "", "result": "unauthenticated"})
        raise Problem(401, "UNAUTHENTICATED", "The sender's secret is missing or wrong.")


async def _json_object(request: Request) -> Mapping[str, Any]:
    try:
        body = json.loads(await request.body(), parse_float=Decimal)
    except ValueError as error:
        raise Problem(400, "MALFORMED", "The body is not JSON.") from error
    if not isinstance(body, dict):
        raise Problem(400, "MALFORMED", "The body is not a JSON object.")
    return body
