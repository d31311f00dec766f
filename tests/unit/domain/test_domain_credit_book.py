"""Two deals never use the same credit, a deal is counted exactly once, and whom credit may help is woken."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain.credit import (
    BookFull,
    CreditBook,
    CreditEntry,
    EntryStatus,
    ReleaseToken,
    customer_changed,
    mark_visible,
    release,
    reserve,
)
from domain.credit_facts import CreditDecision, CreditFacts
from domain.credit_rule import FutureFacts, StaleFacts
from domain.credit_watch import ASKED_AGAIN, OLD, checked, due_for_check, next_check
from tests.unit.domain.makers import POLICY, T0, facts, person

D = Decimal
EMPTY = CreditBook()


def ask(
    book: CreditBook,
    case: str,
    amount: object,
    of: CreditFacts | None = None,
    now: datetime = T0,
    token: ReleaseToken | None = None,
) -> tuple[CreditBook, CreditDecision]:
    return reserve(book, case, f"Q2C-{case}", D(str(amount)), of or facts(as_of=now), POLICY, now, token)


def later(seconds: int) -> datetime:
    return T0 + timedelta(seconds=seconds)


def token(case: str, ceiling: object = "1000000.00") -> ReleaseToken:
    return ReleaseToken(
        deal_id=case,
        ceiling=D(str(ceiling)),
        valid_until=T0 + timedelta(days=5),
        reasons=("OVER_LIMIT",),
        released_by=person("carl"),
    )


# Two at once


def test_s20_of_two_that_ask_at_once_one_passes_and_one_is_held() -> None:
    book, first = ask(EMPTY, "rita", "30000.00")
    book, second = ask(book, "ravi", "30000.00")
    assert (first.passed, second.passed) == (True, False)
    assert second.text == "over by 15,000.00 (limit 100,000.00)"
    assert book.reserved(facts(), without="") == 30000
    assert book.held == ("ravi",)


def test_s20_after_the_first_is_cancelled_the_second_passes() -> None:
    book, _ = ask(EMPTY, "rita", "30000.00")
    book, _ = ask(book, "ravi", "30000.00")
    book, woken = release(book, ["rita"])
    assert woken == ("ravi",)
    book, decision = ask(book, "ravi", "30000.00")
    assert decision.passed
    assert book.held == ()


def test_s20_two_hundred_times_in_any_order_never_both() -> None:
    order = random.Random(20)
    for _ in range(200):
        book, passed = EMPTY, 0
        asking = ["rita", "ravi"] * order.randint(1, 3)
        order.shuffle(asking)
        for case in asking:
            book, _decision = ask(book, case, "30000.00")
        passed = sum(entry.status is EntryStatus.RESERVED for entry in book.entries)
        assert passed == 1
        assert book.reserved(facts(), without="") == 30000


def test_asking_again_replaces_and_keeps_the_place() -> None:
    book, _ = ask(EMPTY, "a", "30000.00")
    book, _ = ask(book, "b", "40000.00")
    book, _ = ask(book, "c", "50000.00")
    book, again = ask(book, "a", "20000.00")
    assert again.reservations == 0
    assert [entry.deal_id for entry in book.entries] == ["a", "b", "c"]
    assert book.held == ("b", "c")
    assert book.reserved(facts(), without="") == 20000


def test_a_deal_that_is_held_when_it_asks_again_holds_nothing() -> None:
    book, _ = ask(EMPTY, "a", "30000.00")
    book, decision = ask(book, "a", "50000.00")
    assert not decision.passed
    assert book.reserved(facts(), without="") == 0


def test_stale_facts_change_nothing() -> None:
    with pytest.raises(StaleFacts):
        ask(EMPTY, "a", 1, of=facts(as_of=T0), now=later(61))


# Counted once


def test_s21_a_deal_is_counted_by_the_book_then_by_finance_never_by_both() -> None:
    def small(orders: Mapping[str, str], as_of: datetime = T0) -> CreditFacts:
        return facts(credit_limit="100.00", open_ar="0.00", open_orders=orders, as_of=as_of)

    book, before = ask(EMPTY, "a", 60, of=small({}))
    _, other_before = ask(book, "b", 40, of=small({}))
    in_finance = small({"Q2C-a": "60.00"}, later(10))
    book, at_checkpoint = ask(book, "a", 60, of=in_finance, now=later(10))
    _, other_after = ask(book, "b", 40, of=in_finance, now=later(10))
    assert before.exposure == at_checkpoint.exposure == 60
    assert other_before.exposure == other_after.exposure == 100
    assert other_before.passed and other_after.passed


def test_facts_read_before_the_order_still_count_the_reservation() -> None:
    book, _ = ask(EMPTY, "a", "30000.00")
    book = mark_visible(book, {"a": later(10)})
    _, decision = ask(book, "b", "30000.00", of=facts(as_of=later(5)), now=later(20))
    assert decision.reservations == 30000
    assert not decision.passed


def test_facts_read_after_the_order_do_not_even_if_it_is_invoiced() -> None:
    book, _ = ask(EMPTY, "a", "30000.00")
    book = mark_visible(book, {"a": later(10)})
    invoiced = facts(as_of=later(13), open_ar="70000.00")
    _, decision = ask(book, "b", "15000.00", of=invoiced, now=later(20))
    assert decision.reservations == 0
    assert decision.exposure == 100000


def test_an_order_among_finances_open_orders_counts_as_seen() -> None:
    book, _ = ask(EMPTY, "a", "30000.00")
    listed = facts(as_of=later(5), open_orders={"Q2C-a": "30000.00"})
    book, _ = ask(book, "b", "1.00", of=listed, now=later(6))
    entry = book.entry("a")
    assert entry is not None
    assert entry.visible_at == later(6)


def test_giving_back_what_finance_shows_keeps_it_for_facts_still_under_way() -> None:
    book, _ = ask(EMPTY, "a", "45000.00")
    read_before_the_order = facts(as_of=later(1))
    book = mark_visible(book, {"a": later(2)})
    book, _ = release(book, ["a"])
    _, decision = ask(book, "b", "1.00", of=read_before_the_order, now=later(30))
    assert not decision.passed


def test_what_is_too_old_to_matter_leaves_the_book() -> None:
    """No policy lets facts older than five minutes decide, and clocks differ by two seconds at most."""
    book, _ = ask(EMPTY, "a", "30000.00")
    book = mark_visible(book, {"a": later(0)})
    book, _ = ask(book, "b", "1.00", now=later(302))
    assert book.entry("a") is not None
    book, _ = ask(book, "b", "1.00", now=later(303))
    assert book.entry("a") is None


def test_an_order_held_at_a_later_checkpoint_still_counts_until_finance_shows_it() -> None:
    book, _ = ask(EMPTY, "a", "30000.00")
    before_the_order = facts(as_of=later(1))
    book = mark_visible(book, {"a": later(2)})
    blocked = facts(as_of=later(3), on_hold="All", open_orders={"Q2C-a": "30000.00"})
    book, held = ask(book, "a", "30000.00", of=blocked, now=later(3))
    assert not held.passed
    assert book.held == ("a",)
    _, other = ask(book, "b", "45000.00", of=before_the_order, now=later(4))
    assert other.reservations == 30000


def test_the_first_sighting_stands_and_strangers_change_nothing() -> None:
    book, _ = ask(EMPTY, "a", 1)
    book = mark_visible(mark_visible(book, {"a": later(1)}), {"a": later(9)})
    assert book.entries[0].visible_at == later(1)
    assert mark_visible(book, {"stranger": later(1)}) == book
    assert release(book, ["stranger"]) == (book, ())


# Clocks


def test_facts_read_within_the_difference_of_clocks_do_not_prove_that_finance_counts_an_order() -> None:
    """The machine's clock may be ahead: its facts, dated after the order was seen, may have been read before."""
    book, _ = ask(EMPTY, "a", "30000.00")
    book = mark_visible(book, {"a": later(10)})
    _, decision = ask(book, "b", "1.00", of=facts(as_of=later(12)), now=later(13))
    assert decision.reservations == 30000


