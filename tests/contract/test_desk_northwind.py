"""Northwind's orders as quotes: every amount as it was sold, tax of the document, plans from the shipping dates."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from sandbox.data import northwind
from sandbox.data.model import spread
from sandbox.runtime import Sandbox, SandboxConfig, running
from tests.deadlines import PATIENCE

REAL = Path(__file__).parents[3] / "shared" / "data" / "northwind"

TABLES = {
    "customers": "CustomerID,CompanyName,ContactName,Address,City,PostalCode,Country,Phone\n"
    "ALFKI,Alfreds Futterkiste,Maria Anders,Obere Str. 57,Berlin,12209,Germany,030-0074321\n",
    "employees": "EmployeeID,LastName,FirstName,Title,ReportsTo\n"
    '1,Davolio,Nancy,Sales Representative,2\n2,Fuller,Andrew,"Vice President, Sales",\n'
    "5,Buchanan,Steven,Sales Manager,2\n",
    "products": "ProductID,ProductName,UnitPrice,Discontinued\n1,Chai,18,0\n2,Chang,19.05,1\n",
    "orders": "OrderID,CustomerID,EmployeeID,OrderDate,ShippedDate\n"
    "10248,ALFKI,1,7/4/1996,7/16/1996\n10249,ALFKI,5,7/5/1996,\n",
    "order_details": "OrderID,ProductID,UnitPrice,Quantity,Discount\n"
    "10248,1,14.4,7,0.15\n10248,2,15.2,3,0.05\n10249,1,18,10,0\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("northwind")
    for name, text in TABLES.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
async def sandbox(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    config = SandboxConfig(state_dir=tmp_path_factory.mktemp("state"), data=str(folder))
    async with running(config) as sandbox:
        yield sandbox


async def test_a_quote_is_what_the_order_was_sold_at(sandbox: Sandbox) -> None:
    quote = sandbox.desk.rep.quote("NW-10248")
    # 7 × 14.40 × 0.85 = 85.68 and 3 × 15.20 × 0.95 = 43.32
    assert [line["amount"] - line["tax"] for line in quote["lines"]] == [Decimal("85.68"), Decimal("43.32")]
    assert (quote["net"], quote["tax"], quote["total"]) == (Decimal("129.00"), Decimal("12.90"), Decimal("141.90"))
    assert all(line["price_overridden"] for line in quote["lines"])
    assert (quote["rep"], quote["customer"], quote["company"]) == ("davolio", "ALFKI", "nwnd")


async def test_prices_costs_limits_and_authority_follow_the_rules_of_the_load(sandbox: Sandbox) -> None:
    item = sandbox.finance.get("ReleasedProductsV2", ("nwnd", "NW-002"))
    assert item is not None and item["UnitCost"] == Decimal("11.43")
    agreements = sandbox.finance.query("SalesPriceAgreements", ItemNumber="NW-002")
    assert [row["Price"] for row in agreements] == [Decimal("19.05")]
    assert sandbox.desk.office.customer("nwnd", "ALFKI")["credit_limit"] == Decimal("10000.00")
    roles = {person.name: person.roles for person in sandbox.directory.people.values()}
    assert roles["buchanan"] == ("sales_rep.nwnd", "sales_manager.nwnd")
    assert roles["fuller"] == ("sales_rep.nwnd", "sales_director.nwnd")
    assert roles["cfo"] == ("cfo.nwnd",) and roles["carl"] == ("credit_manager.nwnd",)


async def test_what_was_not_shipped_then_never_ships(sandbox: Sandbox) -> None:
    assert sandbox.desk.autopilot.plan("NW-10248").shipments == ("rest",)
    assert sandbox.desk.autopilot.plan("NW-10249").shipments == ()


async def test_the_autopilot_submits_the_planned_quotes_as_they_are_dealt_with(sandbox: Sandbox) -> None:
    async with httpx.AsyncClient(base_url=sandbox.info.desk, trust_env=False) as desk:
        config = {"enabled": True, "submits_per_second": 200, "undecided_at_most": 1}
        assert (await desk.put("/autopilot", json=config)).status_code == 200
        await asyncio.sleep(0.2)
        approvals = {quote["quotenumber"]: quote["approval"] for quote in (await desk.get("/quotes")).json()}
        assert approvals == {"NW-10248": "requested", "NW-10249": "none"}
        first = sandbox.desk.rep.latest("NW-10248")
        sandbox.dataverse.update("quotes", first["quoteid"], {"q2c_approvalstatus": 100000004})
        await asyncio.wait_for(until_submitted(sandbox), PATIENCE)
        assert sandbox.desk.rep.latest("NW-10249")["approval"] == "requested"
        expected = (await desk.get("/expected")).json()
        assert (expected["orders"], expected["closed"], expected["net"]) == (2, 1, "309.00")


async def until_submitted(sandbox: Sandbox) -> None:
    while sandbox.desk.autopilot.submitting:
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("sold", "amount"),
    [(("10", "9.8", "0.15"), "83.30"), (("1", "0.5", "0.25"), "0.38"), (("3", "33.335", "0"), "100.01")],
)
def test_a_lines_amount_is_rounded_half_up_once(sold: tuple[str, str, str], amount: str) -> None:
    quantity, price, discount = map(Decimal, sold)
    assert northwind.line_amount(quantity, price, discount) == Decimal(amount)


@pytest.mark.parametrize("total", ["0.00", "0.01", "10.00", "-0.05", "12.34"])
def test_a_spread_amount_adds_up(total: str) -> None:
    weights = [Decimal("33.33"), Decimal("33.33"), Decimal("33.34"), Decimal(0)]
    parts = spread(Decimal(total), weights, "USD")
    assert sum(parts) == Decimal(total)
    exact = [Decimal(total) * weight / 100 for weight in weights]
    assert all(abs(part - fair) < Decimal("0.01") for part, fair in zip(parts, exact, strict=True))


def test_a_folder_without_the_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(northwind.NorthwindError, match=r"customers\.csv"):
        northwind.load(tmp_path)
    for name, text in TABLES.items():
        (tmp_path / f"{name}.csv").write_text(text.replace("ShippedDate", "Shipped"), encoding="utf-8")
    with pytest.raises(northwind.NorthwindError, match="ShippedDate"):
        northwind.load(tmp_path)


@pytest.mark.skipif(not REAL.is_dir(), reason="Northwind's own tables are not at hand")
def test_all_830_orders_add_up_to_what_they_were_sold_at() -> None:
    dataset = northwind.load(REAL)
    assert dataset.expected["net"] == "1265793.29"
    assert (dataset.expected["orders"], dataset.expected["closed"]) == (830, 809)
    assert len(dataset.items) == 77 and len(dataset.customers) == 91
