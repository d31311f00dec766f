"""The choice of a language: a form in the menu of one's account, kept by the browser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from domain.refusals import Refusal
from web.languages import COOKIE, KEPT_SECONDS, LANGUAGES
from web.pages.site import Site
from web.problems import Problem
from web.session import Session
from web.signin import local_path

PAGE: Final = "/language"


@dataclass(frozen=True, slots=True)
class LanguagePages:
    """What the form of the menu is sent to.

    Keep choices in a cookie.
    """

    site: Site

    def routes(self) -> list[Route]:
        """The route of the choice."""
        return self.site.routes(forms={PAGE: self.choose})

    async def choose(self, request: Request, _session: Session, form: FormData) -> Response:
        """Keep the language that was chosen, and go back to the page it was chosen on."""
        code = str(form.get("language", ""))
        if code not in LANGUAGES:
            raise Problem(Refusal.BAD_ARGUMENT, field="language")
        response = RedirectResponse(local_path(str(form.get("next", "")) or _came_from(request)), 303)
        response.set_cookie(
            COOKIE, code, max_age=KEPT_SECONDS, secure=self.site.secure, httponly=True, samesite="lax", path="/"
        )
        return response


def _came_from(request: Request) -> str:
    """The page the form was on, as the browser says: its host does not count, so that it leads nowhere else."""
    address = urlsplit(request.headers.get("referer", ""))
    return address.path + (f"?{address.query}" if address.query else "")
