"""What is collected from an account is jammed by no invoice that cannot be, and holds no orders beyond its end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from temporalio.testing import WorkflowEnvironment

from domain.collections import CollectionsStart, InvoicesShown, OpenItem, ShownInvoice
from runs import names
from tests.workflows.conftest import World, queues_of_its_own
from tests.workflows.replaying import replays
from tests.workflows.test_collections import CLEO, PLAN, Collected
from tests.workflows.test_lasting_runs import eventually
from tests.workflows.trusting import ROLES
from workflows.hearing import FAILED


@pytest.fixture
async def collected(
    environment: WorkflowEnvironment, world: World, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Collected]:
    queues_of_its_own(monkeypatch)
    place = Collected(environment, world)
    deals, finance, sales = place.workers()
    async with deals, finance, sales:
        yield place
    await replays(environment.client, (names.COLLECTIONS,))
    await place.run.terminate()


@pytest.mark.parametrize(("currency", "due"), [("???", None), ("usd", None), ("USD", date.max), ("ZZZ", date.min)])
async def test_an_invoice_that_cannot_be_is_counted_and_the_next_one_watched(
    collected: Collected, currency: str, due: date | None
) -> None:
    """Before: a currency that is none, and a day beyond every calendar, failed the run's every task."""
    shown = ShownInvoice(
        number="INV-X", due_on=due or collected.due, currency=currency, total=Decimal(10), open_amount=Decimal(10)
    )
    news = InvoicesShown(company="usmf", account=collected.account, invoices=(shown,), as_of=datetime.now(UTC))
    start = CollectionsStart(company="usmf", account=collected.account, plan=PLAN)
    await collected.desk.show(start, news)

    async def counted() -> bool:
        return bool(await collected.run.query(names.TALLY) == {FAILED: 1})

    await eventually(counted, "counted")
    await collected.show()
    view = await collected.until(lambda view: view.state.invoices, "told")
    assert [invoice.number for invoice in view.state.invoices] == ["INV-1"]


async def test_what_finance_holds_in_a_currency_of_its_own_is_shown_and_looked_at_again(collected: Collected) -> None:
    """Before: one such item failed the run's every task."""
    await collected.show()
    own = OpenItem(invoice="X", currency="ZZZ", due_on=collected.due, total=Decimal(5), open_amount=Decimal(5))
    collected.finance.items = (*collected.finance.items, own)
    await collected.pass_to(10)
    view = await collected.until(lambda view: view.failing, "shown")
    assert "ISO 4217" in view.failing and [invoice.level for invoice in view.state.invoices] == [0]
    collected.finance.items = collected.finance.items[:1]
    await collected.pass_to(11)
    view = await collected.reaches(1)
    assert view.failing == ""


@pytest.mark.parametrize("how", ["cancel", "terminate"])
async def test_orders_are_not_held_by_an_account_that_nobody_collects_from(
    collected: Collected, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Before: the ledger held the customer's orders for ever; the next run believed that it held none."""
    monkeypatch.setitem(ROLES, CLEO.oid, "credit_manager.usmf")
    await collected.show()
    for level, day in enumerate((6, 25, 45), start=1):
        await collected.pass_to(day)
        await collected.reaches(level)
    await collected.until(lambda view: view.held, "holding orders")
    assert await collected.orders() == ("CUSTOMER_BLOCKED",)
    collected.open("0")
    if how == "cancel":
        await collected.run.cancel()
    else:
        await collected.run.terminate()
        await collected.show("0")  # by a deal's next invoice or payment the account is collected from again
        until = str(date.today() + timedelta(days=3))
        assert await collected.say(CLEO, "collections_pause", until=until, reason="what was terminated") == ""

    async def through() -> bool:
        return await collected.orders() == ()

    await eventually(through, "let through")
    if how == "cancel":
        await collected.show()  # its account is collected from again