def test_a_doubt_of_clocks_alone_holds_nobody() -> None:
    book, _ = ask(EMPTY, "a", "30000.00")
    book = mark_visible(book, {"a": later(10)})
    invoiced = facts(as_of=later(11), open_ar="70000.00")
    with pytest.raises(StaleFacts, match="counted twice for a moment"):
        ask(book, "b", "15000.00", of=invoiced, now=later(11))
    _, decision = ask(book, "b", "15000.01", of=invoiced, now=later(11))
    assert not decision.passed


def test_facts_dated_ahead_decide_nothing() -> None:
    ask(EMPTY, "a", 1, of=facts(as_of=later(2)), now=T0)
    with pytest.raises(FutureFacts, match="3 s from now: the clock of the machine"):
        ask(EMPTY, "a", 1, of=facts(as_of=later(3)), now=T0)


def test_an_order_cannot_be_seen_before_its_deal_asked() -> None:
    book, _ = ask(EMPTY, "a", "45000.00", now=later(5))
    book = mark_visible(book, {"a": datetime(1, 1, 1, tzinfo=UTC)})
    _, decision = ask(book, "b", "1.00", of=facts(as_of=later(4)), now=later(6))
    assert decision.reservations == 45000


# Bounds


def test_a_full_book_takes_no_further_deal_and_serves_those_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("domain.credit.MOST_DEALS", 2)
    book, _ = ask(EMPTY, "a", 1)
    book, _ = ask(book, "b", 1)
    with pytest.raises(BookFull, match="one of them has to end first"):
        ask(book, "c", 1)
    book, again = ask(book, "b", 2)
    assert again.passed
    book, _ = release(book, ["a"])
    assert ask(book, "c", 1)[1].passed


