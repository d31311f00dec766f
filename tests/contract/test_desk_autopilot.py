"""The autopilot: each deal is played by its plan, in the systems and through the product's JSON API."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.entra.directory import WEB_CLIENT_ID
from sandbox.runtime import Sandbox, SandboxConfig, running
from sandbox.serving import HttpServer
from tests.deadlines import PATIENCE

APPROVED, REJECTED = 100000003, 100000004
DELAYS = {"submit": 0, "activate": 0.02, "accept": 0.02, "ship": 0.02, "invoice": 0.02, "pay": 0.02, "decide": 0.02}


class Product:
    """Stands in for the product's JSON API: an inbox, a list of held deals, and what it was told."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.inbox: list[dict[str, Any]] = []
        self.held: list[dict[str, Any]] = []
        self.decisions: list[tuple[str, str, dict[str, Any]]] = []
        self.commands: list[tuple[str, str, dict[str, Any]]] = []
        self.deals: dict[str, dict[str, Any]] = {}
        self.account: dict[str, Any] = {"letters_written": 0, "history": [], "invoices": []}
        self.app = Starlette(
            routes=[
                Route("/api/v1/approvals", self.approvals),
                Route("/api/v1/approvals/{company}/{quote}/{n}/decision", self.decide, methods=["POST"]),
                Route("/api/v1/cases", self.cases),
                Route("/api/v1/cases/{company}/{quote}", self.deal),
                Route("/api/v1/cases/{company}/{quote}/commands/{name}", self.command, methods=["POST"]),
                Route("/api/v1/collections/{company}/{quote}", self.collected),
                Route("/api/v1/collections/{company}/{quote}/commands/{name}", self.command, methods=["POST"]),
            ]
        )

    def caller(self, request: Request) -> dict[str, Any]:
        claims = self._sandbox.authority.verify(request.headers.get("authorization"), WEB_CLIENT_ID)
        assert claims["ver"] == "2.0"
        return claims

    async def approvals(self, request: Request) -> Response:
        oid = self.caller(request)["oid"]
        return JSONResponse({"items": [i for i in self.inbox if oid in i["assignees"]], "next_cursor": ""})

    async def decide(self, request: Request) -> Response:
        name = self.caller(request)["preferred_username"].partition("@")[0]
        body = await request.json()
        self.decisions.append((name, request.path_params["quote"], body))
        self.inbox = [item for item in self.inbox if item["quote"] != request.path_params["quote"]]
        return JSONResponse({"message_id": body["message_id"]})

    async def cases(self, request: Request) -> Response:
        self.caller(request)
        waiting = request.query_params["waiting_for"]
        return JSONResponse({"items": [c for c in self.held if c["waiting_for"] == waiting], "next_cursor": ""})

    async def deal(self, request: Request) -> Response:
        self.caller(request)
        found = self.deals.get(request.path_params["quote"])
        return JSONResponse(found or {}, 200 if found else 404)

    async def collected(self, request: Request) -> Response:
        self.caller(request)
        return JSONResponse({"state": self.account})

    async def command(self, request: Request) -> Response:
        name = self.caller(request)["preferred_username"].partition("@")[0]
        self.commands.append((name, request.path_params["quote"], await request.json()))
        self.held = [case for case in self.held if case["quote"] != request.path_params["quote"]]
        return JSONResponse({})

    def ask(self, quote: str, person: str, n: int = 1) -> None:
        oid = self._sandbox.directory.people[person].oid
        item = {"company": "usmf", "quote": quote, "n": n, "step": 1, "assignees": [oid], "seen_hash": "cafe"}
        self.inbox.append(item)

    def hold(self, quote: str, customer: str, started_at: str, waiting_for: str = "credit") -> None:
        self.held.append(
            {
                "company": "usmf",
                "quote": quote,
                "customer": customer,
                "amount": "1045.00",
                "waiting_for": waiting_for,
                "error": "",
                "started_at": started_at,
            }
        )


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    async with running(SandboxConfig(state_dir=tmp_path_factory.mktemp("autopilot"))) as sandbox:
        yield sandbox


@pytest.fixture
async def desk(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=sandbox.info.desk, trust_env=False) as client:
        yield client
        await client.post("/reset")


