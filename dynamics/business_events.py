"""Business events of Dynamics 365 Finance: what happened to an order, an invoice or a customer, as events of deals.

Out of the box Finance reports a posted sales invoice; the other events are custom classes of the product's own
extension (prefix Q2C), documented with the tenant set-up. Delivery is at least once and may be out of order, so every
event gets the id of the fact it reports, not of the delivery.
Source: Microsoft Learn, "Business events overview" and "Business events developer documentation".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from domain.messages import CustomerChanged, FinanceEvent, FinanceEventKind, ShippedLine
from domain.record import Record

TEST_PING = "BusinessEventsTestEndpointContract"
_TEST_CONTROL_NUMBER = -9223372036854775808
_DATE = re.compile(r"/Date\((-?\d+)([+-]\d{4})?\)/")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Malformed(ValueError):
    """The body is no business event, or lacks what its class promises; ``field`` names it."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f"{field}: {text}")
        self.field = field


class Report(Record):
    """A business event, understood: what its orders' deals are told, and what the customer's ledger is told."""

    company: str = ""
    orders: tuple[FinanceEvent, ...] = ()
    customer_account: str = ""
    customer: CustomerChanged | None = None
    why_ignored: str = ""


def read_report(body: Mapping[str, Any]) -> Report:
    """Understand a business event.

    Args:
        body: the posted JSON, numbers as Decimal.

    Returns:
        Events for deals and ledger; ``why_ignored`` for a test ping or a class that is of no interest here.

    Raises:
        Malformed: a field is missing or has the wrong type.
    """
    name = _text(body, "BusinessEventId")
    if name == TEST_PING or body.get("ControlNumber") == _TEST_CONTROL_NUMBER:
        return Report(why_ignored="test-ping")
    reader = _READERS.get(name)
    if reader is None:
        return Report(why_ignored="class")
    return reader(body)


def _confirmed(body: Mapping[str, Any]) -> Report:
    order = _text(body, "SalesOrderId")
    return _one(body, FinanceEventKind.ORDER_CONFIRMED, order, _optional(body, "ConfirmationNumber"), key=order)


def _shipped(body: Mapping[str, Any]) -> Report:
    lines = []
    for position, line in enumerate(_objects(body, "Lines")):
        where = f"Lines[{position}]"
        lines.append(
            ShippedLine(line_no=int(_number(line, "LineNumber", where)), quantity=_number(line, "Quantity", where))
        )
    slip = _text(body, "PackingSlipId")
    return _one(body, FinanceEventKind.SHIPMENT_POSTED, _text(body, "SalesOrderId"), slip, lines=tuple(lines))


def _invoiced(body: Mapping[str, Any]) -> Report:
    return _one(
        body,
        FinanceEventKind.INVOICE_POSTED,
        _text(body, "SalesOrderId"),
        _text(body, "InvoiceId"),
        account="InvoiceAccount",
        amount=_number(body, "InvoiceAmountInAccountingCurrency"),
    )


def _paid(body: Mapping[str, Any]) -> Report:
    return _payment(body, FinanceEventKind.PAYMENT_POSTED, "payment", freed=_number(body, "Amount"))


def _reversed(body: Mapping[str, Any]) -> Report:
    return _payment(body, FinanceEventKind.PAYMENT_REVERSED, "payment-reversed", freed=None)


def _payment(body: Mapping[str, Any], kind: FinanceEventKind, word: str, freed: Decimal | None) -> Report:
    """A payment settles invoices of several orders: each deal is told what of it is its own."""
    company, account, payment = _company(body), _text(body, "CustAccount"), _text(body, "PaymentId")
    shares: dict[str, Decimal] = {}
    for position, settlement in enumerate(_objects(body, "Settlements")):
        where = f"Settlements[{position}]"
        order = _optional(settlement, "SalesOrderId")
        if order:
            shares[order] = shares.get(order, Decimal(0)) + _number(settlement, "Amount", where)
    event_id = f"finance/{word}/{payment}"
    orders = tuple(
        FinanceEvent(
            event_id=event_id,
            kind=kind,
            company=company,
            customer_account=account,
            order_number=order,
            document=payment,
            amount=share,
            control_number=int(_number(body, "ControlNumber")),
            occurred_at=_moment(body),
        )
        for order, share in shares.items()
    )
    changed = CustomerChanged(
        event_id=event_id, reason=f"payment {payment} {kind.removeprefix('payment_')}", freed=freed
    )
    return Report(company=company, orders=orders, customer_account=account, customer=changed)


