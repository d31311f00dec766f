"""Reports of Dynamics by Azure Service Bus: a process of its own that receives, hands over, and only then completes.

A message is understood by the same functions as a call over HTTPS (`web.intake.reports`). It is completed when Temporal
has taken it, abandoned where Temporal does not answer, and dead-lettered with the reason where it cannot be understood:
it is then kept in the queue's dead-letter queue until somebody has looked (`q2c bus dead-letters`, `q2c bus retry`).
The web process does not know of the bus: nothing that happens to it touches the intake over HTTPS.

What is sent: Dataverse posts the `RemoteExecutionContext` as the message's body, in .NET's binary format (content type
`application/msbin1`) unless its service endpoint has JSON or XML; above 192 KB without its parameters and images, with
the property `MessageMaxSizeExceeded`. Finance posts the business event's JSON.
Sources: Microsoft Learn, "Azure integration" (Dataverse: formats, 192 KB), "Business events and Azure Service Bus",
"Message transfers, locks, and settlement", "Overview of Service Bus dead-letter queues". The content type of the binary
format is in no page of Microsoft's; listeners that are published tell the formats apart by it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog
from opentelemetry import metrics
from temporalio.client import Client

from runs.calls import NoAnswer, answer
from web.intake.reports import NotUnderstood, Reports, System
from workers.health import health_app
from workers.identity import Identity
from workers.rules import load_policy
from workers.serving import serve, stop_signals, unready_once
from workers.settings import Settings, SettingsError
from workers.telemetry import Telemetry
from workers.temporal_client import connect

if TYPE_CHECKING:
    from azure.servicebus import ServiceBusReceivedMessage
    from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver

log = structlog.get_logger(__name__)
_messages = metrics.get_meter(__name__).create_counter(
    "q2c_bus_messages", description="Messages of Azure Service Bus, by system and how they were settled"
)

AT_ONCE: Final = 20
"""Messages received together; each is locked for a minute by default, and settled within seconds."""
QUIET: Final = 5.0
"""Seconds one request for messages waits for the first."""
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
"""Seconds between two tries to reach the bus, or Temporal, that does not answer."""
LONGEST_REASON: Final = 1_000
"""Characters of a reason that is written to a dead letter; Service Bus takes 4,096."""
_SAY_JSON: Final = "set the service endpoint's message format to JSON"
NOT_UNDERSTOOD: Final = "NotUnderstood"
"""Reason of our dead letters; the broker's own are e.g. `MaxDeliveryCountExceeded`."""


@dataclass(frozen=True)
class Source:
    """Where the messages of one system are: a queue, or a subscription of a topic."""

    system: System
    entity: str
    subscription: str = ""

    @classmethod
    def read(cls, system: System, text: str) -> Source:
        """`queue`, or `topic/subscription`.

        Raises:
            SettingsError: it is neither.
        """
        entity, _, subscription = text.partition("/")
        if not entity or text.count("/") > 1 or text.endswith("/"):
            raise SettingsError(f"Q2C_BUS_{system.upper()}: {text!r} is neither a queue nor topic/subscription")
        return cls(system, entity, subscription)

    @property
    def name(self) -> str:
        """Its name, as the settings give it."""
        return f"{self.entity}/{self.subscription}" if self.subscription else self.entity

    def receiver(self, client: ServiceBusClient, **how: Any) -> ServiceBusReceiver:
        """Receive from it, each message locked until it is settled."""
        if self.subscription:
            return client.get_subscription_receiver(self.entity, self.subscription, **how)
        return client.get_queue_receiver(self.entity, **how)


def sources(settings: Settings) -> list[Source]:
    """What the settings name.

    Raises:
        SettingsError: nothing, or something that cannot be.
    """
    named = {System.DATAVERSE: settings.bus.dataverse, System.FINANCE: settings.bus.finance}
    found = [Source.read(system, text) for system, text in named.items() if text]
    if not found:
        raise SettingsError("Q2C_BUS_DATAVERSE, Q2C_BUS_FINANCE: set at least one to receive anything")
    return found


