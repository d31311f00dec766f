"""Return orders: announced with a reason, received with goods, credited.

A return order is a sales order of the type ReturnItem and refers to an invoice: it has a number of its own, and its
lines have lots of their own. Receiving it is posting a packing slip with negative quantities; crediting it is posting a
credit note over what was received. Both carry the return order's number and its lines' lots; what was sold is named by
its lines (`ReferenceNumber`, `ReturningInventoryLotId`).
Source: Microsoft Learn, "Sales returns".
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from sandbox.finance.books import Books, Company
from sandbox.finance.errors import PostingRefused
from sandbox.finance.events import RETURN_RECEIVED
from sandbox.finance.invoice_journal import PostedInvoice, Returned
from sandbox.finance.invoicing import Wanted, check_reason, credit_note
from sandbox.finance.model import SALES_LINES, day_stamp
from sandbox.finance.shipping import event_lines, match_lines
from sandbox.finance.slips import issue_stock, write_slip
from sandbox.finance.views import INVOICE_LINES, INVOICES
from sandbox.store import Row

ORDERS: Final = "ReturnOrderHeadersV2"
LINES: Final = "ReturnOrderLinesV2"
_SAME_NAME: Final = (
    "InvoiceCustomerAccountNumber",
    "CurrencyCode",
    "LanguageId",
    "CustomersOrderReference",
    "CustomerRequisitionNumber",
)
_COPIED: Final = {column: column for column in _SAME_NAME} | {
    "CustomerAccountNumber": "OrderingCustomerAccountNumber",
    "DefaultReturnSiteId": "DefaultShippingSiteId",
    "DefaultReturnWarehouseId": "DefaultShippingWarehouseId",
}
"""Column of a return order -> the sales order's column it takes."""


def announce(books: Books, company: Company, invoice: str, wanted: Wanted, reason: str) -> tuple[str, str]:
    """Create a return order for goods of an invoice: those asked for, or everything on it.

    Returns:
        (return order number, RMA number).

    Raises:
        PostingRefused: No such invoice, an unknown or missing reason, or more than was invoiced and not yet returned.
    """
    headers = books.find(INVOICES, InvoiceNumber=invoice, dataAreaId=company.id)
    if not headers or headers[0]["TotalInvoiceAmount"] <= 0:
        raise PostingRefused(f"Invoice {invoice} does not exist in company {company.id}.")
    check_reason(books, company, reason, "ReasonRequirementForReturnOrders")
    rows = books.find(INVOICE_LINES, InvoiceNumber=invoice, dataAreaId=company.id)
    chosen = _returnable(books, company, rows, wanted)
    order = books.order(company, chosen[0][0]["_SalesId"])
    with books.db.transaction():
        number = books.next_number(company, "return order", "RO-{:06d}")
        rma = books.next_number(company, "rma", "RMA-{:06d}")
        books.insert(
            ORDERS,
            {
                "dataAreaId": company.id,
                "ReturnOrderNumber": number,
                "RMANumber": rma,
                "CustomerReturnReasonCode": reason,
                "ReturnStatus": "Open",
                "ReturnOrderStatus": "Backorder",
                "_SalesOrderNumber": order["SalesOrderNumber"],
                "_invoice": invoice,
                **{column: order.get(source, "") for column, source in _COPIED.items()},
            },
        )
        for position, (row, quantity) in enumerate(chosen, start=1):
            _write_line(books, company, number, rma, position, row, quantity)
    return number, rma


def _returnable(books: Books, company: Company, rows: Sequence[Row], wanted: Wanted) -> list[tuple[Row, Decimal]]:
    left = {
        row["_record"]: row["InvoicedQuantity"] - row["_credited"] - _announced(books, company, row) for row in rows
    }
    if wanted is None:
        chosen = [(row, left[row["_record"]]) for row in rows if left[row["_record"]] > 0]
    else:
        chosen = match_lines(rows, wanted)
    if not chosen:
        raise PostingRefused("There is nothing left to return.")
    for row, quantity in chosen:
        if quantity > left[row["_record"]]:
            raise PostingRefused(
                f"Line {row['LineCreationSequenceNumber']}: quantity {quantity} exceeds the {left[row['_record']]} "
                "that can be returned."
            )
    return chosen


def _announced(books: Books, company: Company, row: Row) -> Decimal:
    """What of an invoice line is on return orders and not credited yet."""
    lines = books.find(LINES, ReturningInventoryLotId=row["_lot"], dataAreaId=company.id)
    return sum(
        (
            line["ReturnSalesQuantity"]
            for line in lines
            if line["_invoice_line"] == row["_record"] and line["ReturnStatus"] in ("Awaiting", "Received")
        ),
        Decimal(0),
    )


def _write_line(
    books: Books, company: Company, number: str, rma: str, position: int, row: Row, quantity: Decimal
) -> None:
    books.insert(
        LINES,
        {
            "dataAreaId": company.id,
            "ReturnOrderNumber": number,
            "ReturnInventoryLotId": books.next_number(company, "lot", "{:06d}"),
            "ReturningInventoryLotId": row["_lot"],
            "RMANumber": rma,
            "LineCreationSequenceNumber": position,
            "ItemNumber": row["ProductNumber"],
            "LineDescription": row["ProductName"],
            "SalesUnitSymbol": row["SalesUnitSymbol"],
            "ReturnSalesQuantity": quantity,
            "ReturnedSalesQuantity": Decimal(0),
            "SalesPrice": row["SalesPrice"],
            "ReturnSiteId": row["InventorySiteId"],
            "ReturnWarehouseId": row["InventoryWarehouseId"],
            "ReferenceType": "Sales",
            "ReferenceNumber": row["_SalesId"],
            "ReferenceInventoryLotId": row["_lot"],
            "ReturnStatus": "Awaiting",
            "_invoice_line": row["_record"],
            "_sequence": row["LineCreationSequenceNumber"],
        },
    )


