"""Deals that wait for a system come back in the order of what was promised."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from activities import reaching
from activities.reaching import FORGOTTEN_AFTER, WaitingLine
from activities.reaching_signatures import WaitForSystem

TODAY = datetime(2026, 11, 27, tzinfo=UTC)


def wait(deal: str, days: int = 0, *, accepted: bool = True) -> WaitForSystem:
    return WaitForSystem(deal_id=deal, accepted=accepted, promised=TODAY + timedelta(days=days))


def test_accepted_deals_go_before_quotes_and_the_oldest_promise_goes_first() -> None:
    line = WaitingLine()
    waits = [wait("a", 3), wait("q", -9, accepted=False), wait("b", -2), wait("c", 0), wait("d", 0)]
    for one in waits:
        line.before(one)
    assert {one.deal_id: line.before(one) for one in waits} == {"b": 0, "c": 1, "d": 2, "a": 3, "q": 4}
    line.leave(waits[2])
    assert line.before(wait("c")) == 0


def test_the_line_is_bounded_and_forgets_who_asks_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaching, "MOST", 3)
    now = [0.0]
    line = WaitingLine(lambda: now[0])
    assert [line.before(wait(deal, 9)) for deal in "abc"] == [0, 1, 2]
    assert line.before(wait("late", -9)) == 3  # no place is left: it comes after those that have one
    now[0] += FORGOTTEN_AFTER
    assert line.before(wait("late", -9)) == 0
