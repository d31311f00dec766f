"""The actions of Sales: win, close, revise, convert, fulfil, cancel, publish."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sandbox.odata.jsonio import decode
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


@pytest.mark.parametrize("state", ["draft", "active"])
def test_an_opportunity_is_not_won_beside_an_open_quote_but_can_be_lost(sales: World, state: str) -> None:
    opportunity = sales.dataverse.create("opportunities", {"name": "Deal"})
    of_opportunity = bind("opportunityid", "opportunities", opportunity["opportunityid"])
    won, alternative = (sales.quote(sales.line("1"), **of_opportunity) for _ in range(2))
    sales.activate(won)
    sales.close_quote("WinQuote", won, 4)
    if state == "active":
        sales.activate(alternative)
    win = {"Status": 3, "OpportunityClose": closing("opportunity", opportunity)}

    refused = sales.refused("POST", "WinOpportunity", win)

    assert refused == (400, "0x80040516", "The opportunity cannot be closed.")
    assert sales.dataverse.rows("opportunityclose") == []
    sales.activate(alternative) if state == "draft" else None
    sales.close_quote("CloseQuote", alternative, 5)
    assert sales.request("POST", "WinOpportunity", win).status_code == 204


@pytest.mark.parametrize("name", ["_quoteid_value", "quoteid@odata.bind", "QuoteId"])
def test_a_column_set_takes_logical_names_only(sales: World, name: str) -> None:
    quote = sales.quote(sales.line("1"))
    sales.activate(quote)
    body = {"QuoteId": quote["quoteid"], "ColumnSet": {"AllColumns": False, "Columns": ["ordernumber", name]}}

    status, _, message = sales.refused("POST", "ConvertQuoteToSalesOrder", body)

    assert status == 400 and name in message
    assert sales.dataverse.rows("salesorder") == []
    body["ColumnSet"] = {"AllColumns": False, "Columns": ["quoteid", "customerid"]}
    answer = decode(sales.request("POST", "ConvertQuoteToSalesOrder", body).content)
    assert (answer["_quoteid_value"], answer["_customerid_value"]) == (quote["quoteid"], sales.account)
