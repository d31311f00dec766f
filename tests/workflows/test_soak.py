"""A fiftieth of the soak of bench/soak.py: with the server's limits a hundredth, no run fails and no report is lost."""

from __future__ import annotations

import pytest

from bench.soak import Load, soak
from runs import names


@pytest.mark.timeout(600)
async def test_feeds_and_ledgers_outlive_the_servers_limits_with_all_they_were_told() -> None:
    found = await soak(Load().times(0.02))

    assert found.problems == []
    runs = {kind: number for kind, number, _, _ in found.rows}
    assert runs[names.FINANCE_FEED] > 4, "no feed went on as a new run: the limits were not reached"
    assert runs[names.CREDIT_LEDGER] > len([who for who in found.tallies if who.startswith("ledger")])
