"""Confirmation, picking list, packing slip and cancelling what remains: the postings between order and invoice.

An order's statuses follow from its lines' quantities; nobody sets them. A posting either happens wholly or, when
something stands against it, not at all.
Source: Microsoft Learn, "Sales order statuses" and the X++ class SalesFormLetter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from sandbox.finance import credit
from sandbox.finance.books import Books, Company, positive, total
from sandbox.finance.errors import PostingRefused
from sandbox.finance.events import PACKING_SLIP_POSTED, SALES_ORDER_CONFIRMED, json_day
from sandbox.finance.masterdata import blocks
from sandbox.finance.model import SALES_LINES, SALES_ORDERS, day_stamp
from sandbox.store import Row

SLIPS: Final = "ShipmentPackingSlipJournalHeaders"
SLIP_LINES: Final = "ShipmentPackingSlipJournalLines"


def confirm(
    books: Books, company: Company, number: str, *, release: bool = False, reason: str = "", user: str = ""
) -> str:
    """Post a confirmation; an order that is confirmed as it stands is not confirmed again.

    Args:
        books: Where to book.
        company: The order's company.
        number: The sales order.
        release: Release the order from credit hold first, on `user`'s word.
        reason: Why it is released.
        user: Who releases it.

    Returns:
        The confirmation number.

    Raises:
        PostingRefused: Nothing to confirm, the customer is on hold, or credit management blocks it (the order is in
            the hold list then).
    """
    if release:
        with books.db.transaction():
            credit.release(books, company, books.order(company, number), reason, user)
    order = books.order(company, number)
    content = _content(books, company, order)
    if order["_confirmed_as"] == content:
        return _confirmation_number(order)
    _refuse_blocked(books, company, order, "confirm")
    if order["SalesOrderStatus"] in ("Invoiced", "Canceled"):
        raise PostingRefused(f"Sales order {number} has status {order['SalesOrderStatus']} and cannot be confirmed.")
    if not books.lines(company, number):
        raise PostingRefused(f"Sales order {number} has no lines to confirm.")
    refuse_without_credit(books, company, number, "confirm")
    with books.db.transaction():
        changes = {
            "_confirmed": True,
            "_confirmed_as": content,
            "_confirmations": order["_confirmations"] + 1,
            "_DocumentStatus": "Confirmation",
        }
        order = books.update(SALES_ORDERS, order, changes)
        refresh_status(books, company, number)
        fields = {
            "SalesOrderId": number,
            "CustAccount": order["OrderingCustomerAccountNumber"],
            "ConfirmationNumber": _confirmation_number(order),
            "LegalEntity": company.id,
        }
        books.events.emit(SALES_ORDER_CONFIRMED, company.id, fields)
    return _confirmation_number(order)


def _confirmation_number(order: Row) -> str:
    return f"{order['SalesOrderNumber']}-{order['_confirmations']}"


def _content(books: Books, company: Company, order: Row) -> tuple[Any, ...]:
    """What a confirmation confirms: the document discount, and each line's quantity and net amount."""
    lines = books.lines(company, order["SalesOrderNumber"])
    ordered = tuple((line["InventoryLotId"], line["OrderedSalesQuantity"], line["LineAmount"]) for line in lines)
    return (order["TotalDiscountPercentage"], *ordered)


def refuse_without_credit(books: Books, company: Company, number: str, checkpoint: credit.Checkpoint) -> None:
    """Run the credit check of a posting; a hold it places stays although nothing is posted.

    Raises:
        PostingRefused: The order is blocked.
    """
    with books.db.transaction():
        verdict = credit.check(books, company, books.order(company, number), checkpoint)
    if verdict is not None:
        raise PostingRefused(f"Sales order {number} is on credit hold. {verdict.text}")


def pick(books: Books, company: Company, number: str, wanted: Sequence[Mapping[str, Any]] | None) -> str:
    """Post a picking list for the given lines, or for everything that remains.

    Returns:
        The picking list id.

    Raises:
        PostingRefused: The customer is on hold or the quantities do not fit.
    """
    order = books.order(company, number)
    _refuse_blocked(books, company, order, "pick")
    quantities_to_deliver(books, company, number, wanted)
    with books.db.transaction():
        books.update(SALES_ORDERS, order, {"_picked": True, "_DocumentStatus": "PickingList"})
        refresh_status(books, company, number)
        return books.next_number(company, "picking", "PL-{:06d}")


