"""Business events of Dynamics 365 Finance: what happened to an order, an invoice or a customer, as events of deals.

Out of the box Finance reports a posted sales invoice; the other events are custom classes of the product's own
extension (prefix Q2C), documented with the tenant set-up. Delivery is at least once and may be out of order, so every
event gets the id of the fact it reports, not of the delivery (``domain.event_ids``).
Source: Microsoft Learn, "Business events overview" and "Business events developer documentation".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field, ValidationError

from domain import event_ids
from domain.messages import CustomerChanged, FinanceEvent, FinanceEventKind
from domain.money import format_amount
from domain.record import Record
from dynamics.core.intake import Amount, JsonDate, Malformed, Name, OptionalName, Reported, Whole, json_object

__all__ = ["FOLLOWED", "OWN", "TEST_PING", "Malformed", "Report", "json_object", "read_report"]

TEST_PING = "BusinessEventsTestEndpointContract"
_TEST_CONTROL_NUMBER = -(2**63)

NOT_BLOCKED = "No"
"""OnHoldStatus of a customer without a hold."""

MAX_ROWS = 20_000
"""Lines of a packing slip, or invoices a payment settles, that one event may carry: as many lines as an order has."""


class Report(Record):
    """A business event, understood: what its orders' deals are told, and what the customer's ledger is told."""

    company: str = ""
    orders: tuple[FinanceEvent, ...] = ()
    customer_account: str = ""
    customer: CustomerChanged | None = None
    why_ignored: str = ""


class _Envelope(Reported):
    """What every business event holds."""

    BusinessEventId: Name
    BusinessEventLegalEntity: OptionalName = ""
    LegalEntity: OptionalName = ""
    ControlNumber: Whole = 0

    @property
    def company(self) -> str:
        """The legal entity, lower case; empty where the event names none."""
        return (self.LegalEntity or self.BusinessEventLegalEntity).lower()


class _Event(_Envelope):
    """An event of a class that is followed."""

    ControlNumber: Annotated[Whole, Field(ge=0)]
    EventTime: JsonDate
    EventId: Name


class _SlipLine(Reported):
    """Checked, since the class promises it, and left behind: the deal reads what was shipped from Finance."""

    LineNumber: Annotated[Whole, Field(ge=0, lt=2**31)]
    Quantity: Amount


class _Shipped(_Event):
    SalesOrderId: Name
    CustAccount: Name
    PackingSlipId: Name
    Lines: Annotated[list[_SlipLine], Field(max_length=MAX_ROWS)]


class _Invoiced(_Event):
    SalesOrderId: OptionalName = ""
    InvoiceAccount: Name
    InvoiceId: Name
    InvoiceAmountInAccountingCurrency: Amount


class _OrderChanged(_Event):
    SalesOrderId: Name
    CustAccount: OptionalName = ""
    Lines: Annotated[list[_SlipLine], Field(max_length=MAX_ROWS)] = Field(default_factory=list)


class _SlipCorrected(_OrderChanged):
    PackingSlipId: Name


class _Returned(_OrderChanged):
    """Goods of an order came back: ``SalesOrderId`` is the order they were sold with."""

    ReturnOrderNumber: Name


class _Settlement(Reported):
    SalesOrderId: OptionalName = ""
    InvoiceId: OptionalName = ""
    Amount: Amount


class _Paid(_Event):
    CustAccount: Name
    PaymentId: Name
    Amount: Amount
    Settlements: Annotated[list[_Settlement], Field(max_length=MAX_ROWS)]


class _LimitChanged(_Event):
    CustAccount: Name
    OldLimit: Amount
    NewLimit: Amount


class _Blocked(_Event):
    CustAccount: Name
    OnHoldStatus: Name


def read_report(body: Mapping[str, Any], companies: Collection[str]) -> Report:
    """Understand a business event.

    Args:
        body: the posted JSON, as ``json_object`` reads it.
        companies: legal entities whose deals run here, lower case; events of others are ignored.

    Returns:
        Events for deals and ledger; ``why_ignored`` for a test ping, and for a class or a legal entity that is of no
        interest here.

    Raises:
        Malformed: a field is missing, has the wrong type or is out of bounds.
    """
    envelope = _Envelope.read(body)
    if envelope.BusinessEventId == TEST_PING or envelope.ControlNumber == _TEST_CONTROL_NUMBER:
        return Report(why_ignored="test-ping")
    reader = _READERS.get(envelope.BusinessEventId)
    if reader is None:
        return Report(why_ignored="class")
    if not envelope.company:
        raise Malformed("LegalEntity", "missing")
    if envelope.company not in companies:
        return Report(why_ignored="company")
    try:
        return reader(body)
    except ValidationError as error:  # each field is sound, and what they come to is not
        first = error.errors()[0]
        raise Malformed(".".join(map(str, first["loc"])), first["msg"]) from error


def _shipped(body: Mapping[str, Any]) -> Report:
    event = _Shipped.read(body)
    return _of_order(
        event,
        FinanceEventKind.SHIPMENT_POSTED,
        event.SalesOrderId,
        event.CustAccount,
        fact=event.PackingSlipId,
        document=event.PackingSlipId,
    )


def _invoiced(body: Mapping[str, Any]) -> Report:
    event = _Invoiced.read(body)
    return _of_order(
        event,
        FinanceEventKind.INVOICE_POSTED,
        event.SalesOrderId,
        event.InvoiceAccount,
        fact=event.InvoiceId,
        document=event.InvoiceId,
        amount=event.InvoiceAmountInAccountingCurrency,
    )


def _of_order(
    event: _Event,
    kind: FinanceEventKind,
    order: str,
    account: str,
    *,
    fact: str,
    document: str,
    amount: Decimal | None = None,
) -> Report:
    """A document of one order; a summary invoice over several names none, and its feed finds them."""
    told = FinanceEvent(
        event_id=event_ids.finance_document(kind, fact),
        kind=kind,
        company=event.company,
        customer_account=account,
        order_number=order,
        document=document,
        amount=amount,
        control_number=event.ControlNumber,
        occurred_at=event.EventTime,
    )
    return Report(company=event.company, orders=(told,), customer_account=account)


def _remainder_cancelled(body: Mapping[str, Any]) -> Report:
    return _order_changed(_OrderChanged.read(body), "a remainder was cancelled")


def _lines_changed(body: Mapping[str, Any]) -> Report:
    return _order_changed(_OrderChanged.read(body), "lines were changed")


def _slip_corrected(body: Mapping[str, Any]) -> Report:
    event = _SlipCorrected.read(body)
    return _order_changed(event, f"packing slip {event.PackingSlipId} was corrected")


def _returned(body: Mapping[str, Any]) -> Report:
    event = _Returned.read(body)
    return _order_changed(event, f"goods came back ({event.ReturnOrderNumber})")


def _order_changed(event: _OrderChanged, what: str) -> Report:
    """A change has no document of its own: the event's id names it, and the deal looks at what the order is now."""
    told = FinanceEvent(
        event_id=event_ids.order_changed(event.EventId),
        kind=FinanceEventKind.ORDER_CHANGED,
        company=event.company,
        customer_account=event.CustAccount,
        order_number=event.SalesOrderId,
        document=what,
        control_number=event.ControlNumber,
        occurred_at=event.EventTime,
    )
    return Report(company=event.company, orders=(told,), customer_account=event.CustAccount)


