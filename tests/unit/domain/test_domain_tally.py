"""Counters that balance: what was received is what became of it."""

from __future__ import annotations

import pytest

from domain.tally import unaccounted


@pytest.mark.parametrize(
    ("tally", "missing"),
    [
        ({}, 0),
        ({"received": 7, "applied": 3, "stale": 1, "duplicate": 2, "waiting": 1}, 0),
        ({"received": 3, "applied": 2}, 1),
        ({"received": 1, "applied": 1, "refused": 1}, -1),
    ],
)
def test_every_message_is_accounted_for_once(tally: dict[str, int], missing: int) -> None:
    assert unaccounted(tally) == missing