@pytest.fixture
async def product(sandbox: Sandbox) -> AsyncIterator[tuple[Product, str]]:
    stand_in = Product(sandbox)
    server = HttpServer("product", "127.0.0.1", 0, None)
    await server.start(stand_in.app)
    yield stand_in, server.origin
    await sandbox.desk.stop()
    await server.stop()


async def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        await asyncio.sleep(0.02)


async def play(desk: httpx.AsyncClient, **config: Any) -> None:
    answer = await desk.put("/autopilot", json={"enabled": True, "delays": DELAYS, "default_plan": {}} | config)
    assert answer.status_code == 200, answer.text


async def enter(desk: httpx.AsyncClient, customer: str = "US-001", **changes: Any) -> str:
    line = {"item": "P100", "quantity": 10, "discount_pct": 5} | changes
    body = {"company": "usmf", "customer": customer, "rep": "rita", "lines": [line]}
    number: str = (await desk.post("/quotes", json=body)).json()["quotenumber"]
    await desk.post(f"/quotes/{number}/submit")
    return number


def mark(sandbox: Sandbox, number: str, status: int) -> None:
    """Do the product's part: tell Sales where approval stands."""
    quote = sandbox.desk.rep.latest(number)
    sandbox.dataverse.update("quotes", quote["quoteid"], {"q2c_approvalstatus": status})


def order(sandbox: Sandbox, quote: str, number: str) -> None:
    """Do the product's part: the confirmed order in Finance."""
    header = {"dataAreaId": "usmf", "SalesOrderNumber": number, "OrderingCustomerAccountNumber": "US-001"}
    sandbox.finance.company("usmf").number_sequence = "manual"
    sandbox.finance.create("SalesOrderHeadersV4", header | {"CustomersOrderReference": quote})
    line = {"dataAreaId": "usmf", "SalesOrderNumber": number, "ItemNumber": "P100", "OrderedSalesQuantity": Decimal(10)}
    sandbox.finance.create("SalesOrderLinesV3", line | {"SalesPrice": Decimal(95)})
    assert sandbox.finance.post("confirm", {"DataAreaId": "usmf", "SalesOrderId": number})["Success"]


def state(sandbox: Sandbox, number: str) -> str:
    found: str = sandbox.desk.rep.latest(number)["state"]
    return found


async def test_an_approved_quote_is_activated_and_accepted(sandbox: Sandbox, desk: httpx.AsyncClient) -> None:
    await play(desk)
    number = await enter(desk)
    await asyncio.sleep(0.1)
    assert state(sandbox, number) == "draft"
    mark(sandbox, number, APPROVED)
    await until(lambda: state(sandbox, number) == "won")
    assert len(sandbox.desk.rep.quote(number)["orders"]) == 1


async def test_what_is_there_already_is_played_when_it_is_switched_on(
    sandbox: Sandbox, desk: httpx.AsyncClient
) -> None:
    number = await enter(desk)
    mark(sandbox, number, APPROVED)
    await asyncio.sleep(0.1)
    assert state(sandbox, number) == "draft"
    await play(desk)
    await until(lambda: state(sandbox, number) == "won")


async def test_plans_say_never_and_decline(sandbox: Sandbox, desk: httpx.AsyncClient) -> None:
    waits, declines = await enter(desk), await enter(desk)
    await play(desk, plans={waits: {"accept": "never"}, declines: {"accept": "decline"}})
    mark(sandbox, waits, APPROVED)
    mark(sandbox, declines, APPROVED)
    await until(lambda: state(sandbox, declines) == "closed")
    await asyncio.sleep(0.1)
    assert state(sandbox, waits) == "active"


async def test_a_rejected_quote_is_submitted_again_with_less_discount_once(
    sandbox: Sandbox, desk: httpx.AsyncClient
) -> None:
    await play(desk, default_plan={"after_rejection": "resubmit", "resubmit_discount_pct": 2})
    number = await enter(desk, discount_pct=22)
    mark(sandbox, number, REJECTED)
    await until(lambda: sandbox.desk.rep.latest(number)["approval"] == "requested")
    assert sandbox.desk.rep.latest(number)["net"] == Decimal("980.00")
    mark(sandbox, number, REJECTED)
    await asyncio.sleep(0.2)
    assert sandbox.desk.rep.latest(number)["approval"] == "rejected"