@pytest.mark.parametrize("freed", ["1e15", "1e400", "1e999999"])
def test_an_amount_nobody_can_owe_says_nothing_so_all_are_woken(freed: str) -> None:
    assert customer_changed(queue(("a", 100), ("b", 10**9)), D(freed))[1] == ("a", "b")


# Deals that are gone


def test_reservations_are_asked_about_only_where_somebody_waits_for_them() -> None:
    book, _ = ask(EMPTY, "a", "30000.00")
    assert next_check(book) is None
    book, held = ask(book, "b", "30000.00", now=later(60))
    assert not held.passed
    assert next_check(book) == T0 + OLD
    assert due_for_check(book, T0 + OLD - timedelta(seconds=1), 10) == ()
    assert due_for_check(book, T0 + OLD, 10) == ("a",)
    assert next_check(mark_visible(book, {"a": later(90)})) is None


def test_a_deal_that_was_seen_to_run_is_asked_about_later() -> None:
    book, _ = ask(EMPTY, "a", "30000.00")
    book, _ = ask(book, "b", "30000.00")
    book = checked(book, ["a", "stranger"], T0 + OLD)
    assert next_check(book) == T0 + OLD + ASKED_AGAIN


def test_a_full_book_asks_about_everybody_those_not_heard_of_longest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("domain.credit.MOST_DEALS", 3)
    book = EMPTY
    for number, name in enumerate("abc"):
        book, _ = ask(book, name, 1, now=later(number))
    assert due_for_check(book, later(3600), 2) == ("a", "b")


# The queue


def queue(*held: tuple[str, object]) -> CreditBook:
    return CreditBook(
        entries=tuple(
            CreditEntry(deal_id=case, order_number=case, amount=D(1), status=EntryStatus.HELD, over_by=D(str(over)))
            for case, over in held
        )
    )


def test_those_are_woken_whose_excess_is_covered_in_the_order_they_came() -> None:
    book = queue(("a", 100), ("b", 40), ("c", 101), ("d", 100))
    assert customer_changed(book, D(100))[1] == ("a", "b", "d")
    assert customer_changed(book, D(39))[1] == ()


