"""The posting service: confirm, pick, ship, invoice and be paid, in parts, and everything it refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sandbox.finance.operations import OPERATIONS
from sandbox.odata.jsonio import decode
from tests.contract.finance_world import World, open_world

SERVICE = "/api/services/Q2CServiceGroup/Q2CPostingService"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with open_world() as opened:
        yield opened


def _status(world: World, number: str = "SO-1") -> tuple[str, str]:
    header = world.header(number)
    return header["SalesOrderStatus"], header["SalesOrderProcessingStatus"]


def _transaction(world: World, invoice: str) -> dict[str, Any]:
    [row] = world.finance.query("CustTransactions", Invoice=invoice)
    return row


def _open(world: World, account: str = "US-001") -> list[Decimal]:
    return [row["AmountCur"] for row in world.finance.query("CustTransOpens", AccountNum=account)]


# --- the service itself --------------------------------------------------------------------------------------------


async def test_the_service_can_be_discovered(world: World) -> None:
    groups = await world.client.get("/api/services")
    names = [group["Name"] for group in decode(groups.content)["ServiceGroups"]]
    assert names == ["UserSessionService", "Q2CServiceGroup"]
    services = await world.client.get("/api/services/Q2CServiceGroup")
    assert decode(services.content) == {"Services": [{"Name": "Q2CPostingService"}]}
    operations = {item["Name"] for item in decode((await world.client.get(SERVICE)).content)["Operations"]}
    assert operations == set(OPERATIONS)
    assert {
        "confirm",
        "pick",
        "packingSlip",
        "invoice",
        "payment",
        "reversePayment",
        "creditNote",
        "cancelRemainder",
    } <= operations
    for operation in operations:
        described = decode((await world.client.get(f"{SERVICE}/{operation}")).content)
        assert [item["Name"] for item in described["Parameters"]] == ["_request"]
        assert described["Return"]["Name"] == "return"
    assert (await world.client.get(f"{SERVICE}/nothing")).status_code == 404


async def test_a_business_refusal_is_200_with_success_false(world: World) -> None:
    answer = await world.post("confirm", SalesOrderId="NOPE")
    assert answer == {
        "$id": "1",
        "Success": False,
        "ErrorMessage": "Sales order NOPE does not exist in company usmf.",
        "DebugMessage": "",
        "ConfirmationNumber": "",
    }
    unknown = await world.post("confirm", DataAreaId="xxmf", SalesOrderId="SO-1")
    assert unknown["ErrorMessage"] == "Company xxmf does not exist."


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"SalesOrderId":"SO-1"}', b'{"_request":{"DataAreaId":"usmf","SalesOrderId":7}}',
     b'{"_request":{"DataAreaId":"usmf","SalesOrderId":"SO-1","Lines":"all"}}',
     b'{"_request":{"DataAreaId":"usmf","SalesOrderId":"SO-1","Lines":[1]}}'],
)  # fmt: skip
async def test_a_request_that_cannot_be_deserialized_is_500(world: World, content: bytes) -> None:
    world.order("SO-1")
    answer = await world.client.post(f"{SERVICE}/packingSlip", content=content)
    assert answer.status_code == 500
    assert decode(answer.content)["ExceptionType"].endswith("XppServicesDeserializationException")
    assert _status(world) == ("Backorder", "Active")


async def test_company_case_does_not_matter(world: World) -> None:
    world.order("SO-1")
    assert (await world.post("confirm", DataAreaId="USMF", SalesOrderId="SO-1"))["Success"] is True


# --- statuses ------------------------------------------------------------------------------------------------------


async def test_statuses_follow_the_quantities(world: World) -> None:
    world.order("SO-1")
    assert _status(world) == ("Backorder", "Active")
    assert world.ok("confirm", SalesOrderId="SO-1")["ConfirmationNumber"] == "SO-1-1"
    assert _status(world) == ("Backorder", "Confirmed")
    assert world.ok("pick", SalesOrderId="SO-1")["PickingListId"] == "PL-000001"
    assert _status(world) == ("Backorder", "Picked")
    six = [{"LineNumber": 1, "Quantity": 6}]
    world.ok("packingSlip", SalesOrderId="SO-1", Lines=six)
    assert _status(world) == ("Backorder", "PartiallyDelivered")
    world.ok("invoice", SalesOrderId="SO-1")
    assert _status(world) == ("Backorder", "PartiallyInvoiced")
    world.ok("packingSlip", SalesOrderId="SO-1")
    assert _status(world) == ("Delivered", "DeliveredPartiallyInvoiced")
    world.ok("invoice", SalesOrderId="SO-1")
    assert _status(world) == ("Invoiced", "Invoiced")
    [state] = await world.rows("SalesTableBiEntities?$filter=SalesId eq 'SO-1'")
    assert (state["SalesStatus"], state["DocumentStatus"], state["CustAccount"]) == ("Invoiced", "Invoice", "US-001")


async def test_an_unchanged_order_is_confirmed_once(world: World) -> None:
    world.order("SO-1")
    numbers = [world.ok("confirm", SalesOrderId="SO-1")["ConfirmationNumber"] for _ in range(2)]
    assert numbers == ["SO-1-1", "SO-1-1"]
    assert len(world.finance.events.history) == 1
    [line] = world.finance.query("SalesOrderLinesV3", SalesOrderNumber="SO-1")
    world.finance.update("SalesOrderLinesV3", ("usmf", line["InventoryLotId"]), {"OrderedSalesQuantity": 11})
    assert world.ok("confirm", SalesOrderId="SO-1")["ConfirmationNumber"] == "SO-1-2"
    world.ok("packingSlip", SalesOrderId="SO-1")
    world.ok("invoice", SalesOrderId="SO-1")
    assert world.ok("confirm", SalesOrderId="SO-1")["ConfirmationNumber"] == "SO-1-2"


async def test_an_order_without_lines_cannot_be_confirmed(world: World) -> None:
    world.finance.create(
        "SalesOrderHeadersV4",
        {"dataAreaId": "usmf", "SalesOrderNumber": "SO-9", "OrderingCustomerAccountNumber": "US-001"},
    )
    assert "has no lines" in world.refused("confirm", SalesOrderId="SO-9")


# --- shipping ------------------------------------------------------------------------------------------------------


async def test_packing_slips_can_be_read(world: World) -> None:
    world.order("SO-1", {"OrderedSalesQuantity": 10}, {"OrderedSalesQuantity": 2, "ItemNumber": "P099"})
    slip = world.ok("packingSlip", SalesOrderId="SO-1", Lines=[{"LineNumber": 1, "Quantity": 6}])["PackingSlipId"]
    rest = world.ok("packingSlip", SalesOrderId="SO-1")["PackingSlipId"]
    rows = await world.rows("CustPackingSlipTransBiEntities?$filter=SalesId eq 'SO-1'")
    shown = [(row["PackingSlipId"], row["LineNum"], row["Qty"], row["Remain"]) for row in rows]
    assert sorted(shown) == [(slip, 1, 6, 4), (rest, 1, 4, 0), (rest, 2, 2, 0)]
    [first, second] = await world.rows("CustPackingSlipJourBiEntities?$filter=SalesId eq 'SO-1'")
    assert (first["OrderAccount"], first["Qty"], second["Qty"]) == ("US-001", 6, 6)
    assert await world.rows("ShipmentPackingSlipJournalHeaders") == [], "not a sales order's slip"


async def test_shipping_takes_stock(world: World) -> None:
    [before] = await world.rows("WarehousesOnHandV2?$filter=ItemNumber eq 'P100'")
    world.order("SO-1")
    world.ok("packingSlip", SalesOrderId="SO-1", Lines=[{"LineNumber": 1, "Quantity": 6}])
    [after] = await world.rows("WarehousesOnHandV2?$filter=ItemNumber eq 'P100'")
    for column in ("OnHandQuantity", "AvailableOnHandQuantity", "TotalAvailableQuantity"):
        assert before[column] - after[column] == 6


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ([{"LineNumber": 1, "Quantity": 11}], "Overdelivery of line 1 is 10.00 percent"),
        ([{"LineNumber": 2, "Quantity": 1}], "Line 2 does not exist"),
        ([{"LineNumber": 1, "Quantity": 1}, {"LineNumber": 1, "Quantity": 1}], "is named twice"),
        ([{"LineNumber": 1, "Quantity": 0}], "must be greater than zero"),
        ([{"LineNumber": 1}], "must be greater than zero"),
        ([], "nothing left to deliver"),
    ],
)
async def test_deliveries_that_do_not_fit(world: World, lines: list[dict[str, Any]], text: str) -> None:
    world.order("SO-1")
    assert text in world.refused("packingSlip", SalesOrderId="SO-1", Lines=lines)
    assert world.finance.query("CustPackingSlipTransBiEntities") == []


async def test_everything_delivered_means_nothing_left(world: World) -> None:
    world.order("SO-1")
    world.ok("packingSlip", SalesOrderId="SO-1")
    assert "nothing left to deliver" in world.refused("packingSlip", SalesOrderId="SO-1")


async def test_do_not_process_stops_postings(world: World) -> None:
    world.order("SO-1")
    world.finance.update("SalesOrderHeadersV4", ("usmf", "SO-1"), {"IsSalesProcessingStopped": "Yes"})
    assert "Do not process" in world.refused("packingSlip", SalesOrderId="SO-1")


async def test_cancelling_what_remains_closes_the_order_short(world: World) -> None:
    world.order("SO-1")
    world.ok("packingSlip", SalesOrderId="SO-1", Lines=[{"LineNumber": 1, "Quantity": 6}])
    world.ok("cancelRemainder", SalesOrderId="SO-1")
    assert _status(world) == ("Delivered", "Delivered")
    assert world.ok("invoice", SalesOrderId="SO-1")["InvoiceAmount"] == Decimal("627.00")
    assert _status(world) == ("Invoiced", "Invoiced")
    assert "nothing left to deliver" in world.refused("cancelRemainder", SalesOrderId="SO-1")
    assert "nothing left to deliver" in world.refused("packingSlip", SalesOrderId="SO-1")


async def test_cancelling_everything_cancels_the_order(world: World) -> None:
    world.order("SO-1")
    world.ok("cancelRemainder", SalesOrderId="SO-1")
    assert _status(world) == ("Canceled", "Canceled")
    assert "cannot be confirmed" in world.refused("confirm", SalesOrderId="SO-1")


# --- invoices ------------------------------------------------------------------------------------------------------


async def test_partial_shipments_and_split_invoices(world: World) -> None:
    world.order("SO-1", PaymentTermsName="Net 60")
    invoices = []
    for quantity in (6, 4):
        world.ok("packingSlip", SalesOrderId="SO-1", Lines=[{"LineNumber": 1, "Quantity": quantity}])
        invoices.append(world.ok("invoice", SalesOrderId="SO-1"))
    assert [item["InvoiceAmount"] for item in invoices] == [Decimal("627.00"), Decimal("418.00")]
    assert [item["TaxAmount"] for item in invoices] == [Decimal("57.00"), Decimal("38.00")]
    rows = await world.rows("SalesInvoiceHeadersV4?$filter=SalesOrderNumber eq 'SO-1'&$expand=SalesInvoiceLinesV4")
    assert [row["TotalInvoiceAmount"] for row in rows] == [Decimal("627.00"), Decimal("418.00")]
    assert [row["SalesInvoiceLinesV4"][0]["LineAmount"] for row in rows] == [Decimal("570.00"), Decimal("380.00")]
    assert world.header("SO-1")["OrderTotalAmount"] == 0
    transaction = _transaction(world, invoices[0]["InvoiceId"])
    days = datetime.fromisoformat(transaction["DueDate"]) - datetime.fromisoformat(transaction["TransDate"])
    assert days == timedelta(days=60)
    assert invoices[0]["DueDate"] == transaction["DueDate"]
    assert (transaction["TransType"], transaction["AmountCur"]) == ("Sales", Decimal("627.00"))
    assert transaction["Closed"] == "1900-01-01T12:00:00Z"


async def test_only_what_was_delivered_can_be_invoiced(world: World) -> None:
    world.order("SO-1")
    assert "nothing to invoice" in world.refused("invoice", SalesOrderId="SO-1")
    world.ok("packingSlip", SalesOrderId="SO-1", Lines=[{"LineNumber": 1, "Quantity": 6}])
    seven = [{"LineNumber": 1, "Quantity": 7}]
    assert "6 has been delivered" in world.refused("invoice", SalesOrderId="SO-1", Lines=seven)
    two = [{"LineNumber": 1, "Quantity": 2}]
    assert world.ok("invoice", SalesOrderId="SO-1", Lines=two)["InvoiceAmount"] == Decimal("209.00")
    assert world.ok("invoice", SalesOrderId="SO-1")["InvoiceAmount"] == Decimal("418.00")


async def test_a_document_discount_lowers_the_tax_base(world: World) -> None:
    world.order("SO-1", TotalDiscountPercentage=10)
    world.ok("packingSlip", SalesOrderId="SO-1")
    posted = world.ok("invoice", SalesOrderId="SO-1")
    assert (posted["InvoiceAmount"], posted["TaxAmount"]) == (Decimal("940.50"), Decimal("85.50"))
    [row] = world.finance.query("SalesInvoiceHeadersV4", SalesOrderNumber="SO-1")
    assert row["EndDiscount"] == Decimal("95.00")


async def test_the_documents_tax_is_spread_over_its_lines(world: World) -> None:
    world.order("SO-1", *({"SalesPrice": Decimal("33.35")} for _ in range(3)))
    world.ok("packingSlip", SalesOrderId="SO-1")
    posted = world.ok("invoice", SalesOrderId="SO-1")
    rows = world.finance.query("SalesInvoiceV4Lines", InvoiceNumber=posted["InvoiceId"])
    taxes = [row["LineTotalTaxAmount"] for row in rows]
    assert sum(taxes) == posted["TaxAmount"] == Decimal("10.01")
    assert max(taxes) - min(taxes) <= Decimal("0.01")


async def test_foreign_currency_is_booked_in_both_currencies(world: World) -> None:
    world.finance.set_exchange_rate("EUR", "USD", Decimal("1.10"))
    world.order("SO-1", CurrencyCode="EUR")
    [line] = world.finance.query("SalesOrderLinesV3", SalesOrderNumber="SO-1")
    assert line["SalesPrice"] == Decimal("90.91"), "the item's base price, converted"
    world.ok("packingSlip", SalesOrderId="SO-1")
    transaction = _transaction(world, world.ok("invoice", SalesOrderId="SO-1")["InvoiceId"])
    assert (transaction["AmountCur"], transaction["AmountMST"]) == (Decimal("950.02"), Decimal("1045.02"))


# --- payments ------------------------------------------------------------------------------------------------------


def _invoiced(world: World) -> str:
    world.order("SO-1")
    world.ok("packingSlip", SalesOrderId="SO-1")
    return str(world.ok("invoice", SalesOrderId="SO-1")["InvoiceId"])


def _pay(world: World, amount: str, *settlements: tuple[str, str]) -> dict[str, Any]:
    return world.ok(
        "payment",
        CustAccount="US-001",
        Amount=Decimal(amount),
        CurrencyCode="USD",
        PaymentReference="BANK-1",
        Settlements=[{"InvoiceId": invoice, "Amount": Decimal(part)} for invoice, part in settlements],
    )


async def test_partial_and_over_payment(world: World) -> None:
    invoice = _invoiced(world)
    first = _pay(world, "400.00", (invoice, "400.00"))
    assert _open(world) == [Decimal("645.00")]
    assert _transaction(world, invoice)["SettleAmountCur"] == Decimal("400.00")
    second = _pay(world, "700.00", (invoice, "700.00"))
    assert _open(world) == [Decimal("-55.00")], "what is not owed stays as the customer's credit"
    paid = _transaction(world, invoice)
    assert paid["Closed"] != "1900-01-01T12:00:00Z"
    assert (paid["LastSettleVoucher"], paid["LastSettleDate"]) == (second["Voucher"], paid["Closed"])
    [row] = world.finance.query("CustTransactions", PaymId=first["PaymentId"])
    assert (row["TransType"], row["AmountCur"], row["PaymReference"]) == ("Payment", Decimal("-400.00"), "BANK-1")
    journal = world.finance.get("CustomerPaymentJournalHeaders", ("usmf", first["JournalBatchNumber"]))
    assert journal is not None
    assert journal["IsPosted"] == "Yes"


async def test_an_open_row_of_a_paid_invoice_disappears(world: World) -> None:
    invoice = _invoiced(world)
    _pay(world, "1045.00", (invoice, "1045.00"))
    assert _open(world) == []
    [row] = await world.rows(f"CustTransactions?$filter=Invoice eq '{invoice}'&$expand=CustTransOpen")
    assert row["CustTransOpen"] == []


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"CustAccount": "NOPE"}, "does not exist"),
        ({"Amount": 0}, "greater than zero"),
        ({"Amount": Decimal("-5")}, "greater than zero"),
        ({"Amount": Decimal("1.001")}, "not a payable amount"),
        ({"CurrencyCode": "EUR"}, "is in USD, not EUR"),
        ({"CurrencyCode": "XXX"}, "Currency XXX does not exist"),
        ({"CustAccount": "US-002"}, "belongs to customer US-001"),
        ({"Settlements": [{"InvoiceId": "NOPE", "Amount": 1}]}, "Invoice NOPE does not exist"),
        ({"Amount": 10}, "exceed the payment amount"),
    ],
)
async def test_payments_that_cannot_be_posted(world: World, change: dict[str, Any], text: str) -> None:
    world.finance.set_exchange_rate("EUR", "USD", Decimal("1.10"))
    invoice = _invoiced(world)
    request: dict[str, Any] = {
        "CustAccount": "US-001",
        "Amount": 100,
        "CurrencyCode": "USD",
        "PaymentReference": "x",
        "Settlements": [{"InvoiceId": invoice, "Amount": 100}],
    }
    assert text in world.refused("payment", **(request | change))
    assert _open(world) == [Decimal("1045.00")]
    assert world.finance.query("CustomerPaymentJournalHeaders") == []


async def test_a_reversed_payment_opens_the_invoice_again(world: World) -> None:
    invoice = _invoiced(world)
    payment = _pay(world, "1100.00", (invoice, "1045.00"))["PaymentId"]
    world.ok("reversePayment", PaymentId=payment, Reason="bounced")
    assert _open(world) == [Decimal("1045.00")]
    reopened = _transaction(world, invoice)
    assert (reopened["Closed"], reopened["SettleAmountCur"]) == ("1900-01-01T12:00:00Z", 0)
    assert "reversed already" in world.refused("reversePayment", PaymentId=payment, Reason="again")
    assert "does not exist" in world.refused("reversePayment", PaymentId="PAY-999999", Reason="x")


async def test_payments_on_hold_are_refused(world: World) -> None:
    world.finance.update("CustomersV3", ("usmf", "US-001"), {"OnHoldStatus": "Payment"})
    text = world.refused("payment", CustAccount="US-001", Amount=1, PaymentReference="x")
    assert text == "Customer US-001 is stopped for Payment."


# --- credit notes ---------------------------------------------------------------------------------------------------


async def test_a_credit_note_settles_its_invoice(world: World) -> None:
    invoice = _invoiced(world)
    two = [{"LineNumber": 1, "Quantity": 2}]
    note = world.ok("creditNote", SalesOrderId="SO-1", InvoiceId=invoice, Lines=two)
    assert (note["InvoiceAmount"], note["TaxAmount"]) == (Decimal("-209.00"), Decimal("-19.00"))
    assert _open(world) == [Decimal("836.00")]
    nine = [{"LineNumber": 1, "Quantity": 9}]
    assert "exceeds" in world.refused("creditNote", SalesOrderId="SO-1", InvoiceId=invoice, Lines=nine)
    rest = world.ok("creditNote", SalesOrderId="SO-1", InvoiceId=invoice)
    assert rest["InvoiceAmount"] == Decimal("-836.00")
    assert _open(world) == []
    assert "nothing left to credit" in world.refused("creditNote", SalesOrderId="SO-1", InvoiceId=invoice)


async def test_a_credit_note_adds_lines_with_negative_quantities_that_name_what_was_sold(world: World) -> None:
    """As the button Credit note does; what was sold stays delivered and invoiced."""
    invoice = _invoiced(world)
    of_order = "SalesOrderLinesV3?$filter=dataAreaId eq 'usmf' and SalesOrderNumber eq 'SO-1'"
    sold = await world.rows(of_order)
    world.ok("creditNote", SalesOrderId="SO-1", InvoiceId=invoice, Lines=[{"LineNumber": 1, "Quantity": 2}])
    lines = await world.rows(of_order)
    (added,) = lines[len(sold) :]
    assert lines[: len(sold)] == sold
    assert (added["OrderedSalesQuantity"], added["LineAmount"]) == (-2, -190)
    assert (added["SalesOrderLineStatus"], added["LineNumber"]) == ("Invoiced", len(sold) + 1)
    (rest,) = await world.rows("SalesLineBiEntities?$filter=SalesId eq 'SO-1' and InventTransIdReturn ne ''")
    assert (rest["InventTransId"], rest["InventTransIdReturn"]) == (added["InventoryLotId"], sold[0]["InventoryLotId"])
    assert (rest["RemainSalesPhysical"], rest["RemainSalesFinancial"]) == (0, 0)
    world.ok("creditNote", SalesOrderId="SO-1", InvoiceId=invoice)
    (order,) = await world.rows("SalesOrderHeadersV2?$filter=SalesOrderNumber eq 'SO-1'")
    assert order["SalesOrderStatus"] == "Invoiced"


async def test_a_credit_note_of_a_paid_invoice_is_the_customers_credit(world: World) -> None:
    invoice = _invoiced(world)
    _pay(world, "1045.00", (invoice, "1045.00"))
    world.ok("creditNote", SalesOrderId="SO-1", InvoiceId=invoice, Lines=[{"LineNumber": 1, "Quantity": 2}])
    assert _open(world) == [Decimal("-209.00")]
    assert "does not exist" in world.refused("creditNote", SalesOrderId="SO-1", InvoiceId="CIV-999999")
