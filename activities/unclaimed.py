"""Hands what no deal takes to the desk of its company, and offers it to the deals again.

What is offered is told as the feeds tell it: by the same activities, so that a deal hears of a fact in one way.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from temporalio import activity

from activities.delivery import temporal_failures
from activities.feed_signatures import LookAtSales, RouteFinance
from activities.finance_feed import FinanceFeedWork
from activities.sales_feed import SalesFeedWork
from activities.signatures import Nothing
from activities.unclaimed_signatures import HandOver, UnclaimedActivities
from domain.feeds import Became, Look
from domain.messages import FinanceEvent
from domain.unclaimed import Offer, Taken, Unclaimed
from runs.after_end import AfterEndDesk

_TAKEN: Final = frozenset({Became.DELIVERED, Became.KNOWN, Became.AFTER_END, Became.NOBODY})
"""What a report becomes that needs nobody any more."""


class UnclaimedWork(UnclaimedActivities):
    """The activities about what no deal takes."""

    def __init__(
        self, desk: AfterEndDesk, finance: FinanceFeedWork, sales: SalesFeedWork, companies: Collection[str]
    ) -> None:
        """Tell ``desk``; offer by what the feeds of ``finance`` and ``sales`` do.

        ``companies`` (lower case) each have a desk; what names none of them goes to the first.
        """
        self._desk = desk
        self._finance = finance
        self._sales = sales
        self._companies = sorted(companies)

    @activity.defn(name="hand_to_desk")
    async def hand_to_desk(self, over: HandOver) -> Nothing:
        """Hand what no deal takes to the receivers of its companies; one handed over twice is heard once."""
        with temporal_failures():
            for report in over.reports:
                company = report.company if report.company in self._companies else self._companies[0]
                await self._desk.report_unclaimed(company, Unclaimed.of(report, company))
        return Nothing()

    @activity.defn(name="offer_again")
    async def offer_again(self, offer: Offer) -> Taken:
        """Offer the deals again what none took: an exception is settled when each of its reports needs nobody."""
        settled: list[int] = []
        for n, reports in offer.exceptions.items():
            events = tuple(report for report in reports if isinstance(report, FinanceEvent))
            looks = tuple(report for report in reports if isinstance(report, Look))
            if await self._events_taken(offer.company, events) and await self._looks_taken(looks):
                settled.append(n)
        return Taken(numbers=tuple(settled))

    async def _events_taken(self, company: str, events: tuple[FinanceEvent, ...]) -> bool:
        if not events:
            return True
        routed = await self._finance.route_finance(RouteFinance(company=company, events=events))
        return not routed.unrouted and all(became in _TAKEN for became in routed.became)

    async def _looks_taken(self, looks: tuple[Look, ...]) -> bool:
        for look in looks:
            looked = await self._sales.look_at_sales(LookAtSales(table=look.table, looks=(look,)))
            if looked.unrouted or looked.counts.get(Became.WAITING):
                return False
        return True
