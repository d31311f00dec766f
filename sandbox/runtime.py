"""The sandbox as one object: start it, know where everything is, stop it.

Entra ID, Dataverse, Finance and the desk share one process and one event loop, each on an origin of its own. The three
systems speak TLS; the desk is plain HTTP on loopback. Ids of tenant and applications never change; secrets, ports and
the signing key can be kept, so that a sandbox that is started again is the same to its clients.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from joserfc.jwk import RSAKey
from starlette.types import ASGIApp

from sandbox import tls
from sandbox.data import bulk, fixtures, northwind
from sandbox.data.model import Dataset
from sandbox.dataverse import Dataverse
from sandbox.dataverse import build_app as dataverse_app
from sandbox.desk.app import build_app as desk_app
from sandbox.desk.desk import Desk
from sandbox.desk.people import SignIn
from sandbox.desk.requests import EndpointsRequest, EventsEndpoint, WebhookEndpoint
from sandbox.entra.app import EntraId
from sandbox.entra.directory import (
    READER_CLIENT_ID,
    SERVICE_CLIENT_ID,
    TENANT_ID,
    WEB_CLIENT_ID,
    Application,
    Directory,
)
from sandbox.entra.routes import build_app as entra_app
from sandbox.entra.routes import page_routes
from sandbox.entra.tokens import TokenAuthority
from sandbox.faults import SYSTEMS, FaultPlan, FaultsAndLog, RequestLog
from sandbox.finance import Finance
from sandbox.finance import build_app as finance_app
from sandbox.journal import Journal, Keeping, Lasting
from sandbox.serving import HttpServer
from sandbox.shelf import ShelfError
from sandbox.store import Clock

ORIGINS = ("entra", "dataverse", "finance", "desk")


@dataclass(frozen=True)
class SandboxConfig:
    """How to start a sandbox.

    Attributes:
        state_dir: certificates and signing key live here, and are taken from here on the next start.
        host: address to listen on; the desk has no authentication, so leave it on loopback unless a container's
            network keeps strangers out.
        public_host: name in the origins, when clients reach the sandbox under another one than localhost.
        ports: port by origin (`entra`, `dataverse`, `finance`, `desk`); 0 or absent takes a free one.
        data: `fixtures`, `empty`, or a folder with Northwind's tables or with those of `sandbox.generate`.
        client_secret: of the product's service application; None generates one.
        web_client_secret: of its web application; None generates one.
        reader_client_secret: of the application that may only read, in bulk; None generates one.
        web_redirect_uris: registered for sign-in; empty allows any loopback address.
        dataverse_webhook: URL and key of the webhook, None until the desk is told.
        finance_events: URL of the business events' endpoint, None until the desk is told.
        quote_link: address of a link on each draft quote at the desk, with `{company}` and `{quote}` in it.
        seed: of the faults' dice.
        journal: file by which it survives being killed (`sandbox.journal`); None keeps everything in memory alone.
        dataverse: settings of the Dataverse environment: `bare`, `application_role`, `pricing_decimal_precision`,
            `change_tracking_days`, `sales_order_integration`, `auditing` (see `sandbox.dataverse.Dataverse`).
    """

    state_dir: Path
    host: str = "127.0.0.1"
    public_host: str | None = None
    ports: dict[str, int] = field(default_factory=dict)
    data: str = "fixtures"
    client_secret: str | None = None
    web_client_secret: str | None = None
    reader_client_secret: str | None = None
    web_redirect_uris: tuple[str, ...] = ()
    dataverse_webhook: tuple[str, str] | None = None
    finance_events: str | None = None
    quote_link: str = ""
    seed: int = 0
    journal: Path | None = None
    dataverse: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SandboxInfo:
    """Where the running sandbox is, and who may use it."""

    entra: str
    dataverse: str
    finance: str
    desk: str
    ca_file: str
    tenant: str
    client_id: str
    client_secret: str
    web_client_id: str
    web_client_secret: str
    reader_client_id: str
    reader_client_secret: str
    users: dict[str, list[str]]

    def ready_line(self) -> str:
        """One line of JSON that tells a parent process everything."""
        return json.dumps({"event": "ready", **asdict(self)})


class Sandbox:
    """Entra ID, Dataverse, Finance and the desk, ready to start.

    `dataverse`, `finance` and `desk` are usable in-process once it runs, which is how tests set a scene.
    """

    _journal: Journal | None = None

    def __init__(self, config: SandboxConfig) -> None:
        """Prepare everything but the servers' tasks; ports are bound here.

        Raises:
            OSError: a port is taken.
            sandbox.data.northwind.NorthwindError: the data folder does not hold Northwind's tables.
            sandbox.shelf.ShelfError: there is to be a journal of rows that lie in files.
        """
        self.config = config
        self.dataset = load_dataset(config.data)
        if config.journal is not None and self.dataset.population is not None:
            raise ShelfError("rows that lie in files have no journal")
        self.clock = Clock(timedelta(0))
        self._tls = tls.prepare(config.state_dir, config.public_host or config.host)
        self._servers = {name: self._bind(name) for name in ORIGINS}
        origins = {name: server.origin for name, server in self._servers.items()}
        self.authority = TokenAuthority(
            origins["entra"], TENANT_ID, key=_signing_key(config.state_dir / "signing-key.json")
        )
        self.directory = Directory(
            applications={
                app.client_id: app
                for app in (
                    Application(SERVICE_CLIENT_ID, "Quote to Cash", config.client_secret or secrets.token_urlsafe(32)),
                    Application(
                        READER_CLIENT_ID,
                        "Quote to Cash reader",
                        config.reader_client_secret or secrets.token_urlsafe(32),
                    ),
                    Application(
                        WEB_CLIENT_ID,
                        "Quote to Cash approvals",
                        config.web_client_secret or secrets.token_urlsafe(32),
                        config.web_redirect_uris,
                        frozenset({"auth_time"}),
                    ),
                )
            }
        )
        self.dataverse = Dataverse(origins["dataverse"], clock=self.clock, **config.dataverse)
        self.finance = Finance(origins["finance"], clock=self.clock)
        self.finance.register_application(SERVICE_CLIENT_ID)
        self.finance.register_application(READER_CLIENT_ID, reads_only=True)
        self.faults = FaultPlan(config.seed)
        self.requests = RequestLog()
        self.desk = Desk(
            dataverse=self.dataverse,
            finance=self.finance,
            directory=self.directory,
            dataset=self.dataset,
            clock=self.clock,
            faults=self.faults,
            requests=self.requests,
            sign_in=SignIn(
                f"{origins['entra']}/{TENANT_ID}",
                WEB_CLIENT_ID,
                self.directory.applications[WEB_CLIENT_ID].secret,
                self._tls.client_context(),
            ),
        )

    @property
    def info(self) -> SandboxInfo:
        """Where everything is."""
        clients = (SERVICE_CLIENT_ID, WEB_CLIENT_ID, READER_CLIENT_ID)
        service, web, reader = (self.directory.applications[client] for client in clients)
        return SandboxInfo(
            **{name: server.origin for name, server in self._servers.items()},
            ca_file=str(self._tls.ca_file.resolve()),
            tenant=TENANT_ID,
            client_id=service.client_id,
            client_secret=service.secret,
            web_client_id=web.client_id,
            web_client_secret=web.secret,
            reader_client_id=reader.client_id,
            reader_client_secret=reader.secret,
            users={person.name: list(person.roles) for person in self.directory.people.values()},
        )

    async def start(self) -> SandboxInfo:
        """Load the data or take it from the journal, serve all four origins, and say where they are."""
        resources = (self.dataverse.origin, self.finance.origin)
        browser_base = self._servers["desk"].origin if self._is_here else ""
        entra = EntraId(self.authority, self.directory, resources, browser_base=browser_base)
        apps = {
            "entra": entra_app(entra),
            "dataverse": dataverse_app(self.dataverse, self.authority),
            "finance": finance_app(self.finance, self.authority),
        }
        journal = self._journal = self._open_journal(entra)
        if journal is None or not journal.recover():
            self._load()
        if journal is not None:
            journal.begin()
        for system in SYSTEMS:
            await self._serve(system, FaultsAndLog(apps[system], system, self.faults, self.requests))
        await self._serve("desk", desk_app(self.desk, page_routes(entra) if self._is_here else []))
        if journal is not None:
            await self.desk.play(self.desk.autopilot.config)
        return self.info

    def _load(self) -> None:
        self.desk.load()
        webhook, events = self.config.dataverse_webhook, self.config.finance_events
        self.desk.set_endpoints(
            EndpointsRequest(
                dataverse_webhook=WebhookEndpoint(*webhook) if webhook else None,
                finance_events=EventsEndpoint(events) if events else None,
                quote_link=self.config.quote_link,
            )
        )

    async def _serve(self, name: str, app: ASGIApp) -> None:
        await self._servers[name].start(app if self._journal is None else Keeping(app, self._journal))

    def _open_journal(self, entra: EntraId) -> Journal | None:
        if self.config.journal is None:
            return None
        desk, dataverse, finance = self.desk, self.dataverse, self.finance
        lasting: dict[str, Lasting] = {
            "schema": dataverse,
            "deletions": dataverse.changes,
            "webhooks": dataverse.webhooks,
            "books": finance.books,
            "events": finance.events,
            "entra": entra,
            "desk": desk,
            "office": desk.office,
            "play": desk.autopilot,
            "played": desk.autopilot.played,
            "deciders": desk.deciders,
        }
        return Journal(self.config.journal, {"dataverse": dataverse.db, "finance": finance.db}, lasting)

    @property
    def _is_here(self) -> bool:
        """Whether browsers are on this machine: then they sign in without TLS, and meet no certificate they doubt."""
        return self.config.public_host is None and self.config.host in ("localhost", "127.0.0.1", "::1")

    async def stop(self) -> None:
        """Stop the autopilot, finish running requests, close all sockets."""
        await self.desk.stop()
        await asyncio.gather(*(server.stop() for server in self._servers.values()))
        await self.dataverse.aclose()
        await self.finance.aclose()
        if self._journal is not None:
            self._journal.close()

    def _bind(self, name: str) -> HttpServer:
        port = self.config.ports.get(name, 0)
        secured = None if name == "desk" else self._tls
        return HttpServer(name, self.config.host, port, secured, public_host=self.config.public_host)


@contextlib.asynccontextmanager
async def running(config: SandboxConfig) -> AsyncIterator[Sandbox]:
    """A sandbox that is started on entry and stopped on exit."""
    sandbox = Sandbox(config)
    await sandbox.start()
    try:
        yield sandbox
    finally:
        await sandbox.stop()


def load_dataset(data: str) -> Dataset:
    """The data set of a name, or of a folder of Northwind's tables or of those `python -m sandbox.generate` writes.

    Args:
        data: `fixtures+FOLDER` holds the sample beside a folder of the generator.

    Raises:
        sandbox.data.northwind.NorthwindError: the folder holds neither.
    """
    beside = data.removeprefix("fixtures+")
    if beside != data and bulk.is_population(Path(beside)):
        return replace(fixtures.sample(), population=Path(beside))
    if data == "fixtures":
        return fixtures.sample()
    if data == "empty":
        return fixtures.empty()
    if bulk.is_population(Path(data)):
        return replace(fixtures.empty(), name="population", sales_users=fixtures.SALES_USERS, population=Path(data))
    return northwind.load(Path(data))


def _signing_key(path: Path) -> RSAKey:
    """The tenant's signing key, kept in the state folder for its owner's eyes only."""
    if path.exists():
        return RSAKey.import_key(json.loads(path.read_text()))
    key = RSAKey.generate_key(2048, {"use": "sig"}, auto_kid=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(key.as_dict(private=True)))
    return key
