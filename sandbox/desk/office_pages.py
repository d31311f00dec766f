"""The back office's page: one form for each operation of Finance's posting service.

The forms are data: what each asks for, and how a text of the form becomes a member of the request. Fields that the
address names (`/ui/office?company=usmf&SalesOrderId=…`) are filled in, so that an order's page can lead here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sandbox.desk.finance_desk import FinanceDesk, numbers
from sandbox.desk.requests import DeskError

_PAIR = re.compile(r"\s*([^\s:,]+)\s*:\s*([^\s:,]+)\s*")


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a form: the request's member, what to call it, and an example."""

    name: str
    label: str
    example: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """A form: its operation, its title (the first word is the button), its fields, and what is said afterwards."""

    operation: str
    title: str
    fields: tuple[Field, ...]
    done: str


_ORDER = Field("SalesOrderId", "Order")
_INVOICE = Field("InvoiceId", "Invoice")
_LINES = Field("Lines", "Lines and quantities, empty for all", "1:2, 3:10")
_REASON = Field("ReasonCode", "Reason code", "DEFECT")
_CUSTOMER = Field("CustAccount", "Customer", "US-001")
_SETTLEMENTS = Field("Settlements", "Invoices and amounts", "CIV-000001:100.00")
_PAYMENT = Field("PaymentId", "Payment", "PAY-000001")
_AMOUNT = Field("Amount", "Amount")

FORMS: Final[tuple[Form, ...]] = (
    Form("confirm", "Confirm an order", (_ORDER,), "Confirmed."),
    Form(
        "releaseCreditHold",
        "Release an order from credit hold",
        (_ORDER, Field("ReleaseReason", "Reason")),
        "Released from credit hold.",
    ),
    Form(
        "addCharge",
        "Add a charge to an order",
        (_ORDER, Field("ChargeCode", "Code", "FREIGHT"), Field("Value", "Amount")),
        "Charge added.",
    ),
    Form(
        "cancelPackingSlip",
        "Correct or cancel a packing slip",
        (
            Field("PackingSlipId", "Packing slip"),
            Field("Lines", "Lines and corrected quantities, empty to cancel", "1:7"),
        ),
        "Packing slip corrected.",
    ),
    Form(
        "invoice",
        "Invoice several orders together",
        (Field("SalesOrderIds", "Orders", "000001, 000002"),),
        "Invoice posted.",
    ),
    Form("creditNote", "Credit an invoice", (_INVOICE, _LINES, _REASON), "Credit note posted."),
    Form("cancelInvoice", "Cancel an invoice", (_INVOICE, _REASON), "Invoice cancelled."),
    Form("returnOrder", "Create a return order", (_INVOICE, _LINES, _REASON), "Return order created."),
    Form(
        "receiveReturn",
        "Receive a return",
        (Field("ReturnOrderNumber", "Return order", "RO-000001"), _LINES),
        "Return received.",
    ),
    Form(
        "creditReturn",
        "Credit a return",
        (Field("ReturnOrderNumber", "Return order", "RO-000001"),),
        "Credit note posted.",
    ),
    Form(
        "cancelReturn",
        "Cancel a return",
        (Field("ReturnOrderNumber", "Return order", "RO-000001"),),
        "Return order cancelled.",
    ),
    Form(
        "freeTextInvoice",
        "Post a free text invoice",
        (
            _CUSTOMER,
            Field("Description", "Description"),
            Field("Quantity", "Quantity", "1"),
            Field("UnitPrice", "Unit price"),
        ),
        "Free text invoice posted.",
    ),
    Form("payment", "Post a payment for several invoices", (_CUSTOMER, _AMOUNT, _SETTLEMENTS), "Payment posted."),
    Form("prepayment", "Post a prepayment", (_CUSTOMER, _ORDER, _AMOUNT), "Prepayment posted."),
    Form(
        "settle",
        "Settle a payment or credit note",
        (_PAYMENT, Field("CreditNoteId", "or credit note", "CCN-000001"), _SETTLEMENTS),
        "Settled.",
    ),
    Form(
        "refund",
        "Refund a payment or credit note",
        (_PAYMENT, Field("CreditNoteId", "or credit note", "CCN-000001"), _AMOUNT),
        "Refund posted.",
    ),
    Form(
        "postPaymentJournal",
        "Post a payment journal",
        (Field("JournalBatchNumber", "Journal", "000001"), Field("PaymentId", "payment it pays back", "PAY-000001")),
        "Journal posted.",
    ),
    Form("reversePayment", "Reverse a payment", (_PAYMENT, Field("Reason", "Reason", "Bounced")), "Payment reversed."),
    Form("undoSettlement", "Undo what a payment settles", (_PAYMENT,), "Settlements undone."),
    Form(
        "collectionLetter",
        "Send a collection letter",
        (_CUSTOMER, Field("Level", "Level, 1 to 5", "1")),
        "Collection letter sent.",
    ),
    Form(
        "changeLine",
        "Change an order line",
        (_ORDER, Field("LineNumber", "Line", "1"), Field("Quantity", "New quantity")),
        "Line changed.",
    ),
)
"""Every form of the page, in its order."""


def submit(desk: FinanceDesk, name: str, form: Mapping[str, str]) -> str:
    """Run a form; the sentence to say.

    Raises:
        DeskError: There is no such form, a field is not readable, or Finance refuses.
    """
    found = next((entry for entry in FORMS if entry.operation == name), None)
    if found is None:
        raise DeskError(f"there is no {name}", status=404)
    company = form.get("company", "").strip().lower()
    members = {
        field.name: _value(field, form[field.name]) for field in found.fields if form.get(field.name, "").strip()
    }
    if name == "changeLine":
        sent = numbers(members)
        if not {"SalesOrderId", "LineNumber", "Quantity"} <= sent.keys():
            raise DeskError("order, line and quantity are needed")
        desk.change_line(company, sent["SalesOrderId"], sent["LineNumber"], sent["Quantity"])
        return found.done
    answer = desk.post(company, "payment" if name == "prepayment" else name, _request(name, members))
    number = next((str(value) for value in answer.values() if value), "")
    return f"{found.done[:-1]}: {number}." if number else found.done


def _request(name: str, members: dict[str, Any]) -> dict[str, Any]:
    if name == "prepayment":
        return members | {"IsPrepayment": "Yes"}
    if name == "freeTextInvoice":
        line = {key: members[key] for key in ("Description", "Quantity", "UnitPrice") if key in members}
        return {"CustAccount": members.get("CustAccount", ""), "Lines": [line]}
    return members


def _value(field: Field, text: str) -> Any:
    if field.name == "SalesOrderIds":
        return [part for part in re.split(r"[\s,]+", text.strip()) if part]
    if field.name not in ("Lines", "Settlements"):
        return text.strip()
    key, amount = ("LineNumber", "Quantity") if field.name == "Lines" else ("InvoiceId", "Amount")
    pairs = [_PAIR.fullmatch(part) for part in text.split(",")]
    if not all(pairs):
        raise DeskError(f"must read like {field.example}", field=field.name)
    return [{key: pair[1], amount: pair[2]} for pair in pairs if pair]
