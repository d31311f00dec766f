"""The sales process in Dataverse: prices and totals, who may edit what and when, states, and the actions."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.dataverse import DataverseError
from sandbox.store import Row
from tests.contract.dataverse_world import World, bind, totals


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


def test_only_a_draft_quote_can_be_edited(sales: World) -> None:
    quote = sales.quote(sales.line("1"))
    sales.activate(quote)
    line = sales.lines(quote)[0]["quotedetailid"]
    new_line = sales.line("1") | bind("quoteid", "quotes", quote["quoteid"])

    header = sales.refused("PATCH", f"quotes({quote['quoteid']})", {"name": "Changed"})
    assert header[0] == 400
    assert "read only" in header[2]
    refusals = [
        sales.refused("POST", "quotedetails", new_line),
        sales.refused("PATCH", f"quotedetails({line})", {"quantity": Decimal(2)}),
        sales.refused("DELETE", f"quotedetails({line})"),
    ]
    assert [refusal[:2] for refusal in refusals] == [(400, "0x80043b09")] * 3
    unchanged = sales.again(quote)
    assert (unchanged["name"], unchanged["totalamount"]) == ("A quote", Decimal(100))


def test_columns_of_our_solution_can_be_written_in_any_state(sales: World) -> None:
    quote = sales.quote(sales.line("1"))
    sales.activate(quote)

    answer = sales.request("PATCH", f"quotes({quote['quoteid']})", {"q2c_creditstatus": 100000002})

    assert answer.status_code == 204
    assert sales.again(quote)["q2c_creditstatus"] == 100000002


def test_a_submitted_order_is_read_only_for_people_but_not_for_the_application(sales: World) -> None:
    order = sales.dataverse.create("salesorders", {"name": "Order"}, user=sales.rita)["salesorderid"]
    sales.dataverse.update("salesorders", order, {"statecode": 1, "statuscode": 3}, user=sales.rita)

    with pytest.raises(DataverseError):
        sales.dataverse.update("salesorders", order, {"description": "by rita"}, user=sales.rita)
    sales.dataverse.update("salesorders", order, {"description": "by the application"}, user=sales.app_user)

    assert sales.dataverse.get("salesorders", order)["description"] == "by the application"  # type: ignore[index]


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
