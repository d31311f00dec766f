"""The desk over HTTP: a rep, a warehouse and accounts receivable play a deal in both systems."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.data import fixtures
from sandbox.runtime import Sandbox, SandboxConfig

APPROVED = 100000003


async def enter(desk: httpx.AsyncClient, **changes: Any) -> str:
    body: dict[str, Any] = {
        "company": "usmf",
        "customer": "US-001",
        "rep": "rita",
        "lines": [{"item": "P100", "quantity": 10, "discount_pct": 5}],
    }
    answer = await desk.post("/quotes", json=body | changes)
    assert answer.status_code == 200, answer.text
    number: str = answer.json()["quotenumber"]
    return number


async def order_for(sandbox: Sandbox, quote: str, number: str = "Q2C-TEST00000001") -> str:
    """Do the product's part: the order of the quote in Finance, confirmed."""
    header = {
        "dataAreaId": "usmf",
        "SalesOrderNumber": number,
        "OrderingCustomerAccountNumber": "US-001",
        "CustomersOrderReference": quote,
    }
    sandbox.finance.company("usmf").number_sequence = "manual"
    sandbox.finance.create("SalesOrderHeadersV4", header)
    line = {"dataAreaId": "usmf", "SalesOrderNumber": number, "ItemNumber": "P100", "OrderedSalesQuantity": Decimal(10)}
    sandbox.finance.create(
        "SalesOrderLinesV3", line | {"SalesPrice": Decimal(100), "LineDiscountPercentage": Decimal(5)}
    )
    assert sandbox.finance.post("confirm", {"DataAreaId": "usmf", "SalesOrderId": number})["Success"]
    return number


async def test_a_quote_is_entered_with_prices_discount_and_tax_of_the_company(desk: httpx.AsyncClient) -> None:
    number = await enter(desk, opportunity=True, payment_terms="Net 60", expires_on="2026-12-31")
    quote = (await desk.get(f"/quotes/{number}")).json()
    assert (quote["net"], quote["tax"], quote["total"], quote["currency"]) == ("950.00", "95.00", "1045.00", "USD")
    assert (quote["company"], quote["rep"], quote["state"], quote["approval"]) == ("usmf", "rita", "draft", "none")
    assert quote["expires_on"] == "2026-12-31" and quote["opportunity"]["state"] == "open"
    assert [(line["item"], line["price"][:6], line["discount"]) for line in quote["lines"]] == [
        ("P100", "100.00", "50.00")
    ]


async def test_tax_is_of_the_document_and_spread_over_the_lines(desk: httpx.AsyncClient) -> None:
    lines = [{"item": "P100", "quantity": 1, "price": price} for price in ("33.33", "33.33", "33.34")]
    number = await enter(desk, company="demf", customer="DE-001", rep="rolf", lines=lines)
    quote = (await desk.get(f"/quotes/{number}")).json()
    assert (quote["net"], quote["tax"]) == ("100.00", "19.00")
    assert sum(Decimal(line["tax"]) for line in quote["lines"]) == Decimal("19.00")


async def test_a_customer_is_quoted_in_the_currency_they_buy_in(desk: httpx.AsyncClient) -> None:
    number = await enter(desk, customer="US-9300", lines=[{"item": "P250", "quantity": 3, "discount_pct": 5}])
    quote = (await desk.get(f"/quotes/{number}")).json()
    assert quote["currency"] == "JPY"
    assert [Decimal(quote[name]) for name in ("net", "tax", "total")] == [106_875, 10_688, 117_563]
    revised = await desk.post(f"/quotes/{number}/edit", json={"lines": [{"item": "P250", "quantity": 1}]})
    assert revised.status_code == 200
    assert Decimal((await desk.get(f"/quotes/{number}")).json()["net"]) == 37_500


async def test_yen_have_no_decimals_and_dinars_three(desk: httpx.AsyncClient) -> None:
    """A dinar's list price of 30.697 is 30.70 for one unit: the organization's pricing precision is 2."""
    yen = await enter(desk, company="jpmf", customer="JP-001", rep="reiko", lines=[{"item": "P099", "quantity": 3}])
    dinar = await enter(desk, company="kwmf", customer="KW-001", rep="rashid", lines=[{"item": "P099", "quantity": 3}])
    assert (await desk.get(f"/quotes/{yen}")).json()["total"] == "49497"
    assert (await desk.get(f"/quotes/{dinar}")).json()["total"] == "92.100"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"company": "nope"}, "company"),
        ({"customer": "US-999"}, "customer"),
        ({"customer": "DE-001"}, "customer"),
        ({"rep": "nobody"}, "rep"),
        ({"lines": [{"item": "P100"}, {"item": "X1"}]}, "lines[1].item"),
        ({"lines": [{"item": "P100", "quantity": "many"}]}, "lines[0].quantity"),
        ({"lines": [{"item": "P100", "discount_pct": 1, "discount_amount": 1}]}, "lines[0].discount_pct"),
        ({"lines": [{"item": "P100", "qty": 1}]}, "lines[0].qty"),
        ({"payment_terms": "Net 7"}, "payment_terms"),
        ({"expires_on": "soon"}, "expires_on"),
    ],
)
async def test_a_wrong_request_names_its_field(desk: httpx.AsyncClient, changes: dict[str, Any], field: str) -> None:
    body = {"company": "usmf", "customer": "US-001", "rep": "rita", "lines": [{"item": "P100"}]}
    answer = await desk.post("/quotes", json=body | changes)
    assert answer.status_code in (400, 404)
    assert answer.json()["error"]["field"] == field