def _paid(body: Mapping[str, Any]) -> Report:
    event = _Paid.read(body)
    return _payment(event, FinanceEventKind.PAYMENT_POSTED, freed=event.Amount)


def _reversed(body: Mapping[str, Any]) -> Report:
    return _payment(_Paid.read(body), FinanceEventKind.PAYMENT_REVERSED, freed=None)


def _payment(event: _Paid, kind: FinanceEventKind, freed: Decimal | None) -> Report:
    """A payment settles invoices of several orders, some of them later on: each deal is told what of it is its own.

    An invoice over several orders names none of them: it is told by its number, and its feed finds the orders.
    """
    whole = event_ids.finance_document(kind, event.PaymentId)
    shares: dict[tuple[str, str, str], Decimal] = {}
    for settled in event.Settlements:
        fact = whole if freed is None else event_ids.settlement(event.PaymentId, settled.InvoiceId)
        of = (fact, settled.SalesOrderId, "" if settled.SalesOrderId else settled.InvoiceId)
        if any(of[1:]):
            shares[of] = shares.get(of, Decimal(0)) + settled.Amount
    orders = tuple(
        FinanceEvent(
            event_id=fact,
            kind=kind,
            company=event.company,
            customer_account=event.CustAccount,
            order_number=order,
            document=event.PaymentId,
            invoice=invoice,
            amount=share,
            control_number=event.ControlNumber,
            occurred_at=event.EventTime,
        )
        for (fact, order, invoice), share in shares.items()
    )
    reason = f"payment {event.PaymentId} {kind.removeprefix('payment_')}"
    changed = CustomerChanged(event_id=whole, reason=reason, freed=freed, lowers=freed is None)
    return Report(company=event.company, orders=orders, customer_account=event.CustAccount, customer=changed)


def _limit_changed(body: Mapping[str, Any]) -> Report:
    event = _LimitChanged.read(body)
    old, new = (format_amount(limit, "") for limit in (event.OldLimit, event.NewLimit))
    reason = f"credit limit changed from {old} to {new}"
    lowers = event.NewLimit < event.OldLimit
    return _of_customer(event, event.CustAccount, FinanceEventKind.CREDIT_LIMIT_CHANGED, reason, lowers=lowers)


def _blocked(body: Mapping[str, Any]) -> Report:
    event = _Blocked.read(body)
    reason = f"on-hold status is now {event.OnHoldStatus}"
    lowers = event.OnHoldStatus != NOT_BLOCKED
    return _of_customer(event, event.CustAccount, FinanceEventKind.CUSTOMER_BLOCKED, reason, lowers=lowers)


def _of_customer(event: _Event, account: str, kind: FinanceEventKind, reason: str, *, lowers: bool) -> Report:
    changed = CustomerChanged(event_id=event_ids.customer_fact(kind, event.EventId), reason=reason, lowers=lowers)
    return Report(company=event.company, customer_account=account, customer=changed)


_READERS: dict[str, Callable[[Mapping[str, Any]], Report]] = {
    "SalesInvoicePostedBusinessEvent": _invoiced,
    "Q2CPackingSlipPostedBusinessEvent": _shipped,
    "Q2CPackingSlipCorrectedBusinessEvent": _slip_corrected,
    "Q2CSalesOrderRemainderCancelledBusinessEvent": _remainder_cancelled,
    "Q2CSalesOrderChangedBusinessEvent": _lines_changed,
    "Q2CReturnOrderReceivedBusinessEvent": _returned,
    "Q2CCustPaymentPostedBusinessEvent": _paid,
    "Q2CCustPaymentReversedBusinessEvent": _reversed,
    "Q2CCustCreditLimitChangedBusinessEvent": _limit_changed,
    "Q2CCustBlockedBusinessEvent": _blocked,
}

FOLLOWED: tuple[str, ...] = tuple(_READERS)
"""Business events that are understood."""

OWN: frozenset[str] = frozenset({"SalesInvoicePostedBusinessEvent"})
"""Those of them that are Finance's own; the others are the product's extension."""
