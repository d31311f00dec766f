"""One OData client for both systems: errors, ETags, pages and batches.

Every method makes exactly one HTTP request, because the number of requests is a budget. Two exceptions, both rare: a
401 is answered once with a fresh token, and `all_rows` follows pages while there are any. While the system does not
answer, or asked for a pause, none is made (`dynamics.core.circuit`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from dynamics.core import exact_json
from dynamics.core.batch import BatchItem, ChangeSet, MalformedBatch, RawPart, Read, Write, format_batch, parse_batch
from dynamics.core.errors import Answer, DynamicsError, answer_of
from dynamics.core.evidence import answer_shown, part_shown
from dynamics.core.transport import Transport, operation_of

SECONDS_PER_OPERATION = 0.1
"""How much longer a batch may be silent for each operation in it: a system that writes 150 lines is not dead."""

Row = dict[str, Any]
"""One row as decoded from JSON: numbers are `int` or `Decimal`."""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of one answer and where the next ones are."""

    rows: list[Row]
    next_link: str | None
    delta_link: str | None


@dataclass(frozen=True, slots=True)
class Written:
    """What a write answered."""

    row: Row | None
    """The row, when a representation came back."""
    entity_id: str
    """URL of the row (`OData-EntityId`); empty when a representation came back."""
    created: bool
    """True for 201, and for a POST's 204."""


@dataclass(frozen=True, slots=True)
class Part:
    """The answer to one request inside a batch."""

    row: Row | None
    error: DynamicsError | None

    def value(self) -> Row:
        """The decoded body; raises the part's error."""
        if self.error is not None:
            raise self.error
        return self.row or {}


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """The answer to one item of a batch: a read's single part, or a change set's parts."""

    parts: tuple[Part, ...]
    error: DynamicsError | None
    """Why the read failed, or why the whole change set was undone."""

    def check(self) -> tuple[Part, ...]:
        """The parts; raises the item's error."""
        if self.error is not None:
            raise self.error
        return self.parts

    def value(self) -> Row:
        """The decoded body of a read; raises its error."""
        return self.check()[0].value()

    def rows(self) -> list[Row]:
        """The rows of a read collection; raises its error."""
        return list(self.value().get("value", []))