@asynccontextmanager
async def bus_client(settings: Settings) -> AsyncIterator[ServiceBusClient]:
    """A connection to the namespace the settings name; it is made when something is received.

    Raises:
        SettingsError: the extra is not installed, or the settings name no namespace.
    """
    try:
        from azure.servicebus import TransportType
        from azure.servicebus.aio import ServiceBusClient
    except ImportError as error:
        raise SettingsError("Q2C_BUS_*: install the product with its extra `bus` (quote-to-cash[bus])") from error
    bus = settings.bus
    how: dict[str, Any] = {"retry_total": 0}  # the loops here try again, and say so
    if settings.ca_file:
        how["connection_verify"] = str(settings.ca_file)
    if bus.endpoint:
        how |= {"custom_endpoint_address": bus.endpoint, "transport_type": TransportType.Amqp}
    if bus.connection_string:
        text = bus.connection_string.get_secret_value()
        try:
            client = ServiceBusClient.from_connection_string(text, **how)
        except ValueError as error:
            raise SettingsError(f"Q2C_BUS_CONNECTION_STRING: {error}") from error
    elif bus.namespace:
        client = ServiceBusClient(bus.namespace, _Credential(Identity(settings)), **how)
    else:
        raise SettingsError("Q2C_BUS_NAMESPACE: is missing; set it, or Q2C_BUS_CONNECTION_STRING")
    async with client:
        yield client


class _Credential:
    """The identity of this process, as Azure's clients want it."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    async def get_token(self, *scopes: str, **_: Any) -> Any:
        from azure.core.credentials import AccessToken

        found = await asyncio.to_thread(self._identity.token, scopes[0].removesuffix("/.default").rstrip("/"))
        return AccessToken(found.token, int(time.time()) + found.expires_in)

    async def close(self) -> None:
        """Nothing is held open."""

    async def __aenter__(self) -> _Credential:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is held open."""


# Receiving


