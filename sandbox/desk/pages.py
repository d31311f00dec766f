"""The desk's pages: plain, server-rendered, usable without JavaScript and on a phone.

A form posts, the action runs, and the browser is sent back with one sentence that says what happened or what a system
refused, in the system's own words.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote as quoted
from urllib.parse import urlencode

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox.desk import office_pages, presets, tour
from sandbox.desk.desk import Desk
from sandbox.desk.rep import PAYMENT_TERMS
from sandbox.desk.requests import (
    CustomerRequest,
    DeskError,
    LineQuantity,
    PaymentRequest,
    QuoteRequest,
    ReviseRequest,
    SettlementRequest,
    convert,
)
from sandbox.faults import SYSTEMS, Fault

_FORM_LINES = 4
Action = Callable[[Request, Mapping[str, str]], Awaitable[tuple[str, str]]]


class Pages:
    """HTML for people."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=select_autoescape(),
            undefined=StrictUndefined,
        )
        self._templates.filters["money"] = _money
        self._templates.filters["number"] = _plain

    def routes(self) -> list[Route]:
        """Pages (GET) and what their forms do (POST)."""
        return [
            Route("/", self.quotes),
            Route("/ui/quotes/new", self.new_quote, methods=["GET"]),
            Route("/ui/quotes/new", self._form(self.enter_quote), methods=["POST"]),
            Route("/ui/quotes/{number:path}", self.quote, methods=["GET"]),
            Route("/ui/quotes/{number:path}/{action}", self._form(self.act_on_quote), methods=["POST"]),
            Route("/ui/orders", self.orders),
            Route("/ui/orders/{company}/{number}", self.order, methods=["GET"]),
            Route("/ui/orders/{company}/{number}/{action}", self._form(self.act_on_order), methods=["POST"]),
            Route("/ui/office", self.office, methods=["GET"]),
            Route("/ui/office/{operation}", self._form(self.run_office), methods=["POST"]),
            Route("/ui/customers", self.customers, methods=["GET"]),
            Route("/ui/customers/{company}/{account}", self._form(self.change_customer), methods=["POST"]),
            Route("/ui/tour", self.tour, methods=["GET"]),
            Route("/ui/tour/{action}", self._form(self.act_on_tour), methods=["POST"]),
            Route("/ui/controls", self.controls, methods=["GET"]),
            Route("/ui/controls/{action}", self._form(self.control), methods=["POST"]),
        ]

    # --- pages -----------------------------------------------------------------------------------------------------

    async def quotes(self, request: Request) -> Response:
        """All quotes, newest first, with what the rep can do next."""
        return self._page("quotes.html", request, quotes=list(reversed(self._desk.rep.quotes())))

    async def new_quote(self, request: Request) -> Response:
        """The form of a new quote."""
        reps = [p for p in self._desk.people() if any(role.startswith("sales_") for role in p["roles"])]
        return self._page(
            "new_quote.html",
            request,
            customers=[*self._desk.office.customers(None), *self._desk.unsynced()],
            items=sorted({(item.number, item.name) for item in self._desk.dataset.items}),
            reps=reps,
            terms=list(PAYMENT_TERMS),
            lines=range(_FORM_LINES),
        )

    async def quote(self, request: Request) -> Response:
        """One quote with its lines, revisions, order and invoices."""
        try:
            shown = self._desk.rep.quote(request.path_params["number"])
            numbers = [order["finance_order"] for order in shown["orders"] if order["finance_order"]]
            finance = [self._desk.office.order(shown["company"], number) for number in numbers]
        except DeskError as error:
            return self._page("missing.html", request, 404, message=error.message)
        link = self._desk.quote_link(shown["company"], shown["quotenumber"])
        told = self._shows().get(shown["quotenumber"], "")
        return self._page("quote.html", request, quote=shown, finance=finance, link=link, shows=told)

    async def orders(self, request: Request) -> Response:
        """All orders in Finance, newest first."""
        return self._page("orders.html", request, orders=list(reversed(self._desk.office.orders())))

    async def order(self, request: Request) -> Response:
        """One order in Finance: ship it, invoice it, record its payment."""
        company, number = request.path_params["company"], request.path_params["number"]
        try:
            shown = self._desk.office.order(company, number)
        except DeskError as error:
            return self._page("missing.html", request, 404, message=error.message)
        return self._page("order.html", request, order=shown, quote=self._desk.rep.number_of_order(number))

    async def office(self, request: Request) -> Response:
        """The back office's forms, filled in from the address."""
        companies = [company.id for company in self._desk.dataset.companies]
        return self._page(
            "office.html", request, forms=office_pages.FORMS, companies=companies, filled=dict(request.query_params)
        )

    async def run_office(self, request: Request, form: Mapping[str, str]) -> tuple[str, str]:
        """A form of the back office's page."""
        return "/ui/office", office_pages.submit(self._desk.finance_desk, request.path_params["operation"], form)

    async def customers(self, request: Request) -> Response:
        """Customers with their credit."""
        return self._page("customers.html", request, customers=self._desk.office.customers(None))

    async def tour(self, request: Request) -> Response:
        """The guided tour of one quote, or its beginning."""
        number = request.query_params.get("quote", "")
        try:
            steps = tour.steps(self._desk, number)
        except DeskError as error:
            return self._page("missing.html", request, 404, message=error.message)
        return self._page("tour.html", request, steps=steps, number=number, shows=self._shows())

    async def act_on_tour(self, request: Request, form: Mapping[str, str]) -> tuple[str, str]:
        """A button of the tour."""
        action, number = request.path_params["action"], form.get("quote", "")
        if action == "begin":
            number = tour.begin(self._desk)
            return f"/ui/tour?quote={quoted(number)}", f"Quote {number} is submitted for approval."
        return f"/ui/tour?quote={quoted(number)}", tour.act(self._desk, number, action)

    async def controls(self, request: Request) -> Response:
        """Faults, autopilot, clock, jobs."""
        return self._page(
            "controls.html",
            request,
            faults=[msgspec.to_builtins(fault) for fault in self._desk.faults.faults],
            systems=SYSTEMS,
            system_names=presets.NAMES,
            presets=presets.PRESETS,
            autopilot=self._desk.autopilot.config,
            done=self._desk.autopilot_status()["done"],
            summary=self._desk.requests.summary(),
            state=self._desk.state(),
        )

    # --- forms -----------------------------------------------------------------------------------------------------

    async def enter_quote(self, request: Request, form: Mapping[str, str]) -> tuple[str, str]:
        """Enter the draft of the form."""
        company, _, account = form["customer"].partition("/")
        body: dict[str, Any] = {
            "company": company,
            "customer": account,
            "rep": form["rep"],
            "lines": _form_lines(form),
            "opportunity": "opportunity" in form,
        }
        body |= {name: form[name] for name in ("name", "payment_terms", "expires_on") if form.get(name)}
        created = self._desk.rep.create_quote(convert(body, QuoteRequest))
        return f"/ui/quotes/{quoted(created['quotenumber'])}", f"Quote {created['quotenumber']} is entered as a draft."

    async def act_on_quote(self, request: Request, form: Mapping[str, str]) -> tuple[str, str]:
        """A button of the quote's page."""
        number, action = request.path_params["number"], request.path_params["action"]
        rep = self._desk.rep
        if action == "revise":
            body = {"lines": _form_lines(form)} if _form_lines(form) else {}
            revision = rep.revise(number, convert(body, ReviseRequest))["revision"]
            said = f"Revision {revision} is a draft."
        else:
            verbs: dict[str, tuple[Callable[[str], Any], str]] = {
                "submit": (rep.submit, "Submitted for approval."),
                "activate": (rep.activate, "Activated: the customer has it."),
                "accept": (rep.accept, "Accepted: the quote is won and an order is made of it."),
                "lose": (rep.lose, "Lost."),
                "cancel": (rep.cancel, "Canceled."),
            }
            if action not in verbs:
                raise DeskError(f"there is no {action}", status=404)
            verb, said = verbs[action]
            verb(number)
        return f"/ui/quotes/{quoted(number)}", said

    async def act_on_order(self, request: Request, form: Mapping[str, str]) -> tuple[str, str]:
        """A button of the order's page; empty quantities mean all that remains."""
        company, number, action = (request.path_params[name] for name in ("company", "number", "action"))
        back = f"/ui/orders/{company}/{quoted(number)}"
        office = self._desk.office
        if action == "pay":
            settled = SettlementRequest(form["invoice"], _decimal(form["amount"], "amount"))
            order = office.progress(company, number)
            office.pay(PaymentRequest(company, order.customer, settled.amount, order.currency, [settled]))
            return back, f"Payment of {settled.amount} {order.currency} posted."
        verbs = {
            "ship": (office.ship, "Packing slip posted."),
            "invoice": (office.invoice, "Invoice posted."),
            "cancel-remainder": (office.cancel_remainder, "The remainder is cancelled."),
        }
        if action not in verbs:
            raise DeskError(f"there is no {action}", status=404)
        chosen = [
            LineQuantity(int(name.removeprefix("line-")), _decimal(value, name))
            for name, value in form.items()
            if name.startswith("line-") and value.strip()
        ]
        verb, said = verbs[action]
        verb(company, number, chosen or None)
        return back, said

    async def change_customer(self, request: Request, form: Mapping[str, str]) -> tuple[str, str]:
        """Save a customer's limit and hold."""
        account = request.path_params["account"]
        limit = _decimal(form["credit_limit"], "credit_limit")
        change = CustomerRequest(credit_limit=limit, on_hold=form["on_hold"])
        self._desk.office.change_customer(request.path_params["company"], account, change)
        return "/ui/customers", f"{account}: credit limit {limit}, on hold: {form['on_hold']}."

    async def control(self, request: Request, form: Mapping[str, str]) -> tuple[str, str]:
        """A button of the controls' page."""
        action, back = request.path_params["action"], "/ui/controls"
        if action == "faults":
            effect = {name: form[name] for name in ("status", "retry_after", "drop") if form[name]}
            body: dict[str, Any] = {name: form[name] for name in ("system", "method", "path", "times") if form[name]}
            body["effect"] = effect
            fault = convert(body, Fault)
            if problem := fault.problem():
                raise DeskError(problem[1], field=problem[0])
            self._desk.faults.replace([*self._desk.faults.faults, fault])
            return back, "The fault is in force."
        if action == "preset":
            found = presets.preset(form["preset"], form["system"])
            if found is None:
                raise DeskError(f"there is no {form['preset']} of {form['system']}", status=404)
            self._desk.faults.replace([found[0]])
            return back, f"{found[1]} Watch what the deals do, then repair it."
        if action == "no-faults":
            self._desk.faults.clear()
            return back, "Everything works again."
        if action == "autopilot":
            await self._desk.play(msgspec.structs.replace(self._desk.autopilot.config, enabled=form["enabled"] == "on"))
            return back, f"The autopilot is {form['enabled']}."
        if action == "totals":
            self._desk.office.run_totals_job()
            return back, "The totals of all orders are calculated."
        if action == "clock":
            now = self._desk.set_clock(float(_decimal(form["hours"], "hours") * 3600))["now"]
            return back, f"It is {now} in the sandbox."
        if action == "reset":
            await self._desk.reset()
            return back, "Everything is as at the start."
        raise DeskError(f"there is no {action}", status=404)

    # --- pieces ----------------------------------------------------------------------------------------------------

    def _shows(self) -> dict[str, str]:
        """What each deal shows, in a sentence, by the number of its quote; of those whose plan says so."""
        plans = self._desk.autopilot.config.plans
        return {number: plan.shows for number, plan in plans.items() if plan.shows and self._desk.rep.exists(number)}

    def _page(self, template: str, request: Request, status: int = 200, **values: Any) -> Response:
        shown = {"path": request.url.path, "said": "", "refused": "", "broken": bool(self._desk.faults.faults)} | {
            name: request.query_params[name] for name in ("said", "refused") if name in request.query_params
        }
        return HTMLResponse(self._templates.get_template(template).render(**shown, **values), status)

    def _form(self, action: Action) -> Callable[[Request], Awaitable[Response]]:
        async def submit(request: Request) -> Response:
            form = {name: str(value) for name, value in (await request.form()).items()}
            try:
                back, said = await action(request, form)
                note = {"said": said}
            except DeskError as error:
                back = form.get("back", "/")
                note = {"refused": f"{error.field}: {error.message}" if error.field else error.message}
            except (KeyError, ValueError) as error:
                back, note = form.get("back", "/"), {"refused": f"The form is not complete: {error}"}
            if not back.startswith("/") or back.startswith("//"):
                back = "/"
            return RedirectResponse(f"{back}{'&' if '?' in back else '?'}{urlencode(note)}", 303)

        return submit


def _form_lines(form: Mapping[str, str]) -> list[dict[str, Any]]:
    lines = []
    for position in range(_FORM_LINES):
        item, quantity = form.get(f"item-{position}", ""), form.get(f"quantity-{position}", "").strip()
        if not item or not quantity:
            continue
        line: dict[str, Any] = {"item": item, "quantity": quantity}
        for name in ("price", "discount_pct"):
            if value := form.get(f"{name}-{position}", "").strip():
                line[name] = value
        lines.append(line)
    return lines


def _decimal(text: str, field: str) -> Decimal:
    return convert(text.strip().replace(",", ""), Decimal) if text.strip() else _missing(field)


def _missing(field: str) -> Decimal:
    raise DeskError("a number is needed", field=field)


def _money(amount: Any) -> str:
    """An amount with thousands separators; decimals beyond three are shown only where they count."""
    if amount is None:
        return "–"
    text = f"{Decimal(amount):,f}"
    whole, point, decimals = text.partition(".")
    return whole + point + decimals.rstrip("0").ljust(2, "0") if len(decimals) > 3 else text


def _plain(amount: Any) -> str:
    """A quantity without meaningless zeros."""
    if amount is None:
        return "–"
    text = f"{Decimal(amount):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
