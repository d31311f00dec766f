"""How a process of the product serves HTTP and how it ends.

A container platform says SIGTERM and waits; a person presses Ctrl-C. Both mean: take no new work, finish what runs,
send what is still in memory, then go. One place does it, so that worker and web end the same way.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NoReturn

import structlog
import uvicorn
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from workers.leaving import leave
from workers.patience import IDLE_SECONDS, PatientProtocol

log = structlog.get_logger(__name__)

GRACE_SECONDS = 10
"""How long open HTTP requests may finish."""


class CannotListen(Exception):
    """The address is taken or not this machine's; the text names it."""


class EmbeddedServer(uvicorn.Server):
    """A uvicorn server inside a process that handles its signals itself."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave SIGTERM and SIGINT to the process."""
        yield


@asynccontextmanager
async def serve(app: ASGIApp, host: str, port: int, *, variables: str) -> AsyncIterator[int]:
    """Serve an application while the block runs.

    Args:
        app: the ASGI application.
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        variables: what the variables of both begin with, e.g. `Q2C_WEB`, for the error.

    Yields:
        The port.

    Raises:
        CannotListen: the address cannot be used.
    """
    try:
        listener = socket.create_server((host, port))
    except OSError as error:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise CannotListen(
            f"Cannot listen on {host}:{port}: {why}. Set {variables}_HOST or {variables}_PORT."
        ) from error
    # asyncio sets this only for sockets that say they are TCP, and these do not: each answer would wait 40 ms for the
    # client to acknowledge its headers.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = EmbeddedServer(
        uvicorn.Config(
            app,
            http=PatientProtocol,
            ws="none",
            timeout_keep_alive=IDLE_SECONDS,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task


def unready_once(stop: asyncio.Event, app: ASGIApp) -> ASGIApp:
    """An application whose `/health/ready` says no from the moment its process is told to stop.

    What sends requests looks there and goes elsewhere; whatever is asked meanwhile is answered as before.
    """

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        if stop.is_set() and scope["type"] == "http" and scope["path"] == "/health/ready":
            await JSONResponse({"status": "unready", "reason": "the process is stopping"}, 503)(scope, receive, send)
        else:
            await app(scope, receive, send)

    return served


@contextmanager
def stop_signals() -> Iterator[asyncio.Event]:
    """An event that SIGTERM and SIGINT set, while the block runs."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    watched = (signal.SIGTERM, signal.SIGINT)
    for number in watched:
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in watched:
            loop.remove_signal_handler(number)


def leave_within(seconds: float) -> None:
    """End the process with code 1 if it still runs after some seconds: what it waits for may never come.

    Temporal's SDK waits forever for a workflow it cannot take out of its cache, as after a task that was stopped by the
    detector of deadlocks. Work that was not reported is given to another worker when its time is over.
    """
    clock = threading.Timer(seconds, _leave, (seconds,))
    clock.daemon = True
    clock.start()


def _leave(seconds: float) -> None:
    log.error("the process did not end in time and is ended", seconds=seconds)
    leave(1)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The event loop of libuv, a tenth less processor time for a deal; Windows has asyncio's alone."""
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop


def run_process(main: Coroutine[Any, Any, int]) -> NoReturn:
    """Run a process to its end and leave with its exit code."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        code = runner.run(main)
    leave(code)
