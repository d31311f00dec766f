"""The back office at the desk: every posting by JSON and by page, settings, event delivery, rates, X++ faults."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from sandbox.desk.office_pages import FORMS
from sandbox.finance.operations import OPERATIONS
from sandbox.runtime import Sandbox, SandboxConfig, running


class Office:
    """The desk, and an order in Finance to work on."""

    def __init__(self, sandbox: Sandbox, client: httpx.AsyncClient) -> None:
        self.sandbox = sandbox
        self.client = client
        self._orders = 0

    def order(self, account: str = "US-001") -> str:
        """Enter an order of ten P100 (1,100.00 with tax)."""
        self._orders += 1
        number = f"DESK-{self._orders}"
        header = {"dataAreaId": "usmf", "OrderingCustomerAccountNumber": account}
        if self.sandbox.finance.company("usmf").number_sequence == "manual":
            header["SalesOrderNumber"] = number
        number = str(self.sandbox.finance.create("SalesOrderHeadersV4", header)["SalesOrderNumber"])
        line = {"dataAreaId": "usmf", "SalesOrderNumber": number, "ItemNumber": "P100", "OrderedSalesQuantity": 10}
        self.sandbox.finance.create("SalesOrderLinesV3", line)
        return number

    async def post(self, operation: str, **members: Any) -> Any:
        answer = await self.client.post(f"/finance/USMF/{operation}", json=members)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def form(self, name: str, **fields: str) -> str:
        """Submit a form of the page; the sentence it comes back with."""
        answer = await self.client.post(f"/ui/office/{name}", data={"company": "usmf", **fields})
        assert answer.status_code == 303
        query = httpx.URL(answer.headers["location"]).params
        return query.get("said") or f"refused: {query['refused']}"

    async def shown(self, number: str) -> Any:
        return (await self.client.get(f"/orders/usmf/{number}")).json()


@pytest.fixture(scope="module")
async def office(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    async with (
        running(SandboxConfig(state_dir=tmp_path_factory.mktemp("office"))) as sandbox,
        httpx.AsyncClient(base_url=sandbox.info.desk, trust_env=False) as client,
    ):
        yield Office(sandbox, client)


async def test_every_operation_can_be_called(office: Office) -> None:
    for operation in OPERATIONS:
        answer = await office.client.post(f"/finance/usmf/{operation}", json={})
        assert answer.status_code == 409, f"{operation}: {answer.text}"
        assert answer.json()["error"]["system"] == "finance"
    unknown = await office.client.post("/finance/usmf/nothing", json={})
    assert (unknown.status_code, unknown.json()["error"]["field"]) == (404, "operation")


async def test_every_operation_has_a_form() -> None:
    everyday = {"pick", "unpick", "packingSlip", "cancelRemainder"}
    assert {form.operation for form in FORMS} | everyday >= set(OPERATIONS)


async def test_an_order_goes_its_way_by_json(office: Office) -> None:
    number = office.order()
    await office.post("confirm", SalesOrderId=number)
    await office.post("addCharge", SalesOrderId=number, ChargeCode="FREIGHT", Value="10.00")
    changed = await office.client.put(f"/orders/usmf/{number}/lines/1", json={"quantity": "12"})
    assert changed.json() == {"line": 1, "quantity": "12", "amount": "1200.00"}
    slip = (await office.client.post(f"/orders/usmf/{number}/ship", json={})).json()["PackingSlipId"]
    await office.post("cancelPackingSlip", PackingSlipId=slip, Lines=[{"LineNumber": 1, "Quantity": "11"}])
    invoice = await office.post("invoice", SalesOrderId=number)
    assert invoice["InvoiceAmount"] == "1221.00"
    note = await office.post(
        "creditNote", InvoiceId=invoice["InvoiceId"], Lines=[{"LineNumber": 1, "Quantity": 1}], ReasonCode="DEFECT"
    )
    assert note["InvoiceAmount"] == "-110.00"
    shown = await office.shown(number)
    assert [(part["slip"], part["quantity"]) for part in shown["slips"]] == [(slip, "11")]
    assert shown["charges"] == [{"code": "FREIGHT", "amount": "10.00", "billed": True}]


async def test_a_line_that_cannot_be_changed_is_refused_in_finances_words(office: Office) -> None:
    number = office.order()
    await office.client.post(f"/orders/usmf/{number}/ship", json={})
    lower = await office.client.put(f"/orders/usmf/{number}/lines/1", json={"quantity": 5})
    assert lower.status_code == 409
    assert "10 has been delivered" in lower.json()["error"]["message"]
    assert (await office.client.put(f"/orders/usmf/{number}/lines/9", json={"quantity": 5})).status_code == 404


async def test_an_order_goes_its_way_by_page(office: Office) -> None:
    number = office.order()
    assert await office.form("confirm", SalesOrderId=number) == f"Confirmed: {number}-1."
    assert await office.form("addCharge", SalesOrderId=number, ChargeCode="FREIGHT", Value="10") == "Charge added."
    assert await office.form("changeLine", SalesOrderId=number, LineNumber="1", Quantity="8") == "Line changed."
    assert (await office.form("prepayment", CustAccount="US-001", SalesOrderId=number, Amount="100")).startswith("Prep")
    await office.client.post(f"/orders/usmf/{number}/ship", json={})
    invoice = (await office.client.post(f"/orders/usmf/{number}/invoice", json={})).json()["InvoiceId"]
    said = await office.form("returnOrder", InvoiceId=invoice, Lines="1:2", ReasonCode="DEFECT")
    announced = said.removeprefix("Return order created: ").removesuffix(".")
    assert (await office.form("receiveReturn", ReturnOrderNumber=announced)).startswith("Return received: PS-")
    assert (await office.form("creditReturn", ReturnOrderNumber=announced)).startswith("Credit note posted: CCN-")
    paid = await office.form("payment", CustAccount="US-001", Amount="300", Settlements=f"{invoice}:250")
    assert paid.startswith("Payment posted: ")
    page = (await office.client.get(f"/ui/orders/usmf/{number}")).text
    assert announced in page and "FREIGHT" in page
    assert "refused" in await office.form("creditNote", InvoiceId=invoice, Lines="one:two")
    assert "refused: " in await office.form("confirm", SalesOrderId="NOPE")
    assert "refused" in await office.form("changeLine", SalesOrderId=number)


async def test_the_page_is_filled_in_from_the_address(office: Office) -> None:
    page = (await office.client.get("/ui/office?company=demf&SalesOrderId=SO-%227&InvoiceId=CIV-1")).text
    assert '<option value="demf" selected>' in page
    assert 'value="SO-&#34;7"' in page
    assert page.count('value="CIV-1"') == 3


async def test_the_order_page_pays_for_the_invoice_account(office: Office) -> None:
    office.sandbox.finance.update("CustomersV3", ("usmf", "US-002"), {"InvoiceAccount": "US-001"})
    number = office.order("US-002")
    await office.client.post(f"/orders/usmf/{number}/ship", json={})
    invoice = (await office.client.post(f"/orders/usmf/{number}/invoice", json={})).json()["InvoiceId"]
    path = f"/ui/orders/usmf/{number}/pay"
    answer = await office.client.post(path, data={"invoice": invoice, "amount": "1100.00"})
    assert "Payment+of+1100.00+USD+posted" in answer.headers["location"]
    [shown] = (await office.shown(number))["invoices"]
    assert shown["open"] == "0.00"


async def test_settings_are_changed_and_reset(office: Office) -> None:
    start = (await office.client.get("/finance/settings")).json()
    change = {"norwegian_fields": not start["norwegian_fields"], "filter_nodes": 50, "stored_decimals": -1}
    changed = (await office.client.put("/finance/settings", json=change)).json()
    assert changed == start | change | {"stored_decimals": None}
    assert (await office.client.put("/finance/settings", json={"nothing": 1})).status_code == 400
    events = {"custom": False, "inactive": ["X"], "delay": 0.5, "scatter": 0.1, "copies": 2}
    assert (await office.client.put("/finance/events", json=events)).json() == events
    wrong = await office.client.put("/finance/events", json={"copies": 0})
    assert (wrong.status_code, wrong.json()["error"]["field"]) == (400, "copies")
    await office.client.post("/reset")
    assert (await office.client.get("/finance/settings")).json() == start
    assert (await office.client.get("/finance/events")).json()["custom"] is True


async def test_parameters_and_rates(office: Office) -> None:
    wanted = {
        "penny_difference": "0.05",
        "over_under": "1.00",
        "settle_automatically": True,
        "net_price_rounding": True,
    }
    shown = (await office.client.put("/companies/usmf", json=wanted)).json()
    assert {name: shown[name] for name in wanted} == wanted
    rate = {"source": "GBP", "target": "USD", "rate": "1.25", "rate_type": "Budget", "start": "2026-01-01"}
    assert (await office.client.put("/finance/rates", json=rate)).status_code == 200
    assert (await office.client.put("/finance/rates", json=rate | {"rate": "0"})).status_code == 400
    [row] = office.sandbox.finance.query("ExchangeRates", FromCurrency="GBP")
    assert (str(row["Rate"]), row["RateTypeName"], row["StartDate"]) == ("1.25", "Budget", "2026-01-01T12:00:00Z")
    await office.client.post("/reset")


@pytest.mark.parametrize(
    ("infolog", "path", "status", "text"),
    [
        ("deadlock", "/data/Currencies", 400, "Deadlock, where one or more users have simultaneously locked"),
        ("update_conflict", "/data/Currencies", 400, "An update conflict occurred due to another user process"),
        ("deadlock", "/api/services", 500, "Deadlock, where one or more users"),
    ],
)
async def test_x_plus_plus_gives_up_for_a_moment(
    office: Office, infolog: str, path: str, status: int, text: str
) -> None:
    fault = {"system": "finance", "effect": {"infolog": infolog}, "times": 1}
    assert (await office.client.put("/faults", json=fault)).status_code == 200
    context = ssl.create_default_context(cafile=office.sandbox.info.ca_file)
    async with httpx.AsyncClient(verify=context, trust_env=False, base_url=office.sandbox.info.finance) as finance:
        answer = await finance.get(path)
        assert answer.status_code == status
        assert text in answer.text
        assert (await finance.get(path)).status_code == 401, "once only"


async def test_an_infolog_is_finances_alone(office: Office) -> None:
    fault = {"system": "dataverse", "effect": {"infolog": "deadlock"}}
    answer = await office.client.put("/faults", json=fault)
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "[0].effect.infolog")