def packing_slip(books: Books, company: Company, number: str, wanted: Sequence[Mapping[str, Any]] | None) -> str:
    """Post a packing slip for the given lines and quantities, or for everything that remains.

    Returns:
        The packing slip id.

    Raises:
        PostingRefused: On hold, blocked by credit management, or quantities that do not fit.
    """
    order = books.order(company, number)
    _refuse_blocked(books, company, order, "packingSlip")
    deliveries = quantities_to_deliver(books, company, number, wanted)
    refuse_without_credit(books, company, number, "packingSlip")
    with books.db.transaction():
        slip = books.next_number(company, "slip", "PS-{:06d}")
        order = books.order(company, number)
        _write_slip(books, company, order, slip, deliveries)
        for line, quantity in deliveries:
            books.update(
                SALES_LINES, line, {"_delivered": line["_delivered"] + quantity, "SalesDeliverNow": Decimal(0)}
            )
            _issue_stock(books, company, line, quantity)
        books.update(SALES_ORDERS, order, {"_DocumentStatus": "PackingSlip"})
        refresh_status(books, company, number)
        fields = {
            "SalesOrderId": number,
            "CustAccount": order["OrderingCustomerAccountNumber"],
            "PackingSlipId": slip,
            "DeliveryDate": json_day(books.today(company)),
            "Lines": [
                {"LineNumber": line["LineCreationSequenceNumber"], "Quantity": quantity}
                for line, quantity in deliveries
            ],
            "LegalEntity": company.id,
        }
        books.events.emit(PACKING_SLIP_POSTED, company.id, fields)
    return slip


def cancel_remainder(
    books: Books, company: Company, number: str, wanted: Sequence[Mapping[str, Any]] | None
) -> list[tuple[int, Decimal]]:
    """Set the deliver remainder of the given lines (or of all) to zero.

    Returns:
        Line number and quantity of what was cancelled.

    Raises:
        PostingRefused: Nothing remains, or a quantity is more than remains.
    """
    with books.db.transaction():
        cancelled = quantities_to_deliver(books, company, number, wanted)
        for line, quantity in cancelled:
            books.update(SALES_LINES, line, {"_cancelled": line["_cancelled"] + quantity})
        refresh_status(books, company, number)
    return [(line["LineCreationSequenceNumber"], quantity) for line, quantity in cancelled]


def remaining(line: Mapping[str, Any]) -> Decimal:
    """The quantity of an order line still to deliver."""
    left: Decimal = line["OrderedSalesQuantity"] - line["_cancelled"] - line["_delivered"]
    return left


def quantities_to_deliver(
    books: Books, company: Company, number: str, wanted: Sequence[Mapping[str, Any]] | None
) -> list[tuple[Row, Decimal]]:
    """Lines and quantities of a delivery: those asked for, or all that remains.

    Raises:
        PostingRefused: A line does not exist, a quantity is not positive or exceeds what remains, or nothing remains.
    """
    lines = books.lines(company, number)
    if wanted is None:
        chosen = [(line, remaining(line)) for line in lines if remaining(line) > 0]
    else:
        chosen = match_lines(lines, wanted)
    for line, quantity in chosen:
        left = remaining(line)
        if quantity > left:
            over = (quantity - left) / line["OrderedSalesQuantity"] * 100
            raise PostingRefused(
                f"Overdelivery of line {line['LineCreationSequenceNumber']} is {over:.2f} percent, but the allowed "
                "overdelivery is 0.00 percent."
            )
    if not chosen:
        raise PostingRefused(f"There is nothing left to deliver on sales order {number}.")
    return chosen


def match_lines(lines: Sequence[Row], wanted: Sequence[Mapping[str, Any]]) -> list[tuple[Row, Decimal]]:
    """The rows of the lines a request names, with their quantities.

    Raises:
        PostingRefused: A line does not exist or is named twice, or a quantity is not a positive number.
    """
    by_number = {line["LineCreationSequenceNumber"]: line for line in lines}
    chosen: list[tuple[Row, Decimal]] = []
    for item in wanted:
        line_number, quantity = item.get("LineNumber"), positive(item.get("Quantity"))
        line = by_number.pop(line_number, None)
        if line is None:
            raise PostingRefused(f"Line {line_number} does not exist on the document, or is named twice.")
        if quantity is None:
            raise PostingRefused(f"Quantity of line {line_number} must be greater than zero.")
        chosen.append((line, quantity))
    return chosen


