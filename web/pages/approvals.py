"""One request for approval: what is asked and why, line by line, and the decision in two clicks."""

from __future__ import annotations

import asyncio
import uuid
from urllib.parse import quote as quoted

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from domain.approvals import ApprovalState, ApprovalStatus, StepState, StepStatus
from domain.messages import Outcome
from domain.people import Person
from runs import names
from runs.calls import NoAnswer
from web.access import check_readable
from web.commands import DecisionBody, parsed
from web.deals import Deals
from web.pages.site import Site
from web.problems import Problem, recorded, refused, unavailable
from web.review import Reviews
from web.session import Session


class Approvals:
    """The pages under /approvals."""

    def __init__(self, site: Site, deals: Deals, reviews: Reviews) -> None:
        """Show requests, with the lines as they are in Sales and Finance now."""
        self._site = site
        self._deals = deals
        self._reviews = reviews

    def routes(self) -> list[Route]:
        """The routes of a request and of a decision."""
        path = "/approvals/{company}/{quote}/{n:int}"
        return [
            Route(path, self._site.page(self.show), methods=["GET"]),
            Route(f"{path}/decision", self._site.form(self.decide), methods=["POST"]),
        ]

    async def show(self, request: Request, session: Session) -> Response:
        """The request as it stands."""
        company, quote, n = _address(request)
        said = request.query_params.get("said", "")
        outcome = await self._deals.known_outcome(names.approval_id(company, quote, n), said) if said else None
        return await self._request_page(request, session, outcome, unknown=bool(said) and outcome is None)

    async def decide(self, request: Request, session: Session, form: FormData) -> Response:
        """Pass on the decision; show what became of it."""
        company, quote, n = _address(request)
        try:
            body = parsed(DecisionBody, {name: str(form[name]) for name in DecisionBody.model_fields if name in form})
            message_id = str(body.message_id or uuid.uuid4())
            outcome = await self._deals.decide(
                company, quote, n, session.identity, message_id, body.model_dump(mode="json", exclude={"message_id"})
            )
            if outcome is not None and not outcome.accepted:
                raise refused(outcome.code, outcome.detail, message_id)
        except (Problem, NoAnswer) as error:
            problem = error if isinstance(error, Problem) else unavailable(error)
            if problem.status >= 500 or problem.status == 404:
                raise
            typed = str(form.get("comment", ""))
            return await self._request_page(request, session, None, problem=problem, typed=typed)
        if outcome is None:
            raise recorded(message_id)
        return RedirectResponse(f"{_path(company, quote, n)}?said={message_id}", 303)

    async def _request_page(
        self,
        request: Request,
        session: Session,
        outcome: Outcome | None,
        *,
        unknown: bool = False,
        problem: Problem | None = None,
        typed: str = "",
    ) -> Response:
        company, quote, n = _address(request)
        state = await self._deals.approval(company, quote, n)
        person = session.identity
        mine = _mine(state, person)
        if not mine and person.oid != state.request.requester.oid:
            check_readable(person, company)
        offset = _offset(request)
        review, credit = await asyncio.gather(
            self._reviews.lines(state.request, offset), self._deals.soft_credit(company, quote)
        )
        context = {
            "state": state,
            "request": state.request,
            "mine": mine,
            "open": state.status is ApprovalStatus.PENDING,
            "is_requester": person.oid == state.request.requester.oid,
            "review": review,
            "credit": credit,
            "message_ids": {step.plan.step: str(uuid.uuid4()) for step in mine},
            "deal_path": f"/cases/{quoted(company, safe='')}/{quoted(quote, safe='')}",
            "path": _path(company, quote, n),
            "workflow_id": names.approval_id(company, quote, n),
            "pending_status": StepStatus.PENDING,
            "outcome": outcome,
            "recorded": unknown,
            "problem": problem,
            "typed": typed,
        }
        return await self._site.render("approval.html", session, context, problem.status if problem else 200)


def _mine(state: ApprovalState, person: Person) -> tuple[StepState, ...]:
    """The steps this person is asked to decide now."""
    if state.status is not ApprovalStatus.PENDING:
        return ()
    return tuple(step for step in state.pending if any(asked.oid == person.oid for asked in step.assignees))


def _address(request: Request) -> tuple[str, str, int]:
    parameters = request.path_params
    return parameters["company"].lower(), parameters["quote"], parameters["n"]


def _path(company: str, quote: str, n: int) -> str:
    return f"/approvals/{quoted(company, safe='')}/{quoted(quote, safe='')}/{n}"


def _offset(request: Request) -> int:
    text = request.query_params.get("from", "0")
    return int(text) if text.isdecimal() and len(text) < 7 else 0
