"""A deal's whole surroundings in one process: the real workflows and activities, the real sandbox over HTTP.

Only the web application is left out: what Dynamics reports goes through the same intake, what people say is signed with
the same key. Between Dynamics and the intake stands a post office, which delivers when and as often as it is told to.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from domain.feeds import FeedView
from domain.messages import SignedMessage
from domain.people import Person
from domain.sign_in import SignIn
from dynamics import webhooks
from ledger.database import open_database
from ledger.reads import AuditReader
from runs import names
from runs.deals import Deals
from runs.feeds import Feeds
from sandbox.desk.requests import EndpointsRequest, EventsEndpoint, WebhookEndpoint
from sandbox.runtime import Sandbox, SandboxConfig, running
from sandbox.serving import HttpServer
from tests.deadlines import PATIENCE
from tests.workflows.conftest import dev_server
from web.identity import SignedIn
from web.intake.reports import Reports, System
from web.signing import DecisionSigner
from workers.composition import compose
from workers.keys import ensure_decision_keys
from workers.rules import load_policy
from workers.settings import (
    DataverseSettings,
    DecisionSettings,
    EntraSettings,
    FinanceSettings,
    LedgerSettings,
    Settings,
    WorkerSettings,
)
from workers.worker import build_workers

COMPANY = "usmf"
SWEEPS = 3600
"""Seconds between two sweeps; a sweep is made by moving the feeds' clocks."""
FAST = {"requests_per_second": 200.0, "activities_per_second": 400.0}


@dataclass(frozen=True)
class Letter:
    """One report as Dynamics sent it."""

    system: System
    body: bytes

    @property
    def kind(self) -> str:
        """Name of a business event, or of the message of a webhook."""
        told = webhooks.json_object(self.body)
        return str(told.get("BusinessEventId") or told.get("MessageName"))


@dataclass
class PostOffice:
    """Takes what Dynamics reports, and hands it to the intake at once unless it holds it."""

    reports: Reports
    holds: bool = False
    copies: int = 1
    held: list[Letter] = field(default_factory=list)
    on_the_way: int = 0

    async def receive(self, request: Request) -> Response:
        """202, as the intake answers."""
        system = System.DATAVERSE if request.url.path.endswith("dataverse") else System.FINANCE
        letter = Letter(system, await request.body())
        if self.holds:
            self.held.append(letter)
        else:
            await self.deliver(letter)
        return Response(status_code=202)

    async def deliver(self, letter: Letter) -> None:
        """Hand it to the product as often as letters come."""
        self.on_the_way += 1
        try:
            for _ in range(self.copies):
                await self.reports.take(letter.system, letter.body)
        finally:
            self.on_the_way -= 1


