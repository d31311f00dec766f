"""A run that goes on as a new one hands on all that it holds: what it began with, it would begin the next one with.

Each run begins with a start in which every field holds something. A field that somebody adds and no run hands on, or
that is handed on and not taken up, is found here, without a server.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from temporalio import workflow

from domain.after_end_book import BookState
from domain.after_end_start import AfterEndStart
from domain.approval_start import ApprovalCheckpoint, ApprovalStart
from domain.bulk import BulkStart
from domain.collections import CollectionsStart
from domain.credit_ledger import LedgerStart
from domain.credit_review_said import CreditReviewStart
from domain.deal_start import Checkpoint, DealStart
from domain.delegation_start import DelegationsStart
from domain.digest import Digest
from domain.entities.comparison_run import CompareStart
from domain.entities.history_run import HistoryStart
from domain.entities.initial_run import InitialRunStart
from domain.entities.parallel_run import ParallelStart
from domain.entities.sync_run import ReplayStart, SyncStart
from domain.feeds import FeedCursor, FeedStart
from domain.messages import SalesEvent
from domain.notices_start import NoticesStart
from domain.record import Record
from tests.deals import new_deal
from tests.workflows.filling import AT, full
from workflows import feeds
from workflows.after_end import AfterEnd
from workflows.approval import Approval
from workflows.bulk import BulkRun
from workflows.collections import Collections
from workflows.comparison import CompareRecords
from workflows.credit_ledger import CreditLedger
from workflows.credit_review import CreditReview
from workflows.delegations import CompanyDelegations
from workflows.feeds import FinanceFeed, SalesFeed
from workflows.history import History
from workflows.initial_run import RunInitialSync
from workflows.notices import PeopleNotices
from workflows.parallel import ParallelRun
from workflows.quote_to_cash.record import DealRecord
from workflows.replay import Replay
from workflows.sync import Sync


class GoesOn(Exception):
    """The run goes on as a new one, with this."""

    def __init__(self, start: Record) -> None:
        super().__init__()
        self.start = start


def _seen() -> str:
    digest = Digest()
    digest.add("a document")
    return digest.packed()


@pytest.fixture(autouse=True)
def long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run is advised to go on as a new one, and is asked outside of Temporal."""

    def goes_on(start: Record) -> NoReturn:
        raise GoesOn(start)

    async def comes_at_once(condition: Callable[[], bool], **_: Any) -> None:
        """What is waited for is there."""

    info = SimpleNamespace(
        workflow_id="run/x",
        run_id="r",
        first_execution_run_id="r",
        typed_search_attributes=(),
        is_continue_as_new_suggested=lambda: True,
        get_current_history_length=lambda: 1_000,
    )
    for name, instead in {
        "now": lambda: AT,
        "info": lambda: info,
        "continue_as_new": goes_on,
        "wait_condition": comes_at_once,
        "set_current_details": lambda _: None,
        "memo_value": lambda *_, **__: None,
        "extern_functions": dict,
    }.items():
        monkeypatch.setattr(workflow, name, instead)
    for run in (BulkRun, CreditReview, CompanyDelegations):
        monkeypatch.setattr(run, "_hear_some", comes_later)


async def comes_later(run: Any) -> None:
    """What people said is heard by the next run."""


def rests(run: Any, _start: Record) -> Awaitable[None]:
    """A run looks at its own length where it rests."""
    rest: Awaitable[None] = run._rest()
    return rest


async def turns(run: Any, start: Record) -> None:
    """A run looks at its own length in its loop."""
    await run.run(start)


async def is_asked(run: Any, _start: Record) -> None:
    """A run makes what the next one begins with."""
    raise GoesOn(run._next())


async def leaves(run: Any, _start: Record) -> None:
    """A run ends itself."""
    run._go_on_anew()


async def leaves_if_long(run: Any, _start: Record) -> None:
    """A run ends itself where it is long."""
    run._go_on_anew_if_long()


