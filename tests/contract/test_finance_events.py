"""Business events: their shape, that they follow the commit, and what happens when nobody takes them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from sandbox.odata.jsonio import decode
from tests.contract.finance_world import World, open_world


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with open_world() as opened:
        yield opened


@dataclass
class Listener:
    """An HTTP endpoint that answers with the statuses it was given, then 202."""

    url: str
    statuses: list[int] = field(default_factory=list)
    received: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    taken = Listener("")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = re.search(rb"(?i)content-length: (\d+)", head)
            body = await reader.readexactly(int(length[1])) if length else b""
            taken.paths.append(head.split(b" ", 2)[1].decode())
            taken.received.append(decode(body))
            status = taken.statuses.pop(0) if taken.statuses else 202
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
            writer.close()
            return

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    taken.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/intake/finance?code=secret"
    yield taken
    server.close()
    await server.wait_closed()


def _raised(world: World) -> list[dict[str, Any]]:
    return list(world.finance.events.history)


def _names(world: World) -> list[str]:
    return [event["BusinessEventId"] for event in _raised(world)]


async def test_a_deal_raises_its_events_in_order(world: World) -> None:
    world.order("SO-1")
    world.ok("confirm", SalesOrderId="SO-1")
    world.ok("packingSlip", SalesOrderId="SO-1")
    invoice = world.ok("invoice", SalesOrderId="SO-1")["InvoiceId"]
    settlements = [{"InvoiceId": invoice, "Amount": Decimal("1045.00")}]
    paid = world.ok(
        "payment", CustAccount="US-001", Amount=Decimal("1100.00"), PaymentReference="B", Settlements=settlements
    )
    world.ok("reversePayment", PaymentId=paid["PaymentId"], Reason="bounced")
    assert _names(world) == [
        "Q2CSalesOrderConfirmedBusinessEvent",
        "Q2CPackingSlipPostedBusinessEvent",
        "SalesInvoicePostedBusinessEvent",
        "Q2CCustPaymentPostedBusinessEvent",
        "Q2CCustPaymentReversedBusinessEvent",
    ]
    confirmed, slip, invoiced, payment, reversed_ = _raised(world)
    assert (confirmed["SalesOrderId"], confirmed["ConfirmationNumber"]) == ("SO-1", "SO-1-1")
    assert slip["Lines"] == [{"LineNumber": 1, "Quantity": 10}]
    assert (invoiced["InvoiceAccount"], invoiced["InvoiceId"], invoiced["SalesOrderId"]) == ("US-001", invoice, "SO-1")
    assert invoiced["InvoiceAmountInAccountingCurrency"] == Decimal("1045.00")
    assert invoiced["InvoiceTaxAmount"] == Decimal("95.00")
    assert re.fullmatch(r"/Date\(\d+\)/", invoiced["InvoiceDate"])
    applied = [{"InvoiceId": invoice, "SalesOrderId": "SO-1", "Amount": Decimal("1045.00")}]
    assert payment["Settlements"] == applied
    assert reversed_["Settlements"] == applied
    assert {event["LegalEntity"] for event in _raised(world)} == {"usmf"}


async def test_the_envelope_is_complete_and_numbers_rise(world: World) -> None:
    world.finance.set_credit_limit("usmf", "US-001", Decimal(5))
    world.finance.set_credit_limit("usmf", "US-001", Decimal(6))
    first, second = _raised(world)
    assert set(first) >= {
        "BusinessEventId", "BusinessEventLegalEntity", "ContextRecordSubject", "ControlNumber", "EventId", "EventTime",
        "EventTimeIso8601", "InitiatingUserAADObjectId", "MajorVersion", "MinorVersion", "ParentContextRecordSubjects",
    }  # fmt: skip
    assert second["ControlNumber"] > first["ControlNumber"] > 2**32
    assert re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", first["EventId"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z", first["EventTimeIso8601"])
    assert first["InitiatingUserAADObjectId"].startswith("{")


async def test_customer_changes_raise_events(world: World) -> None:
    path = "CustomersV3(dataAreaId='usmf',CustomerAccount='US-001')"
    await world.send("PATCH", path, {"CreditLimit": 50000, "OnHoldStatus": "All"})
    await world.send("PATCH", path, {"CreditLimit": 50000, "OrganizationName": "Same limit"})
    limit, blocked = _raised(world)
    assert (limit["BusinessEventId"], limit["OldLimit"], limit["NewLimit"]) == (
        "Q2CCustCreditLimitChangedBusinessEvent",
        Decimal("100000.00"),
        50000,
    )
    assert (blocked["BusinessEventId"], blocked["OnHoldStatus"]) == ("Q2CCustBlockedBusinessEvent", "All")


async def test_a_line_changed_once_it_is_confirmed_is_told_with_who_changed_it(world: World) -> None:
    world.order("SO-1")
    [line] = world.finance.query("SalesOrderLinesV3", SalesOrderNumber="SO-1")
    path = f"SalesOrderLinesV3(dataAreaId='usmf',InventoryLotId='{line['InventoryLotId']}')"
    await world.send("PATCH", path, {"OrderedSalesQuantity": 9})
    assert _names(world) == [], "nobody was promised anything yet"
    world.ok("confirm", SalesOrderId="SO-1")
    await world.send("PATCH", path, {"OrderedSalesQuantity": 8})
    [changed] = [e for e in _raised(world) if e["BusinessEventId"] == "Q2CSalesOrderChangedBusinessEvent"]
    assert (changed["SalesOrderId"], changed["CustAccount"]) == ("SO-1", "US-001")
    [row] = world.finance.query("SalesLineBiEntities", SalesId="SO-1")
    assert (row["SysModifiedBy"], row["SalesQty"], row["RemainSalesPhysical"]) == ("Q2C", 8, 8)
    world.finance.post("cancelRemainder", {"DataAreaId": "usmf", "SalesOrderId": "SO-1"}, user="wanda")
    assert _names(world)[-1] == "Q2CSalesOrderRemainderCancelledBusinessEvent"
    [row] = world.finance.query("SalesLineBiEntities", SalesId="SO-1")
    assert (row["SysModifiedBy"], row["SalesQty"], row["RemainSalesPhysical"], row["SalesStatus"]) == (
        "wanda",
        8,
        0,
        "Canceled",
    )
    [order] = world.finance.query("SalesTableBiEntities", SalesId="SO-1")
    assert (order["SalesStatus"], order["SysModifiedBy"]) == ("Canceled", "wanda")


async def test_what_is_rolled_back_raises_nothing(world: World) -> None:
    path = "CustomersV3(dataAreaId='usmf',CustomerAccount='US-001')"
    parts = await world.batch([("PATCH", path, {"CreditLimit": 1}), ("POST", "SalesOrderHeadersV4", {})])
    assert [part.status for part in parts] == [500]
    world.refused("packingSlip", SalesOrderId="SO-1")
    assert _raised(world) == []


async def test_loading_data_raises_nothing(world: World) -> None:
    world.finance.seed_open_invoice("usmf", "US-001", Decimal("100.00"), due_in_days=1)
    world.finance.seed_open_order("usmf", "US-001", Decimal("1100.00"), number="SO-OLD", item="P100")
    assert _raised(world) == []
    assert world.header("SO-OLD")["AreTotalsCalculated"] == "Yes"
    assert world.header("SO-OLD")["OrderTotalAmount"] == Decimal("1100.00")


async def test_events_are_posted_to_the_endpoint(world: World, listener: Listener) -> None:
    world.finance.set_endpoint(listener.url)
    world.finance.set_credit_limit("usmf", "US-001", Decimal("5.50"))
    await world.finance.events.drain()
    assert listener.received == _raised(world)
    assert listener.paths == ["/intake/finance?code=secret"]


async def test_delivery_is_tried_three_more_times(world: World, listener: Listener) -> None:
    listener.statuses = [500, 404, 503]
    world.finance.set_endpoint(listener.url)
    world.finance.set_credit_limit("usmf", "US-001", Decimal(5))
    await world.finance.events.drain()
    assert len(listener.received) == 4
    assert not world.finance.events.error_log


async def test_an_event_nobody_takes_goes_to_the_error_log_and_can_be_sent_again(
    world: World, listener: Listener
) -> None:
    listener.statuses = [500] * 4
    world.finance.set_endpoint(listener.url)
    world.finance.set_credit_limit("usmf", "US-001", Decimal(5))
    await world.finance.events.drain()
    [failed] = world.finance.events.error_log
    assert "500" in failed.reason
    assert world.finance.events.resend_failed() == 1
    await world.finance.events.drain()
    assert listener.received[-1] == failed.event
    assert not world.finance.events.error_log


async def test_an_endpoint_that_is_not_there_does_not_disturb_posting(world: World) -> None:
    world.finance.set_endpoint("http://127.0.0.1:9/")
    world.order("SO-1")
    world.ok("confirm", SalesOrderId="SO-1")
    await world.finance.events.drain()
    assert len(world.finance.events.error_log) == 1


async def test_the_test_ping(world: World, listener: Listener) -> None:
    world.finance.set_endpoint(listener.url)
    assert await world.finance.ping_endpoint() is True
    [ping] = listener.received
    assert ping["BusinessEventId"] == "BusinessEventsTestEndpointContract"
    assert ping["ControlNumber"] == -9223372036854775808
    listener.statuses = [500]
    assert await world.finance.ping_endpoint() is False


# --- worse worlds ----------------------------------------------------------------------------------------------------


def _limits(world: World, *amounts: int) -> None:
    for amount in amounts:
        world.finance.set_credit_limit("usmf", "US-001", Decimal(amount))


async def test_events_can_come_twice(world: World, listener: Listener) -> None:
    world.finance.set_endpoint(listener.url)
    world.finance.events.delivery.copies = 2
    _limits(world, 5)
    await world.finance.events.drain()
    first, second = listener.received
    assert first == second, "the very same event"


async def test_events_can_overtake_each_other(world: World, listener: Listener) -> None:
    world.finance.set_endpoint(listener.url)
    world.finance.events.delivery.scatter = 0.3
    _limits(world, *range(1, 21))
    await world.finance.events.drain()
    numbers = [event["ControlNumber"] for event in listener.received]
    assert len(numbers) == 20 and numbers != sorted(numbers)


async def test_an_environment_without_the_extension_raises_standard_events_only(world: World) -> None:
    world.finance.events.delivery.custom = False
    world.order("SO-1")
    for operation in ("confirm", "packingSlip", "invoice"):
        world.ok(operation, SalesOrderId="SO-1")
    assert _names(world) == ["SalesInvoicePostedBusinessEvent"]


async def test_an_inactive_event_is_not_raised(world: World) -> None:
    world.finance.events.delivery.inactive = frozenset({"SalesInvoicePostedBusinessEvent"})
    world.order("SO-1")
    for operation in ("packingSlip", "invoice"):
        world.ok(operation, SalesOrderId="SO-1")
    assert _names(world) == ["Q2CPackingSlipPostedBusinessEvent"]


async def test_the_active_events_of_each_company_can_be_read(world: World) -> None:
    async def disabled(event: str) -> dict[str, str]:
        rows = await world.rows(f"BusinessEventsConfigurations?$filter=BusinessEventsTable eq '{event}'")
        return {row["LegalEntity"]: row["Disabled"] for row in rows}

    invoiced, shipped = "SalesInvoicePostedBusinessEvent", "Q2CPackingSlipPostedBusinessEvent"
    assert await disabled(invoiced) == dict.fromkeys(world.finance.books.companies, "No")
    world.finance.events.delivery.inactive = frozenset({invoiced})
    assert set((await disabled(invoiced)).values()) == {"Yes"}
    assert set((await disabled(shipped)).values()) == {"No"}
    world.finance.events.delivery.custom = False
    assert await disabled(shipped) == {}
    world.finance.events.delivery.inactive = frozenset()
    assert set((await disabled(invoiced)).values()) == {"No"}