class ODataClient(Transport):
    """OData's requests to one system, as one application.

    Use as an async context manager, or call `aclose`. Safe for use by many tasks of one event loop.
    """

    # --- reads -----------------------------------------------------------------------------------------------------

    async def get(self, path: str, *, headers: Mapping[str, str] | None = None) -> Row:
        """One row, or any other single JSON object.

        Raises:
            NotFound: no row under this key.
            DynamicsError: as the error table says.
        """
        response = await self._send("GET", self.root + path, headers=headers)
        return self._object(response, operation_of(path), write=False)

    async def text(self, path: str, *, patience: float | None = None) -> str:
        """A document that is not JSON: `$metadata`. `patience`: longest silence in seconds; None: the endpoint's."""
        response = await self._send("GET", self.root + path, headers={"Accept": "application/xml"}, patience=patience)
        return response.text

    async def page(self, path_or_link: str, *, prefer: str | None = None) -> Page:
        """One page of a collection.

        Args:
            path_or_link: A path with options, or a `nextLink`/`deltaLink` exactly as it came.
            prefer: The `Prefer` header, the same for every page of one query.

        Raises:
            ValueError: a link to another origin: our token must not go there.
        """
        url = path_or_link if path_or_link.startswith(("https://", "http://")) else self.root + path_or_link
        if not url.startswith(self.origin + "/"):
            raise ValueError(f"a link that leaves {self.origin}")
        response = await self._send("GET", url, headers={"Prefer": prefer} if prefer else None)
        body = self._object(response, operation_of(url.removeprefix(self.root)), write=False)
        return Page(list(body.get("value", [])), body.get("@odata.nextLink"), body.get("@odata.deltaLink"))

    async def all_rows(self, path: str, *, prefer: str | None = None) -> list[Row]:
        """All rows of a collection, page after page; one request per page.

        Raises:
            Transient: the server gave the same link twice, which would never end.
        """
        rows: list[Row] = []
        seen: set[str] = set()
        link: str | None = path
        while link is not None:
            if link in seen:
                answer = Answer(self.system, write=False, message="the same page was offered twice", operation=path)
                raise answer.error()
            seen.add(link)
            page = await self.page(link, prefer=prefer)
            rows += page.rows
            link = page.next_link
        return rows

    # --- writes ----------------------------------------------------------------------------------------------------

    async def post(
        self, path: str, body: Row, *, representation: bool = False, headers: Mapping[str, str] | None = None
    ) -> Written:
        """Create a row, or a definition; `headers` stand beside those of every request.

        Raises:
            Conflict: its key exists.
            UnknownOutcome: the request left and no answer came.
            DynamicsError: as the error table says.
        """
        return await self._write("POST", path, body, dict(headers or {}), representation)

    async def put(self, path: str, body: Row, *, headers: Mapping[str, str] | None = None) -> None:
        """Put a definition in place of the old one: Dataverse's metadata knows no PATCH. Raises as `post`."""
        await self._write("PUT", path, body, dict(headers or {}), representation=False)

    async def patch(
        self,
        path: str,
        body: Row,
        *,
        if_match: str | None = "*",
        if_none_match: str | None = None,
        representation: bool = False,
    ) -> Written:
        """Change a row; by default only one that exists.

        Dataverse's PATCH creates a row where none is, unless told otherwise (Microsoft Learn: "Use Upsert to create or
        update a record").

        Args:
            path: The row's path.
            body: The columns to change.
            if_match: `*` (must exist), an ETag (must be unchanged), or None (create it where it is missing).
            if_none_match: `*` to create only.
            representation: Ask for the row in the answer.

        Raises:
            Conflict: the ETag is stale, or with `if_none_match` the row exists.
            NotFound: with `if_match`, the row does not exist.
            UnknownOutcome: the request left and no answer came.
        """
        conditions = {"If-Match": if_match, "If-None-Match": if_none_match}
        headers = {name: value for name, value in conditions.items() if value is not None}
        return await self._write("PATCH", path, body, headers, representation)

    async def delete(self, path: str, *, if_match: str | None = None) -> None:
        """Delete a row.

        Raises:
            NotFound: it is gone already.
            Conflict: the ETag is stale.
        """
        await self._send("DELETE", self.root + path, headers={"If-Match": if_match} if if_match else None)

    async def action(self, path: str, body: Row, *, base: str | None = None) -> Row:
        """Call an action or a custom service; its answer, `{}` where it has none.

        Args:
            path: Action name, or path below `base`.
            body: Parameters by their exact names.
            base: Another root on the same origin, e.g. for Finance's `/api/services/`.
        """
        response = await self._send("POST", (base or self.root) + path, content=exact_json.dumps(body))
        return self._object(response, operation_of(path), write=True)

    async def batch(self, items: Sequence[BatchItem]) -> list[BatchAnswer]:
        """Several requests in one. The answers are in the order of `items`, errors inside them.

        A failing item does not stop the others (`Prefer: odata.continue-on-error`).

        Raises:
            ValueError: more operations than the system takes at once.
            UnknownOutcome: it held a change set, left us, and no readable answer came.
            DynamicsError: the batch as a whole was refused or could not be sent.
        """
        count = sum(1 if isinstance(i, Read) else len(i.writes) for i in items)
        if not items or count > self.max_batch:
            raise ValueError(f"a batch of {count} operations: {self.system.value} takes 1 to {self.max_batch}")
        writes = any(isinstance(i, ChangeSet) for i in items)
        content_type, content = format_batch(items, self.root)
        response = await self._send(
            "POST",
            self.root + "$batch",
            content=content,
            headers={
                "Content-Type": content_type,
                "Accept": "multipart/mixed",
                "Prefer": "odata.continue-on-error",
            },
            write=writes,
            multipart=True,
            patience=self._patience + SECONDS_PER_OPERATION * count,
        )
        try:
            answers = parse_batch(response.headers.get("content-type", ""), response.content)
        except MalformedBatch as e:
            raise self._unreadable(str(e), "$batch", writes) from e
        return [self._item(item, answers[n] if n < len(answers) else []) for n, item in enumerate(items)]

    # --- inside ----------------------------------------------------------------------------------------------------

    async def _write(self, method: str, path: str, body: Row, headers: dict[str, str], representation: bool) -> Written:
        if representation:
            headers["Prefer"] = "return=representation"
        response = await self._send(method, self.root + path, content=exact_json.dumps(body), headers=headers)
        row = self._object(response, operation_of(path), write=True) if response.content else None
        created = response.status_code == httpx.codes.CREATED or (
            method == "POST" and response.status_code == httpx.codes.NO_CONTENT
        )
        return Written(row, response.headers.get("odata-entityid", ""), created)

    def _item(self, item: BatchItem, raw: list[RawPart]) -> BatchAnswer:
        write = isinstance(item, ChangeSet)
        first = item.writes[0] if isinstance(item, ChangeSet) else item
        method = first.method if isinstance(first, Write) else "GET"
        operation = f"{method} {operation_of(first.path)}"
        if not raw:
            return BatchAnswer((), self._unreadable("the batch gave no answer to this request", operation, write))
        parts = tuple(self._part(p, operation, item, n) for n, p in enumerate(raw))
        error = next((p.error for p in parts if p.error is not None), None)
        expected = len(item.writes) if isinstance(item, ChangeSet) else 1
        if error is None and len(parts) != expected:
            error = self._unreadable(f"{len(parts)} answers to {expected} requests", operation, write)
        return BatchAnswer(parts, error)

    def _part(self, raw: RawPart, operation: str, item: BatchItem, n: int) -> Part:
        if not 200 <= raw.status < 300:
            answer = answer_of(
                system=self.system,
                write=isinstance(item, ChangeSet),
                status=raw.status,
                headers=raw.headers,
                body=raw.body,
                operation=operation,
            )
            return Part(None, answer.error().showing(part_shown(item, n), answer_shown(raw.status, raw.body)))
        try:
            row = exact_json.loads(raw.body) if raw.body.strip() else None
        except msgspec.DecodeError as e:
            return Part(None, self._unreadable(str(e), operation, isinstance(item, ChangeSet)))
        return Part(row, None)

    def _object(self, response: httpx.Response, operation: str, *, write: bool) -> Row:
        if not response.content:
            return {}
        try:
            decoded = exact_json.loads(response.content)
        except msgspec.DecodeError as e:
            raise self._unreadable(str(e), operation, write) from e
        return decoded if isinstance(decoded, dict) else {"value": decoded}

    def _unreadable(self, why: str, operation: str, write: bool) -> DynamicsError:
        return Answer(self.system, write, message=f"unreadable answer: {why}", operation=operation).error()
