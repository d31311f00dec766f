"""How long an answer waits for Finance, and what it says of its age."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.refusals import Refusal
from dynamics.core.errors import DynamicsError, System, Transient
from dynamics.core.errors import Refused as FinanceSaysNo
from dynamics.core.odata import BatchAnswer, Part, Row
from virtual.reading import MOST_READS, Freshness, Reading
from virtual.refused import Refused
from virtual.tables import MOST_ROWS, Ask

BEGUN = datetime(2026, 11, 27, 12, tzinfo=UTC)
SOON = 0.05
"""Seconds the answers of these tests wait for a Finance that does not answer."""
US_001 = Ask("q2c_customerbalance", "usmf", "q2c_account", "US-001")


class Finance:
    """Answers when it is told to, with what is open of US-001."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.answers.set()
        self.error: DynamicsError | None = None
        self.open = Decimal(100)
        self.many = 1
        self.asked = 0

    async def row(self, path: str) -> Row:
        raise AssertionError(path)

    async def together(self, paths: Sequence[str]) -> list[BatchAnswer]:
        self.asked += 1
        await self.answers.wait()
        return [self._answer(path) for path in paths]

    def _answer(self, path: str) -> BatchAnswer:
        row: dict[str, Any] = {"dataAreaId": "USMF", "AccountNum": "US-001", "AmountMST": self.open, "SysRecId": 1}
        row |= {"DueDate": "2026-11-20T12:00:00Z", "CustomerAccount": "US-001", "AccountingCurrency": "USD"}
        stranger = row | {"dataAreaId": "demf", "AmountMST": Decimal(9_999)}
        rows = [row] * self.many + [stranger] if path.startswith("CustTransOpens") else [row]
        return BatchAnswer((Part({"value": rows}, self.error),), self.error)


class World:
    def __init__(self) -> None:
        self.finance, self.seconds = Finance(), 0.0
        self.reading = Reading(
            self.finance,
            self.finance,
            {"usmf": "America/New_York"},
            lambda unit: None,
            fresh_seconds=30,
            stale_seconds=3_600,
            clock=lambda: self.seconds,
            now=lambda: BEGUN + timedelta(seconds=self.seconds),
            patience=SOON,
        )

    async def read(self, ask: Ask = US_001) -> tuple[Freshness, int, int]:
        found = await self.reading.read(ask, self.reading.deadline())
        return found.freshness, int(found.rows[0]["q2c_balance"]), (found.as_of - BEGUN).seconds

    async def refused(self, ask: Ask = US_001) -> Refusal:
        with pytest.raises(Refused) as refused:
            await self.reading.read(ask, self.reading.deadline())
        return refused.value.code


async def test_what_was_read_is_shown_again_for_half_a_minute() -> None:
    world = World()
    assert await world.read() == (Freshness.LIVE, 100, 0)
    world.finance.open, world.seconds = Decimal(70), 29
    assert await world.read() == (Freshness.CACHED, 100, 0)
    world.seconds = 31
    assert await world.read() == (Freshness.LIVE, 70, 31)
    assert world.finance.asked == 2


async def test_who_waits_too_long_gets_the_last_value_and_the_read_goes_on() -> None:
    world = World()
    await world.read()
    world.seconds, world.finance.open = 100, Decimal(70)
    world.finance.answers.clear()
    assert await world.read() == (Freshness.STALE, 100, 0)
    assert await world.read() == (Freshness.STALE, 100, 0)
    assert world.finance.asked == 2, "one read is enough for all who ask"
    world.finance.answers.set()
    while (await world.read())[0] is Freshness.STALE:
        await asyncio.sleep(0)
    assert await world.read() == (Freshness.CACHED, 70, 100)


async def test_where_nothing_was_read_before_it_is_said_so() -> None:
    world = World()
    world.finance.answers.clear()
    assert await world.refused() is Refusal.FINANCE_UNAVAILABLE
    await world.reading.aclose()


async def test_a_value_is_not_shown_for_ever() -> None:
    world = World()
    await world.read()
    world.finance.error = Transient("maintenance", system=System.FINANCE)
    world.seconds = 3_599
    assert await world.read() == (Freshness.STALE, 100, 0)
    world.seconds = 3_601
    assert await world.refused() is Refusal.FINANCE_UNAVAILABLE


async def test_a_refusal_of_finance_is_no_outage() -> None:
    world = World()
    await world.read()
    world.seconds, world.finance.error = 31, FinanceSaysNo("no read access", system=System.FINANCE)
    assert await world.refused() is Refusal.FINANCE_REFUSED


async def test_more_rows_than_one_read_takes_are_refused_and_not_cut() -> None:
    world = World()
    world.finance.many = MOST_ROWS + 1
    assert await world.refused(Ask("q2c_customerbalance", "usmf")) is Refusal.BAD_ARGUMENT


async def test_reads_at_a_time_are_bounded() -> None:
    world = World()
    world.finance.answers.clear()
    asks = [Ask("q2c_customerbalance", "usmf", "q2c_account", f"US-{n}") for n in range(MOST_READS + 5)]
    assert {await world.refused(ask) for ask in asks} == {Refusal.FINANCE_UNAVAILABLE}
    assert world.finance.asked == MOST_READS
    await world.reading.aclose()
