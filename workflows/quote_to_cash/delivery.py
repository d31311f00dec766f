"""Stages 5 to 7: what Finance posts is read and shown in Sales, in whatever order it comes, until all is paid."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from temporalio import workflow

from activities.change_signatures import SalesChangeActivities, ShowOrdered
from activities.signatures import (
    FinanceActivities,
    Nothing,
    RecordInvoice,
    RecordPayment,
    RecordShipment,
    SalesActivities,
)
from domain import credit_recheck_facts, facts, moves, order_change_facts
from domain.credit_following import follows, next_look
from domain.deal_state import DealState
from domain.delivered import ShippedInSales
from domain.moves import DeliveryMove
from runs import names
from workflows.quote_to_cash.background import Background, Part
from workflows.quote_to_cash.billing import Billing
from workflows.quote_to_cash.changing import Changing
from workflows.quote_to_cash.collecting import told_to_account
from workflows.quote_to_cash.order import Order, confirmation_of
from workflows.quote_to_cash.recheck import Recheck
from workflows.quote_to_cash.record import DealRecord
from workflows.quote_to_cash.refunding import Refunding
from workflows.quote_to_cash.steps import Overtaken, Steps
from workflows.quote_to_cash.waiting import Waiting
from workflows.quote_to_cash.write_back_lag import WriteBackLag

SAFETY_LOOK = timedelta(hours=24)
"""How often a deal on its way to cash looks at Finance itself: the sweeps should have told it long before."""


_SHOWS: dict[DeliveryMove, str] = {
    DeliveryMove.SHOW_ORDERED: "order",
    DeliveryMove.SHOW_SHIPMENT: "shipment",
    DeliveryMove.SHOW_INVOICES: "invoice",
    DeliveryMove.SHOW_PAYMENTS: "payment",
}
"""What Sales shows after a move."""


class Delivery:
    """Follows one deal's order through Finance."""

    def __init__(
        self,
        record: DealRecord,
        waiting: Waiting,
        steps: Steps,
        background: Background,
        *,
        order: Order,
        changing: Changing,
        billing: Billing,
        lag: WriteBackLag,
    ) -> None:
        """Work for the deal of ``record``, whose order is made by ``order``, changed by ``changing`` and read by
        ``billing``; ``lag`` measures how soon Sales shows it.
        """
        self._billing = billing
        self._lag = lag
        self._record = record
        self._waiting = waiting
        self._steps = steps
        self._background = background
        self._refunding = Refunding(record, steps)
        recheck = Recheck(record, steps, self._order_changes)
        self._act: dict[DeliveryMove, Callable[[], Awaitable[None]]] = {
            DeliveryMove.END_REQUEST: changing.end_request,
            DeliveryMove.CHANGE_ORDER: changing.carry_out,
            DeliveryMove.SHOW_ORDER: lambda: _show_order(order),
            DeliveryMove.STOP_ORDER: recheck.stop,
            DeliveryMove.RELEASE_HOLD: self._release_hold,
            DeliveryMove.RECHECK_CREDIT: recheck.decide,
            DeliveryMove.READ_BILLING: self._read_billing,
            DeliveryMove.PREPARE_REFUND: self._refunding.prepare,
            DeliveryMove.SHOW_HOLD: recheck.show,
            DeliveryMove.SHOW_ORDERED: self._show_ordered,
            DeliveryMove.SHOW_SHIPMENT: self._show_shipment,
            DeliveryMove.SHOW_INVOICES: self._show_invoices,
            DeliveryMove.SHOW_PAYMENTS: self._show_payments,
        }

    async def ship(self) -> None:
        """Follow the packing slips until everything is shipped."""
        self._background.start(Part.LOOK, self._look_daily)
        await self._follow(lambda state: state.delivery.all_shipped)

    async def invoice(self) -> None:
        """Follow the invoices until everything is invoiced."""
        await self._follow(lambda state: state.delivery.all_invoiced)

    async def pay(self) -> None:
        """Follow the payments until nothing is open and Sales shows it."""
        await self._follow(lambda state: state.settled)

    async def _follow(self, done: Callable[[DealState], bool]) -> None:
        while not done(self._record.state):
            await self._waiting.turn()
            move = moves.in_delivery(self._record.state)
            if move is DeliveryMove.WAIT:
                self._lag.caught_up()
                await self._waiting.until(
                    lambda: done(self._record.state) or moves.in_delivery(self._record.state) is not DeliveryMove.WAIT
                )
            else:
                try:
                    await self._act[move]()
                    if entity := _SHOWS.get(move):
                        self._lag.shows(entity)
                except Overtaken:  # the order is changed first; what was given up here is due again then
                    workflow.logger.info("given up for a change of the order: %s", move)

    def _order_changes(self) -> bool:
        return self._record.state.change_due

    async def _look_daily(self) -> None:
        """One long timer for the whole way from order to cash, should every event and every sweep have been missed."""
        read_at = self._record.state.finance_read_at or workflow.now()
        credit_at = self._credit_looked_at or workflow.now()
        while True:
            due = read_at + SAFETY_LOOK
            if follows(self._record.state):
                due = min(due, next_look(self._record.state, credit_at))
            await workflow.sleep(max(due - workflow.now(), timedelta(0)), summary="Daily safety check of Finance")
            now = workflow.now()
            read_at = max(self._record.state.finance_read_at or read_at, read_at)
            credit_at = max(self._credit_looked_at or credit_at, credit_at)
            if now - read_at >= SAFETY_LOOK:
                self._record.apply(facts.BillingChanged(text="a day has passed: looking at Finance"))
                read_at = now
            if follows(self._record.state) and now >= next_look(self._record.state, credit_at):
                self._record.apply(facts.CreditRecheckDue(reason="a day has passed, or a release has ended"))
                credit_at = now

    @property
    def _credit_looked_at(self) -> datetime | None:
        """When credit of the order was decided last, before its order was made or after it."""
        state = self._record.state
        return state.credit_looked_at or (state.credit_decision.as_of if state.credit_decision else None)

    async def _release_hold(self) -> None:
        """A hold that Finance placed after the confirmation: released with the confirmation that is there already."""
        await self._steps.run(
            FinanceActivities.confirm_order,
            lambda: confirmation_of(self._record),
            queue=names.FINANCE_QUEUE,
            summary=f"Release order {self._record.state.order_number} from its credit hold",
            overtaken=self._order_changes,
        )
        self._record.apply(credit_recheck_facts.HoldReleased())

    async def _read_billing(self) -> None:
        await self._billing.read(self._order_changes)

    async def _show_ordered(self) -> None:
        state = self._record.state
        changes = state.delivery.lines.changes
        await self._steps.run(
            SalesChangeActivities.show_ordered,
            lambda: ShowOrdered(quote_id=state.quote_id, changes=changes),
            queue=names.DATAVERSE_QUEUE,
            summary="Show in Sales what Finance has of the order",
            overtaken=self._order_changes,
            skipped=Nothing(),
        )
        self._record.apply(order_change_facts.OrderedShown(changes=changes))

    async def _show_shipment(self) -> None:
        shipment = _shipment(self._record.state)
        await self._steps.run(
            SalesActivities.record_shipment,
            lambda: shipment,
            queue=names.DATAVERSE_QUEUE,
            summary=f"Show {_called(shipment)} in Sales",
            overtaken=self._order_changes,
            skipped=Nothing(),
        )
        self._record.apply(facts.ShipmentRecorded(slips=shipment.slips))

    async def _show_invoices(self) -> None:
        """Show invoices, and with them what else Finance was found to have at the same time: one step for all of it."""
        state = self._record.state
        invoices = state.unrecorded_invoices
        shipment = _shipment(state) if state.shipment_unrecorded else None
        paid = state.delivery.paid_up and not state.unrecorded_payments
        numbers = f"invoice {', '.join(i.invoice_number for i in invoices)}"
        await self._steps.run(
            SalesActivities.record_invoice,
            lambda: RecordInvoice(
                company=state.company,
                sales_order_id=state.sales_order_id,
                quote_id=state.quote_id,
                order_number=state.order_number,
                invoices=invoices,
                order_invoiced=state.delivery.all_invoiced,
                order_paid=paid,
                shipment=shipment,
                collect=told_to_account(state, invoices),
            ),
            queue=names.DATAVERSE_QUEUE,
            summary=f"Show {f'{_called(shipment)} and ' if shipment else ''}{numbers} in Sales",
            overtaken=self._order_changes,
            skipped=Nothing(),
        )
        if shipment is not None:
            self._record.apply(facts.ShipmentRecorded(slips=shipment.slips))
            self._lag.shows("shipment")
        shown = {i.invoice_number: i.open_amount for i in invoices}
        self._record.apply(facts.InvoicesRecorded(open_amounts=shown, paid=paid))
        if paid:
            self._lag.shows("payment")

    async def _show_payments(self) -> None:
        invoices = self._record.state.unrecorded_payments
        await self._steps.run(
            SalesActivities.record_payment,
            lambda: RecordPayment(
                sales_order_id=self._record.state.sales_order_id,
                invoices=invoices,
                order_paid=self._record.state.delivery.paid_up,
                collect=told_to_account(self._record.state, invoices),
            ),
            queue=names.DATAVERSE_QUEUE,
            summary=f"Show what is open on {', '.join(i.invoice_number for i in invoices) or 'the order'} in Sales",
            overtaken=self._order_changes,
            skipped=Nothing(),
        )
        self._record.apply(facts.PaymentsRecorded(open_amounts={i.invoice_number: i.open_amount for i in invoices}))


def _shipment(state: DealState) -> RecordShipment:
    """What is shipped, as Sales is to show it."""
    slips, delivery = state.unrecorded_slips, state.delivery
    return RecordShipment(
        sales_order_id=state.sales_order_id,
        complete=delivery.in_sales is ShippedInSales.COMPLETE,
        short=delivery.in_sales is ShippedInSales.SHORT,
        invoiced=delivery.all_invoiced,
        slips=slips,
        returned=tuple(slip for slip in slips if delivery.slips[slip] < 0),
    )


def _called(shipment: RecordShipment) -> str:
    return f"packing slip {', '.join(shipment.slips)}" if shipment.slips else "what is shipped"


async def _show_order(order: Order) -> None:
    """An order that was to be cancelled, and of which something was shipped first, is shown in Sales after all."""
    await order.place()
