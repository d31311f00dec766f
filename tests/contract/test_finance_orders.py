"""What X++ does when orders are written: numbers, defaults, refusals, amounts, and totals that are not there yet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from sandbox.finance.amounts import due_date, line_amount, part_of, round_money
from sandbox.finance.errors import FinanceError, InfologError, RecordExists
from sandbox.odata.jsonio import decode
from tests.contract.finance_world import World, customer, open_world

HEADERS, LINES = "SalesOrderHeadersV4", "SalesOrderLinesV3"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with open_world() as opened:
        yield opened


def _line(world: World, number: str = "SO-1") -> dict[str, Any]:
    return world.finance.query(LINES, SalesOrderNumber=number)[0]


# --- number sequences --------------------------------------------------------------------------------------------


async def test_a_manual_sequence_wants_the_callers_number(world: World) -> None:
    with pytest.raises(InfologError, match="Field 'Sales order' must be filled in"):
        world.finance.create(HEADERS, {"dataAreaId": "usmf", "OrderingCustomerAccountNumber": "US-001"})
    with pytest.raises(InfologError, match="longer than 20"):
        world.order("Q2C-" + "X" * 17)
    world.order("Q2C-AAAAAAAAAAAA")
    with pytest.raises(RecordExists, match="already exists"):
        world.order("q2c-aaaaaaaaaaaa")


async def test_an_automatic_sequence_counts_by_itself(world: World) -> None:
    body = {"dataAreaId": "demf", "OrderingCustomerAccountNumber": "DE-001"}
    assert [world.finance.create(HEADERS, body)["SalesOrderNumber"] for _ in range(2)] == ["000001", "000002"]
    with pytest.raises(InfologError, match="does not allow manual numbers"):
        world.finance.create(HEADERS, body | {"SalesOrderNumber": "Q2C-1"})


# --- defaulting ----------------------------------------------------------------------------------------------------


async def test_a_header_defaults_from_customer_and_company(world: World) -> None:
    customer(world.finance, "US-100", "0", PaymentTerms="Net 60", SiteId="2", WarehouseId="21", LanguageId="de")
    world.order("SO-1", OrderingCustomerAccountNumber="US-100")
    header = world.header("SO-1")
    assert header["InvoiceCustomerAccountNumber"] == "US-100"
    assert header["CurrencyCode"] == "USD"
    assert header["PaymentTermsName"] == "Net 60"
    assert (header["DefaultShippingSiteId"], header["DefaultShippingWarehouseId"]) == ("2", "21")
    assert header["LanguageId"] == "de"
    assert (header["SalesOrderStatus"], header["SalesOrderProcessingStatus"]) == ("Backorder", "Active")
    assert header["RequestedShippingDate"].endswith("T12:00:00Z")


async def test_a_line_defaults_from_header_and_item(world: World) -> None:
    world.order("SO-1", {})
    line = _line(world)
    assert (line["OrderedSalesQuantity"], line["SalesUnitSymbol"], line["SalesPrice"]) == (1, "ea", 100)
    assert (line["ShippingSiteId"], line["ShippingWarehouseId"]) == ("1", "11")
    assert (line["LineCreationSequenceNumber"], line["LineNumber"]) == (1, 1)
    assert line["LineDescription"] == "Headphones"
    assert line["InventoryLotId"]


async def test_an_empty_value_sent_defeats_defaulting(world: World) -> None:
    with pytest.raises(InfologError, match="Inventory dimension Site is mandatory and must consequently be specified"):
        world.order("SO-1", {"ShippingSiteId": ""})


async def test_without_a_default_warehouse_the_line_is_refused(world: World) -> None:
    world.finance.company("usmf").default_warehouse = ""
    with pytest.raises(InfologError, match="Inventory dimension Warehouse is mandatory"):
        world.order("SO-1")


async def test_prices_come_from_the_most_specific_agreement(world: World) -> None:
    agreement = {
        "dataAreaId": "usmf",
        "ItemNumber": "P100",
        "PriceCurrencyCode": "USD",
        "QuantityUnitySymbol": "ea",
        "SalesPriceQuantity": 1,
    }
    world.finance.seed("SalesPriceAgreements", agreement | {"Price": 95, "CustomerAccountNumber": "US-001"})
    world.finance.seed("SalesPriceAgreements", agreement | {"Price": 80, "FromQuantity": 50})
    expired = {"Price": 1, "PriceApplicableToDate": "2020-01-01T12:00:00Z"}
    world.finance.seed("SalesPriceAgreements", agreement | expired)
    world.order("SO-1", {})
    world.order("SO-2", {"OrderedSalesQuantity": 50}, OrderingCustomerAccountNumber="US-002")
    world.order("SO-3", {"SalesPrice": 12}, OrderingCustomerAccountNumber="US-002")
    assert [_line(world, number)["SalesPrice"] for number in ("SO-1", "SO-2", "SO-3")] == [95, 80, 12]


# --- validation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"OrderingCustomerAccountNumber": "NOPE"}, "'NOPE' in field 'Customer account' is not found"),
        ({"OrderingCustomerAccountNumber": ""}, "Field 'Customer account' must be filled in"),
        ({"InvoiceCustomerAccountNumber": "NOPE"}, "'NOPE' in field 'Invoice account' is not found"),
        ({"CurrencyCode": "XXX"}, "'XXX' in field 'Currency' is not found"),
        ({"CurrencyCode": "EUR"}, "no exchange rate from EUR to USD"),
        ({"PaymentTermsName": "Net 31"}, "'Net 31' in field 'Terms of payment' is not found"),
        ({"SalesOrderStatus": "Invoiced"}, "Field 'Status' does not allow editing"),
        ({"CustomersOrderReference": "x" * 61}, "longer than 60"),
        ({"TotalDiscountPercentage": 101}, "between 0 and 100"),
    ],
)
async def test_headers_x_plus_plus_refuses(world: World, change: dict[str, Any], text: str) -> None:
    body = {"dataAreaId": "usmf", "SalesOrderNumber": "SO-1", "OrderingCustomerAccountNumber": "US-001"}
    with pytest.raises(InfologError, match=text):
        world.finance.create(HEADERS, body | change)
    assert world.finance.get(HEADERS, ("usmf", "SO-1")) is None


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"ItemNumber": "NOPE"}, "'NOPE' in field 'Item number' is not found"),
        ({"SalesOrderNumber": "NOPE"}, "'NOPE' in field 'Sales order' is not found"),
        ({"OrderedSalesQuantity": 0}, "Field 'Quantity' must be filled in"),
        ({"OrderedSalesQuantity": -3}, "Field 'Quantity' must be filled in"),
        ({"OrderedSalesQuantity": Decimal("1.5")}, "Quantity 1.5 is not valid for unit ea"),
        ({"SalesUnitSymbol": "barrel"}, "'barrel' in field 'Unit' is not found"),
        ({"SalesUnitSymbol": "box"}, "Unit conversion from box to ea does not exist"),
        ({"SalesPrice": -1}, "must not be negative"),
        ({"LineDiscountPercentage": 120}, "between 0 and 100"),
        ({"InventoryLotId": "000009"}, "Field 'Lot ID' does not allow editing"),
    ],
)
async def test_lines_x_plus_plus_refuses(world: World, change: dict[str, Any], text: str) -> None:
    world.order("SO-1", {})
    body = {"dataAreaId": "usmf", "SalesOrderNumber": "SO-1", "ItemNumber": "P100"}
    with pytest.raises(InfologError, match=text):
        world.finance.create(LINES, body | change)
    assert len(world.finance.query(LINES, SalesOrderNumber="SO-1")) == 1


async def test_a_stopped_item_cannot_be_ordered(world: World) -> None:
    world.finance.stop_item("usmf", "P100")
    with pytest.raises(InfologError, match="Item P100 is blocked for 'Sales order'"):
        world.order("SO-1")


@pytest.mark.parametrize(
    ("status", "creates", "confirms", "invoices"),
    [
        ("No", True, True, True),
        ("Invoice", True, True, False),
        ("All", False, False, False),
        ("Payment", True, True, True),
        ("Never", True, True, True),
    ],
)
async def test_what_a_hold_status_blocks(
    world: World, status: str, creates: bool, confirms: bool, invoices: bool
) -> None:
    world.order("SO-1")
    world.finance.update("CustomersV3", ("usmf", "US-001"), {"OnHoldStatus": status})
    try:
        world.order("SO-2")
        created = True
    except FinanceError as refusal:
        assert f"Customer US-001 is stopped for {status}." in str(refusal)
        created = False
    assert created == creates
    request = {"DataAreaId": "usmf", "SalesOrderId": "SO-1"}
    assert world.finance.post("confirm", request)["Success"] == confirms
    assert world.finance.post("packingSlip", request)["Success"] == confirms
    assert world.finance.post("invoice", request)["Success"] == invoices


# --- amounts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "currency", "amount"),
    [
        ({"OrderedSalesQuantity": 10, "SalesPrice": "100.00", "LineDiscountPercentage": 5}, "USD", "950.00"),
        ({"OrderedSalesQuantity": 8, "SalesPrice": "99.99", "LineDiscountPercentage": 20}, "USD", "639.94"),
        (
            {"OrderedSalesQuantity": 3, "SalesPrice": 10, "LineDiscountAmount": "3.33", "FixedPriceCharges": "-0.01"},
            "USD",
            "20.00",
        ),
        ({"OrderedSalesQuantity": 1000, "SalesPrice": "99.99", "LineDiscountPercentage": "33.33"}, "USD", "66663.33"),
        ({"OrderedSalesQuantity": 1, "SalesPrice": "2.345"}, "USD", "2.35"),
        ({"OrderedSalesQuantity": 1, "SalesPrice": "0.125"}, "USD", "0.13"),
        (
            {"OrderedSalesQuantity": "9e15", "SalesPrice": "9876543210987654.3215"},
            "USD",
            "88888888898888888893500000000000.00",
        ),
        ({"OrderedSalesQuantity": 3, "SalesPrice": "100.5"}, "JPY", "302"),
        ({"OrderedSalesQuantity": 3, "SalesPrice": "1.2345"}, "KWD", "3.704"),
        ({"OrderedSalesQuantity": 50, "SalesPrice": "100", "SalesPriceQuantity": 100}, "USD", "50.00"),
    ],
)
def test_line_amounts(line: dict[str, Any], currency: str, amount: str) -> None:
    blank = {"LineDiscountAmount": 0, "LineDiscountPercentage": 0, "FixedPriceCharges": 0, "SalesPriceQuantity": 1}
    row = {name: Decimal(value) for name, value in (blank | line).items()}
    assert line_amount(row, currency) == Decimal(amount)


def test_parts_of_a_line_add_up_to_the_whole() -> None:
    amount, ordered = Decimal("100.00"), Decimal(7)
    parts = [part_of(amount, ordered, Decimal(done), Decimal(1), "USD") for done in range(7)]
    assert sum(parts) == amount
    assert set(parts) == {Decimal("14.28"), Decimal("14.29")}


def test_rounding_is_half_up_away_from_zero() -> None:
    assert round_money(Decimal("1234.565"), "USD") == Decimal("1234.57")
    assert round_money(Decimal("-0.125"), "USD") == Decimal("-0.13")


@pytest.mark.parametrize(
    ("term", "due"),
    [
        ({"PaymentMethodType": "Net", "NumberOfDays": 30}, "2026-12-23"),
        ({"PaymentMethodType": "COD"}, "2026-11-23"),
        ({"PaymentMethodType": "CurrentMth", "NumberOfDays": 30}, "2026-12-30"),
        ({"PaymentMethodType": "CurrentQuart"}, "2026-12-31"),
        ({"PaymentMethodType": "CurrentWeek"}, "2026-11-29"),
        ({"PaymentMethodType": "Net", "NumberOfMonths": 3}, "2027-02-23"),
    ],
)
def test_due_dates(term: dict[str, Any], due: str) -> None:
    assert due_date(date(2026, 11, 23), term) == date.fromisoformat(due)


async def test_finance_computes_the_line_amount_itself(world: World) -> None:
    world.order("SO-1", {"OrderedSalesQuantity": 10, "LineDiscountPercentage": 5, "LineAmount": 1})
    assert _line(world)["LineAmount"] == Decimal("950.00")
    world.finance.update(LINES, ("usmf", _line(world)["InventoryLotId"]), {"OrderedSalesQuantity": 12})
    assert _line(world)["LineAmount"] == Decimal("1140.00")


# --- totals --------------------------------------------------------------------------------------------------------


async def test_totals_are_zero_until_the_job_has_run(world: World) -> None:
    world.order("SO-1")
    header = world.header("SO-1")
    assert (header["AreTotalsCalculated"], header["OrderTotalAmount"], header["OrderTotalTaxAmount"]) == ("No", 0, 0)
    assert world.finance.run_totals_job() == 1
    header = world.header("SO-1")
    assert header["AreTotalsCalculated"] == "Yes"
    assert (header["OrderTotalAmount"], header["OrderTotalTaxAmount"]) == (Decimal("1045.00"), Decimal("95.00"))
    world.finance.update(LINES, ("usmf", _line(world)["InventoryLotId"]), {"OrderedSalesQuantity": 11})
    assert (world.header("SO-1")["AreTotalsCalculated"], world.header("SO-1")["OrderTotalAmount"]) == ("No", 0)


@pytest.mark.parametrize(
    ("company", "account", "price", "tax", "amount"),
    [
        ("usmf", "US-001", "33.33", "10.00", "110.00"),
        ("demf", "DE-001", "33.33", "19.00", "119.00"),
        ("jpmf", "JP-001", "333", "100", "1100"),
        ("kwmf", "KW-001", "33.333", "0", "100.000"),
    ],
)
async def test_tax_is_computed_for_the_document(
    world: World, company: str, account: str, price: str, tax: str, amount: str
) -> None:
    whole = {"USD": "100.00", "EUR": "100.00", "JPY": "1000", "KWD": "100.000"}
    body = {"dataAreaId": company, "OrderingCustomerAccountNumber": account}
    if company != "demf":
        body["SalesOrderNumber"] = "SO-1"
    header = world.finance.create(HEADERS, body)
    number, last = header["SalesOrderNumber"], Decimal(whole[header["CurrencyCode"]]) - 2 * Decimal(price)
    for each in (Decimal(price), Decimal(price), last):
        world.finance.create(
            LINES, {"dataAreaId": company, "SalesOrderNumber": number, "ItemNumber": "P100", "SalesPrice": each}
        )
    world.finance.run_totals_job(company)
    header = world.header(number, company)
    assert (header["OrderTotalTaxAmount"], header["OrderTotalAmount"]) == (Decimal(tax), Decimal(amount))


async def test_a_tax_rate_can_be_set(world: World) -> None:
    world.finance.set_tax_rate("usmf", Decimal("7.25"))
    world.order("SO-1")
    world.finance.run_totals_job()
    assert world.header("SO-1")["OrderTotalAmount"] == Decimal("1018.88")


# --- changing and deleting -----------------------------------------------------------------------------------------


async def test_a_line_cannot_shrink_below_what_was_delivered(world: World) -> None:
    world.order("SO-1")
    world.ok("packingSlip", SalesOrderId="SO-1", Lines=[{"LineNumber": 1, "Quantity": 6}])
    key = ("usmf", _line(world)["InventoryLotId"])
    with pytest.raises(InfologError, match="cannot be reduced to 5 because 6 has been delivered"):
        world.finance.update(LINES, key, {"OrderedSalesQuantity": 5})
    assert world.finance.update(LINES, key, {"OrderedSalesQuantity": 8})["LineAmount"] == Decimal("760.00")


async def test_closed_orders_cannot_be_changed(world: World) -> None:
    world.order("SO-1")
    world.ok("packingSlip", SalesOrderId="SO-1")
    world.ok("invoice", SalesOrderId="SO-1")
    with pytest.raises(InfologError, match="has status Invoiced"):
        world.finance.update(HEADERS, ("usmf", "SO-1"), {"Email": "late@x.example"})
    with pytest.raises(InfologError, match="has status Invoiced"):
        world.finance.update(LINES, ("usmf", _line(world)["InventoryLotId"]), {"SalesPrice": 1})
    with pytest.raises(InfologError, match="cannot be deleted"):
        world.finance.delete(HEADERS, ("usmf", "SO-1"))


async def test_statuses_are_results_of_posting(world: World) -> None:
    world.order("SO-1")
    with pytest.raises(InfologError, match="Field 'Processing status' does not allow editing"):
        world.finance.update(HEADERS, ("usmf", "SO-1"), {"SalesOrderProcessingStatus": "Confirmed"})


async def test_deleting_an_order_takes_its_lines_along(world: World) -> None:
    world.order("SO-1")
    world.finance.delete(HEADERS, ("usmf", "SO-1"))
    assert world.finance.query(LINES, SalesOrderNumber="SO-1") == []


async def test_text_round_trips_byte_for_byte(world: World) -> None:
    text = "Ünïcödé 🚚 株式会社 \u200fעברית"
    world.order("SO-1", {"LineDescription": text})
    [row] = await world.rows("SalesOrderLinesV3?$filter=SalesOrderNumber eq 'SO-1'&$select=LineDescription")
    assert row["LineDescription"] == text


# --- customers and journals ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["OrganizationName", "CustomerGroupId", "SalesCurrencyCode"])
async def test_customers_need_their_mandatory_fields(world: World, missing: str) -> None:
    body = {
        "dataAreaId": "usmf",
        "CustomerAccount": "N-1",
        "OrganizationName": "New",
        "CustomerGroupId": "10",
        "SalesCurrencyCode": "USD",
    }
    with pytest.raises(InfologError, match="must be filled in"):
        world.finance.create("CustomersV3", {name: value for name, value in body.items() if name != missing})
    with pytest.raises(InfologError, match="The value 'Local' in field 'Customer group' is not found"):
        world.finance.create("CustomersV3", body | {"CustomerGroupId": "Local"})
    assert world.finance.create("CustomersV3", body)["PaymentTerms"] == "Net 30"


async def test_a_customer_is_numbered_by_its_sequence_or_by_the_caller_and_twins_are_taken(world: World) -> None:
    body = {
        "dataAreaId": "usmf",
        "OrganizationName": "New",
        "CustomerGroupId": "10",
        "SalesCurrencyCode": "USD",
        "TaxExemptNumber": "US841",
    }
    accounts = [world.finance.create("CustomersV3", body)["CustomerAccount"] for _ in range(2)]
    assert len(set(accounts)) == 2 and all(account.startswith("USMF-") for account in accounts)
    assert world.finance.create("CustomersV3", body | {"CustomerAccount": "C0001"})["CustomerAccount"] == "C0001"
    with pytest.raises(RecordExists):
        world.finance.create("CustomersV3", body | {"CustomerAccount": "c0001"})
    world.finance.books.companies["usmf"].customer_sequence = "manual"
    with pytest.raises(InfologError, match="Field 'Customer account' must be filled in"):
        world.finance.create("CustomersV3", body)


async def test_a_payment_journal_is_entered_but_not_posted_over_odata(world: World) -> None:
    journal = await world.send("POST", "CustomerPaymentJournalHeaders", {"dataAreaId": "usmf", "JournalName": "PAY"})
    number = decode(journal.content)["JournalBatchNumber"]
    line = {
        "dataAreaId": "usmf",
        "JournalBatchNumber": number,
        "AccountDisplayValue": "US\\-001",
        "CreditAmount": Decimal("10.00"),
        "PaymentReference": "SO-1",
    }
    created = await world.send("POST", "CustomerPaymentJournalLines", line)
    assert (created.status_code, decode(created.content)["LineNumber"]) == (201, 1)
    path = f"CustomerPaymentJournalHeaders(dataAreaId='usmf',JournalBatchNumber='{number}')"
    assert (await world.send("PATCH", path, {"IsPosted": "Yes"})).status_code == 400
    assert (await world.send("DELETE", path)).status_code == 400
    assert world.finance.query("CustTransactions") == []