async def test_nonsense_a_rep_can_enter_is_entered(desk: httpx.AsyncClient) -> None:
    """Negative and broken quantities and written-in lines get through: finding them is the product's work."""
    lines = [
        {"item": "P100", "quantity": -3},
        {"item": "P100", "quantity": 0},
        {"item": "P100", "quantity": "1.5"},
        {"description": "Ünïcödé 🚚 株式会社 עברית", "quantity": 1, "price": "12.50"},
    ]
    quote = (await desk.get(f"/quotes/{await enter(desk, lines=lines)}")).json()
    assert [Decimal(line["quantity"]) for line in quote["lines"]] == [-3, 0, Decimal("1.5"), 1]
    assert quote["lines"][3]["description"] == "Ünïcödé 🚚 株式会社 עברית" and quote["lines"][3]["item"] is None
    assert (await desk.get(f"/quotes/{await enter(desk, lines=[])}")).json()["lines"] == []


async def test_what_sales_refuses_comes_in_its_own_words(desk: httpx.AsyncClient) -> None:
    number = await enter(desk)
    assert (await desk.post(f"/quotes/{number}/activate")).status_code == 200
    again = await desk.post(f"/quotes/{number}/submit")
    assert again.status_code == 409 and "active, not draft" in again.json()["error"]["message"]
    too_long = await desk.post(
        "/quotes",
        json={
            "company": "usmf",
            "customer": "US-001",
            "rep": "rita",
            "lines": [{"item": "P100", "description": "x" * 4001}],
        },
    )
    assert too_long.status_code == 409 and too_long.json()["error"]["system"] == "dataverse"
    assert "0x80044331" in too_long.json()["error"]["message"]


async def test_revising_makes_the_next_revision_of_the_same_number(desk: httpx.AsyncClient) -> None:
    number = await enter(desk)
    await desk.post(f"/quotes/{number}/activate")
    answer = await desk.post(
        f"/quotes/{number}/revise", json={"lines": [{"item": "P250", "quantity": 4, "discount_pct": 18}]}
    )
    assert answer.json()["revision"] == 1
    quote = (await desk.get(f"/quotes/{number}")).json()
    assert (quote["state"], quote["net"], quote["approval"]) == ("draft", "820.00", "none")
    assert [(r["revision"], r["state"], r["status"]) for r in quote["revisions"]] == [
        (0, "closed", "revised"),
        (1, "draft", "in progress"),
    ]


async def test_a_deal_is_played_to_the_last_payment(sandbox: Sandbox, desk: httpx.AsyncClient) -> None:
    number = await enter(desk)
    for step in ("submit", "activate", "accept"):
        assert (await desk.post(f"/quotes/{number}/{step}")).status_code == 200
    assert (await desk.get(f"/quotes/{number}")).json()["state"] == "won"
    order = await order_for(sandbox, number)
    path = f"/orders/usmf/{order}"
    too_much = await desk.post(f"{path}/ship", json={"lines": [{"line": 1, "quantity": 11}]})
    assert too_much.status_code == 409 and too_much.json()["error"]["system"] == "finance"
    assert (await desk.post(f"{path}/ship", json={"lines": [{"line": 1, "quantity": 6}]})).status_code == 200
    first = (await desk.post(f"{path}/invoice")).json()
    assert (first["InvoiceAmount"], first["TaxAmount"]) == ("627.00", "57.00")
    assert (await desk.post(f"{path}/ship")).status_code == 200
    second = (await desk.post(f"{path}/invoice")).json()
    assert second["InvoiceAmount"] == "418.00"
    part = {"invoice": first["InvoiceId"], "amount": "400.00"}
    paid = await desk.post(
        "/payments", json={"company": "usmf", "customer": "US-001", "amount": "400.00", "settlements": [part]}
    )
    assert paid.status_code == 200
    truth = (await desk.get(path)).json()
    assert truth["header"]["SalesOrderProcessingStatus"] == "Invoiced"
    assert [invoice["open"] for invoice in truth["invoices"]] == ["227.00", "418.00"]
    state = (await desk.get("/state")).json()
    assert state["orders"] == {"total": 1, "duplicates": 0, "without_quote": 0, "by_status": {"Invoiced": 1}}
    assert state["money"]["USD"] == {"net": "950.00", "tax": "95.00", "invoiced": "1045.00", "paid": "400.00"}


