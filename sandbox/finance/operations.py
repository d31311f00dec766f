"""The operations of the posting service: request members in, the call in the books, answer members out."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from sandbox.finance import (
    charges,
    credit,
    freetext,
    invoicing,
    journals,
    letters,
    payments,
    receivables,
    returns,
    shipping,
)
from sandbox.finance.books import positive
from sandbox.finance.errors import PostingRefused
from sandbox.finance.invoice_journal import PostedInvoice
from sandbox.finance.model import EMPTY_DATE, day_stamp
from sandbox.finance.posting import Call, Operation
from sandbox.finance.writes import enter_free_text_invoice

Answer = Mapping[str, Any]


def _confirm(call: Call) -> Answer:
    number = shipping.confirm(
        call.books,
        call.company,
        call.text("SalesOrderId"),
        release=call.yes("ReleaseFromCreditHold"),
        reason=call.text("ReleaseReason"),
        user=call.user,
    )
    return {"ConfirmationNumber": number}


def _release(call: Call) -> Answer:
    order = call.books.order(call.company, call.text("SalesOrderId"))
    with call.books.db.transaction():
        credit.release(call.books, call.company, order, call.text("ReleaseReason"), call.user)
    return {}


def _pick(call: Call) -> Answer:
    lines = call.objects("Lines")
    return {"PickingListId": shipping.pick(call.books, call.company, call.text("SalesOrderId"), lines)}


def _unpick(call: Call) -> Answer:
    shipping.unpick(call.books, call.company, call.text("SalesOrderId"))
    return {}


def _packing_slip(call: Call) -> Answer:
    lines = call.objects("Lines")
    return {"PackingSlipId": shipping.packing_slip(call.books, call.company, call.text("SalesOrderId"), lines)}


def _cancel_packing_slip(call: Call) -> Answer:
    shipping.cancel_slip(call.books, call.company, call.text("PackingSlipId"), call.objects("Lines"))
    return {}


def _cancel_remainder(call: Call) -> Answer:
    shipping.cancel_remainder(call.books, call.company, call.text("SalesOrderId"), call.objects("Lines"))
    return {}


def _add_charge(call: Call) -> Answer:
    charges.add(call.books, call.company, call.text("SalesOrderId"), call.text("ChargeCode"), call.request.get("Value"))
    return {}


def _invoice(call: Call) -> Answer:
    several = call.texts("SalesOrderIds")
    if several:
        return _invoiced(invoicing.summary_invoice(call.books, call.company, several))
    lines = call.objects("Lines")
    return _invoiced(invoicing.invoice(call.books, call.company, call.text("SalesOrderId"), lines))


def _cancel_invoice(call: Call) -> Answer:
    reason = call.text("ReasonCode")
    return _invoiced(invoicing.cancel_invoice(call.books, call.company, call.text("InvoiceId"), reason))


def _credit_note(call: Call) -> Answer:
    posted = invoicing.credit_note(
        call.books,
        call.company,
        call.text("SalesOrderId"),
        call.text("InvoiceId"),
        call.objects("Lines"),
        call.text("ReasonCode"),
    )
    return _invoiced(posted)


def _free_text_invoice(call: Call) -> Answer:
    identifier = call.whole("InvoiceIdentifier")
    with call.books.db.transaction():
        if not identifier:
            identifier = enter_free_text_invoice(
                call.books,
                call.company,
                call.text("CustAccount"),
                call.text("CurrencyCode"),
                call.text("CustomerReference"),
                call.objects("Lines") or (),
            )
        return {"InvoiceIdentifier": identifier} | _invoiced(freetext.post(call.books, call.company, identifier))


def _invoiced(posted: PostedInvoice) -> dict[str, Any]:
    return {
        "InvoiceId": posted.number,
        "LedgerVoucher": posted.voucher,
        "InvoiceAmount": posted.total,
        "TaxAmount": posted.tax,
        "DueDate": day_stamp(posted.due),
    }


def _return_order(call: Call) -> Answer:
    number, rma = returns.announce(
        call.books, call.company, call.text("InvoiceId"), call.objects("Lines"), call.text("ReasonCode")
    )
    return {"ReturnOrderNumber": number, "RMANumber": rma}


def _receive_return(call: Call) -> Answer:
    number, lines = call.text("ReturnOrderNumber"), call.objects("Lines")
    return {"PackingSlipId": returns.receive(call.books, call.company, number, lines)}


def _credit_return(call: Call) -> Answer:
    return _invoiced(returns.credit(call.books, call.company, call.text("ReturnOrderNumber")))


def _cancel_return(call: Call) -> Answer:
    returns.cancel(call.books, call.company, call.text("ReturnOrderNumber"))
    return {}


def _payment(call: Call) -> Answer:
    amount = positive(call.request.get("Amount"))
    if amount is None:
        raise PostingRefused("The payment amount must be greater than zero.")
    if call.yes("IsPrepayment") and not call.text("SalesOrderId"):
        raise PostingRefused("A prepayment must name the sales order it is for.")
    money = payments.Money(
        account=call.text("CustAccount"),
        amount=amount,
        currency=call.text("CurrencyCode") or call.company.currency,
        reference=call.text("PaymentReference"),
        day=call.day("TransDate"),
        prepayment_of=call.text("SalesOrderId") if call.yes("IsPrepayment") else "",
    )
    return _paid(payments.pay(call.books, call.company, money, call.objects("Settlements") or ()))


def _reverse_payment(call: Call) -> Answer:
    return _paid(payments.reverse(call.books, call.company, call.text("PaymentId"), call.text("Reason")))


def _undo_settlement(call: Call) -> Answer:
    payments.undo_settlement(call.books, call.company, _credit_transaction(call))
    return {}


def _refund(call: Call) -> Answer:
    amount = positive(call.request.get("Amount"))
    if amount is None:
        raise PostingRefused("The refund amount must be greater than zero.")
    source = _credit_transaction(call)
    return _paid(payments.refund(call.books, call.company, source, amount, call.text("PaymentReference")))


def _post_journal(call: Call) -> Answer:
    payment = call.text("PaymentId")
    marked = [{"LineNumber": 1, "PaymentId": payment}] if payment else call.objects("Settlements") or ()
    vouchers = journals.post(call.books, call.company, call.text("JournalBatchNumber"), marked)
    return {"Vouchers": vouchers}


def _settle(call: Call) -> Answer:
    source = _credit_transaction(call)
    payments.settle_credit(call.books, call.company, source, call.objects("Settlements") or ())
    return {}


def _credit_transaction(call: Call) -> dict[str, Any]:
    """The payment or credit note a request names."""
    payment, note = call.text("PaymentId"), call.text("CreditNoteId")
    equal = {"PaymId": payment} if payment else {"Invoice": note}
    found = receivables.find_transaction(call.books, call.company, debit=False, **equal) if payment or note else None
    if found is None:
        raise PostingRefused(f"There is no payment or credit note {payment or note} in company {call.company.id}.")
    return found


def _paid(posted: payments.PostedPayment) -> dict[str, Any]:
    row = posted.transaction
    return {"JournalBatchNumber": posted.journal, "Voucher": row["Voucher"], "PaymentId": row["PaymId"]}


def _collection_letter(call: Call) -> Answer:
    number, amount = letters.send_letter(call.books, call.company, call.text("CustAccount"), call.whole("Level"))
    return {"CollectionLetterNumber": number, "Amount": amount}


_INVOICE_EMPTY: Final = {
    "InvoiceId": "",
    "LedgerVoucher": "",
    "InvoiceAmount": Decimal(0),
    "TaxAmount": Decimal(0),
    "DueDate": EMPTY_DATE,
}
_PAYMENT_EMPTY: Final = {"JournalBatchNumber": "", "Voucher": "", "PaymentId": ""}

OPERATIONS: Final[Mapping[str, Operation]] = {
    "confirm": Operation("Q2CConfirmContract", {"ConfirmationNumber": ""}, _confirm),
    "releaseCreditHold": Operation("Q2CReleaseCreditHoldContract", {}, _release),
    "pick": Operation("Q2CPickContract", {"PickingListId": ""}, _pick),
    "unpick": Operation("Q2CUnpickContract", {}, _unpick),
    "packingSlip": Operation("Q2CPackingSlipContract", {"PackingSlipId": ""}, _packing_slip),
    "cancelPackingSlip": Operation("Q2CCancelPackingSlipContract", {}, _cancel_packing_slip),
    "cancelRemainder": Operation("Q2CCancelRemainderContract", {}, _cancel_remainder),
    "addCharge": Operation("Q2CAddChargeContract", {}, _add_charge),
    "invoice": Operation("Q2CInvoiceContract", _INVOICE_EMPTY, _invoice),
    "cancelInvoice": Operation("Q2CCancelInvoiceContract", _INVOICE_EMPTY, _cancel_invoice),
    "creditNote": Operation("Q2CCreditNoteContract", _INVOICE_EMPTY, _credit_note),
    "freeTextInvoice": Operation(
        "Q2CFreeTextInvoiceContract", _INVOICE_EMPTY | {"InvoiceIdentifier": 0}, _free_text_invoice
    ),
    "returnOrder": Operation("Q2CReturnOrderContract", {"ReturnOrderNumber": "", "RMANumber": ""}, _return_order),
    "receiveReturn": Operation("Q2CReceiveReturnContract", {"PackingSlipId": ""}, _receive_return),
    "creditReturn": Operation("Q2CCreditReturnContract", _INVOICE_EMPTY, _credit_return),
    "cancelReturn": Operation("Q2CCancelReturnContract", {}, _cancel_return),
    "payment": Operation("Q2CPaymentContract", _PAYMENT_EMPTY, _payment),
    "postPaymentJournal": Operation("Q2CPostPaymentJournalContract", {"Vouchers": []}, _post_journal),
    "settle": Operation("Q2CSettleContract", {}, _settle),
    "undoSettlement": Operation("Q2CUndoSettlementContract", {}, _undo_settlement),
    "reversePayment": Operation("Q2CReversePaymentContract", _PAYMENT_EMPTY, _reverse_payment),
    "refund": Operation("Q2CRefundContract", _PAYMENT_EMPTY, _refund),
    "collectionLetter": Operation(
        "Q2CCollectionLetterContract", {"CollectionLetterNumber": "", "Amount": Decimal(0)}, _collection_letter
    ),
}
