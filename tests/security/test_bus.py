"""Reports by Azure Service Bus: Azure's own client over AMQP and TLS, the real intake, a real Temporal.

The broker is tests/servicebus.py. What a message becomes is the same as over HTTPS; here is how it is settled.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from temporalio.client import Client

from cli import bus_checks
from runs import names
from runs.calls import NoAnswer
from sandbox import tls
from sandbox.entra.app import EntraId
from sandbox.entra.directory import SERVICE_CLIENT_ID, TENANT_ID, Application, Directory
from sandbox.entra.routes import build_app
from sandbox.entra.tokens import TokenAuthority
from sandbox.serving import HttpServer
from tests.deadlines import PATIENCE
from tests.servicebus import MOST_DELIVERIES, ServiceBus, shared_key
from tests.webworld import scenes
from tests.webworld.reports import QUOTE_ID, choice, context
from tests.webworld.world import WEBHOOK_KEY, Stage
from web.intake.reports import Reports, System
from workers import bus as receiving
from workers.bus import Receiving, Source, bus_client, dead_letters, reports_of, retry, run_bus, sources
from workers.settings import AzureSettings, BusSettings, EntraSettings, Settings, SettingsError
from workers.telemetry import start_telemetry

KEY = "key-of-the-listening-policy"
RESOURCE = "https://servicebus.azure.net"
CONNECTION = f"Endpoint=sb://localhost/;SharedAccessKeyName=listen;SharedAccessKey={KEY}"


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> tls.TlsFiles:
    return tls.prepare(tmp_path_factory.mktemp("bus"), "127.0.0.1")


@pytest.fixture
def bus(files: tls.TlsFiles) -> Iterator[ServiceBus]:
    with ServiceBus(files.certificate, files.private_key, shared_key("listen", KEY)) as broker:
        yield broker


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "QUIET", 0.5)
    monkeypatch.setattr(receiving, "FIRST_PAUSE", 0.1)
    monkeypatch.setattr(receiving, "LONGEST_PAUSE", 0.5)


def settings_for(bus: ServiceBus, ca_file: Path, **more: Any) -> Settings:
    where = {"endpoint": f"sb://localhost:{bus.port}", "dataverse": "sales", "finance": "posted/q2c"}
    return Settings(ca_file=ca_file, bus=BusSettings(**{"connection_string": SecretStr(CONNECTION), **where, **more}))


@asynccontextmanager
async def received(settings: Settings, temporal: Client, reports: Reports | None = None) -> AsyncIterator[None]:
    """While this lasts, everything the settings name is received."""
    reports = reports or reports_of(settings, temporal)
    async with bus_client(settings) as client:
        tasks = [asyncio.create_task(Receiving(each, reports, temporal).run(client)) for each in sources(settings)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be"
        await asyncio.sleep(0.05)


def submission(quote: str) -> bytes:
    return json.dumps(context(target={"q2c_approvalstatus": choice(100000001)}, quote=quote)).encode()


def invoice(order: str, number: str) -> bytes:
    event = {
        "BusinessEventId": "SalesInvoicePostedBusinessEvent",
        "ControlNumber": 5637144577,
        "EventId": str(uuid.uuid4()),
        "EventTime": "/Date(1795442400000)/",
        "LegalEntity": "USMF",
        "SalesOrderId": order,
        "InvoiceAccount": "US-001",
        "InvoiceId": number,
        "InvoiceAmountInAccountingCurrency": 627.10,
    }
    return json.dumps(event).encode()


@pytest.mark.usefixtures("quick")
async def test_what_dynamics_posts_reaches_its_deal_and_is_then_completed(
    bus: ServiceBus, files: tls.TlsFiles, temporal: Client, stage: Stage
) -> None:
    quote, order = f"BUS-{uuid.uuid4().hex[:6]}", f"Q2C-{uuid.uuid4().hex[:8].upper()}"
    shipping = await stage.deal(scenes.shipping(f"{quote}-S").model_copy(update={"order_number": order}))
    bus.post("sales", submission(quote), **{"http://schemas.microsoft.com/xrm/2011/Claims/EntityLogicalName": "quote"})
    bus.post("posted/Subscriptions/q2c", invoice(order, "INV-B1"))
    async with received(settings_for(bus, files.ca_file), temporal):
        await until(lambda: bus.settled.count("completed") == 2)
    deal = temporal.get_workflow_handle(names.deal_id("usmf", quote))
    assert await deal.query("received") == [f"dv/quote/{QUOTE_ID}/submitted/4711"]
    assert await shipping.query("received") == ["finance/invoice/INV-B1 627.1"]
    assert bus.messages("sales") == bus.dead("sales") == []


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("body", "content_type", "why"),
    [
        (b"{", "application/json", "not JSON"),
        (b"[]", "application/json", "not a JSON object"),
        (b'{"MessageName": "Update"}', "application/json", "PrimaryEntityName"),
        (b"\x40\x06string", "application/msbin1", "message format to JSON"),
        (b'\xef\xbb\xbf<RemoteExecutionContext xmlns="x"/>', "application/xml", "message format to JSON"),
        (b"<RemoteExecutionContext/>", "", "message format to JSON"),
        (b'{"a":' * 20_000, "application/json", "nested too deeply"),
    ],
)
async def test_what_cannot_be_understood_is_kept_with_the_reason(
    bus: ServiceBus, files: tls.TlsFiles, temporal: Client, body: bytes, content_type: str, why: str
) -> None:
    settings = settings_for(bus, files.ca_file, finance="")
    bus.post("sales", body, content_type)
    async with received(settings, temporal):
        await until(lambda: bus.dead("sales"))
    assert bus.messages("sales") == []
    (letter,) = await dead_letters(settings, 10)
    assert (letter.source, letter.reason) == ("sales", "NotUnderstood") and why in letter.description
    assert len(bus.dead("sales")) == 1, "to look at it takes nothing away"


class Moody(Reports):
    """The intake of a web whose Temporal does not answer, for a while."""

    def __init__(self, times: int) -> None:
        self.left, self.took = times, 0

    async def take(self, system: System, body: bytes) -> Any:
        if self.left:
            self.left -= 1
            raise NoAnswer
        self.took += 1


@pytest.mark.usefixtures("quick")
async def test_while_temporal_does_not_answer_a_message_is_put_back_and_not_used_up(
    bus: ServiceBus, files: tls.TlsFiles, temporal: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outage as long as a hundred tries costs a message one of its ten deliveries."""
    asked = 0

    async def check_health(**_: Any) -> bool:
        nonlocal asked
        asked += 1
        if asked < 5:
            raise RuntimeError("Temporal is down")
        return True

    monkeypatch.setattr(temporal.service_client, "check_health", check_health)
    reports = Moody(times=1)
    bus.post("sales", submission("BUS-LATER"))
    async with received(settings_for(bus, files.ca_file, finance=""), temporal, reports):
        await until(lambda: "completed" in bus.settled)
    assert bus.settled.count("abandoned") == 1 and reports.took == 1 and asked >= 5
    assert bus.dead("sales") == []


