"""A client that does not read its answer is let go of in time, and nobody else notices."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from tests.deadlines import PATIENCE
from workers import patience
from workers.serving import serve

PART = b"x" * 65_536
PARTS = 2_000
"""130 MB: more than every buffer on the way."""


class Site:
    """A long answer, and a short one."""

    def __init__(self) -> None:
        self.sent = 0
        self.ended = asyncio.Event()
        self.app = Starlette(routes=[Route("/long", self.long), Route("/short", self.short)])

    async def long(self, _request: Request) -> StreamingResponse:
        return StreamingResponse(self._parts())

    async def short(self, _request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    async def _parts(self) -> AsyncIterator[bytes]:
        try:
            for _ in range(PARTS):
                yield PART
                self.sent += 1
        finally:
            self.ended.set()


async def test_who_does_not_read_is_let_go_in_time_and_others_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "READ_SECONDS", 6.0)
    site = Site()
    async with serve(site.app, "127.0.0.1", 0, variables="Q2C_WEB") as port:
        silent = socket.create_connection(("127.0.0.1", port))
        silent.sendall(b"GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n")
        began = time.monotonic()
        while site.sent == 0:
            await asyncio.sleep(0.05)
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.get(f"http://127.0.0.1:{port}/short")).text == "ok"
        assert site.sent < PARTS and not site.ended.is_set(), "the answer waits for its reader"
        await asyncio.wait_for(site.ended.wait(), PATIENCE)
        assert time.monotonic() - began >= 6.0
        silent.close()


async def test_who_reads_slowly_but_steadily_gets_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "READ_SECONDS", 5.0)
    site = Site()
    async with serve(site.app, "127.0.0.1", 0, variables="Q2C_WEB") as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET /long HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        got = 0
        while part := await reader.read(1 << 20):
            got += len(part)
        writer.close()
    assert site.sent == PARTS and got > PARTS * len(PART)
