"""A history: when all is read and when what changed, and what is written so that a row is what Finance has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from domain.entities.comparing import SalesTable
from domain.entities.copying import Copied, CopyPlan, Lookup, copied
from domain.entities.history_run import (
    HistoryArgs,
    HistoryFigures,
    HistoryView,
    Place,
    begun,
    ended,
    overlapping,
    started,
)
from domain.entities.merge_forms import SyncedField
from domain.entities.model import Owner

NIGHT = datetime(2026, 11, 27, 7, tzinfo=UTC)


def field(name: str, sales: str, **more: Any) -> SyncedField:
    return SyncedField(name=name, finance=name, sales=sales, owner=Owner.FINANCE, to=frozenset({"sales"}), **more)


PLAN = CopyPlan(
    entity="past_invoice",
    company="usmf",
    map_hash="h",
    finance_set="Journal",
    finance_filter="",
    finance_key=("record",),
    sales=SalesTable(entity_set="pasts", id="pastid"),
    sales_filter="",
    sales_key=("q2c_key",),
    modified="changed",
    currency="currency",
    fields=(
        field("record", "q2c_key", required=True),
        field("customer", "q2c_accountid.accountnumber", required=True),
        field("currency", "transactioncurrencyid.isocurrencycode", required=True),
        field("total", "q2c_total", number=True, decimals="currency"),
        field("due_on", "q2c_dueon", normal="day"),
        field("note", "q2c_note", lengths={"sales": 5}, longer="refuse"),
    ),
    lookups={
        "customer": Lookup(entity_set="accounts", id="accountid", column="accountnumber", bind="q2c_AccountId"),
        "currency": Lookup(entity_set="currencies", id="id", column="isocurrencycode", bind="transactioncurrencyid"),
    },
)
THERE = {
    "record": "7",
    "customer": "US-001",
    "currency": "JPY",
    "total": "-1200.4",
    "due_on": "2026-12-27T00:00:00Z",
    "note": "",
}
ROWS = {"customer": {"us-001": "a"}, "currency": {"jpy": "c"}}


def test_the_first_reading_is_of_everything_and_so_is_one_a_week_and_by_another_map() -> None:
    args = HistoryArgs(do="start", at="03:30", reason="go-live")
    view = begun(started(HistoryView(company="usmf"), NIGHT, args), NIGHT, "one")
    assert (view.running, view.reading, view.whole, view.at, view.next_at) == (True, True, True, "03:30", NIGHT)
    view = ended(view, NIGHT, 5)
    assert (view.reading, view.whole_at, view.finance_records) == (False, NIGHT, 5)

    day = begun(view, NIGHT + timedelta(days=1), "one")
    assert (day.whole, day.figures) == (False, HistoryFigures())
    assert ended(day, NIGHT + timedelta(days=1), 6).whole_at == NIGHT
    assert begun(view, NIGHT + timedelta(days=1), "two").whole
    assert begun(view, NIGHT + timedelta(days=7), "one").whole
    again = started(view, NIGHT, args.model_copy(update={"whole": True}))
    assert begun(again, NIGHT, "one").whole


def test_a_night_goes_back_a_while_and_figures_add_up() -> None:
    assert overlapping(Place()) == Place()
    assert overlapping(Place(at="2026-11-27T00:02:00Z", after=7)) == Place(at="2026-11-26T23:57:00+00:00")
    one = HistoryFigures(read=3, created=1, left_out={"customer": 1})
    both = one.plus(HistoryFigures(read=2, same=2, left_out={"customer": 1, "refused": 1}))
    assert both == HistoryFigures(read=5, created=1, same=2, left_out={"customer": 2, "refused": 1})


def test_what_is_written_is_what_finance_has_in_the_words_of_sales() -> None:
    new = copied(PLAN, THERE, None, ROWS)
    assert new.bound == {"customer": "a", "currency": "c"}
    assert new.plain["q2c_total"] == "-1200"
    assert new.plain["q2c_dueon"] == "2026-12-27T12:00:00Z"

    here = THERE | {"total": "-1200", "due_on": "2026-12-27T12:00:00Z"}
    assert copied(PLAN, THERE, here, ROWS).is_same
    other = copied(PLAN, THERE, here | {"total": "5", "customer": "US-002"}, ROWS)
    assert other == Copied(plain={"q2c_total": "-1200"}, bound={"customer": "a"})
    no_day = copied(PLAN, THERE | {"due_on": "1900-01-01T12:00:00Z"}, here, ROWS)
    assert no_day.plain == {"q2c_dueon": ""}


def test_what_cannot_be_filled_keeps_the_record_out_and_says_which_field() -> None:
    assert copied(PLAN, THERE, None, ROWS | {"customer": {}}).lacking == "customer"
    assert copied(PLAN, THERE | {"record": " "}, None, ROWS).lacking == "record"
    assert copied(PLAN, THERE | {"note": "too long"}, None, ROWS).lacking == "note"
