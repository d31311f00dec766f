"""The whole product on this machine: Temporal, sandbox, worker and web, each a process of its own.

`q2c up`, `q2c demo` and the end-to-end tests all start this one stack, so that what a newcomer sees is what is tested.
It says each step of its start, and starts a part that died again (`demo.supervision`). No process outlives it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import httpx

from demo.budgets import SANDBOX_BUDGETS
from demo.ports import Ports
from demo.processes import ChildProcess
from demo.state import StateFolder
from demo.supervision import Part, Say, StackFailed, Supervisor, end_of_log, ended_early
from demo.temporal_server import NAMESPACE, dev_server_command, wait_ready
from runs import names
from runs.codec_keys import ensure_codec_keys
from runs.query import in_temporal_web, of_type
from workers.audit_keys import ensure_audit_keys
from workers.keys import ensure_decision_keys
from workers.mode import HOLDERS, Process
from workers.settings import CodecSettings, Settings, variable_name

T = TypeVar("T")

START_TIMEOUT = 120.0
"""Seconds for one part."""
STOP_TIMEOUT = 20.0
WORKER_GRACE = 5
STOP_ORDER = (("worker", "web"), ("codec", "sandbox", "temporal"))
"""First what works, then what it works with."""


@dataclass(frozen=True)
class StackOptions:
    """What to start.

    Attributes:
        ports: `fixed` are the documented ones; `auto` takes free ones and a state folder of its own.
        worker: start a worker.
        web: start the web application.
        data: sample data of the sandbox: `fixtures`, `empty`, or a folder with Northwind's tables.
        killed: parts are to be killed: Temporal and the sandbox keep what they know on disk, and the worker dies where
            it is told to (`demo.doomed`).
        policies: given the desk's origin and the state folder, writes a folder of policies that fits the data and
            returns it; None: the policies as set.
    """

    ports: Literal["fixed", "auto"] = "fixed"
    worker: bool = True
    web: bool = True
    data: str = "fixtures"
    killed: bool = False
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
    codec: str
    ca_file: str
    tenant: str
    client_id: str
    client_secret: str
    reader_client_id: str
    reader_client_secret: str
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

    options: StackOptions
    ports: Ports
    state: StateFolder
    say: Say
    codec_keys: Path
    """The keys everything in Temporal is sealed under."""
    restarts: set[str] = field(default_factory=set)
    """Names of the parts that died and were started again."""
    sandbox: dict[str, Any] = field(default_factory=dict)
    """The sandbox's ready line."""
    _parts: dict[str, Part] = field(default_factory=dict)
    _secrets: dict[str, str] = field(
        default_factory=lambda: (
            {name: secrets.token_urlsafe(32) for name in ("client", "reader", "web", "webhook", "events", "session")}
            # Who sets up a bare sandbox registers the webhook, and names its key.
            | ({"webhook": given} if (given := os.environ.get("Q2C_SANDBOX_WEBHOOK_KEY")) else {})
        )
    )
    _supervisor: Supervisor | None = None
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
    def codec_url(self) -> str:
        """Origin of the codec server, which opens sealed payloads for Temporal Web."""
        return f"http://127.0.0.1:{self.ports.codec}"

    @property
    def codec(self) -> CodecSettings:
        """How this stack seals, and its codec server: on the loopback address, for this Temporal Web, no sign-in."""
        hosts = ("localhost", "127.0.0.1")
        return CodecSettings(
            keys_file=self.codec_keys,
            port=self.ports.codec,
            origins=",".join(f"http://{host}:{self.ports.temporal_ui}" for host in hosts),
            sign_in=False,
        )

    @property
    def decision_files(self) -> tuple[Path, Path]:
        """Private key and public keys of decisions."""
        return self.state.path / "decision-key.json", self.state.path / "decision-jwks.json"

    @property
    def audit_web_key(self) -> Path:
        """The key that signs downloads of the audit."""
        return self.state.path / "audit-web-key.json"

    @property
    def audit_files(self) -> tuple[Path, Path]:
        """Private key and public keys of the audit."""
        return self.state.path / "audit-key.json", self.state.path / "audit-jwks.json"

    def environment(self, process: Process | None = None) -> dict[str, str]:
        """The environment of a child: what the caller set, and on top of it where this stack's parts are.

        Temporal's variables and profiles of the caller are left out: they may point at a real cluster. So is every
        secret that is not the process's own, or that the stack made itself.

        Args:
            process: whose it is; None: a person's command, which needs no secret.
        """
        made = self._held()
        others = {variable_name(at) for at, holder in HOLDERS.items() if holder is not process or at in made}
        foreign = {*others, *(f"{name}_FILE" for name in others)}
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("TEMPORAL_") and name.upper() not in foreign
        }
        private_key, public_keys = self.decision_files
        return {
            **SANDBOX_BUDGETS,
            **inherited,
            **({"Q2C_POLICIES": str(self._policies)} if self._policies else {}),
            "PYTHONUNBUFFERED": "1",
            "Q2C_MODE": "sandbox",
            "TEMPORAL_ADDRESS": self.temporal_address,
            "TEMPORAL_NAMESPACE": NAMESPACE,
            "TEMPORAL_CONFIG_FILE": os.devnull,
            "Q2C_STATE_DIR": str(self.state.path),
            "Q2C_DECISION_PRIVATE_KEY_FILE": str(private_key),
            "Q2C_DECISION_PUBLIC_KEYS_FILE": str(public_keys),
            "Q2C_DATA_DIR": str(self.state.path / "data"),
            "Q2C_LEDGER_URL": f"sqlite:///{self.state.path / 'ledger.db'}",
            "Q2C_AUDIT_PRIVATE_KEY_FILE": str(self.audit_files[0]),
            "Q2C_AUDIT_PUBLIC_KEYS_FILE": str(self.audit_files[1]),
            "Q2C_AUDIT_WEB_KEY_FILE": str(self.audit_web_key),
            "Q2C_CODEC_KEYS_FILE": str(self.codec.keys_file),
            "Q2C_CODEC_PORT": str(self.codec.port),
            "Q2C_CODEC_ORIGINS": self.codec.origins,
            "Q2C_CODEC_SIGN_IN": str(self.codec.sign_in).lower(),
            "Q2C_WEB_PORT": str(self.ports.web),
            "Q2C_WEB_URL": self.web_url,
            "Q2C_WEB_TEMPORAL_UI": f"http://localhost:{self.ports.temporal_ui}",
            "Q2C_WORKER_HEALTH_PORT": str(self.ports.worker_health),
            "Q2C_WORKER_GRACEFUL_SHUTDOWN_SECONDS": str(WORKER_GRACE),
            **self._sandbox_environment(),
            **{variable_name(at): secret for at, secret in made.items() if HOLDERS[at] is process},
        }

    def _held(self) -> dict[tuple[str, str], str]:
        """The secrets of this stack, by their setting."""
        return {
            ("entra", "client_secret"): self._secrets["client"],
            ("reader", "client_secret"): self._secrets["reader"],
            ("dataverse", "webhook_key"): self._secrets["webhook"],
            ("finance", "events_secret"): self._secrets["events"],
            ("web", "client_secret"): self._secrets["web"],
            ("web", "session_secret"): self._secrets["session"],
        }

    def _sandbox_environment(self) -> dict[str, str]:
        if not self.sandbox:
            return {}
        return {
            "Q2C_CA_FILE": self.sandbox["ca_file"],
            "Q2C_ENTRA_URL": self.sandbox["entra"],
            "Q2C_ENTRA_TENANT": self.sandbox["tenant"],
            "Q2C_ENTRA_CLIENT_ID": self.sandbox["client_id"],
            "Q2C_READER_CLIENT_ID": self.sandbox["reader_client_id"],
            "Q2C_DATAVERSE_URL": self.sandbox["dataverse"],
            "Q2C_FINANCE_URL": self.sandbox["finance"],
            "Q2C_WEB_CLIENT_ID": self.sandbox["web_client_id"],
        }

    async def start(self) -> None:
        """Start every part, wait until each can work, and supervise them from then on.

        Raises:
            StackFailed: a part does not become ready.
        """
        ensure_decision_keys(*self.decision_files)
        ensure_audit_keys(self.audit_files[0], self.audit_web_key, self.audit_files[1])
        ensure_codec_keys(self.codec_keys)
        await _all(self._begin(self._temporal()), self._begin(self._sandbox()))
        if self.options.policies:
            self._policies = await self.options.policies(self.sandbox["desk"], self.state.path)
        services = (
            self._codec(),
            self._web() if self.options.web else None,
            self._worker() if self.options.worker else None,
        )
        await _all(*(self._begin(service) for service in services if service))
        if self.options.web:
            await self._announce_intake()
        self._supervisor = Supervisor(self._parts, self.say, self._restarted)
        self._supervisor.watch()
        self.state.write_pids(self.pids())

    async def _begin(self, part: Part) -> None:
        began = time.monotonic()
        self._parts[part.child.name] = part
        await part.start()
        self.say(f"{part.title} is ready ({time.monotonic() - began:.1f} s).")

    def _restarted(self, name: str) -> None:
        self.restarts.add(name)
        self.state.write_pids(self.pids())

    # --- the parts ---------------------------------------------------------------------------------------------------

    def _temporal(self) -> Part:
        command = dev_server_command(self.ports.temporal, self.ports.temporal_ui, codec=self.codec_url)
        if self.options.killed:
            command += ["--db-filename", str(self.state.path / "temporal.db")]
        child = self._child("temporal", command, dict(os.environ))

        async def start() -> None:
            await child.start()
            await _ready(child, wait_ready(self.temporal_address, START_TIMEOUT))

        return Part(
            "Temporal",
            child,
            start,
            may_be_killed=self.options.killed,
            lost="" if self.options.killed else "It keeps runs in memory: the deals from before are gone.",
            dependents=() if self.options.killed else ("worker",),  # which starts the feeds
        )

    def _sandbox(self) -> Part:
        command = [sys.executable, "-m", "sandbox", "--state-dir", str(self.state.path), "--data", self.options.data]
        for system in ("entra", "dataverse", "finance", "desk"):
            command += [f"--{system}-port", str(getattr(self.ports, system))]
        if self.options.killed:
            command += ["--journal", str(self.state.path / "sandbox.journal")]
        environment = {
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "Q2C_SANDBOX_CLIENT_SECRET": self._secrets["client"],
            "Q2C_SANDBOX_READER_CLIENT_SECRET": self._secrets["reader"],
            "Q2C_SANDBOX_WEB_CLIENT_SECRET": self._secrets["web"],
        }
        child = self._child("sandbox", command, environment)

        async def start() -> None:
            again = bool(self.sandbox)
            await child.start(read_stdout=True)
            line = await _ready(child, child.first_line())
            if not line:
                raise ended_early(child, await child.wait())
            self.sandbox = json.loads(line)
            if again and self.options.web and not self.options.killed:  # it knows
                await self._announce_intake()

        return Part(
            "The sandbox",
            child,
            start,
            may_be_killed=self.options.killed,
            lost="" if self.options.killed else "It keeps Dynamics in memory: quotes, orders and invoices are gone.",
        )

    def _codec(self) -> Part:
        return self._service("codec", "The codec server", f"{self.codec_url}/health/ready")

    def _web(self) -> Part:
        return self._service("web", "The web application", f"{self.web_url}/health/ready", may_be_killed=True)

    def _worker(self) -> Part:
        return self._service("worker", "The worker", f"{self.worker_health_url}/health/ready", may_be_killed=True)

    def _service(self, name: str, title: str, ready_url: str, *, may_be_killed: bool = False) -> Part:
        run = ["demo.doomed"] if name == "worker" and self.options.killed else ["cli", name]
        child = self._child(name, [sys.executable, "-m", *run], self.environment(Process(f"q2c-{name}")))

        async def start() -> None:
            await child.start()
            await _ready(child, wait_healthy(ready_url))

        return Part(title, child, start, may_be_killed)

    def _child(self, name: str, command: list[str], environment: Mapping[str, str]) -> ChildProcess:
        return ChildProcess(name, command, environment, self.state.path)

    async def _announce_intake(self) -> None:
        """Tell both systems where to send what happens: webhooks of Dataverse, business events of Finance."""
        endpoints = {
            "dataverse_webhook": {"url": f"{self.web_url}/intake/dataverse", "key": self._secrets["webhook"]},
            "finance_events": {"url": f"{self.web_url}/intake/finance?code={self._secrets['events']}"},
            "quote_link": f"{self.web_url}/explain/{{company}}/{{quote}}",
            "runs_link": in_temporal_web(
                f"http://localhost:{self.ports.temporal_ui}", NAMESPACE, of_type(names.QUOTE_TO_CASH)
            ),
        }
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.put(f"{self.sandbox['desk']}/endpoints", json=endpoints)
            answer.raise_for_status()

    # --- while it runs -----------------------------------------------------------------------------------------------

    def pids(self) -> dict[str, int]:
        """Process ids of all parts, the supervisor's among them."""
        return {"supervisor": os.getpid(), **{name: part.child.pid for name, part in self._parts.items()}}

    def info(self) -> StackInfo:
        """Where everything is."""
        return StackInfo(
            temporal=self.temporal_address,
            temporal_ui=f"http://localhost:{self.ports.temporal_ui}",
            web=self.web_url,
            codec=self.codec_url,
            **{
                name: self.sandbox[name]
                for name in (
                    *("entra", "dataverse", "finance", "desk", "ca_file", "tenant", "client_id", "client_secret"),
                    *("reader_client_id", "reader_client_secret"),
                )
            },
            web_client_id=self.sandbox["web_client_id"],
            web_client_secret=self.sandbox["web_client_secret"],
            users=self.sandbox["users"],
            state_dir=str(self.state.path),
            worker_health=self.worker_health_url,
            pids=self.pids(),
        )

    async def hold_until(self, stop: asyncio.Event) -> None:
        """Wait until somebody wants the end.

        Raises:
            StackFailed: a part kept ending.
        """
        if self._supervisor is None:
            raise RuntimeError("the stack was not started")
        stopping = asyncio.create_task(stop.wait())
        ends: set[asyncio.Future[Any]] = {stopping, self._supervisor.failed}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if self._supervisor.failed.done():
            self._supervisor.failed.result()

    async def stop(self) -> None:
        """End every part: first what works, then what it works with."""
        if self._supervisor is not None:
            await self._supervisor.stop()
        for group in STOP_ORDER:
            children = (self._parts[name].child for name in group if name in self._parts)
            await asyncio.gather(*(child.stop(STOP_TIMEOUT) for child in children))


