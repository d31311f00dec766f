"""The page on which a person keeps their views of a list: named, renamed, removed, and which one opens first."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from domain.refusals import Refusal
from web.pages.site import Site
from web.problems import Problem
from web.saved_views import MOST, SavedViews, ViewedList
from web.session import Session

_LIST = "/views/{list}"


class ViewPages:
    """The pages under /views."""

    def __init__(self, site: Site, views: SavedViews, lists: Iterable[ViewedList]) -> None:
        """Keep views of ``lists``."""
        self._site = site
        self._views = views
        self._lists = {of.key: of for of in lists}

    def routes(self) -> list[Route]:
        """The routes of the page, of keeping a view, and of what one may do with one."""
        return [
            Route(_LIST, self._site.page(self.show), methods=["GET"]),
            Route(_LIST, self._site.form(self.keep), methods=["POST"]),
            Route(f"{_LIST}/{{view}}", self._site.form(self.change), methods=["POST"]),
        ]

    async def show(self, request: Request, session: Session) -> Response:
        """A person's views of a list, and a form that keeps the filters they come from."""
        return await self._page(session, self._asked(request), request.query_params.get("query", ""))

    async def keep(self, request: Request, session: Session, form: FormData) -> Response:
        """Keep filters under a name and show them; what was wrong is shown with what was typed."""
        of = self._asked(request)
        name, query = str(form.get("name", "")), str(form.get("query", ""))
        try:
            await self._views.keep(session.identity, of, name, query)
        except Problem as problem:
            if problem.status >= 500:
                raise
            return await self._page(session, of, query, problem=problem, typed=name)
        return RedirectResponse(of.address(query), 303)

    async def change(self, request: Request, session: Session, form: FormData) -> Response:
        """Rename or remove a view, or say whether it opens first."""
        of, view_id, person = self._asked(request), request.path_params["view"], session.identity
        match str(form.get("do", "")):
            case "rename":
                work = self._views.rename(person, of, view_id, str(form.get("name", "")))
            case "remove":
                work = self._views.remove(person, of, view_id)
            case "first" | "not_first" as word:
                work = self._views.open_first(person, of, view_id, first=word == "first")
            case _:
                raise Problem(Refusal.BAD_ARGUMENT, "do: rename, remove, first or not_first", field="do")
        try:
            await work
        except Problem as problem:
            if problem.status >= 500:
                raise
            return await self._page(session, of, "", problem=problem)
        return RedirectResponse(f"/views/{of.key}", 303)

    def _asked(self, request: Request) -> ViewedList:
        found = self._lists.get(request.path_params["list"])
        if found is None:
            raise Problem(Refusal.NOT_FOUND)
        return found

    async def _page(
        self, session: Session, of: ViewedList, query: str, *, problem: Problem | None = None, typed: str = ""
    ) -> Response:
        context = {
            "views": await self._views.all_of(session.identity, of),
            "query": query if query and of.takes(query) else "",
            "typed": typed,
            "problem": problem,
            "most": MOST,
        }
        return await self._site.render("views.html", session, context, problem.status if problem else 200)
