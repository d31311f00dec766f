"""What is held against a plan before it is written, how a run stands, and what people may say to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from domain.entities.gate import Limits, Verdict, may_begin
from domain.entities.initial import Action, Change, DryRun, PlanFigures, PlannedRecord, Why
from domain.entities.initial_run import InitialRunView, PageWritten, Standing, WrittenAs, held, held_to_link
from domain.entities.initial_said import said_to_initial
from domain.entities.merge import Both
from domain.entities.merge_forms import SyncedField
from domain.entities.model import Owner
from domain.messages import VerifiedMessage
from domain.people import Person
from domain.refusals import Refusal
from domain.rights import Grant, Granted

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
FIELDS = {
    name: SyncedField(name=name, finance=name.title(), sales=name, owner=owner, to=frozenset(to), normal="trim")
    for name, owner, to in (
        ("terms", Owner.FINANCE, ("sales", "finance")),
        ("phone", Owner.SALES, ("finance", "sales")),
        ("price", Owner.SALES, ("sales",)),
    )
}
TERMS = Change(field="terms", to="sales", finance="Net 30", sales="Net 45", value="Net 30")


def both(**values: tuple[str, str]) -> dict[str, Both]:
    of = dict.fromkeys(FIELDS, ("same", "same")) | values
    return {name: Both(finance=finance, sales=sales) for name, (finance, sales) in of.items()}


def planned(*changes: Change, action: Action = Action.UPDATE) -> PlannedRecord:
    ids = ("row",) if action is Action.UPDATE else ()
    return PlannedRecord(key="US-1", at="US-1", sales_ids=ids, action=action, why=Why.OWNER, changes=changes)


def stands(
    record: PlannedRecord, now: dict[str, Both], *, in_finance: bool = True, ids: tuple[str, ...] = ("row",)
) -> Standing:
    return held(record, FIELDS, now, in_finance=in_finance, sales_ids=ids, currency="USD")


def test_a_record_is_written_as_planned_where_both_sides_are_as_the_dry_run_saw_them() -> None:
    phone = Change(field="phone", to="finance", finance="1", sales="2", value="2")
    as_seen = stands(planned(TERMS, phone), both(terms=("Net 30", "Net 45"), phone=("1", "2")))
    assert as_seen.merged is not None
    assert (as_seen.merged.to_sales, as_seen.merged.to_finance) == ({"terms": "Net 30"}, {"phone": "2"})

    half = stands(planned(TERMS, phone), both(terms=("Net 30", "Net 30"), phone=("1", "2")))
    assert half.merged is not None and half.merged.to_sales == {}, "a page that was killed half way goes on"
    assert stands(planned(TERMS), both()) == Standing(written=WrittenAs.AGREES)


@pytest.mark.parametrize(
    ("now", "ids", "in_finance"),
    [
        (both(terms=("Net 60", "Net 45")), ("row",), True),
        (both(terms=("Net 30", "Net 10")), ("row",), True),
        (both(terms=("Net 30", "Net 45"), phone=("1", "2")), ("row",), True),
        (both(terms=("Net 30", "Net 45")), ("row", "other"), True),
        (both(terms=("Net 30", "Net 45")), ("other",), True),
        (both(terms=("Net 30", "Net 45")), (), True),
        (both(terms=("Net 30", "Net 45")), ("row",), False),
    ],
)
def test_what_changed_after_the_dry_run_is_not_written(
    now: dict[str, Both], ids: tuple[str, ...], in_finance: bool
) -> None:
    found = stands(planned(TERMS), now, ids=ids, in_finance=in_finance)
    assert found.merged is None
    assert found.written is WrittenAs.MOVED
    assert found.why


def test_a_price_and_a_key_are_never_written_to_finance_whatever_a_plan_says() -> None:
    price = Change(field="price", to="finance", finance="1", sales="2", value="2")
    refused = stands(planned(price), both(price=("1", "2")))
    assert (refused.written, refused.merged) == (WrittenAs.REFUSED, None)
    number = Change(field="number", to="finance", finance="1", sales="2", value="2")
    assert stands(planned(number), both()).written is WrittenAs.REFUSED
    made = planned(TERMS.model_copy(update={"to": "finance"}), action=Action.CREATE)
    assert stands(made, both(terms=("Net 30", "")), ids=()).written is WrittenAs.REFUSED


def test_a_row_is_made_where_sales_lacks_it_still_and_finance_is_as_it_was() -> None:
    record = planned(TERMS.model_copy(update={"sales": ""}), action=Action.CREATE)
    assert stands(record, both(terms=("Net 30", "")), ids=()).merged is not None
    assert stands(record, both(terms=("Net 60", "")), ids=()).written is WrittenAs.MOVED
    assert stands(record, both(terms=("Net 30", "")), ids=(), in_finance=False).written is WrittenAs.MOVED
    assert stands(record, both(terms=("Net 30", "Net 30"))).written is WrittenAs.AGREES, "our own, tried again"
    assert stands(record, both(terms=("Net 30", "Net 45"))).written is WrittenAs.MOVED, "somebody else's"


def test_the_first_page_stops_a_run_where_a_record_is_refused_and_a_later_one_does_not() -> None:
    begun = InitialRunView(entity="customer", company="usmf", status="writing", records=250, first=50, pages=3)
    good = PageWritten(counts={WrittenAs.UPDATED: 49, WrittenAs.MOVED: 1})
    bad = PageWritten(counts={WrittenAs.UPDATED: 99, WrittenAs.REFUSED: 1}, letters=1)

    first = begun.plus(good, timedelta(seconds=25))
    assert (first.status, first.time_left()) == ("writing", timedelta(seconds=100))
    later = first.plus(bad, timedelta(seconds=25))
    assert (later.status, later.handled, later.letters) == ("writing", 150, 1)
    assert begun.plus(bad, timedelta(seconds=25)).status == "asking"
    assert begun.model_copy(update={"pages": 1}).plus(bad, timedelta(seconds=25)).status == "writing", (
        "nothing comes after it"
    )


def test_a_run_begins_only_by_a_fresh_word_of_the_gate_about_this_map_and_plan() -> None:
    run = DryRun(
        run_id="r", entity="customer", company="usmf", map_hash="m", plan_hash="p", began_at=NOW, ended_at=NOW,
        figures=PlanFigures(),
    )  # fmt: skip
    said = Verdict(entity="customer", company="usmf", at=NOW, allowed=True, map_hash="m", run_id="r", plan_hash="p")
    limits = Limits(version="1", unmapped_pct="5")
    assert may_begin(said, "m", run, limits, NOW + timedelta(hours=24)) == ""
    for verdict, map_hash, known, at in (
        (None, "m", run, NOW),
        (said.model_copy(update={"allowed": False}), "m", run, NOW),
        (said, "other", run, NOW),
        (said, "m", None, NOW),
        (said.model_copy(update={"plan_hash": "other"}), "m", run, NOW),
        (said, "m", run, NOW + timedelta(hours=24, seconds=1)),
    ):
        assert may_begin(verdict, map_hash, known, limits, at)


def message(do: str, *, granted: bool = True) -> VerifiedMessage:
    grants = (Grant(role="ops"),) if granted else ()
    return VerifiedMessage(
        message_id="1",
        person=Person(oid="o", name="Otto", roles=("ops",)),
        name="run_initial",
        args={"do": do, "reason": "go-live"},
        signed_at=NOW,
        granted=Granted(grants=grants),
    )


@pytest.mark.parametrize(
    ("status", "fits"),
    [
        ("waiting", {"begin"}),
        ("writing", {"pause", "stop"}),
        ("asking", {"go_on", "stop"}),
        ("paused", {"go_on", "stop"}),
        ("done", set()),
    ],
)
def test_a_person_says_what_fits_how_the_run_stands(status: str, fits: set[str]) -> None:
    view = InitialRunView.model_validate({"entity": "customer", "company": "usmf", "status": status})
    words = ("begin", "pause", "go_on", "stop")
    assert {do for do in words if said_to_initial(message(do), view).code is None} == fits
    assert said_to_initial(message("begin", granted=False), view).code is Refusal.NO_AUTHORITY


def test_a_row_without_a_key_is_linked_as_long_as_it_is_what_the_dry_run_saw() -> None:
    change = Change(field="name", to="finance", sales="Oh", value="Oh")
    record = PlannedRecord(
        key="r1", at="r1", sales_ids=("r1",), action=Action.CREATE, why=Why.LACKING, changes=(change,)
    )
    now = {"name": Both(sales="Oh")}

    assert record.links
    assert not record.model_copy(update={"at": "US-1"}).links
    assert held_to_link(record, now, there=True, linked=False).merged is not None
    for stands, written in (
        (held_to_link(record, now, there=True, linked=True), WrittenAs.AGREES),
        (held_to_link(record, now, there=False, linked=False), WrittenAs.MOVED),
        (held_to_link(record, {"name": Both(sales="Ohm")}, there=True, linked=False), WrittenAs.MOVED),
    ):
        assert (stands.merged, stands.written) == (None, written)
