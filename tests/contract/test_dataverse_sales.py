"""The sales process in Dataverse: prices and totals, who may edit what and when, states, and the actions."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.dataverse import DataverseError
from sandbox.store import Row
from tests.contract.dataverse_world import World, bind, closing, totals


def _amounts(*values: str) -> list[Decimal]:
    return [Decimal(value) for value in values]


# --- prices and totals -----------------------------------------------------------------------------------------------


def test_a_catalogue_line_takes_its_price_from_the_price_list(sales: World) -> None:
    quote = sales.quote(sales.line("10", manualdiscountamount="50.00", tax="95.00"))

    (line,) = sales.lines(quote)
    assert line["priceperunit"] == Decimal(100)
    assert line["baseamount"] == Decimal(1000)
    assert line["extendedamount"] == Decimal(1045)
    assert line["pricingerrorcode"] == 0
    assert line["productname"] == "Product P100"
    assert totals(quote) == _amounts("950", "0", "950", "95", "1045")
    assert quote["totallineitemdiscountamount"] == Decimal(50)


def test_an_overridden_price_wins_over_the_price_list(sales: World) -> None:
    quote = sales.quote(sales.line("3", ispriceoverridden=True, priceperunit="33.33"))

    assert quote["totalamount"] == Decimal("99.99")


def test_a_price_that_is_not_overridden_is_replaced(sales: World) -> None:
    quote = sales.quote(sales.line("1", priceperunit="1.00"))

    assert sales.lines(quote)[0]["priceperunit"] == Decimal(100)


def test_the_headers_discounts_and_freight_come_after_the_lines(sales: World) -> None:
    quote = sales.quote(
        sales.line("10", tax="100.00"),
        discountpercentage=Decimal(10),
        discountamount=Decimal("25.50"),
        freightamount=Decimal("12.34"),
    )

    assert totals(quote) == _amounts("1000", "125.50", "874.50", "100", "986.84")


def test_totals_follow_every_change_of_lines_and_header(sales: World) -> None:
    quote = sales.quote(sales.line("1"))
    other = sales.dataverse.create(
        "quotedetails", sales.line("2", sales.p250) | bind("quoteid", "quotes", quote["quoteid"]), user=sales.rita
    )
    assert sales.again(quote)["totalamount"] == Decimal(600)

    sales.dataverse.update("quotedetails", other["quotedetailid"], {"quantity": Decimal(1)}, user=sales.rita)
    assert sales.again(quote)["totalamount"] == Decimal(350)

    sales.dataverse.update("quotes", quote["quoteid"], {"discountpercentage": Decimal(10)}, user=sales.rita)
    assert sales.again(quote)["totalamount"] == Decimal(315)

    sales.dataverse.delete("quotedetails", other["quotedetailid"], user=sales.rita)
    assert sales.again(quote)["totalamount"] == Decimal(90)


def test_totals_that_callers_send_are_computed_all_the_same(sales: World) -> None:
    quote = sales.quote(sales.line("1"), totalamount=Decimal(1))

    assert quote["totalamount"] == Decimal(100)


def test_amounts_have_their_twin_in_the_base_currency(sales: World) -> None:
    prices = sales.dataverse.create(
        "pricelevels", {"name": "EUR", **bind("transactioncurrencyid", "transactioncurrencies", sales.eur)}
    )["pricelevelid"]

    quote = sales.quote(
        sales.line("1", ispriceoverridden=True, priceperunit="80.00"), **bind("pricelevelid", "pricelevels", prices)
    )

    assert (quote["totalamount"], quote["totalamount_base"]) == (Decimal(80), Decimal(100))


def test_amounts_are_rounded_to_the_currencys_decimals(sales: World) -> None:
    yen = bind("transactioncurrencyid", "transactioncurrencies", sales.jpy)
    prices = sales.dataverse.create("pricelevels", {"name": "JPY", **yen})["pricelevelid"]

    quote = sales.quote(
        sales.line("3", ispriceoverridden=True, priceperunit="33.5"), **bind("pricelevelid", "pricelevels", prices)
    )

    assert quote["totalamount"] == Decimal(101)


def test_a_price_list_in_another_currency_is_refused(sales: World) -> None:
    with pytest.raises(DataverseError) as caught:
        sales.quote(**bind("transactioncurrencyid", "transactioncurrencies", sales.eur))

    assert caught.value.code == "0x80048cee"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"quantity": None}, 4),
        ({"ispriceoverridden": True}, 5),
        ({"productid@odata.bind": None}, 6),
        ({"uomid@odata.bind": None}, 10),
    ],
)
def test_a_line_that_cannot_be_priced_says_why(sales: World, change: Row, code: int) -> None:
    quote = sales.quote({**sales.line("1"), **change})

    assert sales.lines(quote)[0]["pricingerrorcode"] == code
    assert quote["pricingerrorcode"] == 1


def test_a_product_that_is_not_in_the_price_list_has_no_price(sales: World) -> None:
    product = sales.dataverse.create("products", {"name": "New", "productnumber": "NEW"})["productid"]

    quote = sales.quote(sales.line("1", product))

    assert sales.lines(quote)[0]["pricingerrorcode"] == 11


def test_a_write_in_line_needs_no_product(sales: World) -> None:
    line = {"isproductoverridden": True, "productdescription": "Assembly", "quantity": Decimal(2)}

    quote = sales.quote({**line, "priceperunit": Decimal("10.00")})

    assert quote["totalamount"] == Decimal(20)


@pytest.mark.parametrize(("method", "percentage", "price"), [(2, "80", "96"), (3, "50", "90"), (6, "20", "62.5")])
def test_a_price_list_item_may_be_a_share_of_price_or_cost(
    sales: World, method: int, percentage: str, price: str
) -> None:
    product = sales.dataverse.create(
        "products",
        {
            "name": "Derived",
            "productnumber": "DERIVED",
            "price": Decimal(120),
            "currentcost": Decimal(60),
            "standardcost": Decimal(50),
        },
    )["productid"]
    item: dict[str, Any] = {"pricingmethodcode": method, "percentage": Decimal(percentage)}
    item |= bind("productid", "products", product) | bind("uomid", "uoms", sales.each)
    sales.dataverse.create("productpricelevels", item | bind("pricelevelid", "pricelevels", sales.prices))

    quote = sales.quote(sales.line("1", product))

    assert quote["totalamount"] == Decimal(price)


@settings(max_examples=25, deadline=None)
@given(
    lines=st.lists(
        st.tuples(
            st.decimals("0.01", "9999", places=2), st.decimals("0.01", "999", places=2), st.decimals(0, 1, places=2)
        ),
        min_size=1,
        max_size=6,
    ),
    percentage=st.decimals(0, 50, places=1),
)
def test_header_totals_add_up_exactly(lines: list[tuple[Decimal, Decimal, Decimal]], percentage: Decimal) -> None:
    sales = World()
    bodies = [
        sales.line(str(quantity), ispriceoverridden=True, priceperunit=str(price), tax=str(tax))
        for quantity, price, tax in lines
    ]

    quote = sales.quote(*bodies, discountpercentage=percentage)

    rows = sales.lines(quote)
    assert quote["totallineitemamount"] == sum(row["extendedamount"] - row["tax"] for row in rows)
    assert quote["totalamountlessfreight"] == quote["totallineitemamount"] - quote["totaldiscountamount"]
    assert quote["totalamount"] == quote["totalamountlessfreight"] + quote["totaltax"]
    assert quote["totalamount"] == quote["totalamount"].quantize(Decimal("0.01"))


@pytest.mark.parametrize(("precision", "price", "base"), [(2, "33.33", "99.99"), (4, "33.3333", "100.00")])
def test_prices_are_rounded_to_the_organizations_pricing_precision(precision: int, price: str, base: str) -> None:
    sales = World(pricing_decimal_precision=precision)
    quote = sales.quote(sales.line("3", priceperunit="33.33333", ispriceoverridden=True))

    (line,) = sales.lines(quote)
    assert (line["priceperunit"], line["baseamount"]) == (Decimal(price), Decimal(base))
    sales.dataverse.update("quotedetails", line["quotedetailid"], {"priceperunit": Decimal("0.12345")})
    (line,) = sales.lines(quote)
    assert line["priceperunit"] == Decimal("0.12345").quantize(Decimal(1).scaleb(-precision), ROUND_HALF_UP)
    sales.close()


def test_other_amounts_are_rounded_to_their_currency(sales: World) -> None:
    quote = sales.quote(sales.line("1", manualdiscountamount="1.005"), freightamount=Decimal("2.345"))

    (line,) = sales.lines(quote)
    assert line["manualdiscountamount"] == Decimal("1.01")
    assert sales.again(quote)["freightamount"] == Decimal("2.35")
    yen = sales.quote(
        freightamount=Decimal("99.5"),
        **bind("transactioncurrencyid", "transactioncurrencies", sales.jpy),
        **bind("pricelevelid", "pricelevels", sales._price_list("JPY", sales.jpy)),
    )
    assert yen["freightamount"] == Decimal(100)


def test_the_amount_is_rounded_before_the_discount_is_taken_off(sales: World) -> None:
    """1.5 × 33.33 = 49.995, rounded to 50.00; less 0.004, itself rounded to 0.00."""
    quote = sales.quote(sales.line("1.5", priceperunit="33.33", ispriceoverridden=True, manualdiscountamount="0.004"))

    (line,) = sales.lines(quote)
    assert (line["baseamount"], line["extendedamount"]) == (Decimal("50.00"), Decimal("50.00"))


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


# --- owners and numbers ----------------------------------------------------------------------------------------------


def test_a_quote_belongs_to_its_owners_business_unit(sales: World) -> None:
    other = sales.dataverse.create("businessunits", {"name": "DEMF"})["businessunitid"]
    rolf = sales.dataverse.create(
        "systemusers", {"firstname": "Rolf", "lastname": "R", **bind("businessunitid", "businessunits", other)}
    )["systemuserid"]
    quote = sales.quote()
    assert quote["_owningbusinessunit_value"] == sales.unit

    sales.dataverse.update("quotes", quote["quoteid"], bind("ownerid", "systemusers", rolf))

    assert sales.again(quote)["_owningbusinessunit_value"] == other


def test_quotes_get_a_number_of_their_own_or_the_one_sent(sales: World) -> None:
    first, second = sales.quote(), sales.quote()

    assert first["quotenumber"].startswith("QUO-")
    assert first["quotenumber"] != second["quotenumber"]
    assert sales.quote(quotenumber="Q-1001")["quotenumber"] == "Q-1001"
    assert first["revisionnumber"] == 0


# --- what can be edited ----------------------------------------------------------------------------------------------


READ_ONLY = (400, "0x8004022e", "The object cannot be updated because it is read-only.")


@pytest.fixture
def documented(sales: World) -> str:
    """A token of an application user with the role the documentation asks for, and no other."""
    return sales.person("Integration", "Quote to Cash")[1]


def test_an_active_quote_keeps_its_content_but_takes_columns_of_a_solution(sales: World, documented: str) -> None:
    quote = sales.quote(sales.line("1"))
    sales.activate(quote)
    line = sales.lines(quote)[0]["quotedetailid"]
    new_line = sales.line("1") | bind("quoteid", "quotes", quote["quoteid"])

    path = f"quotes({quote['quoteid']})"
    assert sales.refused("PATCH", path, {"name": "Changed"}, bearer=documented) == READ_ONLY
    refusals = [
        sales.refused("POST", "quotedetails", new_line),
        sales.refused("PATCH", f"quotedetails({line})", {"quantity": Decimal(2)}),
        sales.refused("DELETE", f"quotedetails({line})"),
    ]
    assert [refusal[:2] for refusal in refusals] == [(400, "0x80043b09")] * 3
    assert sales.request("PATCH", path, {"q2c_creditstatus": 100000002}, bearer=documented).status_code == 204
    unchanged = sales.again(quote)
    assert (unchanged["name"], unchanged["totalamount"]) == ("A quote", Decimal(100))


@pytest.mark.parametrize(("action", "status"), [("WinQuote", 4), ("CloseQuote", 5)])
@pytest.mark.parametrize("column", [{"name": "Changed"}, {"q2c_creditstatus": 100000002}], ids=["name", "q2c"])
def test_a_won_or_closed_quote_takes_no_column_at_all_but_from_an_administrator(
    sales: World, documented: str, action: str, status: int, column: dict[str, Any]
) -> None:
    quote = sales.quote(sales.line("1"))
    sales.activate(quote)
    sales.close_quote(action, quote, status)
    path = f"quotes({quote['quoteid']})"

    assert sales.refused("PATCH", path, column, bearer=documented) == READ_ONLY
    assert sales.refused("PUT", f"{path}/{next(iter(column))}", {"value": None}, bearer=documented) == READ_ONLY

    assert sales.request("PATCH", path, column).status_code == 204
    assert sales.again(quote)[next(iter(column))] == next(iter(column.values()))


@pytest.mark.parametrize(
    ("entity_set", "state"),
    [("salesorders", {"statecode": 1, "statuscode": 3}), ("invoices", {"statecode": 2, "statuscode": 100001})],
)
def test_a_submitted_order_and_a_paid_invoice_take_no_column_at_all_but_from_an_administrator(
    sales: World, documented: str, entity_set: str, state: dict[str, int]
) -> None:
    key = f"{entity_set.removesuffix('s')}id"
    row_id = sales.dataverse.create(entity_set, {"name": "Document"}, user=sales.app_user)[key]
    sales.dataverse.update(entity_set, row_id, state, user=sales.app_user)
    path = f"{entity_set}({row_id})"

    for column in ({"description": "x"}, {"q2c_financeordernumber": "SO-2"}):
        if next(iter(column)) in sales.dataverse.schema.by_set[entity_set].columns:
            assert sales.refused("PATCH", path, column, bearer=documented) == READ_ONLY
            assert sales.request("PATCH", path, column).status_code == 204


def test_lines_of_a_submitted_order_are_read_only(sales: World, documented: str) -> None:
    quote = sales.quote(sales.line("1"))
    sales.activate(quote)
    body = {"QuoteId": quote["quoteid"], "ColumnSet": {"AllColumns": False, "Columns": ["salesorderid"]}}
    order = sales.dataverse.action("ConvertQuoteToSalesOrder", body, user=sales.app_user)
    assert order is not None
    sales.dataverse.update("salesorders", order["salesorderid"], {"statecode": 1, "statuscode": 3})
    (line,) = sales.dataverse.rows("salesorderdetail", salesorderid=order["salesorderid"])

    path = f"salesorderdetails({line['salesorderdetailid']})"
    refused = sales.refused("PATCH", path, {"description": "x"}, bearer=documented)

    assert refused[:2] == (400, "0x80043b09")


# --- states ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"statecode": 1}, (1, 2)),
        ({"statecode": 1, "statuscode": 3}, (1, 3)),
        ({"statecode": 1, "statuscode": 1}, None),
        ({"statecode": 2, "statuscode": 4}, None),
        ({"statecode": 3}, None),
        ({"statuscode": 2}, None),
        ({"statecode": 9}, None),
    ],
)
def test_a_draft_quotes_state_by_update(sales: World, change: Row, outcome: tuple[int, int] | None) -> None:
    quote = sales.quote(sales.line("1"))

    answer = sales.request("PATCH", f"quotes({quote['quoteid']})", change)

    row = sales.again(quote)
    if outcome is None:
        assert answer.status_code == 400
        assert "0x80048408" in answer.text or "0x8004431A" in answer.text
        assert (row["statecode"], row["statuscode"]) == (0, 1)
    else:
        assert (row["statecode"], row["statuscode"]) == outcome
        assert sales.lines(quote)[0]["quotestatecode"] == 1


def test_a_quote_cannot_be_created_active(sales: World) -> None:
    assert sales.refused("POST", "quotes", {"name": "x", "statecode": 1})[:2] == (400, "0x80048408")


def test_an_invoice_is_paid_by_update(sales: World) -> None:
    invoice = sales.dataverse.create("invoices", {"name": "Invoice"})["invoiceid"]

    sales.request("PATCH", f"invoices({invoice})", {"statecode": 2, "statuscode": 100001})

    row = sales.dataverse.get("invoices", invoice)
    assert row is not None
    assert (row["statecode"], row["statuscode"]) == (2, 100001)
