"""Packing slip journals: what a posted packing slip leaves to read, and correcting or cancelling one.

A sales order's slips are in `CustPackingSlipJourBiEntities` and `CustPackingSlipTransBiEntities`. The sets
`ShipmentPackingSlipJournal…` belong to Warehouse management only mode and stay empty.
Sources: Microsoft Learn, "Work with Warehouse management only mode", "Correct or cancel posted packing slips".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from sandbox.finance.books import Books, Company, total
from sandbox.finance.errors import PostingRefused
from sandbox.finance.lines import save_line
from sandbox.finance.model import SALES_LINES, day_stamp
from sandbox.finance.statuses import refresh_status
from sandbox.finance.units import convert
from sandbox.store import Row

JOURNAL: Final = "CustPackingSlipJourBiEntities"
LINES: Final = "CustPackingSlipTransBiEntities"

Delivery = tuple[Row, Decimal]
"""An order line and the quantity delivered of it; negative for goods that come back."""


def write_slip(books: Books, company: Company, order: Row, slip: str, deliveries: Sequence[Delivery]) -> None:
    """Write the journal of a packing slip; its lines' quantities are those before the delivery."""
    day = day_stamp(books.today(company))
    here = {"dataAreaId": company.id, "PackingSlipId": slip, "SalesId": order["SalesOrderNumber"], "DeliveryDate": day}
    books.insert(
        JOURNAL,
        {
            **here,
            "OrderAccount": order["OrderingCustomerAccountNumber"],
            "InvoiceAccount": order["InvoiceCustomerAccountNumber"],
            "DeliveryName": order.get("DeliveryAddressName", ""),
            "InvoicingName": order.get("SalesOrderName", ""),
            "DocumentDate": day,
            "LedgerVoucher": books.next_number(company, "slip voucher", "PSV-{:06d}"),
            "PurchaseOrder": order.get("CustomerRequisitionNumber", ""),
            "CustomerRef": order.get("CustomersOrderReference", ""),
            "DlvMode": order.get("DeliveryModeCode", ""),
            "DlvTerm": order.get("DeliveryTermsCode", ""),
            "LanguageId": order.get("LanguageId", ""),
            "inventLocationId": order.get("DefaultShippingWarehouseId", ""),
            "SalesType": order.get("_SalesType", "Sales"),
            "ReturnItemNum": order.get("_RMANumber", ""),
            "Qty": total(quantity for _, quantity in deliveries),
        },
    )
    for position, (line, quantity) in enumerate(deliveries, start=1):
        left = line["_RemainPhysical"] - quantity
        books.insert(
            LINES,
            {
                **here,
                "OrigSalesId": order["SalesOrderNumber"],
                "InventTransId": line["InventoryLotId"],
                "LineNum": Decimal(position),
                "ItemId": line["ItemNumber"],
                "ExternalItemId": line.get("ExternalItemNumber", ""),
                "Name": line.get("LineDescription", ""),
                "SalesUnit": line["SalesUnitSymbol"],
                "Ordered": line["OrderedSalesQuantity"],
                "Qty": quantity,
                "inventQty": quantity * line["_factor"],
                "Remain": left,
                "RemainInvent": left * line["_factor"],
                "CurrencyCode": line["CurrencyCode"],
                "PriceUnit": line["SalesPriceQuantity"],
                "StockedProduct": "Yes",
                "_line": line["LineCreationSequenceNumber"],
            },
        )


def issue_stock(books: Books, company: Company, line: Row, quantity: Decimal) -> None:
    """Take a delivery out of the warehouse (a negative one in); stock may go negative, as model groups allow."""
    item = books.get("ReleasedProductsV2", company.id, line["ItemNumber"]) or {}
    unit = item.get("InventoryUnitSymbol") or line["SalesUnitSymbol"]
    issued = convert(books, quantity, line["SalesUnitSymbol"], unit)
    for row in books.find("WarehousesOnHandV2", ItemNumber=line["ItemNumber"], dataAreaId=company.id):
        if row["InventoryWarehouseId"].lower() == line["ShippingWarehouseId"].lower():
            changes = {
                column: row.get(column, Decimal(0)) - issued
                for column in ("OnHandQuantity", "AvailableOnHandQuantity", "TotalAvailableQuantity")
            }
            books.update("WarehousesOnHandV2", row, changes)
            return


def correct_slip(
    books: Books, company: Company, slip: str, wanted: Sequence[Mapping[str, Any]] | None
) -> tuple[str, list[tuple[int, Decimal]]]:
    """Lower the quantities of a posted slip; without lines the whole slip is cancelled.

    The slip stays where it was, with its quantities as corrected; what is taken off remains to be delivered again.

    Args:
        books: Where to book.
        company: The slip's company.
        slip: Packing slip id.
        wanted: `{LineNumber, Quantity}` of what the slip's lines shall be; other lines stay.

    Returns:
        The order's number, and line number and quantity taken off of each line.

    Raises:
        PostingRefused: No such slip, a line it does not have, a quantity that is not lower, or goods invoiced already.
    """
    rows = books.find(LINES, PackingSlipId=slip, dataAreaId=company.id)
    if not slip or not rows:
        raise PostingRefused(f"Packing slip {slip} does not exist in company {company.id}.")
    changes = _corrections(slip, rows, wanted)
    number = str(rows[0]["SalesId"])
    with books.db.transaction():
        for row, quantity in changes:
            _correct_line(books, company, slip, row, quantity)
        journal = books.find(JOURNAL, PackingSlipId=slip, dataAreaId=company.id)[0]
        left = total(row["Qty"] for row in books.find(LINES, PackingSlipId=slip, dataAreaId=company.id))
        books.update(JOURNAL, journal, {"Qty": left})
        refresh_status(books, company, number)
    return number, [(row["_line"], row["Qty"] - quantity) for row, quantity in changes]


def _corrections(slip: str, rows: Sequence[Row], wanted: Sequence[Mapping[str, Any]] | None) -> list[Delivery]:
    if wanted is None:
        changes = [(row, Decimal(0)) for row in rows if row["Qty"] > 0]
        if not changes:
            raise PostingRefused(f"Packing slip {slip} has been cancelled already.")
        return changes
    by_line = {row["_line"]: row for row in rows}
    changes = []
    for item in wanted:
        row = by_line.pop(item.get("LineNumber"), None)
        if row is None:
            raise PostingRefused(f"Line {item.get('LineNumber')} is not on packing slip {slip}, or is named twice.")
        quantity = _quantity(item.get("Quantity"))
        if quantity is None or quantity >= row["Qty"]:
            raise PostingRefused(f"Quantity of line {row['_line']} must be below {row['Qty']} and not negative.")
        changes.append((row, quantity))
    return changes


def _quantity(value: Any) -> Decimal | None:
    return Decimal(value) if type(value) in (int, Decimal) and value >= 0 else None


def _correct_line(books: Books, company: Company, slip: str, row: Row, quantity: Decimal) -> None:
    line = books.get(SALES_LINES, company.id, row["InventTransId"])
    if line is None:
        raise PostingRefused(f"Order line {row['InventTransId']} no longer exists.")
    off = row["Qty"] - quantity
    if line["_delivered"] - off < line["_invoiced"]:
        raise PostingRefused(f"Packing slip {slip} cannot be corrected: line {row['_line']} has been invoiced.")
    save_line(books, line, {"_delivered": line["_delivered"] - off})
    issue_stock(books, company, line, -off)
    remain = row["Remain"] + off
    changes = {"Qty": quantity, "inventQty": quantity * line["_factor"], "Remain": remain}
    books.update(LINES, row, changes)
