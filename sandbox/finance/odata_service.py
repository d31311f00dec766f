"""The OData endpoint without HTTP: one request in, one answer out, alone or as a part of `$batch`.

Everything here is synchronous, so that a change set runs in one transaction. A failed change set is one part with
status 500 while the outer answer is 200, and later parts of the batch still run.
Sources: Microsoft Learn, "Open Data Protocol (OData)" (finance and operations); recorded `$batch` answers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from sandbox.finance.books import Books, Company
from sandbox.finance.csdl import metadata_document, service_document
from sandbox.finance.errors import (
    FinanceError,
    MalformedRequest,
    NotSupported,
    StaleVersion,
    UnknownResource,
    not_found_in,
)
from sandbox.finance.model import EntitySet, entity_sets
from sandbox.finance.reads import MAX_PAGE, check_shape, etag, find_row, select_page, to_json
from sandbox.finance.writes import create_row, delete_row, read_body, update_row
from sandbox.odata.address import AddressError, Segment, parse_path
from sandbox.odata.batch import (
    FINANCE_MAX_REQUESTS,
    Answer,
    BatchError,
    Request,
    UnknownReference,
    format_batch,
    parse_batch,
    run_batch,
)
from sandbox.odata.filters import Literal
from sandbox.odata.jsonio import BadJson, decode, encode
from sandbox.odata.query import QueryError, QueryOptions, parse_query
from sandbox.store import Row

JSON: Final = {"Content-Type": "application/json; odata.metadata=minimal", "OData-Version": "4.0"}
_PAGE_SIZE = re.compile(r"odata\.maxpagesize=(\d+)")


class ODataService:
    """`/data` of one environment."""

    def __init__(self, books: Books, origin: str, default_company: str) -> None:
        """Serve `books`.

        Args:
            books: The environment's books.
            origin: Scheme, host and port, without trailing slash.
            default_company: The company of the caller's user, seen when `cross-company` is not asked for.
        """
        self._books = books
        self.origin = origin
        self.default_company = default_company

    def execute(self, request: Request, *, in_batch: bool = False) -> Answer:
        """Answer a request; what Finance refuses is an answer too."""
        try:
            return self._dispatch(request)
        except FinanceError as refusal:
            return _refusal(refusal, refusal.batch_status if in_batch else refusal.status)
        except (AddressError, QueryError, BadJson) as problem:
            return _refusal(MalformedRequest(str(problem)), MalformedRequest.status)

    def execute_batch(self, content_type: str, body: bytes) -> Answer:
        """Answer a `$batch` request."""
        try:
            items = parse_batch(content_type, body, at_most=FINANCE_MAX_REQUESTS)
        except BatchError as problem:
            return _refusal(MalformedRequest(str(problem)), MalformedRequest.status)
        db = self._books.db

        def run(request: Request) -> Answer:
            answer = self.execute(request, in_batch=True)
            in_change_set = db.in_transaction
            return Answer(500, answer.headers, answer.body) if answer.failed and in_change_set else answer

        outcomes = run_batch(
            items,
            run,
            db.transaction,
            continue_on_error=True,
            created_at=lambda answer: answer.headers.get("Location"),
            refuse=_refuse_reference,
        )
        kind, content = format_batch(outcomes, wrap_failed_set=False)
        return Answer(200, {"Content-Type": kind, "OData-Version": "4.0"}, content)

    def _dispatch(self, request: Request) -> Answer:
        path, _, query = self._below_root(request.url).partition("?")
        options = parse_query(query)
        segments = parse_path(path)
        if not segments:
            return _json(service_document(self.origin))
        if segments[0].name == "$metadata":
            return Answer(200, {"Content-Type": "application/xml", "OData-Version": "4.0"}, metadata_document())
        entity = entity_sets().get(segments[0].name)
        if entity is None:
            raise UnknownResource(
                f"No HTTP resource was found that matches the request URI '{self.origin}/data/{path}'."
            )
        _check_options(options)
        check_shape(entity, options)
        visible = None if _is_cross_company(options) else self.default_company
        key = segments[0].key
        if key is None:
            return self._on_set(request, entity, segments[1:], options, visible, query)
        if len(segments) > 1:
            raise UnknownResource(f"Resource not found for the segment '{segments[1].name}'.")
        return self._on_row(request, entity, key, options, visible)

    def _below_root(self, url: str) -> str:
        path = url.removeprefix(self.origin)
        return path.lstrip("/").removeprefix("data/") if path != "data" else ""

    def _on_set(
        self,
        request: Request,
        entity: EntitySet,
        rest: tuple[Segment, ...],
        options: QueryOptions,
        visible: str | None,
        query: str,
    ) -> Answer:
        if rest and rest[0].name == "$count" and request.method == "GET":
            total = select_page(self._books, entity, options, visible, 0).total
            return Answer(200, {"Content-Type": "text/plain", "OData-Version": "4.0"}, str(total).encode())
        if rest:
            raise UnknownResource(f"Resource not found for the segment '{rest[0].name}'.")
        if request.method == "GET":
            return self._read_set(request, entity, options, visible, query)
        if request.method == "POST":
            return self._create(request, entity)
        raise NotSupported(f"The requested resource does not support HTTP method '{request.method}'.")

    def _read_set(
        self, request: Request, entity: EntitySet, options: QueryOptions, visible: str | None, query: str
    ) -> Answer:
        wanted = _PAGE_SIZE.search(request.headers.get("prefer", ""))
        size = min(int(wanted[1]), MAX_PAGE) if wanted else MAX_PAGE
        page = select_page(self._books, entity, options, visible, max(size, 1))
        body: dict[str, Any] = {"@odata.context": self._context(entity, options)}
        if options.count:
            body["@odata.count"] = page.total
        body["value"] = [to_json(self._books, entity, row, options.select, options.expand) for row in page.rows]
        if page.token is not None:
            kept = "&".join(part for part in query.split("&") if part and not part.startswith("$skiptoken="))
            body["@odata.nextLink"] = f"{self.origin}/data/{entity.name}?{kept}&$skiptoken={page.token}".replace(
                "?&", "?"
            )
        return _json(body)

    def _on_row(
        self,
        request: Request,
        entity: EntitySet,
        key: Mapping[str, Literal],
        options: QueryOptions,
        visible: str | None,
    ) -> Answer:
        row = find_row(self._books, entity, key, visible)
        if request.method == "GET":
            body = {"@odata.context": self._context(entity, options) + "/$entity"}
            return _json(body | to_json(self._books, entity, row, options.select, options.expand))
        _check_match(request, entity, row)
        company = self._company_of(entity, row)
        if request.method in ("PATCH", "PUT"):
            row = update_row(self._books, entity, company, row, read_body(entity, decode(request.body)))
            if "return=representation" in request.headers.get("prefer", ""):
                body = {"@odata.context": self._context(entity, options) + "/$entity"}
                answer = _json(body | to_json(self._books, entity, row, None, ()))
                return Answer(200, {**answer.headers, "Preference-Applied": "return=representation"}, answer.body)
            return Answer(204, {"OData-Version": "4.0", "ETag": etag(entity, row)})
        if request.method == "DELETE":
            delete_row(self._books, entity, company, row)
            return Answer(204, {"OData-Version": "4.0"})
        raise NotSupported(f"The requested resource does not support HTTP method '{request.method}'.")

    def _create(self, request: Request, entity: EntitySet) -> Answer:
        sent = read_body(entity, decode(request.body))
        row = create_row(self._books, entity, self._company_named(entity, sent), sent)
        headers = {"Location": self.address(entity, row), "OData-Version": "4.0", "ETag": etag(entity, row)}
        if "return=minimal" in request.headers.get("prefer", ""):
            return Answer(
                204, headers | {"Preference-Applied": "return=minimal", "OData-EntityId": headers["Location"]}
            )
        body = {"@odata.context": f"{self.origin}/data/$metadata#{entity.name}/$entity"}
        content = encode(body | to_json(self._books, entity, row, None, ()))
        return Answer(201, JSON | headers, content)

    def _company_named(self, entity: EntitySet, sent: Mapping[str, Any]) -> Company | None:
        """The company a new row is for: the body's, otherwise the caller's default."""
        if entity.company is None:
            return None
        named = sent.get(entity.company) or self.default_company
        found = self._books.companies.get(str(named).lower())
        if found is None:
            raise not_found_in(str(named), "Company", "Companies", entity.entity, entity.company)
        return found

    def _company_of(self, entity: EntitySet, row: Row) -> Company | None:
        return None if entity.company is None else self._books.companies.get(row[entity.company])

    def _context(self, entity: EntitySet, options: QueryOptions) -> str:
        selected = f"({','.join(options.select)})" if options.select else ""
        return f"{self.origin}/data/$metadata#{entity.name}{selected}"

    def address(self, entity: EntitySet, row: Row) -> str:
        """The canonical address of a row."""
        parts = []
        for name in entity.key:
            value = row[entity.properties[name].stored]
            quoted = "'" + value.replace("'", "''") + "'" if entity.properties[name].type == "String" else str(value)
            parts.append(f"{name}={quoted}")
        return f"{self.origin}/data/{entity.name}({','.join(parts)})"


def _check_options(options: QueryOptions) -> None:
    for name in options.others:
        if name.startswith("$") and name != "$skiptoken":
            raise MalformedRequest(f"The query option '{name}' is not supported.")


def _is_cross_company(options: QueryOptions) -> bool:
    return options.others.get("cross-company", "false").lower() == "true"


def _check_match(request: Request, entity: EntitySet, row: Row) -> None:
    wanted = request.headers.get("if-match")
    if wanted is None or wanted == "*":
        return
    if etag(entity, row) not in [tag.strip() for tag in wanted.split(",")]:
        raise StaleVersion("The record has been changed by another user since it was read (If-Match does not match).")


def _json(body: Mapping[str, Any]) -> Answer:
    return Answer(200, JSON, encode(body))


def _refusal(refusal: FinanceError, status: int) -> Answer:
    return Answer(status, JSON, encode(refusal.body))


def _refuse_reference(problem: UnknownReference) -> Answer:
    return _refusal(MalformedRequest(str(problem)), 500)
