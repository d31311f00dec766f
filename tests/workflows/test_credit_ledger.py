"""The credit ledger as deals meet it: many at once, some with the impossible, some gone, and none in the way."""

from __future__ import annotations

import asyncio
import gc
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import uuid4

import pytest
from temporalio.client import WithStartWorkflowOperation, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment, WorkflowEnvironment
from temporalio.worker import Worker

from activities.credit import CreditDesk
from activities.signatures import ReserveCredit
from domain.credit import MOST_DEALS, CreditBook, CreditEntry, EntryStatus
from domain.credit_facts import CreditFacts, OpenOrder
from domain.credit_ledger import CreditAnswer, LedgerRequest, LedgerStart
from domain.credit_parts import part_of
from domain.messages import CustomerChanged, LedgerNote
from runs import names
from runs.calls import NoAnswer
from runs.ledgers import LedgerRefused, Ledgers
from tests.workflows.feed_world import POLICY, FeedWorld, credit_facts, eventually
from tests.workflows.task_time import MOST_SECONDS, Metered
from workflows.credit_ledger import CreditLedger

D = Decimal


def ask(account: str, deal_id: str, amount: str, of: CreditFacts | None = None) -> LedgerRequest:
    return LedgerRequest(
        deal_id=deal_id,
        order_number=f"Q2C-{uuid4().hex[:12]}",
        amount=D(amount),
        facts=of or credit_facts(account),
        terms=POLICY.credit_terms("usmf", account),
    )


@pytest.fixture
def account() -> str:
    return f"C-{uuid4().hex[:8]}"


async def book(feeds: FeedWorld, account: str) -> CreditBook:
    found: CreditBook = await ledger(feeds, account).query(names.STATE, result_type=CreditBook)
    return found


async def tally(feeds: FeedWorld, account: str) -> dict[str, int]:
    counted: dict[str, int] = await ledger(feeds, account).query(names.TALLY)
    return counted


def ledger(feeds: FeedWorld, account: str) -> WorkflowHandle[Any, Any]:
    return feeds.client.get_workflow_handle(names.ledger_id("usmf", account))


def note(deal: WorkflowHandle[Any, Any]) -> LedgerNote:
    return LedgerNote(deal_id=deal.id, at=datetime.now(UTC))


# Many at once


@pytest.fixture
def time_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tested is that all are answered, not how fast this machine is."""
    monkeypatch.setattr("runs.ledgers.PATIENCE", 150.0)


@pytest.mark.usefixtures("time_enough")
async def test_two_hundred_deals_ask_at_once_and_all_are_answered(feeds: FeedWorld, account: str) -> None:
    """Before: a run takes ten updates in flight; 179 of 200 failed, and their deals were parked."""
    requests = [ask(account, f"q2c/usmf/Q-{n}", "100.00") for n in range(200)]
    answers = await asyncio.gather(*(feeds.ledgers.reserve("usmf", account, request) for request in requests))
    assert sum(answer.decision.passed for answer in answers if answer.decision) == 200
    assert len((await book(feeds, account)).entries) == 200
    started = await anext(ledger(feeds, account).fetch_history_events())
    assert started.workflow_execution_started_event_attributes.priority.fairness_key == "usmf"


@pytest.mark.usefixtures("time_enough")
async def test_what_other_processes_ask_meanwhile_is_waited_for(feeds: FeedWorld, account: str) -> None:
    """Four processes put sixteen questions at a time: the run refuses some, and they are asked again."""
    processes = [Ledgers(feeds.client) for _ in range(4)]

    async def decided(n: int) -> CreditAnswer:
        """As a deal does: what was read too long ago on a busy machine is read again."""
        while True:
            answer = await processes[n % 4].reserve("usmf", account, ask(account, f"q2c/usmf/Q-{n}", "1.00"))
            if not answer.stale:
                return answer

    answers = await asyncio.gather(*(decided(n) for n in range(120)))
    assert all(answer.decision for answer in answers)
    assert (await tally(feeds, account))["decided"] == 120


async def test_a_refusal_for_lack_of_room_is_transient_to_the_deal(
    feeds: FeedWorld, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(*_: Any) -> CreditAnswer:
        raise NoAnswer("The credit ledger does not answer")

    monkeypatch.setattr(feeds.ledgers, "reserve", busy)
    desk = CreditDesk(feeds.ledgers, POLICY)
    with pytest.raises(ApplicationError) as failed:
        await ActivityEnvironment().run(desk.reserve_credit, _question(account))
    assert (failed.value.type, failed.value.non_retryable) == ("Transient", False)


async def test_a_refusal_for_lack_of_room_is_no_error_in_the_log(
    feeds: FeedWorld, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: each refused try left a future behind, and asyncio logged "Future exception was never retrieved"."""

    async def refused(*_: Any, **__: Any) -> None:
        raise RPCError("workflow update limit", RPCStatusCode.RESOURCE_EXHAUSTED, b"")

    monkeypatch.setattr("runs.ledgers.PATIENCE", 0.3)
    monkeypatch.setattr(feeds.client.workflow_service, "execute_multi_operation", refused)
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, complaint: complaints.append(complaint))
    with pytest.raises(NoAnswer, match="does not answer"):
        await feeds.ledgers.reserve("usmf", account, ask(account, "q2c/usmf/Q-1", "1.00"))
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []


