"""Runs an ASGI application on a socket of its own inside the sandbox's one event loop.

uvicorn is told three things here that the sandbox needs and its command line does not offer: leave the process's signal
handlers alone (four servers share one loop), take a socket that is bound already (so that a free port is known before
anything starts), and hand the connection's transport to the application, so that a fault can really break it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Generator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sandbox.tls import TlsFiles

CONNECTION = "sandbox.connection"
_KEEP_ALIVE_SECONDS = 75
_GRACE_SECONDS = 3


class _ExposedConnection(HttpToolsProtocol):
    """Puts the transport into the ASGI scope's extensions under `CONNECTION`."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {CONNECTION: {"transport": self.transport}}


class _SharedLoopServer(uvicorn.Server):
    """A server that lives in somebody else's loop: signals are that somebody's business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


class HttpServer:
    """One origin: socket, TLS and application."""

    def __init__(
        self, name: str, host: str, port: int, tls: TlsFiles | None, *, public_host: str | None = None
    ) -> None:
        """Bind the address at once; 0 takes a free port. `tls` None serves plain HTTP.

        `public_host` is the name clients use, where it is not the address itself (a container's service name).

        Raises:
            OSError: the port is taken.
        """
        self.name = name
        self._tls = tls
        self._socket = _bind(host, port)
        self._server: uvicorn.Server | None = None
        self._task: asyncio.Task[None] | None = None
        shown = public_host or ("localhost" if host in ("0.0.0.0", "127.0.0.1", "::", "::1") else host)  # noqa: S104  # shown
        self.port: int = self._socket.getsockname()[1]
        self.origin = f"{'https' if tls else 'http'}://{shown}:{self.port}"

    async def start(self, app: Any) -> None:
        """Serve `app`; returns when requests are accepted.

        Raises:
            RuntimeError: the server ended before it was ready.
        """
        config = uvicorn.Config(
            app,
            http=_ExposedConnection,
            ws="none",
            lifespan="off",
            access_log=False,
            log_level="warning",
            log_config=None,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            ssl_certfile=self._tls.certificate if self._tls else None,
            ssl_keyfile=self._tls.private_key if self._tls else None,
        )
        self._server = _SharedLoopServer(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]), name=f"serve {self.name}")
        while not self._server.started:
            if self._task.done():
                await self._task
                raise RuntimeError(f"{self.name} ended before it was ready")
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Finish running requests (3 s at most) and close the socket and every connection.

        A client that keeps an idle connection may never answer TLS's farewell: such a connection is broken off.
        """
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            state = self._server.server_state
            deadline = time.monotonic() + _GRACE_SECONDS
            while state.tasks and time.monotonic() < deadline:  # noqa: ASYNC110  # uvicorn offers no event for it
                await asyncio.sleep(0.02)
            for connection in list(state.connections):
                connection.transport.abort()
            await self._task
        self._socket.close()


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio switches Nagle's algorithm off only where it reads IPPROTO_TCP: without it
    # every answer on a kept-alive connection would wait 40 ms for the client's delayed acknowledgement.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    bound.set_inheritable(True)
    return bound