async def test_an_order_is_shipped_invoiced_and_paid_in_parts(sandbox: Sandbox, desk: httpx.AsyncClient) -> None:
    number = await enter(desk)
    plan = {"shipments": [{"1": 6}, "rest"], "payments": ["400.00", "rest"]}
    await play(desk, plans={number: plan})
    order(sandbox, number, "Q2C-PARTS")
    await until(lambda: sandbox.desk.state()["money"].get("USD", {}).get("paid") == Decimal("1045.00"))
    truth = sandbox.desk.office.order("usmf", "Q2C-PARTS")
    assert [(slip["slip"][:3], slip["quantity"]) for slip in truth["slips"]] == [("PS-", 6), ("PS-", 4)]
    assert [invoice["TotalInvoiceAmount"] for invoice in truth["invoices"]] == [Decimal("627.00"), Decimal("418.00")]
    payments = [[part["settled"] for part in invoice["payments"]] for invoice in truth["invoices"]]
    assert payments == [[Decimal("400.00"), Decimal("227.00")], [Decimal("400.00"), Decimal("18.00")]]


async def test_what_comes_back_is_credited_once_the_invoice_is_paid(sandbox: Sandbox, desk: httpx.AsyncClient) -> None:
    number = await enter(desk)
    await play(desk, plans={number: {"returns": {"1": 2}}})
    order(sandbox, number, "Q2C-BACK")
    await until(lambda: len(sandbox.desk.office.order("usmf", "Q2C-BACK")["invoices"]) == 2)
    truth = sandbox.desk.office.order("usmf", "Q2C-BACK")
    assert [(i["TotalInvoiceAmount"], i["open"]) for i in truth["invoices"]] == [
        (Decimal("1045.00"), Decimal(0)),
        (Decimal("-209.00"), Decimal("-209.00")),
    ]
    assert [(row["quantity"], row["reason"]) for row in truth["returns"]] == [(2, "DEFECT")]


async def test_who_wants_less_has_the_warehouse_wait_for_finance(sandbox: Sandbox, desk: httpx.AsyncClient) -> None:
    number = await enter(desk)
    await play(desk, plans={number: {"shipments": [{"1": 6}, "rest"], "reduce": {"1": 8}}})
    order(sandbox, number, "Q2C-LESS")
    await until(lambda: sandbox.desk.office.progress("usmf", "Q2C-LESS").invoices)
    await asyncio.sleep(0.2)
    assert sandbox.desk.office.progress("usmf", "Q2C-LESS").to_ship == 4
    body = {"lines": [{"line": 1, "quantity": 2}]}
    assert (await desk.post("/orders/usmf/Q2C-LESS/cancel-remainder", json=body)).is_success
    await until(lambda: len(sandbox.desk.office.order("usmf", "Q2C-LESS")["slips"]) == 2)
    assert [slip["quantity"] for slip in sandbox.desk.office.order("usmf", "Q2C-LESS")["slips"]] == [6, 2]


async def test_a_cost_is_higher_when_the_customer_accepts(sandbox: Sandbox, desk: httpx.AsyncClient) -> None:
    number = await enter(desk)
    await play(desk, plans={number: {"unit_costs": {"P099": "72.00"}, "shows": "Dearer"}})
    assert "Dearer" in (await desk.get(f"/ui/quotes/{number}")).text and "Dearer" in (await desk.get("/ui/tour")).text
    mark(sandbox, number, APPROVED)
    await until(lambda: state(sandbox, number) == "won")
    (item,) = sandbox.finance.query("ReleasedProductsV2", ItemNumber="P099", dataAreaId="usmf")
    assert item["UnitCost"] == Decimal("72.00")


