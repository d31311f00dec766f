"""`$batch`: multipart bodies in and out, change sets, references to earlier parts.

A batch is a list of single requests and change sets. A change set is atomic: its requests run inside one transaction,
and the first failure undoes all of them. `$1` in an address or a body stands for what the part with that Content-ID
created. (OASIS OData 4.0 part 1, section 11.7; Microsoft Learn: "Execute batch operations using the Web API".)
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from sandbox.odata.jsonio import Body

DATAVERSE_MAX_REQUESTS: Final = 1_000
FINANCE_MAX_REQUESTS: Final = 5_000
_BOUNDARY = re.compile(r'boundary="?([^";,\s]+)"?', re.IGNORECASE)
_REFERENCE = re.compile(r"^/?\$(\w+)(?=$|/|\?)")


class BatchError(ValueError):
    """The batch as a whole cannot be read. The text is for the error body."""


class UnknownReference(ValueError):
    """`$n` names a part that created nothing. The text is for the error body."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, alone or inside a batch.

    Attributes:
        method: Upper case.
        url: As given: absolute, root-relative or relative to the service root, with query string.
        headers: Names in lower case.
        body: Raw bytes.
        content_id: The part's Content-ID, empty outside a change set.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    content_id: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request: status, headers as they are to be written, raw body."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body = b""

    @property
    def failed(self) -> bool:
        """Whether it is an error."""
        return self.status >= HTTPStatus.BAD_REQUEST


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """Requests that succeed together or not at all."""

    requests: list[Request]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to one request of a batch, or (`in_set`) the answers of one change set."""

    answers: list[tuple[str, Answer]]
    in_set: bool

    @property
    def failure(self) -> Answer | None:
        """The error among the answers, if there is one."""
        return next((answer for _, answer in self.answers if answer.failed), None)


def parse_batch(content_type: str, body: bytes, *, at_most: int) -> list[Request | ChangeSet]:
    """The requests of a multipart batch body, in order.

    Args:
        content_type: The outer Content-Type with its boundary.
        body: The raw body; CRLF and bare LF line ends are both read.
        at_most: How many requests the system takes in one batch.

    Raises:
        BatchError: No boundary, broken parts, a query inside a change set, or more than ``at_most`` requests.
    """
    items: list[Request | ChangeSet] = []
    count = 0
    for headers, content in _parts(content_type, body):
        if "multipart/mixed" in headers.get("content-type", ""):
            requests = [_request(inner, text) for inner, text in _parts(headers["content-type"], content)]
            if any(request.method == "GET" for request in requests):
                raise BatchError("A change set cannot contain GET requests.")
            items.append(ChangeSet(requests))
            count += len(requests)
        else:
            items.append(_request(headers, content))
            count += 1
    if count > at_most:
        raise BatchError(f"The maximum number of requests in a batch of {at_most} has been exceeded.")
    return items


def _parts(content_type: str, body: bytes) -> list[tuple[dict[str, str], bytes]]:
    match = _BOUNDARY.search(content_type)
    if match is None:
        raise BatchError("The Content-Type of a batch request needs a boundary parameter.")
    delimiter = b"--" + match[1].encode()
    sections = (b"\n" + body.replace(b"\r\n", b"\n")).split(b"\n" + delimiter)
    parts: list[tuple[dict[str, str], bytes]] = []
    for section in sections[1:]:
        if section.startswith(b"--"):
            return parts
        head, _, content = section.lstrip(b" \t").removeprefix(b"\n").partition(b"\n\n")
        parts.append((_headers(head), content))
    if not parts:
        raise BatchError("The batch body does not contain its boundary.")
    return parts


def _headers(block: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in block.decode().split("\n"):
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return headers


def _request(part_headers: Mapping[str, str], content: bytes) -> Request:
    head, _, body = content.lstrip(b"\n").partition(b"\n\n")
    request_line, _, header_block = head.partition(b"\n")
    words = request_line.decode().split(" ")
    if len(words) < 2:
        raise BatchError(f"The request line '{request_line.decode()}' of a batch part is invalid.")
    url = " ".join(words[1:-1]) if words[-1].upper().startswith("HTTP/") else " ".join(words[1:])
    headers = _headers(header_block)
    content_id = part_headers.get("content-id", headers.pop("content-id", ""))
    return Request(words[0].upper(), url, headers, body.rstrip(b"\n"), content_id)


async def run_batch(
    items: list[Request | ChangeSet],
    execute: Callable[[Request], Answer],
    transaction: Callable[[], AbstractContextManager[Any]],
    *,
    continue_on_error: bool,
    created_at: Callable[[Answer], str | None],
    refuse: Callable[[UnknownReference], Answer],
) -> list[Outcome]:
    """Run a batch in order; between two of its items others are answered, and never within a change set.

    Args:
        items: What `parse_batch` read.
        execute: Runs one request whose references are resolved.
        transaction: Opens the transaction a change set runs in.
        continue_on_error: Whether to go on after a failure.
        created_at: The address of what an answer created, which `$n` then stands for; None where it created nothing.
        refuse: The answer to a reference that names nothing.

    Returns:
        One outcome for each request or change set that was run. A failed change set has the failing answer only.
    """
    outcomes: list[Outcome] = []
    references: dict[str, str] = {}

    def run(request: Request, known: dict[str, str]) -> Answer:
        try:
            answer = execute(resolve_references(request, known))
        except UnknownReference as problem:
            return refuse(problem)
        address = created_at(answer)
        if request.content_id and address is not None:
            known[request.content_id] = address
        return answer

    for item in items:
        if isinstance(item, ChangeSet):
            outcome = _run_change_set(item, run, transaction, references)
        else:
            outcome = Outcome([(item.content_id, run(item, references))], in_set=False)
        outcomes.append(outcome)
        if outcome.failure is not None and not continue_on_error:
            break
        await asyncio.sleep(0)
    return outcomes


class _SetFailed(Exception):
    """Leaves the transaction of a change set so that it is undone."""


def _run_change_set(
    change_set: ChangeSet,
    run: Callable[[Request, dict[str, str]], Answer],
    transaction: Callable[[], AbstractContextManager[Any]],
    references: dict[str, str],
) -> Outcome:
    known = dict(references)
    answers: list[tuple[str, Answer]] = []
    try:
        with transaction():
            for request in change_set.requests:
                answer = run(request, known)
                answers.append((request.content_id, answer))
                if answer.failed:
                    raise _SetFailed
    except _SetFailed:
        return Outcome(answers[-1:], in_set=True)
    return Outcome(answers, in_set=True)


def resolve_references(request: Request, known: Mapping[str, str]) -> Request:
    """The request with `$n` replaced in its address and in the `@odata.bind` and `@odata.id` values of its body.

    Raises:
        UnknownReference: `$n` is not among the known ones.
    """
    url = request.url
    match = _REFERENCE.match(url)
    if match is not None and match[1].isdigit():
        url = _known(match[1], known) + url[match.end() :]
    body = request.body
    if b'"$' in body:
        text = re.sub(
            r'("[^"]*@odata\.(?:bind|id)"\s*:\s*")/?\$(\d+)(["/])',
            lambda found: found[1] + _known(found[2], known) + found[3],
            body.decode(),
        )
        body = text.encode()
    return Request(request.method, url, request.headers, body, request.content_id)


def _known(reference: str, known: Mapping[str, str]) -> str:
    if reference not in known:
        raise UnknownReference(f"Content-ID Reference: '${reference}' does not exist in the batch context.")
    return known[reference]


def format_batch(outcomes: list[Outcome], *, wrap_failed_set: bool) -> tuple[str, bytes]:
    """The multipart answer to a batch.

    Args:
        outcomes: What `run_batch` gave.
        wrap_failed_set: Whether a failed change set's answer stays inside a change-set part (Dataverse) or stands alone
            (Finance, and the OData specification).

    Returns:
        The Content-Type and the body.
    """
    boundary = f"batchresponse_{uuid.uuid4()}"
    chunks: list[str] = []
    for outcome in outcomes:
        if outcome.in_set and (outcome.failure is None or wrap_failed_set):
            inner = f"changesetresponse_{uuid.uuid4()}"
            chunks.append(f"--{boundary}\r\nContent-Type: multipart/mixed; boundary={inner}\r\n\r\n")
            chunks.extend(_format_part(inner, content_id, answer) for content_id, answer in outcome.answers)
            chunks.append(f"--{inner}--\r\n")
        else:
            chunks.extend(_format_part(boundary, content_id, answer) for content_id, answer in outcome.answers)
    chunks.append(f"--{boundary}--\r\n")
    return f"multipart/mixed; boundary={boundary}", "".join(chunks).encode()


def _format_part(boundary: str, content_id: str, answer: Answer) -> str:
    lines = [f"--{boundary}", "Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    if content_id:
        lines.append(f"Content-ID: {content_id}")
    reason = HTTPStatus(answer.status).phrase
    lines += ["", f"HTTP/1.1 {answer.status} {reason}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    lines += ["", bytes(answer.body).decode()]
    return "\r\n".join(lines) + "\r\n"
