"""One request for approval: what is asked and why, line by line, and the decision in two clicks."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from domain.approvals import ApprovalState, ApprovalStatus, StepState
from domain.credit_facts import CreditDecision
from domain.messages import Outcome
from domain.people import Person
from domain.rights import Action
from runs import names
from runs.approvals import Approvals
from runs.calls import RunError
from runs.deals import Deals
from runs.reviews import Reviews
from web.access import Access
from web.addresses import APPROVAL, Approval, Deal, first_line
from web.commands import DecisionBody, parsed, said
from web.confidential import request_for_reader
from web.decisions import Decisions
from web.pages.site import Site
from web.problems import Problem, of_run
from web.session import Session
from web.signin import sign_in_again


class ApprovalPages:
    """The pages under /approvals."""

    def __init__(
        self, site: Site, access: Access, deals: Deals, approvals: Approvals, reviews: Reviews, decisions: Decisions
    ) -> None:
        """Show requests, with the lines as they are in Sales and Finance now; pass on what people decide.

        What is shown of cost and margin, and to whom, is said by ``access``.
        """
        self._site = site
        self._access = access
        self._deals = deals
        self._approvals = approvals
        self._reviews = reviews
        self._decisions = decisions

    def routes(self) -> list[Route]:
        """The routes of a request and of a decision."""
        return [
            Route(APPROVAL, self._site.page(self.show), methods=["GET"]),
            Route(f"{APPROVAL}/decision", self._site.form(self.decide), methods=["POST"]),
        ]

    async def show(self, request: Request, session: Session) -> Response:
        """The request as it stands."""
        asked = Approval.asked(request)
        message_id = request.query_params.get("said", "")
        outcome = None
        if message_id:
            outcome = await self._approvals.outcome(asked.deal.company, asked.deal.quote, asked.n, message_id)
        unknown = bool(message_id) and outcome is None
        return await self._request_page(asked, session, outcome, unknown=unknown, first_line=first_line(request))

    async def decide(self, request: Request, session: Session, form: FormData) -> Response:
        """Pass on the decision; show what became of it."""
        asked = Approval.asked(request)
        try:
            body = parsed(DecisionBody, {name: str(form[name]) for name in DecisionBody.model_fields if name in form})
            message_id = str(body.message_id or uuid.uuid4())
            args = said(body.model_copy(update={"message_id": None}))
            outcome = await self._decisions.decide(asked, session.who, message_id, args)
        except (Problem, RunError) as error:
            problem = error if isinstance(error, Problem) else of_run(error)
            if problem.status >= 500 or problem.status == 404:
                raise
            typed = str(form.get("comment", ""))
            return await self._request_page(asked, session, None, problem=problem, typed=typed)
        if outcome is None:
            return await self._site.recorded(session, asked.path(said=message_id))
        return RedirectResponse(asked.path(said=message_id), 303)

    async def _request_page(
        self,
        asked: Approval,
        session: Session,
        outcome: Outcome | None,
        *,
        unknown: bool = False,
        problem: Problem | None = None,
        typed: str = "",
        first_line: int = 0,
    ) -> Response:
        company, quote, n = asked.deal.company, asked.deal.quote, asked.n
        state = await self._approvals.state(company, quote, n)
        person = session.identity
        mine = _mine(state, person)
        is_requester = person.is_same(state.request.requester)
        if not mine and not is_requester:
            self._access.check_readable(person, company)
        shows_margin = self._access.may(person, Action.READ_MARGIN, company)
        review, credit = await asyncio.gather(
            self._reviews.lines(state.request, first_line), self._known_credit(asked.deal)
        )
        state = request_for_reader(state, shows_margin=shows_margin)
        too_old = bool(mine) and bool(self._access.too_old_to_decide(session.who, state, datetime.now(UTC)))
        context = {
            "state": state,
            "shows_margin": shows_margin,
            "too_old": too_old,
            "sign_in_again": sign_in_again(asked.path()),
            "request": state.request,
            "mine": _mine(state, person),
            "open": state.status is ApprovalStatus.PENDING,
            "is_requester": is_requester,
            "review": review,
            "credit": credit,
            "message_ids": {step.plan.step: str(uuid.uuid4()) for step in mine},
            "deal_path": asked.deal.path(),
            "path": asked.path(),
            "decision_path": asked.path("decision"),
            "lines_path": lambda line: asked.path(first_line=line),
            "workflow_id": names.approval_id(company, quote, n),
            "outcome": outcome,
            "recorded": unknown,
            "problem": problem,
            "typed": typed,
        }
        return await self._site.render("approval.html", session, context, problem.status if problem else 200)

    async def _known_credit(self, deal: Deal) -> CreditDecision | None:
        """The credit decision a deal last knew; None where there is none or the deal does not answer."""
        try:
            return (await self._deals.state(deal.company, deal.quote)).credit
        except RunError:
            return None


def _mine(state: ApprovalState, person: Person) -> tuple[StepState, ...]:
    """The steps this person is asked to decide now."""
    if state.status is not ApprovalStatus.PENDING:
        return ()
    return tuple(step for step in state.pending if any(asked.is_same(person) for asked in step.assignees))
