"""S28 from outside: deals that Finance refused for one reason go on together, and one that people ordered by hand."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

from dynamics.finance.client import Finance, FinanceSettings
from tests.reaching import reaching
from tests.stack import Deal, Json, Stack, assert_sound, eventually, line

MANY = 12
REFUSES = {"system": "finance", "method": "POST", "path": r"/data/SalesOrderHeadersV4", "effect": {"status": 400}}


def parked(stack: Stack, count: int) -> list[Deal]:
    """Deals whose order Finance refuses to make."""
    stack.desk.put("/faults", REFUSES)
    try:
        deals = [stack.deal(line("P100", 10, "5"), name="Ada Lovelace") for _ in range(count)]
        with ThreadPoolExecutor(4) as at_once:
            list(at_once.map(lambda deal: deal.accepted(waits_for="operator"), deals))
    finally:
        stack.desk.delete("/faults")
    return deals


def entered_by_hand(stack: Stack, deal: Deal, quantity: int) -> str:
    """Somebody enters the order in Finance's client; its number."""

    async def entered() -> str:
        header = {"dataAreaId": deal.company, "OrderingCustomerAccountNumber": deal.customer, "CurrencyCode": "USD"}
        async with Finance(FinanceSettings(*reaching(stack, "finance"))) as finance:
            order = await finance.odata.post(
                "SalesOrderHeadersV4", header | {"ArePricesIncludingSalesTax": "No"}, representation=True
            )
            assert order.row
            sold = {
                "dataAreaId": deal.company,
                "SalesOrderNumber": order.row["SalesOrderNumber"],
                "ItemNumber": "P100",
                "OrderedSalesQuantity": quantity,
                "SalesUnitSymbol": "ea",
                "SalesPrice": 100,
                "LineDiscountAmount": 5,
                "CustomersLineNumber": 1,
            }
            await finance.odata.post("SalesOrderLinesV3", sold)
            return str(order.row["SalesOrderNumber"])

    return asyncio.run(entered())


def test_s28_parked_deals_of_one_cause_are_tried_dry_and_go_on_together(automatic_stack: Stack) -> None:
    stack = automatic_stack
    deals = parked(stack, MANY)
    otto, quotes = stack.person("otto"), {deal.quote for deal in deals}
    step: Json = deals[0].case()["parked"]
    assert (step["cause"], step["activity"], step["takes_value"]) == ("Refused", "create_order", True)
    assert step["request"].startswith("POST /data/SalesOrderHeadersV4?cross-company=true\n")
    assert deals[0].customer in step["request"] and step["answer"].startswith("HTTP 400")
    assert "Lovelace" not in step["request"] + step["answer"], "the order's name is a person's"

    by_hand, other, *rest = deals
    ended_with_a_value(stack, by_hand, other)
    body = {"company": "usmf", "waiting_for": "operator", "command": "retry", "reason": "it is mapped now"}

    def listed() -> bool:
        found: list[Any] = otto.get("/cases", waiting_for="operator", status="running", limit=200)["items"]
        return quotes - {by_hand.quote} == quotes & {row["quote"] for row in found}

    eventually(listed, "the list follows the deals")
    run = otto.post("/bulk", body).body["run"]
    path = f"/bulk/usmf/{run}"
    eventually(lambda: otto.get(path)["phase"] == "ready", "tried dry")
    dry = {item["quote"]: item for item in otto.get(f"{path}/items", status="ready")["items"]}
    assert quotes - {by_hand.quote} <= dry.keys() and by_hand.quote not in dry
    assert all(deal.case()["parked"] for deal in rest), "nothing was sent"
    assert otto.post(f"{path}/commands/run", {}).body["parts"] >= 1
    eventually(lambda: otto.get(path)["phase"] == "done", "all were told and looked at")
    ended = {item["quote"]: item["status"] for item in otto.get(f"{path}/items")["items"]}
    assert {ended[deal.quote] for deal in (other, *rest)} == {"moved_on"}
    for deal in (other, *rest):
        deal.waits_for("shipment")
        assert len(deal.orders()) == 1
    said = [entry for entry in other.case()["timeline"] if "it is mapped now" in entry["text"]]
    assert [entry["actor"]["name"] for entry in said] == ["Otto Olsen"]


def ended_with_a_value(stack: Stack, deal: Deal, other: Deal) -> None:
    """An order that was entered by hand is taken for the deal's when two people say so and Finance shows it."""
    otto, ada, olga = (stack.person(name) for name in ("otto", "ada", "olga"))
    wrong, right = entered_by_hand(stack, deal, 9), entered_by_hand(stack, deal, 10)

    def gives(person: Any, number: str, to: Deal = deal) -> Any:
        return person.command(to, "skip", value=number, reason="entered by hand")

    assert gives(stack.person("rita"), right).code == "NO_AUTHORITY"
    assert gives(otto, wrong).accepted
    assert gives(otto, wrong).code == "NEEDS_SECOND_PERSON"
    assert deal.case()["parked"]["given"]["value"] == wrong
    assert gives(olga, wrong).accepted
    case = deal.until(lambda case: case["parked"] and case["parked"]["failures"] == 2, "read, and not believed")
    assert f"order {wrong} is not the one wanted: line 1: quantity 9, wanted 10" in case["parked"]["message"], case[
        "parked"
    ]
    assert case["parked"]["given"] is None
    assert otto.command(deal, "skip", reason="no value").code == "CANNOT_SKIP"
    assert gives(otto, right).accepted and gives(ada, right).accepted
    case = deal.waits_for("shipment")
    assert (case["order_number"], Decimal(case["net"])) == (right, Decimal("950.00"))
    deal.ship()
    deal.waits_for("invoice")
    deal.invoice()
    deal.waits_for("payment")
    deal.pay("1045.00")
    deal.ends("closed")
    assert_sound(deal)
    assert gives(otto, right, other).accepted and gives(olga, right, other).accepted
    case = other.until(lambda case: case["parked"] and case["parked"]["failures"] == 2, "one order is one deal's")
    assert "the order belongs to" in case["parked"]["message"], case["parked"]
