"""What an answer of Dataverse or Finance means, decided in one place.

Everything above this module (activities, parking, probing) reacts to the *class* of an error, never to a status, a
code or a text. The mapping is the ordered table `RULES`: the first row that matches an `Answer` names the class.
It is data so that it can be read, and enumerated by a test.

    DynamicsError
    ├── Transient         nothing was done; try again with back-off
    │   ├── Throttled     the same, and the system said how long to wait (`retry_after`)
    │   └── Unreachable   not even sent, because the system does not answer (dynamics.core.circuit)
    ├── Unauthorized      no valid token, or the application is not known to the system
    ├── UnknownOutcome    a write left us and its answer did not come back: probe, never assume
    ├── Conflict          somebody was first: the key exists already
    │   └── Stale         the row changed since it was read: read it again and try again
    ├── NotFound          the row addressed by key does not exist
    └── Refused           the system understood the request and said no: a person must act

Sources: Microsoft Learn "Compose HTTP requests and handle errors" and "Service protection API limits" (Dataverse),
"Open Data Protocol (OData)" and "Service protection API limits" (finance and operations), recorded answers.
"""

from __future__ import annotations

import email.utils
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, StrEnum
from typing import ClassVar, Self

import msgspec

from dynamics.core.evidence import without_secrets

MAX_MESSAGE_BYTES = 2048
"""Longest message kept: errors travel in workflow history, where every byte stays for weeks."""

MIN_RETRY_AFTER = 1.0
MAX_RETRY_AFTER = 900.0
DEFAULT_RETRY_AFTER = 30.0
"""Seconds to wait on a 429 without a usable `Retry-After`: what Microsoft's sample for finance and operations uses."""


class System(StrEnum):
    """The system of Microsoft's that answered."""

    DATAVERSE = "dataverse"
    FINANCE = "finance"
    ENTRA = "entra"


class Failure(Enum):
    """How a request failed without an HTTP answer."""

    NOT_SENT = "not sent"
    """No byte of the request left: name not resolved, connection refused, no free connection in time."""
    SENT = "sent"
    """The request left, wholly or in part, and no complete answer came: timeout, reset, broken protocol."""


class DynamicsError(Exception):
    """A request to Dynamics that did not do what was asked. Subclasses say what that means."""

    retryable: ClassVar[bool] = False
    """True where doing the very same again, later, is safe and may succeed."""

    def __init__(
        self,
        message: str,
        *,
        system: System,
        status: int | None = None,
        code: str = "",
        infolog: tuple[str, ...] = (),
        request_id: str = "",
        operation: str = "",
        retry_after: float | None = None,
    ) -> None:
        """Keep what a person needs to act on.

        Args:
            message: What the system said; kept without secrets and cut to `MAX_MESSAGE_BYTES` of UTF-8.
            system: Who said it.
            status: HTTP status; None when no answer came.
            code: Error code of the system (`0x80060882`, `AADSTS7000215`, exception type of Finance); may be empty.
            infolog: The lines of Finance's infolog, where there was one, in the language of the service's user.
            request_id: The id under which Microsoft's support finds the request.
            operation: Method and entity set or action, e.g. `POST SalesOrderHeadersV4`.
            retry_after: Seconds the system asked us to wait, clamped.
        """
        self.message = truncated(without_secrets(message))
        super().__init__(self.message)
        self.system = system
        self.status = status
        self.code = code
        self.infolog = infolog
        self.request_id = request_id
        self.operation = operation
        self.retry_after = retry_after
        self.request = ""
        self.answer = ""

    def showing(self, request: str, answer: str) -> Self:
        """The error with what was asked and answered, as a person may read it (`dynamics.core.evidence`)."""
        self.request, self.answer = request, answer
        return self

    def __str__(self) -> str:
        head = " ".join(p for p in (self.system.value, self.operation, str(self.status or ""), self.code) if p)
        return f"{head}: {self.message}"

    def details(self) -> dict[str, str | int | float | list[str] | None]:
        """The error as plain JSON for an audit record or an activity failure's details."""
        return {
            "class": type(self).__name__,
            "system": self.system.value,
            "operation": self.operation,
            "status": self.status,
            "code": self.code,
            "message": self.message,
            "infolog": list(self.infolog),
            "request_id": self.request_id,
            "retry_after": self.retry_after,
            "request": self.request,
            "answer": self.answer,
        }


class Transient(DynamicsError):
    """Nothing was done and the cause passes by itself: try again with back-off."""

    retryable = True


class Throttled(Transient):
    """The system asked us to slow down; `retry_after` is always set (seconds, 1 to 900)."""


class Unreachable(Transient):
    """Not sent, because the system answers nobody at present; `retry_after`: seconds to when it is tried again."""


class Unauthorized(DynamicsError):
    """The token was refused twice, or Entra ID gave none. Ends when a person fixes the registration."""

    retryable = True


class UnknownOutcome(DynamicsError):
    """A write left and nobody told us whether it was done. Never retry blindly: read by key until it is proved."""


class Conflict(DynamicsError):
    """The row is not as the writer believed: its key exists already, or its content is another. Read it and decide."""


