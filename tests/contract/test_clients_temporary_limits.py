"""Temporary credit limits: in force from their first day to their last, read as Finance itself judges by them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal

import pytest

from activities.credit_groups import shared_credit
from activities.finance_view import credit_facts
from domain.credit_facts import CreditFacts
from dynamics.core.errors import Refused
from tests.contract.clients_work import POLICY
from tests.contract.clients_world import Clients, clients_of
from tests.contract.dataverse_world import LiveSandbox
from tests.contract.test_clients_exposure import confirmed
from tests.contract.test_clients_finance import TODAY

D = Decimal
ACCOUNT = "US-9400"


@pytest.fixture
async def clients(live_sandbox: LiveSandbox) -> AsyncIterator[Clients]:
    async with clients_of(live_sandbox) as opened:
        await opened.play("POST", "/reset")
        yield opened
        await opened.play("POST", "/reset")


async def credit(clients: Clients, account: str = ACCOUNT) -> CreditFacts:
    read = await clients.finance.read_credit("usmf", account, today=TODAY, currency="USD", shared=True)
    found = credit_facts(read, POLICY, today=TODAY)
    assert found is not None
    return found


def limited(clients: Clients, amount: str, begins: int, ends: int, *, group: str = "") -> None:
    """A limit of so much, from so many days after today to so many."""
    days = (TODAY + timedelta(days=n) for n in (begins, ends))
    whose = ("", "") if group else ("usmf", ACCOUNT)
    clients.live.sandbox.finance.limit_for_days(*whose, D(amount), *days, group=group)


async def test_a_temporary_limit_takes_the_place_of_the_usual_one_on_its_days_alone(clients: Clients) -> None:
    usual = (await credit(clients)).credit_limit
    limited(clients, "1.00", -9, -1)
    limited(clients, "2.00", 1, 9)
    assert (await credit(clients)).credit_limit == usual, "over, or not begun"
    limited(clients, "70000.00", 0, 0)
    assert (await credit(clients)).credit_limit == D("70000.00")
    limited(clients, "60000.00", -3, 3)
    assert (await credit(clients)).credit_limit == D("60000.00"), "of two in force the smaller"
    assert (await credit(clients, "US-9600")).credit_limit != D("60000.00"), "a limit of somebody else's"


async def test_finance_confirms_what_a_temporary_limit_allows_and_holds_what_it_does_not(clients: Clients) -> None:
    finance = clients.live.sandbox.finance
    usual = (await credit(clients)).credit_limit
    used = finance.exposure("usmf", ACCOUNT).amount
    limited(clients, str(used + D("1125.00")), -1, 1)
    await confirmed(clients, ACCOUNT, "10")
    facts = await credit(clients)
    assert finance.exposure("usmf", ACCOUNT).amount == facts.credit_limit < usual
    with pytest.raises(Refused, match="credit hold"):
        await confirmed(clients, ACCOUNT, "1")


async def test_a_groups_temporary_limit_is_the_groups(clients: Clients) -> None:
    clients.live.sandbox.finance.share_credit("HOLDING", D("5000.00"), "USD", {ACCOUNT: "usmf"})
    own = (await credit(clients)).credit_limit
    limited(clients, "9000.00", -1, 1, group="HOLDING")
    read = await clients.finance.read_credit("usmf", ACCOUNT, today=TODAY, currency="USD", shared=True)
    shared = await shared_credit(clients.finance, read, await credit(clients), POLICY, TODAY)
    assert shared is not None and shared.facts.credit_limit == D("9000.00")
    assert (await credit(clients)).credit_limit == own