# The same credit


@pytest.mark.parametrize("seed", range(12))
async def test_s20_two_deals_on_one_customers_credit_never_both_and_never_neither(
    feeds: FeedWorld, account: str, seed: int
) -> None:
    chance = random.Random(seed)
    first, second = await feeds.deal(), await feeds.deal()
    amounts = {first.id: chance.choice(["60.00", "100.00"]), second.id: chance.choice(["50.00", "41.00"])}

    async def deal(deal_id: str) -> bool:
        read = credit_facts(account, "100.00")
        await asyncio.sleep(chance.random() * 0.05)
        answer = await feeds.ledgers.reserve("usmf", account, ask(account, deal_id, amounts[deal_id], read))
        return bool(answer.decision and answer.decision.passed)

    passed = dict(zip(amounts, await asyncio.gather(*(deal(each) for each in amounts)), strict=True))
    assert sum(passed.values()) == 1
    (lucky,) = (each for each in passed if passed[each])
    (other,) = (handle for handle in (first, second) if handle.id != lucky)

    await ledger(feeds, account).signal(names.RELEASE, LedgerNote(deal_id=lucky, at=datetime.now(UTC)))

    assert await eventually(lambda: other.query("rechecks"))
    assert await deal(other.id)


async def test_one_reading_of_finance_serves_the_deals_that_had_to_wait(feeds: FeedWorld, account: str) -> None:
    """Facts a minute old decide nothing; the reading another deal brought since then does."""
    old = credit_facts(account, as_of=datetime.now(UTC) - timedelta(seconds=90))
    alone = await feeds.ledgers.reserve("usmf", account, ask(account, "q2c/usmf/slow", "1.00", old))
    assert alone.decision is None and "read them again" in alone.stale

    fresh = credit_facts(account, open_orders=(OpenOrder(order_number="SO-1", amount=D("99000.00")),))
    await feeds.ledgers.reserve("usmf", account, ask(account, "q2c/usmf/quick", "1.00", fresh))
    served = await feeds.ledgers.reserve("usmf", account, ask(account, "q2c/usmf/slow", "1000.00", old))

    assert served.decision is not None
    assert (served.decision.as_of, served.decision.open_orders) == (fresh.as_of, D("99000.00"))
    assert not served.decision.passed


async def test_a_reading_of_another_account_or_currency_serves_nobody_else(feeds: FeedWorld, account: str) -> None:
    await feeds.ledgers.reserve(
        "usmf", account, ask(account, "q2c/usmf/a", "1.00", credit_facts(account, currency="EUR"))
    )
    mine = credit_facts(account, as_of=datetime.now(UTC) - timedelta(seconds=5))
    answer = await feeds.ledgers.reserve("usmf", account, ask(account, "q2c/usmf/b", "1.00", mine))
    assert answer.decision and answer.decision.as_of == mine.as_of


# The impossible


