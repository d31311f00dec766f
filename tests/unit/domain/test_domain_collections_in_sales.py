"""What the rep reads in Sales of what is collected: a text for each deal, one change at a time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import policies
from domain.approvals import BusinessHours
from domain.collections import Account, Dispute, Promise, Rest, WatchedInvoice
from domain.collections_in_sales import LONGEST, mark_of, texts_in_sales, to_show
from domain.people import Person

TODAY = date(2026, 12, 1)
CLEO = Person(oid="oid-cleo", name="cleo")
HOURS = BusinessHours(timezone="America/New_York", workdays=(0, 1, 2, 3, 4), opens="09:00", closes="17:00")
PLAN = policies.dunning().plan("usmf", HOURS)


def invoice(number: str, quote: str = "Q-1", **changes: Any) -> WatchedInvoice:
    fields: dict[str, Any] = {
        "number": number,
        "quote_number": quote,
        "due_on": TODAY - timedelta(days=20),
        "currency": "USD",
        "total": Decimal("1045.00"),
        "open_amount": Decimal("1045.00"),
        "as_of": datetime(2026, 12, 1, tzinfo=UTC),
    }
    return WatchedInvoice(**(fields | changes))


def account(*invoices: WatchedInvoice, **changes: Any) -> Account:
    return Account(company="usmf", account="US-001", invoices=invoices, **changes)


def test_each_deal_has_its_own_invoices_and_what_holds_them() -> None:
    dispute = Dispute(amount=Decimal(200), reason="two are missing", by=CLEO, on=TODAY)
    promise = Promise(amount=Decimal(1045), until=TODAY, by=CLEO, on=TODAY)
    found = texts_in_sales(
        account(
            invoice("A", level=1, reached_on=TODAY, dispute=dispute),
            invoice("B", promise=promise),
            invoice("C", "Q-2", level=4, reached_on=TODAY),
            invoice("D", "Q-3"),
            invoice("E", "", level=1),
            invoice("F", "Q-4", level=1, settled_at=datetime(2026, 12, 1, tzinfo=UTC)),
        ),
        PLAN,
        TODAY,
    )
    assert found == {
        "Q-1": f"A: reminder since {TODAY}; 200.00 USD disputed since {TODAY}: two are missing\n"
        f"B: 1,045.00 USD promised by {TODAY}",
        "Q-2": f"C: hand over since {TODAY}",
    }


def test_a_promise_counts_to_its_day_and_the_account_s_rest_for_each_invoice() -> None:
    promise = Promise(amount=Decimal(1045), until=TODAY - timedelta(days=1), by=CLEO, on=TODAY)
    rest = Rest(until=TODAY, reason="a transfer is on its way", by=CLEO, on=TODAY)
    assert texts_in_sales(account(invoice("A", promise=promise)), PLAN, TODAY) == {}
    rests = texts_in_sales(account(invoice("A", promise=promise), rest=rest), PLAN, TODAY)
    assert rests == {"Q-1": f"A: rests until {TODAY}: a transfer is on its way"}


def test_only_what_changed_is_shown_and_what_is_over_is_taken_back() -> None:
    open_ = account(invoice("A", level=1, reached_on=TODAY))
    quote, text = to_show(open_, PLAN, TODAY, {}) or ("", "")
    assert (quote, text) == ("Q-1", f"A: reminder since {TODAY}")
    shown = {quote: mark_of(text)}
    assert to_show(open_, PLAN, TODAY, shown) is None
    assert to_show(open_, PLAN, TODAY, {}, {"Q-1"}) is None, "put off"
    assert to_show(account(), PLAN, TODAY, shown) == ("Q-1", "")
    assert to_show(account(), PLAN, TODAY, {}) is None


def test_a_text_is_no_longer_than_sales_takes() -> None:
    dispute = Dispute(amount=Decimal(1), reason="x" * 1_000, by=CLEO, on=TODAY)
    many = account(*(invoice(f"A{n}", dispute=dispute) for n in range(50)))
    (text,) = texts_in_sales(many, PLAN, TODAY).values()
    assert len(text) == LONGEST and text.endswith("…")
