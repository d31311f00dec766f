"""What is open of an account, handed on: nothing that is known is ever lost, and the rest is bounded."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from activities.collecting import MOST_OTHERS, handed_on
from domain.collections import MOST_TOLD
from domain.fulfilment import Invoice
from dynamics.core.errors import System
from dynamics.finance.receivables import Addressee, OpenDocument
from tests.deals import T0, TO_ORDER, new_deal, put
from workflows.quote_to_cash.collecting import told_to_account


def document(amount: str, invoice: str = "", *, due: date = date(2026, 12, 1), currency: str = "USD") -> OpenDocument:
    posted = {"AccountNum": "A", "Invoice": invoice, "CurrencyCode": currency, "AmountCur": Decimal(amount)}
    row: dict[str, Any] = {
        "AccountNum": "A",
        "AmountCur": Decimal(amount),
        "AmountMST": Decimal(amount),
        "DueDate": f"{due}T12:00:00Z",
        "CustTransaction": posted | {"DueDate": f"{due}T12:00:00Z"},
    }
    return OpenDocument.read(row, system=System.FINANCE, operation="test")


def test_what_is_known_comes_first_and_payments_are_added_up() -> None:
    last = date(2027, 12, 1)
    others = [document("5", f"N-{n:04}", due=date(2026, 1, 1) + timedelta(days=n)) for n in range(MOST_OTHERS + 7)]
    found = [*others, document("10", "known", due=last), document("-3"), document("-4"), document("-1", currency="EUR")]
    items, left_out = handed_on(found, ["KNOWN"])
    assert (items[0].invoice, items[0].due_on, left_out) == ("known", last, 7)
    assert [(i.currency, i.open_amount) for i in items if i.open_amount < 0] == [
        ("EUR", Decimal(-1)),
        ("USD", Decimal(-7)),
    ]
    assert len(items) == 1 + MOST_OTHERS + 2
    nothing = document("1", "X").model_copy(update={"transaction": None})
    assert handed_on([nothing, document("1")], []) == ((), 0), "what has no invoice cannot be asked for"


def test_an_address_has_no_empty_lines() -> None:
    row = {"CustomerAccount": "A", "AddressStreet": "1 Main St\nHall 2", "AddressCity": "Salem", "AddressState": None}
    assert Addressee.read(row, system=System.FINANCE, operation="test").lines == ("1 Main St", "Hall 2", "Salem")


def test_a_deal_tells_who_is_billed_what_can_be_collected_and_counts_the_rest() -> None:
    state = put(new_deal(), *TO_ORDER)

    def invoice(number: str, **other: Any) -> Invoice:
        fields = {"invoiced_on": T0, "due_on": None, "currency": "USD", "net": 1, "tax": 0, "total": 1}
        return Invoice.model_validate({"invoice_number": number, "open_amount": 1, **fields, **other})

    many = [invoice(f"I-{n}") for n in range(MOST_TOLD + 3)]
    news = told_to_account(replace(state, finance_read_at=T0), [*many, invoice("")])
    assert news is not None
    assert (news.account, news.quote_number, len(news.invoices), news.more) == ("US-001", "Q-1", MOST_TOLD, 4)
    assert news.invoices[0].due_on == T0.date(), "without a due date it is due when it was posted"
    assert told_to_account(state, [invoice(""), invoice("x", currency="")]) is None
    assert told_to_account(new_deal(), many) is None, "nobody knows who is billed"
