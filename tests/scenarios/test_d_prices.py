"""Prices that move between quote and order: S37, driven from outside through the whole product."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

from tests.stack import Stack, assert_sound, decimals, ledger, line, money, texts


@contextmanager
def finance_changes(stack: Stack, item: str, **change: object) -> Iterator[None]:
    """Somebody changes an item in Finance; afterwards it is as it was."""
    usual: dict[str, object] = {"list_price": "100.00", "unit_cost": "60.00", "stopped": False}
    stack.desk.put(f"/items/usmf/{item}", change)
    try:
        yield
    finally:
        stack.desk.put(f"/items/usmf/{item}", usual)


def test_s37_price_and_cost_changed_after_the_quote_and_the_director_is_asked_before_the_order(stack: Stack) -> None:
    """P100: cost 60 → 72, list 100 → 104, quoted at 92.00: honoured, 34.78 % → 21.74 %, below the 25 % of D2."""
    deal = stack.deal(line("P100", 10, "8"))
    assert deal.submitted()["approvals"] == []
    deal.rep("activate")
    deal.waits_for("customer")
    with finance_changes(stack, "P100", list_price="104.00", unit_cost="72.00"):
        deal.rep("accept")
        deal.waits_for("approval")
        assert_sound(deal, orders=0)
        mona = deal.asks("mona")
        told = [change["text"] for change in mona["changes"]]
        assert told[0].startswith("Margin 34.78 % → 21.74 %") and "cost 60.00 → 72.00" in told[1]
        assert stack.person("mona").decide(mona, "approve").accepted
        assert stack.person("dirk").decide(deal.asks("dirk"), "approve", comment="Still worth it").accepted
        ordered = deal.waits_for("shipment")

    drift = ordered["price_drift"]
    assert (drift["look"]["verdict"], drift["decision"]["action"], drift["decision"]["by"]["name"]) == (
        "ask",
        "approved",
        "Dirk Dorn",
    )
    assert (ledger(ordered)[0][0], money(ordered["net"])) == decimals(10, 920)
    shown = stack.person("rita").get(f"/cases/usmf/{deal.quote}")["price_drift"]["look"]  # she may not see margins
    assert (shown["margin_now"], [row["current_cost"] for row in shown["lines"]]) == (None, [None])
    assert_sound(deal)


def test_a_product_stopped_after_the_quote_holds_the_deal_for_a_person_and_nothing_is_ordered(stack: Stack) -> None:
    deal = stack.deal(line("P100", 10, "5"))
    deal.submitted()
    deal.rep("activate")
    deal.waits_for("customer")
    with finance_changes(stack, "P100", stopped=True, list_price="90.00"):
        deal.rep("accept")
        held = deal.waits_for("operator")
        assert (held["parked"]["cause"], held["parked"]["message"]) == ("PriceDrift", "Blocked: P100")
        assert_sound(deal, orders=0, parked=True)
        stack.desk.put("/items/usmf/P100", {"stopped": False})
        assert stack.person("otto").command(deal, "retry", reason="Purchasing released it").accepted
        deal.waits_for("shipment")

    case = assert_sound(deal, exceptions=["PRICE_FELL"])
    assert "retry: Purchasing released it" in texts(case)
    assert (money(case["net"]), case["price_drift"]["look"]["fell"]) == (Decimal("950.00"), 1)
