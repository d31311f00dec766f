"""The list of deals, and one deal with everything a person may want to know or do about it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from domain.approvals import ApprovalStatus
from domain.commands import OF_CUSTOMER
from domain.credit_facts import CreditStatus
from domain.customers import WORDS, UnknownCustomer
from domain.given import TAKES
from domain.line_change import MOST_LINES
from domain.messages import CommandName, Outcome
from domain.payments import ON_ITS_WAY, RefundStatus
from domain.refusals import Refusal
from domain.rights import Action
from domain.views import STAGES, DealView, Ending, LineView, Stage, WaitingFor
from runs import names
from runs.calls import RunError
from runs.search import MOST_SORTED, NAMES_SEARCHED, STATUSES, DealFilter, DealRow
from web.access import is_made_by
from web.addresses import DEAL, ORDER_LINES, Approval, Deal, first_line
from web.api.bodies import DealsQuery
from web.commands import COMMAND_ARGS, command_name, parsed
from web.confidential import approvals_for_reader, drift_for_reader
from web.deal_rows import DEAL_COLUMNS, deals_for
from web.exports import MOST_ROWS, csv_file
from web.inbox import at_risk, by_amount
from web.late import LateDeals
from web.links import Link
from web.order_lines import lines_for
from web.pages.about_deals import AboutDeals
from web.pages.site import message_id_of
from web.problems import Problem, to_correct
from web.saved_views import SavedViews, ViewedList
from web.session import Session
from web.signin import sign_in_again
from web.timeline import spans
from web.typed_numbers import as_number, numbers_typed

DEALS: Final = ViewedList("deals", "/cases", "Deals", DealsQuery)
_ROWS = 50
_OTHERS = 10
"""Other deals of a customer that are shown beside a hold."""
_QUANTITIES = ("ordered", "cancelled", "shipped", "returned", "invoiced", "credited")
_RARE = ("cancelled", "returned", "credited")


@dataclass(frozen=True, slots=True)
class DealPages(AboutDeals):
    """The pages under /cases.

    Show what the lists and the deals say, as far as ``access`` allows; pass on what people command.
    """

    late: LateDeals
    views: SavedViews

    def routes(self) -> list[Route]:
        """The routes of the list, a deal, and what one may tell it."""
        return self.site.routes(
            pages={"/cases": self.list, "/cases.csv": self.download, DEAL: self.show, ORDER_LINES: self.order_lines},
            forms={f"{DEAL}/commands/{{name}}": self.command},
        )

    async def list(self, request: Request, session: Session) -> Response:
        """Deals by what they wait for; every filter is in the address, so that a list can be sent to someone."""
        views = await self.views.on(session.identity, DEALS, request)
        if views.leads:
            return RedirectResponse(views.leads, 302)
        given = _given(request)
        query = parsed(DealsQuery, {"limit": _ROWS, **given})
        companies = self.access.readable(session.identity)
        wanted = query.wanted(companies, session.identity.oid)
        page, counts = await asyncio.gather(deals_for(self.search, query, wanted), self.search.counts(companies))
        filters = {name: value for name, value in given.items() if name != "cursor"}
        context = {
            "page": page,
            "views": views,
            "counts": counts,
            "query": query,
            "filters": filters,
            "stages": [stage.value for stage in Stage],
            "waits": [wait.value for wait in WaitingFor if wait is not WaitingFor.NOTHING],
            "statuses": list(STATUSES),
            "companies": companies,
            "next": f"/cases?{urlencode({**filters, 'cursor': page.next_cursor})}" if page.next_cursor else "",
            "download": f"/cases.csv?{urlencode(filters)}",
            "names_searched": NAMES_SEARCHED,
            "most_sorted": MOST_SORTED,
            "sort": query.sort,
            "unsorted": urlencode({name: value for name, value in filters.items() if name != "sort"}),
            "sorted_by": lambda column: f"/cases?{urlencode({**filters, 'sort': _next_order(query.sort, column)})}",
        }
        return await self.site.render("deals.html", session, context)

    async def download(self, request: Request, session: Session) -> Response:
        """The same list as a file, all of its pages."""
        query = parsed(DealsQuery, {name: value for name, value in _given(request).items() if name != "cursor"})
        companies = self.access.readable(session.identity)
        found = await self.search.every(query.wanted(companies, session.identity.oid), MOST_ROWS)
        rows = query.order.of(found.items) if query.order else found.items
        return csv_file("deals", DEAL_COLUMNS, rows, more=found.beyond)

    async def show(self, request: Request, session: Session) -> Response:
        """One deal."""
        deal = Deal.asked(request)
        message_id = request.query_params.get("said", "")
        outcome = await self.deals.outcome(deal.company, deal.quote, message_id) if message_id else None
        return await self._deal_page(deal, session, outcome, unknown=bool(message_id) and outcome is None)

    async def order_lines(self, request: Request, session: Session) -> Response:
        """A page of the lines of the deal's order, as Finance holds them now."""
        deal = Deal.asked(request)
        view, page = await lines_for(session.identity, deal, self.access, self.deals, self.reviews, first_line(request))
        context = {
            "deal": view,
            "deal_path": deal.path(),
            "page": page,
            "columns": _columns(page.lines),
            "lines_path": deal.lines_path,
        }
        return await self.site.render("order_lines.html", session, context)

    async def command(self, request: Request, session: Session, form: FormData) -> Response:
        """Give the deal a command; what was wrong or refused is shown on its page."""
        deal = Deal.asked(request)
        name = command_name(request.path_params["name"])
        fields = COMMAND_ARGS[name].model_fields
        typed = {field: text for field in fields if (text := str(form.get(field, "")).strip())}
        try:
            said = numbers_typed(typed, "amount", "ceiling", "deviation_pct")
            args = parsed(COMMAND_ARGS[name], {**said, "lines": _lines(form)} if "lines" in fields else said)
            message_id = message_id_of(form)
            outcome = await self.decisions.command(deal, session.who, message_id, name, args)
        except (Problem, RunError) as error:
            problem = to_correct(error)
            return await self._deal_page(
                deal, session, None, problem=problem, typed={name.value: typed | dict(_quantities(form))}
            )
        return await self.site.said(session, outcome, deal.path(said=message_id))

    async def _deal_page(
        self,
        deal: Deal,
        session: Session,
        outcome: Outcome | None,
        *,
        unknown: bool = False,
        problem: Problem | None = None,
        typed: Mapping[str, Mapping[str, str]] | None = None,
    ) -> Response:
        self.access.check_readable(session.identity, deal.company)
        shows_margin = self.access.may(session.identity, Action.READ_MARGIN, deal.company)
        view, timeline = await asyncio.gather(
            self.deals.state(deal.company, deal.quote), self.deals.timeline(deal.company, deal.quote)
        )
        approvals = approvals_for_reader(view.approvals, shows_margin=shows_margin)
        drift = drift_for_reader(view.price_drift, shows_margin=shows_margin)
        commands = self._commands(view, session)
        context = {
            "deal": view.model_copy(update={"approvals": approvals, "price_drift": drift}),
            "shows_margin": shows_margin,
            "spans": spans(timeline, ended_at=view.updated_at if view.ending else None, now=datetime.now(UTC)),
            "due": any(document.due_on for document in view.documents),
            "late": await self.late.of_deal(deal.company, deal.quote) if view.ending else (),
            "others": await self._others(view, session),
            "path": deal.path(),
            "steps": _stepper(view),
            "columns": _columns(view.lines),
            "lines_path": deal.lines_path(),
            "open_lines": _open(view),
            "commands": [name for name, too_old in commands.items() if not too_old],
            "stale": [name for name, too_old in commands.items() if too_old],
            "sign_in_again": sign_in_again(deal.path()),
            "command_path": lambda name: deal.path("commands", name),
            "takes": TAKES.get(view.parked.activity) if view.parked else None,
            "approval_path": lambda n: Approval(deal, n).path(),
            "message_id": str(uuid.uuid4()),
            "typed": typed or {},
            "customer_fields": WORDS,
            "about_customer": OF_CUSTOMER,
            "workflow_id": names.deal_id(deal.company, deal.quote),
            "elsewhere": self._elsewhere(view),
            "approval_id": names.approval_id,
            "outcome": outcome,
            "recorded": unknown,
            "problem": problem,
        }
        return await self.site.render("deal.html", session, context, problem.status if problem else 200)

    async def _others(self, view: DealView, session: Session) -> tuple[DealRow, ...]:
        """Other running deals of a customer whose credit is held, the largest first, for who may decide about it."""
        held = view.credit_status is CreditStatus.HELD or view.explanation.waiting_for is WaitingFor.CREDIT
        company, customer = view.company, view.customer_account
        if not held or not customer or not self.access.may(session.identity, Action.RECHECK_CREDIT, company):
            return ()
        wanted = DealFilter(company=company, readable=(company,), customer=customer, status="running")
        try:
            found = await self.search.deals(wanted, limit=_OTHERS + 1)
        except RunError:  # the decision does not depend on it
            return ()
        rows = [row for row in found.items if row.quote != view.quote_number]
        return tuple(by_amount(rows, at_risk)[:_OTHERS])

    def _elsewhere(self, view: DealView) -> tuple[Link, ...]:
        """The way to the deal's records in Sales and Finance."""
        ids = {"quote_id": view.quote_id, "opportunity_id": view.opportunity_id, "sales_order_id": view.sales_order_id}
        lists = self.dynamics.lists(view.company, customer=view.customer_account, order=view.order_number)
        return (*self.dynamics.records(**ids), *lists)

    def _commands(self, view: DealView, session: Session) -> dict[CommandName, bool]:
        """What this person can usefully say to the deal, and whether they have to sign in again first."""
        who, now = session.who, datetime.now(UTC)
        return {
            name: bool(self.access.too_old(who, name, view, now))
            for name in _fitting(view)
            if self.access.verdict(who.person, name, view).allowed
            and not (name in (CommandName.CREDIT_RELEASE, *OF_CUSTOMER) and is_made_by(who.person, view))
        }


