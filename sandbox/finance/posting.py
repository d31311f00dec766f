"""The posting service: a customer's own X++ service, because standard OData has no action that posts.

`POST /api/services/Q2CServiceGroup/Q2CPostingService/{operation}` with the arguments under `_request`. A business
refusal is answered 200 with `Success` false and the infolog text; a request X++ cannot deserialize is a 500. Every
answer has the operation's members, empty when it failed, and `$id` as the X++ serializer writes it.
Source: Microsoft Learn, "Custom service development" (finance and operations).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from sandbox.finance import invoicing, payments, shipping
from sandbox.finance.books import Books, Company, positive
from sandbox.finance.errors import PostingRefused
from sandbox.finance.model import day_stamp

GROUP: Final = "Q2CServiceGroup"
SERVICE: Final = "Q2CPostingService"


class BadServiceRequest(Exception):
    """The request cannot be deserialized into the operation's data contract: HTTP 500."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the service.

    Attributes:
        contract: X++ type of its request, for the description of the operation.
        answer: Members of its answer beside Success, ErrorMessage and DebugMessage, with their empty values.
        run: Books, company, request, user -> the members' values.
    """

    contract: str
    answer: Mapping[str, Any]
    run: Callable[[Books, Company, Mapping[str, Any], str], Mapping[str, Any]]


def run_operation(books: Books, operation: Operation, request: Any, user: str) -> dict[str, Any]:
    """Run an operation and answer as the service does.

    Args:
        books: Where to book.
        operation: One of `OPERATIONS`.
        request: The object sent as `_request`.
        user: Who calls, for the release of credit holds.

    Raises:
        BadServiceRequest: The request does not have the contract's types.
    """
    if not isinstance(request, Mapping):
        raise BadServiceRequest("Parameter '_request' is missing or is not an object.")
    empty = {"$id": "1", "Success": False, "ErrorMessage": "", "DebugMessage": "", **operation.answer}
    try:
        company = books.company(text(request, "DataAreaId"))
        members = operation.run(books, company, request, user)
    except PostingRefused as refusal:
        return empty | {"ErrorMessage": str(refusal)}
    return empty | {"Success": True, **members}


def text(request: Mapping[str, Any], name: str) -> str:
    """A text member of a request; empty when it is absent.

    Raises:
        BadServiceRequest: It is not text.
    """
    value = request.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadServiceRequest(f"Member '{name}' must be a string.")
    return value


def _objects(request: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]] | None:
    """A list of objects; None when it is absent."""
    value = request.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise BadServiceRequest(f"Member '{name}' must be a list of objects.")
    return value


def _day(request: Mapping[str, Any], name: str) -> date | None:
    value = text(request, name)
    if not value:
        return None
    try:
        return date.fromisoformat(value[:10])
    except ValueError as problem:
        raise BadServiceRequest(f"Member '{name}' must be a date.") from problem


def _confirm(books: Books, company: Company, request: Mapping[str, Any], user: str) -> Mapping[str, Any]:
    release = text(request, "ReleaseFromCreditHold") or "No"
    if release not in ("Yes", "No"):
        raise BadServiceRequest("Member 'ReleaseFromCreditHold' must be Yes or No.")
    number = shipping.confirm(
        books,
        company,
        text(request, "SalesOrderId"),
        release=release == "Yes",
        reason=text(request, "ReleaseReason"),
        user=user,
    )
    return {"ConfirmationNumber": number}


def _pick(books: Books, company: Company, request: Mapping[str, Any], user: str) -> Mapping[str, Any]:
    lines = _objects(request, "Lines")
    return {"PickingListId": shipping.pick(books, company, text(request, "SalesOrderId"), lines)}


def _packing_slip(books: Books, company: Company, request: Mapping[str, Any], user: str) -> Mapping[str, Any]:
    lines = _objects(request, "Lines")
    return {"PackingSlipId": shipping.packing_slip(books, company, text(request, "SalesOrderId"), lines)}


def _invoice(books: Books, company: Company, request: Mapping[str, Any], user: str) -> Mapping[str, Any]:
    lines = _objects(request, "Lines")
    return _invoice_answer(invoicing.invoice(books, company, text(request, "SalesOrderId"), lines))


def _credit_note(books: Books, company: Company, request: Mapping[str, Any], user: str) -> Mapping[str, Any]:
    order, invoice = text(request, "SalesOrderId"), text(request, "InvoiceId")
    return _invoice_answer(invoicing.credit_note(books, company, order, invoice, _objects(request, "Lines")))


def _invoice_answer(posted: invoicing.PostedInvoice) -> Mapping[str, Any]:
    return {
        "InvoiceId": posted.number,
        "LedgerVoucher": posted.voucher,
        "InvoiceAmount": posted.total,
        "TaxAmount": posted.tax,
        "DueDate": day_stamp(posted.due),
    }


def _cancel_remainder(books: Books, company: Company, request: Mapping[str, Any], user: str) -> Mapping[str, Any]:
    shipping.cancel_remainder(books, company, text(request, "SalesOrderId"), _objects(request, "Lines"))
    return {}


def _payment(books: Books, company: Company, request: Mapping[str, Any], user: str) -> Mapping[str, Any]:
    amount = positive(request.get("Amount"))
    if amount is None:
        raise PostingRefused("The payment amount must be greater than zero.")
    posted = payments.pay(
        books,
        company,
        account=text(request, "CustAccount"),
        amount=amount,
        currency=text(request, "CurrencyCode") or company.currency,
        reference=text(request, "PaymentReference"),
        day=_day(request, "TransDate"),
        settlements=_objects(request, "Settlements") or (),
    )
    return _payment_answer(posted)


def _reverse_payment(books: Books, company: Company, request: Mapping[str, Any], user: str) -> Mapping[str, Any]:
    return _payment_answer(payments.reverse(books, company, text(request, "PaymentId"), text(request, "Reason")))


def _payment_answer(posted: payments.PostedPayment) -> Mapping[str, Any]:
    return {"JournalBatchNumber": posted.journal, "Voucher": posted.voucher, "PaymentId": posted.payment_id}


_INVOICE_EMPTY: Final = {
    "InvoiceId": "",
    "LedgerVoucher": "",
    "InvoiceAmount": Decimal(0),
    "TaxAmount": Decimal(0),
    "DueDate": "1900-01-01T12:00:00Z",
}
_PAYMENT_EMPTY: Final = {"JournalBatchNumber": "", "Voucher": "", "PaymentId": ""}

OPERATIONS: Final[Mapping[str, Operation]] = {
    "confirm": Operation("Q2CConfirmContract", {"ConfirmationNumber": ""}, _confirm),
    "pick": Operation("Q2CPickContract", {"PickingListId": ""}, _pick),
    "packingSlip": Operation("Q2CPackingSlipContract", {"PackingSlipId": ""}, _packing_slip),
    "invoice": Operation("Q2CInvoiceContract", _INVOICE_EMPTY, _invoice),
    "payment": Operation("Q2CPaymentContract", _PAYMENT_EMPTY, _payment),
    "reversePayment": Operation("Q2CReversePaymentContract", _PAYMENT_EMPTY, _reverse_payment),
    "creditNote": Operation("Q2CCreditNoteContract", _INVOICE_EMPTY, _credit_note),
    "cancelRemainder": Operation("Q2CCancelRemainderContract", {}, _cancel_remainder),
}
