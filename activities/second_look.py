"""The second look at Finance's prices, just before an order: what moved since the approval, and who has to be asked.

What a quote is pinned to travels with its deal. Where it has more items than are pinned one by one, a process that
priced it remembers them by their digest; another one judges by the sums.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from cachetools import LRUCache

from activities.failures import refused
from activities.finance_view import payment_days
from activities.signatures import FailureType, PrepareOrder
from activities.snapshots import SalesQuotes, accepted_at
from domain.authority import NoApprover
from domain.drift import Approved, Question, look
from domain.policy import Policy
from domain.price_look import PriceLook, Verdict
from domain.pricing import FinancePrice
from domain.quote import QuoteSnapshot
from dynamics.finance.records import Pricing
from dynamics.sales import records as sales
from policies import business_hours

PRICES_KEPT = 200_000
"""Prices of all assessments that this process remembers together; the least recently used go first."""


class SecondLook:
    """Compares prices with those that were approved, and remembers those that are not pinned one by one."""

    def __init__(self, quotes: SalesQuotes, policy: Policy) -> None:
        """Read who made a quote through ``quotes``, judge by ``policy``."""
        self._quotes = quotes
        self._policy = policy
        self._remembered: LRUCache[str, Mapping[str, FinancePrice]] = LRUCache(
            PRICES_KEPT, getsizeof=lambda prices: 1 + len(prices)
        )

    def remember(self, price_hash: str, prices: Mapping[str, FinancePrice]) -> None:
        """Keep the prices of an assessment, by their digest."""
        if price_hash and len(prices) < PRICES_KEPT:
            self._remembered[price_hash] = dict(prices)

    async def take(
        self,
        ask: PrepareOrder,
        snapshot: QuoteSnapshot,
        quote: sales.Quote,
        pricing: Pricing,
        prices: Mapping[str, FinancePrice],
        *,
        today: date,
    ) -> PriceLook | None:
        """What moved since the approval; None where nobody knows any more what it was approved at.

        Args:
            ask: What was asked, with what the quote is pinned to.
            snapshot: The accepted quote.
            quote: The row it was made of.
            pricing: What Finance says of its customer and items.
            prices: Finance's prices now.
            today: The day in the company's time zone.

        Raises:
            ApplicationError: nobody may decide what has to be asked.
        """
        if ask.pinned is None:
            return None
        found = self._look(ask, snapshot, quote, pricing, prices, today)
        if found.verdict is Verdict.ASK:  # who decides depends on who made it
            snapshot = await self._quotes.with_makers(snapshot, ask.submitted_by)
            found = self._look(ask, snapshot, quote, pricing, prices, today)
        return found

    def _look(
        self,
        ask: PrepareOrder,
        snapshot: QuoteSnapshot,
        quote: sales.Quote,
        pricing: Pricing,
        prices: Mapping[str, FinancePrice],
        today: date,
    ) -> PriceLook:
        assert ask.pinned is not None
        question = Question(
            snapshot=snapshot,
            approved=Approved(pinned=ask.pinned, tiers=ask.tiers, expires_at=ask.expires_at),
            payment_days=payment_days(snapshot, pricing),
            customer_account=ask.customer_account,
            customer_group=pricing.customer.group if pricing.customer else "",
            accepted_at=accepted_at(quote),
        )
        calendar = business_hours(self._policy, snapshot.company, today)
        remembered = self._remembered.get(ask.price_hash)
        try:
            return look(question, prices, self._policy, calendar=calendar, remembered=remembered)
        except NoApprover as nobody:
            raise refused(FailureType.REFUSED, str(nobody)) from nobody