def test_small_payments_add_up() -> None:
    book, woken = customer_changed(queue(("a", 100)), D(60))
    assert woken == ()
    book, woken = customer_changed(book, D(40))
    assert woken == ("a",)


def test_a_change_of_unknown_size_wakes_all() -> None:
    assert customer_changed(queue(("a", 100), ("b", 10**9)), None)[1] == ("a", "b")


def test_a_deal_held_for_another_reason_is_always_woken() -> None:
    book, decision = ask(EMPTY, "a", "1045.00", of=facts("US-005"))
    assert [reason.code for reason in decision.reasons] == ["OVERDUE"]
    assert customer_changed(book, D("0.01"))[1] == ("a",)


def test_more_debt_wakes_nobody_and_forgets_nothing() -> None:
    book, woken = customer_changed(queue(("a", 100)), D(-50))
    assert woken == ()
    assert book.entries[0].over_by == 100


def test_a_held_deal_that_leaves_frees_nothing() -> None:
    book, _ = ask(EMPTY, "a", "30000.00")
    book, _ = ask(book, "b", "30000.00")
    book, _ = ask(book, "c", "30000.00")
    book, woken = release(book, ["b"])
    assert woken == ()
    assert book.held == ("c",)


def test_a_small_reservation_given_back_wakes_only_whom_it_helps() -> None:
    book, _ = ask(EMPTY, "small", "5000.00")
    book, _ = ask(book, "big", "70000.00")
    book, _ = ask(book, "medium", "45000.00")
    book, woken = release(book, ["small"])
    assert woken == ("medium",)


# Released by a person


def test_a_release_passes_over_the_limit_and_says_by_whom() -> None:
    book, decision = ask(EMPTY, "a", "50000.00", token=token("a"))
    assert decision.passed
    assert [reason.code for reason in decision.reasons] == ["RELEASED", "OVER_LIMIT"]
    assert decision.text.startswith("released by carl up to 1,000,000.00 until 2026-11-28 14:00 UTC")
    assert book.entries[0].released
    assert book.reserved(facts(), without="") == 50000


def test_a_release_that_is_not_needed_is_not_used() -> None:
    book, decision = ask(EMPTY, "a", "1.00", token=token("a"))
    assert [reason.code for reason in decision.reasons] == ["WITHIN_LIMIT"]
    assert not book.entries[0].released


def test_a_release_does_not_reach_other_deals() -> None:
    with pytest.raises(ValueError, match="is for a, not for b"):
        ask(EMPTY, "b", "50000.00", token=token("a"))


def test_s19_beyond_its_ceiling_a_release_holds_nothing_back() -> None:
    book, decision = ask(EMPTY, "a", "50000.00", token=token("a", ceiling="49999.99"))
    assert not decision.passed
    assert book.held == ("a",)


# Always