def refresh_status(books: Books, company: Company, number: str) -> None:
    """Set the statuses of an order and its lines from their quantities."""
    lines = books.lines(company, number)
    for line in lines:
        status = _line_status(line)
        if status != line["SalesOrderLineStatus"]:
            books.update(SALES_LINES, line, {"SalesOrderLineStatus": status})
    order = books.order(company, number)
    sales, processing = order_status(order, lines)
    books.update(SALES_ORDERS, order, {"SalesOrderStatus": sales, "SalesOrderProcessingStatus": processing})


def _line_status(line: Mapping[str, Any]) -> str:
    to_deliver = line["OrderedSalesQuantity"] - line["_cancelled"]
    if to_deliver == 0:
        return "Canceled"
    if line["_invoiced"] >= to_deliver:
        return "Invoiced"
    return "Delivered" if line["_delivered"] >= to_deliver else "Backorder"


def order_status(order: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """(SalesOrderStatus, SalesOrderProcessingStatus) that follow from the quantities of an order's lines."""
    kept = total(line["OrderedSalesQuantity"] - line["_cancelled"] for line in lines)
    delivered = total(line["_delivered"] for line in lines)
    invoiced = total(line["_invoiced"] for line in lines)
    if lines and kept == 0:
        return "Canceled", "Canceled"
    if lines and invoiced >= kept:
        return "Invoiced", "Invoiced"
    if lines and delivered >= kept:
        return "Delivered", "DeliveredPartiallyInvoiced" if invoiced else "Delivered"
    if invoiced:
        return "Backorder", "PartiallyInvoiced"
    if delivered:
        return "Backorder", "PartiallyDelivered"
    if order["_picked"]:
        return "Backorder", "Picked"
    return "Backorder", "Confirmed" if order["_confirmed"] else "Active"


def _refuse_blocked(books: Books, company: Company, order: Row, action: str) -> None:
    customer = books.customer(company, order["InvoiceCustomerAccountNumber"])
    if blocks(customer, action):
        raise PostingRefused(
            f"Customer account {customer['CustomerAccount']} is on hold with code {customer['OnHoldStatus']}."
        )
    if order.get("IsSalesProcessingStopped") == "Yes":
        raise PostingRefused(f"Sales order {order['SalesOrderNumber']} is marked as Do not process.")


def _write_slip(
    books: Books, company: Company, order: Row, slip: str, deliveries: Sequence[tuple[Row, Decimal]]
) -> None:
    day = day_stamp(books.today(company))
    books.insert(
        SLIPS,
        {
            "dataAreaId": company.id,
            "ShipmentPackingSlipVersionNumber": slip,
            "ShipmentPackingSlipNumber": slip,
            "ConsigneeAccountNumber": order["OrderingCustomerAccountNumber"],
            "ConsigneeName": order.get("SalesOrderName", ""),
            "ConsigneeReference": order.get("CustomersOrderReference", ""),
            "DeliveryDate": day,
            "DocumentDate": day,
            "ShipFromWarehouseId": order.get("DefaultShippingWarehouseId", ""),
            "IsActive": "Yes",
            "_SalesOrderNumber": order["SalesOrderNumber"],
        },
    )
    for line, quantity in deliveries:
        books.insert(
            SLIP_LINES,
            {
                "dataAreaId": company.id,
                "InventoryLotId": line["InventoryLotId"],
                "ShipmentPackingSlipVersionNumber": slip,
                "ConsignerOrderNumber": order["SalesOrderNumber"],
                "ConsignerLineNumber": line["LineCreationSequenceNumber"],
                "ConsigneeReference": order.get("CustomersOrderReference", ""),
                "ItemNumber": line["ItemNumber"],
                "OrderedQuantity": line["OrderedSalesQuantity"],
                "OrderedUnitSymbol": line["SalesUnitSymbol"],
                "ShippedQuantity": quantity,
                "RemainingQuantity": remaining(line) - quantity,
            },
        )


def _issue_stock(books: Books, company: Company, line: Row, quantity: Decimal) -> None:
    """Take a delivery out of the warehouse; stock may go negative, as the items' model group allows."""
    for row in books.find("WarehousesOnHandV2", ItemNumber=line["ItemNumber"], dataAreaId=company.id):
        if row["InventoryWarehouseId"].lower() == line["ShippingWarehouseId"].lower():
            changes = {
                column: row.get(column, Decimal(0)) - quantity
                for column in ("OnHandQuantity", "AvailableOnHandQuantity", "TotalAvailableQuantity")
            }
            books.update("WarehousesOnHandV2", row, changes)
            return
