"""Every address has limits, refuses other methods by name, and stops who asks too often."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx
import pytest
import structlog
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from temporalio.client import Client

from tests.webworld.browsing import browser
from tests.webworld.world import EVENTS_SECRET, WEBHOOK_KEY, Tenant
from web.app import create_app
from web.config import WebConfig
from web.limits import Rate
from web.route_limits import LIMITS, UNMATCHED, NoLimit, RouteLimit, check_limits, routes_with_methods

__all__ = ["browser"]

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
VALUES = {"company": "usmf", "quote": "Q-1", "account": "US-001", "n": "1", "name": "retry", "oid": "x"}
VALUES |= {"difference": "ab" * 32, "cluster": "cd" * 32, "entity": "customer"}
VALUES |= {
    "list": "deals",
    "view": "1",
    "run": "6c6b1c7e-7c57-4a55-9f1e-0a7f6a8f5b11",
    "do": "pause",
    "kind": "invoice",
}


def address(path: str) -> str:
    filled = re.sub(r"{(\w+)}", lambda found: VALUES[found[1]], path)
    return f"{filled}/site.js" if path == "/static" else filled


@pytest.fixture
async def fresh(config: WebConfig, temporal: Client) -> AsyncIterator[httpx.AsyncClient]:
    """An application of which nobody has asked anything yet."""
    app = create_app(config, temporal)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost:8000") as client:
        yield client


def test_every_route_of_the_application_has_limits(app: Starlette) -> None:
    there = {f"{method} {path}" for path, methods in routes_with_methods(app.routes) for method in methods - {"HEAD"}}
    assert there == set(LIMITS) - {UNMATCHED}
    assert len(there) >= 24
    for key, limit in LIMITS.items():
        assert limit.rate.burst >= 1 and limit.rate.per_second > 0 and 0 < limit.seconds <= 10, key
        assert limit.body <= 1024 * 1024 and (limit.body > 0) is (not key.startswith(("GET ", "OPTIONS "))), key


@pytest.mark.parametrize(
    "route",
    [
        Route("/new", lambda _request: PlainTextResponse("")),
        Route("/any", PlainTextResponse("")),  # any method at all
        Mount("/below", routes=[Route("/new", lambda _request: PlainTextResponse(""), methods=["POST"])]),
    ],
)
def test_an_application_with_a_new_route_without_limits_does_not_start(app: Starlette, route: Route | Mount) -> None:
    with pytest.raises(NoLimit, match="/new|/any"):
        check_limits([*app.routes, route], LIMITS)


def test_a_limit_of_a_route_that_is_gone_is_found(app: Starlette) -> None:
    with pytest.raises(NoLimit, match="GET /gone"):
        check_limits(app.routes, {**LIMITS, "GET /gone": RouteLimit(Rate(1, 1))})


async def test_every_address_names_the_methods_it_takes(config: WebConfig, temporal: Client) -> None:
    app = create_app(config, temporal)
    by_path: dict[str, frozenset[str]] = {}
    for path, methods in routes_with_methods(app.routes):  # an address may have a route for each of its methods
        by_path[path] = by_path.get(path, frozenset()) | methods
    for number, (path, methods) in enumerate(by_path.items()):
        # A quote number may hold slashes: what stands below a deal is read as the number of another one.
        also = {"/api/v1": {"GET"}, "": {"GET", "HEAD"}}["/api/v1" if path.startswith("/api") else ""]
        allowed = {*methods, *(also if path.endswith("/commands/{name}") else ())}
        somebody = httpx.ASGITransport(app=app, client=(f"10.0.0.{number}", 1))  # nobody asks too often
        async with httpx.AsyncClient(transport=somebody, base_url="http://localhost:8000") as http:
            for method in METHODS:
                if method not in allowed:
                    answer = await http.request(method, address(path))
                    assert answer.status_code == 405, (method, path, answer.text)
                    assert set(answer.headers["allow"].split(", ")) == allowed, (method, path)


@pytest.mark.parametrize("key", sorted(LIMITS))
async def test_who_asks_an_address_too_often_is_told_so(config: WebConfig, temporal: Client, key: str) -> None:
    few = {name: RouteLimit(Rate(2, 0.001), limit.body) for name, limit in LIMITS.items()}
    app = create_app(config, temporal, limits=few)
    method, _, path = key.partition(" ") if key != UNMATCHED else ("GET", "", "/no/such/address")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost:8000") as client:
        with structlog.testing.capture_logs() as logs:
            answers = [await client.request(method, address(path)) for _ in range(3)]
        assert [answer.status_code == 429 for answer in answers] == [False, False, True], answers
        assert answers[2].headers["retry-after"]
        assert "default-src 'none'" in answers[2].headers["content-security-policy"]
        (line,) = [line for line in logs if line.get("security") == "limited"]
        assert line["about"] == f"{key} from 127.0.0.1"
        elsewhere = httpx.ASGITransport(app=app, client=("10.0.0.2", 1))
        async with httpx.AsyncClient(transport=elsewhere, base_url="http://localhost:8000") as other:
            assert (await other.request(method, address(path))).status_code != 429


@pytest.mark.parametrize("key", sorted(set(LIMITS) - {UNMATCHED}))
async def test_a_body_larger_than_the_table_says_is_refused_announced_or_not(
    fresh: httpx.AsyncClient, tenant: Tenant, key: str
) -> None:
    method, _, path = key.partition(" ")
    headers = tenant.bearer("mona") | {"x-q2c-webhook-key": WEBHOOK_KEY, "content-type": "application/json"}
    query = f"?code={EVENTS_SECRET}" if path == "/intake/finance" else ""
    size = LIMITS[key].body + 1
    announced = await fresh.request(method, address(path) + query, content=b" " * size, headers=headers)
    assert announced.status_code == 413, announced.text

    async def in_parts() -> AsyncIterator[bytes]:
        for _ in range(0, size, 4096):
            yield b" " * 4096

    # Event Grid shows who it is before its body is read.
    reads_a_body = path.endswith(("/decision", "/commands/{name}")) or path in ("/intake/dataverse", "/intake/finance")
    if reads_a_body and path.startswith(("/api/v1/", "/intake/")):
        streamed = await fresh.request(method, address(path) + query, content=in_parts(), headers=headers)
        assert streamed.status_code == 413, streamed.text
        assert streamed.json()["code"] == "TOO_LARGE" and streamed.headers["connection"] == "close"


@pytest.mark.parametrize("length", ["9" * 5_000, "-1", "1e9", "\u0661"])
async def test_an_odd_announcement_breaks_nothing(fresh: httpx.AsyncClient, length: str) -> None:
    headers = [(b"content-length", length.encode("utf-8")), (b"content-type", b"application/json")]
    answer = await fresh.request("POST", "/intake/finance", headers=headers)
    assert answer.status_code in (401, 413)
