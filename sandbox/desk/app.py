"""The desk over HTTP: JSON for programs, pages for people; both do the same things with the same words.

Plain HTTP without authentication, meant for loopback: whoever reaches the desk may do everything in the sandbox.
Amounts and quantities are text in answers; a refusal is `{"error": {"message", "field"?, "system"?}}`, with 400 for a
wrong request, 404 for what does not exist, 409 for what a system refuses.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.desk.desk import Desk
from sandbox.desk.pages import Pages
from sandbox.desk.plans import AutopilotConfig
from sandbox.desk.requests import (
    ClockRequest,
    CompanyRequest,
    CustomerRequest,
    DeskError,
    DualWriteRequest,
    EndpointsRequest,
    ItemRequest,
    LimitsRequest,
    LineChangeRequest,
    LinesRequest,
    NewCustomerRequest,
    PaymentRequest,
    QuoteRequest,
    ReversalRequest,
    ReviseRequest,
    parse,
)
from sandbox.faults import Fault

Handler = Callable[[Request], Awaitable[Any]]

_ENCODER = msgspec.json.Encoder(decimal_format="string", enc_hook=str)


class Json(Response):
    """A JSON answer in which a Decimal is text."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Encode exactly."""
        return _ENCODER.encode(content)


class DeskApi:
    """The JSON routes."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._quote_actions: dict[str, Callable[[str], Any]] = {
            "submit": desk.rep.submit,
            "activate": desk.rep.activate,
            "accept": desk.rep.accept,
            "lose": desk.rep.lose,
            "cancel": desk.rep.cancel,
        }
        self._edit_actions = {"revise": desk.rep.revise, "edit": desk.rep.edit}
        self._order_actions = {
            "pick": desk.office.pick,
            "unpick": desk.office.unpick,
            "hold": desk.finance_desk.hold,
            "ship": desk.office.ship,
            "invoice": desk.office.invoice,
            "cancel-remainder": desk.office.cancel_remainder,
        }

    def routes(self) -> list[Route]:
        """All of them, with their methods."""
        table: list[tuple[str, str, Handler]] = [
            ("GET", "/quotes", self.list_quotes),
            ("POST", "/quotes", self.create_quote),
            ("GET", "/quotes/{number:path}", self.get_quote),
            ("POST", "/quotes/{number:path}/{action}", self.act_on_quote),
            ("GET", "/orders", self.list_orders),
            ("GET", "/orders/{company}/{number}", self.get_order),
            ("POST", "/orders/{company}/{number}/{action}", self.act_on_order),
            ("POST", "/payments", self.pay),
            ("POST", "/payments/{company}/{payment}/reverse", self.reverse_payment),
            ("PUT", "/companies/{company}", self.change_company),
            ("PUT", "/items/{company}/{item}", self.change_item),
            ("GET", "/customers", self.list_customers),
            ("POST", "/customers", self.create_customer),
            ("GET", "/customers/{company}/{account}", self.get_customer),
            ("PUT", "/customers/{company}/{account}", self.change_customer),
            ("POST", "/jobs/totals", self.run_totals_job),
            ("PUT", "/orders/{company}/{number}/lines/{line}", self.change_line),
            ("GET", "/finance/settings", self._desk.finance_desk.get_settings),
            ("PUT", "/finance/settings", self._desk.finance_desk.put_settings),
            ("GET", "/finance/events", self._desk.finance_desk.get_delivery),
            ("PUT", "/finance/events", self._desk.finance_desk.put_delivery),
            ("PUT", "/finance/rates", self._desk.finance_desk.put_rate),
            ("PUT", "/finance/currencies/{currency}", self._desk.finance_desk.put_rounding),
            ("POST", "/finance/{company}/{operation}", self._desk.finance_desk.post_json),
            ("GET", "/people", self.list_people),
            ("GET", "/expected", self.get_expected),
            ("GET", "/state", self.get_state),
            ("GET", "/deliveries", self.get_deliveries),
            ("POST", "/deliveries/resend", self.resend),
            ("GET", "/requests", self.list_requests),
            ("GET", "/requests/summary", self.summarize_requests),
            ("GET", "/faults", self.list_faults),
            ("PUT", "/faults", self.put_faults),
            ("DELETE", "/faults", self.delete_faults),
            ("GET", "/autopilot", self.get_autopilot),
            ("PUT", "/autopilot", self.put_autopilot),
            ("GET", "/endpoints", self.get_endpoints),
            ("PUT", "/endpoints", self.put_endpoints),
            ("PUT", "/limits", self.put_limits),
            ("PUT", "/clock", self.put_clock),
            ("POST", "/delta-links/expire", self.expire_delta_links),
            ("PUT", "/dual-write", self.put_dual_write),
            ("POST", "/reset", self.reset),
            ("GET", "/health", self.health),
        ]
        return [Route(path, _answering(handler), methods=[method]) for method, path, handler in table]

    # --- quotes ----------------------------------------------------------------------------------------------------

    async def list_quotes(self, request: Request) -> Any:
        """Latest revisions, narrowed by `company`, `customer`, `state`, `approval`."""
        wanted = dict(request.query_params)
        return [quote for quote in self._desk.rep.quotes() if all(quote.get(k) == v for k, v in wanted.items())]

    async def create_quote(self, request: Request) -> Any:
        """Enter a draft quote."""
        return self._desk.rep.create_quote(parse(await request.body(), QuoteRequest))

    async def get_quote(self, request: Request) -> Any:
        """A quote with its orders and invoices, in Sales and in Finance."""
        quote = self._desk.rep.quote(request.path_params["number"])
        numbers = [order["finance_order"] for order in quote["orders"] if order["finance_order"]]
        quote["finance"] = [self._desk.office.order(quote["company"], number) for number in numbers]
        return quote

    async def act_on_quote(self, request: Request) -> Any:
        """submit, activate, accept, lose, cancel; revise and edit with what changes."""
        number, action = request.path_params["number"], request.path_params["action"]
        if action in self._edit_actions:
            return self._edit_actions[action](number, parse(await request.body(), ReviseRequest))
        if action not in self._quote_actions:
            known = ", ".join([*self._quote_actions, *self._edit_actions])
            raise DeskError(f"{action} is not one of {known}", field="action", status=404)
        return self._quote_actions[action](number)

    # --- orders, money, customers ----------------------------------------------------------------------------------

    async def list_orders(self, request: Request) -> Any:
        """Orders in Finance, of one `company` or of all."""
        return self._desk.office.orders(request.query_params.get("company"))

    async def get_order(self, request: Request) -> Any:
        """What Finance holds of an order."""
        return self._desk.office.order(request.path_params["company"].lower(), request.path_params["number"])

    async def act_on_order(self, request: Request) -> Any:
        """pick, ship, invoice, cancel-remainder; in part with `lines`. hold: credit management holds it, by hand."""
        company, number = request.path_params["company"].lower(), request.path_params["number"]
        action = self._order_actions.get(request.path_params["action"])
        if action is None:
            raise DeskError(f"not one of {', '.join(self._order_actions)}", field="action", status=404)
        return action(company, number, parse(await request.body(), LinesRequest).lines)

    async def change_line(self, request: Request) -> Any:
        """Raise or lower a line's quantity in Finance, and its unit price."""
        company, number = request.path_params["company"].lower(), request.path_params["number"]
        line = _whole_number(request.path_params["line"], "line")
        change = parse(await request.body(), LineChangeRequest)
        return self._desk.finance_desk.change_line(company, number, line, change.quantity, change.price)

    async def pay(self, request: Request) -> Any:
        """Post money received."""
        return self._desk.office.pay(parse(await request.body(), PaymentRequest))

    async def reverse_payment(self, request: Request) -> Any:
        """Take a payment back, by its id."""
        company, payment = request.path_params["company"].lower(), request.path_params["payment"]
        reason = parse(await request.body(), ReversalRequest).reason
        return self._desk.office.reverse_payment(company, payment, reason)

    async def change_company(self, request: Request) -> Any:
        """Change credit management, tax rate or order numbering of a company."""
        change = parse(await request.body(), CompanyRequest)
        return self._desk.office.change_company(request.path_params["company"].lower(), change)

    async def change_item(self, request: Request) -> Any:
        """Change price, cost or stop of an item in Finance."""
        change = parse(await request.body(), ItemRequest)
        company, item = request.path_params["company"].lower(), request.path_params["item"]
        return self._desk.office.change_item(company, item, change)

    async def list_customers(self, request: Request) -> Any:
        """Customers with their credit figures, of one `company` or of all."""
        return self._desk.office.customers(request.query_params.get("company"))

    async def create_customer(self, request: Request) -> Any:
        """Make a customer in both systems."""
        return self._desk.add_customer(parse(await request.body(), NewCustomerRequest))

    async def get_customer(self, request: Request) -> Any:
        """A customer's credit figures."""
        return self._desk.office.customer(request.path_params["company"].lower(), request.path_params["account"])

    async def change_customer(self, request: Request) -> Any:
        """Change limit, hold, unlimited flag or terms."""
        change = parse(await request.body(), CustomerRequest)
        company, account = request.path_params["company"].lower(), request.path_params["account"]
        return self._desk.office.change_customer(company, account, change)

    async def run_totals_job(self, request: Request) -> Any:
        """Calculate the totals of all orders, as the batch job does."""
        return self._desk.office.run_totals_job()

    # --- the sandbox itself ----------------------------------------------------------------------------------------

    async def list_people(self, request: Request) -> Any:
        """The tenant's users."""
        return self._desk.people()

    async def get_expected(self, request: Request) -> Any:
        """What must come out of the data set that was loaded."""
        return self._desk.dataset.expected

    async def get_state(self, request: Request) -> Any:
        """Counts and sums."""
        return self._desk.state()

    async def get_deliveries(self, request: Request) -> Any:
        """What became of webhooks and business events."""
        return self._desk.deliveries()

    async def resend(self, request: Request) -> Any:
        """Send Finance's error log again, as its Resend button does; lost webhooks stay lost."""
        return {"resent": self._desk.resend()}

    async def list_requests(self, request: Request) -> Any:
        """Every request seen, oldest first; narrowed by `system`, `method`, `since` (ISO 8601), `limit`."""
        query = request.query_params
        entries = self._desk.requests.entries
        since = _moment(query["since"]) if "since" in query else 0.0
        wanted = [
            entry
            for entry in entries
            if round(entry.at, 6) >= since  # as it is shown: to the microsecond
            and query.get("system", entry.system) == entry.system
            and query.get("method", entry.method) == entry.method
        ]
        if "limit" in query:
            wanted = wanted[-_whole_number(query["limit"], "limit") :]
        return [entry.as_json() for entry in wanted]

    async def summarize_requests(self, request: Request) -> Any:
        """Counts by system and status."""
        return self._desk.requests.summary()

    async def list_faults(self, request: Request) -> Any:
        """The faults in force."""
        return self._desk.faults.faults

    async def put_faults(self, request: Request) -> Any:
        """Put one fault or a list of faults in force, in place of all others."""
        body = await request.body()
        faults = parse(body, list[Fault]) if body.lstrip().startswith(b"[") else [parse(body, Fault)]
        for position, fault in enumerate(faults):
            if problem := fault.problem():
                field, text = problem
                raise DeskError(text, field=f"[{position}].{field}")
        self._desk.faults.replace(faults)
        return self._desk.faults.faults

    async def delete_faults(self, request: Request) -> Any:
        """No faults any more."""
        self._desk.faults.clear()
        return []

    async def get_autopilot(self, request: Request) -> Any:
        """Configuration, what was done, what was refused."""
        return self._desk.autopilot_status()

    async def put_autopilot(self, request: Request) -> Any:
        """Configure the autopilot."""
        await self._desk.play(parse(await request.body(), AutopilotConfig))
        return self._desk.autopilot_status()

    async def get_endpoints(self, request: Request) -> Any:
        """Where the product listens."""
        return self._desk.endpoints()

    async def put_endpoints(self, request: Request) -> Any:
        """Say where the product listens."""
        return self._desk.set_endpoints(parse(await request.body(), EndpointsRequest))

    async def put_limits(self, request: Request) -> Any:
        """Change the limits beyond which the systems throttle."""
        return self._desk.set_limits(parse(await request.body(), LimitsRequest))

    async def put_clock(self, request: Request) -> Any:
        """Shift the sandbox's clock."""
        return self._desk.set_clock(parse(await request.body(), ClockRequest).offset_seconds)

    async def expire_delta_links(self, request: Request) -> Any:
        """End the life of every delta link Dataverse has given out, as seven days would."""
        return self._desk.expire_delta_links()

    async def put_dual_write(self, request: Request) -> Any:
        """Let dual-write have these maps, in place of all others."""
        return self._desk.set_dual_write(parse(await request.body(), DualWriteRequest))

    async def reset(self, request: Request) -> Any:
        """Everything as at the start."""
        await self._desk.reset()
        return {"ok": True}

    async def health(self, request: Request) -> Any:
        """Alive."""
        return {"status": "ok"}


def build_app(desk: Desk, sign_in: Sequence[Route] = ()) -> Starlette:
    """The ASGI application of the desk; ``sign_in``: the sign-in pages, where the desk serves them as well."""
    routes = [*DeskApi(desk).routes(), *Pages(desk).routes(), *sign_in]
    return Starlette(routes=routes, middleware=[Middleware(_SameOrigin)])


class _SameOrigin:
    """Refuses what another site's page sends through a browser: the desk asks nobody who they are."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != headers.get("host"):
            refusal = DeskError("requests from other sites' pages are refused", status=403)
            await Json(refusal.as_json(), refusal.status)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _answering(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            return Json(await handler(request))
        except DeskError as error:
            return Json(error.as_json(), error.status)

    return answer


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise DeskError("not a moment in ISO 8601", field="since") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _whole_number(text: str, field: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise DeskError("not a whole number above 0", field=field)
    return int(text)
