"""The order in Dynamics 365 Finance as a test has scripted it, and what is cancelled of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities import change_signatures as c
from activities.signatures import FailureType, Nothing
from domain.approvals import StepPlan
from domain.fulfilment import Billing, OrderedLine, PackingSlip
from domain.growing import RaisedLine
from domain.reapproval import with_coverage
from tests.deals import decision, invoiced, larger_order, totals

if TYPE_CHECKING:
    from tests.workflows.conftest import World


@dataclass
class OrderInFinance:
    """What is cancelled of the order of ten, and how Finance takes it."""

    cut: int = 0
    absent: bool = False
    """Finance never made the order."""
    answers_lost: int = 0
    """How many changes are made without their answer arriving: the worker was killed in between."""
    takes_nothing: bool = False
    """It says yes, and cancels nothing."""
    changes: int = 0
    """How often something was really cancelled or raised."""
    grown: int = 0
    """By how much it is larger than ten."""
    steps: tuple[StepPlan, ...] = ()
    """Who has to approve a larger one."""
    no_credit: str = ""
    """Why there is no credit for more; empty: there is."""
    later: timedelta = timedelta(0)
    """How much later it is, for credit, than the clock says."""
    stopped: bool = False
    """Finance processes it no further."""
    raise_refused: str = ""
    """Why Finance takes no more of it; empty: it does."""


class ScriptedChanges(c.OrderChangeActivities, c.LargerOrderActivities):
    """Cancels what is left, once."""

    def __init__(self, world: World) -> None:
        self.world = world

    @activity.defn(name="change_order")
    async def change_order(self, ask: c.ChangeOrder) -> c.ChangedOrder:
        await self.world.ask("change_order", ask)
        order = self.world.order
        if order.absent:
            return c.ChangedOrder(order_number=ask.order_number, absent=True)
        shipped = _shipped(self.world)
        if ask.raised:
            return self._raised(ask, int(ask.raised[0].quantity))
        kept = int(ask.lines[0].quantity) if ask.lines else shipped
        if kept < shipped:
            return c.ChangedOrder(order_number=ask.order_number, refused=(f"BELOW_SHIPPED: {shipped} is shipped",))
        cut = max(10 - kept - order.cut, 0)
        if cut and not order.takes_nothing:
            order.cut += cut
            order.changes += 1
        if order.answers_lost > 0:
            order.answers_lost -= 1
            raise ApplicationError("the answer was lost", type=FailureType.TRANSIENT)
        return c.ChangedOrder(order_number=ask.order_number, cancelled=Decimal(cut))

    def _raised(self, ask: c.ChangeOrder, quantity: int) -> c.ChangedOrder:
        order = self.world.order
        if order.raise_refused:
            raise ApplicationError(order.raise_refused, type=FailureType.REFUSED, non_retryable=True)
        more = max(quantity - 10 - order.grown + order.cut, 0)
        if more:
            order.grown += more
            order.changes += 1
        if order.answers_lost > 0:
            order.answers_lost -= 1
            raise ApplicationError("the answer was lost", type=FailureType.TRANSIENT)
        return c.ChangedOrder(order_number=ask.order_number, raised=Decimal(more), confirmation_number="C-2")

    @activity.defn(name="look_at_larger")
    async def look_at_larger(self, look: c.LookAtLarger) -> c.LargerLooked:
        await self.world.ask("look_at_larger", look)
        order = self.world.order
        usual = larger_order(*order.steps)
        plan = with_coverage(usual.plan, usual.terms, look.past, total=usual.total, now=datetime.now(UTC))
        larger = usual.model_copy(update={"plan": plan})
        raised = (RaisedLine(line_no=1, quantity=look.lines[0].quantity),)
        if plan.asked and larger.asked_for != look.approved:
            return c.LargerLooked(larger=larger, raised=raised)
        if order.no_credit:
            return c.LargerLooked(refused=f"LARGER_NO_CREDIT: {order.no_credit}")
        return c.LargerLooked(larger=larger, raised=raised, decision=decision(True))


class ScriptedSalesChanges(c.SalesChangeActivities):
    """Shows what it is told."""

    def __init__(self, world: World) -> None:
        self.world = world

    @activity.defn(name="show_cancelling")
    async def show_cancelling(self, show: c.ShowCancelling) -> Nothing:
        await self.world.ask("show_cancelling", show)
        return Nothing()

    @activity.defn(name="show_ordered")
    async def show_ordered(self, show: c.ShowOrdered) -> Nothing:
        await self.world.ask("show_ordered", show)
        return Nothing()


def _shipped(world: World) -> int:
    return sum(sum(lines.values()) for lines in world.slips.values())


def billed_now(world: World) -> Billing:
    """The order as it stands: shipped, invoiced, cancelled."""
    slips = {name: Decimal(sum(lines.values())) for name, lines in world.slips.items()}
    shipped = _shipped(world)
    ordered = 10 + world.order.grown
    line = OrderedLine(
        line_no=1, item="P", quantity=Decimal(ordered), remaining=Decimal(ordered - shipped - world.order.cut)
    )
    changed = world.order.cut or world.order.grown
    told = sum((invoiced(i) for i in world.invoices), Decimal(0))
    return Billing(
        status="x",
        lines=totals(10, shipped={1: shipped}, invoiced={1: told}, found=[line] if changed else None),
        slips=tuple(PackingSlip(slip=name, quantity=quantity) for name, quantity in slips.items()),
        invoices=tuple(world.invoices),
        hold=world.hold,
        cancelled=world.order.cut == ordered,
    )
