"""The OData endpoint without HTTP: one request in, one answer out, alone or as a part of `$batch`.

Everything here is synchronous, so that a change set runs in one transaction. A failed change set is one part with
status 500 while the outer answer is 200, and later parts of the batch still run.
Sources: Microsoft Learn, "Open Data Protocol (OData)" (finance and operations); recorded `$batch` answers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sandbox.finance.actions import ACTIONS
from sandbox.finance.behaviour import Behaviour
from sandbox.finance.books import Books, Company
from sandbox.finance.csdl import metadata_document, service_document
from sandbox.finance.errors import (
    FinanceError,
    MalformedRequest,
    NotAllowed,
    NothingToUpdate,
    NotSupported,
    RecordNotFound,
    StaleVersion,
    UnknownResource,
    not_found_in,
)
from sandbox.finance.model import NAMESPACE, EntitySet, Property, entity_sets
from sandbox.finance.presentation import Presenter, cut, format_of
from sandbox.finance.reads import MAX_PAGE, check_shape, etag, find_row, related, select_page
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
from sandbox.odata.jsonio import BadJson, collection, decode, encode
from sandbox.odata.query import QueryError, QueryOptions, parse_query
from sandbox.odata.tokens import Literal
from sandbox.store import Row

JSON: Final = {"Content-Type": "application/json; odata.metadata=minimal", "OData-Version": "4.0"}
_TEXT: Final = {"Content-Type": "text/plain", "OData-Version": "4.0"}
_PAGE_SIZE = re.compile(r"odata\.maxpagesize=(\d+)")
_KNOWN_OPTIONS: Final = frozenset({"$skiptoken", "$format"})


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that has been understood."""

    request: Request
    entity: EntitySet
    rest: tuple[Segment, ...]
    options: QueryOptions
    visible: str | None
    query: str
    show: Presenter