async def test_a_second_order_of_the_same_quote_is_counted(sandbox: Sandbox, desk: httpx.AsyncClient) -> None:
    number = await enter(desk)
    await order_for(sandbox, number, "Q2C-ONE")
    await order_for(sandbox, number, "Q2C-TWO")
    assert (await desk.get("/state")).json()["orders"]["duplicates"] == 1


async def test_order_totals_are_zero_until_the_job_has_run(sandbox: Sandbox, desk: httpx.AsyncClient) -> None:
    order = await order_for(sandbox, await enter(desk))
    before = (await desk.get(f"/orders/usmf/{order}")).json()["header"]
    assert (before["AreTotalsCalculated"], before["OrderTotalAmount"]) == ("No", "0")
    assert (await desk.post("/jobs/totals")).json() == {"orders": 1}
    assert (await desk.get(f"/orders/usmf/{order}")).json()["header"]["OrderTotalAmount"] == "1045.00"


async def test_a_customers_credit_can_be_changed(desk: httpx.AsyncClient) -> None:
    changed = await desk.put("/customers/usmf/US-001", json={"credit_limit": "50000.00", "on_hold": "All"})
    assert (changed.json()["credit_limit"], changed.json()["on_hold"]) == ("50000.00", "All")
    assert (await desk.put("/customers/usmf/US-001", json={"on_hold": "Maybe"})).status_code == 409
    assert (await desk.put("/customers/usmf/US-404", json={"on_hold": "No"})).status_code == 404


async def test_credit_management_can_be_switched_off_for_a_company(sandbox: Sandbox, desk: httpx.AsyncClient) -> None:
    header = {"dataAreaId": "usmf", "SalesOrderNumber": "Q2C-NOCREDIT", "OrderingCustomerAccountNumber": "US-003"}
    sandbox.finance.company("usmf").number_sequence = "manual"
    sandbox.finance.create("SalesOrderHeadersV4", header)
    line = {"dataAreaId": "usmf", "SalesOrderNumber": "Q2C-NOCREDIT", "ItemNumber": "P100"}
    sandbox.finance.create("SalesOrderLinesV3", line)
    confirm = {"DataAreaId": "usmf", "SalesOrderId": "Q2C-NOCREDIT"}
    assert not sandbox.finance.post("confirm", confirm)["Success"]
    assert (await desk.put("/companies/usmf", json={"credit_management": False})).json()["credit_management"] is False
    assert sandbox.finance.post("confirm", confirm)["Success"]
    assert (await desk.put("/companies/xxxx", json={})).status_code == 404


async def test_an_items_price_and_cost_can_be_changed(desk: httpx.AsyncClient) -> None:
    changed = await desk.put("/items/usmf/P100", json={"list_price": "104.00", "unit_cost": "72.00"})
    assert (changed.json()["list_price"], changed.json()["unit_cost"]) == ("104.00", "72.00")
    assert (await desk.put("/items/usmf/P999", json={"unit_cost": "1"})).status_code == 404


async def test_a_reversed_payment_opens_the_invoice_again(sandbox: Sandbox, desk: httpx.AsyncClient) -> None:
    order = await order_for(sandbox, await enter(desk))
    await desk.post(f"/orders/usmf/{order}/ship")
    invoice = (await desk.post(f"/orders/usmf/{order}/invoice")).json()["InvoiceId"]
    body = {"company": "usmf", "customer": "US-001", "amount": "1045.00"}
    paid = await desk.post("/payments", json=body | {"settlements": [{"invoice": invoice, "amount": "1045.00"}]})
    assert sandbox.desk.office.open_amount("usmf", invoice) == 0
    taken_back = await desk.post(f"/payments/usmf/{paid.json()['PaymentId']}/reverse", json={"reason": "bounced"})
    assert taken_back.status_code == 200
    assert sandbox.desk.office.open_amount("usmf", invoice) == Decimal("1045.00")


