"""What is collected: levels by the calendar, pauses, one letter, and what people may say (scenario S33, I27)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

import policies
from domain.approvals import BusinessHours
from domain.collecting import held_reason, looked, may_step, next_look, notices_of, told
from domain.collection_words import DISPUTE, PAUSE, PROMISE, RESOLVE, RESUME, said_to_account
from domain.collections import (
    MOST_ENTRIES,
    MOST_INVOICES,
    MOST_LINES,
    Account,
    CustomerAddress,
    InvoicesShown,
    OpenItem,
    OpenItems,
    ShownInvoice,
    WatchedInvoice,
)
from domain.dunning import LetterKind
from domain.people import Person
from tests.rights import said

ZONE = ZoneInfo("America/New_York")
EVERY_DAY = BusinessHours(timezone="America/New_York", workdays=tuple(range(7)), opens="09:00", closes="17:00")
WEEKDAYS = EVERY_DAY.model_copy(update={"workdays": (0, 1, 2, 3, 4)})
RULES = policies.dunning()
PLAN = RULES.plan("usmf", EVERY_DAY)
DUE = date(2026, 12, 1)
RITA = Person(oid="oid-rita", name="rita")
AMY = Person(oid="oid-amy", name="amy", roles=("ar_manager.usmf",))
CLEO = Person(oid="oid-cleo", name="cleo", roles=("credit_clerk.usmf",))
EMPTY = Account(company="usmf", account="US-001")


def at(day: int | date, hour: int = 10) -> datetime:
    """So many days after the due date, company time."""
    on = DUE + timedelta(days=day) if isinstance(day, int) else day
    return datetime.combine(on, time(hour), ZONE).astimezone(UTC)


def item(open_amount: str | int, number: str = "INV-1", due: date = DUE, currency: str = "USD") -> OpenItem:
    return OpenItem(
        invoice=number, currency=currency, due_on=due, total=Decimal(1045), open_amount=Decimal(open_amount)
    )


class Collector:
    """One account, with Finance's word for each day."""

    def __init__(self, plan: Any = PLAN) -> None:
        self.plan = plan
        self.account = EMPTY
        self.letters: list[Any] = []
        self.show()

    def show(self, open_amount: str = "1045", number: str = "INV-1", day: int = -30, due: date = DUE) -> None:
        shown = ShownInvoice(
            number=number, due_on=due, currency="USD", total=Decimal(1045), open_amount=Decimal(open_amount)
        )
        news = InvoicesShown(
            company="usmf",
            account="US-001",
            quote_number="Q-1",
            owner=RITA,
            customer_name="Contoso",
            invoices=(shown,),
            as_of=at(day),
        )
        self.account = told(self.account, news, self.plan, at(day))

    def look(self, day: int, *items: OpenItem) -> list[str]:
        """The letters that a look on a day brings."""
        found = OpenItems(
            as_of=at(day), customer=CustomerAddress(name="Contoso"), items=items or (item(1045),), plan=self.plan
        )
        result = looked(self.account, found, at(day))
        self.account = result.after
        self.letters += result.letters
        return [letter.level for letter in result.letters]

    def say(self, day: int, who: Person, name: str, **args: str) -> str:
        verdict = said_to_account(
            self.account, said(who, name, args, at=at(day)), self.plan, today=DUE + timedelta(days=day), now=at(day)
        )
        self.account = verdict.after
        return verdict.code or ""

    @property
    def level(self) -> int:
        return self.account.invoices[0].level

    def days_of_letters(self, first: int, last: int) -> dict[str, int]:
        """By level, the day on which its letter is written, where Finance is looked at every day."""
        return {level: day for day in range(first, last + 1) for level in self.look(day)}


def test_levels_come_on_their_days_with_fee_and_block_and_stop_after_the_last() -> None:
    one = Collector()
    assert one.days_of_letters(-1, 60) == {"reminder": 5, "notice": 15, "final": 30, "hand_over": 45}
    reminder, notice, final, _ = one.letters
    assert (reminder.kind, reminder.fee, reminder.to_pay) == (LetterKind.REMINDER, 0, Decimal(1045))
    assert (notice.fee, notice.to_pay, notice.policy) == (Decimal(25), Decimal(1070), PLAN.named)
    assert final.blocks_orders and final.lines[0].days_overdue == 30 and final.lines[0].level == "final"
    assert [letter.n for letter in one.letters] == [1, 2, 3, 4]
    assert "INV-1, due 2026-12-01" in held_reason(one.account, PLAN)
    assert one.look(70, item("0")) == [] and held_reason(one.account, PLAN) == "", "payment stops all"


