"""Customers that may be one: the clusters to decide, and each with both systems side by side."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from domain.entities.clusters import Said, Status
from domain.phrases import marked, phrase
from domain.refusals import Refusal
from web.commands import DismissBody, parsed
from web.data import Data, MatchBody, MatchesQuery
from web.pages.site import Site, message_id_of
from web.problems import Problem, to_correct
from web.session import Session

PAGE: Final = "/data/matches"
STATUSES: Final = {
    Status.OPEN.value: marked("To decide"),
    Status.PROPOSED.value: marked("Waiting for a second person"),
    Status.LATER.value: marked("Put off"),
    Status.DECIDED.value: marked("Decided"),
    Status.GONE.value: marked("Not found any more"),
}
SAID: Final = {
    Said.SAME.value: marked("The same"),
    Said.DIFFERENT.value: marked("Not the same"),
    Said.LATER.value: marked("Later"),
}
ENDS: Final = {
    "proposed": marked("waits for a second person"),
    "decided": marked("in force"),
    "later": marked("put off"),
    "lapsed": marked("lapsed: something changed, or somebody decided otherwise"),
    "ended": marked("taken back"),
}


@dataclass(frozen=True, slots=True)
class MatchPages:
    """The pages under /data/matches."""

    site: Site
    data: Data

    def routes(self) -> list[Route]:
        """The routes of the list, of a cluster, and of what is decided about it."""
        of_one = f"{PAGE}/{{cluster}}"
        return self.site.routes(
            pages={PAGE: self.show, of_one: self.one},
            forms={f"{of_one}/decide": self.decide, f"{of_one}/take-back": self.take_back},
        )

    async def show(self, request: Request, session: Session) -> Response:
        """The clusters that wait, the best scored first; every filter is in the address."""
        given = {name: text for name, value in request.query_params.items() if (text := value.strip())}
        query = parsed(MatchesQuery, given)
        page = await self.data.clusters(session.identity, query)
        companies = self.data.companies(session.identity)
        context: dict[str, Any] = {
            "page": page,
            "query": query,
            "filters": {name: value for name, value in given.items() if name != "after"},
            "companies": companies or (),
            "statuses": STATUSES,
            "next": f"{PAGE}?{urlencode(given | {'after': page.next})}" if page.next else "",
            "is_kept": self.data.is_kept,
        }
        return await self.site.render("matches.html", session, context)

    async def one(self, request: Request, session: Session) -> Response:
        """A cluster."""
        return await self._page(request, session, done=request.query_params.get("done", ""))

    async def decide(self, request: Request, session: Session, form: FormData) -> Response:
        """Decide about a cluster; what was wrong or refused is shown on its page."""
        body = {
            "said": str(form.get("said", "")),
            "seen": str(form.get("seen", "")),
            "why": str(form.get("why", "")).strip(),
            "chosen": tuple(str(value) for value in form.getlist("chosen")),
        }
        cluster = request.path_params["cluster"]
        try:
            message_id = message_id_of(form)
            status = await self.data.decide(cluster, session.who, message_id, parsed(MatchBody, body))
        except Problem as error:
            return await self._page(request, session, problem=_explained(error), typed=body)
        return RedirectResponse(f"{PAGE}/{cluster}?done={status.value}", 303)

    async def take_back(self, request: Request, session: Session, form: FormData) -> Response:
        """Take a decision back."""
        why, cluster = str(form.get("why", "")).strip(), request.path_params["cluster"]
        try:
            message_id = message_id_of(form)
            reason = parsed(DismissBody, {"reason": why}).reason
            await self.data.take_back(cluster, session.who, message_id, reason)
        except Problem as error:
            return await self._page(request, session, problem=to_correct(error), typed={"back": why})
        return RedirectResponse(f"{PAGE}/{cluster}?done=back", 303)

    async def _page(
        self,
        request: Request,
        session: Session,
        *,
        done: str = "",
        problem: Problem | None = None,
        typed: dict[str, Any] | None = None,
    ) -> Response:
        person = session.identity
        kept = await self.data.cluster(person, request.path_params["cluster"])
        proposal, waiting = kept.proposal, kept.row.status in (Status.OPEN, Status.LATER, Status.PROPOSED)
        context: dict[str, Any] = {
            "kept": kept,
            "cluster": kept.cluster,
            "customers": kept.cluster.customers,
            "plans": kept.cluster.plans(),
            "proposal": proposal,
            "may_confirm": proposal is not None and not proposal.person.is_same(person),
            "may": self.data.may_decide(person, kept),
            "is_waiting": waiting,
            "called": {customer.ref: customer.twin.called for customer in kept.cluster.customers},
            "statuses": STATUSES,
            "said_words": SAID,
            "ends": ENDS,
            "typed": typed or {},
            "message_id": lambda: str(uuid.uuid4()),
            "done": done,
            "problem": problem,
        }
        return await self.site.render("match.html", session, context, problem.status if problem else 200)


def _explained(error: Problem) -> Problem:
    """The problem of a decision, in words that fit its page."""
    problem = to_correct(error)
    if problem.code == Refusal.BAD_ARGUMENT and "errors" not in problem.members:
        return Problem(Refusal.BAD_ARGUMENT, phrase("Give a reason, and choose at least two customers that are one."))
    return problem
