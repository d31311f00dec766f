"""Reads something once for a person who wants to see it, outside the deal's own history."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from temporalio import workflow

from activities.review_signatures import ReviewActivities
from domain.assessing import PreviewAnswer
from domain.assessment import ReviewLines
from domain.fulfilment import OrderLines
from domain.messages import OrderLinesRequest, PreviewRequest, ReviewRequest
from runs import names
from workflows.steps import UNKNOWN_LINES, URGENT, Result, attempt

Asked = TypeVar("Asked", ReviewRequest, OrderLinesRequest)


@workflow.defn(name=names.QUOTE_REVIEW)
class QuoteReview:
    """A page of lines with Finance's list price, floor, cost and margin."""

    @workflow.run
    async def run(self, request: ReviewRequest) -> ReviewLines:
        """Read the lines; the snapshot's hash says whether they are still what approval is asked for."""
        return await _read(ReviewActivities.review_lines, request)


@workflow.defn(name=names.ORDER_REVIEW)
class OrderReview:
    """A page of an order's lines with what was cancelled, shipped and invoiced of each."""

    @workflow.run
    async def run(self, request: OrderLinesRequest) -> OrderLines:
        """Read the lines as Finance holds them now."""
        return await _read(ReviewActivities.read_order_lines, request)


@workflow.defn(name=names.QUOTE_PREVIEW)
class PreviewOfQuote:
    """What the rules would ask of a quote if it were submitted now."""

    @workflow.run
    async def run(self, request: PreviewRequest) -> PreviewAnswer:
        """Read the quote and Finance's prices, and ask the rules; nothing is written."""
        return await attempt(
            ReviewActivities.preview_quote,
            request,
            queue=names.FINANCE_QUEUE,
            summary=f"What quote {request.quote_number} would need",
            priority=URGENT,
            lines=UNKNOWN_LINES,
        )


async def _read(activity: Callable[[Any, Asked], Coroutine[Any, Any, Result]], request: Asked) -> Result:
    return await attempt(
        activity,
        request,
        queue=names.FINANCE_QUEUE,
        summary=f"Read lines {request.offset + 1} to {request.offset + request.limit}",
        priority=URGENT,
        lines=UNKNOWN_LINES,
    )
