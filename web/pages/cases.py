"""The list of deals, and one deal with everything a person may want to know or do about it."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from urllib.parse import quote as quoted
from urllib.parse import urlencode

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from domain.approvals import ApprovalStatus
from domain.credit_facts import CreditStatus
from domain.messages import CommandName, Outcome, may_give
from domain.people import Person
from domain.views import STAGES, DealView, Ending, Stage, WaitingFor
from runs import names
from runs.calls import NoAnswer
from web.access import check_readable, readable
from web.api.bodies import DealsQuery
from web.commands import COMMAND_ARGS, command_name, parsed
from web.deals import Deals
from web.pages.site import Site
from web.problems import REFUSALS, Problem, recorded, refused, unavailable
from web.session import Session
from web.visibility import STATUSES, DealFilter, Visibility

_ROWS = 50
_RELEASE_DAYS = 5


class Cases:
    """The pages under /cases."""

    def __init__(self, site: Site, deals: Deals, visibility: Visibility) -> None:
        """Show what the lists and the deals say."""
        self._site = site
        self._deals = deals
        self._visibility = visibility

    def routes(self) -> list[Route]:
        """The routes of the list, a deal, and what one may tell it."""
        return [
            Route("/cases", self._site.page(self.list), methods=["GET"]),
            Route("/cases/{company}/{quote}", self._site.page(self.show), methods=["GET"]),
            Route("/cases/{company}/{quote}/commands/{name}", self._site.form(self.command), methods=["POST"]),
        ]

    async def list(self, request: Request, session: Session) -> Response:
        """Deals by what they wait for; every filter is in the address, so that a list can be sent to somebody."""
        given = {name: value.strip() for name, value in request.query_params.items() if value.strip()}
        query = parsed(DealsQuery, {"limit": _ROWS, **given})
        companies = readable(session.identity)
        wanted = DealFilter(**query.model_dump(exclude={"limit", "cursor"}), readable=companies)
        page, counts = await asyncio.gather(
            self._visibility.cases(wanted, limit=query.limit, cursor=query.cursor), self._visibility.counts(companies)
        )
        filters = {name: value for name, value in given.items() if name != "cursor"}
        context = {
            "page": page,
            "counts": counts,
            "query": query,
            "filters": filters,
            "stages": [stage.value for stage in Stage],
            "waits": [wait.value for wait in WaitingFor if wait is not WaitingFor.NOTHING],
            "statuses": list(STATUSES),
            "companies": companies,
            "next": f"/cases?{urlencode({**filters, 'cursor': page.next_cursor})}" if page.next_cursor else "",
        }
        return await self._site.render("cases.html", session, context)

    async def show(self, request: Request, session: Session) -> Response:
        """One deal."""
        said = request.query_params.get("said", "")
        outcome = None
        if said:
            outcome = await self._deals.known_outcome(names.deal_id(*_address(request)), said)
        return await self._deal_page(request, session, outcome, unknown=bool(said) and outcome is None)

    async def command(self, request: Request, session: Session, form: FormData) -> Response:
        """Give the deal a command; what was wrong or refused is shown on its page."""
        company, quote = _address(request)
        name = command_name(request.path_params["name"])
        model = COMMAND_ARGS[name]
        person = session.identity
        try:
            given = {
                field: str(form[field]).strip() for field in model.model_fields if str(form.get(field, "")).strip()
            }
            args = parsed(model, given)
            if not may_give(person, name, company):
                raise Problem(403, "NO_AUTHORITY", REFUSALS["NO_AUTHORITY"])
            message_id = _message_id(form)
            outcome = await self._deals.command(company, quote, person, message_id, name, args.model_dump(mode="json"))
            if outcome is not None and not outcome.accepted:
                raise refused(outcome.code, outcome.detail, message_id)
        except (Problem, NoAnswer) as error:
            problem = error if isinstance(error, Problem) else unavailable(error)
            if problem.status >= 500 or problem.status == 404:
                raise
            return await self._deal_page(request, session, None, problem=problem)
        if outcome is None:
            raise recorded(message_id)
        return RedirectResponse(f"{_deal_path(company, quote)}?said={message_id}", 303)

    async def _deal_page(
        self,
        request: Request,
        session: Session,
        outcome: Outcome | None,
        *,
        unknown: bool = False,
        problem: Problem | None = None,
    ) -> Response:
        company, quote = _address(request)
        check_readable(session.identity, company)
        view, timeline = await asyncio.gather(self._deals.case(company, quote), self._deals.timeline(company, quote))
        context = {
            "case": view,
            "timeline": timeline[::-1],
            "steps": _stepper(view),
            "commands": _commands(view, session.identity),
            "message_id": str(uuid.uuid4()),
            "release_until": (datetime.now(UTC) + timedelta(days=_RELEASE_DAYS)).date().isoformat(),
            "workflow_id": names.deal_id(company, quote),
            "approval_id": names.approval_id,
            "outcome": outcome,
            "recorded": unknown,
            "problem": problem,
        }
        return await self._site.render("case.html", session, context, problem.status if problem else 200)


def _address(request: Request) -> tuple[str, str]:
    return request.path_params["company"].lower(), request.path_params["quote"]


def _deal_path(company: str, quote: str) -> str:
    return f"/cases/{quoted(company, safe='')}/{quoted(quote, safe='')}"


def _message_id(form: FormData) -> str:
    """The id the page was rendered with, so that a double click counts once.

    Raises:
        Problem: 400, it is none of ours.
    """
    try:
        return str(uuid.UUID(str(form.get("message_id", ""))))
    except ValueError:
        raise Problem(400, "BAD_ARGUMENT", "The form is incomplete. Load the page again.") from None


def _stepper(view: DealView) -> list[tuple[str, str]]:
    """The seven stages, each done, current, stopped or still to come."""
    ended = view.ending is not Ending.RUNNING
    if view.ending is Ending.CLOSED or (view.stage is Stage.CLOSED and not ended):
        return [(stage.value, "done") for stage in STAGES]
    reached = STAGES.index(view.stage) if view.stage in STAGES else _reached(view)
    now = "stopped" if ended else "current"
    return [
        (stage.value, "done" if place < reached else now if place == reached else "todo")
        for place, stage in enumerate(STAGES)
    ]


def _reached(view: DealView) -> int:
    """How far a deal came that ended before its time."""
    if view.order_number:
        return STAGES.index(Stage.FULFILMENT)
    return STAGES.index(Stage.CREDIT if view.credit_status is not CreditStatus.NOT_CHECKED else Stage.QUOTE)


def _commands(view: DealView, person: Person) -> list[CommandName]:
    """What this person can usefully say to the deal as it stands; the deal itself decides."""
    if view.ending is not Ending.RUNNING:
        return []
    fitting: list[CommandName] = []
    if view.parked:
        fitting += [CommandName.RETRY, CommandName.ABORT]
        fitting += [CommandName.SKIP] if view.parked.can_skip else []
    if view.credit_status is CreditStatus.HELD:
        fitting += [CommandName.CREDIT_RELEASE, CommandName.CREDIT_REJECT, CommandName.CREDIT_RECHECK]
    if any(approval.status is ApprovalStatus.PENDING for approval in view.approvals):
        fitting.append(CommandName.WITHDRAW)
    if view.order_status in ("", "none"):
        fitting.append(CommandName.CANCEL)
    return [name for name in fitting if may_give(person, name, view.company)]
