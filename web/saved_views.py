"""Views that a person keeps of a list: a name for filters and order, and nothing that the address could not say.

A view is the query of an address. It is validated as the list itself validates one, when it is kept and whenever it is
read: what a newer version of the product no longer takes is shown as such and never opened by itself. Everybody has
their own, and nobody reads another's.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import parse_qsl, urlencode

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from starlette.requests import Request

from domain.people import Person
from domain.phrases import phrase
from domain.record import Record
from domain.refusals import Refusal
from ledger.opening import LedgerAway
from web.commands import parsed
from web.problems import Problem
from web.view_store import ViewStore

MOST: Final = 20
"""Views of one list that a person may keep."""
LONGEST_QUERY: Final = 1_000
ALL: Final = "view=all"
"""The query of a list with all that it has, where a view would open instead."""
_AWAY: Final = phrase(
    "The ledger's database does not respond, so your views cannot be read or kept. Try again in a moment."
)
_TRIES: Final = 5
_MOST_FIELDS: Final = 40
_NO_FILTERS: Final = frozenset({"cursor", "limit", "before", "view", "said", "of"})
"""What an address says of a place in a list or of a message, not of the list."""


class ViewBody(BaseModel):
    """The name of a view."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f]*$")
    ] = Field(description="One line")


class SavedView(Record):
    """A view as it is kept."""

    id: str = Field(description="Stays when the name changes")
    name: str
    query: str = Field(description="Of the list's address, without its place in the list")
    first: bool = Field(False, description="Whether it opens in the place of the whole list")


class _Kept(Record):
    views: tuple[SavedView, ...] = ()


_NONE: Final = _Kept()


@dataclass(frozen=True)
class ViewedList:
    """A list of which views can be kept."""

    key: str
    path: str
    title: str
    query: type[BaseModel]
    """What an address of it may say."""

    def filters(self, query: str) -> dict[str, str]:
        """The filters and the order that an address of this list says.

        Raises:
            Problem: 400, the list would not take it; ``field`` names what is wrong.
        """
        if len(query) > LONGEST_QUERY:
            raise Problem(Refusal.BAD_ARGUMENT, phrase("These filters are too long to be kept."), field="query")
        try:
            pairs = parse_qsl(query, max_num_fields=_MOST_FIELDS)
        except ValueError:
            raise Problem(Refusal.BAD_ARGUMENT, phrase("There are too many filters."), field="query") from None
        found = {name: value.strip() for name, value in pairs if name not in _NO_FILTERS and value.strip()}
        parsed(self.query, found)
        return found

    def takes(self, query: str) -> bool:
        """Whether the list would take this query."""
        try:
            self.filters(query)
        except Problem:
            return False
        return True

    def address(self, query: str = "") -> str:
        """Where the list stands with these filters; with none of them, whatever view opens first."""
        return f"{self.path}?{query or ALL}"


@dataclass(frozen=True)
class ShownView:
    """A view in a list of them."""

    view: SavedView
    address: str
    works: bool
    """Whether the list still takes its filters."""
    here: bool
    """Whether it is what the page shows."""


@dataclass(frozen=True)
class ShownViews:
    """A person's views of a list, as a page of it shows them."""

    of: ViewedList
    views: tuple[ShownView, ...] = ()
    query: str = ""
    """Of the filters that the page shows; empty where there are none."""
    away: bool = False
    """Whether the views cannot be read just now. The list needs none of them."""
    leads: str = ""
    """Where the address leads to instead: the view that opens first; empty where the address says what to show."""

    @property
    def whole(self) -> str:
        """The address of the whole list."""
        return self.of.address() if any(shown.view.first for shown in self.views) else self.of.path

    @property
    def page(self) -> str:
        """The address of the page on which views are kept, with the filters that are shown."""
        return f"/views/{self.of.key}?{urlencode({'query': self.query})}" if self.query else f"/views/{self.of.key}"

    @property
    def can_keep(self) -> bool:
        """Whether what the page shows is none of the views, and one more fits."""
        return bool(self.query) and not any(shown.here for shown in self.views) and len(self.views) < MOST


