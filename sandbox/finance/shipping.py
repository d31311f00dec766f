"""Confirmation, picking list, packing slip and cancelling what remains: the postings between order and invoice.

An order's statuses follow from its lines' quantities; nobody sets them. A posting either happens wholly or, when
something stands against it, not at all.
Source: Microsoft Learn, "Sales order statuses" and the X++ class SalesFormLetter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from sandbox.finance import credit
from sandbox.finance.books import Books, Company, positive
from sandbox.finance.confirmations import write_confirmation
from sandbox.finance.errors import PostingRefused
from sandbox.finance.events import (
    PACKING_SLIP_CORRECTED,
    PACKING_SLIP_POSTED,
    REMAINDER_CANCELLED,
    SALES_ORDER_CONFIRMED,
    json_day,
)
from sandbox.finance.lines import save_line
from sandbox.finance.masterdata import blocks, stopped_text
from sandbox.finance.model import SALES_ORDERS
from sandbox.finance.slips import correct_slip, issue_stock, write_slip
from sandbox.finance.statuses import refresh_status
from sandbox.store import Row


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
        order = refresh_status(books, company, number)
        write_confirmation(books, company, order, _confirmation_number(order))
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
    picked = quantities_to_deliver(books, company, number, wanted)
    with books.db.transaction():
        for line, quantity in picked:
            save_line(books, line, {"_picking": min(picking(line) + quantity, remaining(line))})
        books.update(SALES_ORDERS, order, {"_picked": True, "_DocumentStatus": "PickingList"})
        refresh_status(books, company, number)
        return books.next_number(company, "picking", "PL-{:06d}")


def unpick(books: Books, company: Company, number: str) -> None:
    """Reverse what is picked of an order and not delivered: the goods go back to where they lay.

    Raises:
        PostingRefused: Nothing is picked.
    """
    order = books.order(company, number)
    lines = [line for line in books.lines(company, number) if picking(line)]
    if not lines:
        raise PostingRefused(f"Nothing is picked of sales order {number}.")
    with books.db.transaction():
        for line in lines:
            save_line(books, line, {"_picking": Decimal(0)})
        books.update(SALES_ORDERS, order, {"_picked": False, "_DocumentStatus": "Confirmation"})
        refresh_status(books, company, number)


def packing_slip(books: Books, company: Company, number: str, wanted: Sequence[Mapping[str, Any]] | None) -> str:
    """Post a packing slip for the given lines and quantities, or for everything that remains.

    Returns:
        The packing slip id.

    Raises:
        PostingRefused: On hold, blocked by credit management, or quantities that do not fit.
    """
    order = books.order(company, number)
    _refuse_blocked(books, company, order, "packingSlip")
    deliveries = quantities_to_deliver(books, company, number, wanted, tolerated=True)
    refuse_without_credit(books, company, number, "packingSlip")
    with books.db.transaction():
        slip = books.next_number(company, "slip", "PS-{:06d}")
        order = books.order(company, number)
        write_slip(books, company, order, slip, deliveries)
        for line, quantity in deliveries:
            changes = {
                "_delivered": line["_delivered"] + quantity,
                "_picking": max(picking(line) - quantity, Decimal(0)),
                "SalesDeliverNow": Decimal(0),
            }
            save_line(books, line, changes)
            issue_stock(books, company, line, quantity)
        books.update(SALES_ORDERS, order, {"_DocumentStatus": "PackingSlip"})
        refresh_status(books, company, number)
        fields = {
            "SalesOrderId": number,
            "CustAccount": order["OrderingCustomerAccountNumber"],
            "PackingSlipId": slip,
            "DeliveryDate": json_day(books.today(company)),
            "Lines": event_lines([(line["LineCreationSequenceNumber"], quantity) for line, quantity in deliveries]),
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
        PostingRefused: Nothing remains, a quantity is more than remains, or goods are picked that would be cancelled.
    """
    with books.db.transaction():
        cancelled = quantities_to_deliver(books, company, number, wanted)
        for line, quantity in cancelled:
            if quantity > remaining(line) - picking(line):
                raise PostingRefused(
                    f"The deliver remainder of line {line['LineCreationSequenceNumber']} of sales order {number} "
                    f"cannot be reduced by {quantity} because {picking(line)} has been picked. "
                    "Reverse the picking first."
                )
        for line, quantity in cancelled:
            save_line(books, line, {"_cancelled": line["_cancelled"] + quantity})
        refresh_status(books, company, number)
        parts = [(line["LineCreationSequenceNumber"], quantity) for line, quantity in cancelled]
        fields = {"SalesOrderId": number, "Lines": event_lines(parts), "LegalEntity": company.id}
        books.events.emit(REMAINDER_CANCELLED, company.id, fields)
    return parts


