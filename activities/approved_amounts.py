"""Finance's amounts of an order beside the approved ones: Finance computes, and what was approved is the check."""

from __future__ import annotations

from activities.billing_view import created_totals
from activities.failures import refused
from activities.signatures import CreatedOrder, FailureType
from domain.money import DocumentTolerance
from domain.quote import QuoteSnapshot
from domain.rounding import compared
from dynamics.finance.records import FinanceOrder, NewOrder


def created(
    snapshot: QuoteSnapshot, wanted: NewOrder, order: FinanceOrder, tolerance: DocumentTolerance
) -> CreatedOrder:
    """The order as Finance made it; what differs within the tolerance is on record, and nothing is written over.

    Args:
        snapshot: The approved quote.
        wanted: The order as it was asked for.
        order: As Finance holds it.
        tolerance: Of the policy.

    Raises:
        ApplicationError: it differs by more: somebody has to look at it.
    """
    found = compared(
        {line.line_no: line.amount for line in wanted.lines},
        snapshot.net,
        ((line.line_number, line.amount) for line in order.lines),
        order.net,
        currency=snapshot.currency,
        tolerance=tolerance,
    )
    if found.problem:
        raise refused(FailureType.CONFLICT, f"order {order.header.number} is priced differently: {found.problem}")
    return CreatedOrder(
        order_number=order.header.number,
        found=order.found,
        lines=created_totals(order.lines),
        net=order.net,
        rounding_difference=order.net - snapshot.net,
        rounding=found.rounding,
    )