def _limit_changed(body: Mapping[str, Any]) -> Report:
    old, new = _number(body, "OldLimit"), _number(body, "NewLimit")
    return _customer(body, "limit", f"credit limit changed from {old:,.2f} to {new:,.2f}")


def _blocked(body: Mapping[str, Any]) -> Report:
    return _customer(body, "blocked", f"on-hold status is now {_text(body, 'OnHoldStatus')}")


def _customer(body: Mapping[str, Any], word: str, reason: str) -> Report:
    # Such a fact has no document number: the event's own id names it.
    changed = CustomerChanged(event_id=f"finance/{word}/{_text(body, 'EventId')}", reason=reason)
    return Report(company=_company(body), customer_account=_text(body, "CustAccount"), customer=changed)


def _one(
    body: Mapping[str, Any],
    kind: FinanceEventKind,
    order: str,
    document: str,
    *,
    key: str = "",
    account: str = "CustAccount",
    amount: Decimal | None = None,
    lines: tuple[ShippedLine, ...] = (),
) -> Report:
    word = _EVENT_WORDS[kind]
    event = FinanceEvent(
        event_id=f"finance/{word}/{key or document}",
        kind=kind,
        company=_company(body),
        customer_account=_text(body, account),
        order_number=order,
        document=document,
        lines=lines,
        amount=amount,
        control_number=int(_number(body, "ControlNumber")),
        occurred_at=_moment(body),
    )
    return Report(company=event.company, orders=(event,), customer_account=event.customer_account)


_EVENT_WORDS = {
    FinanceEventKind.ORDER_CONFIRMED: "confirmed",
    FinanceEventKind.SHIPMENT_POSTED: "slip",
    FinanceEventKind.INVOICE_POSTED: "invoice",
}
_READERS: dict[str, Callable[[Mapping[str, Any]], Report]] = {
    "SalesInvoicePostedBusinessEvent": _invoiced,
    "Q2CSalesOrderConfirmedBusinessEvent": _confirmed,
    "Q2CPackingSlipPostedBusinessEvent": _shipped,
    "Q2CCustPaymentPostedBusinessEvent": _paid,
    "Q2CCustPaymentReversedBusinessEvent": _reversed,
    "Q2CCustCreditLimitChangedBusinessEvent": _limit_changed,
    "Q2CCustBlockedBusinessEvent": _blocked,
}


def _company(body: Mapping[str, Any]) -> str:
    company = _optional(body, "LegalEntity") or _optional(body, "BusinessEventLegalEntity")
    if not company:
        raise Malformed("LegalEntity", "missing")
    return company.lower()


def _moment(body: Mapping[str, Any]) -> datetime:
    found = _DATE.fullmatch(_text(body, "EventTime"))
    if not found:
        raise Malformed("EventTime", "not a date of the form /Date(…)/")
    return _EPOCH + timedelta(milliseconds=int(found[1]))


def _text(body: Mapping[str, Any], field: str) -> str:
    value = body.get(field)
    if not isinstance(value, str) or not value:
        raise Malformed(field, "a text is required")
    return value


def _optional(body: Mapping[str, Any], field: str) -> str:
    value = body.get(field)
    return value if isinstance(value, str) else ""


def _number(body: Mapping[str, Any], field: str, where: str = "") -> Decimal:
    value = body.get(field)
    name = f"{where}.{field}" if where else field
    if isinstance(value, bool) or not isinstance(value, (int, str, Decimal)):
        raise Malformed(name, "a number is required")
    try:
        number = Decimal(value)
    except InvalidOperation as error:
        raise Malformed(name, "a number is required") from error
    if not number.is_finite():
        raise Malformed(name, "a number is required")
    return number


def _objects(body: Mapping[str, Any], field: str) -> list[Mapping[str, Any]]:
    value = body.get(field)
    if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
        raise Malformed(field, "a list of objects is required")
    return value