class Receiving:
    """Receives the messages of one source, forever."""

    def __init__(self, source: Source, reports: Reports, temporal: Client) -> None:
        """Hand what ``source`` has to ``reports``; while ``temporal`` does not answer, nothing is received."""
        self._source = source
        self._reports = reports
        self._temporal = temporal
        self._trouble = "not connected yet"

    @property
    def trouble(self) -> str:
        """Why nothing is received now, with the source; empty: messages are received as they come."""
        return f"{self._source.name}: {self._trouble}" if self._trouble else ""

    async def run(self, client: ServiceBusClient) -> None:
        """Receive until it is cancelled; whatever fails is said, and tried again after a pause."""
        from azure.servicebus.exceptions import ServiceBusError

        pause = FIRST_PAUSE
        while True:
            try:
                async with self._source.receiver(client) as receiver:
                    while True:
                        messages = await receiver.receive_messages(AT_ONCE, max_wait_time=QUIET)
                        pause, self._trouble = FIRST_PAUSE, ""
                        if not await self.settle(receiver, messages):
                            await self._temporal_answers()
            except (ServiceBusError, OSError, ValueError, SettingsError) as error:
                self._trouble = f"the bus does not answer: {error}"
                log.error("the bus does not answer", source=self._source.name, reason=str(error), pause=pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def settle(self, receiver: ServiceBusReceiver, messages: Sequence[ServiceBusReceivedMessage]) -> bool:
        """Hand messages over and settle each; whether Temporal answered for all of them."""
        return all(await asyncio.gather(*(self._settle(receiver, message) for message in messages)))

    async def _settle(self, receiver: ServiceBusReceiver, message: ServiceBusReceivedMessage) -> bool:
        from azure.servicebus.exceptions import ServiceBusError

        system = self._source.system
        try:
            settled = await self._hand_over(receiver, message)
        except ServiceBusError as error:
            # Its lock is over, or the bus is away: it comes again, and what is told twice counts once.
            log.warning("a message could not be settled", system=system, message_id=message.message_id, why=str(error))
            settled = "unsettled"
        _messages.add(1, {"system": system, "settled": settled})
        return settled != "abandoned"

    async def _hand_over(self, receiver: ServiceBusReceiver, message: ServiceBusReceivedMessage) -> str:
        try:
            await self._reports.take(self._source.system, body_of(message))
        except NotUnderstood as error:
            text = str(error)[:LONGEST_REASON]
            await receiver.dead_letter_message(message, reason=NOT_UNDERSTOOD, error_description=text)
            return "dead-lettered"
        except NoAnswer as error:
            log.warning(
                "a message is put back", system=self._source.system, message_id=message.message_id, why=str(error)
            )
            await receiver.abandon_message(message)
            return "abandoned"
        except Exception:  # a defect of ours: it comes again, and after ten deliveries the broker keeps it for a person
            log.exception("a message could not be taken", system=self._source.system, message_id=message.message_id)
            await receiver.abandon_message(message)
            return "abandoned"
        await receiver.complete_message(message)
        return "completed"

    async def _temporal_answers(self) -> None:
        """Wait until Temporal answers: the broker keeps a message for ten deliveries, and must not count an outage."""
        pause, self._trouble = FIRST_PAUSE, "Temporal does not answer"
        while True:
            await asyncio.sleep(pause)
            try:
                if await answer(self._temporal.service_client.check_health()):
                    self._trouble = ""
                    return
            except (NoAnswer, RuntimeError) as error:
                log.warning("Temporal does not answer: nothing is received", reason=str(error), pause=pause)
            pause = min(2 * pause, LONGEST_PAUSE)


def body_of(message: ServiceBusReceivedMessage) -> bytes:
    """The bytes of a message.

    Raises:
        NotUnderstood: it is of a kind of AMQP's that has no bytes, or of Dataverse's formats that are no JSON.
    """
    if message.content_type == "application/msbin1":
        raise NotUnderstood(f"content type {message.content_type}: {_SAY_JSON}")
    body: Any = message.body
    try:
        content = body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else b"".join(body)
    except TypeError as error:
        raise NotUnderstood("the body is no data: post JSON") from error
    if content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise NotUnderstood(f"the body is XML: {_SAY_JSON}")
    return content


# Dead letters


@dataclass(frozen=True)
class DeadLetter:
    """A message nobody could take, as it lies in the dead-letter queue."""

    source: str
    sequence_number: int
    enqueued_at: str
    deliveries: int
    reason: str
    description: str
    message_id: str
    properties: Mapping[str, str]
    body: str


async def dead_letters(settings: Settings, limit: int) -> list[DeadLetter]:
    """Look at the dead letters of every source; they stay where they are.

    Args:
        settings: the product's settings.
        limit: how many of each source at most, oldest first.

    Raises:
        SettingsError: the bus cannot be reached as the settings say.
    """
    found: list[DeadLetter] = []
    named = sources(settings)
    async with bus_client(settings) as client:
        for source in named:
            found += await dead_letters_of(client, source, limit)
    return found


async def dead_letters_of(client: ServiceBusClient, source: Source, limit: int) -> list[DeadLetter]:
    """Look at the dead letters of one source, as ``dead_letters``; raises as it does."""
    with _in_words():
        async with source.receiver(client, sub_queue="deadletter") as receiver:
            return [_shown(source, message) for message in await receiver.peek_messages(limit)]


async def retry(settings: Settings, telemetry: Telemetry, limit: int) -> dict[str, int]:
    """Hand dead letters over once more, e.g. after the cause was corrected.

    Args:
        settings: the product's settings.
        telemetry: of this process.
        limit: how many of each source at most.

    Returns:
        How many were taken, and how many stay dead letters.

    Raises:
        SettingsError: the bus cannot be reached as the settings say.
        TemporalUnusable: Temporal does not answer.
    """
    counted, named = {"taken": 0, "left": 0}, sources(settings)
    temporal = await connect(telemetry, settings.codec)
    reports = reports_of(settings, temporal)
    async with bus_client(settings) as client:
        for source in named:
            with _in_words():
                async with source.receiver(client, sub_queue="deadletter") as receiver:
                    for message in await receiver.receive_messages(limit, max_wait_time=QUIET):
                        try:
                            await reports.take(source.system, body_of(message))
                        except (NotUnderstood, NoAnswer) as error:
                            log.warning("it stays a dead letter", message_id=message.message_id, reason=str(error))
                            await receiver.abandon_message(message)
                            counted["left"] += 1
                        else:
                            await receiver.complete_message(message)
                            counted["taken"] += 1
    return counted


def _shown(source: Source, message: ServiceBusReceivedMessage) -> DeadLetter:
    try:
        body = body_of(message).decode("utf-8", "replace")
    except NotUnderstood as error:
        body = f"({error})"
    names: Mapping[Any, Any] = message.application_properties or {}
    return DeadLetter(
        source=source.name,
        sequence_number=message.sequence_number or 0,
        enqueued_at=message.enqueued_time_utc.isoformat() if message.enqueued_time_utc else "",
        deliveries=message.delivery_count or 0,
        reason=message.dead_letter_reason or "",
        description=message.dead_letter_error_description or "",
        message_id=str(message.message_id or ""),
        properties={_text(name): _text(value) for name, value in names.items()},
        body=body,
    )


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


@contextmanager
def _in_words() -> Iterator[None]:
    """Turn what Azure's client raises into a message for whoever called."""
    from azure.servicebus.exceptions import ServiceBusError

    try:
        yield
    except ServiceBusError as error:
        raise SettingsError(f"Q2C_BUS_*: the bus does not answer as it should: {error}") from error


# The process


def reports_of(settings: Settings, temporal: Client) -> Reports:
    """The intake, as the web process has it."""
    entities = load_policy(settings).entity_map
    seconds = settings.worker.sweep_seconds
    return Reports.through(temporal, entities.business_units, shadow=entities.shadow, sweep_seconds=seconds)


async def run_bus(settings: Settings, telemetry: Telemetry) -> int:
    """Receive until SIGTERM or SIGINT; a message that is being taken then is settled first, or comes again.

    Returns:
        Exit code.

    Raises:
        SettingsError: what is to be received is not set, or the codec's keys cannot be used.
        TemporalUnusable: Temporal does not answer.
        PolicyError: the rules cannot be used.
        CannotListen: the health port is taken.
    """
    named = sources(settings)
    with stop_signals() as stop:
        async with AsyncExitStack() as held:
            client = await held.enter_async_context(bus_client(settings))
            temporal = await connect(telemetry, settings.codec)
            reports = reports_of(settings, temporal)
            receiving = [Receiving(source, reports, temporal) for source in named]
            health = health_app(temporal, lambda: "; ".join(filter(None, (each.trouble for each in receiving))))
            where = settings.bus.health_host, settings.bus.health_port
            await held.enter_async_context(serve(unready_once(stop, health), *where, variables="Q2C_BUS_HEALTH"))
            log.info("bus ready", sources=[f"{source.system}: {source.name}" for source in named])
            code = await _until_stopped(stop, [each.run(client) for each in receiving])
    telemetry.close()
    return code


async def _until_stopped(stop: asyncio.Event, work: Sequence[Coroutine[Any, Any, None]]) -> int:
    """Work until it is said to stop; exit code 1 where a part of the work ended by itself, which only a defect does."""
    tasks = [asyncio.create_task(each) for each in work]
    stopping = asyncio.create_task(stop.wait())
    ended, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
    log.info("bus stopping")
    for task in (stopping, *tasks):
        task.cancel()
    await asyncio.gather(stopping, *tasks, return_exceptions=True)
    failed = [task for task in tasks if task in ended]
    for task in failed:
        log.error("receiving has stopped", exc_info=task.exception())
    return 1 if failed else 0
