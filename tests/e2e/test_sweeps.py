"""No webhook and no business event arrives: the sweeps of the feeds find everything."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stack import Stack, assert_sound, ledger, line

NOWHERE = "http://127.0.0.1:9"
"""The discard port: nobody listens there."""


@pytest.fixture
def deaf_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A product that sweeps every two seconds and is told nothing in between."""
    running = Stack.start(tmp_path_factory.mktemp("deaf"), Q2C_WORKER_SWEEP_SECONDS="2")
    running.desk.put(
        "/endpoints",
        {
            "dataverse_webhook": {"url": f"{NOWHERE}/intake/dataverse", "key": "lost"},
            "finance_events": {"url": f"{NOWHERE}/intake/finance"},
        },
    )
    yield running
    running.stop()


@pytest.mark.timeout(300)
def test_a_deal_nobody_tells_of_goes_from_submission_to_paid(deaf_stack: Stack) -> None:
    deal = deaf_stack.deal(line("P100", 10, "5"), opportunity=True)
    deal.rep("submit")
    deal.waits_for("rep", patience=60)
    deal.rep("activate")
    deal.waits_for("customer", patience=60)
    deal.rep("accept")
    deal.waits_for("shipment", patience=60)
    deal.ship(_1="6")
    deal.until(lambda case: case["order_status"] == "partially_shipped", patience=60)
    deal.ship()
    deal.waits_for("invoice", patience=60)
    deal.invoice()
    deal.waits_for("payment", patience=60)
    deal.pay("1045.00")
    deal.ends("closed", patience=60)

    case = assert_sound(deal)
    assert ledger(case) == [(10, 0, 10, 0, 10, 0)]
