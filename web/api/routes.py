"""The operations of the API."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Query
from starlette.responses import JSONResponse, Response

from domain.approval_people import ANSWER, ASK, REASSIGN
from domain.fulfilment import OrderLines
from domain.messages import CommandName, Outcome
from domain.refusals import Refusal
from domain.rights import Action
from runs.approvals import Approvals
from runs.deals import Deals
from runs.reviews import Reviews
from runs.search import DealPage, Search
from web.access import Access
from web.addresses import APPROVAL, COMPANY_LENGTH, DEAL, ORDER_LINES, QUOTE_LENGTH, Approval, Deal
from web.api.application import Caller, problems
from web.api.bodies import (
    Accepted,
    ApprovalDetail,
    ApprovalsQuery,
    DealDetail,
    DealsQuery,
    DelegationsBody,
    ExplainBody,
    Recorded,
    SignedOut,
)
from web.commands import (
    COMMAND_ARGS,
    AnswerBody,
    CommandBody,
    DecisionBody,
    DelegationBody,
    EndDelegationBody,
    QuestionBody,
    ReassignBody,
    parsed,
    said,
)
from web.confidential import request_for_reader
from web.deal_rows import deals_for
from web.decisions import Decisions
from web.delegating import Delegating
from web.explanations import QuoteExplanation, explanation_for
from web.inbox import ApprovalPage, approvals_for
from web.order_lines import lines_for
from web.problems import Problem
from web.session import Sessions

OUTCOMES: dict[int | str, dict[str, Any]] = {
    200: {"description": "Accepted by the deal"},
    202: {"description": "Recorded; the outcome is not known yet", "model": Recorded},
}
"""What every operation answers by which a person says something."""


def _deal(
    company: Annotated[str, Path(max_length=COMPANY_LENGTH, description="Finance legal entity, in any case")],
    quote: Annotated[str, Path(max_length=QUOTE_LENGTH, description="Quote number in Dynamics 365 Sales")],
    elsewhere: Annotated[
        str, Query(alias="quote", max_length=QUOTE_LENGTH, description="Quote number that is `.` or `..`")
    ] = "",
) -> Deal:
    return Deal.of(company, quote, elsewhere)


def _approval(
    deal: Annotated[Deal, Depends(_deal)],
    n: Annotated[int, Path(ge=1, le=999_999, description="Number of the request within the deal")],
) -> Approval:
    return Approval(deal, n)


AskedCompany = Annotated[str, Path(max_length=COMPANY_LENGTH, description="Finance legal entity, in any case")]
AskedDeal = Annotated[Deal, Depends(_deal)]
AskedApproval = Annotated[Approval, Depends(_approval)]


def add_operations(
    api: FastAPI, access: Access, deals: Deals, approvals: Approvals, search: Search, decisions: Decisions
) -> None:
    """Add the operations on the deals and their lists."""

    @api.get("/approvals", operation_id="listApprovals", responses=problems())
    async def list_approvals(query: Annotated[ApprovalsQuery, Query()], who: Caller) -> ApprovalPage:
        """The steps that wait for the caller's decision, newest request first."""
        return await approvals_for(who.person, access, approvals, search, query.limit, query.cursor)

    @api.post(
        f"{APPROVAL}/decision",
        operation_id="decideApproval",
        response_model=Accepted,
        responses={**OUTCOMES, **problems(403, 404, 409, 502)},
    )
    async def decide_approval(asked: AskedApproval, body: DecisionBody, who: Caller) -> Response:
        """Approve or reject a step."""
        message_id = str(body.message_id or uuid.uuid4())
        args = said(body.model_copy(update={"message_id": None}))
        return answered(message_id, await decisions.decide(asked, who, message_id, args))

    add_talk(api, access, approvals, decisions)

    @api.get("/cases", operation_id="listCases", responses=problems(403))
    async def list_deals(query: Annotated[DealsQuery, Query()], who: Caller) -> DealPage:
        """Deals, newest first or by a column."""
        return await deals_for(search, query, query.wanted(access.readable(who.person), who.person.oid))

    @api.get(DEAL, operation_id="readCase", responses=problems(403, 404, 502))
    async def read_deal(asked: AskedDeal, who: Caller) -> DealDetail:
        """A deal as it stands, with its timeline."""
        access.check_readable(who.person, asked.company)
        view = await deals.state(asked.company, asked.quote)
        timeline = await deals.timeline(asked.company, asked.quote)
        shows_margin = access.may(who.person, Action.READ_MARGIN, asked.company)
        return DealDetail.of(view, timeline, shows_margin=shows_margin)

    @api.post(
        f"{DEAL}/commands/{{name}}",
        operation_id="commandCase",
        response_model=Accepted,
        responses={**OUTCOMES, **problems(403, 404, 409, 502)},
    )
    async def command_deal(
        asked: AskedDeal, name: CommandName, who: Caller, body: CommandBody | None = None
    ) -> Response:
        """Give a deal a command."""
        body = body or CommandBody(message_id=None)
        args = parsed(COMMAND_ARGS[name], body.args)
        message_id = str(body.message_id or uuid.uuid4())
        return answered(message_id, await decisions.command(asked, who, message_id, name, args))


