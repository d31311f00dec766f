"""An order that waits for its deposit, on a worker: what is asked of the systems, and when."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

from domain.assessment import DealPolicy
from domain.deposits import DepositDue
from domain.fulfilment import Billing
from domain.messages import FinanceEventKind, SalesEventKind
from domain.payments import Payment
from domain.views import Ending, WaitingFor
from tests.deadlines import PATIENCE
from tests.deals import totals
from tests.workflows.acting import outcome, until, waits_for
from tests.workflows.conftest import Stage, World
from tests.workflows.trusting import RITA

DUE = DepositDue(rule="r", policy="v", share="30 %", amount=Decimal("313.50"), currency="USD", due_days=10)


def in_finance(*amounts: str, cancelled: bool = False) -> Billing:
    """An order of ten of which nothing is shipped, with these deposits."""
    payments = tuple(
        Payment(
            record=number,
            number=f"PAY-{number}",
            amount=Decimal(amount),
            applied=Decimal(0),
            unapplied=Decimal(amount),
            deposit=True,
        )
        for number, amount in enumerate(amounts, start=1)
    )
    return Billing(status="Active", lines=totals(10), slips=(), invoices=(), payments=payments, cancelled=cancelled)


async def held(stage: Stage, world: World) -> None:
    """Submitted, accepted and ordered: the order waits for its deposit."""
    world.assessed = {"deal_policy": DealPolicy(deposit=DUE)}
    world.billing = in_finance()
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACTIVATED)
    await stage.sales(SalesEventKind.ACCEPTED)
    view = await until(stage, waits_for(WaitingFor.DEPOSIT))
    assert (view.order_status, view.explanation.who) == ("created", ("ar_manager", "customer"))


async def test_it_is_confirmed_when_enough_is_there_and_overdue_until_then(stage: Stage, world: World) -> None:
    await held(stage, world)
    shown: list[str] = []
    for _ in range(int(PATIENCE / 0.1)):
        marks = [ask.reason for name, ask in world.asked if name == "mark_quote"]
        if shown := [reason for reason in marks if "waits for its deposit" in reason]:
            break
        await asyncio.sleep(0.1)
    assert len(shown) == 1 and "313.50 USD (30 %)" in shown[0]
    world.billing = in_finance("200")
    await stage.finance(FinanceEventKind.PAYMENT_POSTED, "PAY-1")
    view = await until(stage, lambda view: view.deposit is not None and view.deposit.received == 200)
    assert view.deposit is not None and (view.deposit.missing, view.deposit.holds) == (Decimal("113.50"), True)
    assert [ask.deposit for name, ask in world.asked if name == "read_billing"] == [True]
    await stage.env.fast_forward(stage.case, timedelta(days=10, minutes=1))
    view = await until(stage, lambda view: bool(view.exceptions))
    assert view.exceptions == ("DEPOSIT_OVERDUE: 113.50 USD of order " + view.order_number + " missing",)
    assert (view.ending, "confirm_order" in world.names()) == (Ending.RUNNING, False), "nothing is cancelled by itself"
    world.billing = in_finance("200", "113.50")
    await stage.finance(FinanceEventKind.PAYMENT_POSTED, "PAY-2")
    view = await until(stage, waits_for(WaitingFor.SHIPMENT))
    assert (view.order_status, view.exceptions) == ("confirmed", ())
    assert world.names().count("confirm_order") == world.names().count("record_order") == 1


async def test_one_that_is_called_off_is_undone_and_never_confirmed(stage: Stage, world: World) -> None:
    await held(stage, world)
    world.billing = in_finance(cancelled=True)
    assert (await outcome(stage, await stage.say(RITA, "cancel_order", reason="called off"))).accepted
    view = await until(stage, lambda view: view.ending is Ending.CANCELLED)
    assert (view.order_status, "confirm_order" in world.names()) == ("cancelled", False)