async def test_no_message_harms_a_ledger(feeds: FeedWorld, account: str) -> None:
    """Before: a moment without zone or a number out of range failed the ledger's task forever, and all its deals."""
    deal = await feeds.deal()
    await feeds.ledgers.reserve("usmf", account, ask(account, deal.id, "100.00"))
    handle = ledger(feeds, account)
    now = datetime.now(UTC).isoformat()
    strange: list[tuple[str, list[Any]]] = [
        (names.ORDER_VISIBLE, []),
        (names.ORDER_VISIBLE, [None]),
        (names.ORDER_VISIBLE, [{"deal_id": deal.id, "at": "2026-11-25T12:00:00"}]),
        (names.ORDER_VISIBLE, [{"deal_id": deal.id, "at": "soon"}]),
        (names.RELEASE, [{"at": now}]),
        (names.RELEASE, ["text", "and more"]),
        (names.CUSTOMER_CHANGED, [{"event_id": "e-1", "reason": "x", "freed": "NaN"}]),
        (names.CUSTOMER_CHANGED, [{"event_id": "e-2"}]),
        (names.CUSTOMER_CHANGED, []),
        (names.CUSTOMER_CHANGED, [{"event_id": "e-3", "reason": "r" * 10_000}]),
        *(
            (names.CUSTOMER_CHANGED, [{"event_id": f"e/{amount}", "reason": "x", "freed": amount}])
            for amount in ("1e999999", "-1e999999", "1e30")
        ),
    ]
    for name, message in strange:
        await handle.signal(name, args=message)
    await handle.signal(names.ORDER_VISIBLE, LedgerNote(deal_id=deal.id, at=datetime(9999, 12, 31, tzinfo=UTC)))

    answer = await feeds.ledgers.reserve("usmf", account, ask(account, "q2c/usmf/next", "1.00"))

    assert answer.decision and answer.decision.passed
    entry = (await book(feeds, account)).entry(deal.id)
    assert entry and entry.visible_at and entry.visible_at <= datetime.now(UTC)
    heard = [message for _, message in strange if len(message) == 1]
    assert (await tally(feeds, account))["unreadable"] == len(heard), "the others stop at the gate of the run"


@pytest.mark.parametrize(
    "message",
    [["text"], [{}], [{"amount": "-1"}]],
)
async def test_a_question_that_is_none_is_answered(feeds: FeedWorld, account: str, message: list[Any]) -> None:
    start: Any = WithStartWorkflowOperation(
        names.CREDIT_LEDGER,
        LedgerStart(company="usmf", customer_account=account),
        id=names.ledger_id("usmf", account),
        task_queue=names.DEAL_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
    answer = await feeds.client.execute_update_with_start_workflow(
        names.RESERVE, args=message, start_workflow_operation=start, result_type=CreditAnswer
    )
    assert answer.decision is None and answer.refused


@pytest.mark.parametrize("message", [[], [{"amount": "-1"}, "and more"]])
async def test_a_question_of_no_or_two_arguments_is_refused_at_the_gate_and_the_next_is_answered(
    feeds: FeedWorld, account: str, message: list[Any]
) -> None:
    await feeds.ledgers.reserve("usmf", account, ask(account, "q2c/usmf/first", "1.00"))
    with pytest.raises(WorkflowUpdateFailedError):
        await ledger(feeds, account).execute_update(names.RESERVE, args=message)
    answer = await feeds.ledgers.reserve("usmf", account, ask(account, "q2c/usmf/next", "1.00"))
    assert answer.decision and answer.decision.passed


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"amount": D(-1)}, "amount"),
        ({"amount": D("1e16")}, "amount"),
        ({"facts": {"credit_limit": D("1e300")}}, "facts.credit_limit"),
        (
            {"facts": {"open_orders": (OpenOrder(order_number="SO-7", amount=D("-1e20")),)}},
            r"facts.open_orders\[SO-7\]",
        ),
        ({"facts": {"as_of": datetime(2026, 11, 25, 12, 0)}}, "facts.as_of"),
        ({"order_number": ""}, "order_number"),
    ],
)
async def test_impossible_numbers_park_the_deal_that_has_them_and_name_the_field(
    feeds: FeedWorld, account: str, changes: dict[str, Any], named: str
) -> None:
    question = _question(account)
    read = credit_facts(account).model_copy(update=changes.pop("facts", {}))
    question = question.model_copy(update={"facts": read, **changes})
    with pytest.raises(ApplicationError, match=named) as failed:
        await ActivityEnvironment().run(CreditDesk(feeds.ledgers, POLICY).reserve_credit, question)
    assert (failed.value.type, failed.value.non_retryable) == ("Refused", True)


async def test_facts_from_a_clock_that_is_ahead_decide_nothing_and_are_asked_again_later(
    feeds: FeedWorld, account: str
) -> None:
    ahead = credit_facts(account, as_of=datetime.now(UTC) + timedelta(minutes=10))
    with pytest.raises(NoAnswer, match="clock of the machine that read them is wrong"):
        await feeds.ledgers.reserve("usmf", account, ask(account, "q2c/usmf/a", "1.00", ahead))


