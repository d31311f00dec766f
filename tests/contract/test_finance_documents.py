"""Documents between order and invoice: slips, taxes, charges, corrections, returns, summary and free text invoices."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from sandbox.finance.errors import FinanceError
from tests.contract.finance_world import World, customer, open_world

D = Decimal


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with open_world() as opened:
        yield opened


def _status(world: World, number: str = "SO-1") -> str:
    return str(world.header(number)["SalesOrderProcessingStatus"])


def _shipped(world: World, number: str, quantity: int | None = None) -> str:
    lines = None if quantity is None else [{"LineNumber": 1, "Quantity": quantity}]
    more = {} if lines is None else {"Lines": lines}
    return str(world.ok("packingSlip", SalesOrderId=number, **more)["PackingSlipId"])


def _invoiced(world: World, number: str = "SO-1", **order: Any) -> str:
    world.order(number, **order)
    _shipped(world, number)
    return str(world.ok("invoice", SalesOrderId=number)["InvoiceId"])


def _open(world: World, account: str = "US-001") -> list[Decimal]:
    return [row["AmountCur"] for row in world.finance.query("CustTransOpens", AccountNum=account)]


def _line(world: World, number: str = "SO-1", line: int = 1) -> dict[str, Any]:
    [row] = world.finance.query("SalesLineBiEntities", SalesId=number, LineCreationSequenceNumber=line)
    return row


def _change(world: World, quantity: int, number: str = "SO-1") -> None:
    lot = _line(world, number)["InventTransId"]
    world.finance.update("SalesOrderLinesV3", ("usmf", lot), {"OrderedSalesQuantity": quantity})


# --- packing slips ---------------------------------------------------------------------------------------------------


async def test_a_sales_orders_slips_are_in_the_packing_slip_journal(world: World) -> None:
    world.order("SO-1", {"OrderedSalesQuantity": 10}, {"OrderedSalesQuantity": 2, "ItemNumber": "P099"})
    first = _shipped(world, "SO-1", 6)
    rest = _shipped(world, "SO-1")
    journals = await world.rows("CustPackingSlipJourBiEntities?$filter=SalesId eq 'SO-1'")
    assert [(row["PackingSlipId"], row["Qty"], row["OrderAccount"]) for row in journals] == [
        (first, 6, "US-001"),
        (rest, 6, "US-001"),
    ]
    lines = await world.rows("CustPackingSlipTransBiEntities?$filter=SalesId eq 'SO-1'")
    shown = [(row["PackingSlipId"], row["ItemId"], row["Qty"], row["Ordered"], row["Remain"]) for row in lines]
    assert shown == [(first, "P100", 6, 10, 4), (rest, "P100", 4, 10, 0), (rest, "P099", 2, 2, 0)]
    lots = {row["InventoryLotId"] for row in world.finance.query("SalesOrderLinesV3", SalesOrderNumber="SO-1")}
    assert {row["InventTransId"] for row in lines} == lots
    key = f"CustPackingSlipJourBiEntities(dataAreaId='usmf',SourceDocumentHeader={journals[0]['SourceDocumentHeader']})"
    assert (await world.get(key)).status_code == 200


async def test_the_bi_entity_of_a_line_tells_what_remains(world: World) -> None:
    world.order("SO-1")
    _shipped(world, "SO-1", 6)
    names = ("SalesQty", "RemainSalesPhysical", "RemainSalesFinancial")
    assert [_line(world)[name] for name in names] == [10, 4, 6]
    world.ok("invoice", SalesOrderId="SO-1")
    world.ok("cancelRemainder", SalesOrderId="SO-1")
    assert [_line(world)[name] for name in names] == [10, 0, 0], "ordered 10, delivered 6, the remainder cancelled"
    path = "SalesLineBiEntities(dataAreaId='usmf',SalesId='so-1',LineCreationSequenceNumber=1)"
    assert (await world.get(path)).status_code == 200


async def test_a_slip_can_be_corrected_and_cancelled_until_it_is_invoiced(world: World) -> None:
    world.order("SO-1")
    slip = _shipped(world, "SO-1")
    world.ok("cancelPackingSlip", PackingSlipId=slip, Lines=[{"LineNumber": 1, "Quantity": 7}])
    assert (_line(world)["RemainSalesPhysical"], _status(world)) == (3, "PartiallyDelivered")
    [row] = world.finance.query("CustPackingSlipTransBiEntities", PackingSlipId=slip)
    assert (row["Qty"], row["Remain"]) == (7, 3)
    world.ok("cancelPackingSlip", PackingSlipId=slip)
    assert (_line(world)["RemainSalesPhysical"], _status(world)) == (10, "Active")
    assert "cancelled already" in world.refused("cancelPackingSlip", PackingSlipId=slip)
    assert "does not exist" in world.refused("cancelPackingSlip", PackingSlipId="PS-X")
    again = _shipped(world, "SO-1")
    world.ok("invoice", SalesOrderId="SO-1")
    assert "has been invoiced" in world.refused("cancelPackingSlip", PackingSlipId=again)


async def test_overdelivery_is_taken_up_to_the_items_tolerance(world: World) -> None:
    world.finance.add_item("usmf", "LOOSE", name="Loose", price=D(10), cost=D(5), overdelivery=D(10))
    world.order("SO-1", {"ItemNumber": "LOOSE", "OrderedSalesQuantity": 10})
    twelve = [{"LineNumber": 1, "Quantity": 12}]
    assert "is 20.00 percent, but the allowed overdelivery is 10.00" in world.refused(
        "packingSlip", SalesOrderId="SO-1", Lines=twelve
    )
    _shipped(world, "SO-1", 11)
    assert world.ok("invoice", SalesOrderId="SO-1")["InvoiceAmount"] == D("121.00")
    assert _status(world) == "Invoiced"


# --- changes of an order ---------------------------------------------------------------------------------------------


async def test_a_raised_line_opens_an_invoiced_order_again(world: World) -> None:
    first = _invoiced(world)
    assert _status(world) == "Invoiced"
    _change(world, 12)
    assert (_status(world), _line(world)["RemainSalesPhysical"]) == ("PartiallyInvoiced", 2)
    _shipped(world, "SO-1")
    second = world.ok("invoice", SalesOrderId="SO-1")
    assert (second["InvoiceAmount"], _status(world)) == (D("209.00"), "Invoiced")
    lines = await world.rows("CustInvoiceTransBiEntities?$filter=SalesId eq 'SO-1'&$select=InvoiceId,Qty")
    assert [(row["InvoiceId"], row["Qty"]) for row in lines] == [(first, 10), (second["InvoiceId"], 2)]


async def test_a_line_lowered_to_what_is_delivered_is_delivered(world: World) -> None:
    world.order("SO-1")
    _shipped(world, "SO-1", 8)
    _change(world, 8)
    assert _status(world) == "Delivered"
    with pytest.raises(FinanceError, match="cannot be reduced to 7"):
        _change(world, 7)


async def test_a_line_added_to_an_invoiced_order_opens_it(world: World) -> None:
    _invoiced(world)
    line = {"dataAreaId": "usmf", "SalesOrderNumber": "SO-1", "ItemNumber": "P099"}
    world.finance.create("SalesOrderLinesV3", line)
    assert _status(world) == "PartiallyInvoiced"


async def test_confirmations_can_be_read(world: World) -> None:
    world.order("SO-1")
    world.ok("confirm", SalesOrderId="SO-1")
    _change(world, 12)
    world.ok("confirm", SalesOrderId="SO-1")
    path = "SalesOrderConfirmationHeaders?$filter=SalesOrderNumber eq 'SO-1'&$expand=SalesOrderConfirmationLines"
    rows = await world.rows(path)
    assert [(row["ConfirmationNumber"], row["TotalConfirmedAmount"]) for row in rows] == [
        ("SO-1-1", D("1045.00")),
        ("SO-1-2", D("1254.00")),
    ]
    assert [row["SalesOrderConfirmationLines"][0]["ConfirmedSalesQuantity"] for row in rows] == [10, 12]


# --- amounts ---------------------------------------------------------------------------------------------------------


async def test_tax_is_decided_by_the_customers_group_and_the_items_group(world: World) -> None:
    world.finance.add_tax("usmf", "CITY", "City tax", D("2.5"), "CITY")
    customer(world.finance, "US-CITY", "100000", SalesTaxGroup="CITY")
    world.finance.add_item("usmf", "BOOK", name="Book", price=D("100.00"), cost=D(50), tax_group="NONE")
    lines = ({"OrderedSalesQuantity": 10}, {"ItemNumber": "BOOK", "OrderedSalesQuantity": 1})
    world.order("SO-1", *lines, OrderingCustomerAccountNumber="US-CITY")
    world.order("SO-2", *lines)
    world.finance.run_totals_job()
    assert world.header("SO-1")["OrderTotalTaxAmount"] == D("125.00"), "10 % and 2.5 % on 1,000.00, nothing on books"
    assert world.header("SO-2")["OrderTotalTaxAmount"] == D("100.00")
    _shipped(world, "SO-1")
    posted = world.ok("invoice", SalesOrderId="SO-1")
    taxes = [
        row["LineTotalTaxAmount"]
        for row in world.finance.query("SalesInvoiceV4Lines", InvoiceNumber=posted["InvoiceId"])
    ]
    assert (posted["InvoiceAmount"], taxes) == (D("1225.00"), [D("125.00"), 0])


async def test_a_customer_without_a_tax_group_pays_no_tax(world: World) -> None:
    customer(world.finance, "US-FREE", "100000", SalesTaxGroup="")
    _invoiced(world, OrderingCustomerAccountNumber="US-FREE")
    assert _open(world, "US-FREE") == [D("950.00")]


async def test_header_charges_are_billed_with_the_next_invoice(world: World) -> None:
    world.order("SO-1")
    world.ok("addCharge", SalesOrderId="SO-1", ChargeCode="FREIGHT", Value=D("20.00"))
    world.finance.run_totals_job()
    header = world.header("SO-1")
    assert (header["OrderTotalChargesAmount"], header["OrderTotalAmount"]) == (D("20.00"), D("1067.00"))
    _shipped(world, "SO-1", 6)
    first = world.ok("invoice", SalesOrderId="SO-1")
    _shipped(world, "SO-1")
    second = world.ok("invoice", SalesOrderId="SO-1")
    assert (first["InvoiceAmount"], second["InvoiceAmount"]) == (D("649.00"), D("418.00"))
    [row] = world.finance.query("SalesInvoiceHeadersV4", InvoiceNumber=first["InvoiceId"])
    assert row["TotalChargeAmount"] == D("20.00")
    assert "takes no charges" in world.refused("addCharge", SalesOrderId="SO-1", ChargeCode="X", Value=1)
    note = world.ok("creditNote", SalesOrderId="SO-1", InvoiceId=first["InvoiceId"])
    assert note["InvoiceAmount"] == D("-649.00"), "a credit note over all takes the charge back"


@pytest.mark.parametrize("value", [0, D("1.001"), "5", None])
async def test_a_charge_is_an_amount(world: World, value: Any) -> None:
    world.order("SO-1")
    assert "is not an amount" in world.refused("addCharge", SalesOrderId="SO-1", ChargeCode="X", Value=value)


async def test_prices_are_per_price_unit_and_units_are_converted(world: World) -> None:
    world.finance.add_item("usmf", "PASTE", name="Paste", price=D("40.00"), cost=D(10), unit="kg")
    world.order(
        "SO-1",
        {"ItemNumber": "PASTE", "OrderedSalesQuantity": D("1.5")},
        {"ItemNumber": "PASTE", "OrderedSalesQuantity": 250, "SalesUnitSymbol": "g"},
        {"ItemNumber": "PASTE", "OrderedSalesQuantity": 3, "SalesPrice": 100, "SalesPriceQuantity": 10},
    )
    lines = sorted(
        world.finance.query("SalesOrderLinesV3", SalesOrderNumber="SO-1"), key=lambda row: int(row["LineNumber"])
    )
    assert [row["SalesPrice"] for row in lines] == [40, D("0.04"), 100]
    assert [row["LineAmount"] for row in lines] == [D("60.00"), D("10.00"), D("30.00")]
    before = world.finance.query("WarehousesOnHandV2", ItemNumber="PASTE")[0]["OnHandQuantity"]
    _shipped(world, "SO-1")
    after = world.finance.query("WarehousesOnHandV2", ItemNumber="PASTE")[0]["OnHandQuantity"]
    assert before - after == D("4.75"), "1.5 kg, 250 g and 3 kg"
    assert _line(world, line=2)["QtyOrdered"] == D("0.25")


async def test_net_price_rounding_is_a_parameter_of_the_company(world: World) -> None:
    line = {"OrderedSalesQuantity": 1000, "SalesPrice": D("99.99"), "LineDiscountPercentage": D("33.33")}
    world.order("SO-1", line)
    world.finance.company("usmf").net_price_rounding = True
    world.order("SO-2", line)
    amounts = [world.finance.query("SalesOrderLinesV3", SalesOrderNumber=n)[0]["LineAmount"] for n in ("SO-1", "SO-2")]
    assert amounts == [D("66663.33"), D("66660.00")]


async def test_amounts_are_in_the_accounting_currency_of_the_legal_entity(world: World) -> None:
    world.finance.set_exchange_rate("USD", "JPY", D(150))
    customer(world.finance, "US-JPY", "100000.00", SalesCurrencyCode="JPY")
    world.order("SO-1", {"OrderedSalesQuantity": 10}, OrderingCustomerAccountNumber="US-JPY")
    [line] = world.finance.query("SalesOrderLinesV3", SalesOrderNumber="SO-1")
    assert (line["CurrencyCode"], line["SalesPrice"]) == ("JPY", 15000), "the price list is in USD"
    world.ok("confirm", SalesOrderId="SO-1")
    assert world.finance.exposure("usmf", "US-JPY").amount == D("1100.00"), "165,000 JPY"
    _shipped(world, "SO-1")
    invoice = world.ok("invoice", SalesOrderId="SO-1")["InvoiceId"]
    [row] = world.finance.query("CustTransactions", Invoice=invoice)
    assert (row["AmountCur"], row["AmountMST"]) == (165000, D("1100.00"))
    [ledger] = await world.rows("Ledgers?$filter=LegalEntityId eq 'USMF'")
    assert (ledger["AccountingCurrency"], ledger["ExchangeRateType"]) == ("USD", "Default")


async def test_rates_have_a_type_and_a_date(world: World) -> None:
    today = world.finance.books.today(world.finance.company("usmf"))
    world.finance.set_exchange_rate("EUR", "USD", D("1.10"))
    world.finance.set_exchange_rate("EUR", "USD", D("1.20"), start=today)
    world.finance.set_exchange_rate("EUR", "USD", D("2.00"), rate_type="Credit")
    world.finance.set_parameters("usmf", "CreditManagementParameters", {"CreditLimitExchRateTypeName": "Credit"})
    world.order("SO-1", {"SalesPrice": 100, "OrderedSalesQuantity": 10}, CurrencyCode="EUR")
    world.ok("confirm", SalesOrderId="SO-1")
    assert world.finance.exposure("usmf", "US-001").open_orders == D("2200.00"), "credit has a rate type of its own"
    _shipped(world, "SO-1")
    invoice = world.ok("invoice", SalesOrderId="SO-1")["InvoiceId"]
    assert world.finance.query("CustTransactions", Invoice=invoice)[0]["AmountMST"] == D("1320.00")
    rows = await world.rows("ExchangeRates?$filter=FromCurrency eq 'EUR' and RateTypeName eq 'Default'")
    assert [row["Rate"] for row in rows] == [D("1.10"), D("1.20")]


# --- who is billed ---------------------------------------------------------------------------------------------------


async def test_a_branchs_invoices_belong_to_its_head_office(world: World) -> None:
    customer(world.finance, "US-HEAD", "1000.00")
    customer(world.finance, "US-BRANCH", "0.00", InvoiceAccount="us-head")
    assert world.finance.get("CustomersV3", ("usmf", "US-BRANCH"))["InvoiceAccount"] == "US-HEAD"  # type: ignore[index]
    world.order("SO-1", {"OrderedSalesQuantity": 9}, OrderingCustomerAccountNumber="US-BRANCH")
    assert world.header("SO-1")["InvoiceCustomerAccountNumber"] == "US-HEAD"
    world.ok("confirm", SalesOrderId="SO-1")
    _shipped(world, "SO-1")
    invoice = world.ok("invoice", SalesOrderId="SO-1")["InvoiceId"]
    [row] = await world.rows(f"CustTransactions?$filter=Invoice eq '{invoice}'")
    assert (row["AccountNum"], row["OrderAccount"]) == ("US-HEAD", "US-BRANCH")
    assert await world.rows("CustTransactions?$filter=AccountNum eq 'US-BRANCH'") == []
    world.order("SO-2", {"OrderedSalesQuantity": 1}, OrderingCustomerAccountNumber="US-BRANCH")
    assert "Credit limit used by customer US-HEAD" in world.refused("confirm", SalesOrderId="SO-2")


async def test_customers_of_a_credit_group_share_a_limit(world: World) -> None:
    customer(world.finance, "G-1", "10000.00")
    customer(world.finance, "G-2", "10000.00")
    world.finance.share_credit("TWINS", D("1500.00"), "USD", {"G-1": "usmf", "G-2": "usmf"})
    for number, account in (("SO-1", "G-1"), ("SO-2", "G-2")):
        world.order(number, OrderingCustomerAccountNumber=account)
    world.ok("confirm", SalesOrderId="SO-1")
    text = world.refused("confirm", SalesOrderId="SO-2")
    assert "customer credit group TWINS is 2090.00 USD, which exceeds 1500.00 by 590.00" in text
    assert [row["CustAccount"] for row in await world.rows("CustomerCreditGroupLines")] == ["G-1", "G-2"]


async def test_a_hold_can_be_released_on_its_own(world: World) -> None:
    world.order("SO-1", OrderingCustomerAccountNumber="US-003")
    world.refused("confirm", SalesOrderId="SO-1")
    assert "reason must be specified" in world.refused("releaseCreditHold", SalesOrderId="SO-1")
    world.ok("releaseCreditHold", SalesOrderId="SO-1", ReleaseReason="Prepaid")
    [row] = await world.rows("SalesTableBiEntities?$filter=SalesId eq 'SO-1'")
    assert (row["CredManInCreditControl"], row["CredManReleasedFromCreditControl"]) == ("No", "Yes")
    world.ok("confirm", SalesOrderId="SO-1")


# --- invoices of other kinds -----------------------------------------------------------------------------------------


async def test_a_summary_invoice_carries_no_order_number(world: World) -> None:
    for number in ("SO-1", "SO-2"):
        world.order(number)
        _shipped(world, number)
    posted = world.ok("invoice", SalesOrderIds=["SO-1", "SO-2"])
    assert posted["InvoiceAmount"] == D("2090.00")
    [header] = await world.rows(f"SalesInvoiceHeadersV4?$filter=InvoiceNumber eq '{posted['InvoiceId']}'")
    assert header["SalesOrderNumber"] == ""
    event = world.finance.events.history[-1]
    assert (event["BusinessEventId"], event["SalesOrderId"]) == ("SalesInvoicePostedBusinessEvent", "")
    lines = await world.rows(f"CustInvoiceTransBiEntities?$filter=InvoiceId eq '{posted['InvoiceId']}'")
    assert [(row["SalesId"], row["LineAmount"]) for row in lines] == [("SO-1", D("950.00")), ("SO-2", D("950.00"))]
    assert {_status(world, number) for number in ("SO-1", "SO-2")} == {"Invoiced"}
    note = world.ok("creditNote", InvoiceId=posted["InvoiceId"], Lines=[{"LineNumber": 2, "Quantity": 10}])
    assert note["InvoiceAmount"] == D("-1045.00")


async def test_orders_that_do_not_go_together_are_not_invoiced_together(world: World) -> None:
    world.order("SO-1")
    world.order("SO-2", PaymentTermsName="Net 60")
    for number in ("SO-1", "SO-2"):
        _shipped(world, number)
    assert "PaymentTermsName is not the same" in world.refused("invoice", SalesOrderIds=["SO-1", "SO-2"])
    assert "at least two" in world.refused("invoice", SalesOrderIds=["SO-1", "SO-1"])


async def test_a_free_text_invoice_has_no_order(world: World) -> None:
    line = {"Description": "Installation", "Quantity": 2, "UnitPrice": D("75.00")}
    posted = world.ok("freeTextInvoice", CustAccount="us-001", CustomerReference="PO 7", Lines=[line])
    assert (posted["InvoiceAmount"], posted["TaxAmount"]) == (D("165.00"), D("15.00"))
    assert world.finance.events.history[-1]["BusinessEventId"] == "CustFreeTextInvoicePostedBusinessEvent"
    assert "SalesOrderId" not in world.finance.events.history[-1]
    [row] = world.finance.query("CustTransactions", Invoice=posted["InvoiceId"])
    assert (row["TransType"], row["AccountNum"]) == ("Cust", "US-001")
    [journal] = await world.rows(f"CustInvoiceJourBiEntities?$filter=InvoiceId eq '{posted['InvoiceId']}'")
    assert (journal["RefNum"], journal["SalesId"]) == ("Cust", "")


async def test_a_free_text_invoice_can_be_entered_over_odata(world: World) -> None:
    created = await world.send("POST", "FreeTextInvoiceHeaders", {"dataAreaId": "usmf", "CustomerAccount": "US-001"})
    identifier = int(created.json()["InvoiceIdentifier"])
    line = {"dataAreaId": "usmf", "ParentRecId": identifier, "Description": "Fee", "UnitPrice": 50}
    assert (await world.send("POST", "FreeTextInvoiceLines", line)).status_code == 201
    assert world.ok("freeTextInvoice", InvoiceIdentifier=identifier)["InvoiceAmount"] == D("55.00")
    path = f"FreeTextInvoiceHeaders(dataAreaId='usmf',InvoiceIdentifier={identifier})?$expand=CustFreeTextInvoiceHeader"
    row = (await world.get(path)).json()
    assert (row["IsPosted"], len(row["CustFreeTextInvoiceHeader"])) == ("Yes", 1)
    assert "has been posted" in world.refused("freeTextInvoice", InvoiceIdentifier=identifier)
    assert (await world.send("POST", "FreeTextInvoiceLines", line)).status_code == 400
    assert "NOPE" in world.refused("freeTextInvoice", CustAccount="NOPE", Lines=[{"Description": "x"}])


async def test_an_invoice_taken_back_can_be_posted_anew(world: World) -> None:
    invoice = _invoiced(world)
    note = world.ok("cancelInvoice", InvoiceId=invoice, ReasonCode="PRICE")
    assert (note["InvoiceAmount"], _open(world), _status(world)) == (D("-1045.00"), [], "Delivered")
    [journal] = await world.rows(f"CustInvoiceJourBiEntities?$filter=InvoiceId eq '{note['InvoiceId']}'")
    assert (journal["IsCorrection"], journal["ReturnReasonCodeId"]) == ("Yes", "PRICE")
    again = world.ok("invoice", SalesOrderId="SO-1")
    assert (again["InvoiceAmount"], _status(world)) == (D("1045.00"), "Invoiced")
    world.ok("payment", CustAccount="US-001", Amount=1, Settlements=[{"InvoiceId": again["InvoiceId"], "Amount": 1}])
    assert "reverse its settlements first" in world.refused("cancelInvoice", InvoiceId=again["InvoiceId"])


async def test_a_credit_note_gives_its_reason(world: World) -> None:
    invoice = _invoiced(world)
    two = [{"LineNumber": 1, "Quantity": 2}]
    assert "'NOPE'" in world.refused("creditNote", SalesOrderId="SO-1", InvoiceId=invoice, Lines=two, ReasonCode="NOPE")
    world.finance.set_parameters("usmf", "CustomerParameters", {"ReasonRequirementForCreditNotes": "Yes"})
    assert "reason code must be specified" in world.refused("creditNote", InvoiceId=invoice, Lines=two)
    note = world.ok("creditNote", InvoiceId=invoice, Lines=two, ReasonCode="DEFECT")
    [journal] = world.finance.query("CustInvoiceJourBiEntities", InvoiceId=note["InvoiceId"])
    assert journal["ReturnReasonCodeId"] == "DEFECT"


# --- returns ---------------------------------------------------------------------------------------------------------


async def test_a_return_from_announcement_to_credit(world: World) -> None:
    invoice = _invoiced(world)
    two = [{"LineNumber": 1, "Quantity": 2}]
    assert "reason code must be specified" in world.refused("returnOrder", InvoiceId=invoice, Lines=two)
    announced = world.ok("returnOrder", InvoiceId=invoice, Lines=two, ReasonCode="DEFECT")
    number = announced["ReturnOrderNumber"]
    path = f"ReturnOrderHeadersV2(dataAreaId='usmf',ReturnOrderNumber='{number}')?$expand=ReturnOrderLines"
    row = (await world.get(path)).json()
    assert (row["ReturnStatus"], row["CustomerReturnReasonCode"], row["RMANumber"]) == (
        "Open",
        "DEFECT",
        announced["RMANumber"],
    )
    lot = _line(world)["InventTransId"]
    [line] = row["ReturnOrderLines"]
    assert (line["ReturningInventoryLotId"], line["ReferenceNumber"], line["ReturnStatus"]) == (lot, "SO-1", "Awaiting")
    assert "nothing received" in world.refused("creditReturn", ReturnOrderNumber=number)
    before = world.finance.query("WarehousesOnHandV2", ItemNumber="P100")[0]["OnHandQuantity"]
    slip = world.ok("receiveReturn", ReturnOrderNumber=number)["PackingSlipId"]
    assert world.finance.query("WarehousesOnHandV2", ItemNumber="P100")[0]["OnHandQuantity"] - before == 2
    [back] = world.finance.query("CustPackingSlipTransBiEntities", PackingSlipId=slip)
    assert (back["SalesId"], back["Qty"], back["InventTransId"]) == (number, -2, line["ReturnInventoryLotId"])
    assert line["ReturnInventoryLotId"] != lot
    [receipt] = world.finance.query("CustPackingSlipJourBiEntities", PackingSlipId=slip)
    assert (receipt["SalesType"], receipt["ReturnItemNum"]) == ("ReturnItem", announced["RMANumber"])
    note = world.ok("creditReturn", ReturnOrderNumber=number)
    assert (note["InvoiceAmount"], _open(world)) == (D("-209.00"), [D("836.00")])
    assert (await world.get(path)).json()["ReturnStatus"] == "Closed"
    [journal] = world.finance.query("CustInvoiceJourBiEntities", InvoiceId=note["InvoiceId"])
    assert (journal["ReturnItemNum"], journal["ReturnReasonCodeId"]) == (announced["RMANumber"], "DEFECT")
    [credited] = world.finance.query("CustInvoiceTransBiEntities", InvoiceId=note["InvoiceId"])
    assert (credited["SalesId"], credited["InventTransId"], credited["Qty"]) == (
        number,
        line["ReturnInventoryLotId"],
        -2,
    )
    assert journal["SalesId"] == number, "the credit note is posted on the return order"


async def test_no_more_is_returned_than_was_invoiced(world: World) -> None:
    invoice = _invoiced(world)
    request: dict[str, Any] = {"InvoiceId": invoice, "ReasonCode": "DEFECT"}
    first = world.ok("returnOrder", **request, Lines=[{"LineNumber": 1, "Quantity": 8}])["ReturnOrderNumber"]
    assert "exceeds the 2" in world.refused("returnOrder", **request, Lines=[{"LineNumber": 1, "Quantity": 3}])
    world.ok("cancelReturn", ReturnOrderNumber=first)
    world.ok("returnOrder", **request)
    assert "nothing left to return" in world.refused("returnOrder", **request)


# --- once only -------------------------------------------------------------------------------------------------------


async def test_an_operation_runs_once_for_each_document(world: World) -> None:
    world.order("SO-1")
    world.ok("confirm", SalesOrderId="SO-1", DocumentId="c-1")
    four = [{"LineNumber": 1, "Quantity": 4}]
    answers = [world.ok("packingSlip", SalesOrderId="SO-1", Lines=four, DocumentId="d-1") for _ in range(2)]
    assert answers[0] == answers[1]
    assert _line(world)["RemainSalesPhysical"] == 6
    assert "another content" in world.refused("packingSlip", SalesOrderId="SO-1", DocumentId="d-1")
    world.ok("packingSlip", SalesOrderId="SO-1", Lines=four, DocumentId="d-2")
    assert "is 20.00 percent" in world.refused("packingSlip", SalesOrderId="SO-1", Lines=four, DocumentId="d-3")
    world.ok("packingSlip", SalesOrderId="SO-1", Lines=[{"LineNumber": 1, "Quantity": 2}], DocumentId="d-3")
    assert len(world.finance.query("CustPackingSlipJourBiEntities", SalesId="SO-1")) == 3, "a refusal is not remembered"


async def test_the_same_document_id_of_another_operation_is_another_document(world: World) -> None:
    world.order("SO-1")
    for operation in ("confirm", "packingSlip", "invoice"):
        world.ok(operation, SalesOrderId="SO-1", DocumentId="one")
    assert _status(world) == "Invoiced"
