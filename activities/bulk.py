"""Reads and tells the deals of a bulk run, a few at a time; what one deal does is no other's business."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

from temporalio import activity

from activities.bulk_signatures import BulkActivities, CheckDeals, Found, LookAtDeals, TellDeals
from activities.delivery import temporal_failures
from domain.bulk import BulkItem, ItemStatus
from domain.bulk_said import after_look, after_telling, item, would_take
from domain.refusals import Refusal
from runs.calls import NoAnswer, NotFound, RunError
from runs.deals import Deals

AT_ONCE: Final = 5
T = TypeVar("T")


class BulkWork(BulkActivities):
    """Asks deals and tells them."""

    def __init__(self, deals: Deals) -> None:
        """Reach deals through ``deals``."""
        self._deals = deals

    @activity.defn(name="check_deals")
    async def check_deals(self, ask: CheckDeals) -> Found:
        """Read deals and say of each whether it would take a command; nothing is sent."""

        async def check(quote: str) -> BulkItem:
            try:
                view = await self._deals.state(ask.company, quote)
            except RunError as error:
                return item(quote, ItemStatus.LEFT_OUT, _code(error), error.detail)
            return would_take(view, ask.command, ask.person, ask.granted, ask.error)

        return Found(items=await _each(ask.quotes, check))

    @activity.defn(name="tell_deals")
    async def tell_deals(self, tell: TellDeals) -> Found:
        """Give deals a command, and say what each made of it; one that heard it before makes nothing new of it."""

        async def say(quote: str) -> BulkItem:
            try:
                outcome = await self._deals.command(tell.company, quote, tell.message)
            except NoAnswer:
                raise
            except RunError as error:
                return item(quote, ItemStatus.REFUSED, _code(error), error.detail)
            return after_telling(quote, outcome)

        with temporal_failures():
            return Found(items=await _each(tell.quotes, say))

    @activity.defn(name="look_at_deals")
    async def look_at_deals(self, look: LookAtDeals) -> Found:
        """Say how deals stand that were given a command."""

        async def see(known: BulkItem) -> BulkItem:
            try:
                return after_look(await self._deals.state(look.company, known.quote), look.command)
            except RunError:
                return known  # it is looked at again

        return Found(items=await _each(look.items, see))


def _code(error: RunError) -> Refusal:
    if isinstance(error, NotFound):
        return Refusal.NOT_FOUND
    return Refusal.TEMPORAL_UNAVAILABLE if isinstance(error, NoAnswer) else Refusal.QUERY_FAILED


async def _each(of: Iterable[T], do: Callable[[T], Awaitable[BulkItem]]) -> tuple[BulkItem, ...]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(subject: T) -> BulkItem:
        async with gate:
            return await do(subject)

    return tuple(await asyncio.gather(*(one(subject) for subject in of)))
