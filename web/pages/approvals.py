"""One request for approval: what is asked and why, line by line, and the decision in two clicks."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pydantic import BaseModel
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.approval_people import ANSWER, ASK, REASSIGN
from domain.approvals import ApprovalState, ApprovalStatus, Decision, StepState
from domain.authority import check_answer, check_question, check_reassignment
from domain.messages import Outcome
from domain.people import Person
from domain.phrases import marked
from domain.rights import Action
from domain.views import DealView
from runs import names
from runs.approvals import Approvals
from runs.calls import RunError
from web.addresses import APPROVAL, Approval, Deal, first_line
from web.commands import AnswerBody, DecisionBody, QuestionBody, ReassignBody, parsed, said
from web.confidential import request_for_reader
from web.inbox import ApprovalItem, InboxQuery, approvals_for
from web.links import Link
from web.pages.about_deals import AboutDeals
from web.pages.site import FormHandler
from web.precedents import Precedents, precedents_for
from web.problems import Problem, to_correct
from web.session import Session
from web.signin import sign_in_again


@dataclass(frozen=True, slots=True)
class ApprovalPages(AboutDeals):
    """The pages under /approvals.

    Show requests, with the lines as they are in Sales and Finance now; pass on what people decide.

        What is shown of cost and margin, and to whom, is said by ``access``.
    """

    approvals: Approvals

    def routes(self) -> list[Route]:
        """The routes of a request and of a decision."""
        return self.site.routes(
            pages={APPROVAL: self.show},
            forms={
                f"{APPROVAL}/decision": self.decide,
                f"{APPROVAL}/reassign": self._teller(REASSIGN, ReassignBody),
                f"{APPROVAL}/question": self._teller(ASK, QuestionBody),
                f"{APPROVAL}/answer": self._teller(ANSWER, AnswerBody),
            },
        )

    async def show(self, request: Request, session: Session) -> Response:
        """The request as it stands."""
        asked = Approval.asked(request)
        message_id = request.query_params.get("said", "")
        outcome = None
        if message_id:
            outcome = await self.approvals.outcome(asked.deal.company, asked.deal.quote, asked.n, message_id)
        unknown = bool(message_id) and outcome is None
        answer = request.query_params.get("decide", "")
        return await self._request_page(
            asked,
            session,
            outcome,
            unknown=unknown,
            first_line=first_line(request),
            meant=answer if answer in tuple(Decision) else "",
        )

    async def decide(self, request: Request, session: Session, form: FormData) -> Response:
        """Pass on the decision; show what became of it."""
        asked = Approval.asked(request)

        async def said_so() -> tuple[str, Outcome | None]:
            body = parsed(DecisionBody, _fields(DecisionBody, form))
            message_id = str(body.message_id or uuid.uuid4())
            args = said(body.model_copy(update={"message_id": None}))
            return message_id, await self.decisions.decide(asked, session.who, message_id, args)

        return await self._answered(asked, session, form, said_so)

    def _teller(self, name: str, body: type[ReassignBody | QuestionBody | AnswerBody]) -> FormHandler:
        """Passes on what decides nothing, and shows what became of it."""

        async def tell(request: Request, session: Session, form: FormData) -> Response:
            asked = Approval.asked(request)

            async def said_so() -> tuple[str, Outcome | None]:
                content = parsed(body, _fields(body, form))
                message_id = str(content.message_id or uuid.uuid4())
                args = content.signed_args
                return message_id, await self.decisions.tell(asked, session.who, message_id, name, args)

            return await self._answered(asked, session, form, said_so)

        return tell

    async def _answered(
        self,
        asked: Approval,
        session: Session,
        form: FormData,
        say: Callable[[], Awaitable[tuple[str, Outcome | None]]],
    ) -> Response:
        """The page after something was said; what was refused is shown there, with what was typed."""
        try:
            message_id, outcome = await say()
        except (Problem, RunError) as error:
            problem = to_correct(error)
            typed = {name: str(form[name]) for name in _TYPED if name in form}
            return await self._request_page(asked, session, None, problem=problem, typed=typed)
        return await self.site.said(session, outcome, asked.path(said=message_id))

    async def _request_page(
        self,
        asked: Approval,
        session: Session,
        outcome: Outcome | None,
        *,
        unknown: bool = False,
        problem: Problem | None = None,
        typed: Mapping[str, str] | None = None,
        first_line: int = 0,
        meant: str = "",
    ) -> Response:
        """The page of a request; the decision that a message's link was for is put forward, and decides nothing."""
        company, quote, n, person = asked.deal.company, asked.deal.quote, asked.n, session.identity
        state = await self.approvals.state(company, quote, n)
        mine = _mine(state, person)
        self.access.check_shown(person, state)
        shows_margin = self.access.may(person, Action.READ_MARGIN, company)
        review, view, precedents, following = await asyncio.gather(
            self.reviews.lines(state.request, first_line),
            self._known_deal(asked.deal),
            self._precedents(state, person, shows_margin=shows_margin),
            self._next_of(person, asked) if not mine else _nothing(),
        )
        state = request_for_reader(state, shows_margin=shows_margin)
        too_old = bool(mine) and bool(self.access.too_old_to_decide(session.who, state, datetime.now(UTC)))
        context = {
            "state": state,
            "shows_margin": shows_margin,
            "too_old": too_old,
            "sign_in_again": sign_in_again(asked.path(meant=meant)),
            "meant": meant,
            "request": state.request,
            "mine": _mine(state, person),
            "open": state.status is ApprovalStatus.PENDING,
            "is_requester": state.request.is_made_by(person),
            "may_ask": self._steps(state, person, ASK),
            "may_answer": self._steps(state, person, ANSWER),
            "may_reassign": self._steps(state, person, REASSIGN),
            "next": _NEXT.get(state.status, ""),
            "successor": _successor(asked, view),
            "review": review,
            "precedents": precedents,
            "following": following,
            "elsewhere": self._elsewhere(state, view),
            "credit": view.credit if view else None,
            "message_ids": {step.plan.step: str(uuid.uuid4()) for step in mine},
            "message_id": lambda: str(uuid.uuid4()),
            "deal_path": asked.deal.path(),
            "path": asked.path(),
            "decision_path": asked.path("decision"),
            "say_path": asked.path,
            "lines_path": lambda line: asked.path(first_line=line),
            "workflow_id": names.approval_id(company, quote, n),
            "outcome": outcome,
            "recorded": unknown,
            "problem": problem,
            "typed": typed or {},
        }
        return await self.site.render("approval.html", session, context, problem.status if problem else 200)

    async def _precedents(self, state: ApprovalState, person: Person, *, shows_margin: bool) -> Precedents | None:
        """What the customer got before, for who may read deals of the company."""
        if not self.access.may(person, Action.READ_DEAL, state.request.company):
            return Precedents()
        return await precedents_for(state.request, self.deals, self.search, shows_margin=shows_margin)

    async def _next_of(self, person: Person, asked: Approval) -> ApprovalItem | None:
        """What is due next in the inbox of somebody who has nothing to decide here."""
        try:
            found = await approvals_for(person, self.access, self.approvals, self.search, _INBOX)
        except RunError:
            return None
        others = [item for item in found.items if (item.company, item.quote, item.n) != _place(asked)]
        return next(iter(InboxQuery().of(others, datetime.now(UTC))), None)

    def _elsewhere(self, state: ApprovalState, view: DealView | None) -> list[Link]:
        """The way to the quote and customer in Sales and Finance."""
        request = state.request
        opportunity = view.opportunity_id if view else ""
        return [
            *self.dynamics.records(quote_id=request.quote_id, opportunity_id=opportunity),
            *self.dynamics.lists(request.company, customer=request.customer_account),
        ]

    async def _known_deal(self, deal: Deal) -> DealView | None:
        """The deal as it stands; None where it does not answer."""
        try:
            return await self.deals.state(deal.company, deal.quote)
        except RunError:
            return None

    def _steps(self, state: ApprovalState, person: Person, name: str) -> list[int]:
        """The numbers of the steps of which a person may say something that decides nothing."""
        granted = self.access.saying(person, name, state.request.company)
        if not granted.grants:
            return []
        if name == ASK:
            return [s.plan.step for s in state.pending if check_question(s, person, granted, state).code is None]
        if name == ANSWER:
            return [s.plan.step for s in state.pending if check_answer(s, person, granted, state).code is None]
        return [
            s.plan.step
            for s in state.pending
            if any(
                check_reassignment(s, person, granted, state, to, add=add).code is None
                for to in s.plan.candidates
                for add in (True, False)
            )
        ]


