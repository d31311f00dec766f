"""Dynamics 365 Sales as a test has scripted it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import activity

from activities import signatures as s
from domain.assessment import QuoteInSales

if TYPE_CHECKING:
    from tests.workflows.conftest import World


class ScriptedSales(s.SalesActivities):
    def __init__(self, world: World) -> None:
        self.world = world

    @activity.defn(name="mark_quote")
    async def mark_quote(self, mark: s.MarkQuote) -> s.Nothing:
        await self.world.ask("mark_quote", mark)
        return s.Nothing()

    @activity.defn(name="read_quote")
    async def read_quote(self, ask: s.ReadQuote) -> QuoteInSales:
        await self.world.ask("read_quote", ask)
        return self.world.in_sales

    @activity.defn(name="close_quote")
    async def close_quote(self, close: s.CloseQuote) -> s.Nothing:
        await self.world.ask("close_quote", close)
        return s.Nothing()

    @activity.defn(name="record_order")
    async def record_order(self, order: s.RecordOrder) -> s.RecordedOrder:
        await self.world.ask("record_order", order)
        return s.RecordedOrder(sales_order_id="so-1")

    @activity.defn(name="record_shipment")
    async def record_shipment(self, shipment: s.RecordShipment) -> s.Nothing:
        await self.world.ask("record_shipment", shipment)
        return s.Nothing()

    @activity.defn(name="cancel_sales_order")
    async def cancel_sales_order(self, cancel: s.CancelSalesOrder) -> s.Nothing:
        await self.world.ask("cancel_sales_order", cancel)
        return s.Nothing()

    @activity.defn(name="record_invoice")
    async def record_invoice(self, invoice: s.RecordInvoice) -> s.Nothing:
        await self.world.ask("record_invoice", invoice)
        return s.Nothing()

    @activity.defn(name="record_payment")
    async def record_payment(self, payment: s.RecordPayment) -> s.Nothing:
        await self.world.ask("record_payment", payment)
        return s.Nothing()
