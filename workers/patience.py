"""How long a client may take: a connection that sends or reads too slowly ends, and costs nobody else anything.

uvicorn ends a connection that stays idle between two requests; it waits forever for the end of a request's header, for
the rest of a body that nobody wants any more, and for a client that does not read. Applications limit the bodies they
read themselves (``web.route_limits``).
"""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_SECONDS: Final = 10.0
"""From the connection or the first byte of a request to the end of its header."""
HEADER_BYTES: Final = 32 * 1024
"""The longest header, with the address. Entra's tokens stay below 16 KiB."""
BODY_SECONDS: Final = 60.0
"""From the end of the header to the end of the body, whatever the application does meanwhile."""
REST_SECONDS: Final = 2.0
"""How long the rest of a body is taken after its answer, so that the answer is read before the connection ends."""
READ_SECONDS: Final = 60.0
"""How long a client may leave an answer unread that fills all buffers."""
IDLE_SECONDS: Final = 5
"""Between two requests."""

_ENDING = b"content-length: 0\r\nconnection: close\r\n\r\n"
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\n" + _ENDING
_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\n" + _ENDING


class PatientProtocol(HttpToolsProtocol):
    """HTTP for clients who are neither too slow nor too long-winded."""

    _receiving: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None
    _header: int | None = 0
    """Bytes of the header that came; None while none is awaited."""
    _in_body = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first request."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._await(HEADER_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._await(None)
        self._unread(wait=False)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came, as long as the header is not too long."""
        super().data_received(data)
        if self._receiving is None and self.timeout_keep_alive_task is None and self._is_idle:
            self._await(HEADER_SECONDS)  # empty lines between two requests are no request
        if self._header is not None and not self.transport.is_closing():
            self._header += len(data)
            if self._header > HEADER_BYTES:
                self._end(_TOO_LONG)

    def on_message_begin(self) -> None:
        """A request begins: its header is awaited."""
        super().on_message_begin()
        if self._header is None:
            self._header = 0
            self._await(HEADER_SECONDS)

    def on_headers_complete(self) -> None:
        """The header is there: the body is awaited."""
        self._header = None
        self._in_body = True
        self._await(BODY_SECONDS)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The whole request is there."""
        self._in_body = False
        self._await(None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is out; the rest of a body that came too late for it is not waited for."""
        super().on_response_complete()
        if self._in_body:
            self._await(REST_SECONDS)

    def pause_writing(self) -> None:
        """The client does not read."""
        super().pause_writing()
        self._unread(wait=True)

    def resume_writing(self) -> None:
        """It reads again."""
        super().resume_writing()
        self._unread(wait=False)

    @property
    def _is_idle(self) -> bool:
        return not self._in_body and (self.cycle is None or self.cycle.response_complete)

    def _await(self, seconds: float | None) -> None:
        if self._receiving is not None:
            self._receiving.cancel()
            self._receiving = None
        if seconds is not None:
            self._receiving = self.loop.call_later(seconds, self._too_slow)

    def _unread(self, *, wait: bool) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
        if wait:
            self._reading = self.loop.call_later(READ_SECONDS, self.transport.abort)

    def _too_slow(self) -> None:
        begun = bool(self._header) or self._in_body
        self._end(_TOO_SLOW if begun else b"")

    def _end(self, answer: bytes) -> None:
        """End the connection, with an answer unless another one is under way or was given."""
        self._await(None)
        if self.transport.is_closing():
            return
        cycle = self.cycle
        if answer and (cycle is None or not cycle.response_started or (cycle.response_complete and not self._in_body)):
            self.transport.write(answer)
        self.transport.close()