class SavedViews:
    """Keeps and shows people's views of lists."""

    def __init__(self, store: ViewStore) -> None:
        """Keep them in ``store``."""
        self._store = store

    async def on(self, person: Person, of: ViewedList, request: Request) -> ShownViews:
        """A person's views for a page of the list; a store that is away hides them and nothing else."""
        query = request.url.query
        filters = _lenient(of, query)
        try:
            kept = await self._read(person, of)
        except LedgerAway:
            return ShownViews(of, query=urlencode(filters), away=True)
        views = tuple(_shown(of, view, filters) for view in kept.views)
        leads = "" if query else next((v.address for v in views if v.view.first and v.works and v.view.query), "")
        return ShownViews(of, views, urlencode(filters), leads=leads)

    async def all_of(self, person: Person, of: ViewedList) -> ShownViews:
        """A person's views for the page on which they are kept.

        Raises:
            Problem: 503, they cannot be read.
        """
        try:
            kept = await self._read(person, of)
        except LedgerAway:
            raise Problem(Refusal.LEDGER_UNAVAILABLE, _AWAY) from None
        return ShownViews(of, tuple(_shown(of, view, None) for view in kept.views))

    async def keep(self, person: Person, of: ViewedList, name: str, query: str) -> None:
        """Keep filters under a name.

        Raises:
            Problem: 400, the name or the filters are no good, or there are too many views; 503, nothing is kept.
        """
        name = _named(name)
        view = SavedView(id=uuid.uuid4().hex, name=name, query=urlencode(of.filters(query)))

        def added(views: tuple[SavedView, ...]) -> tuple[SavedView, ...]:
            if len(views) >= MOST:
                detail = phrase("You keep {most} views of this list, and no more fit. Remove one first.", most=MOST)
                raise Problem(Refusal.BAD_ARGUMENT, detail, field="name")
            _check_free(views, name)
            return (*views, view)

        await self._change(person, of, added)

    async def rename(self, person: Person, of: ViewedList, view_id: str, name: str) -> None:
        """Give a view another name. Raises as ``keep``; 404 where there is no such view."""
        name = _named(name)

        def renamed(views: tuple[SavedView, ...]) -> tuple[SavedView, ...]:
            _check_there(views, view_id)
            _check_free([view for view in views if view.id != view_id], name)
            return tuple(v.model_copy(update={"name": name}) if v.id == view_id else v for v in views)

        await self._change(person, of, renamed)

    async def remove(self, person: Person, of: ViewedList, view_id: str) -> None:
        """Keep a view no longer. Raises Problem: 404, there is no such view; 503, it is kept still."""

        def without(views: tuple[SavedView, ...]) -> tuple[SavedView, ...]:
            _check_there(views, view_id)
            return tuple(view for view in views if view.id != view_id)

        await self._change(person, of, without)

    async def open_first(self, person: Person, of: ViewedList, view_id: str, *, first: bool) -> None:
        """Have a view open in the place of the list, and none else; or none. Raises as ``remove``."""

        def chosen(views: tuple[SavedView, ...]) -> tuple[SavedView, ...]:
            _check_there(views, view_id)
            return tuple(v.model_copy(update={"first": first and v.id == view_id}) for v in views)

        await self._change(person, of, chosen)

    async def _read(self, person: Person, of: ViewedList) -> _Kept:
        return _kept(await self._store.read(person.oid.lower(), of.key))

    async def _change(
        self, person: Person, of: ViewedList, change: Callable[[tuple[SavedView, ...]], tuple[SavedView, ...]]
    ) -> None:
        owner = person.oid.lower()
        try:
            for _ in range(_TRIES):
                before = await self._store.read(owner, of.key)
                after = _Kept(views=change(_kept(before).views))
                if await self._store.change(owner, of.key, before, after.model_dump_json()):
                    return
        except LedgerAway:
            raise Problem(Refusal.LEDGER_UNAVAILABLE, _AWAY) from None
        raise Problem(Refusal.LEDGER_UNAVAILABLE, phrase("Your views are being changed in another tab. Try again."))


def _kept(content: str) -> _Kept:
    """What was kept; what cannot be read counts as nothing, and the next change takes its place."""
    try:
        return _Kept.model_validate_json(content) if content else _NONE
    except ValidationError:
        return _NONE


def _shown(of: ViewedList, view: SavedView, filters: Mapping[str, str] | None) -> ShownView:
    works = of.takes(view.query)
    return ShownView(view, of.address(view.query), works, here=works and of.filters(view.query) == filters)


def _lenient(of: ViewedList, query: str) -> dict[str, str]:
    """The filters of an address that the list itself refuses or not: none where they cannot be kept."""
    try:
        return of.filters(query)
    except Problem:
        return {}


def _named(name: str) -> str:
    return parsed(ViewBody, {"name": name}).name


def _check_free(views: tuple[SavedView, ...] | list[SavedView], name: str) -> None:
    if any(view.name.casefold() == name.casefold() for view in views):
        raise Problem(
            Refusal.BAD_ARGUMENT,
            phrase("You have a view {name} already. Choose another name.", name=name),
            field="name",
        )


def _check_there(views: tuple[SavedView, ...], view_id: str) -> None:
    if all(view.id != view_id for view in views):
        raise Problem(Refusal.NOT_FOUND, phrase("You have no such view. It may have been removed in another tab."))