async def test_what_could_not_be_delivered_is_listed_and_events_can_be_sent_again(
    sandbox: Sandbox, desk: httpx.AsyncClient
) -> None:
    nobody = "http://127.0.0.1:9/intake"
    endpoints = {"dataverse_webhook": {"url": nobody, "key": "k"}, "finance_events": {"url": nobody}}
    await desk.put("/endpoints", json=endpoints)
    await desk.post(f"/quotes/{await enter(desk)}/submit")
    await desk.put("/customers/usmf/US-001", json={"credit_limit": "1.00"})
    await sandbox.dataverse.webhooks.drain()
    await sandbox.finance.events.drain()
    deliveries = (await desk.get("/deliveries")).json()
    assert deliveries["webhooks"]["failed"]
    assert [e["event"]["BusinessEventId"] for e in deliveries["events"]["failed"]] == [
        "Q2CCustCreditLimitChangedBusinessEvent"
    ]
    assert (await desk.post("/deliveries/resend")).json() == {"resent": 1}
    await desk.put("/endpoints", json={"dataverse_webhook": None})
    sandbox.dataverse.set_webhook(None)
    sandbox.finance.set_endpoint(None)


async def test_the_fixtures_are_the_same_in_both_systems(sandbox: Sandbox, desk: httpx.AsyncClient) -> None:
    in_finance = {(c["company"], c["account"]): c for c in (await desk.get("/customers")).json()}
    in_sales = {row.get("accountnumber") for row in sandbox.dataverse.rows("account")}
    assert {account for _, account in in_finance} == {c.account for c in fixtures.CUSTOMERS if c.in_finance}
    assert in_sales == {c.sales_account or c.account for c in fixtures.CUSTOMERS if c.in_finance} | {None}
    assert in_finance["usmf", "US-001"]["open_receivables"] == "40000.00"
    assert in_finance["usmf", "US-004"]["unlimited"] is True
    exposure = sandbox.finance.exposure("usmf", "US-001")
    assert exposure.open_orders == Decimal("15000.00")
    people = {person["name"]: person for person in (await desk.get("/people")).json()}
    users = {row.get("azureactivedirectoryobjectid") for row in sandbox.dataverse.rows("systemuser")}
    assert {person["oid"] for person in people.values()} <= users
    assert people["dora"]["roles"] == ["sales_director.demf"]


async def test_reset_brings_back_the_start(sandbox: Sandbox, desk: httpx.AsyncClient) -> None:
    await enter(desk)
    await desk.put("/clock", json={"offset_seconds": 86400})
    await desk.put("/faults", json={"system": "finance", "path": "/data", "effect": {"status": 503}})
    assert (await desk.post("/reset")).status_code == 200
    assert (await desk.get("/quotes")).json() == [] and (await desk.get("/faults")).json() == []
    assert sandbox.clock.offset.total_seconds() == 0
    assert await enter(desk)


async def test_another_sites_page_cannot_use_the_desk(desk: httpx.AsyncClient) -> None:
    refused = await desk.post("/reset", headers={"Origin": "https://evil.example"})
    assert refused.status_code == 403
    own = str(desk.base_url).rstrip("/")
    assert (await desk.post("/jobs/totals", headers={"Origin": own})).status_code == 200


async def test_the_pages_play_the_same_deal(desk: httpx.AsyncClient) -> None:
    form = {"customer": "usmf/US-001", "rep": "rita", "item-0": "P100", "quantity-0": "10", "discount_pct-0": "5"}
    entered = await desk.post("/ui/quotes/new", data=form, follow_redirects=True)
    number = entered.url.path.rsplit("/", 1)[1]
    assert "1,045.00" in entered.text and f"Quote {number} is entered" in entered.text
    submitted = await desk.post(
        f"/ui/quotes/{number}/submit", data={"back": f"/ui/quotes/{number}"}, follow_redirects=True
    )
    assert "Submitted for approval." in submitted.text
    refused = await desk.post(f"/ui/quotes/{number}/accept", data={"back": "https://evil.example"})
    assert refused.status_code == 303 and refused.headers["location"].startswith("/?refused=")
    for path in ("/", "/ui/quotes/new", "/ui/orders", "/ui/customers", "/ui/controls", "/ui/orders/usmf/SO-US-001-1"):
        page = await desk.get(path)
        assert page.status_code == 200 and "<h1>" in page.text, path
    assert (await desk.get("/ui/quotes/none")).status_code == 404


async def test_a_restart_keeps_authority_and_tokens(tmp_path: Path) -> None:
    config = SandboxConfig(state_dir=tmp_path, client_secret="given")
    first, second = Sandbox(config), Sandbox(config)
    try:
        token = f"Bearer {first.authority.issue('https://localhost:1')}"
        assert second.authority.verify(token, "https://localhost:1")["tid"] == first.info.tenant
        assert first.info.client_secret == second.info.client_secret == "given"
        assert first.info.ca_file == second.info.ca_file
    finally:
        await first.stop()
        await second.stop()
