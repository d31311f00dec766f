"""Stands between Dynamics and the product's intake in a chaos run: what both systems tell is lost, late, triple, or out
of order there, as on a real network.

Bodies and headers are Dynamics' own. What has no fate is handed on at once, and answered as the product answers.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from demo.desk import Desk
from workers.serving import serve

LATE_SECONDS: Final = (2.0, 8.0)
OVERTAKEN_WITHIN: Final = 5.0
"""Seconds after which what waits to be overtaken goes on its way all the same."""
_TIMEOUT: Final = 30.0


class Fate(StrEnum):
    """What becomes of one webhook or business event."""

    LOST = "lost"
    LATE = "late"
    TRIPLE = "delivered three times"
    OVERTAKEN = "overtaken by the next"


@dataclass(frozen=True)
class Delivery:
    """One webhook or business event as it was sent."""

    target: str
    headers: dict[str, str]
    content: bytes


class Relay:
    """Takes what is sent, and deals out fates that are due."""

    def __init__(self, web: str, seed: int) -> None:
        """Hand on to the product's web application at the origin `web`."""
        self.due: deque[Fate] = deque()
        """Fates of the deliveries to come, one each."""
        self._web = web
        self._chance = random.Random(seed)  # noqa: S311  # it spreads deliveries
        self._http = httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False)
        self._overtaken: list[asyncio.Event] = []
        self._under_way: set[asyncio.Task[None]] = set()
        self._ways = {Fate.LATE: self._late, Fate.TRIPLE: self._triple, Fate.OVERTAKEN: self._behind_the_next}

    async def take(self, request: Request) -> Response:
        """Take one delivery and answer it: one with a fate is taken, whatever becomes of it."""
        kept = ("content-type", "x-")
        headers = {name: value for name, value in request.headers.items() if name.startswith(kept)}
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        delivery = Delivery(target, headers, await request.body())
        if self.due:
            self._meet(delivery, self.due.popleft())
            return Response(status_code=202)
        status = await self._hand_on(delivery)
        for passed in self._overtaken:
            passed.set()
        return Response(status_code=status)

    async def settle(self) -> None:
        """Wait until all that is under way has arrived."""
        self.due.clear()
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def aclose(self) -> None:
        """Drop what is under way."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._http.aclose()

    def _meet(self, delivery: Delivery, fate: Fate) -> None:
        if fate is Fate.LOST:
            return
        task = asyncio.create_task(self._ways[fate](delivery))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _late(self, delivery: Delivery) -> None:
        await asyncio.sleep(self._chance.uniform(*LATE_SECONDS))
        await self._hand_on(delivery)

    async def _triple(self, delivery: Delivery) -> None:
        await asyncio.gather(self._hand_on(delivery), self._hand_on(delivery))
        await self._late(delivery)

    async def _behind_the_next(self, delivery: Delivery) -> None:
        passed = asyncio.Event()
        self._overtaken.append(passed)
        with suppress(TimeoutError):
            await asyncio.wait_for(passed.wait(), OVERTAKEN_WITHIN)
        self._overtaken.remove(passed)
        await self._hand_on(delivery)

    async def _hand_on(self, delivery: Delivery) -> int:
        try:
            answer = await self._http.post(
                self._web + delivery.target, content=delivery.content, headers=delivery.headers
            )
        except httpx.TransportError:
            return 500  # nobody listens: for both systems it is lost
        return answer.status_code


@asynccontextmanager
async def between(desk: Desk, web: str, seed: int) -> AsyncIterator[Relay]:
    """Have both systems tell a relay instead of the product while the block runs."""
    relay = Relay(web, seed)
    app = Starlette(routes=[Route("/{path:path}", relay.take, methods=["POST"])])
    async with serve(app, "127.0.0.1", 0, variables="the relay") as port:
        endpoints = await desk.get("/endpoints")
        webhook, events = endpoints["dataverse_webhook"], endpoints["finance_events"]
        told = {
            "dataverse_webhook": webhook | {"url": _through(webhook["url"], port)},
            "finance_events": events | {"url": _through(events["url"], port)},
        }
        await desk.put("/endpoints", told)
        try:
            yield relay
        finally:
            await relay.aclose()


def _through(url: str, port: int) -> str:
    return urlsplit(url)._replace(netloc=f"127.0.0.1:{port}").geturl()
