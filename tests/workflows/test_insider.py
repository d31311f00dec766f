"""Somebody with a key of the codec and none that signs: what they say is read, and grants nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from domain.approvals import ApprovalState, ApprovalStatus
from domain.messages import DecisionRefused, FinanceEventKind
from domain.views import Ending, WaitingFor
from runs import names
from tests.workflows.acting import outcome, to_fulfilment, until, waits_for
from tests.workflows.conftest import Stage, World, step
from tests.workflows.trusting import MONA, RITA
from workflows.hearing import UNREADABLE
from workflows.quote_to_cash.people import MOST_NOTED, NOTED


@pytest.mark.parametrize("status", ["completed", "approved", "rejected", "", "nonsense", 7, None])
async def test_no_status_of_a_supersede_approves_or_jams_a_request(stage: Stage, world: World, status: object) -> None:
    """Before: `completed` approved a discount of 60 %, and nonsense failed the deal."""
    world.plan = (step(1, 1, "sales_manager", MONA),)
    await stage.submit()
    await until(stage, waits_for(WaitingFor.APPROVAL))
    await stage.approval.signal(names.SUPERSEDE, {"message_id": "m", "status": status, "reason": "mine"})
    assert await stage.approval.query("tally") == {UNREADABLE: 1}
    assert ApprovalState.model_validate(await stage.approval.query(names.STATE)).status is ApprovalStatus.PENDING
    assert "approved" not in world.marks()
    await stage.decide(1, MONA, "approve", step=1)
    await until(stage, waits_for(WaitingFor.REP))


async def test_invented_attempts_push_no_true_entry_out_of_the_timeline(stage: Stage, world: World) -> None:
    await stage.submit()
    # The rep is waited for from the moment of the approval; that Sales shows it is the last entry before the silence.
    await until(stage, lambda view: view.explanation.waiting_for is WaitingFor.REP and view.version == 2)
    before = await stage.case.query(names.TIMELINE)
    for n in range(MOST_NOTED + 50):
        invented = DecisionRefused(message_id=f"r-{n}", person=MONA, code="NO_AUTHORITY", at=datetime.now(UTC))
        await stage.case.signal(names.DECISION_REFUSED, invented)
    assert (await stage.case.query("tally"))[NOTED] == MOST_NOTED + 50
    after = await stage.case.query(names.TIMELINE)
    assert after[: len(before)] == before and len(after) == len(before) + MOST_NOTED
    assert (await outcome(stage, await stage.say(RITA, "cancel", reason="still hears"))).accepted


async def test_a_slip_finance_does_not_know_ships_nothing(stage: Stage, world: World) -> None:
    """Before: a forged slip shipped a deal in Sales, and was never corrected."""
    await to_fulfilment(stage)
    await stage.finance(FinanceEventKind.SHIPMENT_POSTED, "PS-FORGED")
    view = await until(stage, lambda _: world.names().count("read_billing") >= 1)
    assert view.explanation.waiting_for is WaitingFor.SHIPMENT
    assert "record_shipment" not in world.names()
    await stage.finance(FinanceEventKind.SHIPMENT_POSTED, "PS-1", (1, 10))
    await until(stage, waits_for(WaitingFor.INVOICE))


async def test_an_invoice_and_a_payment_finance_does_not_know_end_no_deal(stage: Stage, world: World) -> None:
    await to_fulfilment(stage)
    await stage.finance(FinanceEventKind.INVOICE_POSTED, "INV-FORGED")
    await stage.finance(FinanceEventKind.PAYMENT_POSTED, "PAY-FORGED")
    view = await until(stage, lambda _: world.names().count("read_billing") >= 1)
    assert (view.explanation.waiting_for, view.ending) == (WaitingFor.SHIPMENT, Ending.RUNNING)
    assert not {"record_invoice", "record_payment"} & set(world.names())
