"""What no deal takes: one exception for each record, offered again, left by success or by a person, never lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from domain.after_end import LateStatus, Matter
from domain.after_end_book import MOST_OPEN, Book, Tally
from domain.feeds import MOST_TO_HAND_OVER, FeedCursor, Look, Reports, typed_order, unrouted_event
from domain.messages import FinanceEvent, FinanceEventKind
from domain.people import Person
from domain.unclaimed import MORE, MOST_OFFERED, OFFER_AGAIN, Taken, Unclaimed

T0 = datetime(2026, 11, 27, 9, tzinfo=UTC)
OTTO = Person(oid="oid-otto", name="Otto")


def event(n: int = 1, order: str = "000123") -> FinanceEvent:
    kind = FinanceEventKind.INVOICE_POSTED
    return FinanceEvent(event_id=f"finance/{kind}/{n}", kind=kind, company="usmf", order_number=order, occurred_at=T0)


def report(n: int = 1, order: str = "000123") -> Unclaimed:
    return Unclaimed.of(unrouted_event(event(n, order), T0, "No deal of this order is to be found"), "usmf")


def balanced(book: Book) -> bool:
    tally = dict(book.tally)
    return tally.pop(Tally.RECEIVED) == sum(tally.values())


def test_what_is_reported_of_one_record_is_one_exception_with_owner_cause_and_help() -> None:
    book = Book("usmf")
    opened = book.receive_unclaimed(report(1), T0)
    assert opened is not None
    assert (opened.matter, opened.role, opened.codes) == (Matter.UNCLAIMED, "ops", ("NO_DEAL",))
    assert (opened.reference, opened.opened_at) == ("000123", T0) and "by hand" in opened.help
    for n in range(2, 2 * MOST_OFFERED):
        assert book.receive_unclaimed(report(n), T0) is None
    assert book.receive_unclaimed(report(1), T0) is None, "heard before"
    (entry,) = book.entries
    assert entry.reports == 2 * MOST_OFFERED - 1 and len(entry.again) == MOST_OFFERED
    assert book.tally[Tally.DUPLICATE] == 1 and balanced(book)


def test_it_is_offered_to_the_deals_each_hour_and_leaves_when_one_takes_it() -> None:
    book = Book("usmf")
    book.receive_unclaimed(report(1), T0)
    assert book.to_offer(T0) is None and book.next_at == T0 + OFFER_AGAIN
    offer = book.to_offer(T0 + OFFER_AGAIN)
    assert offer is not None and offer.exceptions == {1: (event(1),)}
    assert book.offered(offer, Taken(), T0 + OFFER_AGAIN) == [] and book.next_at == T0 + 2 * OFFER_AGAIN

    book.receive_unclaimed(report(2), T0)
    assert book.offered(offer, Taken(numbers=(1,)), T0) == [], "what was reported meanwhile was not offered"

    (settled,) = book.offered(book.to_offer(T0 + 3 * OFFER_AGAIN) or offer, Taken(numbers=(1,)), T0)
    assert settled.status is LateStatus.SETTLED and book.next_at is None
    assert book.tally[Tally.SETTLED] == 2 and balanced(book)


def test_a_person_dismisses_it_and_nothing_else_takes_it_away() -> None:
    book = Book("usmf")
    book.receive_unclaimed(report(1), T0)
    assert book.due(T0 + timedelta(days=9)) is None, "it is no deal's, and not compared with anything"
    book = Book("usmf", book.state)
    closed = book.dismiss(1, OTTO, "ordered by phone", T0)
    assert closed is not None and (closed.closed_by, closed.reason) == (OTTO, "ordered by phone")
    assert balanced(book) and book.tally[Tally.DISMISSED] == 1


def test_what_only_a_person_can_settle_is_not_offered() -> None:
    book = Book("usmf")
    typed = typed_order(event(), T0, "Q-1").model_copy(update={"again": None})
    opened = book.receive_unclaimed(Unclaimed.of(typed, "usmf"), T0)
    assert opened is not None and opened.codes == ("ORDER_WITHOUT_DEAL",) and "names quote Q-1" in opened.text
    assert book.next_at is None and book.to_offer(T0 + timedelta(days=9)) is None


def test_what_has_no_room_of_its_own_is_one_exception_that_leaves_as_others_do() -> None:
    """More than are listed one by one: nothing of it is purged, and it is counted until a person decides."""
    book = Book("usmf")
    for n in range(MOST_OPEN):
        book.receive_unclaimed(report(n, f"{n:06d}"), T0)
    more = book.receive_unclaimed(report(9_000, "900000"), T0)
    assert more is not None and (more.reference, more.codes) == (MORE, ("NO_DEAL",)) and "900000" in more.text
    for n in range(1, 50):
        assert book.receive_unclaimed(report(9_000 + n, f"9{n:05d}"), T0) is None
    assert book.receive_unclaimed(report(9_000, "900000"), T0) is None and book.tally[Tally.DUPLICATE] == 1
    (entry,) = (e for e in book.entries if e.reference == MORE)
    assert entry.reports == 50 and balanced(book) and len(book.entries) == MOST_OPEN + 1
    assert entry.again == (), "no deal is asked about it: a person is"
    book.dismiss(1, OTTO, "done", T0)
    book.dismiss(entry.n, OTTO, "found in Finance", T0)
    assert book.receive_unclaimed(report(9_999, "999999"), T0) is not None and balanced(book)
    assert not any(e.is_open and e.reference == MORE for e in book.entries)


def test_a_feed_keeps_what_the_desk_was_not_handed_from_run_to_run() -> None:
    reports = Reports(FeedCursor())
    for n in range(MOST_TO_HAND_OVER + 3):
        reports.hand_out(unrouted_event(event(n), T0, "why"))
    assert len(reports.to_hand_over) == MOST_TO_HAND_OVER
    reports = Reports(FeedCursor(to_hand_over=reports.to_hand_over))
    reports.handed_over(reports.to_hand_over[1:])
    (left,) = reports.to_hand_over
    assert left.again == event(3)


def test_a_report_of_any_length_fits_into_a_message() -> None:
    long = unrouted_event(event(), T0, "x" * 5_000).model_copy(
        update={"id": "i" * 999, "reference": "r" * 999, "help": "h" * 5_000}
    )
    kept = Unclaimed.of(long, "usmf").model_copy(update={"again": Look(table="quote", record_id=uuid4())})
    assert Unclaimed.model_validate_json(kept.model_dump_json()) == kept and len(kept.model_dump_json()) < 4_000
