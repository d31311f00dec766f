"""Business events: what Finance tells the outside after a posting has committed.

An event is a flat JSON object: the contract's own fields beside the envelope. It is sent by HTTPS POST to the one
endpoint that is set, retried three times a second apart, and then goes to the error log, from where it can be sent
again. Events may arrive late, twice or out of order; `ControlNumber` rises with every event.
Source: Microsoft Learn, "Business events overview" and "Business events developer documentation".

`SalesInvoicePostedBusinessEvent`, `CustFreeTextInvoicePostedBusinessEvent` and `CollectionLetterSentBusinessEvent`
exist out of the box. The events named `Q2C…` are custom events, as a customer's own extension would add them. Events
can be deactivated by name, and delivery can be made late, double or out of order.
"""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

import httpx

from sandbox.odata.jsonio import encode
from sandbox.store import Database

log = logging.getLogger(__name__)

SALES_INVOICE_POSTED: Final = "SalesInvoicePostedBusinessEvent"
FREE_TEXT_INVOICE_POSTED: Final = "CustFreeTextInvoicePostedBusinessEvent"
COLLECTION_LETTER_SENT: Final = "CollectionLetterSentBusinessEvent"
SALES_ORDER_CONFIRMED: Final = "Q2CSalesOrderConfirmedBusinessEvent"
PACKING_SLIP_POSTED: Final = "Q2CPackingSlipPostedBusinessEvent"
CUST_PAYMENT_POSTED: Final = "Q2CCustPaymentPostedBusinessEvent"
CUST_PAYMENT_REVERSED: Final = "Q2CCustPaymentReversedBusinessEvent"
CUST_CREDIT_LIMIT_CHANGED: Final = "Q2CCustCreditLimitChangedBusinessEvent"
CUST_BLOCKED: Final = "Q2CCustBlockedBusinessEvent"
PACKING_SLIP_CORRECTED: Final = "Q2CPackingSlipCorrectedBusinessEvent"
REMAINDER_CANCELLED: Final = "Q2CSalesOrderRemainderCancelledBusinessEvent"
SALES_ORDER_CHANGED: Final = "Q2CSalesOrderChangedBusinessEvent"
RETURN_RECEIVED: Final = "Q2CReturnOrderReceivedBusinessEvent"
CUSTOM_PREFIX: Final = "Q2C"
TEST_PING: Final = "BusinessEventsTestEndpointContract"

CATALOGUE: Final = (
    *(SALES_INVOICE_POSTED, FREE_TEXT_INVOICE_POSTED, COLLECTION_LETTER_SENT, SALES_ORDER_CONFIRMED),
    *(PACKING_SLIP_POSTED, PACKING_SLIP_CORRECTED, CUST_PAYMENT_POSTED, CUST_PAYMENT_REVERSED),
    *(CUST_CREDIT_LIMIT_CHANGED, CUST_BLOCKED, REMAINDER_CANCELLED, SALES_ORDER_CHANGED, RETURN_RECEIVED),
)
"""Every event there is."""
ACTIVATIONS: Final = "BusinessEventsConfigurations"
"""Entity set of what was activated for which legal entity and endpoint."""
ENDPOINT: Final = "Quote to Cash"
"""Name of the one endpoint."""

RETRIES: Final = 3
_FIRST_CONTROL_NUMBER: Final = 5637144576
_PING_CONTROL_NUMBER: Final = -9223372036854775808
_USER: Final = "{410A7C8B-9E0C-4C1D-8B1E-2F3D5A6B7C8D}"
_KEPT: Final = 5000


def json_date(moment: datetime) -> str:
    """A moment as the events' serializer writes it: `/Date(milliseconds)/`."""
    return f"/Date({int(moment.timestamp() * 1000)})/"


