"""Credit management that really blocks: limits, thresholds, overdue days, checkpoints, the hold list and release."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from tests.contract.finance_world import World, open_world


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with open_world() as opened:
        yield opened


def _worth(amount_with_tax: str) -> dict[str, Any]:
    """A line whose order comes to this total, tax of ten percent included."""
    return {"OrderedSalesQuantity": 1, "SalesPrice": Decimal(amount_with_tax) / Decimal("1.1")}


def _state(world: World, number: str = "SO-1") -> tuple[str, str]:
    [row] = world.finance.query("SalesTableBiEntities", SalesId=number)
    return row["CredManInCreditControl"], row["CredManReleasedFromCreditControl"]


def _holds(world: World, number: str = "SO-1") -> list[dict[str, Any]]:
    return world.finance.query("CredManTableBiEntities", SalesId=number)


# --- the limit -----------------------------------------------------------------------------------------------------


async def test_within_the_limit_passes(world: World) -> None:
    world.finance.seed_open_invoice("usmf", "US-001", Decimal("40000.00"), due_in_days=10)
    world.finance.seed_open_order("usmf", "US-001", Decimal("15000.00"), number="SO-OLD", item="P100")
    world.order("SO-1", _worth("45000.00"))
    world.ok("confirm", SalesOrderId="SO-1")
    exposure = world.finance.exposure("usmf", "US-001")
    assert (exposure.open_ar, exposure.open_orders) == (Decimal("40000.00"), Decimal("60000.00"))
    world.order("SO-2", _worth("0.11"))
    assert "exceeds 100000" in world.refused("confirm", SalesOrderId="SO-2")


@pytest.mark.parametrize(("order", "passes"), [("4000.00", True), ("4500.10", False)])
async def test_a_threshold_is_a_share_of_the_limit(world: World, order: str, passes: bool) -> None:
    world.finance.seed_open_invoice("usmf", "US-002", Decimal("5000.00"), due_in_days=10)
    world.order("SO-1", _worth(order), OrderingCustomerAccountNumber="US-002")
    answer = world.finance.post("confirm", {"DataAreaId": "usmf", "SalesOrderId": "SO-1"})
    assert answer["Success"] is passes
    assert passes or "(10000.00 at 90 percent) by 500.1" in answer["ErrorMessage"]


async def test_a_limit_of_zero_is_no_credit(world: World) -> None:
    world.order("SO-1", _worth("1.10"), OrderingCustomerAccountNumber="US-003")
    assert "has no credit" in world.refused("confirm", SalesOrderId="SO-1")


async def test_a_limit_of_zero_is_unlimited_without_credit_management(world: World) -> None:
    world.finance.company("usmf").credit.enabled = False
    world.order("SO-1", _worth("1100000.00"), OrderingCustomerAccountNumber="US-003")
    world.ok("confirm", SalesOrderId="SO-1")


async def test_the_unlimited_flag_passes_everything(world: World) -> None:
    world.finance.seed_open_invoice("usmf", "US-004", Decimal("900000.00"), due_in_days=10)
    world.order("SO-1", _worth("275000.00"), OrderingCustomerAccountNumber="US-004")
    world.ok("confirm", SalesOrderId="SO-1")


async def test_a_mandatory_limit_refuses_without_a_hold_list(world: World) -> None:
    world.finance.company("usmf").credit.enabled = False
    world.finance.update("CustomersV3", ("usmf", "US-002"), {"CreditLimitIsMandatory": "Yes"})
    world.order("SO-1", _worth("10000.10"), OrderingCustomerAccountNumber="US-002")
    assert "exceeded the credit limit" in world.refused("confirm", SalesOrderId="SO-1")
    assert _holds(world) == []


@pytest.mark.parametrize(("days", "passes"), [(60, True), (61, False)])
async def test_overdue_days(world: World, days: int, passes: bool) -> None:
    world.finance.seed_open_invoice("usmf", "US-005", Decimal("12000.00"), due_in_days=-days)
    world.order("SO-1", OrderingCustomerAccountNumber="US-005")
    answer = world.finance.post("confirm", {"DataAreaId": "usmf", "SalesOrderId": "SO-1"})
    assert answer["Success"] is passes
    if not passes:
        assert _holds(world)[0]["CredManReason"] == "OpenTransOverdue"


async def test_an_expired_limit_blocks(world: World) -> None:
    world.finance.update("CustomersV3", ("usmf", "US-001"), {"CredManCreditLimitExpiryDate": "2020-01-01T12:00:00Z"})
    world.order("SO-1")
    assert "has expired" in world.refused("confirm", SalesOrderId="SO-1")
    world.finance.update("CustomersV3", ("usmf", "US-001"), {"CredManExclude": "Yes"})
    world.ok("confirm", SalesOrderId="SO-1")


async def test_an_order_is_counted_once_at_every_checkpoint(world: World) -> None:
    world.finance.set_credit_limit("usmf", "US-003", Decimal("100.00"))
    world.order("SO-1", _worth("60.50"), OrderingCustomerAccountNumber="US-003")
    for operation in ("confirm", "confirm", "pick", "packingSlip", "invoice"):
        world.ok(operation, SalesOrderId="SO-1")
        exposure = world.finance.exposure("usmf", "US-003")
        assert exposure.amount == Decimal("60.50")


# --- blocking and releasing ----------------------------------------------------------------------------------------


async def test_a_blocked_order_is_in_the_hold_list(world: World) -> None:
    world.order("SO-1", _worth("110.00"), OrderingCustomerAccountNumber="US-003")
    answer = await world.post("confirm", SalesOrderId="SO-1")
    assert answer["Success"] is False
    assert "is on credit hold" in answer["ErrorMessage"]
    assert world.header("SO-1")["SalesOrderProcessingStatus"] == "Active"
    assert _state(world) == ("Yes", "No")
    active = "Active eq Microsoft.Dynamics.DataEntities.NoYes'Yes'"
    [hold] = await world.rows(f"CredManTableBiEntities?$filter=SalesId eq 'SO-1' and {active}")
    assert (hold["CredManReason"], hold["DocumentStatus"], hold["HoldType"]) == (
        "CreditExceeded",
        "Confirmation",
        "Credit",
    )
    assert (hold["CustAccount"], hold["SalesTotal"], hold["Company"]) == ("US-003", Decimal("110.00"), "usmf")
    world.refused("confirm", SalesOrderId="SO-1")
    assert len(_holds(world)) == 1, "a second attempt does not make a second hold"


async def test_a_release_lets_every_later_checkpoint_pass(world: World) -> None:
    world.order("SO-1", _worth("110.00"), OrderingCustomerAccountNumber="US-003")
    world.refused("confirm", SalesOrderId="SO-1")
    missing = world.refused("confirm", SalesOrderId="SO-1", ReleaseFromCreditHold="Yes")
    assert "release reason must be specified" in missing
    world.ok("confirm", SalesOrderId="SO-1", ReleaseFromCreditHold="Yes", ReleaseReason="Prepaid by wire")
    assert _state(world) == ("No", "Yes")
    [hold] = _holds(world)
    assert (hold["Active"], hold["ReleasedBy"], hold["Notes"]) == ("No", "sandbox", "Prepaid by wire")
    assert hold["ReleasedDateTime"] > "2026"
    world.ok("packingSlip", SalesOrderId="SO-1")


async def test_a_lowered_limit_blocks_the_packing_slip(world: World) -> None:
    world.order("SO-1")
    world.ok("confirm", SalesOrderId="SO-1")
    world.finance.set_credit_limit("usmf", "US-001", Decimal("1000.00"))
    assert "is on credit hold" in world.refused("packingSlip", SalesOrderId="SO-1")
    assert _holds(world)[0]["DocumentStatus"] == "PackingSlip"
    assert world.finance.query("CustPackingSlipTransBiEntities") == []
    world.finance.set_credit_limit("usmf", "US-001", Decimal("1045.00"))
    world.ok("packingSlip", SalesOrderId="SO-1")
    assert _state(world) == ("No", "No")
    assert _holds(world)[0]["Active"] == "No"


async def test_a_confirmed_order_can_be_released_too(world: World) -> None:
    world.order("SO-1")
    world.ok("confirm", SalesOrderId="SO-1")
    world.finance.set_credit_limit("usmf", "US-001", Decimal("1000.00"))
    world.refused("packingSlip", SalesOrderId="SO-1")
    world.ok("confirm", SalesOrderId="SO-1", ReleaseFromCreditHold="Yes", ReleaseReason="Known customer")
    assert _state(world) == ("No", "Yes")
    world.ok("packingSlip", SalesOrderId="SO-1")


async def test_a_payment_makes_room(world: World) -> None:
    world.finance.set_credit_limit("usmf", "US-001", Decimal("1045.00"))
    invoice = world.finance.seed_open_invoice("usmf", "US-001", Decimal("100.00"), due_in_days=5)
    world.order("SO-1")
    world.refused("confirm", SalesOrderId="SO-1")
    settlements = [{"InvoiceId": invoice, "Amount": 100}]
    world.ok("payment", CustAccount="US-001", Amount=100, PaymentReference="x", Settlements=settlements)
    world.ok("confirm", SalesOrderId="SO-1")


async def test_a_hold_placed_by_a_person_needs_a_person(world: World) -> None:
    world.order("SO-1")
    world.finance.place_hold("usmf", "SO-1", "Waiting for references")
    assert _holds(world)[0]["CredManReason"] == "ForcedHold"
    assert "placed on credit hold by a person" in world.refused("confirm", SalesOrderId="SO-1")
    world.ok("confirm", SalesOrderId="SO-1", ReleaseFromCreditHold="Yes", ReleaseReason="References are good")


async def test_checkpoints_can_be_chosen(world: World) -> None:
    world.finance.company("usmf").credit.checkpoints = frozenset({"packingSlip"})
    world.order("SO-1", OrderingCustomerAccountNumber="US-003")
    world.ok("confirm", SalesOrderId="SO-1")
    assert "is on credit hold" in world.refused("packingSlip", SalesOrderId="SO-1")


async def test_invoiced_and_cancelled_value_no_longer_counts_as_open_orders(world: World) -> None:
    world.order("SO-1")
    world.ok("confirm", SalesOrderId="SO-1")
    world.ok("packingSlip", SalesOrderId="SO-1", Lines=[{"LineNumber": 1, "Quantity": 6}])
    world.ok("invoice", SalesOrderId="SO-1")
    exposure = world.finance.exposure("usmf", "US-001")
    assert (exposure.open_ar, exposure.open_orders) == (Decimal("627.00"), Decimal("418.00"))
    world.ok("cancelRemainder", SalesOrderId="SO-1")
    assert world.finance.exposure("usmf", "US-001").amount == Decimal("627.00")
