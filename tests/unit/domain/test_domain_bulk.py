"""What a bulk run does next, by its rules alone: pace, old signatures, looks, and an end for each of its phases."""

from __future__ import annotations

import pytest

from domain import bulk as rules
from domain.bulk import Bulk, BulkItem, BulkPhase, BulkQuery, ItemStatus
from domain.bulk_said import after_look, args_of, item, said_to_bulk, would_take
from domain.messages import CommandName, SignedMessage, VerifiedMessage
from domain.people import Person
from domain.refusals import Refusal
from domain.rights import Action
from domain.views import Ending, WaitingFor
from tests.deals import T0
from tests.rights import POLICY, said
from tests.webworld import scenes

OTTO = Person(oid="oid-otto", name="otto", roles=("ops",))
OPS = POLICY.granted(OTTO, Action.RETRY_STEP, "usmf")
TOKEN = SignedMessage(message_id="m", token="t")
LONG = "Q" * 100


def run_of(count: int, *, quote: str = "Q") -> Bulk:
    items = tuple(BulkItem(quote=f"{quote}{n}") for n in range(count))
    return Bulk(company="usmf", command=CommandName.RETRY, query=BulkQuery(), items=items, begun_at=T0, moved_at=T0)


def word(do: str, part: int = 0) -> VerifiedMessage:
    return said(OTTO, "retry", args_of(do, "bulk/usmf/1", part=part), policy=POLICY, at=T0)


def tell(bulk: Bulk, do: str, part: int = 0) -> Bulk:
    verdict = said_to_bulk(bulk, TOKEN, word(do, part), T0)
    assert verdict.code is None, verdict
    return verdict.after


def ready(count: int, *, quote: str = "Q") -> Bulk:
    bulk = tell(run_of(count, quote=quote), rules.CHECK)
    while bulk.phase is BulkPhase.CHECKING:
        due = rules.next_of(bulk, T0)
        assert isinstance(due, rules.Check) and len(due.items) <= rules.TOGETHER
        found = {n: item(bulk.items[n].quote, ItemStatus.READY) for n in due.items}
        bulk = rules.checked(bulk, found, T0)
    return bulk


def accepted(bulk: Bulk, part: int) -> dict[int, BulkItem]:
    return {n: item(bulk.items[n].quote, ItemStatus.ACCEPTED) for n in bulk.parts[part].items}


def test_parts_hold_few_deals_and_short_ids() -> None:
    assert [len(part.items) for part in ready(60).parts] == [25, 25, 10]
    long = ready(60, quote=LONG)
    assert all(sum(len(long.items[n].quote) for n in part.items) < rules.LONGEST_PART for part in long.parts)
    assert sorted(n for part in long.parts for n in part.items) == list(range(60))


def test_a_part_is_told_when_it_is_signed_and_the_next_one_a_pause_later() -> None:
    bulk = ready(30)
    assert rules.next_of(bulk, T0) == rules.Wait(until=T0 + rules.LAPSES)
    bulk = tell(tell(bulk, rules.RUN, 1), rules.RUN, 0)
    assert rules.next_of(bulk, T0) == rules.Tell(part=0)
    bulk = rules.told(bulk, 0, accepted(bulk, 0), T0)
    assert rules.next_of(bulk, T0) == rules.Wait(until=T0 + rules.PACE)
    assert rules.next_of(bulk, T0 + rules.PACE) == rules.Tell(part=1)
    assert isinstance(rules.next_of(tell(bulk, rules.PAUSE), T0 + rules.PACE), rules.Wait)


def test_a_signature_that_grew_old_is_asked_for_again() -> None:
    bulk = tell(tell(ready(5), rules.RUN, 0), rules.PAUSE)
    later = T0 + rules.SIGNATURE_HOLDS
    again = rules.on_time(bulk, later)
    assert bulk.unsigned == () and again.unsigned == (0,)
    assert rules.on_time(again, T0 + rules.LAPSES).phase is BulkPhase.LAPSED


def test_a_deal_that_never_answers_does_not_keep_the_run() -> None:
    bulk = tell(ready(2), rules.RUN, 0)
    now = T0
    bulk = rules.told(bulk, 0, {n: item(f"Q{n}", ItemStatus.TOLD) for n in (0, 1)}, now)
    looks = 0
    while not bulk.has_ended:
        due = rules.next_of(bulk, now)
        if isinstance(due, rules.LookAt):
            looks += 1
            bulk = rules.looked_at(bulk, due.items, {}, now)
        else:
            assert isinstance(due, rules.Wait)
            now = due.until
    assert (looks, bulk.phase, bulk.counts) == (rules.MOST_LOOKS, BulkPhase.DONE, {"sent": 2})