def _next_order(sort: str, column: str) -> str:
    """What a click on a column's heading asks for: upwards first, then downwards."""
    return f"-{column}" if sort == column else column


def _about_customer(unknown: UnknownCustomer) -> list[CommandName]:
    """What can be said about a customer that Finance does not know: first whether it is one that Finance has."""
    if unknown.candidates:
        free = any(not candidate.held_by for candidate in unknown.candidates)
        choose = [CommandName.CHOOSE_CUSTOMER] if free else []
        return [*choose, CommandName.NEW_CUSTOMER, CommandName.REJECT_CUSTOMER]
    return [*([CommandName.CREATE_CUSTOMER] if unknown.proposal else []), CommandName.REJECT_CUSTOMER]


def _given(request: Request) -> dict[str, str]:
    """The filters in an address. A quote number may begin with a blank; one pasted after it would find nothing."""
    return {
        name: value.rstrip() if name == "quote" else value.strip()
        for name, value in request.query_params.items()
        if value.strip() and name != "view"
    }


_QUANTITY = "quantity_"


def _quantities(form: FormData) -> Iterator[tuple[str, str]]:
    """What was typed as the new quantity of lines, by the name of its field; one that was left empty is none."""
    for name, value in list(form.items())[: 2 * MOST_LINES]:
        if name.startswith(_QUANTITY) and (text := str(value).strip()):
            yield name, text


