"""Clients that are slow on purpose, by real sockets against a real process: each connection ends, and nobody waits."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from pydantic import SecretStr
from temporalio.client import Client

from tests.deadlines import PATIENCE
from tests.webworld.world import EVENTS_SECRET, Tenant
from web.config import WebConfig
from web.route_limits import LIMITS
from workers.patience import HEADER_BYTES, HEADER_SECONDS, IDLE_SECONDS, REST_SECONDS

ATTACKERS = 40
GRACE = 8.0
"""Seconds that a loaded machine may add to a limit."""


@dataclass
class Served:
    """The process, to be spoken to."""

    port: int

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def drip(self, first: bytes, drop: bytes, every: float = 0.5) -> tuple[float, bytes]:
        """Send a beginning, then a drop again and again; how long the connection lasted, and what came back."""
        reader, writer = await self.connect()
        began = time.monotonic()
        writer.write(first)
        answer = asyncio.create_task(everything(reader))
        try:
            while not answer.done():
                writer.write(drop)
                await writer.drain()
                await asyncio.wait([answer], timeout=every)
        except ConnectionError:
            pass
        came = await answer
        lasted = time.monotonic() - began
        writer.close()
        return lasted, came


async def everything(reader: asyncio.StreamReader) -> bytes:
    """What comes until the connection ends, gently or not."""
    came = b""
    try:
        while part := await reader.read(4096):
            came += part
    except ConnectionError:
        pass
    return came


@pytest.fixture(scope="module")
async def served(config: WebConfig, temporal: Client, tenant: Tenant) -> AsyncIterator[Served]:
    """The application in a process of its own, by the server of production."""
    values = {
        name: [secret.get_secret_value() for secret in value] if isinstance(value, tuple) else value
        for name, value in config
        if name != "policy"
    }
    plain = {name: v.get_secret_value() if isinstance(v, SecretStr) else v for name, v in values.items()}
    given = {"temporal": temporal.service_client.config.target_host, "config": plain}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.security.web_process",
        json.dumps(given, default=str),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            line = b""
            while not line.strip().isdigit():
                line = await process.stdout.readline()
                assert line, "the process ended"
        yield Served(int(line))
    finally:
        process.terminate()
        await process.wait()


async def honest(served: Served, tenant: Tenant, until: asyncio.Task[object]) -> list[float]:
    """What somebody else waits for an answer, again and again, while a task runs."""
    waits = []
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}", timeout=10) as client:
        while not until.done():
            began = time.monotonic()
            answer = await client.get("/api/v1/approvals", headers=tenant.bearer("mona"))
            assert answer.status_code == 200
            waits.append(time.monotonic() - began)
            await asyncio.sleep(0.5)
    return waits


POST = (
    b"POST /intake/finance?code=" + EVENTS_SECRET.encode() + b" HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\n"
)
BODY_SECONDS = LIMITS["POST /intake/finance"].seconds


SLOW = {
    "a header without end": (b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"X-A: b\r\n", HEADER_SECONDS),
    "an address without end": (b"GET /", b"a", HEADER_SECONDS),
    "a body without end": (POST + b"Content-Length: 1000\r\n\r\n{", b" ", BODY_SECONDS),
    "a chunked body without end": (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", BODY_SECONDS),
}
"""How a request begins, what comes of it again and again, and the seconds it may take. All of them are tried at once:
each only waits for its end."""


async def test_slow_requests_end_in_time_and_an_honest_client_beside_them_is_served(
    served: Served, tenant: Tenant
) -> None:
    attackers = [kind for kind in SLOW for _ in range(ATTACKERS)]
    attack = asyncio.gather(*(served.drip(*SLOW[kind][:2]) for kind in attackers))
    task: asyncio.Task[object] = asyncio.ensure_future(attack)
    waits = await honest(served, tenant, task)
    for kind, (lasted, came) in zip(attackers, await attack, strict=True):
        limit = SLOW[kind][2]
        assert limit - 1 <= lasted <= limit + GRACE, kind
        assert came.startswith(b"HTTP/1.1 408 "), (kind, came[:200])
        assert b"connection: close" in came.lower(), kind
    assert len(waits) >= 3 and max(waits) < 5


async def test_connections_that_are_not_used_end(served: Served) -> None:
    async def says_nothing() -> None:
        began = time.monotonic()
        reader, writer = await served.connect()
        assert await asyncio.wait_for(reader.read(), HEADER_SECONDS + GRACE) == b""
        assert time.monotonic() - began >= HEADER_SECONDS - 1
        writer.close()

    async def is_kept(between: bytes) -> None:
        lasted, came = await served.drip(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n", between, every=1.0)
        assert came.startswith(b"HTTP/1.1 200 "), between
        assert lasted <= max(IDLE_SECONDS, HEADER_SECONDS) + GRACE, between

    await asyncio.gather(says_nothing(), is_kept(b""), is_kept(b"\r\n"))


async def test_the_rest_of_a_body_that_was_refused_is_not_waited_for(served: Served) -> None:
    """uvicorn alone waits for it forever: every byte that comes makes it forget how long it has waited."""
    refused = POST.replace(EVENTS_SECRET.encode(), b"wrong") + b"Content-Length: 1000000\r\n\r\n"
    lasted, came = await served.drip(refused, b" ")
    assert came.startswith(b"HTTP/1.1 401 ")
    assert lasted <= REST_SECONDS + GRACE


async def test_a_header_beyond_all_measure_is_refused(served: Served) -> None:
    line = b"X-A: " + b"b" * 1000 + b"\r\n"
    reader, writer = await served.connect()
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
    try:
        for _ in range(2 * HEADER_BYTES // len(line)):
            writer.write(line)
            await writer.drain()
        came = await asyncio.wait_for(reader.read(), PATIENCE)
    except ConnectionError:
        came = b"HTTP/1.1 431 "  # the rest of the header met a closed connection before the answer was read
    assert came.startswith(b"HTTP/1.1 431 ")
    writer.close()


async def test_a_body_larger_than_its_address_takes_is_refused_before_it_comes(served: Served) -> None:
    length = LIMITS["POST /intake/finance"].body + 1
    lasted, came = await served.drip(POST + f"Content-Length: {length}\r\n\r\n".encode(), b" ")
    assert came.startswith(b"HTTP/1.1 413 ") and b"TOO_LARGE" in came
    assert lasted <= REST_SECONDS + GRACE