async def test_a_release_of_another_deal_is_refused_and_blocks_nobody(feeds: FeedWorld, account: str) -> None:
    token = {
        "deal_id": "q2c/usmf/b",
        "ceiling": "1000.00",
        "valid_until": datetime.now(UTC) + timedelta(days=1),
        "reasons": ("OVER_LIMIT",),
        "released_by": {"oid": "carl"},
    }
    stolen = LedgerRequest.model_validate(ask(account, "q2c/usmf/a", "1.00").model_dump() | {"release": token})
    with pytest.raises(LedgerRefused, match="the release is for q2c/usmf/b"):
        await feeds.ledgers.reserve("usmf", account, stolen)
    assert (await feeds.ledgers.reserve("usmf", account, ask(account, "q2c/usmf/c", "1.00"))).decision


# Deals that are gone


async def test_the_reservation_of_a_terminated_deal_is_found_and_freed(
    feeds: FeedWorld, account: str, environment: WorkflowEnvironment
) -> None:
    """Before: it held the customer's credit forever."""
    gone, waits = await feeds.deal(), await feeds.deal()
    await feeds.ledgers.reserve("usmf", account, ask(account, gone.id, "80.00", credit_facts(account, "100.00")))
    held = await feeds.ledgers.reserve(
        "usmf", account, ask(account, waits.id, "80.00", credit_facts(account, "100.00"))
    )
    assert held.decision and not held.decision.passed
    await gone.terminate("by an operator")

    await environment.fast_forward(ledger(feeds, account), timedelta(minutes=11))

    assert await eventually(lambda: waits.query("rechecks")) == 1
    assert [entry.deal_id for entry in (await book(feeds, account)).entries] == [waits.id]
    assert (await tally(feeds, account)) == {"decided": 2, "freed": 1, "woken": 1}


async def test_a_deal_that_lives_keeps_its_reservation_and_is_asked_about_once_an_hour(
    feeds: FeedWorld, account: str, environment: WorkflowEnvironment
) -> None:
    lives, waits = await feeds.deal(), await feeds.deal()
    for deal in (lives, waits):
        await feeds.ledgers.reserve("usmf", account, ask(account, deal.id, "80.00", credit_facts(account, "100.00")))

    for _ in range(4):
        await environment.fast_forward(ledger(feeds, account), timedelta(minutes=20))
        await asyncio.sleep(0.2)

    async def asked_twice() -> bool:
        return len(await _activities(feeds, account)) >= 2

    await eventually(asked_twice)
    entry = (await book(feeds, account)).entry(lives.id)
    assert entry and entry.status is EntryStatus.RESERVED and entry.checked_at
    assert await _activities(feeds, account) == ["find_ended", "find_ended"]
    assert await waits.query("rechecks") == 0


async def test_a_part_of_a_deal_is_held_as_long_as_its_deal_runs(
    feeds: FeedWorld, account: str, environment: WorkflowEnvironment
) -> None:
    """What is reserved for a larger order is no run of its own: its deal is asked about."""
    gone, lives, waits = await feeds.deal(), await feeds.deal(), await feeds.deal()
    for deal_id in (part_of(gone.id, 1), part_of(lives.id, 1), waits.id):
        await feeds.ledgers.reserve("usmf", account, ask(account, deal_id, "50.00", credit_facts(account, "100.00")))
    await gone.terminate("by an operator")

    await environment.fast_forward(ledger(feeds, account), timedelta(minutes=11))

    assert await eventually(lambda: waits.query("rechecks")) == 1
    assert [entry.deal_id for entry in (await book(feeds, account)).entries] == [part_of(lives.id, 1), waits.id]


async def test_a_ledger_nobody_waits_in_asks_nobody_and_sets_no_timer(
    feeds: FeedWorld, account: str, environment: WorkflowEnvironment
) -> None:
    deal = await feeds.deal()
    await feeds.ledgers.reserve("usmf", account, ask(account, deal.id, "80.00"))
    await ledger(feeds, account).signal(names.ORDER_VISIBLE, note(deal))
    await environment.fast_forward(ledger(feeds, account), timedelta(days=2))
    history = await ledger(feeds, account).fetch_history()
    kinds = {event.WhichOneof("attributes") for event in history.events}
    assert not kinds & {"timer_started_event_attributes", "activity_task_scheduled_event_attributes"}


