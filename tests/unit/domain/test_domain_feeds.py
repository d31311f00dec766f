"""What a feed keeps is bounded, what a bound keeps out is counted, and every report becomes exactly one thing."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from domain.digest import Digest
from domain.feeds import (
    MOST_BYTES,
    MOST_UNROUTED,
    MOST_WAITING,
    OLDEST,
    TRIES,
    WAITS,
    Became,
    FeedCursor,
    Look,
    Reports,
    Unrouted,
    is_credit,
    key_of,
    may_be_ours,
    unrouted_event,
)
from domain.messages import FinanceEvent, FinanceEventKind
from domain.order_key import is_order_key, order_key

T0 = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
OURS = order_key("prod", "usmf", "QUO-1", 0)


def event(n: int, *, order: str = OURS, wordy: int = 0) -> FinanceEvent:
    return FinanceEvent(
        event_id=f"finance/invoice/{n}",
        kind=FinanceEventKind.INVOICE_POSTED,
        company="usmf",
        order_number=order,
        customer_account="a" * wordy,
        document="d" * wordy,
        source="s" * wordy,
        occurred_at=T0,
    )


def balanced(reports: Reports) -> bool:
    """received = what became of them + those that wait (invariant E4)."""
    tally = dict(reports.tally)
    return tally.pop("received", 0) == sum(tally.values()) + len(reports.waiting)


# Whose order it is


@pytest.mark.parametrize(
    ("number", "key_numbered", "may_be"),
    [
        (OURS, True, True),
        (OURS.lower(), True, True),
        (OURS, False, True),
        ("SO-000123", True, False),
        ("SO-000123", False, True),
        (f"{OURS}X", True, False),
        ("Q2C-SHORT", True, False),
        ("Q2C-ABCDEFGH1234", True, False),  # 1 is no digit of base 32
        ("", True, False),
        ("", False, False),
        ("X" * 21, False, False),
    ],
)
def test_an_order_may_be_ours_by_its_number(number: str, key_numbered: bool, may_be: bool) -> None:
    assert may_be_ours(event(1, order=number), key_numbered) is may_be


def test_an_invoice_over_several_orders_names_none_and_may_be_ours() -> None:
    summary = event(1, order="").model_copy(update={"customer_account": "US-001"})
    assert may_be_ours(summary, True) and may_be_ours(summary, False)
    assert not may_be_ours(summary.model_copy(update={"kind": FinanceEventKind.SHIPMENT_POSTED}), False)


def test_a_credit_note_may_be_of_a_return_order_whatever_its_number() -> None:
    note = event(1, order="RO-000001").model_copy(update={"amount": Decimal(-209)})
    assert may_be_ours(note, True) and not may_be_ours(note.model_copy(update={"amount": Decimal(209)}), True)


def test_every_order_key_is_known_as_one() -> None:
    assert all(is_order_key(order_key("prod", "usmf", f"QUO-{n}", n % 3)) for n in range(500))


# Bounds


def test_no_more_reports_wait_than_there_is_room_for_and_the_others_are_counted() -> None:
    reports = Reports(FeedCursor())
    became = [reports.receive(event(n), T0) for n in range(MOST_WAITING + 7)]
    assert became.count(Became.OVERFLOW) == 7 == reports.tally["overflow"]
    assert len(reports.waiting) == MOST_WAITING and reports.room == 0
    assert balanced(reports)


def test_a_report_takes_the_room_of_one_that_was_tried_and_is_tried_next() -> None:
    reports = Reports(FeedCursor())
    for n in range(MOST_WAITING):
        reports.receive(event(n), T0)
    for entry in reports.waiting:
        reports.again(entry, T0)
    tried_twice = reports.waiting[500]
    reports.again(tried_twice, T0)
    assert reports.receive(event(7_777), T0) is Became.WAITING
    assert reports.tally == {"received": MOST_WAITING + 1, "overflow": 1}
    assert key_of(tried_twice.report) not in {key_of(entry.report) for entry in reports.waiting}
    assert [key_of(entry.report) for entry in reports.due(T0, 10)] == [key_of(event(7_777))]
    assert balanced(reports)


def test_what_lost_its_room_while_it_was_tried_is_counted_once_and_does_not_come_back() -> None:
    reports = Reports(FeedCursor())
    for n in range(MOST_WAITING):
        reports.receive(event(n), T0)
    for entry in reports.waiting:
        reports.again(entry, T0)
    on_the_way = reports.waiting
    for n in range(MOST_WAITING):
        assert reports.receive(event(5_000 + n), T0) is Became.WAITING
    reports.settle(on_the_way[0], Became.DELIVERED)
    assert all(reports.again(entry, T0) for entry in on_the_way[1:500])
    reports.postpone(on_the_way[500:], T0)
    assert len(reports.waiting) == MOST_WAITING and balanced(reports)
    for entry in reports.waiting:
        reports.settle(entry, Became.DELIVERED)
    assert reports.room == MOST_WAITING and balanced(reports)


def test_large_reports_fill_the_room_by_their_size() -> None:
    reports = Reports(FeedCursor())
    for n in range(400):
        reports.receive(event(n, wordy=300), T0)
    size = sum(len(entry.report.model_dump_json()) for entry in reports.waiting)
    assert MOST_BYTES * 0.9 < size <= MOST_BYTES
    assert reports.tally["overflow"] == 400 - len(reports.waiting) > 0
    for entry in reports.waiting:
        reports.settle(entry, Became.DELIVERED)
    assert reports.room == MOST_WAITING
    assert balanced(reports)


def test_what_a_person_is_shown_is_bounded_and_shown_once() -> None:
    reports = Reports(FeedCursor())
    for n in range(MOST_UNROUTED + 5):
        assert reports.hand_out(unrouted_event(event(n), T0, "why"))
        assert not reports.hand_out(unrouted_event(event(n), T0, "why"))
    assert len(reports.unrouted) == MOST_UNROUTED
    assert reports.unrouted[-1].id == key_of(event(MOST_UNROUTED + 4))


def test_the_largest_cursor_fits_a_payload() -> None:
    """Two megabytes are the server's limit; a cursor at all its bounds keeps well below half of it."""
    reports = Reports(FeedCursor())
    for n in range(5_000):
        reports.receive(event(n, wordy=n % 300), T0)
        reports.hand_out(
            Unrouted(id=f"{n}" * 20, at=T0, what="invoice_posted", reference=OURS, reason="r" * 500, help="h" * 200)
        )
    told = Digest()
    for n in range(100_000):
        told.add(f"finance/invoice/{n}")
    cursor = FeedCursor(
        waiting=reports.waiting, unrouted=reports.unrouted, tally=reports.tally, sweep_at=T0, told=told.packed()
    )
    assert len(cursor.model_dump_json()) < 1_000_000
    assert FeedCursor.model_validate_json(cursor.model_dump_json()) == cursor


