"""Where deals stand, as the list of runs shows it: how feeds and ledgers find the deals they need, many in one query.

The list is a moment behind the runs themselves. Whoever asks must take what it does not show as "not to be seen yet",
and what it shows as how a deal stood a moment ago.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode

from runs import names
from runs.calls import answer

IN_ONE_QUERY = 40
"""Orders or quotes looked up in one query."""
AT_ONCE = 20
"""Runs described at the same time."""

Status = WorkflowExecutionStatus
_COMPANY = SearchAttributeKey.for_keyword("Q2CCompany")
_QUOTE = SearchAttributeKey.for_keyword("Q2CQuote")
_QUOTE_ID = SearchAttributeKey.for_keyword("Q2CQuoteId")
_ORDER = SearchAttributeKey.for_keyword("Q2COrder")
_STAGE = SearchAttributeKey.for_keyword("Q2CStage")
_WAITING_FOR = SearchAttributeKey.for_keyword("Q2CWaitingFor")


@dataclass(frozen=True, slots=True)
class Standing:
    """A deal's latest run in the list."""

    deal_id: str
    status: Status
    company: str = ""
    quote_number: str = ""
    quote_id: str = ""
    stage: str = ""
    waiting_for: str = ""

    @property
    def running(self) -> bool:
        """Whether the deal goes on."""
        return self.status is Status.RUNNING


@dataclass(frozen=True, slots=True)
class LastRun:
    """How a deal's latest run stands, from the run itself."""

    status: Status
    closed_at: datetime | None


class Lookup:
    """Questions to the list of runs."""

    def __init__(self, client: Client) -> None:
        """Ask through ``client``."""
        self._client = client

    async def of_orders(self, company: str, orders: Collection[str]) -> dict[str, Standing]:
        """Deals by order number, ended ones as well; orders of no deal are left out.

        Raises:
            NoAnswer: Temporal does not answer.
        """
        return await self._by(_ORDER, orders, f" AND Q2CCompany = {quoted(company)}")

    async def of_quotes(self, company: str, numbers: Collection[str]) -> dict[str, Standing]:
        """Running deals by quote number.

        Raises:
            NoAnswer: Temporal does not answer.
        """
        return await self._by(_QUOTE, numbers, f" AND Q2CCompany = {quoted(company)} AND ExecutionStatus = 'Running'")

    async def of_quote_ids(self, ids: Collection[str]) -> dict[str, Standing]:
        """Running deals by the id of their current revision in Sales (GUID, lower case).

        Raises:
            NoAnswer: Temporal does not answer.
        """
        return await self._by(_QUOTE_ID, ids, " AND ExecutionStatus = 'Running'")

    async def last_run(self, deal_id: str) -> LastRun | None:
        """How a deal's latest run stands; None where there is none any more.

        Raises:
            NoAnswer: Temporal does not answer.
        """
        try:
            described = await answer(self._client.get_workflow_handle(deal_id).describe())
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        return LastRun(described.status or Status.RUNNING, described.close_time)

    async def ended(self, deal_ids: Sequence[str]) -> list[str]:
        """Those of the deals whose run has ended, however, or is gone.

        Raises:
            NoAnswer: Temporal does not answer.
        """
        slots = asyncio.Semaphore(AT_ONCE)

        async def run_of(deal_id: str) -> LastRun | None:
            async with slots:
                return await self.last_run(deal_id)

        runs = await asyncio.gather(*(run_of(deal_id) for deal_id in deal_ids))
        return [
            deal_id
            for deal_id, run in zip(deal_ids, runs, strict=True)
            if run is None or run.status not in (Status.RUNNING, Status.CONTINUED_AS_NEW)
        ]

    async def _by(self, key: SearchAttributeKey[str], values: Iterable[str], more: str) -> dict[str, Standing]:
        wanted = sorted({value for value in values if value.isprintable()})  # no other text can be in an attribute
        found: dict[str, Standing] = {}
        for start in range(0, len(wanted), IN_ONE_QUERY):
            asked = ", ".join(quoted(value) for value in wanted[start : start + IN_ONE_QUERY])
            query = f"WorkflowType = '{names.QUOTE_TO_CASH}' AND {key.name} IN ({asked}){more}"
            # The run a deal went on from is listed as well, and so are earlier deals of a quote: the last one counts.
            listed = [run for run in await answer(self._listed(query)) if run.status is not Status.CONTINUED_AS_NEW]
            for run in sorted(listed, key=lambda run: (run.status is Status.RUNNING, run.start_time)):
                value = run.typed_search_attributes.get(key)
                if value is not None:
                    found[value] = _standing(run)
        return found

    async def _listed(self, query: str) -> list[WorkflowExecution]:
        return [run async for run in self._client.list_workflows(query)]


def _standing(run: WorkflowExecution) -> Standing:
    shown = run.typed_search_attributes
    return Standing(
        deal_id=run.id,
        status=run.status or Status.RUNNING,
        company=shown.get(_COMPANY) or "",
        quote_number=shown.get(_QUOTE) or "",
        quote_id=shown.get(_QUOTE_ID) or "",
        stage=shown.get(_STAGE) or "",
        waiting_for=shown.get(_WAITING_FOR) or "",
    )


def quoted(value: str) -> str:
    """A text as a literal of a visibility query."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