async def test_rep_clerk_and_receivables_say_what_the_plan_has_for_them(
    sandbox: Sandbox, desk: httpx.AsyncClient, product: tuple[Product, str]
) -> None:
    """Less once something is shipped; money back by two; an invoice contested at the first letter, and upheld."""
    stand_in, origin = product
    less, back, late = [await enter(desk) for _ in range(3)]
    for number in (less, back, late):
        stand_in.deals[number] = {
            "company": "usmf",
            "quote_number": number,
            "customer_account": "US-001",
            "order_number": "1",
            "order_change": None,
            "lines": [{"shipped": "0", "cancelled": "0"}],
            "documents": [{"number": "CCN-1", "open_amount": "-209.00"}],
            "refunds": [],
            "explanation": {"waiting_for": "unapplied"},
        }
    stand_in.account["invoices"] = [{"number": "INV-1", "quote_number": late, "settled_at": None, "dispute": None}]
    plans = {less: {"reduce": {"1": "8"}}, back: {"refund": True}, late: {"dispute": "200.00"}}
    await play(desk, approvals_api=origin, default_plan=None, plans=plans)

    def said() -> set[tuple[str, str]]:
        return {
            (name, body["args"].get("of") or body["args"].get("refund") or "") for name, _, body in stand_in.commands
        }

    await until(lambda: said() == {("cleo", "CCN-1")})  # nothing is shipped or written yet
    stand_in.deals[less]["lines"] = [{"shipped": "6", "cancelled": "0"}]
    stand_in.deals[back]["refunds"] = [{"n": 1, "status": "proposed", "journal": ""}]
    stand_in.account["letters_written"] = 1
    await until(lambda: said() == {("cleo", "CCN-1"), ("amy", "1"), ("rita", "")})
    await until(lambda: len([name for name, *_ in stand_in.commands if name == "rita"]) >= 2)
    asked = [body["args"] for name, _, body in stand_in.commands if name == "rita"]
    reason = "Played by the sandbox."
    assert {"lines": [{"line_no": 1, "quantity": "8"}], "reason": reason} in asked
    assert {"invoice": "INV-1", "amount": "200.00", "reason": reason} in asked
    stand_in.account["history"] = [{"event": "dispute_open", "invoice": "INV-1"}]
    stand_in.account["invoices"][0]["dispute"] = {"amount": "200.00"}
    upheld = {"invoice": "INV-1", "outcome": "uphold", "reason": reason}
    await until(lambda: upheld in [body["args"] for name, _, body in stand_in.commands if name == "amy"])


async def test_goods_that_never_ship_stay(sandbox: Sandbox, desk: httpx.AsyncClient) -> None:
    number = await enter(desk)
    await play(desk, plans={number: {"shipments": []}})
    order(sandbox, number, "Q2C-STAYS")
    await asyncio.sleep(0.2)
    assert sandbox.desk.office.order("usmf", "Q2C-STAYS")["slips"] == []


async def test_a_refused_shipment_is_tried_again(sandbox: Sandbox, desk: httpx.AsyncClient) -> None:
    await play(desk)
    number = await enter(desk)
    await desk.put("/customers/usmf/US-001", json={"on_hold": "No"})
    order(sandbox, number, "Q2C-AGAIN")
    await desk.put("/customers/usmf/US-001", json={"on_hold": "All"})
    await until(lambda: sandbox.desk.autopilot.problems)
    await desk.put("/customers/usmf/US-001", json={"on_hold": "No"})
    await until(lambda: sandbox.desk.office.order("usmf", "Q2C-AGAIN")["slips"])


async def test_approvers_decide_by_the_plan_as_themselves(
    sandbox: Sandbox, desk: httpx.AsyncClient, product: tuple[Product, str]
) -> None:
    stand_in, origin = product
    plans = {"Q-1": {"decisions": ["reject", "approve"], "comment": "Too much."}, "Q-2": {"decisions": ["leave"]}}
    stand_in.ask("Q-1", "mona")
    stand_in.ask("Q-2", "mona")
    stand_in.ask("Q-3", "dirk")
    await play(desk, approvals_api=origin, plans=plans)
    await until(lambda: len(stand_in.decisions) == 2)
    stand_in.ask("Q-1", "cora", n=2)
    await until(lambda: len(stand_in.decisions) == 3)
    told = {(name, quote, body["decision"], body["comment"]) for name, quote, body in stand_in.decisions}
    assert told == {
        ("mona", "Q-1", "reject", "Too much."),
        ("cora", "Q-1", "approve", "Too much."),
        ("dirk", "Q-3", "approve", "Played by the sandbox."),
    }
    first = stand_in.decisions[0][2]
    assert (first["step"], first["seen_hash"]) == (1, "cafe") and len(first["message_id"]) == 36
    assert [item["quote"] for item in stand_in.inbox] == ["Q-2"]