FINANCE = full(FeedCursor, told=_seen(), link=None, anew=FeedCursor().anew)
SALES = full(FeedCursor, marks={}, told="", key_numbered=False)
RUNS: list[tuple[type[Any], Record, Callable[[Any, Any], Awaitable[None]]]] = [
    (FinanceFeed, full(FeedStart, system="finance", cursor=FINANCE), rests),
    (SalesFeed, full(FeedStart, system="sales", of="quote", cursor=SALES), rests),
    (CreditLedger, full(LedgerStart, seen=_seen()), rests),
    (AfterEnd, full(AfterEndStart, book=full(BookState, seen=_seen())), is_asked),
    (PeopleNotices, full(NoticesStart), turns),
    (Collections, full(CollectionsStart), leaves),
    (BulkRun, full(BulkStart), turns),
    (CreditReview, full(CreditReviewStart), turns),
    (CompanyDelegations, full(DelegationsStart), turns),
    (History, full(HistoryStart), leaves),
    (ParallelRun, full(ParallelStart), is_asked),
    (RunInitialSync, full(InitialRunStart, undoes=False), is_asked),
    (Sync, full(SyncStart), leaves),
    (Replay, full(ReplayStart), leaves_if_long),
    (CompareRecords, full(CompareStart), leaves_if_long),
]


GIVEN = {
    *("every_seconds", "sweep_seconds", "kind", "undoes", "sample", "keep_records"),
    *("letters", "of_reason", "of_cause", "of_key", "dry_run"),
}
"""What a run is told at its first start and never changes, though it may be left out."""
CHANGED = {"bulk", "plan"}
"""What a run cannot begin without, and changes."""


@pytest.mark.parametrize(("kind", "start", "go_on"), RUNS, ids=[kind.__name__ for kind, _, _ in RUNS])
async def test_the_next_run_begins_with_all_that_this_one_held(
    kind: type[Any], start: Record, go_on: Callable[[Any, Any], Awaitable[None]]
) -> None:
    run = kind(start)
    run._something, run._start = True, as_given(start)
    with pytest.raises(GoesOn) as left:
        await go_on(run, run._start)
    assert left.value.start == start


def as_given(start: Record) -> Record:
    """What a run was started with at first: nothing of what it held later."""
    held = {
        name: field.get_default(call_default_factory=True)
        for name, field in type(start).model_fields.items()
        if name in CHANGED or not (field.is_required() or name in GIVEN)
    }
    return start.model_copy(update=held)


def test_every_kind_of_run_that_goes_on_is_looked_at() -> None:
    folder = Path(feeds.__file__).parent
    going_on = {
        path.stem for path in folder.rglob("*.py") if "workflow.continue_as_new(" in path.read_text(encoding="utf-8")
    }
    looked_at = {kind.__module__.rpartition(".")[2] for kind, _, _ in RUNS}
    # Those that read both systems go on by one base; a deal and its requests are below; the last two hold nothing else.
    assert going_on == looked_at - {"comparison"} | {"both_sides", "process", "approval"} | {"audit", "gauges"}


def test_a_request_hands_over_all_that_it_held() -> None:
    start = full(ApprovalStart, told=(), checkpoint=full(ApprovalCheckpoint))
    assert Approval(start)._checkpoint() == start.checkpoint


def deal_with(checkpoint: Checkpoint) -> DealRecord:
    state = checkpoint.state
    start = DealStart(
        company=state.company,
        quote_number=state.quote_number,
        quote_id=state.quote_id,
        revision=state.revision,
        checkpoint=checkpoint,
    )
    return DealRecord(start, deal_id="d", environment="t", run_id="r", clock=lambda: AT, report=lambda _: None)


def test_a_deal_hands_on_all_that_it_held() -> None:
    held = full(Checkpoint, state=new_deal())
    assert deal_with(held).next_start(held.request).checkpoint == held


def test_a_deal_that_begins_anew_keeps_what_it_remembers() -> None:
    held = full(Checkpoint, state=new_deal())
    anew = deal_with(held).anew(full(SalesEvent, company=held.state.company)).checkpoint
    assert anew is not None
    assert anew == held.model_copy(update={"state": anew.state, "request": None})
