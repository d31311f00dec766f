"""Stage 4: the order is created in Finance once, confirmed, and shown in Sales."""

from __future__ import annotations

from datetime import datetime

from temporalio import workflow

from activities.signatures import (
    Confirmation,
    ConfirmOrder,
    CreateOrder,
    FinanceActivities,
    RecordOrder,
    SalesActivities,
)
from domain import facts
from domain.deal_state import DealState, OrderStatus
from domain.rounding import RoundingDiff
from runs import names
from workflows.quote_to_cash.changing import Changing
from workflows.quote_to_cash.deposits import Deposits
from workflows.quote_to_cash.ledger import tell_ledger
from workflows.quote_to_cash.record import DealRecord
from workflows.quote_to_cash.steps import Overtaken, Steps
from workflows.quote_to_cash.waiting import Waiting
from workflows.quote_to_cash.write_back_lag import WriteBackLag
from workflows.steps import FEW_LINES


class Order:
    """Makes one deal's order."""

    def __init__(
        self,
        record: DealRecord,
        waiting: Waiting,
        steps: Steps,
        *,
        changing: Changing,
        deposits: Deposits,
        lag: WriteBackLag,
    ) -> None:
        """Work for the deal of ``record``.

        Args:
            record: the deal.
            waiting: the only way it waits.
            steps: runs its steps.
            changing: undoes an order that is not wanted any more.
            deposits: waits for the deposit of an order that needs one.
            lag: measures how soon Sales shows it.
        """
        self._lag = lag
        self._deposits = deposits
        self._record = record
        self._changing = changing
        self._waiting = waiting
        self._steps = steps

    async def place(self) -> bool:
        """Create, confirm, show: each unless it is done; False where credit has to be checked again before.

        One that is cancelled meanwhile goes no further: what there is of it is undone.
        """
        if self._record.state.order is OrderStatus.NONE:
            self._record.apply(facts.OrderStarted(order_number=self._record.order_number))
            if self._record.state.header.line_count > FEW_LINES:
                self._waiting.publish()  # it takes a while, and lists show that
        try:
            if self._record.state.order is OrderStatus.CREATING and not await self._create():
                return False
            if self._record.state.order is OrderStatus.CREATED and not self._unwanted():
                await self._deposits.received()
            if self._record.state.order is OrderStatus.CREATED and not self._unwanted():
                await self._confirm()
            state = self._record.state
            if state.confirmation_number and not (state.sales_order_id or self._unwanted()):
                await self._show()
        except Overtaken:
            await self._changing.undo_creation()
        return True

    def _unwanted(self) -> bool:
        return self._record.state.cancelling

    async def _create(self) -> bool:
        """Create it, and confirm it with the same step where no deposit has to come first."""
        at_once = self._record.state.policy.deposit is None and not self._record.state.given
        created = await self._steps.run(
            FinanceActivities.create_order,
            lambda: CreateOrder(
                quote=self._record.quote,
                approved_hash=self._record.state.approved_hash,
                order_number=self._record.state.order_number,
                customer_account=self._record.state.header.customer_account,
                probe=self._record.is_in_doubt("create_order"),
                absent_at=self._record.state.order_absent_at,
                facts_as_of=self._facts_as_of,
                given=self._record.state.given,
                confirm=at_once,
                release_reason=_release_reason(self._record.state),
            ),
            queue=names.FINANCE_QUEUE,
            summary=f"Create {'and confirm ' if at_once else ''}order {self._record.state.order_number}",
            overtaken=self._unwanted,
        )
        if created.too_old:
            self._record.apply(facts.OrderPutOff(why=created.too_old))
            return False
        self._record.apply(
            facts.OrderCreated(
                order_number=created.order_number,
                lines=created.lines,
                net=created.net,
                currency=self._record.state.header.currency,
                rounding_difference=created.rounding_difference,
                rounding=created.rounding,
                at=workflow.now(),
            )
        )
        if created.rounding is not None:
            _count_rounding(self._record.state.company, created.rounding)
        if created.confirmation is not None:
            await self._is_confirmed(created.confirmation)
        elif at_once:
            self._record.doubt("confirm_order")
        return True

    @property
    def _facts_as_of(self) -> datetime | None:
        decision = self._record.state.credit_decision
        return decision.as_of if decision else None

    async def _confirm(self) -> None:
        confirmation = await self._steps.run(
            FinanceActivities.confirm_order,
            lambda: confirmation_of(self._record),
            queue=names.FINANCE_QUEUE,
            summary=f"Confirm order {self._record.state.order_number}",
            overtaken=self._unwanted,
        )
        await self._is_confirmed(confirmation)

    async def _is_confirmed(self, confirmation: Confirmation) -> None:
        self._record.apply(
            facts.OrderConfirmed(confirmation_number=confirmation.confirmation_number, beyond=confirmation.beyond)
        )
        self._lag.heard()
        await tell_ledger(self._record, names.ORDER_VISIBLE, follows=self._record.state.policy.rechecks_credit)

    async def _show(self) -> None:
        recorded = await self._steps.run(
            SalesActivities.record_order,
            self._recording,
            queue=names.DATAVERSE_QUEUE,
            summary=f"Show order {self._record.state.order_number} in Sales, win the opportunity",
            overtaken=self._unwanted,
        )
        self._record.apply(facts.OrderRecorded(sales_order_id=recorded.sales_order_id, notes=recorded.notes))
        self._lag.shows("order")

    def _recording(self) -> RecordOrder:
        state = self._record.state
        return RecordOrder(
            quote=self._record.quote,
            sales_order_id=None,
            order_number=state.order_number,
            opportunity_id=state.assessment.opportunity_id if state.assessment else None,
            revenue=state.header.net,
            credit_status=state.credit,
        )


def _count_rounding(company: str, rounding: RoundingDiff) -> None:
    """Add up how Finance's orders differ from what was approved: a drift to one side shows in a day's increase."""
    side = "finance_more" if rounding.units > 0 else "finance_less" if rounding.units < 0 else "even"
    meter = workflow.metric_meter()
    labels = {"company": company, "currency": rounding.currency, "side": side}
    meter.create_counter("q2c_rounding_orders", "Orders whose amounts differ within the tolerance").add(1, labels)
    meter.create_counter("q2c_rounding_units", "Minor units by which orders differ within the tolerance").add(
        abs(rounding.units), labels
    )


def confirmation_of(record: DealRecord) -> ConfirmOrder:
    """Confirm the deal's order, and release it from Finance's own hold where a credit manager did so here."""
    state = record.state
    return ConfirmOrder(
        company=state.company,
        order_number=state.order_number,
        release_reason=_release_reason(state),
        probe=record.is_in_doubt("confirm_order"),
    )


def _release_reason(state: DealState) -> str:
    """Why a credit manager released the order from a hold, as Finance is told; empty where nobody did."""
    release = state.release
    return (release.comment or f"released by {release.released_by.label}") if release else ""