@pytest.mark.usefixtures("quick")
async def test_a_defect_of_ours_loses_nothing(bus: ServiceBus, files: tls.TlsFiles, temporal: Client) -> None:
    class Broken(Reports):
        def __init__(self) -> None: ...

        async def take(self, system: System, body: bytes) -> Any:
            raise ZeroDivisionError

    bus.post("sales", submission("BUS-BROKEN"))
    settings = settings_for(bus, files.ca_file, finance="")
    async with received(settings, temporal, Broken()):
        await until(lambda: bus.dead("sales"))
    (letter,) = await dead_letters(settings, 10)
    assert (letter.reason, bus.settled.count("abandoned")) == ("MaxDeliveryCountExceeded", MOST_DELIVERIES)


@pytest.mark.usefixtures("quick")
async def test_a_dead_letter_is_handed_over_again_once_its_cause_is_gone(
    bus: ServiceBus, files: tls.TlsFiles, temporal: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def connected(*_: Any) -> Client:
        return temporal

    monkeypatch.setattr(receiving, "connect", connected)
    quote = f"BUS-{uuid.uuid4().hex[:6]}"
    bus.post("sales/$DeadLetterQueue", submission(quote), DeadLetterReason="MaxDeliveryCountExceeded")
    bus.post("sales/$DeadLetterQueue", b"{", DeadLetterReason="NotUnderstood")
    counted = await retry(settings_for(bus, files.ca_file, finance=""), start_telemetry("q2c-bus"), 10)
    assert counted == {"taken": 1, "left": 1}
    assert [kept.body for kept in bus.dead("sales")] == [b"{"]
    assert (await temporal.get_workflow_handle(names.deal_id("usmf", quote)).query("received")) != []


@pytest.mark.usefixtures("quick")
async def test_a_bus_that_breaks_is_connected_again_and_https_does_not_notice(
    bus: ServiceBus, files: tls.TlsFiles, temporal: Client, http: httpx.AsyncClient
) -> None:
    async with received(settings_for(bus, files.ca_file, finance=""), temporal):
        bus.post("sales", submission(f"BUS-{uuid.uuid4().hex[:6]}"))
        await until(lambda: bus.settled.count("completed") == 1)
        bus.break_connections()
        body = context(target={"q2c_approvalstatus": choice(100000001)}, quote=f"BUS-{uuid.uuid4().hex[:6]}")
        answer = await http.post("/intake/dataverse", json=body, headers={"x-q2c-webhook-key": WEBHOOK_KEY})
        assert answer.status_code == 202
        bus.post("sales", submission(f"BUS-{uuid.uuid4().hex[:6]}"))
        await until(lambda: bus.settled.count("completed") == 2)


async def test_a_wrong_key_receives_nothing_and_is_said(bus: ServiceBus, files: tls.TlsFiles) -> None:
    wrong = SecretStr(CONNECTION.replace(KEY, "another"))
    with pytest.raises(SettingsError, match="Q2C_BUS"):
        await dead_letters(settings_for(bus, files.ca_file, finance="", connection_string=wrong), 1)
    assert bus.refused_tokens >= 1


async def test_an_identity_of_entra_receives(files: tls.TlsFiles) -> None:
    server = HttpServer("entra", "127.0.0.1", 0, files)
    authority = TokenAuthority(server.origin, TENANT_ID)
    directory = Directory()
    directory.applications = {SERVICE_CLIENT_ID: Application(SERVICE_CLIENT_ID, "Bus", "secret-of-the-test")}
    await server.start(build_app(EntraId(authority, directory, (RESOURCE,))))

    def believes(token: str) -> bool:
        with suppress(Exception):
            authority.verify(f"Bearer {token}", RESOURCE)
            return True
        return False

    try:
        with ServiceBus(files.certificate, files.private_key, believes) as broker:
            broker.post("sales/$DeadLetterQueue", b"{}", DeadLetterReason="NotUnderstood")
            settings = settings_for(broker, files.ca_file, finance="", connection_string=None, namespace="localhost")
            identity = AzureSettings(
                identity="secret", client_id=SERVICE_CLIENT_ID, client_secret=SecretStr("secret-of-the-test")
            )
            entra = EntraSettings(url=server.origin, tenant=TENANT_ID)
            settings = settings.model_copy(update={"azure": identity, "entra": entra})
            assert [letter.reason for letter in await dead_letters(settings, 10)] == ["NotUnderstood"]
    finally:
        await server.stop()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (BusSettings(), "Q2C_BUS_DATAVERSE, Q2C_BUS_FINANCE"),
        (BusSettings(finance="a/b/c"), "Q2C_BUS_FINANCE: 'a/b/c'"),
        (BusSettings(finance="queue"), "Q2C_BUS_NAMESPACE"),
        (BusSettings(finance="queue", connection_string=SecretStr("nonsense")), "Q2C_BUS_CONNECTION_STRING"),
    ],
)
async def test_what_is_missing_is_named(settings: BusSettings, named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        await dead_letters(Settings(bus=settings), 1)


def test_a_subscription_of_a_topic_is_named_with_its_topic() -> None:
    assert Source.read(System.FINANCE, "posted/q2c") == Source(System.FINANCE, "posted", "q2c")


# Health


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


async def health(settings: Settings, path: str = "ready") -> tuple[int, str]:
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"http://127.0.0.1:{settings.bus.health_port}/health/{path}")
    return answer.status_code, answer.text


