"""After the end of a deal: what stands open, when it is settled, and that every report is counted."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain import after_end_book
from domain.after_end import (
    EndedDeal,
    FoundAfterEnd,
    LateReport,
    LateStatus,
    LookAfterEnd,
    Matter,
    changed_documents,
    findings,
)
from domain.after_end_book import Book, BookState, Tally
from domain.after_end_said import said_to_after_end
from domain.messages import FinanceEvent, FinanceEventKind, SalesEvent, SalesEventKind
from domain.people import Person
from domain.views import Ending
from tests.rights import said

T0 = datetime(2026, 11, 27, 9, tzinfo=UTC)
AMY = Person(oid="oid-amy", name="amy", roles=("ar_manager.usmf",))
MONEY = (Matter.MONEY,)
KNOWN = {"INV-1": Decimal(0)}


def ended(quote: str = "Q-1", ending: Ending = Ending.CLOSED) -> EndedDeal:
    return EndedDeal(
        company="usmf",
        quote_number=quote,
        quote_id="8c1f2a60-0000-0000-0000-000000000001",
        order_number="SO-1",
        currency="USD",
        owner=Person(oid="oid-rita", name="rita"),
        ending=ending,
        ended_at=T0,
    )


def report(quote: str = "Q-1", kind: FinanceEventKind = FinanceEventKind.PAYMENT_REVERSED, n: int = 1) -> LateReport:
    event = FinanceEvent(event_id=f"finance/{kind}/{n}", kind=kind, company="usmf", order_number="SO-1", occurred_at=T0)
    return LateReport(quote_number=quote, event=event)


def sales_report(kind: SalesEventKind, quote: str = "Q-1") -> LateReport:
    event = SalesEvent(
        event_id=f"dv/{kind}",
        kind=kind,
        company="usmf",
        quote_number=quote,
        quote_id="1",
        revision=0,
        occurred_at=T0,
    )
    return LateReport(quote_number=quote, event=event)


def found(quote: str = "Q-1", known: dict[str, Decimal] | None = None, **left: str) -> FoundAfterEnd:
    """Documents of 1,100.00 each with so much open; `CN_1` is a credit note."""
    documents = changed_documents(
        KNOWN if known is None else known,
        (
            (name.replace("_", "-"), Decimal("-1100" if name.startswith("CN") else "1100"), Decimal(open_), "USD")
            for name, open_ in left.items()
        ),
    )
    standing = sum((d.open_amount for d in documents if d.stands_open), Decimal(0))
    return FoundAfterEnd(deal=ended(quote), known=KNOWN, documents=documents, open_amount=standing)


def looked(book: Book, what: FoundAfterEnd, now: datetime = T0) -> list[Any]:
    look = book.due(now)
    assert look is not None
    return book.looked(look, what, now)


def assert_balanced(book: Book) -> None:
    tally = book.tally
    assert tally[Tally.RECEIVED] == sum(n for name, n in tally.items() if name != Tally.RECEIVED), tally


# What stands open


@pytest.mark.parametrize(
    ("left", "codes"),
    [
        ({"INV_1": "1100"}, ["PAYMENT_REVERSED_AFTER_END"]),
        ({"INV_1": "0", "INV_2": "1100"}, ["INVOICE_AFTER_END"]),
        ({"INV_1": "0", "CN_1": "-220"}, ["CREDIT_NOTE_AFTER_END"]),
        ({"INV_1": "0", "INV_2": "0"}, []),
        ({"INV_1": "0"}, []),
        ({"INV_1": "10", "CN_1": "-220"}, ["CREDIT_NOTE_AFTER_END", "PAYMENT_REVERSED_AFTER_END"]),
    ],
)
def test_what_is_open_that_was_not_when_the_deal_ended_stands_open(left: dict[str, str], codes: list[str]) -> None:
    finding = findings(found("Q-1", None, **left), MONEY)[Matter.MONEY]

    assert sorted(finding.codes if finding else []) == codes
    if finding:
        assert finding.open_amount == sum(Decimal(amount) for amount in left.values())
        assert all(name.replace("_", "-") in finding.text for name, amount in left.items() if amount != "0")


def test_what_was_open_when_the_deal_was_aborted_is_no_news() -> None:
    still = found(known={"INV-1": Decimal(1100)}, INV_1="1100")
    less = found(known={"INV-1": Decimal(1100)}, INV_1="400")

    assert findings(still, MONEY)[Matter.MONEY] is None
    assert findings(less, MONEY)[Matter.MONEY] is None


def test_what_sales_does_not_take_stands_open_though_nothing_is_owed() -> None:
    refused = found(INV_1="0").model_copy(update={"not_shown": "the order was deleted"})

    finding = findings(refused, MONEY)[Matter.MONEY]

    assert finding is not None
    assert (finding.codes, "the order was deleted" in finding.text) == (("NOT_SHOWN_AFTER_END",), True)


@pytest.mark.parametrize(
    ("kind", "matter", "code"),
    [
        (SalesEventKind.ORDER_CANCELLED, Matter.SALES_ORDER, "ORDER_CANCELLED_AFTER_END"),
        (SalesEventKind.OPPORTUNITY_REOPENED, Matter.OPPORTUNITY, "OPPORTUNITY_REOPENED_AFTER_END"),
        (SalesEventKind.REVISED, Matter.QUOTE, "QUOTE_CHANGED_AFTER_END"),
    ],
)
def test_what_changed_in_sales_stands_open_until_it_is_as_it_was(
    kind: SalesEventKind, matter: Matter, code: str
) -> None:
    book = Book("usmf")
    book.receive(sales_report(kind), T0)

    (opened,) = looked(book, FoundAfterEnd(deal=ended(), in_sales=(matter,)))
    assert (opened.codes, opened.role) == ((code,), "sales_manager")
    (closed,) = looked(book, FoundAfterEnd(deal=ended()), T0 + timedelta(days=1))

    assert closed.status is LateStatus.SETTLED
    assert_balanced(book)


# What becomes of reports


def test_a_reversed_payment_stands_open_until_it_is_paid_again() -> None:
    book = Book("usmf")
    assert book.receive(report(), T0) is Tally.WAITING
    assert book.receive(report(), T0) is Tally.DUPLICATE, "told by the event, and by the sweep"
    (opened,) = looked(book, found(INV_1="1100"))
    assert (opened.n, opened.role, opened.open_amount) == (1, "ar_manager", 1100)
    assert book.due(T0 + timedelta(hours=23)) is None
    assert book.tally[Tally.OPEN] == 1

    assert book.receive(report(kind=FinanceEventKind.PAYMENT_POSTED), T0) is Tally.WAITING
    (closed,) = looked(book, found(INV_1="0"))

    assert (closed.n, closed.status, closed.closed_by) == (1, LateStatus.SETTLED, None)
    assert book.tally == {
        **dict.fromkeys(map(str, Tally), 0),
        "received": 3,
        "duplicate": 1,
        "settled": 2,
    }
    assert_balanced(book)


def test_a_payment_of_a_deal_of_which_nothing_is_open_needs_no_look() -> None:
    book = Book("usmf")

    assert book.receive(report(kind=FinanceEventKind.PAYMENT_POSTED), T0) is Tally.SETTLED
    assert book.due(T0) is None
    assert_balanced(book)


def test_one_look_serves_all_that_was_reported_and_what_comes_meanwhile_is_looked_at_again() -> None:
    book = Book("usmf")
    book.receive(report(n=1), T0)
    book.receive(report(n=2), T0)
    look = book.due(T0)
    assert look is not None
    book.receive(report(n=3), T0)  # Finance had been read when this happened
    book.looked(look, found(INV_1="0"), T0)

    assert book.tally[Tally.WAITING] == 1
    (opened,) = looked(book, found(INV_1="1100"))
    assert (opened.reports, book.tally[Tally.SETTLED]) == (1, 2)
    assert_balanced(book)


def test_what_a_person_dismissed_stays_dismissed_until_it_is_something_else() -> None:
    book = Book("usmf")
    book.receive(report(n=1), T0)
    looked(book, found(INV_1="1100"))
    assert book.dismiss(2, AMY, "there is no such number", T0) is None
    closed = book.dismiss(1, AMY, "written off", T0)
    assert closed is not None and (closed.reason, closed.closed_by) == ("written off", AMY)
    assert book.dismiss(1, AMY, "twice", T0) is None

    book.receive(report(n=2), T0)
    assert looked(book, found(INV_1="1100")) == []
    book.receive(report(n=3), T0)
    (anew,) = looked(book, found(INV_1="1100", CN_1="-220"))

    assert (anew.n, book.tally[Tally.DISMISSED], book.tally[Tally.OPEN]) == (2, 2, 1)
    assert_balanced(book)


def test_a_deal_that_left_nothing_to_compare_is_a_persons_until_it_can_be_compared() -> None:
    book = Book("usmf")
    book.receive(report(), T0)
    (opened,) = looked(book, FoundAfterEnd(nothing="Temporal keeps no run of deal Q-1 any more."))
    assert (opened.codes, opened.role, opened.deal.quote_number) == (("NOTHING_TO_COMPARE",), "ops", "Q-1")

    changed = looked(book, found(INV_1="1100"), T0 + timedelta(days=1))

    assert [(e.matter, e.status) for e in changed] == [
        (Matter.MONEY, LateStatus.OPEN),
        (Matter.UNKNOWN, LateStatus.SETTLED),
    ]
    assert_balanced(book)


def test_a_quote_whose_deal_runs_again_is_that_deals() -> None:
    book = Book("usmf")
    book.receive(report(), T0)

    assert looked(book, FoundAfterEnd(running=True)) == []
    assert book.tally[Tally.SETTLED] == 1
    assert_balanced(book)


def test_a_look_that_fails_is_taken_again_ever_less_often_and_nothing_is_lost() -> None:
    book, now, waits = Book("usmf"), T0, []
    book.receive(report(), now)
    for _ in range(12):
        assert book.due(now) is not None
        book.failed("Q-1", now)
        assert book.next_at is not None
        waits.append(book.next_at - now)
        now = book.next_at

    assert waits == sorted(waits) and waits[0] == timedelta(seconds=5) and waits[-1] == timedelta(minutes=10)
    assert looked(book, found(INV_1="1100"), now)
    assert_balanced(book)


def test_however_much_is_reported_what_is_kept_is_bounded_and_what_is_not_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(after_end_book, "MOST_WAITING", 20)
    monkeypatch.setattr(after_end_book, "MOST_OPEN", 5)
    monkeypatch.setattr(after_end_book, "MOST_CLOSED", 3)
    chance, book, now = random.Random(7), Book("usmf"), T0
    for n in range(600):
        now += timedelta(seconds=chance.randint(0, 100))
        match chance.randint(0, 9):
            case 0 | 1 | 2 | 3 | 4 | 5:
                kind = chance.choice([FinanceEventKind.PAYMENT_REVERSED, FinanceEventKind.PAYMENT_POSTED])
                book.receive(report(f"Q-{chance.randint(0, 40)}", kind, chance.randint(0, n)), now)
            case 6:
                book.unreadable()
            case 7:
                book.dismiss(chance.randint(1, 30), AMY, "chance", now)
            case 8 if (look := book.due(now)) is not None:
                left = chance.choice(["0", "0", "1100", "400"])
                if chance.random() < 0.2:
                    book.receive(report(look.quote_number, n=1_000 + n), now)
                book.looked(look, found(look.quote_number, INV_1=left), now)
            case _:
                book = Book("usmf", BookState.model_validate_json(book.state.model_dump_json()))
        assert_balanced(book)
        standing = [entry for entry in book.entries if entry.is_open]
        assert len(standing) <= 5 and len(book.entries) <= 8 and len(book.state.pending) <= 20

    assert all(book.tally[name] for name in (Tally.FULL, Tally.DUPLICATE, Tally.SETTLED, Tally.DISMISSED))


def test_what_was_open_at_the_end_is_kept_so_that_a_look_needs_no_run() -> None:
    book = Book("usmf")
    book.receive(report(), T0)
    looked(book, found(INV_1="1100"))

    assert book.due(T0 + timedelta(days=1)) == LookAfterEnd(
        company="usmf", quote_number="Q-1", deal=ended(), known=KNOWN, matters=MONEY
    )


# What people say


@pytest.mark.parametrize(
    ("person", "name", "args", "code"),
    [
        (AMY, "dismiss_late", {"n": 1, "reason": "written off"}, None),
        (AMY, "dismiss_late", {"n": "1", "reason": "  "}, "BAD_ARGUMENT"),
        (AMY, "dismiss_late", {"n": 1, "reason": "x" * 1_001}, "BAD_ARGUMENT"),
        (AMY, "dismiss_late", {"n": 0, "reason": "why"}, "BAD_ARGUMENT"),
        (AMY, "dismiss_late", {"reason": "why"}, "BAD_ARGUMENT"),
        (AMY, "delegate", {"n": 1, "reason": "why"}, "UNKNOWN_COMMAND"),
        (Person(oid="oid-rita", roles=("sales_rep.usmf",)), "dismiss_late", {"n": 1, "reason": "why"}, "NO_AUTHORITY"),
        (Person(oid="oid-amy", roles=("ar_manager.demf",)), "dismiss_late", {"n": 1, "reason": "why"}, "NO_AUTHORITY"),
    ],
)
def test_who_may_dismiss_has_to_say_why(person: Person, name: str, args: dict[str, Any], code: str | None) -> None:
    verdict = said_to_after_end(said(person, name, args, company="usmf", at=T0, message_id="m-1"))

    assert verdict.code == code
    if code is None:
        assert (verdict.n, verdict.reason) == (1, "written off")
