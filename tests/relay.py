"""Stands between Dynamics and the product's intake, and delivers what Dynamics said as often and as late as wanted.

The bodies and headers are Dynamics' own; only when, how often and in which order they arrive is played. Real webhooks
and business events promise no more: at least once, in no order.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.stack import Stack


@dataclass(frozen=True)
class Delivery:
    """One webhook call or business event as it was sent."""

    path: str
    headers: dict[str, str]
    content: bytes

    @property
    def body(self) -> dict[str, Any]:
        """The JSON it carries."""
        decoded: dict[str, Any] = json.loads(self.content)
        return decoded

    def concerns(self, *texts: str) -> bool:
        """Whether it names any of these (a quote's id, an order's number)."""
        content = self.content.decode()
        return any(text and text in content for text in texts)


@dataclass
class Relay:
    """Everything that was sent since it began; webhooks are passed on at once unless held, business events are held."""

    web: str
    holds_webhooks: bool = False
    webhooks: list[Delivery] = field(default_factory=list)
    events: list[Delivery] = field(default_factory=list)
    taken: list[Delivery] = field(default_factory=list)
    looked_at: list[Delivery] = field(default_factory=list)
    """What names only its record, e.g. a quote won: the feed reads that. Two of one record may be read at once."""
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30, trust_env=False))

    def deliver(self, delivery: Delivery, times: int = 1) -> None:
        """Hand it to the product so many times; what it takes is noted in `taken`, what it looks up in `looked_at`."""
        for _ in range(times):
            answer = self.http.post(self.web + delivery.path, content=delivery.content, headers=delivery.headers)
            assert answer.status_code == 202, answer.text
            kept = {"taken": self.taken, "feed": self.looked_at}.get(answer.json()["status"])
            if kept is not None:
                kept.append(delivery)

    def event(self, name: str, position: int = 0) -> Delivery:
        """A held business event of this class, counted from the first that was sent."""
        return [event for event in self.events if event.body["BusinessEventId"] == name][position]

    def receive(self, delivery: Delivery) -> int:
        """Take what Dynamics sends; the status it is answered with."""
        if delivery.path.startswith("/intake/dataverse"):
            self.webhooks.append(delivery)
            if not self.holds_webhooks:
                self.deliver(delivery)
        else:
            self.events.append(delivery)
        return 202


@contextmanager
def relay(stack: Stack) -> Iterator[Relay]:
    """Send what both systems report through a relay while the block runs."""
    endpoints = stack.desk.get("/endpoints")
    between = Relay(stack.ready["web"])
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(between))
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()

    def through(url: str) -> str:
        split = urlsplit(url)
        return split._replace(netloc=f"127.0.0.1:{server.server_port}").geturl()

    webhook, events = endpoints["dataverse_webhook"], endpoints["finance_events"]
    try:
        stack.desk.put(
            "/endpoints",
            {
                "dataverse_webhook": webhook | {"url": through(webhook["url"])},
                "finance_events": {"url": through(events["url"])},
            },
        )
        yield between
    finally:
        stack.desk.put("/endpoints", endpoints)
        server.shutdown()
        serving.join(10)
        server.server_close()
        between.http.close()


def _handler(between: Relay) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            kept = {k: v for k, v in self.headers.items() if k.lower().startswith("x-") or k.lower() == "content-type"}
            self.send_response(between.receive(Delivery(self.path, kept, content)))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing on standard error."""

    return Handler
