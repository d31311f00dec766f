"""What a quote would need, before it is submitted: the page behind a link on the quote in Sales."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runs.reviews import Reviews
from web.access import Access
from web.addresses import EXPLANATION, Deal
from web.explanations import explanation_for
from web.pages.site import Site
from web.session import Session


@dataclass(frozen=True, slots=True)
class ExplanationPages:
    """The page under /explain.

    Show what ``reviews`` find, as far as ``access`` allows.
    """

    site: Site
    access: Access
    reviews: Reviews

    def routes(self) -> list[Route]:
        """The route of the page."""
        return self.site.routes(pages={EXPLANATION: self.show})

    async def show(self, request: Request, session: Session) -> Response:
        """What the rules would ask of the quote as it is now."""
        deal = Deal.asked(request)
        found = await explanation_for(session.identity, deal, self.access, self.reviews)
        context = {"found": found, "deal_path": deal.path(), "path": deal.explanation_path()}
        return await self.site.render("explanation.html", session, context)
