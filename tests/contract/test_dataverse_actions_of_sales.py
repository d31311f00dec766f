"""The actions of Sales: win, close, revise, convert, fulfil, cancel, publish."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.contract.dataverse_world import World, bind, closing, totals


def test_win_then_convert_makes_an_order_of_the_quote(sales: World) -> None:
    quote = sales.quote(sales.line("10", manualdiscountamount="50.00", tax="95.00"), discountpercentage=Decimal(1))
    sales.activate(quote)

    won = sales.request("POST", "WinQuote", {"Status": 4, "QuoteClose": closing("quote", quote)})
    body = {"QuoteId": quote["quoteid"], "ColumnSet": {"AllColumns": False, "Columns": ["ordernumber", "totalamount"]}}
    converted = sales.request("POST", "ConvertQuoteToSalesOrder", body)

    assert won.status_code == 204
    assert converted.status_code == 200
    assert (sales.again(quote)["statecode"], sales.again(quote)["statuscode"]) == (2, 4)
    (order,) = sales.dataverse.rows("salesorder", quoteid=quote["quoteid"])
    assert (order["statecode"], order["statuscode"]) == (0, 1)
    assert order["_ownerid_value"] == sales.rita
    assert order["_owningbusinessunit_value"] == sales.unit
    assert order["_customerid_value"] == sales.account
    assert totals(order) == totals(sales.again(quote))
    (line,) = sales.dataverse.rows("salesorderdetail", salesorderid=order["salesorderid"])
    assert line["_quotedetailid_value"] == sales.lines(quote)[0]["quotedetailid"]
    assert (line["quantity"], line["extendedamount"]) == (Decimal(10), Decimal(1045))
    (close,) = sales.dataverse.rows("quoteclose", quoteid=quote["quoteid"])
    assert close["statecode"] == 1


@pytest.mark.parametrize("state", ["draft", "won", "closed"])
def test_only_an_active_quote_can_be_won(sales: World, state: str) -> None:
    quote = sales.quote(sales.line("1"))
    if state == "won":
        sales.activate(quote)
        sales.close_quote("WinQuote", quote, 4)
    elif state == "closed":
        sales.close_quote("CloseQuote", quote, 5)

    body = {"Status": 4, "QuoteClose": closing("quote", quote)}

    assert sales.refused("POST", "WinQuote", body)[:2] == (400, "0x80048408")


def test_a_draft_quote_cannot_be_converted(sales: World) -> None:
    quote = sales.quote(sales.line("1"))

    refused = sales.refused("POST", "ConvertQuoteToSalesOrder", {"QuoteId": quote["quoteid"]})

    assert refused[:2] == (400, "0x80048408")
    assert sales.dataverse.rows("salesorder") == []


def test_an_active_quote_is_won_when_it_is_converted(sales: World) -> None:
    quote = sales.quote(sales.line("1"))
    sales.activate(quote)

    sales.dataverse.action("ConvertQuoteToSalesOrder", {"QuoteId": quote["quoteid"]}, user=sales.rita)

    assert sales.again(quote)["statecode"] == 2


@pytest.mark.parametrize(("status", "outcome"), [(5, 5), (6, 6), (7, 7), (-1, 7)])
def test_a_quote_is_closed_with_the_status_sent(sales: World, status: int, outcome: int) -> None:
    quote = sales.quote(sales.line("1"))
    sales.activate(quote)

    sales.close_quote("CloseQuote", quote, status)

    row = sales.again(quote)
    assert (row["statecode"], row["statuscode"]) == (3, outcome)
    assert row["closedon"]


def test_revising_a_closed_quote_makes_the_next_revision(sales: World) -> None:
    quote = sales.quote(
        sales.line("1", manualdiscountamount="5.00"),
        sales.line("2", sales.p250),
        quotenumber="Q-77",
        q2c_approvalstatus=100000003,
        expireson="2026-12-31",
    )
    sales.activate(quote)
    sales.close_quote("CloseQuote", quote, 7)

    body = {"QuoteId": quote["quoteid"], "ColumnSet": {"AllColumns": True}}
    answer = sales.request("POST", "ReviseQuote", body)

    assert answer.status_code == 200
    (old, new) = sorted(sales.dataverse.rows("quote", quotenumber="Q-77"), key=lambda row: row["revisionnumber"])
    assert (old["statecode"], old["statuscode"]) == (3, 7)
    assert (new["statecode"], new["statuscode"], new["revisionnumber"]) == (0, 1, 1)
    assert new["totalamount"] == old["totalamount"]
    assert new["expireson"] == "2026-12-31"
    assert new["q2c_approvalstatus"] == 100000000
    assert new["_ownerid_value"] == sales.rita
    assert [line["quantity"] for line in sales.lines(new)] == [Decimal(1), Decimal(2)]


@pytest.mark.parametrize("state", ["draft", "active", "won"])
def test_only_a_closed_quote_can_be_revised(sales: World, state: str) -> None:
    quote = sales.quote(sales.line("1"))
    if state != "draft":
        sales.activate(quote)
    if state == "won":
        sales.close_quote("WinQuote", quote, 4)

    assert sales.refused("POST", "ReviseQuote", {"QuoteId": quote["quoteid"]})[0] == 400
    assert len(sales.dataverse.rows("quote")) == 1


def test_a_quote_is_not_revised_twice_at_the_same_time(sales: World) -> None:
    quote = sales.quote(sales.line("1"))
    sales.close_quote("CloseQuote", quote, 7)
    sales.dataverse.action("ReviseQuote", {"QuoteId": quote["quoteid"]}, user=sales.rita)

    assert sales.refused("POST", "ReviseQuote", {"QuoteId": quote["quoteid"]})[:2] == (400, "0x80048d00")


def test_an_opportunity_is_won_with_its_actual_revenue(sales: World) -> None:
    opportunity = sales.dataverse.create(
        "opportunities", {"name": "Deal", **bind("customerid_account", "accounts", sales.account)}
    )
    close = closing("opportunity", opportunity) | {
        "actualrevenue": Decimal("950.00"),
        "actualend": "2026-11-30T09:00:00Z",
    }

    answer = sales.request("POST", "WinOpportunity", {"Status": 3, "OpportunityClose": close})

    row = sales.dataverse.get("opportunities", opportunity["opportunityid"])
    assert row is not None
    assert answer.status_code == 204
    assert (row["statecode"], row["statuscode"]) == (1, 3)
    assert (row["actualvalue"], row["actualclosedate"]) == (Decimal(950), "2026-11-30")
    again = {"Status": 3, "OpportunityClose": closing("opportunity", opportunity)}
    assert sales.refused("POST", "WinOpportunity", again)[:2] == (400, "0x80040515")


@pytest.mark.parametrize("status", [4, 5])
def test_an_opportunity_is_lost(sales: World, status: int) -> None:
    opportunity = sales.dataverse.create("opportunities", {"name": "Deal"})

    sales.request(
        "POST", "LoseOpportunity", {"Status": status, "OpportunityClose": closing("opportunity", opportunity)}
    )

    row = sales.dataverse.get("opportunities", opportunity["opportunityid"])
    assert row is not None
    assert (row["statecode"], row["statuscode"]) == (2, status)


def test_an_order_is_fulfilled_in_part_and_then_completely(sales: World) -> None:
    order = sales.dataverse.create("salesorders", {"name": "Order"})
    for status in (100002, 100001):
        body = {"Status": status, "OrderClose": closing("order", order)}

        assert sales.request("POST", "FulfillSalesOrder", body).status_code == 204

        row = sales.dataverse.get("salesorders", order["salesorderid"])
        assert row is not None
        assert (row["statecode"], row["statuscode"]) == (3, status)
    assert sales.refused("POST", "FulfillSalesOrder", body)[:2] == (400, "0x80048408")


def test_an_order_is_cancelled(sales: World) -> None:
    order = sales.dataverse.create("salesorders", {"name": "Order"})

    sales.request("POST", "CancelSalesOrder", {"Status": 4, "OrderClose": closing("order", order)})

    row = sales.dataverse.get("salesorders", order["salesorderid"])
    assert row is not None
    assert (row["statecode"], row["statuscode"]) == (2, 4)


def test_an_order_close_without_its_type_is_refused(sales: World) -> None:
    order = sales.dataverse.create("salesorders", {"name": "Order"})
    close = closing("order", order)
    del close["@odata.type"]

    status, _, message = sales.refused("POST", "CancelSalesOrder", {"Status": 4, "OrderClose": close})

    assert status == 400
    assert "@odata.type" in message


def test_calculate_price_takes_up_a_new_list_price(sales: World) -> None:
    quote = sales.quote(sales.line("1"))
    (item,) = sales.dataverse.rows("productpricelevel", productid=sales.p100)
    sales.dataverse.update("productpricelevels", item["productpricelevelid"], {"amount": Decimal(110)})
    assert sales.again(quote)["totalamount"] == Decimal(100)

    target = {"@odata.type": "Microsoft.Dynamics.CRM.quote", "quoteid": quote["quoteid"]}
    answer = sales.request("POST", "CalculatePrice", {"Target": target})

    assert answer.status_code == 204
    assert sales.again(quote)["totalamount"] == Decimal(110)


def test_a_draft_product_is_published(sales: World) -> None:
    product = sales.dataverse.create("products", {"name": "New", "productnumber": "NEW"})
    assert (product["statecode"], product["statuscode"]) == (2, 0)

    sales.request("POST", f"products({product['productid']})/Microsoft.Dynamics.CRM.PublishProductHierarchy", {})

    assert sales.dataverse.rows("product", productnumber="NEW")[0]["statecode"] == 0


def test_an_integration_users_invoice_is_stored_as_sent() -> None:
    sales = World(sales_order_integration=True)
    sales.dataverse.update("systemusers", sales.app_user, {"isintegrationuser": True})
    body = {"name": "Invoice", "totalamount": Decimal("627.00"), "totaltax": Decimal("57.00")}

    sales.request("POST", "invoices", body)

    (invoice,) = sales.dataverse.rows("invoice")
    assert (invoice["totalamount"], invoice["totaltax"]) == (Decimal(627), Decimal(57))
    sales.close()