# Trying again


def test_a_report_is_tried_ever_less_often_and_then_a_person_is_told() -> None:
    reports, now, waits = Reports(FeedCursor()), T0, []
    reports.receive(event(1), T0)
    while True:
        (entry,) = reports.due(now, 10)
        if not reports.again(entry, now):
            break
        next_at = reports.next_at
        assert next_at is not None
        waits.append(next_at - now)
        assert reports.due(now, 10) == ()
        now = next_at
    assert [wait.total_seconds() for wait in waits] == [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]
    assert len(waits) == TRIES - 1 and max(waits) == WAITS.longest


def test_each_report_has_a_back_off_of_its_own() -> None:
    reports = Reports(FeedCursor())
    reports.receive(event(1), T0)
    (old,) = reports.due(T0, 10)
    for _ in range(5):
        reports.again(old, T0)
        (old,) = reports.waiting
    reports.receive(event(2), T0 + timedelta(seconds=1))
    assert [key_of(e.report) for e in reports.due(T0 + timedelta(seconds=1), 10)] == [key_of(event(2))]


def test_that_nobody_could_look_is_no_try_but_a_day_is_the_longest_wait() -> None:
    reports, now = Reports(FeedCursor()), T0
    reports.receive(event(1), T0)
    for _ in range(100):
        reports.postpone(reports.due(now, 10), now + timedelta(seconds=30))
        now += timedelta(seconds=30)
    (entry,) = reports.due(now, 10)
    assert (entry.tries, reports.again(entry, now)) == (0, True)
    assert not reports.again(entry, T0 + OLDEST + timedelta(seconds=1))