class Stale(Conflict):
    """The row was changed by somebody else since it was read: reading it again and writing again may succeed."""

    retryable = True


class NotFound(DynamicsError):
    """No row under this key (in this company)."""


class Refused(DynamicsError):
    """The system understood the request and said no; the same request will be refused again."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one request (or one part of a batch), in the terms the table decides on."""

    system: System
    write: bool
    """True when the request may have changed something."""
    status: int | None = None
    failure: Failure | None = None
    code: str = ""
    type: str = ""
    """Exception type in Finance's `innererror.type`."""
    message: str = ""
    infolog: tuple[str, ...] = ()
    retry_after: float | None = None
    service_failure: bool = False
    """HTTP 200 of a custom X++ service whose contract says `Success` = false."""
    request_id: str = ""
    operation: str = ""
    at: str = ""
    """When it was answered, as the server's `Date` header says; empty where there was no answer."""

    def error(self) -> DynamicsError:
        """The error this answer stands for, by the first matching row of `RULES`."""
        kind = classify(self).becomes
        wait = self.retry_after if self.retry_after is not None else DEFAULT_RETRY_AFTER
        return kind(
            self.message or self._without_reason(),
            system=self.system,
            status=self.status,
            code=self.code or self.type,
            infolog=self.infolog,
            request_id=self.request_id,
            operation=self.operation,
            retry_after=wait if issubclass(kind, Throttled) else None,
        )

    def _without_reason(self) -> str:
        """What a person can give to support where the system gave no reason."""
        if self.status is None:
            return "no answer"
        known = (
            f"request id {self.request_id}" if self.request_id else "no request id",
            f"answered {self.at}" if self.at else "",
        )
        return f"HTTP {self.status} without a reason ({', '.join(part for part in known if part)})"


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table. An absent condition matches everything; all present ones must match."""

    name: str
    becomes: type[DynamicsError]
    system: System | None = None
    status: frozenset[int] | None = None
    failure: Failure | None = None
    code: frozenset[str] | None = None
    type_contains: str | None = None
    text: re.Pattern[str] | None = None
    write: bool | None = None
    retry_after: bool | None = None
    service_failure: bool | None = None

    def matches(self, a: Answer) -> bool:
        """Whether every condition of this row holds for the answer."""
        return (
            (self.system is None or a.system is self.system)
            and (self.status is None or a.status in self.status)
            and (self.failure is None or a.failure is self.failure)
            and (self.code is None or a.code.lower() in self.code)
            and (self.type_contains is None or self.type_contains in a.type)
            and (self.text is None or self.text.search(a.message) is not None)
            and (self.write is None or a.write is self.write)
            and (self.retry_after is None or (a.retry_after is not None) is self.retry_after)
            and (self.service_failure is None or a.service_failure is self.service_failure)
        )


def _statuses(*ranges: int | range) -> frozenset[int]:
    return frozenset(s for r in ranges for s in ([r] if isinstance(r, int) else r))


_FIVE_HUNDREDS = _statuses(range(500, 600))
_FOUR_HUNDREDS = _statuses(range(400, 500))

DUPLICATE_CODES = frozenset({"0x80040237", "0x80060892", "0x80040333"})
"""Dataverse: DuplicateRecord, DuplicateRecordEntityKey, DuplicateRecordsFound."""

RULES: tuple[Rule, ...] = (
    Rule("nothing left this machine", Transient, failure=Failure.NOT_SENT),
    Rule("a write left and no answer came", UnknownOutcome, failure=Failure.SENT, write=True),
    Rule("a read left and no answer came", Transient, failure=Failure.SENT),
    Rule("token refused", Unauthorized, status=_statuses(401)),
    Rule("throttled", Throttled, status=_statuses(429)),
    Rule("unavailable until a stated time", Throttled, status=_statuses(503), retry_after=True),
    # Service protection inside a batch part may carry the code without the status.
    Rule(
        "throttled by code",
        Throttled,
        system=System.DATAVERSE,
        code=frozenset({"0x80072321", "0x80072322", "0x80072326"}),
    ),
    # Two transactions of X++ met: shaped like a business refusal, but this one was rolled back and can be run again.
    Rule(
        "update conflict or deadlock in X++",
        Transient,
        system=System.FINANCE,
        text=re.compile(r"update conflict|deadlock", re.IGNORECASE),
    ),
    # Finance answers 400 to a PATCH or DELETE of a row that is not there.
    Rule(
        "no such row to change in Finance",
        NotFound,
        system=System.FINANCE,
        text=re.compile(r"no resources were found when selecting for update", re.IGNORECASE),
    ),
    Rule(
        "duplicate key in Finance",
        Conflict,
        system=System.FINANCE,
        text=re.compile(r"record already exists", re.IGNORECASE),
    ),
    Rule("duplicate in Dataverse", Conflict, system=System.DATAVERSE, code=DUPLICATE_CODES),
    Rule("stale version in Dataverse", Stale, system=System.DATAVERSE, code=frozenset({"0x80060882"})),
    Rule("precondition failed", Stale, status=_statuses(412)),
    Rule("conflict", Conflict, status=_statuses(409)),
    Rule(
        "no such row in Dataverse",
        NotFound,
        system=System.DATAVERSE,
        code=frozenset({"0x80040217", "0x80060891"}),
    ),
    Rule("no such row", NotFound, status=_statuses(404)),
    Rule("refused by a custom service", Refused, service_failure=True),
    # Finance answers a failed validation with 400 alone and with 500 inside a batch; the exception type tells.
    Rule("refused by X++ on write", Refused, system=System.FINANCE, type_contains="AxODataWriteException"),
    Rule("refused by an X++ action", Refused, system=System.FINANCE, type_contains="InvalidOperationException"),
    Rule("request never read whole", Transient, status=_statuses(408)),
    Rule("other client error", Refused, status=_FOUR_HUNDREDS),
    Rule("not implemented", Refused, status=_statuses(501)),
    Rule("server failed during a write", UnknownOutcome, status=_FIVE_HUNDREDS, write=True),
    Rule("server failed during a read", Transient, status=_FIVE_HUNDREDS),
    # A success that could not be understood: truncated or foreign body.
    Rule("unreadable answer to a write", UnknownOutcome, write=True),
    Rule("unreadable answer to a read", Transient),
)


def classify(answer: Answer) -> Rule:
    """The first rule that matches; the last two rows match anything, so there always is one."""
    return next(rule for rule in RULES if rule.matches(answer))


def truncated(text: str, limit: int = MAX_MESSAGE_BYTES) -> str:
    """The text, cut to `limit` bytes of UTF-8 at a character boundary."""
    raw = text.encode()
    return text if len(raw) <= limit else raw[: limit - 3].decode(errors="ignore") + "…"


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds of a `Retry-After` header: a number of seconds, or an HTTP date compared with `now` (aware UTC).

    Returns None when absent or unreadable; else clamped to 1 s .. 15 min (RFC 9110, section 10.2.3).
    """
    if value is None or not value.strip():
        return None
    text = value.strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            at = email.utils.parsedate_to_datetime(text)
        except ValueError:
            return None
        seconds = (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds()
    if seconds != seconds:  # NaN would slip through min and max
        return None
    return min(max(seconds, MIN_RETRY_AFTER), MAX_RETRY_AFTER)


_INFOLOG = re.compile(r"Infolog:\s*(.*)$", re.DOTALL)
_INFOLOG_LEVEL = re.compile(r"^(?:Warning|Error|Info):\s*", re.IGNORECASE)


def infolog_of(message: str) -> tuple[str, ...]:
    """The lines after `Infolog:` in a message of Finance, without their level and trailing dots.

    `Write failed for … Infolog: Warning: A.; Error: B..` becomes `("A", "B")`; no infolog gives `()`.
    """
    found = _INFOLOG.search(message)
    if found is None:
        return ()
    return tuple(
        line for part in found.group(1).split("; ") if (line := _INFOLOG_LEVEL.sub("", part.strip()).rstrip(" .;"))
    )


_REQUEST_ID_HEADERS = ("x-ms-service-request-id", "req_id", "x-ms-request-id", "ms-dyn-aid", "request-id")


def request_id_of(headers: Mapping[str, str]) -> str:
    """The server's id of the request, from whichever header the system uses (`headers` keyed case-insensitively)."""
    return next((v for name in _REQUEST_ID_HEADERS if (v := headers.get(name))), "")


def _error_body(body: bytes) -> tuple[str, str, str]:
    """(code, message, exception type) of an OData error body; a body that is no JSON (HTML of a gateway) gives none."""
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "", "", ""
    error = decoded.get("error") if isinstance(decoded, dict) else None
    if not isinstance(error, dict):
        message = decoded.get("Message") if isinstance(decoded, dict) else None
        return "", message if isinstance(message, str) else "", ""
    inner = error.get("innererror")
    inner = inner if isinstance(inner, dict) else {}
    # Finance puts "An error has occurred." outside and the reason inside.
    message = str(inner.get("message") or error.get("message") or "")
    return str(error.get("code") or ""), message, str(inner.get("type") or "")


def answer_of(
    *,
    system: System,
    write: bool,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    operation: str,
    now: datetime | None = None,
) -> Answer:
    """Read an HTTP answer (or a part of a batch) into the terms of the table.

    Args:
        system: Who answered.
        write: Whether the request may have changed something.
        status: HTTP status.
        headers: Response headers, looked up case-insensitively by lower-case names.
        body: The raw body; JSON of OData, HTML of a gateway, or nothing.
        operation: For the message, e.g. `PATCH quotes`.
        now: Aware UTC time to compare an HTTP date with; the present when absent.
    """
    code, message, kind = _error_body(body)
    now = now or datetime.now(UTC)
    if not message and body and "html" in headers.get("content-type", "").lower():
        message = "the gateway answered with a page, not with data"
    return Answer(
        system=system,
        write=write,
        status=status,
        code=code,
        type=kind,
        message=message,
        infolog=infolog_of(message),
        retry_after=parse_retry_after(headers.get("retry-after"), now),
        request_id=request_id_of(headers),
        operation=operation,
        at=headers.get("date") or email.utils.format_datetime(now, usegmt=True),
    )