def cancel_slip(
    books: Books, company: Company, slip: str, wanted: Sequence[Mapping[str, Any]] | None
) -> list[tuple[int, Decimal]]:
    """Correct a posted packing slip (see `sandbox.finance.slips.correct_slip`), and say so; what was taken off."""
    with books.db.transaction():
        number, parts = correct_slip(books, company, slip, wanted)
        fields = {
            "SalesOrderId": number,
            "PackingSlipId": slip,
            "Lines": event_lines(parts),
            "LegalEntity": company.id,
        }
        books.events.emit(PACKING_SLIP_CORRECTED, company.id, fields)
    return parts


def event_lines(parts: Sequence[tuple[int, Decimal]]) -> list[dict[str, Any]]:
    """Line numbers and quantities as events carry them."""
    return [{"LineNumber": line, "Quantity": quantity} for line, quantity in parts]


def picking(line: Mapping[str, Any]) -> Decimal:
    """The quantity of an order line that is picked and not delivered."""
    picked: Decimal = line.get("_picking", Decimal(0))
    return picked


def remaining(line: Mapping[str, Any]) -> Decimal:
    """The quantity of an order line still to deliver."""
    left: Decimal = line["OrderedSalesQuantity"] - line["_cancelled"] - line["_delivered"]
    return left


def _refuse_overdelivery(line: Row, quantity: Decimal, *, tolerated: bool) -> None:
    left = remaining(line)
    allowed = line.get("AllowedOverdeliveryPercentage", Decimal(0)) if tolerated else Decimal(0)
    over = (quantity - left) / line["OrderedSalesQuantity"] * 100
    if quantity > left and over > allowed:
        raise PostingRefused(
            f"Overdelivery of line {line['LineCreationSequenceNumber']} is {over:.2f} percent, but the allowed "
            f"overdelivery is {allowed:.2f} percent."
        )


def quantities_to_deliver(
    books: Books,
    company: Company,
    number: str,
    wanted: Sequence[Mapping[str, Any]] | None,
    *,
    tolerated: bool = False,
) -> list[tuple[Row, Decimal]]:
    """Lines and quantities of a delivery: those asked for, or all that remains.

    With `tolerated`, a line may be overdelivered by its allowed percentage.

    Raises:
        PostingRefused: A line does not exist, a quantity is not positive or exceeds what remains, or nothing remains.
    """
    lines = books.lines(company, number)
    if wanted is None:
        chosen = [(line, remaining(line)) for line in lines if remaining(line) > 0]
    else:
        chosen = match_lines(lines, wanted)
    for line, quantity in chosen:
        _refuse_overdelivery(line, quantity, tolerated=tolerated)
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


def _refuse_blocked(books: Books, company: Company, order: Row, action: str) -> None:
    customer = books.customer(company, order["InvoiceCustomerAccountNumber"])
    if blocks(customer, action):
        raise PostingRefused(stopped_text(customer))
    if order.get("IsSalesProcessingStopped") == "Yes":
        raise PostingRefused(f"Sales order {order['SalesOrderNumber']} is marked as Do not process.")
