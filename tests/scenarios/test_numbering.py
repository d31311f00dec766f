"""Both stacks of the scenarios do number orders differently: else running on both would prove nothing."""

from __future__ import annotations

import pytest

from tests.stack import Stack, assert_sound, line


def test_an_order_has_finances_number_or_the_products(stack: Stack, request: pytest.FixtureRequest) -> None:
    deal = stack.deal(line("P100", 1))
    ordered = deal.accepted()

    header = deal.order()["header"]
    manual = request.node.callspec.params["stack"] == "manual"
    assert ordered["order_number"].startswith("Q2C-") is manual
    assert header["CustomerRequisitionNumber"].startswith("Q2C-")
    assert_sound(deal)