class ODataService:
    """`/data` of one environment."""

    def __init__(self, books: Books, origin: str, default_company: str, behaviour: Behaviour) -> None:
        """Serve `books`.

        Args:
            books: The environment's books.
            origin: Scheme, host and port, without trailing slash.
            default_company: The company of the caller's user, seen when `cross-company` is not asked for.
            behaviour: The environment's settings.
        """
        self._books = books
        self.origin = origin
        self.default_company = default_company
        self.behaviour = behaviour

    def execute(self, request: Request, *, in_batch: bool = False, may_write: bool = True) -> Answer:
        """Answer a request; what Finance refuses is an answer too.

        Args:
            request: The request.
            in_batch: Whether it is a part of a batch.
            may_write: Whether the caller may do anything but read.
        """
        try:
            if not may_write and request.method != "GET":
                raise NotAllowed(f"Access denied: the user may not {request.method} '{request.url.partition('?')[0]}'.")
            return self._dispatch(request)
        except FinanceError as refusal:
            return _refusal(refusal, refusal.batch_status if in_batch else refusal.status)
        except (AddressError, QueryError, BadJson) as problem:
            return _refusal(MalformedRequest(str(problem)), MalformedRequest.status)

    async def execute_batch(self, content_type: str, body: bytes, *, may_write: bool = True) -> Answer:
        """Answer a `$batch` request."""
        try:
            items = parse_batch(content_type, body, at_most=FINANCE_MAX_REQUESTS)
        except BatchError as problem:
            return _refusal(MalformedRequest(str(problem)), MalformedRequest.status)
        db = self._books.db

        def run(request: Request) -> Answer:
            answer = self.execute(request, in_batch=True, may_write=may_write)
            in_change_set = db.in_transaction
            of_rule = answer.failed and answer.status != NotAllowed.status
            return Answer(500, answer.headers, answer.body) if of_rule and in_change_set else answer

        outcomes = await run_batch(
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
        form = format_of(request.headers.get("accept", ""), options.others.get("$format"))
        show = Presenter(self._books, self.origin, form, self.behaviour)
        visible = None if _is_cross_company(options) else self.default_company
        asked = _Asked(request, entity, segments[1:], options, visible, query, show)
        if asked.rest and asked.rest[0].name.startswith(f"{NAMESPACE}."):
            return self._act(asked)
        key = segments[0].key
        if key is not None and asked.rest:
            return self._below_row(asked, key)
        check_shape(entity, options)
        return self._on_set(asked) if key is None else self._on_row(asked, key)

    def _below_root(self, url: str) -> str:
        path = url.removeprefix(self.origin)
        return path.lstrip("/").removeprefix("data/") if path != "data" else ""

    # --- collections -------------------------------------------------------------------------------------------------

    def _on_set(self, asked: _Asked) -> Answer:
        if asked.rest and asked.rest[0].name == "$count" and asked.request.method == "GET":
            page = select_page(self._books, asked.entity, asked.options, asked.visible, 0, self.behaviour)
            return Answer(200, _TEXT, str(page.total).encode())
        if asked.rest:
            raise _no_segment(asked.rest[0])
        if asked.request.method == "GET":
            return self._read_set(asked)
        if asked.request.method == "POST":
            return self._create(asked)
        raise _not_for(asked.request)

    def _read_set(self, asked: _Asked) -> Answer:
        wanted = _PAGE_SIZE.search(asked.request.headers.get("prefer", ""))
        size = min(int(wanted[1]), MAX_PAGE) if wanted else MAX_PAGE
        options, show, entity = asked.options, asked.show, asked.entity
        page = select_page(self._books, entity, options, asked.visible, max(size, 1), self.behaviour)
        head = show.context(_fragment(entity, options)) | ({"@odata.count": page.total} if options.count else {})
        following = page.next_offset
        tail = {} if following is None else {"@odata.nextLink": self._next_link(asked, following, len(page.rows))}
        body = collection(head, page.rows, lambda row: show.row(entity, row, options.select, options.expand), tail)
        return Answer(200, {"Content-Type": show.form.content_type, "OData-Version": "4.0"}, body)

    def _next_link(self, asked: _Asked, offset: int, sent: int) -> str:
        kept = [part for part in asked.query.split("&") if part and _option_name(part) not in ("$skip", "$top")]
        if asked.options.top is not None:
            kept.append(f"$top={asked.options.top - sent}")
        return f"{self.origin}/data/{asked.entity.name}?{'&'.join([*kept, f'$skip={offset}'])}"

    def _create(self, asked: _Asked) -> Answer:
        entity, show = asked.entity, asked.show
        sent = self._sent(entity, asked.request)
        row = create_row(self._books, entity, self._company_named(entity, sent), sent)
        headers = {"Location": show.address(entity, row), "OData-Version": "4.0", "ETag": etag(entity, row)}
        if "return=minimal" in asked.request.headers.get("prefer", ""):
            return Answer(
                204, headers | {"Preference-Applied": "return=minimal", "OData-EntityId": headers["Location"]}
            )
        content = encode(show.context(f"{entity.name}/$entity") | show.row(entity, row, None))
        return Answer(201, {"Content-Type": show.form.content_type} | headers, content)

    def _sent(self, entity: EntitySet, request: Request) -> dict[str, Any]:
        return read_body(entity, decode(request.body), self.behaviour)

    # --- rows --------------------------------------------------------------------------------------------------------

    def _on_row(self, asked: _Asked, key: Mapping[str, Literal]) -> Answer:
        entity, request, show = asked.entity, asked.request, asked.show
        if request.method == "GET":
            row = find_row(self._books, entity, key, asked.visible)
            body = show.context(_fragment(entity, asked.options) + "/$entity")
            return _answer(show, body | show.row(entity, row, asked.options.select, asked.options.expand))
        if request.method not in ("PATCH", "PUT", "DELETE"):
            raise _not_for(request)
        try:
            row = find_row(self._books, entity, key, asked.visible)
        except RecordNotFound as problem:
            raise NothingToUpdate(self.behaviour.missing_row_status) from problem
        _check_match(request, entity, row)
        company = self._company_of(entity, row)
        if request.method == "DELETE":
            delete_row(self._books, entity, company, row)
            return Answer(204, {"OData-Version": "4.0"})
        row = update_row(self._books, entity, company, row, self._sent(entity, request))
        if "return=representation" not in request.headers.get("prefer", ""):
            return Answer(204, {"OData-Version": "4.0", "ETag": etag(entity, row)})
        body = show.context(f"{entity.name}/$entity") | show.row(entity, row, None)
        answer = _answer(show, body)
        return Answer(200, {**answer.headers, "Preference-Applied": "return=representation"}, answer.body)

    def _below_row(self, asked: _Asked, key: Mapping[str, Literal]) -> Answer:
        """A property (`…/CreditLimit`, also `…/$value`) or a navigation property (`…/Lines`, also `…/$count`)."""
        if asked.request.method != "GET":
            raise _not_for(asked.request)
        name, further = asked.rest[0].name, asked.rest[1:]
        prop, link = asked.entity.properties.get(name), asked.entity.links.get(name)
        if prop is None and link is None:
            raise _no_segment(asked.rest[0])
        row = find_row(self._books, asked.entity, key, asked.visible)
        if prop is not None:
            return self._property(asked, row, prop, further)
        return self._navigation(asked, row, name, further)

    def _property(self, asked: _Asked, row: Row, prop: Property, further: tuple[Segment, ...]) -> Answer:
        value = row.get(prop.stored, prop.empty)
        if further and further[0].name == "$value":
            return Answer(200, _TEXT, ("" if value is None else str(value)).encode())
        if further:
            raise _no_segment(further[0])
        if value is None:
            return Answer(204, {"OData-Version": "4.0"})
        here = asked.show.address(asked.entity, row).removeprefix(f"{self.origin}/data/")
        shown = {"value": asked.show.value(prop, value)}
        return _answer(asked.show, asked.show.context(f"{here}/{prop.name}") | shown)

    def _navigation(self, asked: _Asked, row: Row, name: str, further: tuple[Segment, ...]) -> Answer:
        link, show, options = asked.entity.links[name], asked.show, asked.options
        target = entity_sets()[link.target]
        check_shape(target, options)
        rows = related(self._books, row, link, options.filter, self.behaviour)
        if further and further[0].name == "$count" and link.many:
            return Answer(200, _TEXT, str(len(rows)).encode())
        if further:
            raise _no_segment(further[0])
        total, rows = len(rows), cut(rows, target, options)
        shown = [show.row(target, found, options.select, options.expand) for found in rows]
        if link.many:
            body = show.context(_fragment(target, options))
            counted = {"@odata.count": total} if options.count else {}
            return _answer(show, body | counted | {"value": shown})
        if not shown:
            return Answer(204, {"OData-Version": "4.0"})
        return _answer(show, show.context(_fragment(target, options) + "/$entity") | shown[0])

    # --- actions -----------------------------------------------------------------------------------------------------

    def _act(self, asked: _Asked) -> Answer:
        name = asked.rest[0].name.removeprefix(f"{NAMESPACE}.")
        action = ACTIONS.get((asked.entity.name, name))
        if action is None:
            raise UnknownResource(
                f"No HTTP resource was found that matches the request URI '{self.origin}/data/{asked.entity.name}/"
                f"{asked.rest[0].name}'."
            )
        if asked.request.method != "POST":
            raise _not_for(asked.request)
        return _answer(asked.show, asked.show.context("Edm.String") | {"value": action()})

    # --- companies ---------------------------------------------------------------------------------------------------

    def _company_named(self, entity: EntitySet, sent: Mapping[str, Any]) -> Company | None:
        """The company a new row is for: the body's, otherwise the caller's default."""
        if entity.company is None:
            return None
        named = sent.get(entity.properties[entity.company].stored) or self.default_company
        found = self._books.companies.get(str(named).lower())
        if found is None:
            raise not_found_in(str(named), "Company", "Companies", entity.entity, entity.company)
        return found

    def _company_of(self, entity: EntitySet, row: Row) -> Company | None:
        if entity.company is None:
            return None
        return self._books.companies.get(row[entity.properties[entity.company].stored])


def _fragment(entity: EntitySet, options: QueryOptions) -> str:
    return entity.name + (f"({','.join(options.select)})" if options.select else "")


def _check_options(options: QueryOptions) -> None:
    for name in options.others:
        if name.startswith("$") and name not in _KNOWN_OPTIONS:
            raise MalformedRequest(f"The query option '{name}' is not supported.")


def _option_name(part: str) -> str:
    return part.partition("=")[0].replace("%24", "$")


def _is_cross_company(options: QueryOptions) -> bool:
    return options.others.get("cross-company", "false").lower() == "true"


def _no_segment(segment: Segment) -> UnknownResource:
    return UnknownResource(f"Resource not found for the segment '{segment.name}'.")


def _not_for(request: Request) -> NotSupported:
    return NotSupported(f"The requested resource does not support HTTP method '{request.method}'.")


def _check_match(request: Request, entity: EntitySet, row: Row) -> None:
    wanted = request.headers.get("if-match")
    if wanted is None or wanted == "*":
        return
    if etag(entity, row) not in [tag.strip() for tag in wanted.split(",")]:
        raise StaleVersion("The record has been changed by another user since it was read (If-Match does not match).")


def _answer(show: Presenter, body: Mapping[str, Any]) -> Answer:
    return Answer(200, {"Content-Type": show.form.content_type, "OData-Version": "4.0"}, encode(body))


def _json(body: Mapping[str, Any]) -> Answer:
    return Answer(200, JSON, encode(body))


def _refusal(refusal: FinanceError, status: int) -> Answer:
    return Answer(status, JSON, encode(refusal.body))


def _refuse_reference(problem: UnknownReference) -> Answer:
    return _refusal(MalformedRequest(str(problem)), 500)
