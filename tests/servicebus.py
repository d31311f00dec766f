"""A small Service Bus on this machine: AMQP 1.0 by Qpid Proton, to which Azure's own client speaks over TLS.

What it does as Service Bus does: claims-based security (`$cbs`, `put-token`) by a shared access signature or a token of
Entra ID, both checked; peek-lock deliveries whose tag is the lock token; completing, abandoning with a count of
deliveries, ten at most; dead-lettering with reason and description; peeking by `$management`.
Sources: Microsoft Learn, "AMQP 1.0 in Azure Service Bus and Event Hubs protocol guide", "AMQP 1.0 in Azure Service Bus:
request-response-based operations", "Service Bus access control with SAS".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

proton = pytest.importorskip("proton", reason="the broker is not there: uv sync --group broker")

from proton import Delivery, Endpoint, Message, int32, symbol, timestamp  # noqa: E402
from proton.handlers import MessagingHandler  # noqa: E402
from proton.reactor import ApplicationEvent, Container, EventInjector  # noqa: E402

MOST_DELIVERIES = 10
DEAD = "/$DeadLetterQueue"
MANAGEMENT = "/$management"


@dataclass
class Kept:
    """A message in a queue."""

    body: bytes
    number: int
    content_type: str = "application/json"
    properties: dict[str, Any] = field(default_factory=dict)
    deliveries: int = 0
    locked: bool = False

    def message(self) -> Any:
        now = int(time.time() * 1000)
        message: Any = Message(id=f"m-{self.number}", inferred=True, body=self.body, content_type=self.content_type)
        message.properties = self.properties or None
        message.delivery_count = self.deliveries
        message.annotations = {
            symbol("x-opt-sequence-number"): self.number,
            symbol("x-opt-enqueued-time"): timestamp(now),
            symbol("x-opt-locked-until"): timestamp(now + 60_000),
        }
        return message


class ServiceBus(MessagingHandler):
    """One namespace in a thread of its own."""

    def __init__(self, certificate: Path, key: Path, believes: Callable[[str], bool]) -> None:
        """Serve on a free port of the loopback address.

        Args:
            certificate: of `localhost`, PEM.
            key: its private key.
            believes: whether a token opens the namespace.
        """
        super().__init__(prefetch=50, auto_accept=True, auto_settle=False)
        self._files, self._believes = (certificate, key), believes
        self._queues: dict[str, list[Kept]] = {}
        self._numbers = 0
        self._senders: dict[str, list[Any]] = {}
        self._answers: dict[tuple[str, str], Any] = {}
        self._let_in: set[str] = set()
        self._lent: dict[str, tuple[str, Kept]] = {}
        self._lock, self._ready = threading.RLock(), threading.Event()
        self._injector, self.port, self.broken = EventInjector(), 0, False
        self.settled: list[str] = []
        self.refused_tokens = 0
        self._container = Container(self)
        self._thread = threading.Thread(target=self._container.run, daemon=True)

    def __enter__(self) -> ServiceBus:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._injector.trigger(ApplicationEvent("stop"))
        self._thread.join(10)
        self._injector.close()

    # What tests say and ask

    def post(self, entity: str, body: bytes, content_type: str = "application/json", **properties: Any) -> None:
        """Put a message into a queue, as Dataverse or Finance would."""
        with self._lock:
            self._numbers += 1
            self._queues.setdefault(entity, []).append(Kept(body, self._numbers, content_type, dict(properties)))
        self._injector.trigger(ApplicationEvent("posted"))

    def messages(self, entity: str) -> list[Kept]:
        """What is in a queue, locked or not."""
        with self._lock:
            return list(self._queues.get(entity, []))

    def dead(self, entity: str) -> list[Kept]:
        """The dead letters of a queue."""
        return self.messages(entity + DEAD)

    def break_connections(self) -> None:
        """Close every connection, as a namespace that is moved does."""
        self._injector.trigger(ApplicationEvent("break"))

    # AMQP

    def on_start(self, event: Any) -> None:
        self._container.ssl.server.set_credentials(str(self._files[0]), str(self._files[1]), None)
        self._container.selectable(self._injector)
        acceptor: Any = self._container.listen("amqps://127.0.0.1:0")
        self.port = acceptor._selectable._delegate.getsockname()[1]
        self._ready.set()

    def on_posted(self, event: Any) -> None:
        self._deliver()

    def on_stop(self, event: Any) -> None:
        self._container.stop()

    def on_break(self, event: Any) -> None:
        for senders in list(self._senders.values()):
            for sender in senders:
                sender.connection.close()
            senders.clear()
        self._forget_locks()

    def on_link_opening(self, event: Any) -> None:
        link = event.link
        link.source.copy(link.remote_source)
        link.target.copy(link.remote_target)
        address = (link.remote_source.address if link.is_sender else link.remote_target.address) or ""
        if link.is_sender:
            if address == "$cbs" or address.endswith(MANAGEMENT):
                self._answers[link.connection.remote_container, address] = link
            elif link.connection.remote_container in self._let_in:
                self._senders.setdefault(_entity(address), []).append(link)

    def on_sendable(self, event: Any) -> None:
        self._deliver()

    def on_message(self, event: Any) -> None:
        address = event.link.remote_target.address
        answer = self._answers[event.connection.remote_container, address]
        if address == "$cbs":
            self._put_token(event.message, event.connection, answer)
        else:
            self._manage(_entity(address.removesuffix(MANAGEMENT)), event.message, answer)

    def _put_token(self, request: Any, connection: Any, answer: Any) -> None:
        good = self._believes(_text(request.body))
        if good:
            self._let_in.add(connection.remote_container)
        else:
            self.refused_tokens += 1
        code, text = (202, "Accepted") if good else (401, "Unauthorized")
        answer.send(
            Message(correlation_id=request.id, properties={"status-code": int32(code), "status-description": text})
        )

    def _manage(self, entity: str, request: Any, answer: Any) -> None:
        operation = _text(request.properties["operation"])
        assert operation == "com.microsoft:peek-message", operation
        wanted = request.body
        found = [kept for kept in self.messages(entity) if kept.number >= int(wanted["from-sequence-number"])][
            : int(wanted["message-count"])
        ]
        body = {"messages": [{"message": kept.message().encode()} for kept in found]}
        properties = {"statusCode": int32(200 if found else 204), "statusDescription": "OK"}
        answer.send(Message(correlation_id=request.id, properties=properties, body=body if found else None))

    def _deliver(self) -> None:
        with self._lock:
            for entity, senders in self._senders.items():
                for sender in senders:
                    for kept in self._queues.get(entity, []):
                        if sender.credit and not kept.locked and sender.state & Endpoint.REMOTE_ACTIVE:
                            self._lend(entity, sender, kept)

    def _lend(self, entity: str, sender: Any, kept: Kept) -> None:
        token = uuid.uuid4()
        kept.locked = True
        delivery = sender.delivery(token.hex[:16])
        self._lent[delivery.tag] = entity, kept
        sender.stream(kept.message().encode())
        sender.advance()

    def on_delivery(self, event: Any) -> None:
        delivery = event.delivery
        lent = self._lent.pop(delivery.tag, None) if event.link.is_sender and delivery.updated else None
        if lent is None:
            return
        with self._lock:
            self._settle(*lent, delivery)
        delivery.settle()
        self._deliver()

    def _settle(self, entity: str, kept: Kept, delivery: Any) -> None:
        queue, outcome = self._queues[entity], delivery.remote_state
        kept.locked = False
        if outcome == Delivery.ACCEPTED:
            queue.remove(kept)
            self.settled.append("completed")
        elif outcome == Delivery.REJECTED:
            condition = delivery.remote.condition
            info = {str(name): value for name, value in (condition.info or {}).items()} if condition else {}
            queue.remove(kept)
            self._bury(entity, kept, info)
            self.settled.append("dead-lettered")
        else:
            kept.deliveries += bool(delivery.remote.failed)
            self.settled.append("abandoned" if delivery.remote.failed else "released")
            if kept.deliveries >= MOST_DELIVERIES and not entity.endswith(DEAD):
                queue.remove(kept)
                self._bury(entity, kept, {"DeadLetterReason": "MaxDeliveryCountExceeded"})
        delivery.update(delivery.remote_state)

    def _bury(self, entity: str, kept: Kept, why: dict[str, Any]) -> None:
        kept.properties = {**kept.properties, **why}
        self._queues.setdefault(entity + DEAD, []).append(kept)

    def on_link_closing(self, event: Any) -> None:
        for senders in self._senders.values():
            senders[:] = [sender for sender in senders if sender.name != event.link.name]

    def on_disconnected(self, event: Any) -> None:
        connection = event.connection
        self._let_in.discard(connection.remote_container)
        for senders in self._senders.values():
            senders[:] = [
                sender for sender in senders if sender.connection.remote_container != connection.remote_container
            ]
        self._forget_locks()

    def _forget_locks(self) -> None:
        with self._lock:
            for queue in self._queues.values():
                for kept in queue:
                    kept.locked = False


def _entity(address: str) -> str:
    """`amqps://host/queue` and `queue` are the same."""
    return address.split("//", 1)[1].split("/", 1)[1] if "//" in address else address.lstrip("/")


def _text(value: Any) -> str:
    return bytes(value).decode() if isinstance(value, bytes | memoryview) else str(value)


def shared_key(name: str, key: str) -> Callable[[str], bool]:
    """Believe signatures of one shared access policy."""

    def believes(token: str) -> bool:
        if not token.startswith("SharedAccessSignature "):
            return False
        parts = {name: value[0] for name, value in parse_qs(token.split(" ", 1)[1]).items()}
        signed = f"{_quoted(token, 'sr')}\n{parts['se']}".encode()
        wanted = base64.b64encode(hmac.digest(key.encode(), signed, hashlib.sha256)).decode()
        return parts["skn"] == name and hmac.compare_digest(wanted, parts["sig"]) and int(parts["se"]) > time.time()

    return believes


def _quoted(token: str, name: str) -> str:
    """A part of a signature as it was written, percent signs and all: so it was signed."""
    return next(part.split("=", 1)[1] for part in token.split(" ", 1)[1].split("&") if part.startswith(f"{name}="))