def json_day(day: date) -> str:
    """A calendar date as the events' serializer writes it: the date at 00:00 UTC."""
    return json_date(datetime(day.year, day.month, day.day, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class FailedEvent:
    """An entry of the error log: the event that could not be delivered, and why."""

    event: dict[str, Any]
    reason: str


@dataclass(slots=True)
class Delivery:
    """How events travel; change it in place.

    Attributes:
        custom: Whether the custom events are active.
        inactive: Names of events that are not active.
        delay: Seconds an event waits before it is sent.
        scatter: Seconds at most by which each is late beyond that, at random: events overtake each other.
        copies: How often each is sent.
    """

    custom: bool = True
    inactive: frozenset[str] = frozenset()
    delay: float = 0.0
    scatter: float = 0.0
    copies: int = 1

    def active(self, event_id: str) -> bool:
        """Whether an event is sent at all."""
        return event_id not in self.inactive and (self.custom or not event_id.startswith(CUSTOM_PREFIX))


class BusinessEvents:
    """The queue of business events of one environment, and their delivery."""

    def __init__(self, db: Database, *, retry_delay: float = 1.0, concurrency: int = 8) -> None:
        """Make an empty queue.

        Args:
            db: Events raised inside its transactions are sent only when they commit.
            retry_delay: Seconds between attempts.
            concurrency: Events sent at the same time.
        """
        self._db = db
        self._retry_delay = retry_delay
        self._slots = asyncio.Semaphore(concurrency)
        self._control_number = _FIRST_CONTROL_NUMBER
        self._tasks: set[asyncio.Task[None]] = set()
        self._client: httpx.AsyncClient | None = None
        self.delivery = Delivery()
        self.endpoint: str | None = None
        self.history: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        """Every event raised, newest last, delivered or not."""
        self.error_log: deque[FailedEvent] = deque(maxlen=_KEPT)
        self._owed: dict[int, dict[str, Any]] = {}

    def set_endpoint(self, url: str | None) -> None:
        """Send events to this URL from now on; None stops sending (events raised meanwhile are not kept for later)."""
        self.endpoint = url

    def kept(self) -> Any:
        """How events travel, and those that are not delivered yet: what lasts beside the tables."""
        return self._control_number, self.delivery, self.endpoint, list(self._owed.values()), list(self.error_log)

    def take_back(self, kept: Any) -> None:
        """Go on from what `kept` gave: what was under way is sent again."""
        self._control_number, self.delivery, self.endpoint, owed, failed = kept
        self.error_log.extend(failed)
        for event in owed:
            self._send_later(event)

    def activations(self, companies: Iterable[str]) -> list[dict[str, Any]]:
        """Which events are activated for which companies, as rows of `ACTIVATIONS`."""
        known = [event for event in CATALOGUE if self.delivery.custom or not event.startswith(CUSTOM_PREFIX)]
        return [
            {
                "BusinessEventsTable": event,
                "LegalEntity": company,
                "BusinessEventsEndpoint_Name": ENDPOINT,
                "Disabled": "Yes" if event in self.delivery.inactive else "No",
            }
            for company in companies
            for event in known
        ]

    def emit(self, event_id: str, company: str, fields: Mapping[str, Any]) -> None:
        """Raise an event: it is sent once the open transaction commits, and never if it rolls back.

        Args:
            event_id: The event's class name.
            company: Legal entity, lower case.
            fields: The contract's own fields; dates already in `/Date()/` form.
        """
        self._db.defer(lambda: self._accept(event_id, company, fields))

    def _accept(self, event_id: str, company: str, fields: Mapping[str, Any]) -> None:
        if not self.delivery.active(event_id):
            return
        event = self._envelope(event_id, company) | dict(fields)
        self.history.append(event)
        if self.endpoint is not None:
            for _ in range(self.delivery.copies):
                self._send_later(event)

    def resend_failed(self) -> int:
        """Send everything in the error log again, as the Resend button does; returns how many."""
        failed = list(self.error_log)
        self.error_log.clear()
        for entry in failed:
            self._send_later(entry.event)
        return len(failed)

    async def ping(self, company: str) -> bool:
        """Send the test event of endpoint activation; True when it was answered with success."""
        event = self._envelope(TEST_PING, company) | {"ControlNumber": _PING_CONTROL_NUMBER}
        try:
            await self._post(event)
        except httpx.HTTPError as problem:
            self.error_log.append(FailedEvent(event, str(problem)))
            return False
        return True

    async def drain(self) -> None:
        """Wait until every event raised so far has been delivered or has failed."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def aclose(self) -> None:
        """Stop delivering: what is under way is dropped."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _envelope(self, event_id: str, company: str) -> dict[str, Any]:
        now = self._db.clock.now()
        self._control_number += 1
        return {
            "BusinessEventId": event_id,
            "BusinessEventLegalEntity": company,
            "ContextRecordSubject": "",
            "ControlNumber": self._control_number,
            "EventId": str(uuid.uuid4()).upper(),
            "EventTime": json_date(now),
            "EventTimeIso8601": now.strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z",
            "InitiatingUserAADObjectId": _USER,
            "MajorVersion": 0,
            "MinorVersion": 0,
            "ParentContextRecordSubjects": [],
        }

    def _send_later(self, event: dict[str, Any]) -> None:
        """Start delivery on the running loop; without one the event waits in the error log to be sent again."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError as problem:
            self.error_log.append(FailedEvent(event, str(problem)))
            return
        self._owed[event["ControlNumber"]] = event
        task = loop.create_task(self._deliver(event))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, event: dict[str, Any]) -> None:
        reason = ""
        wait = self.delivery.delay + random.random() * self.delivery.scatter  # noqa: S311  # scatters deliveries
        if wait:
            await asyncio.sleep(wait)
        for attempt in range(RETRIES + 1):
            if attempt:
                await asyncio.sleep(self._retry_delay)
            try:
                async with self._slots:
                    await self._post(event)
                self._owed.pop(event["ControlNumber"], None)
                return
            except httpx.HTTPError as problem:
                reason = f"{type(problem).__name__}: {problem}"
        self._owed.pop(event["ControlNumber"], None)
        log.warning("business event not delivered", extra={"event": event["BusinessEventId"], "reason": reason})
        self.error_log.append(FailedEvent(event, reason))

    async def _post(self, event: dict[str, Any]) -> None:
        if self.endpoint is None:
            raise httpx.UnsupportedProtocol("no endpoint is set")
        if self._client is None:
            self._client = httpx.AsyncClient(trust_env=False, timeout=30.0)
        answer = await self._client.post(
            self.endpoint, content=encode(event), headers={"Content-Type": "application/json; charset=utf-8"}
        )
        answer.raise_for_status()
