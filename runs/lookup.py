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
from temporalio.service import RPCError, RPCStatusCode

from runs import attributes, names, query
from runs.attributes import Attribute
from runs.calls import answer, listed
from runs.query import Condition

IN_ONE_QUERY = 40
"""Orders or quotes looked up in one query."""
AT_ONCE = 20
"""Runs described at the same time."""

Status = WorkflowExecutionStatus


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
        return await self._by(attributes.ORDER, orders, query.equals(attributes.COMPANY, company))

    async def of_quotes(self, company: str, numbers: Collection[str]) -> dict[str, Standing]:
        """Running deals by quote number.

        Raises:
            NoAnswer: Temporal does not answer.
        """
        return await self._by(attributes.QUOTE, numbers, query.equals(attributes.COMPANY, company), query.RUNNING)

    async def ended_of_quotes(self, company: str, numbers: Collection[str]) -> dict[str, Standing]:
        """Deals by quote number that came to an end of their own.

        Raises:
            NoAnswer: Temporal does not answer.
        """
        done = query.with_status("Completed")
        return await self._by(attributes.QUOTE, numbers, query.equals(attributes.COMPANY, company), done)

    async def of_quote_ids(self, ids: Collection[str]) -> dict[str, Standing]:
        """Running deals by the id of their current revision in Sales (GUID, lower case).

        Raises:
            NoAnswer: Temporal does not answer.
        """
        return await self._by(attributes.QUOTE_ID, ids, query.RUNNING)

    async def of_customer(self, company: str, account: str) -> list[Standing]:
        """Running deals of a customer, by the account they order for.

        Raises:
            NoAnswer: Temporal does not answer.
        """
        asked = query.all_of(
            query.of_type(names.QUOTE_TO_CASH),
            query.RUNNING,
            query.equals(attributes.COMPANY, company),
            query.equals(attributes.CUSTOMER, account),
        )
        standings = [_standing(run) async for run in listed(self._client, asked)]
        return [standing for standing in standings if standing is not None]

    async def last_run(self, deal_id: str) -> LastRun | None:
        """How a deal's latest run stands; None where there is none any more.

        Raises:
            NoAnswer: Temporal does not answer.
        """
        try:
            described = await answer(self._client.get_workflow_handle(deal_id).describe())
        except RPCError as error:
            if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):  # no id of a run at all
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

    async def _by(self, key: Attribute[str], values: Iterable[str], *more: Condition) -> dict[str, Standing]:
        wanted = sorted(set(values))
        found: dict[str, Standing] = {}
        for start in range(0, len(wanted), IN_ONE_QUERY):
            among = query.among(key, wanted[start : start + IN_ONE_QUERY])
            asked = query.all_of(query.of_type(names.QUOTE_TO_CASH), among, query.LATEST, *more)
            runs = [run async for run in listed(self._client, asked)]
            # Earlier deals of the same quote are listed as well: the one that runs counts, or else the last one.
            for run in sorted(runs, key=lambda run: (run.status is Status.RUNNING, run.start_time)):
                standing = _standing(run)
                if standing is not None:
                    found[key.of(run) or ""] = standing
        return found


def _standing(run: WorkflowExecution) -> Standing | None:
    """A deal as the list shows it; None where the run is none of ours, though it says so."""
    try:
        company, quote_number = names.parse_deal_id(run.id)
        if attributes.COMPANY.of(run) != company:
            return None
        return Standing(
            deal_id=run.id,
            status=run.status or Status.RUNNING,
            company=company,
            quote_number=quote_number,
            quote_id=attributes.QUOTE_ID.of(run) or "",
            stage=attributes.STAGE.of(run) or "",
            waiting_for=attributes.WAITING_FOR.of(run) or "",
        )
    except ValueError:
        return None
