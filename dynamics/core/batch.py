"""`$batch`: several requests in one round trip, written and read as multipart/mixed.

A batch holds reads and change sets; a change set is atomic, all of its writes or none. Both systems speak OData 4.0's
multipart form (Microsoft Learn: "Execute batch operations using the Web API"; OData 4.0 part 1, section 11.7).
Parsing is strict about structure and says `MalformedBatch` instead of guessing: an answer that cannot be matched with
its question is an unknown outcome, not a success.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from dynamics.core import exact_json

CRLF = b"\r\n"


class MalformedBatch(Exception):
    """The body is not the multipart answer it claims to be."""


@dataclass(frozen=True, slots=True)
class Read:
    """One GET of a batch; `path` is relative to the service root and percent-encoded."""

    path: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Write:
    """One write of a change set; later writes of the set may name this one's row `$<content id>`."""

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """Writes that happen together or not at all; content ids count from 1 through the set."""

    writes: tuple[Write, ...]


BatchItem = Read | ChangeSet


@dataclass(frozen=True, slots=True)
class RawPart:
    """One inner HTTP answer: status, headers (case-insensitive), body."""

    status: int
    headers: httpx.Headers
    body: bytes


T = TypeVar("T")


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The items, so many at a time: what one batch or change set takes."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def format_batch(items: Sequence[BatchItem], root: str) -> tuple[str, bytes]:
    """The content type (with boundary) and the body of a batch.

    Args:
        items: Reads and change sets in the order they are to be answered.
        root: Absolute service root ending in `/`; inner request lines are absolute, which both systems accept.
    """
    boundary = f"batch_{uuid.uuid4()}"
    out: list[bytes] = []
    for item in items:
        out.append(b"--" + boundary.encode())
        match item:
            case Read():
                out += [
                    b"Content-Type: application/http",
                    b"Content-Transfer-Encoding: binary",
                    b"",
                    f"GET {root}{item.path} HTTP/1.1".encode(),
                    b"Accept: application/json",
                    *(f"{name}: {value}".encode() for name, value in item.headers.items()),
                    b"",
                    b"",
                ]
            case ChangeSet():
                out += _format_change_set(item, root)
    out += [b"--" + boundary.encode() + b"--", b""]
    return f'multipart/mixed; boundary="{boundary}"', CRLF.join(out)


def _format_change_set(change_set: ChangeSet, root: str) -> list[bytes]:
    boundary = f"changeset_{uuid.uuid4()}"
    out = [f'Content-Type: multipart/mixed; boundary="{boundary}"'.encode(), b""]
    for number, write in enumerate(change_set.writes, start=1):
        target = write.path if write.path.startswith("$") else root + write.path
        out += [
            b"--" + boundary.encode(),
            b"Content-Type: application/http",
            b"Content-Transfer-Encoding: binary",
            f"Content-ID: {number}".encode(),
            b"",
            f"{write.method} {target} HTTP/1.1".encode(),
            b"Accept: application/json",
            *(f"{name}: {value}".encode() for name, value in write.headers.items()),
        ]
        if write.body is None:
            out += [b"", b""]
        else:
            raw = exact_json.dumps(write.body)
            out += [
                b"Content-Type: application/json; type=entry",
                f"Content-Length: {len(raw)}".encode(),
                b"",
                raw,
            ]
    out.append(b"--" + boundary.encode() + b"--")
    return out


def parse_batch(content_type: str, body: bytes) -> list[list[RawPart]]:
    """The answers of a batch in order: a read gives a list of one, a change set a list of its parts.

    A change set that failed is one answer with the error, inside a boundary of its own or without: both give a list
    of one part whose status is an error.

    Raises:
        MalformedBatch: when the structure is not multipart/mixed with HTTP answers inside.
    """
    answers: list[list[RawPart]] = []
    for headers, content in _split(content_type, body):
        inner = headers.get("content-type", "")
        if inner.lower().startswith("multipart/mixed"):
            answers.append([_http_answer(part) for _, part in _split(inner, content)])
        else:
            answers.append([_http_answer(content)])
    return answers


def _boundary(content_type: str) -> bytes:
    for piece in content_type.split(";")[1:]:
        name, _, value = piece.strip().partition("=")
        if name.lower() == "boundary" and value:
            return value.strip('"').encode()
    raise MalformedBatch(f"no boundary in {content_type!r}")


def _split(content_type: str, body: bytes) -> list[tuple[httpx.Headers, bytes]]:
    """The parts between boundaries, each with its own headers."""
    delimiter = b"--" + _boundary(content_type)
    chunks = (b"\r\n" + body).split(b"\r\n" + delimiter)
    if len(chunks) < 2 or not chunks[-1].startswith(b"--"):
        raise MalformedBatch("the closing boundary is missing: the answer was cut")
    parts = []
    for chunk in chunks[1:-1]:
        head, separator, content = chunk.lstrip(b" \t").removeprefix(CRLF).partition(CRLF + CRLF)
        if not separator:
            raise MalformedBatch("a part without an empty line after its headers")
        parts.append((_headers(head), content))
    return parts


def _headers(block: bytes) -> httpx.Headers:
    pairs = []
    for line in block.split(CRLF):
        if not line:
            continue
        name, separator, value = line.partition(b":")
        if not separator:
            raise MalformedBatch(f"not a header: {line[:80]!r}")
        pairs.append((name.strip(), value.strip()))
    return httpx.Headers(pairs)


def _http_answer(content: bytes) -> RawPart:
    head, _, body = content.partition(CRLF + CRLF)
    status_line, _, header_block = head.partition(CRLF)
    pieces = status_line.split(b" ", 2)
    if len(pieces) < 2 or not pieces[0].startswith(b"HTTP/") or not pieces[1].isdigit():
        raise MalformedBatch(f"not an HTTP status line: {status_line[:80]!r}")
    return RawPart(int(pieces[1]), _headers(header_block), body.removesuffix(CRLF))