def receive(books: Books, company: Company, number: str, wanted: Wanted) -> str:
    """Post the receipt of returned goods: a packing slip with negative quantities; goods go back into the warehouse.

    Returns:
        The packing slip id.

    Raises:
        PostingRefused: No such return order, or more than was announced.
    """
    header = _order(books, company, number)
    awaiting = [line for line in _lines(books, company, number) if line["ReturnStatus"] == "Awaiting"]
    chosen = (
        [(line, line["ReturnSalesQuantity"]) for line in awaiting] if wanted is None else match_lines(awaiting, wanted)
    )
    if not chosen:
        raise PostingRefused(f"There is nothing left to receive on return order {number}.")
    order = books.order(company, header["_SalesOrderNumber"])
    with books.db.transaction():
        slip = books.next_number(company, "slip", "PS-{:06d}")
        deliveries = []
        for line, quantity in chosen:
            if quantity > line["ReturnSalesQuantity"]:
                raise PostingRefused(
                    f"Line {line['LineCreationSequenceNumber']}: {line['ReturnSalesQuantity']} was announced, not "
                    f"{quantity}."
                )
            sold = books.get(SALES_LINES, company.id, line["ReturningInventoryLotId"])
            if sold is None:
                raise PostingRefused(f"Order line {line['ReturningInventoryLotId']} no longer exists.")
            of_return = {"InventoryLotId": line["ReturnInventoryLotId"], "OrderedSalesQuantity": -quantity}
            deliveries.append((sold | of_return | {"_RemainPhysical": -quantity}, -quantity))
            issue_stock(books, company, sold, -quantity)
            arrived = {"ActualReturnArrivalDate": day_stamp(books.today(company)), "ReturnStatus": "Received"}
            books.update(LINES, line, arrived | {"ReturnedSalesQuantity": quantity, "ReturnSalesQuantity": quantity})
        as_return = order | {"SalesOrderNumber": number, "_SalesType": "ReturnItem", "_RMANumber": header["RMANumber"]}
        write_slip(books, company, as_return, slip, deliveries)
        books.update(ORDERS, header, {"ReturnOrderStatus": "Delivered"})
        parts = [(line["_sequence"], quantity) for line, quantity in chosen]
        fields = {
            "ReturnOrderNumber": number,
            "SalesOrderId": order["SalesOrderNumber"],
            "PackingSlipId": slip,
            "Lines": event_lines(parts),
            "LegalEntity": company.id,
        }
        books.events.emit(RETURN_RECEIVED, company.id, fields)
    return slip


def credit(books: Books, company: Company, number: str) -> PostedInvoice:
    """Post the credit note over what was received of a return order.

    Raises:
        PostingRefused: No such return order, or nothing has been received and not yet credited.
    """
    header = _order(books, company, number)
    received = [line for line in _lines(books, company, number) if line["ReturnStatus"] == "Received"]
    if not received:
        raise PostingRefused(f"There is nothing received to credit on return order {number}.")
    wanted = [{"LineNumber": line["_sequence"], "Quantity": line["ReturnedSalesQuantity"]} for line in received]
    returned = Returned(
        number,
        header["RMANumber"],
        {
            line["ReturningInventoryLotId"]: (line["ReturnInventoryLotId"], line["LineCreationSequenceNumber"])
            for line in received
        },
    )
    with books.db.transaction():
        posted = credit_note(
            books, company, "", header["_invoice"], wanted, header["CustomerReturnReasonCode"], returned=returned
        )
        for line in received:
            books.update(LINES, line, {"ReturnStatus": "Invoiced"})
        if all(line["ReturnStatus"] == "Invoiced" for line in _lines(books, company, number)):
            books.update(ORDERS, header, {"ReturnStatus": "Closed", "ReturnOrderStatus": "Invoiced"})
    return posted


def cancel(books: Books, company: Company, number: str) -> None:
    """Cancel a return order of which nothing has been received.

    Raises:
        PostingRefused: No such return order, or goods have been received.
    """
    header = _order(books, company, number)
    lines = _lines(books, company, number)
    if any(line["ReturnStatus"] != "Awaiting" for line in lines):
        raise PostingRefused(f"Return order {number} cannot be cancelled because goods have been received.")
    with books.db.transaction():
        for line in lines:
            books.update(LINES, line, {"ReturnStatus": "Canceled"})
        books.update(ORDERS, header, {"ReturnStatus": "Canceled", "ReturnOrderStatus": "Canceled"})


def _order(books: Books, company: Company, number: str) -> Row:
    found = books.get(ORDERS, company.id, number)
    if found is None:
        raise PostingRefused(f"Return order {number} does not exist in company {company.id}.")
    return found


def _lines(books: Books, company: Company, number: str) -> list[Row]:
    rows = books.find(LINES, ReturnOrderNumber=number, dataAreaId=company.id)
    return sorted(rows, key=lambda row: int(row["LineCreationSequenceNumber"]))
