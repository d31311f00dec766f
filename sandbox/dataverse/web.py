"""A request that was read, and the ways to answer it: what all parts of the Web API share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote_plus, urlsplit

from sandbox.dataverse import auditing, errors, pricing
from sandbox.dataverse.environment import Dataverse
from sandbox.dataverse.links import ROOT
from sandbox.dataverse.operation import Operation, run
from sandbox.dataverse.preferences import Preferences
from sandbox.dataverse.reading import etag
from sandbox.dataverse.schema import Entity
from sandbox.odata.address import Segment
from sandbox.odata.batch import Answer, Request
from sandbox.odata.jsonio import BadJson, decode, encode
from sandbox.odata.query import QueryOptions
from sandbox.store import Row

_ROOT_PATTERN: Final = re.compile(r"^/api/data/v9\.\d+(?=/|$)")
ODATA: Final = {"OData-Version": "4.0"}
JSON: Final = {"Content-Type": "application/json; odata.metadata=minimal", **ODATA}
NAMESPACE: Final = "Microsoft.Dynamics.CRM."


@dataclass(frozen=True, slots=True)
class Call:
    """A request with what was read from its address and headers."""

    request: Request
    segments: tuple[Segment, ...]
    query: str
    preferences: Preferences
    user: str

    @property
    def method(self) -> str:
        """Upper-case method."""
        return self.request.method

    @property
    def solution(self) -> str | None:
        """The unique name of the solution a change belongs to, None for the default solution."""
        return self.header("mscrm.solutionuniquename") or self.parameters().get("SolutionUniqueName")

    def header(self, name: str) -> str | None:
        """A header, None where absent or the literal `null` that Microsoft's samples send."""
        value = self.request.headers.get(name)
        return None if value in (None, "", "null") else value

    def parameters(self) -> dict[str, str]:
        """The query parameters, decoded."""
        pairs = (piece.partition("=") for piece in self.query.split("&") if piece)
        return {unquote_plus(name): unquote_plus(value) for name, _, value in pairs}

    def body(self) -> dict[str, Any]:
        """The JSON object in the body.

        Raises:
            DataverseError: It is none.
        """
        try:
            body = decode(self.request.body or b"{}")
        except BadJson as problem:
            message = f"An error occurred while validating input parameters: {problem}"
            raise errors.DataverseError(400, "0x80048d19", message) from problem
        if not isinstance(body, dict):
            raise errors.DataverseError(400, "0x80048d19", "The request body must be a JSON object.")
        return body

    def need(self, *methods: str) -> None:
        """Refuse other methods.

        Raises:
            DataverseError: 405.
        """
        if self.method not in methods:
            raise errors.method_not_allowed(self.method)


class Responder:
    """Makes answers for one environment."""

    def __init__(self, dataverse: Dataverse) -> None:
        self.dataverse = dataverse
        self.base = dataverse.origin + ROOT

    def operation(self, call: Call) -> AbstractContextManager[Operation]:
        """The work of a request, to be done in a `with` block."""
        return run(
            self.dataverse.operation(call.user), pricing.settle, auditing.record, self.dataverse.webhooks.deliver
        )

    def user(self, call: Call) -> Row:
        """The caller's row."""
        return self.dataverse.operation(call.user).user

    def response(self, body: Mapping[str, Any], name: str) -> Answer:
        """A complex answer of a function or action."""
        context = f"{self.base}/$metadata#Microsoft.Dynamics.CRM.{name.removeprefix(NAMESPACE)}Response"
        return Answer(200, JSON, encode({"@odata.context": context, **body}))

    def row(self, call: Call, entity: Entity, row: Row, options: QueryOptions, status: int) -> Answer:
        """A row."""
        shown = self.dataverse.reader.present(entity, row, options, call.preferences.look)
        body = {"@odata.context": f"{self.context_of(entity, options)}/$entity", **shown}
        return Answer(status, {**applied(call), "ETag": etag(row)}, encode(body))

    def context_of(self, entity: Entity, options: QueryOptions) -> str:
        """The `@odata.context` of rows of a table."""
        return _context_text(self.base, entity.entity_set, options.select)


def applied(call: Call) -> dict[str, str]:
    """The headers of a JSON answer, with the preferences that were followed."""
    preferred = call.preferences.applied
    return {**JSON, "Preference-Applied": preferred} if preferred else dict(JSON)


def plain(text: str) -> Answer:
    """A raw value."""
    return Answer(200, {"Content-Type": "text/plain", **ODATA}, text.encode())


@lru_cache(maxsize=4096)
def _context_text(base: str, entity_set: str, select: tuple[str, ...] | None) -> str:
    columns = f"({','.join(select)})" if select else ""
    return f"{base}/$metadata#{entity_set}{columns}"


def split(url: str) -> tuple[str, str]:
    """Path below the service root, and query string."""
    parts = urlsplit(url) if "://" in url else None
    path, _, query = (f"{parts.path}?{parts.query}" if parts else url).partition("?")
    return _ROOT_PATTERN.sub("", path, count=1), query


def bracket(url: str) -> str:
    """The text in the brackets of the last segment of an address, as the caller wrote it."""
    path = split(url)[0]
    return path[path.index("(") + 1 : path.rindex(")")]
