"""What goes back of a record that an initial sync wrote: as a whole or not at all, and never what somebody changed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.entities.initial import Action, Change
from domain.entities.initial_run import InitialRunView, PageWritten, WrittenAs, WrittenRecord
from domain.entities.initial_said import said_to_initial
from domain.entities.initial_undo import Undoing, not_back, undoing_create, undoing_update, wrote
from domain.entities.merge import Both, Merged
from domain.entities.merge_forms import SyncedField
from domain.entities.model import Owner
from domain.people import Person
from domain.refusals import Refusal
from tests.rights import said

TOOK = timedelta(seconds=1)
FIELDS = {
    name: SyncedField(name=name, finance=name, sales=name, owner=owner, to=frozenset({to}), normal="trim")
    for name, owner, to in (("terms", Owner.FINANCE, "sales"), ("phone", Owner.SALES, "finance"))
}
TERMS = Change(field="terms", to="sales", finance="Net 30", sales="1", value="3")
PHONE = Change(field="phone", to="finance", finance="old", sales="new", value="new")
CHANGED = WrittenRecord(
    key="US-1", sales_id="row", action=Action.UPDATE, written=WrittenAs.UPDATED, changes=(TERMS, PHONE)
)
MADE = WrittenRecord(
    key="US-2", sales_id="row", action=Action.CREATE, written=WrittenAs.CREATED, changes=(TERMS,), sales_version=7
)


def update(terms: str, phone: str, *, in_finance: bool = True, ids: tuple[str, ...] = ("row",)) -> Undoing:
    now = {"terms": Both(finance="Net 30", sales=terms), "phone": Both(finance=phone, sales="new")}
    return undoing_update(CHANGED, FIELDS, now, in_finance=in_finance, ids=ids)


def test_what_the_run_wrote_gets_its_value_from_before_also_where_half_of_it_has_it() -> None:
    assert update("3", "new").merged == Merged(to_sales={"terms": "1"}, to_finance={"phone": "old"})
    assert update(" 3", "old").merged == Merged(to_sales={"terms": "1"})
    assert update("1", "old") == Undoing()


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (update("4", "new"), "terms was changed after the run"),
        (update("1", "other"), "phone was changed after the run"),
        (update("3", "new", in_finance=False), "one side has it no more"),
        (update("3", "new", ids=()), "one side has it no more"),
        (update("3", "new", ids=("row", "another")), "another row of Sales has its key by now"),
        (update("3", "new", ids=("another",)), "another row of Sales has its key by now"),
    ],
)
def test_a_record_that_somebody_changed_stays_as_a_whole(found: Undoing, why: str) -> None:
    assert found == Undoing(written=WrittenAs.STAYS, why=why)


def create(
    record: WrittenRecord = MADE,
    *,
    has_state: bool = True,
    ids: tuple[str, ...] = ("row",),
    state: int | None = 0,
    version: int = 7,
) -> Undoing:
    return undoing_create(record, has_state=has_state, ids=ids, state=state, version=version)


@pytest.mark.parametrize(
    ("found", "becomes"),
    [
        (create(), WrittenAs.DEACTIVATED),
        (create(ids=()), WrittenAs.AS_BEFORE),
        (create(state=1, version=8), WrittenAs.AS_BEFORE),
        (create(version=8), WrittenAs.STAYS),
        (create(state=2), WrittenAs.STAYS),
        (create(has_state=False, state=None), WrittenAs.STAYS),
        (create(ids=("another",)), WrittenAs.STAYS),
        (create(MADE.model_copy(update={"sales_version": 0})), WrittenAs.STAYS),
        (create(MADE.model_copy(update={"changes": (PHONE,)})), WrittenAs.STAYS),  # linked with a record of Finance
    ],
)
def test_a_row_is_deactivated_only_where_nobody_touched_it(found: Undoing, becomes: WrittenAs) -> None:
    assert (found.written, found.deactivates) == (becomes, becomes is WrittenAs.DEACTIVATED)
    assert found.writes or found.why


@pytest.mark.parametrize("written", WrittenAs)
def test_only_what_a_run_may_have_written_is_looked_at(written: WrittenAs) -> None:
    may = {WrittenAs.UPDATED, WrittenAs.DIFFERS, WrittenAs.REFUSED}
    assert wrote(CHANGED.model_copy(update={"written": written})) is (written in may)
    made = {WrittenAs.CREATED, WrittenAs.UPDATED, WrittenAs.DIFFERS}
    assert wrote(MADE.model_copy(update={"written": written})) is (written in made)


def test_what_is_not_as_before_when_it_is_read_back_is_named() -> None:
    now = {"terms": Both(finance="Net 30", sales="1"), "phone": Both(finance="new", sales="new")}
    assert not_back(CHANGED, FIELDS, now) == ["phone"]


def test_an_undo_reads_everything_and_then_asks_before_it_writes() -> None:
    view = InitialRunView(entity="customer", company="usmf", undoes=True, status="looking", records=3, pages=2)
    page = PageWritten(counts={WrittenAs.RESTORED: 2})
    view = view.plus(page, TOOK)
    assert (view.status, view.handled, view.counts, view.looks) == ("looking", 2, {}, True)
    view = view.plus(PageWritten(counts={WrittenAs.STAYS: 1}), TOOK)
    assert (view.status, view.next_page, view.looks) == ("asking", 0, False)
    assert view.why == "2 records would be undone, 1 stay as they are: go on, or stop"
    assert view.would == {WrittenAs.RESTORED: 2, WrittenAs.STAYS: 1}
    view = view.model_copy(update={"status": "writing"}).plus(PageWritten(counts={WrittenAs.REFUSED: 2}), TOOK)
    assert (view.status, view.counts) == ("asking", {WrittenAs.REFUSED: 2}), "its first records showed trouble"


def test_a_word_is_about_the_run_that_is_undone_and_needs_its_own_right() -> None:
    view = InitialRunView(entity="customer", company="usmf", undoes=True, status="asking", dry_run="r1")
    ops = Person(oid="o", name="otto", roles=("ops",))

    def code(name: str, person: Person = ops, **args: str) -> Refusal | None:
        return said_to_initial(said(person, name, {"do": "go_on", "reason": "why"} | args), view).code

    assert code("undo_initial", run="r1") is None
    assert code("undo_initial", run="r2") is Refusal.INITIAL_NOT_THERE
    assert code("undo_initial") is Refusal.BAD_ARGUMENT
    assert code("run_initial", run="r1") is Refusal.UNKNOWN_COMMAND
    assert code("undo_initial", Person(oid="r", name="rita", roles=("sales_rep.usmf",)), run="r1") == "NO_AUTHORITY"
