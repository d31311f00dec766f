"""The one way to start a feed, and to hand it an event whose deal is not known."""

from __future__ import annotations

from collections.abc import Collection

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from domain.messages import FeedStart, FinanceEvent, SalesEvent
from runs import names
from runs.calls import answer

_KINDS = {"sales": (names.SALES_FEED, names.SALES_EVENT), "finance": (names.FINANCE_FEED, names.FINANCE_EVENT)}


class Feeds:
    """The feeds of both systems, as worker and intake reach them."""

    def __init__(self, client: Client, *, every_seconds: int) -> None:
        """Reach feeds through ``client``; ``every_seconds`` is the pause between two sweeps, whoever starts them."""
        self._client = client
        self._every_seconds = every_seconds

    async def ensure(self, companies: Collection[str]) -> None:
        """Make sure that both feeds of every company (legal entity, lower case) run; a running one is left alone."""
        for company in companies:
            for system in _KINDS:
                await self._start(system, company, None)

    async def tell(self, event: SalesEvent | FinanceEvent) -> None:
        """Hand an event to the feed of its system and company, which runs from then on.

        Raises:
            NoAnswer: Temporal does not answer.
        """
        await self._start("sales" if isinstance(event, SalesEvent) else "finance", event.company, event)

    async def _start(self, system: str, company: str, event: SalesEvent | FinanceEvent | None) -> None:
        workflow, signal = _KINDS[system]
        await answer(
            self._client.start_workflow(
                workflow,
                FeedStart(system=system, company=company, every_seconds=self._every_seconds),
                id=names.feed_id(system, company),
                task_queue=names.DEAL_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                start_signal=signal if event else None,
                start_signal_args=[event] if event else [],
                static_summary=f"What changed in {system.capitalize()} for {company.upper()}",
            )
        )