async def test_held_deals_that_are_gone_keep_none_from_being_woken(feeds: FeedWorld, account: str) -> None:
    """Before: woken one after another, each waited for."""
    holds = await feeds.deal()
    await feeds.ledgers.reserve("usmf", account, ask(account, holds.id, "100.00", credit_facts(account, "100.00")))
    for n in range(30):
        gone = ask(account, f"q2c/usmf/gone-{uuid4()}", f"{n + 1}.00", credit_facts(account, "100.00"))
        await feeds.ledgers.reserve("usmf", account, gone)
    last = await feeds.deal()
    await feeds.ledgers.reserve("usmf", account, ask(account, last.id, "50.00", credit_facts(account, "100.00")))

    assert len((await book(feeds, account)).held) == 31

    await ledger(feeds, account).signal(names.CUSTOMER_CHANGED, CustomerChanged(event_id="limit/1", reason="raised"))

    assert await eventually(lambda: last.query("rechecks")) == 1
    await eventually(lambda: _held(feeds, account, [last.id]))


async def test_an_event_of_the_customer_delivered_twice_wakes_once(feeds: FeedWorld, account: str) -> None:
    held = await feeds.deal()
    await feeds.ledgers.reserve("usmf", account, ask(account, held.id, "200.00", credit_facts(account, "100.00")))
    change = CustomerChanged(event_id="finance/payment/1", reason="payment 1 posted", freed=D("150.00"))
    for _ in range(3):
        await ledger(feeds, account).signal(names.CUSTOMER_CHANGED, change)
    await eventually(lambda: held.query("rechecks"))
    await asyncio.sleep(0.3)
    assert await held.query("rechecks") == 1


# What Temporal Web shows


async def test_the_current_details_show_the_book_and_stay_short(feeds: FeedWorld, account: str) -> None:
    for n in range(60):
        await feeds.ledgers.reserve("usmf", account, ask(account, f"q2c/usmf/Q-{n}", "1500.00"))
    await feeds.ledgers.reserve("usmf", account, ask(account, "q2c/usmf/Q-60", "20000.00"))
    details = (await ledger(feeds, account).query("__temporal_workflow_metadata")).current_details
    assert details.startswith(f"**Credit of {account}** in USMF: 60 reserved, 1 on hold")
    assert "| q2c/usmf/Q-0 |" in details and "1,500.00 | reserved |" in details
    assert details.count("\n") < 60 and "and 11 more: query `state`" in details


def _question(account: str) -> ReserveCredit:
    return ReserveCredit(
        company="usmf",
        customer_account=account,
        deal_id="q2c/usmf/Q-1",
        order_number="Q2C-AAAABBBBCCCC",
        amount=D("10.00"),
        facts=credit_facts(account),
    )


async def _activities(feeds: FeedWorld, account: str) -> list[str]:
    history = await ledger(feeds, account).fetch_history()
    return [
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in history.events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]


async def _held(feeds: FeedWorld, account: str, deals: list[str]) -> bool:
    return list((await book(feeds, account)).held) == deals


async def test_three_thousand_events_of_a_customer_with_a_full_book_are_taken_at_once(
    feeds: FeedWorld, account: str
) -> None:
    """They came while no worker ran. Before: each was taken by itself, 60 ms, and the deadlock detector stopped it."""
    held = tuple(
        CreditEntry(
            deal_id=f"q2c/usmf/Q-{n}",
            order_number=str(n),
            amount=Decimal(5),
            status=EntryStatus.HELD,
            over_by=Decimal(10**6),
            asked_at=datetime.now(UTC),
        )
        for n in range(MOST_DEALS)
    )
    queue = f"burst {account}"
    start = LedgerStart(company="usmf", customer_account=account, book=CreditBook(entries=held))
    burst = await feeds.client.start_workflow(
        names.CREDIT_LEDGER, start, id=names.ledger_id("usmf", account), task_queue=queue
    )
    changes = [CustomerChanged(event_id=str(n), reason="paid", freed=Decimal(1)) for n in range(3_000)]
    for begin in range(0, len(changes), 100):
        await asyncio.gather(*(burst.signal(names.CUSTOMER_CHANGED, each) for each in changes[begin : begin + 100]))
    meter = Metered()
    async with Worker(feeds.client, task_queue=queue, workflows=[CreditLedger], workflow_runner=meter, debug_mode=True):
        while (entries := (await book(feeds, account)).entries)[0].over_by != Decimal(10**6 - 3_000):
            await asyncio.sleep(0.1)
    assert meter.longest < MOST_SECONDS
    assert {entry.over_by for entry in entries} == {Decimal(10**6 - 3_000)}
    failed = [event async for event in burst.fetch_history_events() if event.HasField(FAILED)]
    assert failed == []


FAILED: Final = "workflow_task_failed_event_attributes"