def _lines(form: FormData) -> list[dict[str, str]]:
    """The lines of a form that changes an order."""
    return [
        {"line_no": name.removeprefix(_QUANTITY), "quantity": as_number(name, text)} for name, text in _quantities(form)
    ]


def _columns(lines: tuple[LineView, ...]) -> list[str]:
    """The quantities worth a column: what every order has, and what happened to some line of this one."""
    return [name for name in _QUANTITIES if name not in _RARE or any(getattr(line, name) for line in lines)]


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


def _fitting(view: DealView) -> list[CommandName]:
    """What can usefully be said to the deal as it stands; the deal itself decides."""
    if view.ending is not Ending.RUNNING:
        return []
    fitting: list[CommandName] = []
    if view.parked:
        fitting += [CommandName.RETRY, CommandName.ABORT]
        fitting += [CommandName.SKIP] if view.parked.can_skip or view.parked.takes_value else []
    if view.credit_status is CreditStatus.HELD or view.explanation.waiting_for is WaitingFor.CREDIT:
        fitting += [CommandName.CREDIT_RELEASE, CommandName.CREDIT_REJECT, CommandName.CREDIT_RECHECK]
    if view.unknown_customer is not None:
        fitting += _about_customer(view.unknown_customer)
    if any(approval.status is ApprovalStatus.PENDING for approval in view.approvals):
        fitting.append(CommandName.WITHDRAW)
    if view.unapplied:
        fitting += _about_credit(view)
    if view.order_status in ("", "none"):
        fitting.append(CommandName.CANCEL)
    else:
        fitting += _fitting_order(view)
    return [*fitting, CommandName.REREAD]


def _about_credit(view: DealView) -> list[CommandName]:
    """What can be said about money of the customer that settles nothing."""
    open_ = any(refund.status is RefundStatus.PROPOSED for refund in view.refunds)
    undecided = any(text.startswith(Refusal.UNAPPLIED_CREDIT) for text in view.exceptions)
    on_its_way = any(refund.status in ON_ITS_WAY for refund in view.refunds)
    return [
        CommandName.REFUND_PROPOSE,
        *((CommandName.REFUND_APPROVE,) if open_ else ()),
        *((CommandName.CREDIT_KEEP,) if undecided and not on_its_way else ()),
    ]


def _fitting_order(view: DealView) -> list[CommandName]:
    """What can usefully be said about the order."""
    under_way = view.order_change
    if under_way is not None:
        retry = [CommandName.RETRY] if under_way.failure and not view.parked else []
        end = [CommandName.ABORT] if under_way.failure else []
        return retry + end + ([] if under_way.whole else [CommandName.CANCEL_ORDER])
    if view.lines and not _open(view):
        return [CommandName.ABORT]
    return [CommandName.CANCEL_ORDER, *([CommandName.CHANGE_ORDER] if view.sales_order_id else [])]


def _open(view: DealView) -> list[LineView]:
    """Shown lines of the order of which something is left to ship."""
    return [line for line in view.lines if line.ordered - line.cancelled > line.shipped]