async def test_the_oldest_hold_is_released_when_nothing_of_the_customer_moves(
    sandbox: Sandbox, desk: httpx.AsyncClient, product: tuple[Product, str]
) -> None:
    stand_in, origin = product
    moving = await enter(desk)
    stand_in.hold("Q-NEW", "US-001", "2026-11-23T10:00:00Z")
    stand_in.hold("Q-OLD", "US-001", "2026-11-23T09:00:00Z")
    stand_in.hold("Q-KEPT", "US-002", "2026-11-23T08:00:00Z")
    await play(desk, approvals_api=origin, plans={"Q-KEPT": {"credit_release": False}})
    await asyncio.sleep(4)
    assert stand_in.commands == []
    await desk.post(f"/quotes/{moving}/cancel")
    await until(lambda: len(stand_in.commands) == 2)
    assert [(name, quote) for name, quote, _ in stand_in.commands] == [("carl", "Q-OLD"), ("carl", "Q-NEW")]
    args = stand_in.commands[0][2]["args"]
    assert args["ceiling"] == "1045.00" and args["deviation_pct"] == "0" and args["valid_until"] > "2026-11-23"
    assert [case["quote"] for case in stand_in.held] == ["Q-KEPT"]


async def test_a_parked_step_is_retried_when_the_plan_says_so(
    sandbox: Sandbox, desk: httpx.AsyncClient, product: tuple[Product, str]
) -> None:
    stand_in, origin = product
    stand_in.hold("Q-PARKED", "US-001", "2026-11-23T10:00:00Z", waiting_for="operator")
    await play(desk, approvals_api=origin, plans={"Q-PARKED": {"retry_parked": True}})
    await until(lambda: stand_in.commands)
    assert stand_in.commands[0][1] == "Q-PARKED"


async def test_a_wrong_plan_names_its_place(desk: httpx.AsyncClient) -> None:
    contested = {"enabled": True, "default_plan": {"dispute": "all of it"}}
    assert (await desk.put("/autopilot", json=contested)).json()["error"]["field"] == "default_plan"
    answer = await desk.put("/autopilot", json={"plans": {"Q-1": {"payments": ["much"]}}})
    assert answer.status_code == 400 and answer.json()["error"]["field"].startswith("plans")
    assert (await desk.put("/autopilot", json={"speed": 3})).json()["error"]["field"] == "speed"


async def test_quotes_entered_by_hand_are_left_to_the_hand_that_entered_them(
    sandbox: Sandbox, desk: httpx.AsyncClient, product: tuple[Product, str]
) -> None:
    stand_in, origin = product
    mine, played = await enter(desk), await enter(desk)
    stand_in.ask(mine, "mona")
    stand_in.ask(played, "mona")
    await play(desk, approvals_api=origin, plans={played: {}}, default_plan=None)
    await until(lambda: [quote for _, quote, _ in stand_in.decisions] == [played])
    for number in (mine, played):
        mark(sandbox, number, APPROVED)
    await until(lambda: sandbox.desk.rep.latest(played)["state"] == "won")
    await asyncio.sleep(0.2)
    assert sandbox.desk.rep.latest(mine)["state"] == "draft"
    assert [quote for _, quote, _ in stand_in.decisions] == [played]


async def test_who_is_stopped_between_noticing_and_looking_looks_again_when_told_to_play(
    sandbox: Sandbox, desk: httpx.AsyncClient, product: tuple[Product, str]
) -> None:
    """A change and the stop fall into one turn of the loop, as they do when a test ends at the moment of a change."""
    number = await enter(desk)
    await play(desk)
    mark(sandbox, number, APPROVED)
    await sandbox.desk.stop()
    await play(desk)
    await until(lambda: sandbox.desk.rep.latest(number)["state"] == "won")
