"""The one way to start a feed, and to hand it what nobody else could deliver."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal
from uuid import UUID

from temporalio.client import Client
from temporalio.common import Priority, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError

from domain.feeds import SALES_TABLES, FeedStart, Look, SalesTable
from domain.messages import FinanceEvent
from domain.record import Record
from runs import names
from runs.calls import answer, rejected


class Feeds:
    """The feeds of both systems, as worker and intake reach them."""

    def __init__(self, client: Client, *, every_seconds: int) -> None:
        """Reach feeds through ``client``; ``every_seconds`` is the pause between two sweeps, whoever starts them."""
        self._client = client
        self._every_seconds = every_seconds

    async def ensure(self, companies: Collection[str]) -> None:
        """Make sure that all feeds run; a running one is left alone.

        Args:
            companies: legal entities, lower case; each has a feed of Finance. Those of Sales serve all companies.

        Raises:
            NoAnswer: Temporal does not answer.
        """
        for table in SALES_TABLES:
            await self._start("sales", table)
        for company in companies:
            await self._start("finance", company)

    async def tell(self, event: FinanceEvent) -> None:
        """Hand an event whose deal is not known to the feed of its company, which runs from then on.

        Raises:
            NoAnswer: Temporal does not answer, or the feed takes nothing more at the moment.
        """
        await self._start("finance", event.company, names.FINANCE_EVENT, event)

    async def look_at(self, table: SalesTable, record_id: str) -> None:
        """Have a record of Sales read, because what was reported of it could not be understood or mapped.

        Args:
            table: logical name of the record's table.
            record_id: its GUID.

        Raises:
            ValueError: the id is no GUID: there is no record to look at.
            NoAnswer: Temporal does not answer, or the feed takes nothing more at the moment.
        """
        await self._start("sales", table, names.LOOK_AT, Look(table=table, record_id=UUID(record_id)))

    async def _start(
        self,
        system: Literal["sales", "finance"],
        of: str,
        signal: str | None = None,
        report: Record | None = None,
    ) -> None:
        sales = system == "sales"
        what = f"What changed in Sales: {of}, all companies" if sales else f"What was posted in Finance: {of.upper()}"
        start = self._client.start_workflow(
            names.SALES_FEED if sales else names.FINANCE_FEED,
            FeedStart(system=system, of=of, every_seconds=self._every_seconds),
            id=names.feed_id(system, of),
            task_queue=names.DEAL_QUEUE,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            start_signal=signal,
            start_signal_args=[report] if report else [],
            priority=Priority(fairness_key=of),
            static_summary=what,
        )
        try:
            await answer(start)
        except RPCError as error:
            raise rejected(error) from error
