"""Pauses grow and stay bounded."""

from __future__ import annotations

from datetime import timedelta

from domain.pauses import Pauses


def test_pauses_double_up_to_the_longest() -> None:
    pauses = Pauses(timedelta(minutes=1), timedelta(minutes=15))
    assert [pauses.after(n).total_seconds() / 60 for n in range(6)] == [1, 2, 4, 8, 15, 15]
    assert pauses.after(10**6) == pauses.longest
