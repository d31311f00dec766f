"""Statuses of an order and its lines: they follow from the quantities, nobody sets them.

Source: Microsoft Learn, "Sales order statuses".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.finance.books import Books, Company
from sandbox.finance.model import SALES_LINES, SALES_ORDERS
from sandbox.store import Row


def refresh_status(books: Books, company: Company, number: str) -> Row:
    """Set the statuses of an order and its lines from their quantities; the order as it is then."""
    lines = books.lines(company, number)
    for line in lines:
        status = line_status(line)
        if status != line["SalesOrderLineStatus"]:
            books.update(SALES_LINES, line, {"SalesOrderLineStatus": status})
    order = books.order(company, number)
    sales, processing = order_status(order, lines)
    still_open = bool(order["_confirmed"]) and sales not in ("Invoiced", "Canceled")
    changes = {"SalesOrderStatus": sales, "SalesOrderProcessingStatus": processing, "_open": still_open}
    return books.update(SALES_ORDERS, order, changes)


def line_status(line: Mapping[str, Any]) -> str:
    """SalesOrderLineStatus that follows from a line's quantities."""
    to_deliver = line["OrderedSalesQuantity"] - line["_cancelled"]
    if to_deliver == 0:
        return "Canceled"
    if line["_invoiced"] >= to_deliver:
        return "Invoiced"
    return "Delivered" if line["_delivered"] >= to_deliver else "Backorder"


def order_status(order: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """(SalesOrderStatus, SalesOrderProcessingStatus) that follow from the quantities of an order's lines."""
    delivered = any(line["_delivered"] for line in lines)
    invoiced = any(line["_invoiced"] for line in lines)
    if lines and all(line_status(line) == "Canceled" for line in lines):
        return "Canceled", "Canceled"
    if lines and all(line_status(line) in ("Invoiced", "Canceled") for line in lines):
        return "Invoiced", "Invoiced"
    if lines and all(line_status(line) != "Backorder" for line in lines):
        return "Delivered", "DeliveredPartiallyInvoiced" if invoiced else "Delivered"
    if invoiced:
        return "Backorder", "PartiallyInvoiced"
    if delivered:
        return "Backorder", "PartiallyDelivered"
    if order["_picked"]:
        return "Backorder", "Picked"
    return "Backorder", "Confirmed" if order["_confirmed"] else "Active"