def test_a_report_that_waits_already_is_counted_as_known() -> None:
    reports = Reports(FeedCursor())
    assert reports.receive(event(1), T0) is Became.WAITING
    assert reports.receive(event(1), T0) is Became.KNOWN
    assert reports.receive(event(1, order=order_key("prod", "usmf", "QUO-2", 0)), T0) is Became.WAITING
    assert balanced(reports)


def test_a_record_told_of_again_while_it_is_looked_at_is_looked_at_once_more() -> None:
    """Who looks may have read it before it changed again: what came of that look is not the end of it."""
    reports, look = Reports(FeedCursor()), Look(table="quote", record_id=UUID(int=1))
    reports.receive(look, T0)
    (looked_at,) = reports.due(T0, 10)
    later = T0 + timedelta(seconds=1)
    assert reports.receive(look, later) is Became.KNOWN
    assert not reports.settle(looked_at, Became.LOOKED_AT)
    (again,) = reports.due(later, 10)
    assert reports.settle(again, Became.LOOKED_AT)
    assert not reports.waiting and balanced(reports)


def test_an_event_told_again_while_it_is_tried_is_the_same_event() -> None:
    reports = Reports(FeedCursor())
    reports.receive(event(1), T0)
    (tried,) = reports.due(T0, 10)
    assert reports.receive(event(1), T0) is Became.KNOWN
    assert reports.settle(tried, Became.DELIVERED)
    assert not reports.waiting and balanced(reports)


def test_one_payment_for_two_orders_is_two_reports() -> None:
    assert key_of(event(1, order="A")) != key_of(event(1, order="B"))


def test_whatever_happens_the_counts_balance_and_survive_a_new_run() -> None:
    chance, reports, now = random.Random(7), Reports(FeedCursor()), T0
    outcomes = [Became.DELIVERED, Became.FOREIGN, Became.NOBODY, Became.UNROUTED]
    for n in range(3_000):
        now += timedelta(seconds=chance.random() * 3)
        report = Look(table="quote", record_id=UUID(int=n % 50)) if chance.random() < 0.2 else event(n % 1_500)
        reports.receive(report, now)
        for entry in reports.due(now, 3):
            if chance.random() < 0.6 or not reports.again(entry, now):
                reports.settle(entry, chance.choice(outcomes))
        if chance.random() < 0.01:
            cursor = FeedCursor(waiting=reports.waiting, unrouted=reports.unrouted, tally=reports.tally)
            reports = Reports(FeedCursor.model_validate_json(cursor.model_dump_json()))
        assert balanced(reports)


# The digest


def test_a_digest_remembers_what_it_was_told_and_nothing_else() -> None:
    digest = Digest()
    for n in range(4_200):
        digest.add(f"finance/invoice/{n}")
    again = Digest(digest.packed())
    assert all(f"finance/invoice/{n}" in again for n in range(4_200))
    assert not any(f"finance/slip/{n}" in again for n in range(4_200))
    assert len(digest.packed()) < 12 * 4_200


def test_a_full_digest_forgets_the_oldest() -> None:
    digest = Digest(most=3)
    for key in "abcad":
        digest.add(key)
    assert [key for key in "abcd" if key in digest] == ["a", "c", "d"]


def test_a_digest_keeps_what_is_asked_for() -> None:
    digest = Digest()
    for key in "abcd":
        digest.add(key)
    digest.keep("bdx")
    assert [key for key in "abcdx" if key in digest] == ["b", "d"]


@pytest.mark.parametrize("damaged", ["", "no base 64!", "AAAA", "é"])
def test_a_damaged_digest_is_an_empty_one(damaged: str) -> None:
    assert len(Digest(damaged)) == 0


def test_a_credit_note_that_is_paid_back_is_found_by_its_return_order_like_the_note_itself() -> None:
    def told(kind: FinanceEventKind, amount: str | None) -> FinanceEvent:
        paid = None if amount is None else Decimal(amount)
        return FinanceEvent(event_id="e", kind=kind, company="usmf", order_number="RO-1", amount=paid, occurred_at=T0)

    posted, paid = FinanceEventKind.INVOICE_POSTED, FinanceEventKind.PAYMENT_POSTED
    assert [is_credit(told(posted, amount)) for amount in ("-1", "0", None)] == [True, False, False]
    assert [is_credit(told(paid, amount)) for amount in ("-1", "0", "1", None)] == [True, True, False, False]