_INBOX: Final = 50
_TYPED = ("comment", "question", "answer", "reason")
_NEXT: Final[dict[ApprovalStatus, str]] = {
    ApprovalStatus.COMPLETED: marked("Nothing is left to decide here. The rep activates the quote and sends it."),
    ApprovalStatus.REJECTED: marked(
        "The rep reads the reason in Sales, changes the quote and requests approval again."
    ),
    ApprovalStatus.EXPIRED: marked("The rep revises the quote in Sales and requests approval again."),
    ApprovalStatus.WITHDRAWN: marked("Nothing is left to decide here, until the rep requests approval again."),
    ApprovalStatus.SUPERSEDED: marked("The quote changed: what counts is the request for its new content."),
}
"""What comes next after a request has ended."""


def _fields(body: type[BaseModel], form: FormData) -> dict[str, str]:
    """What a form holds of what may be said."""
    return {name: str(form[name]) for name in body.model_fields if name in form}


def _place(asked: Approval) -> tuple[str, str, int]:
    return asked.deal.company, asked.deal.quote, asked.n


async def _nothing() -> None:
    """In the place of a look that is not needed."""


def _successor(asked: Approval, view: DealView | None) -> tuple[int, str] | None:
    """The newest request of the deal after this one: its number and the address of its page."""
    later = [request.n for request in view.approvals if request.n > asked.n] if view else []
    return (max(later), Approval(asked.deal, max(later)).path()) if later else None


def _mine(state: ApprovalState, person: Person) -> tuple[StepState, ...]:
    """The steps this person is asked to decide now."""
    if state.status is not ApprovalStatus.PENDING:
        return ()
    return tuple(step for step in state.pending if any(asked.is_same(person) for asked in step.assignees))
