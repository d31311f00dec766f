"""A chaos run: what goes wrong is as the seed says, and a wrong product is caught by its judge."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import activities
from demo.chaos import ChaosOptions, Wrong, chaos_deals, judged, table_of
from demo.doomed import Boundary, Deaths
from demo.faults import KILL_EVERY, KILLED, OUTSIDE, STORM, boundaries, faults
from demo.relay import Fate
from demo.samples import End
from demo.verdict import Expectation, Outcome
from tests.unit.demo.closed_deal import deal
from tests.unit.demo.test_demo_verdict import CLOSED, finance, over_limit

RUN = ChaosOptions(faults=2, seed=1, deals=1)
STRUCK = Counter({"finance: 503": 1, "kill -9 of the worker": 1})
BOOKS: dict[str, Any] = {"orders": {"total": 1, "duplicates": 0, "without_quote": 0}}


def report(outcome: Outcome = CLOSED, books: dict[str, Any] = BOOKS, **wrong: list[str]) -> dict[str, Any]:
    return judged(RUN, STRUCK, [outcome], books, Wrong(**wrong))


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
    assert sum(bool(blow.kills or blow.at_boundary) for blow in some) == 200 // KILL_EVERY
    assert {blow.fate for blow in some if blow.fate} == set(Fate)
    assert any(blow.full_disk for blow in some) and any("storm" in blow.name for blow in some)
    systems = [blow for blow in some if blow.of_system]
    assert all(blow.of_system and blow.of_system["times"] in (1, STORM) for blow in systems)


def test_the_worker_is_killed_at_every_activity_there_is_but_those_that_no_deal_of_a_run_comes_by() -> None:
    registered = set(registered_activities())
    assert set(OUTSIDE) <= registered, "an activity that is gone"
    assert {name for name, _ in boundaries(sorted(registered))} == registered - set(OUTSIDE)


def test_the_worker_dies_where_it_is_told_to_and_once(tmp_path: Path) -> None:
    deaths, activity = Deaths(tmp_path), "create_order"
    places = boundaries([activity])
    assert len(places) == len(Boundary) == 3
    deaths.want(places)
    assert deaths.met(places) is None
    with pytest.MonkeyPatch.context() as patch:
        killed: list[int] = []
        patch.setattr("demo.doomed._die", lambda: killed.append(1))
        worker = Deaths(tmp_path)
        for place in places:
            worker.die_if_wanted(place)
    assert killed == [1]
    assert deaths.met(places) == (activity, Boundary.BEFORE)
    assert deaths.met(places) is None
    deaths.forgive(places)


def registered_activities() -> list[str]:
    """By name, all that a signature is of: a worker registers nothing else."""
    modules = (
        importlib.import_module(f"activities.{module.name}") for module in pkgutil.iter_modules(activities.__path__)
    )
    kinds = [kind for module in modules for _, kind in inspect.getmembers(module, inspect.isclass)]
    found = [getattr(each, "__temporal_activity_definition", None) for kind in kinds for each in vars(kind).values()]
    return sorted({definition.name for definition in found if definition})


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
        ({"late": ["Q-1"]}, "deals_lost"),
        ({"audit": ["Q-1: 2 of its records are not in the audit"]}, "wrong_in_audit"),
        ({"overruns": ["US-3001: exposure of 3135.00 above the credit limit"]}, "credit_overrun"),
        ({"outcome": replace(CLOSED, deal=None)}, "deals_lost"),
        ({"outcome": replace(CLOSED, deal=ABOVE)}, "credit_overrun"),
        ({"outcome": replace(CLOSED, order=finance(invoices=[]))}, ""),
        ({"outcome": replace(CLOSED, expected=Expectation(End.CLOSED, held=True))}, ""),
    ],
)
def test_a_wrong_product_is_caught(wrong: dict[str, Any], counted: str) -> None:
    found = report(**wrong)
    assert not found["sound"]
    assert {name for name in ("orders_twice", "deals_lost", "credit_overrun", "wrong_in_audit") if found[name]} == {
        counted
    } - {""}
    assert "NOT SOUND" in str(table_of(found).title)


def test_a_run_whose_faults_did_not_all_strike_proves_nothing() -> None:
    assert not judged(replace(RUN, faults=3), STRUCK, [CLOSED], BOOKS, Wrong())["sound"]
