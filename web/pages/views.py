"""The page on which a person keeps their views of a list: named, renamed, removed, and which one opens first."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class ViewPages:
    """The pages under /views: keep views of ``lists``."""

    site: Site
    views: SavedViews
    lists: tuple[ViewedList, ...]

    def routes(self) -> list[Route]:
        """The routes of the page, of keeping a view, and of what one may do with one."""
        return self.site.routes(pages={_LIST: self.show}, forms={_LIST: self.keep, f"{_LIST}/{{view}}": self.change})

    async def show(self, request: Request, session: Session) -> Response:
        """A person's views of a list, and a form that keeps the filters they come from."""
        return await self._page(session, self._asked(request), request.query_params.get("query", ""))

    async def keep(self, request: Request, session: Session, form: FormData) -> Response:
        """Keep filters under a name and show them; what was wrong is shown with what was typed."""
        of = self._asked(request)
        name, query = str(form.get("name", "")), str(form.get("query", ""))
        try:
            await self.views.keep(session.identity, of, name, query)
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
                work = self.views.rename(person, of, view_id, str(form.get("name", "")))
            case "remove":
                work = self.views.remove(person, of, view_id)
            case "first" | "not_first" as word:
                work = self.views.open_first(person, of, view_id, first=word == "first")
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
        found = next((of for of in self.lists if of.key == request.path_params["list"]), None)
        if found is None:
            raise Problem(Refusal.NOT_FOUND)
        return found

    async def _page(
        self, session: Session, of: ViewedList, query: str, *, problem: Problem | None = None, typed: str = ""
    ) -> Response:
        context = {
            "views": await self.views.all_of(session.identity, of),
            "query": query if query and of.takes(query) else "",
            "typed": typed,
            "problem": problem,
            "most": MOST,
        }
        return await self.site.render("views.html", session, context, problem.status if problem else 200)