def test_s33_a_dispute_stops_levels_and_its_end_restarts_the_time_to_the_next_without_skipping() -> None:
    one = Collector()
    assert one.days_of_letters(0, 10) == {"reminder": 5}
    assert one.say(10, CLEO, DISPUTE, invoice="inv-1", amount="200.00", reason="two are missing") == ""
    assert one.say(10, CLEO, DISPUTE, invoice="INV-1", amount="1", reason="again") == "ALREADY_DISPUTED"
    assert one.days_of_letters(10, 20) == {}
    assert next_look(one.account, PLAN, at(20)) is not None, "a payment is looked for every week"
    assert one.say(20, CLEO, RESOLVE, invoice="INV-1", outcome="uphold", reason="delivered") == "NO_AUTHORITY"
    assert one.say(20, AMY, RESOLVE, invoice="INV-1", outcome="uphold", reason="delivered") == ""
    assert one.days_of_letters(20, 60) == {"notice": 30, "final": 45, "hand_over": 60}


def test_s33_a_promise_is_respected_and_broken_it_brings_the_next_level_alone() -> None:
    one = Collector()
    one.days_of_letters(0, 12)
    assert one.say(12, CLEO, PROMISE, invoice="INV-1", amount="1045", until="2026-12-29", reason="phone") == ""
    assert one.days_of_letters(12, 28) == {}, "promised for the 28th day, this day included"
    assert one.days_of_letters(29, 44) == {"notice": 29, "final": 44}
    assert [entry.event for entry in one.account.history][:3] == ["level_reached", "promise_to_pay", "promise_broken"]


def test_a_payment_that_bounces_resumes_at_the_level_there_was() -> None:
    one = Collector()
    assert one.days_of_letters(0, 16) == {"reminder": 5, "notice": 15}
    one.show("0", day=17)
    assert next_look(one.account, PLAN, at(17)) is None and one.account.overdue(DUE + timedelta(days=17)) == {}
    one.show("1045", day=19)
    assert one.level == 2
    assert one.days_of_letters(20, 40) == {"final": 34}, "the fifteen days to it begin anew"
    one.show("500", day=18)
    assert one.account.invoices[0].open_amount == 1045, "what is older than what is known changes nothing"


def test_a_rest_of_an_invoice_or_the_account_pauses_and_can_be_ended() -> None:
    one = Collector()
    assert one.say(0, AMY, PAUSE, until="2026-12-09", reason="payment is on its way") == ""
    assert one.days_of_letters(0, 8) == {}
    assert one.say(8, AMY, RESUME, reason="it is not") == ""
    assert one.say(8, AMY, RESUME, reason="again") == "NOT_PAUSED"
    assert one.look(8) == ["reminder"]
    assert one.say(9, AMY, PAUSE, invoice="INV-1", until="2026-12-20", reason="r") == ""
    assert one.look(18) == []
    assert one.say(18, AMY, RESUME, invoice="INV-1", reason="r") == "" and one.look(18) == ["notice"]
    for args, code in (
        ({"invoice": "INV-9", "until": "2026-12-20", "reason": "r"}, "UNKNOWN_INVOICE"),
        ({"until": "2026-11-20", "reason": "r"}, "BAD_ARGUMENT"),
        ({"until": "2027-12-20", "reason": "r"}, "BAD_ARGUMENT"),
        ({"until": "soon", "reason": "r"}, "BAD_ARGUMENT"),
    ):
        assert one.say(18, AMY, PAUSE, **args) == code
    for amount in ("0", "-1", "1045.01", "1.001", "NaN"):
        assert one.say(18, AMY, DISPUTE, invoice="INV-1", amount=amount, reason="r") == "BAD_ARGUMENT", amount
    assert one.say(18, AMY, "sing") == "UNKNOWN_COMMAND"


def test_unsettled_payments_and_small_sums_bring_no_letter() -> None:
    one = Collector()
    assert one.look(6, item(1045), item(-1045, number="")) == [], "what is on its way covers it"
    assert one.look(7, item("9.99")) == [] and one.level == 0
    assert one.look(8, item(1045), item(-100, number="")) == ["reminder"]
    assert (one.letters[0].unapplied, one.letters[0].to_pay) == (Decimal(100), Decimal(945))
    assert one.look(20, item("0.01")) == [] and one.account.invoices[0].settled_at is not None