async def _all(*starts: Coroutine[Any, Any, None]) -> None:
    """Run starts side by side; the first that fails ends the others."""
    tasks = [asyncio.create_task(start) for start in starts]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _ready(child: ChildProcess, ready: Coroutine[Any, Any, T]) -> T:
    """What says that a part can work, as soon as it does.

    Raises:
        StackFailed: the part ended before, or needs too long.
    """
    ending = asyncio.create_task(child.wait())
    waiting = asyncio.create_task(ready)
    try:
        async with asyncio.timeout(START_TIMEOUT):
            await asyncio.wait({ending, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            return waiting.result()
    except TimeoutError as error:
        raise StackFailed(f"{child.name} was not ready after {START_TIMEOUT:.0f} s. {end_of_log(child)}") from error
    finally:
        ending.cancel()
        waiting.cancel()
    raise ended_early(child, await child.wait())


async def wait_healthy(url: str) -> None:
    """Wait until an endpoint answers 200."""
    async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await http.get(url)).status_code == httpx.codes.OK:
                    return
            await asyncio.sleep(0.1)


def _documented_ports() -> Ports:
    ports = Ports()
    taken = ports.taken()
    if taken:
        named = ", ".join(f"{port} ({name})" for name, port in taken.items())
        raise StackFailed(f"These ports are in use: {named}. Stop what uses them, or add --ports auto.")
    return ports


@asynccontextmanager
async def run_stack(settings: Settings, options: StackOptions, say: Say) -> AsyncIterator[Stack]:
    """A stack that is up while the block runs.

    Args:
        settings: the product's settings: where its state is kept.
        options: what to start.
        say: tells people each step of the start, and what happens to the parts afterwards.

    Raises:
        StackFailed: it could not be started.
    """
    root = settings.state_dir.resolve()
    if options.ports == "auto":
        ports, state = Ports.free(), StateFolder.temporary(root)
    else:
        ports, state = _documented_ports(), StateFolder.lasting(root)
    named = "keys_file" in settings.codec.model_fields_set
    keys = settings.codec.keys_file.resolve() if named else state.path / "codec-keys.json"
    stack = Stack(options, ports, state, say, keys)
    failed = True
    try:
        await stack.start()
        yield stack
        failed = False
    finally:
        await asyncio.shield(stack.stop())
        stack.state.close(keep=failed)
