"""What pages may ask of a quote or an order through a run of its own: names, inputs, results."""

from __future__ import annotations

from typing import Protocol

from activities.declaring import declares_activities
from domain.assessing import PreviewAnswer
from domain.assessment import ReviewLines
from domain.fulfilment import OrderLines
from domain.messages import OrderLinesRequest, PreviewRequest, ReviewRequest


@declares_activities
class ReviewActivities(Protocol):
    """What people look at (task queue q2c-finance); lines are read from Sales as for ``FinanceActivities``."""

    async def read_order_lines(self, ask: OrderLinesRequest) -> OrderLines:
        """Read a page of an order's lines with what has become of each, for a person."""

    async def review_lines(self, ask: ReviewRequest) -> ReviewLines:
        """Read a page of a quote's lines with Finance's prices, for a person who decides."""

    async def preview_quote(self, ask: PreviewRequest) -> PreviewAnswer:
        """Say what would be found if a quote were submitted now; nothing is written anywhere."""