def test_one_letter_lists_all_that_is_overdue_and_names_what_is_paused() -> None:
    one = Collector()
    one.show(number="INV-2", due=DUE + timedelta(days=3))
    one.show(number="INV-3", due=DUE + timedelta(days=1))
    one.say(2, AMY, DISPUTE, invoice="INV-3", amount="5", reason="r")
    rows = [item(1045), item(1045, "INV-2", DUE + timedelta(days=3)), item(1045, "INV-3", DUE + timedelta(days=1))]
    foreign = item(50, "FTI-7", DUE - timedelta(days=90))
    assert one.look(5, *rows, foreign, item(7, "EUR-1", currency="EUR")) == ["reminder"]
    (letter,) = one.letters
    assert [(line.invoice, line.left_out) for line in letter.lines] == [
        ("FTI-7", ""), ("INV-1", ""), ("INV-2", ""), ("INV-3", "in dispute")
    ]  # fmt: skip
    assert letter.demanded == Decimal(2140) and [line.level for line in letter.lines] == [
        "reminder",
        "reminder",
        "",
        "",
    ]


def test_levels_come_on_working_days_once_the_company_has_opened() -> None:
    one = Collector(RULES.plan("usmf", WEEKDAYS))
    saturday = at(date(2026, 12, 12))
    assert not may_step(saturday, WEEKDAYS) and not may_step(at(date(2026, 12, 14), 8), WEEKDAYS)
    one.show(due=date(2026, 12, 7), day=-29)
    assert next_look(one.account, one.plan, saturday) == at(date(2026, 12, 14), 9)
    assert one.look(11) == [], "the fifth day is a Saturday"
    assert one.look(13) == ["reminder"]


def test_the_owner_is_told_once_for_all_invoices_of_a_quote() -> None:
    one = Collector()
    one.show(number="INV-2")
    found = OpenItems(as_of=at(5), customer=CustomerAddress(), items=(item(1045), item(9, "INV-2")), plan=PLAN)
    result = looked(one.account, found, at(5))
    (notice,) = notices_of(result.after, result.raised, at(5))
    assert (notice.to, notice.quote_number, notice.text.count("\n")) == ((RITA,), "Q-1", 1)


def test_all_that_is_kept_is_bounded_and_what_a_bound_keeps_out_is_counted() -> None:
    one = Collector()
    for start in range(0, MOST_INVOICES + 30, 10):
        for n in range(start, start + 10):
            one.show(number=f"N-{n:03}", due=DUE + timedelta(days=n % 7))
    assert len(one.account.invoices) == MOST_INVOICES and one.account.left_out > 0
    rows = [item(100, i.number, i.due_on) for i in one.account.invoices]
    one.look(12, *rows)
    (letter,) = one.letters
    assert (len(letter.lines), letter.more, letter.demanded) == (MOST_LINES, 100, Decimal(20_000))
    assert len(one.account.history) == MOST_ENTRIES and one.account.happened == MOST_INVOICES
    assert len(one.account.model_dump_json()) < 250_000


Step = tuple[str, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["look", "dispute", "resolve", "promise", "rest", "resume", "pay", "bounce"]),
        st.integers(0, 12),
    ),
    max_size=40,
)


@given(STEPS)
def test_i27_no_level_rises_while_disputed_promised_or_at_rest_and_none_is_skipped(steps: Sequence[Step]) -> None:
    one, day, open_amount = Collector(), 0, "1045"
    for what, wait in steps:
        day += wait
        today, before = DUE + timedelta(days=day), one.account.invoices[0]
        until = str(today + timedelta(days=5))
        match what:
            case "dispute":
                one.say(day, AMY, DISPUTE, invoice="INV-1", amount="1", reason="r")
            case "resolve":
                one.say(day, AMY, RESOLVE, invoice="INV-1", outcome="credit", reason="r")
            case "promise":
                one.say(day, AMY, PROMISE, invoice="INV-1", amount="1", until=until, reason="r")
            case "rest":
                one.say(day, AMY, PAUSE, invoice="INV-1", until=until, reason="r")
            case "resume":
                one.say(day, AMY, RESUME, invoice="INV-1", reason="r")
            case "pay" | "bounce":
                open_amount = "0" if what == "pay" else "1045"
        paused = one.account.invoices[0].paused(today)
        one.look(day, item(open_amount))
        after: WatchedInvoice = one.account.invoices[0]
        assert after.level - before.level in (0, 1)
        if after.level > before.level:
            assert paused is None and after.is_open
            gap = PLAN.levels[before.level].days - (PLAN.levels[before.level - 1].days if before.level else 0)
            assert before.reached_on is None or today - before.reached_on >= timedelta(days=gap)
            assert after.days_overdue(today) >= PLAN.levels[before.level].days
        again = next_look(one.account, PLAN, at(day))
        assert again is None or again > at(day), "a run that looks again at once would never rest"


@pytest.mark.parametrize("hour", [0, 12, 23])
def test_the_company_decides_which_day_it_is(hour: int) -> None:
    """Late in the evening of New York it is the next day in UTC."""
    one = Collector()
    found = OpenItems(as_of=at(4, hour), customer=CustomerAddress(), items=(item(1045),), plan=PLAN)
    assert looked(one.account, found, at(4, hour)).letters == ()
