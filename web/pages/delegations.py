"""Who decides in whose place: one's own delegation, and everybody's for an administrator."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.messages import Outcome
from runs.calls import RunError
from web.access import Access
from web.commands import DelegationBody, EndDelegationBody, parsed
from web.delegating import Delegating, known_company
from web.pages.site import Site, message_id_of
from web.problems import Problem, to_correct
from web.session import Session

PAGE = "/delegations"
_COMPANY = "/delegations/{company}"


@dataclass(frozen=True, slots=True)
class DelegationPages:
    """The page under /delegations.

    Show and pass on what ``delegating`` allows.
    """

    site: Site
    access: Access
    delegating: Delegating

    def routes(self) -> list[Route]:
        """The routes of the page, of a delegation and of its end."""
        return self.site.routes(pages={PAGE: self.show}, forms={_COMPANY: self.delegate, f"{_COMPANY}/end": self.end})

    async def show(self, request: Request, session: Session) -> Response:
        """The delegations of every company in which the reader may delegate."""
        message_id, company = request.query_params.get("said", ""), request.query_params.get("company", "")
        outcome = None
        if message_id and company in self.delegating.companies(session.identity):
            outcome = await self.delegating.outcome(company, message_id)
        return await self._page(session, outcome, unknown=bool(message_id) and outcome is None)

    async def delegate(self, request: Request, session: Session, form: FormData) -> Response:
        """Have somebody else asked for a person's decisions."""
        company = known_company(request.path_params["company"])

        async def said_so(message_id: str) -> Outcome | None:
            body = parsed(DelegationBody, _fields(DelegationBody, form))
            return await self.delegating.delegate(company, session.who, message_id, body)

        return await self._answered(company, session, form, said_so)

    async def end(self, request: Request, session: Session, form: FormData) -> Response:
        """End a delegation."""
        company = known_company(request.path_params["company"])

        async def said_so(message_id: str) -> Outcome | None:
            body = parsed(EndDelegationBody, _fields(EndDelegationBody, form))
            return await self.delegating.end(company, session.who, message_id, body)

        return await self._answered(company, session, form, said_so)

    async def _answered(
        self, company: str, session: Session, form: FormData, say: Callable[[str], Awaitable[Outcome | None]]
    ) -> Response:
        try:
            message_id = message_id_of(form)
            outcome = await say(message_id)
        except (Problem, RunError) as error:
            problem = to_correct(error)
            typed = {name: str(form[name]) for name in form if name not in ("csrf", "message_id")}
            return await self._page(session, None, problem=problem, typed={company: typed})
        there = f"{PAGE}?company={company}&said={message_id}"
        return await self.site.said(session, outcome, there)

    async def _page(
        self,
        session: Session,
        outcome: Outcome | None,
        *,
        unknown: bool = False,
        problem: Problem | None = None,
        typed: Mapping[str, Mapping[str, str]] | None = None,
    ) -> Response:
        person = session.identity
        companies = self.delegating.companies(person)
        found = await asyncio.gather(*(self.delegating.shown(person, company) for company in companies))
        context = {
            "companies": [
                {
                    "company": company,
                    "entries": shown.entries,
                    "mine": shown.of(person),
                    "today": self.access.today(company),
                    "approvers": self.access.approvers(company),
                    "own": any(person.is_same(approver) for approver in self.access.approvers(company)),
                    "administers": self.delegating.administers(person, company),
                    "typed": (typed or {}).get(company, {}),
                }
                for company, shown in zip(companies, found, strict=True)
            ],
            "message_id": lambda: str(uuid.uuid4()),
            "outcome": outcome,
            "recorded": unknown,
            "problem": problem,
        }
        return await self.site.render("delegations.html", session, context, problem.status if problem else 200)


def _fields(body: type[BaseModel], form: FormData) -> dict[str, str]:
    """What a form holds of what may be said; what is left empty is left out."""
    return {name: text for name in body.model_fields if name != "message_id" and (text := str(form.get(name, "")))}
