"""Finance rounds as its currency says: what differs within the tolerance is recorded, anything else is not taken.

Source: Finance's `Currencies`, `RoundingRuleSalesOrders` and `RoundingMethodSalesOrders`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal as D

import pytest
from temporalio.exceptions import ApplicationError

from sandbox.finance.amounts import RoundingRule
from tests.contract.clients_work import Work, worker
from tests.contract.clients_world import clients_of
from tests.contract.dataverse_world import LiveSandbox
from tests.contract.test_clients_activities import prepared


@pytest.fixture
async def cash(live_sandbox: LiveSandbox) -> AsyncIterator[Work]:
    """A worker beside a Finance whose dollars on sales orders are multiples of five cents."""
    async with clients_of(live_sandbox, manual=False) as clients:
        await clients.play("PUT", "/finance/currencies/USD", {"multiple": "0.05", "method": "Ordinary"})
        yield worker(clients)
        await clients.play("PUT", "/finance/currencies/USD", {"multiple": "0.01", "method": "Ordinary"})


async def test_a_cent_is_rounding_and_on_record_and_two_are_nobodys_to_write_over(cash: Work) -> None:
    create = await prepared(cash, [{"item": "P099", "quantity": "1"}])
    created = await cash.run(cash.finance.create_order, create)
    assert (created.net, created.rounding_difference) == (D("100.00"), D("0.01"))
    assert created.rounding is not None and created.rounding.words.startswith("Finance's net differs by 0.01 USD")
    assert (created.rounding.units, created.rounding.lines_off, created.rounding.lines) == (1, 1, 1)

    create = await prepared(cash, [{"item": "P099", "quantity": "2"}])
    with pytest.raises(ApplicationError) as conflict:
        await cash.run(cash.finance.create_order, create)
    assert conflict.value.type == "Conflict" and conflict.value.non_retryable
    assert "line 1: 200.00 in Finance, 199.98 approved" in str(conflict.value)
    held = await cash.clients.finance.orders.find("usmf", create.order_number)
    assert held is not None  # it stays as Finance made it, for a person to look at


@pytest.mark.parametrize(
    ("amount", "multiple", "method", "rounded"),
    [
        ("2.345", "0.01", "Ordinary", "2.35"),
        ("2.345", "0", "Ordinary", "2.35"),  # no rule of its own: the currency's minor unit
        ("-2.345", "0.01", "Ordinary", "-2.35"),
        ("2.349", "0.01", "RoundDown", "2.34"),
        ("2.341", "0.01", "RoundUp", "2.35"),
        ("-2.341", "0.01", "RoundUp", "-2.35"),
        ("2.34", "0.01", "RoundUp", "2.34"),
        ("99.99", "0.05", "Ordinary", "100.00"),
        ("2.325", "0.05", "Ordinary", "2.35"),
        ("2.325", "0.05", "RoundDown", "2.30"),
    ],
)
def test_the_sandbox_rounds_to_a_multiple_by_its_method(amount: str, multiple: str, method: str, rounded: str) -> None:
    assert str(RoundingRule(D(multiple), method).round(D(amount), "USD")) == rounded