def add_talk(api: FastAPI, access: Access, approvals: Approvals, decisions: Decisions) -> None:
    """Add reading a request, and the operations on it that decide nothing."""
    answers: dict[str, Any] = {"response_model": Accepted, "responses": {**OUTCOMES, **problems(403, 404, 409, 502)}}

    @api.post(f"{APPROVAL}/reassign", operation_id="reassignApproval", **answers)
    async def reassign_approval(asked: AskedApproval, body: ReassignBody, who: Caller) -> Response:
        """Have a step asked of another of its candidates, in place of who is asked or besides."""
        message_id = str(body.message_id or uuid.uuid4())
        return answered(message_id, await decisions.tell(asked, who, message_id, REASSIGN, body.signed_args))

    @api.post(f"{APPROVAL}/question", operation_id="askRep", **answers)
    async def ask_rep(asked: AskedApproval, body: QuestionBody, who: Caller) -> Response:
        """Ask the rep a question before deciding a step."""
        message_id = str(body.message_id or uuid.uuid4())
        return answered(message_id, await decisions.tell(asked, who, message_id, ASK, body.signed_args))

    @api.post(f"{APPROVAL}/answer", operation_id="answerApprover", **answers)
    async def answer_approver(asked: AskedApproval, body: AnswerBody, who: Caller) -> Response:
        """Answer the open question of a step."""
        message_id = str(body.message_id or uuid.uuid4())
        return answered(message_id, await decisions.tell(asked, who, message_id, ANSWER, body.signed_args))

    @api.get(APPROVAL, operation_id="readApproval", responses=problems(403, 404, 502))
    async def read_approval(asked: AskedApproval, who: Caller) -> ApprovalDetail:
        """A request as it stands: who is asked, reminded and decided, with questions and answers."""
        state = await approvals.state(asked.deal.company, asked.deal.quote, asked.n)
        access.check_shown(who.person, state)
        shows_margin = access.may(who.person, Action.READ_MARGIN, asked.deal.company)
        return ApprovalDetail.of(request_for_reader(state, shows_margin=shows_margin))


def add_delegations(api: FastAPI, access: Access, delegating: Delegating) -> None:
    """Add the operations on who decides in whose place."""
    answers: dict[str, Any] = {"response_model": Accepted, "responses": {**OUTCOMES, **problems(403, 404, 409, 502)}}

    @api.get("/delegations/{company}", operation_id="listDelegations", responses=problems(403, 404, 502))
    async def list_delegations(company: AskedCompany, who: Caller) -> DelegationsBody:
        """Who decides for whom: what concerns the caller; all for an administrator."""
        found = await delegating.shown(who.person, company)
        approvers = access.approvers(company.lower())
        return DelegationsBody(
            company=company.lower(), today=access.today(company.lower()), approvers=approvers, items=found.entries
        )

    @api.post("/delegations/{company}", operation_id="delegate", **answers)
    async def delegate(company: AskedCompany, body: DelegationBody, who: Caller) -> Response:
        """Have somebody else asked for one's decisions, or, for an administrator, for those of somebody else."""
        message_id = str(body.message_id or uuid.uuid4())
        return answered(message_id, await delegating.delegate(company, who, message_id, body))

    @api.post("/delegations/{company}/end", operation_id="endDelegation", **answers)
    async def end_delegation(company: AskedCompany, who: Caller, body: EndDelegationBody | None = None) -> Response:
        """End a delegation; steps that are asked already stay with who is asked."""
        body = body or EndDelegationBody(message_id=None)
        message_id = str(body.message_id or uuid.uuid4())
        return answered(message_id, await delegating.end(company, who, message_id, body))


def add_readings(api: FastAPI, access: Access, deals: Deals, reviews: Reviews) -> None:
    """Add the operations on what no deal keeps, and is read from Sales and Finance when somebody asks."""

    @api.get(ORDER_LINES, operation_id="listOrderLines", responses=problems(403, 404, 502))
    async def list_order_lines(
        asked: AskedDeal,
        who: Caller,
        offset: Annotated[int, Query(ge=0, le=999_999, description="How many lines to leave out")] = 0,
    ) -> OrderLines:
        """Lines of the deal's order as Finance holds them now, 100 at a time, by their number."""
        return (await lines_for(who.person, asked, access, deals, reviews, offset))[1]

    @api.post("/explain", operation_id="explainQuote", responses=problems(403, 404, 502))
    async def explain_quote(body: ExplainBody, who: Caller) -> QuoteExplanation:
        """What a quote of Sales would need if it were submitted now: who, how long, and which discount needs less."""
        return await explanation_for(who.person, Deal.of(body.company, body.quote), access, reviews)


def add_people(api: FastAPI, access: Access, sessions: Sessions) -> None:
    """Add the operation on signed-in people."""

    @api.post("/people/{oid}/sign-out", operation_id="signOutPerson", responses=problems(403))
    async def sign_out_person(
        oid: Annotated[str, Path(max_length=200, description="Entra object id")], who: Caller
    ) -> SignedOut:
        """End all sessions of a person in the pages. Their access tokens hold until they expire."""
        if access.covered(who.person, Action.END_SESSION) is not None:
            raise Problem(Refusal.NO_AUTHORITY, "Only an administrator of every company may sign somebody out.")
        return SignedOut(sessions=await sessions.end_all_by(who.person, oid))


def answered(message_id: str, outcome: Outcome | None) -> Response:
    """The answer to what a person said: accepted, or recorded while its outcome is not known."""
    if outcome is None:
        return JSONResponse(Recorded(message_id=message_id).model_dump(mode="json"), 202)
    return JSONResponse(Accepted(message_id=message_id, detail=outcome.detail).model_dump(mode="json"))
