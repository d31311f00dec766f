"""What the OData core does with answers no system should give, and what it shows of every request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from dynamics.core import telemetry
from dynamics.core.auth import ClientCredentials, Credentials
from dynamics.core.batch import ChangeSet, Read, Write
from dynamics.core.circuit import OPENS_AFTER, TRIALS
from dynamics.core.errors import NotFound, System, Transient, Unauthorized, UnknownOutcome
from dynamics.core.odata import ODataClient
from dynamics.core.telemetry import on_behalf_of
from dynamics.core.transport import Endpoint, operation_of


class FixedToken:
    """A token that is always good."""

    async def token(self) -> str:
        return "t0k3n"

    def drop(self, token: str) -> None:
        raise AssertionError("no answer of these tests refuses the token")


@asynccontextmanager
async def server(*answers: Callable[[str], bytes]) -> AsyncIterator[tuple[ODataClient, list[str]]]:
    """A server that gives the same bytes in turn, whatever is asked; the client of it, and what was asked."""
    asked: list[str] = []
    given = iter(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        asked.append(head)
        if (length := [line for line in head.split("\r\n") if line.lower().startswith("content-length")]) != []:
            await reader.readexactly(int(length[0].split(":")[1]))
        host = next(line for line in head.split("\r\n") if line.lower().startswith("host:"))
        writer.write(next(given)(host.split(": ")[1]))
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    origin = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    shape: Any = {"service_path": "data", "headers": {}, "max_batch": 100, "trial": "small"}
    client = ODataClient(System.FINANCE, Endpoint(origin), FixedToken(), **shape)
    async with listening, client:
        yield client, asked


def answer(
    body: bytes, content_type: str = "application/json", status: str = "200 OK", *headers: str
) -> Callable[[str], bytes]:
    """An HTTP answer; ORIGIN in its body stands for the host that was asked."""

    def given(host: str) -> bytes:
        content = body.replace(b"ORIGIN", host.encode())
        lines = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", f"Content-Length: {len(content)}", *headers]
        return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + content

    return given


async def test_a_page_offered_twice_is_not_followed_for_ever() -> None:
    async with server(
        *[answer(b'{"value":[{"a":1}],"@odata.nextLink":"http://ORIGIN/data/rows?$skiptoken=1"}')] * 4
    ) as (client, asked):
        with pytest.raises(Transient, match="twice"):
            await client.all_rows("rows")
    assert len(asked) == 2


async def test_our_token_never_follows_a_link_to_another_origin() -> None:
    async with server(answer(b'{"value":[],"@odata.nextLink":"https://elsewhere.example/data/rows"}')) as (
        client,
        asked,
    ):
        with pytest.raises(ValueError, match="leaves"):
            await client.all_rows("rows")
    assert len(asked) == 1


async def test_an_answer_that_cannot_be_read_leaves_a_write_in_doubt_and_a_read_to_be_repeated() -> None:
    html = answer(b"<html>signed in elsewhere", "text/html")
    async with server(html, html) as (client, _):
        with pytest.raises(UnknownOutcome):
            await client.action("confirm", {})
        with pytest.raises(Transient):
            await client.get("rows")


async def test_a_batch_answered_by_something_else_is_in_doubt_only_if_it_wrote() -> None:
    odd = answer(b"{}")
    async with server(odd, odd) as (client, _):
        with pytest.raises(UnknownOutcome):
            await client.batch([ChangeSet((Write("POST", "rows", {}),))])
        with pytest.raises(Transient):
            await client.batch([Read("rows")])


async def test_a_change_set_with_too_few_answers_is_in_doubt() -> None:
    inner = "--c\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n\r\n--c--\r\n"
    body = f"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n{inner}--b--\r\n".encode()
    async with server(answer(body, "multipart/mixed; boundary=b")) as (client, _):
        made, missing = await client.batch(
            [ChangeSet((Write("POST", "rows", {}), Write("POST", "rows", {}))), ChangeSet((Write("POST", "x", {}),))]
        )
    assert isinstance(made.error, UnknownOutcome) and isinstance(missing.error, UnknownOutcome)


async def test_an_error_outside_still_carries_the_parts() -> None:
    body = (
        b"--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 404 Not Found\r\n\r\n"
        b'{"error":{"code":"","message":"gone"}}\r\n--b--\r\n'
    )
    async with server(answer(body, "multipart/mixed; boundary=b", "404 Not Found")) as (client, _):
        (read,) = await client.batch([Read("rows(1)")])
    assert isinstance(read.error, NotFound)


async def test_every_request_is_a_span_that_names_the_deal_and_no_customer(monkeypatch: pytest.MonkeyPatch) -> None:
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(telemetry, "_tracer", provider.get_tracer("test"))
    throttled = answer(b"", "text/plain", "429 Too Many Requests", "Retry-After: 7", "ms-dyn-aid: abc")
    async with server(answer(b'{"a":1}'), throttled) as (client, asked):
        with on_behalf_of("usmf", "QUO-1"):
            await client.get("CustomersV3(dataAreaId='usmf',CustomerAccount='US-001')")
        with pytest.raises(Transient):
            await client.get("CustomersV3")
    first, second = spans.get_finished_spans()
    assert first.name == "GET finance CustomersV3"
    seen: dict[str, Any] = dict(first.attributes or {})
    assert (seen["q2c.company"], seen["q2c.quote"], seen["http.response.status_code"]) == ("usmf", "QUO-1", 200)
    assert not any("US-001" in str(value) for value in seen.values())
    later: dict[str, Any] = dict(second.attributes or {})
    assert (later["q2c.retry_after"], later["q2c.request_id"]) == ("7", "abc") and "q2c.company" not in later
    assert all("traceparent: 00-" in head for head in asked)


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("quotes(0b3e)?$select=x", "quotes"),
        ("SalesOrderHeadersV4?cross-company=true", "SalesOrderHeadersV4"),
        ("", "service document"),
        ("Q2CServiceGroup/Q2CPostingService/confirm", "Q2CServiceGroup/Q2CPostingService/confirm"),
    ],
)
def test_an_operation_is_named_without_keys(path: str, operation: str) -> None:
    assert operation_of(path) == operation


# --- tokens ---------------------------------------------------------------------------------------------------------


class Entra:
    """What MSAL would answer, counted."""

    def __init__(self) -> None:
        self.asked = 0
        self.away = False

    def __call__(self) -> dict[str, Any]:
        self.asked += 1
        if self.away:
            raise Transient("no route", system=System.ENTRA)
        return {"access_token": f"token {self.asked}", "expires_in": 3600}


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch) -> tuple[ClientCredentials, Entra, list[float]]:
    now = [0.0]
    source = ClientCredentials(Credentials("https://x/t", "id", "secret"), "https://x/", clock=lambda: now[0])
    entra = Entra()
    monkeypatch.setattr(source, "_acquire", entra)
    return source, entra, now


async def test_a_token_is_renewed_before_it_ends(tokens: tuple[ClientCredentials, Entra, list[float]]) -> None:
    source, entra, now = tokens
    assert [await source.token(), await source.token()] == ["token 1", "token 1"]
    now[0] = 3299.0
    assert await source.token() == "token 1"
    now[0] = 3301.0
    assert await source.token() == "token 2"
    assert entra.asked == 2


async def test_a_token_still_good_is_used_on_while_entra_is_away(
    tokens: tuple[ClientCredentials, Entra, list[float]],
) -> None:
    source, entra, now = tokens
    await source.token()
    entra.away, now[0] = True, 3400.0
    assert await source.token() == "token 1"
    now[0] = 3600.0
    with pytest.raises(Transient):
        await source.token()


async def test_an_entra_that_is_away_is_left_alone_and_asked_again(
    tokens: tuple[ClientCredentials, Entra, list[float]],
) -> None:
    source, entra, now = tokens
    entra.away = True
    for _ in range(OPENS_AFTER + 10):
        with pytest.raises(Transient):
            await source.token()
    assert entra.asked == OPENS_AFTER
    entra.away, now[0] = False, TRIALS[0]
    assert await source.token() == f"token {OPENS_AFTER + 1}"


async def test_only_the_refused_token_is_dropped(tokens: tuple[ClientCredentials, Entra, list[float]]) -> None:
    source, _, _ = tokens
    await source.token()
    source.drop("another")
    assert await source.token() == "token 1"
    source.drop("token 1")
    assert await source.token() == "token 2"


def test_a_secret_is_not_shown() -> None:
    assert "s3cret" not in repr(Credentials("https://x/t", "id", "s3cret"))


async def test_an_authority_that_is_not_there_is_transient() -> None:
    credentials = Credentials("https://localhost:9/tenant", "id", "secret", instance_discovery=False)
    with pytest.raises((Transient, Unauthorized)) as failure:
        await ClientCredentials(credentials, "https://x").token()
    assert failure.value.system is System.ENTRA
