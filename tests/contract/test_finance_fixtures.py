"""The sample customers and items that are not easy: what each of them is there to show."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from sandbox.finance.errors import FinanceError
from sandbox.runtime import Sandbox, SandboxConfig, running

D = Decimal


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    async with running(SandboxConfig(state_dir=tmp_path_factory.mktemp("fixtures"))) as opened:
        yield opened


def _order(sandbox: Sandbox, account: str, *, item: str = "P100", quantity: int = 10, **more: Any) -> str:
    finance = sandbox.finance
    number = f"{account}-{len(finance.query('SalesOrderHeadersV4'))}"
    header = {"dataAreaId": "usmf", "OrderingCustomerAccountNumber": account, **more}
    if finance.company("usmf").number_sequence == "manual":
        header["SalesOrderNumber"] = number
    number = str(finance.create("SalesOrderHeadersV4", header)["SalesOrderNumber"])
    line = {"dataAreaId": "usmf", "SalesOrderNumber": number, "ItemNumber": item, "OrderedSalesQuantity": quantity}
    finance.create("SalesOrderLinesV3", line)
    return number


def _post(sandbox: Sandbox, operation: str, **members: Any) -> dict[str, Any]:
    answer = sandbox.finance.post(operation, {"DataAreaId": "usmf", **members})
    assert answer["Success"], answer
    return answer


def _invoice(sandbox: Sandbox, account: str, **more: Any) -> str:
    number = _order(sandbox, account, **more)
    _post(sandbox, "packingSlip", SalesOrderId=number)
    return str(_post(sandbox, "invoice", SalesOrderId=number)["InvoiceId"])


def _transaction(sandbox: Sandbox, invoice: str) -> dict[str, Any]:
    [row] = sandbox.finance.query("CustTransactions", Invoice=invoice)
    return row


async def test_a_branch_owes_at_its_head_office(sandbox: Sandbox) -> None:
    invoice = _invoice(sandbox, "US-9101")
    assert _transaction(sandbox, invoice)["AccountNum"] == "US-9100"
    [header] = sandbox.finance.query("SalesInvoiceHeadersV4", InvoiceNumber=invoice)
    assert header["InvoiceCustomerAccountNumber"] == "US-9100"
    assert sandbox.finance.exposure("usmf", "US-9100").open_ar == D("1100.00")
    assert sandbox.finance.exposure("usmf", "US-9101").open_ar == 0


async def test_a_branch_is_held_to_the_limit_of_its_head_office(sandbox: Sandbox) -> None:
    number = _order(sandbox, "US-9101", quantity=1000)
    refused = sandbox.finance.post("confirm", {"DataAreaId": "usmf", "SalesOrderId": number})
    assert not refused["Success"]


async def test_sales_spells_an_account_in_its_own_way(sandbox: Sandbox) -> None:
    assert "us-9200" in {row.get("accountnumber") for row in sandbox.dataverse.rows("account")}
    invoice = _invoice(sandbox, "us-9200")
    assert _transaction(sandbox, invoice)["AccountNum"] == "US-9200", "Finance answers with its own"


async def test_who_buys_in_yen_owes_dollars_to_the_credit_check(sandbox: Sandbox) -> None:
    [account] = [row for row in sandbox.dataverse.rows("account") if row.get("accountnumber") == "US-9300"]
    currencies = {row["transactioncurrencyid"]: row for row in sandbox.dataverse.rows("transactioncurrency")}
    assert currencies[account["_transactioncurrencyid_value"]]["isocurrencycode"] == "JPY"
    number = _order(sandbox, "US-9300")
    [line] = sandbox.finance.query("SalesOrderLinesV3", SalesOrderNumber=number)
    key = (line["dataAreaId"], line["InventoryLotId"])
    sandbox.finance.update("SalesOrderLinesV3", key, {"SalesPrice": 15000})
    _post(sandbox, "packingSlip", SalesOrderId=number)
    owed = _transaction(sandbox, str(_post(sandbox, "invoice", SalesOrderId=number)["InvoiceId"]))
    assert (owed["CurrencyCode"], owed["AmountCur"], owed["AmountMST"]) == ("JPY", D(165000), D("1100.00"))
    assert sandbox.finance.exposure("usmf", "US-9300").open_ar == D("1100.00")


async def test_finance_knows_a_tax_that_sales_does_not(sandbox: Sandbox) -> None:
    assert _transaction(sandbox, _invoice(sandbox, "US-9400"))["AmountCur"] == D("1125.00")
    assert _transaction(sandbox, _invoice(sandbox, "US-001"))["AmountCur"] == D("1100.00")


async def test_two_customers_share_a_limit(sandbox: Sandbox) -> None:
    first = _order(sandbox, "US-9500", quantity=30)
    second = _order(sandbox, "US-9501", quantity=30)
    _post(sandbox, "confirm", SalesOrderId=first)
    assert not sandbox.finance.post("confirm", {"DataAreaId": "usmf", "SalesOrderId": second})["Success"]


async def test_a_cash_discount_and_instalments_come_with_the_customer(sandbox: Sandbox) -> None:
    invoice = _invoice(sandbox, "US-9600")
    [owed] = sandbox.finance.query("CustTransOpens", AccountNum="US-9600")
    assert (owed["PossibleCashDisc"], _transaction(sandbox, invoice)["AmountCur"]) == (D("22.00"), D("1100.00"))
    _invoice(sandbox, "US-9700")
    assert len(sandbox.finance.query("CustTransOpens", AccountNum="US-9700")) == 3


async def test_a_stopped_customer_and_a_stopped_item(sandbox: Sandbox) -> None:
    with pytest.raises(FinanceError, match=r"Customer US-9800 is stopped for All\."):
        _order(sandbox, "US-9800")
    assert "P300" in {row["productnumber"] for row in sandbox.dataverse.rows("product")}
    with pytest.raises(FinanceError, match="P300"):
        _order(sandbox, "US-001", item="P300")


async def test_an_item_number_of_both_cases(sandbox: Sandbox) -> None:
    number = _order(sandbox, "US-001", item="MX-15M")
    [line] = sandbox.finance.query("SalesOrderLinesV3", SalesOrderNumber=number)
    assert line["ItemNumber"] == "Mx-15m"


async def test_every_company_keeps_its_books_in_its_own_currency(sandbox: Sandbox) -> None:
    ledgers = {row["LegalEntityId"].lower(): row["AccountingCurrency"] for row in sandbox.finance.query("Ledgers")}
    assert ledgers == {"usmf": "USD", "demf": "EUR", "jpmf": "JPY", "kwmf": "KWD"}


async def test_an_order_takes_over_whether_the_customers_prices_include_tax(sandbox: Sandbox) -> None:
    """10 x 95.00 are 950.00 with the tax in it, or 1,045.00 where the order says that its prices are without."""
    invoices = {}
    for stated in ("", "No"):
        more: dict[str, Any] = {"ArePricesIncludingSalesTax": stated} if stated else {}
        number = _order(sandbox, "US-9900", **more)
        [line] = sandbox.finance.query("SalesOrderLinesV3", SalesOrderNumber=number)
        key = (line["dataAreaId"], line["InventoryLotId"])
        sandbox.finance.update("SalesOrderLinesV3", key, {"SalesPrice": D("95.00")})
        _post(sandbox, "packingSlip", SalesOrderId=number)
        invoices[stated] = str(_post(sandbox, "invoice", SalesOrderId=number)["InvoiceId"])
    shown = {}
    for stated, invoice in invoices.items():
        [header] = sandbox.finance.query("SalesInvoiceHeadersV4", InvoiceNumber=invoice)
        [line] = sandbox.finance.query("SalesInvoiceV4Lines", InvoiceNumber=invoice)
        shown[stated] = (header["TotalInvoiceAmount"], header["TotalTaxAmount"], line["LineAmount"])
        assert _transaction(sandbox, invoice)["AmountCur"] == header["TotalInvoiceAmount"]
    assert shown == {
        "": (D("950.00"), D("86.36"), D("863.64")),
        "No": (D("1045.00"), D("95.00"), D("950.00")),
    }


async def test_a_credit_note_takes_back_what_was_asked_for_tax_included(sandbox: Sandbox) -> None:
    number = _order(sandbox, "US-9900")
    _post(sandbox, "packingSlip", SalesOrderId=number)
    invoice = str(_post(sandbox, "invoice", SalesOrderId=number)["InvoiceId"])
    note = _post(sandbox, "creditNote", SalesOrderId=number, InvoiceId=invoice)["InvoiceId"]
    [header] = sandbox.finance.query("SalesInvoiceHeadersV4", InvoiceNumber=note)
    assert (header["TotalInvoiceAmount"], header["TotalTaxAmount"]) == (D("-1000.00"), D("-90.91"))
