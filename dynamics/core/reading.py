"""What a client that must not write lets leave: each request is looked at just before it is sent."""

from __future__ import annotations

from typing import Final

import httpx

_CRLF: Final = b"\r\n"


class WriteRefused(Exception):
    """A request that could have changed something; it was not sent."""


async def refuse_writes(request: httpx.Request) -> None:
    """Let a request leave only if it cannot change anything: a GET, or a batch of nothing but GETs.

    Raises:
        WriteRefused: it is something else.
    """
    if request.method == "GET":
        return
    if request.method == "POST" and request.url.path.endswith("/$batch") and _only_reads(request):
        return
    raise WriteRefused(f"{request.method} {request.url.path}: the reader sends nothing that could write")


def _only_reads(request: httpx.Request) -> bool:
    """Whether each part of a batch is a GET by itself: no change set, no other verb, nothing beside the parts."""
    kind, _, rest = request.headers.get("content-type", "").partition(";")
    name, _, boundary = rest.strip().partition("=")
    if kind.strip().lower() != "multipart/mixed" or name != "boundary" or not boundary.strip('"'):
        return False
    before, *parts = request.content.split(b"--" + boundary.strip('"').encode())
    if before or not parts or parts.pop() != b"--" + _CRLF:
        return False
    return bool(parts) and all(_is_read(part) for part in parts)


def _is_read(part: bytes) -> bool:
    head, _, asked = part.removeprefix(_CRLF).partition(_CRLF + _CRLF)
    headers = {line.partition(b":")[0].strip().lower(): line.partition(b":")[2].strip() for line in head.split(_CRLF)}
    line, _, rest = asked.partition(_CRLF)
    # A GET has no body; a second request line after the blank one would be one.
    body = rest.partition(_CRLF + _CRLF)[2]
    return headers.get(b"content-type") == b"application/http" and line.startswith(b"GET ") and not body.strip()