@asynccontextmanager
async def running(settings: Settings, temporal: Client, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """The process of `q2c bus` in this one; it is told to stop by SIGTERM, and must end by itself."""

    async def connected(*_: Any) -> Client:
        return temporal

    monkeypatch.setattr(receiving, "connect", connected)
    process = asyncio.create_task(run_bus(settings, start_telemetry("q2c-bus", environment={})))

    async def listens() -> bool:
        with suppress(httpx.TransportError):
            return (await health(settings, "live"))[0] == 200
        return False

    while not process.done() and not await listens():
        await asyncio.sleep(0.05)
    try:
        yield process
    finally:
        if not process.done():
            os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait([process], timeout=PATIENCE)


async def becomes(settings: Settings, status: int) -> str:
    deadline = time.monotonic() + PATIENCE
    while True:
        found, text = await health(settings)
        if found == status:
            return text
        assert time.monotonic() < deadline, f"{found} {text}"
        await asyncio.sleep(0.1)


@pytest.mark.usefixtures("quick")
async def test_the_process_is_live_always_and_ready_while_it_receives(
    files: tls.TlsFiles, temporal: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    takes, lets_in = shared_key("listen", KEY), [True]
    with ServiceBus(files.certificate, files.private_key, lambda token: lets_in[0] and takes(token)) as broker:
        settings = settings_for(broker, files.ca_file, finance="", health_port=free_port())
        async with running(settings, temporal, monkeypatch) as process:
            await becomes(settings, 200)
            checks = [check async for check in bus_checks.run(settings)]
            assert [(check.name, check.status) for check in checks] == [("Service Bus sales", "ok"), ("bus", "ok")]
            broker.post("sales", b"{")
            await until(lambda: broker.dead("sales"))
            [source, _] = [check async for check in bus_checks.run(settings)]
            assert source.status == "failed" and "1 dead letters" in source.text and "retry" in source.remedy
            lets_in[0] = False
            broker.break_connections()
            text = await becomes(settings, 503)
            assert "sales: the bus does not answer" in text
            assert (await health(settings, "live"))[0] == 200
            [source, bus_process] = [check async for check in bus_checks.run(settings)]
            assert source.status == bus_process.status == "failed"
        assert process.result() == 0


@pytest.mark.usefixtures("quick")
async def test_the_process_ends_where_receiving_ends_by_itself(
    bus: ServiceBus, files: tls.TlsFiles, temporal: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would look alive and receive nothing; ended, it is started again."""

    async def breaks(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Receiving, "run", breaks)
    settings = settings_for(bus, files.ca_file, finance="", health_port=free_port())
    async with running(settings, temporal, monkeypatch) as process:
        await asyncio.wait([process], timeout=PATIENCE)
        assert process.result() == 1


async def test_the_doctor_says_nothing_of_a_bus_that_is_not_set() -> None:
    assert [check async for check in bus_checks.run(Settings())] == []


async def test_the_doctor_says_what_is_wrong_with_a_bus(bus: ServiceBus, files: tls.TlsFiles) -> None:
    wrong = SecretStr(CONNECTION.replace(KEY, "another"))
    settings = settings_for(bus, files.ca_file, finance="", connection_string=wrong, health_port=free_port())
    [source, process] = [check async for check in bus_checks.run(settings)]
    assert source.status == "failed" and "Q2C_BUS" in source.text and "Data Receiver" in source.remedy
    assert process.status == "not checked" and "q2c bus" in process.text
    [impossible] = [check async for check in bus_checks.run(Settings(bus=BusSettings(finance="a/b/c")))]
    assert impossible.status == "failed" and "Q2C_BUS_FINANCE" in impossible.text
