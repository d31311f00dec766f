"""The whole product on this machine: Temporal, sandbox, worker and web, each a process of its own.

`q2c up`, `q2c demo` and the end-to-end tests all start this one stack, so that what a newcomer sees is what is tested.
It supervises as a container platform would: a worker that dies is started again; where Temporal, the sandbox or the web
application dies the stack ends and says so. No process outlives it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx
import structlog

from demo.processes import ChildProcess, free_ports, port_is_free
from demo.temporal_server import NAMESPACE, dev_server_command, wait_ready
from workers.keys import ensure_decision_keys
from workers.settings import Settings

log = structlog.get_logger(__name__)

START_TIMEOUT = 120.0
STOP_TIMEOUT = 20.0
WORKER_GRACE = 5
SANDBOX_BUDGETS = {
    "Q2C_DATAVERSE_REQUESTS_PER_SECOND": "60",
    "Q2C_DATAVERSE_ACTIVITIES_PER_SECOND": "120",
    "Q2C_FINANCE_REQUESTS_PER_SECOND": "60",
    "Q2C_FINANCE_ACTIVITIES_PER_SECOND": "120",
}
"""A sandbox on this machine serves nobody else; the budgets of a tenant would only make a demo slow."""
STEADY_AFTER = 10.0
RESTART_DELAY = 0.2
RESTART_DELAY_MAX = 5.0


class StackFailed(Exception):
    """A part did not start or ended by itself; the text names it, why, and where its log is."""


@dataclass(frozen=True)
class Ports:
    """Loopback ports of the stack."""

    temporal: int = 7233
    temporal_ui: int = 8233
    web: int = 8000
    entra: int = 8443
    dataverse: int = 8444
    finance: int = 8445
    desk: int = 8446
    worker_health: int = 8090

    @classmethod
    def free(cls) -> Ports:
        """Eight ports nobody uses now."""
        return cls(*free_ports(len(cls.__dataclass_fields__)))

    def taken(self) -> dict[str, int]:
        """Name and number of those that somebody else listens on."""
        return {name: port for name, port in asdict(self).items() if not port_is_free(port)}


@dataclass(frozen=True)
class StackOptions:
    """What to start.

    Attributes:
        ports: `fixed` are the documented ones; `auto` takes free ones and a state folder of its own.
        worker: start a worker.
        web: start the web application.
        data: sample data of the sandbox: `fixtures`, `empty`, or a folder with Northwind's tables.
        policies: given the desk's origin and the state folder, writes a folder of policies that fits the data and
            returns it; None: the policies as set.
    """

    ports: Literal["fixed", "auto"] = "fixed"
    worker: bool = True
    web: bool = True
    data: str = "fixtures"
    policies: Callable[[str, Path], Awaitable[Path]] | None = None


@dataclass(frozen=True)
class StackInfo:
    """Where everything is, as `q2c up` prints it."""

    temporal: str
    temporal_ui: str
    web: str
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
    users: dict[str, list[str]]
    state_dir: str
    worker_health: str
    pids: dict[str, int]

    def ready_line(self) -> str:
        """The one line on standard output that says the stack can be used."""
        return json.dumps({"event": "ready", **asdict(self)})


@dataclass
class Stack:
    """A running stack; use `run_stack`."""

    settings: Settings
    options: StackOptions
    ports: Ports
    state_dir: Path
    children: dict[str, ChildProcess] = field(default_factory=dict)
    failed: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    sandbox: dict[str, Any] = field(default_factory=dict)
    _secrets: dict[str, str] = field(
        default_factory=lambda: {
            name: secrets.token_urlsafe(32) for name in ("client", "web", "webhook", "events", "session")
        }
    )
    _watchers: list[asyncio.Task[None]] = field(default_factory=list)
    _policies: Path | None = None

    @property
    def web_url(self) -> str:
        """Origin of the web application."""
        return f"http://localhost:{self.ports.web}"

    @property
    def temporal_address(self) -> str:
        """Host and port of Temporal's frontend."""
        return f"127.0.0.1:{self.ports.temporal}"

    @property
    def worker_health_url(self) -> str:
        """Origin of the worker's live and ready endpoints."""
        return f"http://127.0.0.1:{self.ports.worker_health}"

    @property
    def decision_files(self) -> tuple[Path, Path]:
        """Private key and public keys of decisions."""
        return self.state_dir / "decision-key.json", self.state_dir / "decision-jwks.json"

    def environment(self) -> dict[str, str]:
        """The environment of a child: what the caller set, and on top of it where this stack's parts are.

        Temporal's variables and profiles of the caller are left out: they may point at a real cluster.
        """
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
        private_key, public_keys = self.decision_files
        return {
            **SANDBOX_BUDGETS,
            **inherited,
            **({"Q2C_POLICIES": str(self._policies)} if self._policies else {}),
            "PYTHONUNBUFFERED": "1",
            "TEMPORAL_ADDRESS": self.temporal_address,
            "TEMPORAL_NAMESPACE": NAMESPACE,
            "TEMPORAL_CONFIG_FILE": os.devnull,
            "Q2C_STATE_DIR": str(self.state_dir),
            "Q2C_DECISION_PRIVATE_KEY_FILE": str(private_key),
            "Q2C_DECISION_PUBLIC_KEYS_FILE": str(public_keys),
            "Q2C_DATAVERSE_WEBHOOK_KEY": self._secrets["webhook"],
            "Q2C_FINANCE_EVENTS_SECRET": self._secrets["events"],
            "Q2C_WEB_PORT": str(self.ports.web),
            "Q2C_WEB_URL": self.web_url,
            "Q2C_WEB_SESSION_SECRET": self._secrets["session"],
            "Q2C_WEB_TEMPORAL_UI": f"http://localhost:{self.ports.temporal_ui}",
            "Q2C_WORKER_HEALTH_PORT": str(self.ports.worker_health),
            "Q2C_WORKER_GRACEFUL_SHUTDOWN_SECONDS": str(WORKER_GRACE),
            **self._sandbox_environment(),
        }

    def _sandbox_environment(self) -> dict[str, str]:
        if not self.sandbox:
            return {}
        return {
            "Q2C_CA_FILE": self.sandbox["ca_file"],
            "Q2C_ENTRA_URL": self.sandbox["entra"],
            "Q2C_ENTRA_TENANT": self.sandbox["tenant"],
            "Q2C_ENTRA_CLIENT_ID": self.sandbox["client_id"],
            "Q2C_ENTRA_CLIENT_SECRET": self.sandbox["client_secret"],
            "Q2C_DATAVERSE_URL": self.sandbox["dataverse"],
            "Q2C_FINANCE_URL": self.sandbox["finance"],
            "Q2C_WEB_CLIENT_ID": self.sandbox["web_client_id"],
            "Q2C_WEB_CLIENT_SECRET": self.sandbox["web_client_secret"],
        }

    async def start(self) -> None:
        """Start every part and wait until each can work.

        Raises:
            StackFailed: a port is taken, or a part does not become ready.
        """
        taken = self.ports.taken()
        if taken:
            named = ", ".join(f"{port} ({name})" for name, port in taken.items())
            raise StackFailed(f"These ports are in use: {named}. Stop what uses them, or add --ports auto.")
        self.state_dir.mkdir(parents=True, exist_ok=True)
        ensure_decision_keys(*self.decision_files)
        try:
            async with asyncio.timeout(START_TIMEOUT):
                await asyncio.gather(self._start_temporal(), self._start_sandbox())
                if self.options.policies:
                    self._policies = await self.options.policies(self.sandbox["desk"], self.state_dir)
                wanted = {
                    "web": (self.options.web, f"{self.web_url}/health/ready"),
                    "worker": (self.options.worker, f"{self.worker_health_url}/health/ready"),
                }
                await asyncio.gather(*(self._start_service(name, url) for name, (on, url) in wanted.items() if on))
                if self.options.web:
                    await self._announce_intake()
        except TimeoutError as error:
            raise StackFailed(
                f"The stack was not ready after {START_TIMEOUT:.0f} s; logs are in {self.state_dir}"
            ) from error
        for child in self.children.values():
            self._watchers.append(asyncio.create_task(self._watch(child), name=f"watch {child.name}"))
        self._write_pids()

    async def _start_temporal(self) -> None:
        child = self._child(
            "temporal", dev_server_command(self.ports.temporal, self.ports.temporal_ui), dict(os.environ)
        )
        await child.start()
        await self._ready_or_ended(child, wait_ready(self.temporal_address))

    async def _start_sandbox(self) -> None:
        command = [sys.executable, "-m", "sandbox", "--state-dir", str(self.state_dir), "--data", self.options.data]
        for system in ("entra", "dataverse", "finance", "desk"):
            command += [f"--{system}-port", str(getattr(self.ports, system))]
        environment = {
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "Q2C_SANDBOX_CLIENT_SECRET": self._secrets["client"],
            "Q2C_SANDBOX_WEB_CLIENT_SECRET": self._secrets["web"],
        }
        child = self._child("sandbox", command, environment)
        await child.start(read_stdout=True)
        line = await child.first_line()
        if not line:
            raise await self._ended(child)
        self.sandbox = json.loads(line)

    async def _start_service(self, name: str, ready_url: str) -> None:
        child = self._child(name, [sys.executable, "-m", "cli", name], self.environment())
        await child.start()
        await self._ready_or_ended(child, wait_healthy(ready_url))

    def _child(self, name: str, command: list[str], environment: Mapping[str, str]) -> ChildProcess:
        self.children[name] = ChildProcess(name, command, environment, self.state_dir)
        return self.children[name]

    async def _ready_or_ended(self, child: ChildProcess, ready: Any) -> None:
        ended = asyncio.create_task(child.wait())
        waiting = asyncio.ensure_future(ready)
        try:
            await asyncio.wait({ended, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                raise await self._ended(child)
            waiting.result()
        finally:
            ended.cancel()
            waiting.cancel()

    async def _ended(self, child: ChildProcess) -> StackFailed:
        code = await child.wait()
        return StackFailed(f"{child.name} ended with code {code}. End of {child.log_file}:\n{child.log_tail()}")

    async def _announce_intake(self) -> None:
        """Tell both systems where to send what happens: webhooks of Dataverse, business events of Finance."""
        endpoints = {
            "dataverse_webhook": {"url": f"{self.web_url}/intake/dataverse", "key": self._secrets["webhook"]},
            "finance_events": {"url": f"{self.web_url}/intake/finance?code={self._secrets['events']}"},
        }
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.put(f"{self.sandbox['desk']}/endpoints", json=endpoints)
            answer.raise_for_status()

    async def _watch(self, child: ChildProcess) -> None:
        """Start a worker again when it dies; end the stack when another part does."""
        delay = RESTART_DELAY
        while True:
            began = time.monotonic()
            code = await child.wait()
            if child.name != "worker":
                failure = await self._ended(child)
                if not self.failed.done():
                    self.failed.set_exception(failure)
                return
            delay = RESTART_DELAY if time.monotonic() - began > STEADY_AFTER else min(delay * 2, RESTART_DELAY_MAX)
            log.warning("worker died and is started again", code=code, delay_seconds=delay)
            await asyncio.sleep(delay)
            await child.start()
            self._write_pids()

    def pids(self) -> dict[str, int]:
        """Process ids of all parts, the supervisor's among them."""
        return {"supervisor": os.getpid(), **{name: child.pid for name, child in self.children.items()}}

    def _write_pids(self) -> None:
        """Keep the current process ids where a test or a person finds them: a restarted worker has a new one."""
        target = self.state_dir / "pids.json"
        target.with_suffix(".tmp").write_text(json.dumps(self.pids()))
        target.with_suffix(".tmp").replace(target)

    def info(self) -> StackInfo:
        """Where everything is."""
        return StackInfo(
            temporal=self.temporal_address,
            temporal_ui=f"http://localhost:{self.ports.temporal_ui}",
            web=self.web_url,
            **{
                name: self.sandbox[name]
                for name in ("entra", "dataverse", "finance", "desk", "ca_file", "tenant", "client_id", "client_secret")
            },
            web_client_id=self.sandbox["web_client_id"],
            web_client_secret=self.sandbox["web_client_secret"],
            users=self.sandbox["users"],
            state_dir=str(self.state_dir),
            worker_health=self.worker_health_url,
            pids=self.pids(),
        )

    async def hold_until(self, stop: asyncio.Event) -> None:
        """Wait until somebody wants the end.

        Raises:
            StackFailed: a part ended by itself before.
        """
        stopping = asyncio.create_task(stop.wait())
        ends: set[asyncio.Future[Any]] = {stopping, self.failed}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if self.failed.done():
            self.failed.result()

    async def stop(self) -> None:
        """End every part: first what works, then what it works with."""
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        for group in (("worker", "web"), ("sandbox", "temporal")):
            await asyncio.gather(*(self.children[name].stop(STOP_TIMEOUT) for name in group if name in self.children))
        with contextlib.suppress(FileNotFoundError):
            (self.state_dir / "pids.json").unlink()


async def wait_healthy(url: str) -> None:
    """Wait until an endpoint answers 200."""
    async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await http.get(url)).status_code == httpx.codes.OK:
                    return
            await asyncio.sleep(0.1)


@asynccontextmanager
async def run_stack(settings: Settings, options: StackOptions) -> AsyncIterator[Stack]:
    """A stack that is up while the block runs.

    Raises:
        StackFailed: it could not be started.
    """
    ports = Ports.free() if options.ports == "auto" else Ports()
    state_dir = settings.state_dir.resolve()
    if options.ports == "auto":
        state_dir = state_dir / f"stack-{os.getpid()}"
    stack = Stack(settings, options, ports, state_dir)
    try:
        await stack.start()
        yield stack
    finally:
        await asyncio.shield(stack.stop())
