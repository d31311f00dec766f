"""A chaos run: what goes wrong is as the seed says, and a wrong product is caught by its judge."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from demo.chaos import ChaosOptions, chaos_deals, judged, table_of
from demo.faults import KILL_EVERY, KILLED, faults
from demo.samples import End
from demo.verdict import Expectation, Outcome
from tests.unit.demo.closed_deal import deal
from tests.unit.demo.test_demo_verdict import CLOSED, finance, over_limit

RUN = ChaosOptions(faults=2, seed=1, deals=1)
STRUCK = Counter({"finance: 503": 1, "kill -9 of the worker": 1})
BOOKS: dict[str, Any] = {"orders": {"total": 1, "duplicates": 0, "without_quote": 0}}


def report(outcome: Outcome = CLOSED, books: dict[str, Any] = BOOKS, late: tuple[str, ...] = ()) -> dict[str, Any]:
    return judged(RUN, STRUCK, [outcome], books, list(late))


def test_the_same_seed_makes_the_same_faults_and_another_makes_others() -> None:
    assert list(faults(7, 200)) == list(faults(7, 200)) != list(faults(8, 200))


def test_two_hundred_faults_strike_both_systems_before_and_after_the_commit_and_kill_processes() -> None:
    some = list(faults(1, 200))
    assert len(some) == 200
    names = {blow.name for blow in some}
    for system in ("dataverse", "finance"):
        assert names >= {f"{system}: connection lost {when} the commit" for when in ("before", "after")}
        assert names >= {f"{system}: {status}" for status in ("429", "503")}
    assert Counter(blow.kills for blow in some if blow.kills).keys() == set(KILLED)
    assert sum(bool(blow.kills) for blow in some) == 200 // KILL_EVERY
    assert all(fault.of_system is None or fault.of_system["times"] == 1 for fault in some)


def test_no_two_deals_of_a_run_share_a_number_and_none_waits_for_a_clock() -> None:
    supply = chaos_deals()
    some = [next(supply) for _ in range(100)]
    assert len({number for number, _ in some}) == 100
    assert all(each.end in (End.CLOSED, End.REJECTED) and not each.expires for _, each in some)


def test_a_run_in_which_all_deals_agree_is_sound() -> None:
    assert report()["sound"]
    assert (report()["faults"], report()["deals"], report()["orders"]) == (2, 1, 1)


ABOVE = deal(credit=over_limit())


@pytest.mark.parametrize(
    ("wrong", "counted"),
    [
        ({"books": {"orders": {"total": 2, "duplicates": 1, "without_quote": 0}}}, "orders_twice"),
        ({"books": {"orders": {"total": 2, "duplicates": 0, "without_quote": 1}}}, "orders_twice"),
        ({"late": ("Q-1",)}, "deals_lost"),
        ({"outcome": replace(CLOSED, deal=None)}, "deals_lost"),
        ({"outcome": replace(CLOSED, deal=ABOVE)}, "credit_overrun"),
        ({"outcome": replace(CLOSED, order=finance(invoices=[]))}, ""),
        ({"outcome": replace(CLOSED, expected=Expectation(End.CLOSED, held=True))}, ""),
    ],
)
def test_a_wrong_product_is_caught(wrong: dict[str, Any], counted: str) -> None:
    found = report(**wrong)
    assert not found["sound"]
    assert {name for name in ("orders_twice", "deals_lost", "credit_overrun") if found[name]} == {counted} - {""}
    assert "NOT SOUND" in str(table_of(found).title)


def test_a_run_whose_faults_did_not_all_strike_proves_nothing() -> None:
    assert not judged(replace(RUN, faults=3), STRUCK, [CLOSED], BOOKS, [])["sound"]
