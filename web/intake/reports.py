"""What Dynamics 365 reports, understood and handed to deals, feeds and ledgers: the same whichever way it came.

HTTPS, Azure Event Grid and Azure Service Bus differ in who may send and in what a sender is told; what becomes of a
report is decided here alone. It returns only when Temporal has taken the report, so that a sender who is told so may
forget it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

import structlog
from opentelemetry import metrics
from pydantic import ValidationError
from temporalio.client import Client

from domain.messages import FinanceEvent, SalesEvent, SalesEventKind
from dynamics import business_events as finance
from dynamics import webhooks as dataverse
from runs.after_end import AfterEndDesk
from runs.calls import Rejected
from runs.collections import CollectionsDesk
from runs.deals import Deals
from runs.feeds import Feeds
from runs.ledgers import Ledgers

log = structlog.get_logger(__name__)
_events = metrics.get_meter(__name__).create_counter(
    "q2c_intake_events", description="Events reported by Dynamics 365, by system, kind and what became of them"
)


class System(StrEnum):
    """Who reports."""

    DATAVERSE = "dataverse"
    FINANCE = "finance"


class NotUnderstood(Exception):
    """A report that cannot be understood, or that Temporal takes in no way; sending it again changes nothing."""

    def __init__(self, text: str, field: str = "") -> None:
        """Say why; ``field`` names the first thing that is wrong with it, where one is."""
        super().__init__(text)
        self.field = field


class Taken(NamedTuple):
    """What became of a report that needs no repeating."""

    status: str
    """``taken``; ``feed``: its feed looks at the record; ``ignored``: it concerns no deal."""
    kind: str


class Reports:
    """Takes reports, each once for all: what is delivered again has the same id, and changes nothing."""

    def __init__(
        self,
        companies: Mapping[str, str],
        deals: Deals,
        feeds: Feeds,
        ledgers: Ledgers,
        collections: CollectionsDesk,
        after_end: AfterEndDesk,
    ) -> None:
        """Take reports.

        Args:
            companies: owning business unit of a quote → legal entity, lower case.
            deals: are told what concerns them.
            feeds: keep events whose deal is not known.
            ledgers: are told what changes a customer's credit.
            collections: are told of payments.
            after_end: takes what concerns a deal that has ended.
        """
        self._companies = companies
        self._deals = deals
        self._feeds = feeds
        self._ledgers = ledgers
        self._after_end = after_end
        self._collections = collections
        self._take: dict[System, Callable[[Mapping[str, Any]], Awaitable[Taken]]] = {
            System.DATAVERSE: self._from_dataverse,
            System.FINANCE: self._from_finance,
        }

    @classmethod
    def through(
        cls, client: Client, companies: Mapping[str, str], *, shadow: Collection[str], sweep_seconds: int
    ) -> Reports:
        """Take reports for what runs in a client's namespace.

        Args:
            client: connected.
            companies: owning business unit of a quote → legal entity, lower case.
            shadow: companies in shadow mode, whose quotes begin no deals.
            sweep_seconds: the rhythm of feeds that are begun here.
        """
        feeds, deals = Feeds(client, every_seconds=sweep_seconds), Deals(client, shadow=shadow)
        return cls(companies, deals, feeds, Ledgers(client), CollectionsDesk(client), AfterEndDesk(client))

    async def take(self, system: System, body: bytes) -> Taken:
        """Take one report.

        Args:
            system: who reports.
            body: the posted JSON.

        Raises:
            NotUnderstood: it is malformed, or Temporal takes no such message.
            NoAnswer: Temporal does not answer; the report is to be sent again.
        """
        try:
            return await self.take_object(system, dataverse.json_object(body))
        except dataverse.Malformed as error:
            raise not_understood(system, error, error.field) from error

    async def take_object(self, system: System, body: Mapping[str, Any]) -> Taken:
        """Take one report that was read as JSON before. Raises as ``take``."""
        try:
            return await self._take[system](body)
        except dataverse.Malformed as error:
            raise not_understood(system, error, error.field) from error
        except (ValidationError, Rejected) as error:
            raise not_understood(system, error) from error

    async def _from_dataverse(self, body: Mapping[str, Any]) -> Taken:
        change = dataverse.read_change(body, self._companies)
        event = change.event
        if change.route == "feed":
            won = event is not None and event.kind is SalesEventKind.ACCEPTED
            if event is not None and won and (told := await self._deals.tell_won(event)) is not None:
                return _taken(System.DATAVERSE, event.kind, "taken", told)
            await self._feeds.look_at(dataverse.FOLLOWED[change.entity], change.record_id)
            return _taken(System.DATAVERSE, event.kind if event else change.why, "feed")
        if event is None:
            return _taken(System.DATAVERSE, change.why, "ignored")
        known = await self._deals.tell(event) or await self._after_end.report_of_sales(event)
        return _taken(System.DATAVERSE, event.kind, "taken" if known else "ignored", event)

    async def _from_finance(self, body: Mapping[str, Any]) -> Taken:
        report = finance.read_report(body, set(self._companies.values()))
        if report.why_ignored:
            return _taken(System.FINANCE, report.why_ignored, "ignored")
        calls = [self._tell_order(event) for event in report.orders]
        if report.customer:
            # No ledger, no deal of this customer that waits for credit: then there is nobody to tell.
            calls.append(self._ledgers.changed(report.company, report.customer_account, report.customer))
            calls.append(self._collections.changed(report.company, report.customer_account, report.customer))
        await asyncio.gather(*calls)
        kind = report.orders[0].kind if report.orders else "customer"
        return _taken(System.FINANCE, kind, "taken", *report.orders)

    async def _tell_order(self, event: FinanceEvent) -> bool:
        """Tell the deal that owns the order; the feed, where no deal is known to."""
        told = await self._deals.tell_of_order(event)
        if not told:
            await self._feeds.tell(event)
        return told


def not_understood(system: str, error: Exception, field: str = "") -> NotUnderstood:
    """Count and log a report that cannot be understood: the sender's log and ours say what is wrong."""
    _events.add(1, {"system": system, "kind": "", "result": "malformed"})
    log.warning("report refused", system=system, reason=str(error))
    return NotUnderstood(str(error), field)


def unauthenticated() -> None:
    """Count a report whose sender did not show who they are."""
    _events.add(1, {"system": "", "kind": "", "result": "unauthenticated"})


def _taken(system: System, kind: str, result: str, *events: SalesEvent | FinanceEvent) -> Taken:
    """Count and log a report that needs no repeating."""
    _events.add(1, {"system": system, "kind": kind, "result": result})
    for event in events:
        number = {"quote": event.quote_number} if isinstance(event, SalesEvent) else {"order": event.order_number}
        log.info(f"{system} event {result}", event_id=event.event_id, company=event.company, **number)
    if not events:
        log.debug(f"{system} event {result}", kind=kind)
    return Taken(result, kind)