class LifeWorld:
    """Where deals live."""

    def __init__(self, env: WorkflowEnvironment, sandbox: Sandbox, settings: Settings) -> None:
        """Use a running server and a running sandbox."""
        self.env, self.sandbox, self.settings = env, sandbox, settings
        self.client: Client = env.client
        companies = load_policy(settings).entity_map.business_units
        self.companies = sorted(set(companies.values()))
        self.reports = Reports.through(self.client, companies, shadow=(), sweep_seconds=SWEEPS)
        self.post = PostOffice(self.reports)
        self.deals = Deals(self.client)
        self.signer = DecisionSigner.from_file(settings.decision.private_key_file)
        self._working: AsyncExitStack | None = None

    @property
    def works(self) -> bool:
        """Whether a worker runs."""
        return self._working is not None

    async def start_work(self) -> None:
        """From now on a worker runs, as a process of production would: new clients, new connections."""
        if self._working is None:
            self._working = AsyncExitStack()
            work = compose(self.settings, self.client)
            self._working.push_async_exit(work.connections)
            for worker in build_workers(self.client, self.settings, work):
                await self._working.enter_async_context(worker)

    async def stop_work(self) -> None:
        """From now on none does; what is said meanwhile is stored; activities under way end first."""
        if self._working is not None:
            working, self._working = self._working, None
            await working.aclose()

    async def sweep(self) -> None:
        """Let the feeds look at both systems now, and wait until Finance's has."""
        feeds = [self.client.get_workflow_handle(names.feed_id("finance", COMPANY))]
        feeds += [self.client.get_workflow_handle(names.feed_id("sales", table)) for table in ("quote", "salesorder")]
        before = [await _next_sweep(feed) for feed in feeds]
        for feed in feeds:
            await self.env.fast_forward(feed, timedelta(seconds=SWEEPS + 1))
        for feed, last in zip(feeds, before, strict=True):

            async def swept(feed: Any = feed, last: datetime | None = last) -> bool:
                return await _next_sweep(feed) != last

            await eventually(swept, "the feed has swept")

    def sign(self, name: str, audience: str, action: str, **args: Any) -> SignedMessage:
        """What a person of the sandbox says, as the web application signs it."""
        user = self.sandbox.directory.people[name]
        person = Person(oid=user.oid, name=user.display_name, upn=user.upn, roles=user.roles)
        who = SignedIn(person=person, sign_in=SignIn(at=datetime.now(UTC), methods=("pwd", "mfa")))
        return self.signer.sign(audience=audience, message_id=str(uuid.uuid4()), who=who, action=action, args=args)

    @asynccontextmanager
    async def audit(self) -> AsyncIterator[AuditReader]:
        """The audit as it is stored."""
        database = await open_database(self.settings.ledger.url.get_secret_value())
        yield AuditReader(database)
        await database.close()


async def _next_sweep(feed: Any) -> datetime | None:
    view: FeedView = await feed.query(names.STATE, result_type=FeedView)
    return view.next_sweep_at


async def eventually(look: Callable[[], Awaitable[object]], what: str, patience: float = PATIENCE) -> None:
    """Wait until a look finds what it looks for."""
    deadline = time.monotonic() + patience
    while not await look():
        assert time.monotonic() < deadline, f"not so after {patience:.0f} s: {what}"
        await asyncio.sleep(0.05)


@asynccontextmanager
async def life_world(folder: Path, *, works: bool = True) -> AsyncIterator[LifeWorld]:
    """Everything, running; without a worker where ``works`` says so."""
    ensure_decision_keys(folder / "private.json", folder / "public.json")
    async with dev_server() as env, running(SandboxConfig(state_dir=folder / "sandbox")) as sandbox:
        world = LifeWorld(env, sandbox, _settings(folder, sandbox))
        post = HttpServer("post", "127.0.0.1", 0, None)
        receive = world.post.receive
        await post.start(
            Starlette(routes=[Route(f"/{of}", receive, methods=["POST"]) for of in ("dataverse", "finance")])
        )
        sandbox.desk.set_endpoints(
            EndpointsRequest(
                dataverse_webhook=WebhookEndpoint(f"{post.origin}/dataverse", "key"),
                finance_events=EventsEndpoint(f"{post.origin}/finance"),
            )
        )
        if works:
            await world.start_work()
        await Feeds(world.client, every_seconds=SWEEPS).ensure(world.companies)
        try:
            yield world
        finally:
            await world.stop_work()
            await post.stop()


def _settings(folder: Path, sandbox: Sandbox) -> Settings:
    info = sandbox.info
    return Settings(
        _env_file=None,
        state_dir=folder,
        ca_file=Path(info.ca_file),
        entra=EntraSettings(
            url=info.entra, tenant=info.tenant, client_id=info.client_id, client_secret=SecretStr(info.client_secret)
        ),
        dataverse=DataverseSettings(url=info.dataverse, **FAST),
        finance=FinanceSettings(url=info.finance, **FAST),
        decision=DecisionSettings(private_key_file=folder / "private.json", public_keys_file=folder / "public.json"),
        ledger=LedgerSettings(url=SecretStr(f"sqlite:///{folder / 'ledger.db'}")),
        worker=WorkerSettings(graceful_shutdown_seconds=5, sweep_seconds=SWEEPS),
    )