def test_more_deals_than_one_look_holds_are_all_looked_at() -> None:
    bulk = ready(60)
    for part in range(3):
        bulk = rules.told(tell(bulk, rules.RUN, part), part, accepted(bulk, part), T0)
    now = T0 + rules.SETTLES
    seen = 0
    while not bulk.has_ended:
        due = rules.next_of(bulk, now)
        assert isinstance(due, rules.LookAt)
        seen += len(due.items)
        bulk = rules.looked_at(bulk, due.items, {n: item(f"Q{n}", ItemStatus.WENT_ON) for n in due.items}, now)
    assert (seen, bulk.counts) == (60, {"moved_on": 60})


@pytest.mark.parametrize(
    ("command", "do", "part", "code"),
    [
        ("skip", "run", 0, Refusal.UNKNOWN_COMMAND),
        ("retry", "run", 7, Refusal.ILLEGAL_TRANSITION),
        ("retry", "resume", 0, Refusal.ILLEGAL_TRANSITION),
        ("retry", "check", 0, Refusal.ILLEGAL_TRANSITION),
        ("retry", "dance", 0, Refusal.ILLEGAL_TRANSITION),
        ("retry", "x" * 21, 0, Refusal.BAD_ARGUMENT),
        ("retry", "run", -1, Refusal.BAD_ARGUMENT),
    ],
)
def test_what_a_run_does_not_take_changes_nothing(command: str, do: str, part: int, code: Refusal) -> None:
    bulk = ready(3)
    words = said(OTTO, command, args_of(do, "b", part=part), policy=POLICY, at=T0)
    verdict = said_to_bulk(bulk, TOKEN, words, T0)
    assert (verdict.code, verdict.after) == (code, bulk)


def test_every_phase_that_is_no_end_can_be_ended_and_ends_by_itself() -> None:
    running = tell(ready(3), rules.RUN, 0)
    for bulk in (run_of(3), ready(3), running, tell(running, rules.PAUSE)):
        asked = bulk if bulk.asked_by else tell(bulk, rules.CHECK)
        assert tell(asked, rules.CANCEL).has_ended
        assert rules.on_time(bulk, T0 + rules.LAPSES).phase is BulkPhase.LAPSED
    assert said_to_bulk(tell(running, rules.CANCEL), TOKEN, word("run"), T0).code is Refusal.NOT_OPEN_ANY_MORE


def test_whether_a_deal_would_take_it_is_said_as_the_deal_would() -> None:
    parked, open_ = scenes.parked("Q-1"), scenes.deal("Q-2")
    assert parked.parked is not None
    must = parked.model_copy(update={"parked": parked.parked.model_copy(update={"can_skip": False})})
    cases = [
        (parked, CommandName.RETRY, ""),
        (parked, CommandName.SKIP, ""),
        (must, CommandName.SKIP, "CANNOT_SKIP"),
        (open_, CommandName.RETRY, "NOT_PARKED"),
        (open_, CommandName.REREAD, ""),
        (open_, CommandName.CREDIT_RECHECK, "NOT_HELD"),
        (parked.model_copy(update={"ending": Ending.CANCELLED}), CommandName.RETRY, "TERMINAL"),
    ]
    for view, command, code in cases:
        assert would_take(view, command, OTTO, OPS, "").code == code, (command, code)
    assert would_take(parked, CommandName.RETRY, OTTO, OPS, "Conflict").code == "NOT_PARKED"
    nobody = POLICY.granted(Person(oid="x"), Action.RETRY_STEP, "usmf")
    assert would_take(parked, CommandName.RETRY, OTTO, nobody, "").code == "NO_AUTHORITY"
    assert would_take(parked, CommandName.RETRY, OTTO, OPS, "Refused").detail == "Create the order in Finance"
    assert after_look(parked, CommandName.RETRY).status is ItemStatus.PARKED_AGAIN
    assert after_look(open_, CommandName.RETRY).status is ItemStatus.WENT_ON
    assert open_.explanation.waiting_for is not WaitingFor.OPERATOR