class FinanceAndItsDeals(RuleBasedStateMachine):
    """I14: whatever happens between reading Finance and asking, no deal that passes puts a customer over the limit."""

    LIMIT = D(1000)
    cases = st.sampled_from(["a", "b", "c", "d", "e"])

    @initialize()
    def begin(self) -> None:
        self.now = T0
        self.book = EMPTY
        self.receivable = D(0)
        self.orders: dict[str, Decimal] = {}
        self.amounts: dict[str, Decimal] = {}
        self.reserved: set[str] = set()
        self.ordered: set[str] = set()
        self.told: set[str] = set()
        self.read: dict[str, CreditFacts] = {}
        self.generation = 0
        self.live: dict[str, str] = {}

    def number(self, case: str) -> str:
        """A deal's order; a deal that ended makes room for another under the same letter."""
        return f"Q2C-{self.live[case]}"

    def true_exposure(self) -> Decimal:
        waiting = sum((self.amounts[case] for case in self.reserved - self.ordered), D(0))
        return self.receivable + sum(self.orders.values(), D(0)) + waiting

    @rule(seconds=st.integers(0, 45))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds, milliseconds=1)

    @rule(case=cases, amount=st.integers(1, 700))
    def read_finance(self, case: str, amount: int) -> None:
        if case not in self.live:
            self.generation += 1
            self.live[case] = f"{case}{self.generation}"
        if case not in self.ordered:
            self.amounts[case] = D(amount) if case not in self.reserved else self.amounts[case]
        orders = {number: str(amount) for number, amount in self.orders.items()}
        self.read[case] = facts(as_of=self.now, credit_limit=self.LIMIT, open_ar=self.receivable, open_orders=orders)

    @rule(case=cases, by_person=st.sampled_from([False, False, False, True]))
    def ask_for_credit(self, case: str, by_person: bool) -> None:
        read = self.read.pop(case, None)
        if read is None or case not in self.live:
            return
        if case in self.ordered and self.number(case) not in self.orders:
            return  # invoiced: nothing is left to ask for
        name = self.live[case]
        permit = token(name) if by_person else None
        try:
            self.book, decision = reserve(
                self.book, name, self.number(case), self.amounts[case], read, POLICY, self.now, permit
            )
        except StaleFacts:
            return
        if decision.passed:
            self.reserved.add(case)
            if decision.reasons[0].code != "RELEASED":
                assert self.true_exposure() <= self.LIMIT
        else:
            self.reserved.discard(case)

    @rule(case=cases)
    def create_order(self, case: str) -> None:
        if case in self.reserved and case not in self.ordered:
            self.orders[self.number(case)] = self.amounts[case]
            self.ordered.add(case)

    @rule(case=cases)
    def tell_the_book(self, case: str) -> None:
        if case in self.ordered:
            self.book = mark_visible(self.book, {self.live[case]: self.now})
            self.told.add(case)

    @rule(case=cases)
    def invoice(self, case: str) -> None:
        if case in self.ordered:
            self.receivable += self.orders.pop(self.number(case), D(0))

    @precondition(lambda self: self.receivable > 0)
    @rule(share=st.integers(1, 4))
    def pay(self, share: int) -> None:
        self.receivable -= self.receivable // share

    @rule(case=cases)
    def end(self, case: str) -> None:
        if case in self.live and (case not in self.ordered or case in self.told):
            self.book, _ = release(self.book, [self.live.pop(case)])
            for group in (self.reserved, self.ordered, self.told):
                group.discard(case)

    @invariant()
    def finance_and_book_together_never_miss_a_deal(self) -> None:
        """Facts read this moment, with what the book adds, are never less than the truth."""
        orders = {number: str(amount) for number, amount in self.orders.items()}
        fresh = facts(as_of=self.now, credit_limit=self.LIMIT, open_ar=self.receivable, open_orders=orders)
        seen = self.receivable + sum(self.orders.values(), D(0)) + self.book.reserved(fresh, without="")
        assert seen >= self.true_exposure()

    @invariant()
    def held_deals_hold_nothing(self) -> None:
        held = {case for case, name in self.live.items() if name in self.book.held}
        assert not held & (self.reserved - self.ordered)


FinanceAndItsDeals.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestFinanceAndItsDeals = FinanceAndItsDeals.TestCase


def test_fresh_facts_and_the_book_count_each_deal_exactly_once() -> None:
    """The book does not only err on the safe side: once told, it adds nothing to what Finance shows."""
    book, _ = ask(EMPTY, "waiting", "10.00")
    book, _ = ask(book, "ordered", "20.00")
    book, _ = ask(book, "invoiced", "30.00")
    book = mark_visible(book, {"ordered": later(1), "invoiced": later(1)})
    now = facts(as_of=later(4), open_ar="40030.00", open_orders={"SO-1": "15000.00", "Q2C-ordered": "20.00"})
    _, decision = ask(book, "new", "40.00", of=now, now=later(4))
    assert decision.exposure == D("40000.00") + 15000 + 10 + 20 + 30 + 40
