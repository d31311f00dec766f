"""Lists of deals and requests for approval, asked of Temporal's visibility store: there is no other database.

The store follows the runs by milliseconds to seconds, so a list is where to look, never what to decide on: the page of
a deal or a request asks the run itself. Anybody with access to the namespace may start a run under our types: a row
that is not one of ours is left out and counted, and takes no list down.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from decimal import Decimal
from typing import Final

import structlog
from cachetools import TTLCache
from pydantic import Field
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from domain.money import shown_decimals
from domain.record import Record
from domain.views import Stage, WaitingFor
from runs import attributes, names, query
from runs.calls import BadSearch, answer, listed
from runs.cursors import Cursors
from runs.query import Condition

log = structlog.get_logger(__name__)

COUNTS_KEPT_SECONDS = 2.0
_KEPT_COUNTS = 1000

STATUSES: Final[dict[str, str]] = {
    "running": "Running",
    "closed": "Completed",
    "failed": "Failed",
    "cancelled": "Canceled",
    "terminated": "Terminated",
}
"""Status of a deal's run, as we say it → as Temporal's filters say it."""

_STATUS_WORDS: Final = {
    WorkflowExecutionStatus.RUNNING: "running",
    WorkflowExecutionStatus.COMPLETED: "closed",
    WorkflowExecutionStatus.CONTINUED_AS_NEW: "running",
    WorkflowExecutionStatus.FAILED: "failed",
    WorkflowExecutionStatus.TIMED_OUT: "failed",
    WorkflowExecutionStatus.CANCELED: "cancelled",
    WorkflowExecutionStatus.TERMINATED: "terminated",
}


class DealRow(Record):
    """A deal as the list knows it: search attributes only, so no names."""

    company: str
    quote: str
    customer: str = ""
    stage: str = ""
    waiting_for: str = ""
    error: str = Field("", description="Cause, where the deal is parked")
    order: str = ""
    amount: Decimal | None = Field(None, description="Total incl. tax, with the decimals of its currency")
    currency: str = Field("", description="ISO code of the amount's currency; empty where the run shows none")
    status: str
    deadline: datetime | None = None
    workflow_id: str
    run_id: str
    started_at: datetime
    closed_at: datetime | None = None

    @property
    def ended(self) -> bool:
        """Whether its run has ended, whichever way."""
        return self.status != "running"

    @classmethod
    def of(cls, run: WorkflowExecution) -> DealRow:
        """The row of a run.

        Raises:
            ValueError: the run is not a deal of ours.
        """
        company, quote = names.parse_deal_id(run.id)
        amount, currency = attributes.AMOUNT.of(run), attributes.CURRENCY.of(run) or ""
        return cls(
            company=company,
            quote=quote,
            customer=attributes.CUSTOMER.of(run) or "",
            stage=attributes.STAGE.of(run) or "",
            waiting_for=attributes.WAITING_FOR.of(run) or "",
            error=attributes.ERROR.of(run) or "",
            order=attributes.ORDER.of(run) or "",
            amount=None if amount is None else shown_decimals(amount, currency),
            currency=currency,
            status=_STATUS_WORDS[run.status or WorkflowExecutionStatus.RUNNING],
            deadline=attributes.DEADLINE.of(run),
            workflow_id=run.id,
            run_id=run.run_id,
            started_at=run.start_time,
            closed_at=run.close_time,
        )


class DealFilter(Record):
    """Which deals are wanted; empty means all."""

    company: str = ""
    readable: tuple[str, ...] | None = Field(None, description="Companies the reader may see; None: all")
    customer: str = ""
    stage: str = ""
    waiting_for: str = ""
    status: str = ""
    error: str = ""
    quote: str = Field("", description="Beginning of the quote number")

    def query(self) -> str:
        """The visibility query."""
        conditions = [query.of_type(names.QUOTE_TO_CASH)]
        for attribute, value in (
            (attributes.COMPANY, self.company),
            (attributes.CUSTOMER, self.customer),
            (attributes.STAGE, self.stage),
            (attributes.WAITING_FOR, self.waiting_for),
            (attributes.ERROR, self.error),
        ):
            if value:
                conditions.append(query.equals(attribute, value))
        if self.readable is not None:
            conditions.append(query.among(attributes.COMPANY, self.readable))
        conditions.append(query.with_status(STATUSES[self.status]) if self.status else query.LATEST)
        if self.quote:
            conditions.append(query.begins_with(attributes.QUOTE, self.quote))
        return query.all_of(*conditions)


class DealPage(Record):
    """A page of the list and where the next begins."""

    items: tuple[DealRow, ...]
    unreadable: int = Field(0, description="Runs of this page that could not be read and are left out")
    next_cursor: str = Field("", description="Give it back as `cursor` to read on; empty at the end")


class DealCounts(Record):
    """How many deals run, by stage and by what needs a person."""

    running: int
    stages: dict[str, int]
    approval: int
    credit: int
    operator: int


class Search:
    """Reads the lists."""

    def __init__(self, client: Client, cursor_key: bytes, *, now: Callable[[], float] = time.monotonic) -> None:
        """Read through a connected client.

        Args:
            client: connected to the deals' namespace.
            cursor_key: marks cursors as ours.
            now: monotonic seconds.
        """
        self._client = client
        self._cursors = Cursors(cursor_key)
        self._counts: TTLCache[str, int] = TTLCache(_KEPT_COUNTS, COUNTS_KEPT_SECONDS, now)

    async def deals(self, wanted: DealFilter, *, limit: int, cursor: str = "") -> DealPage:
        """A page of deals, newest first.

        Raises:
            BadSearch: the cursor is none of ours.
            NoAnswer: Temporal does not answer.
        """
        runs, next_cursor = await self._page(wanted.query(), limit, cursor)
        rows = [row for row in map(_row, runs) if row is not None]
        return DealPage(items=tuple(rows), unreadable=len(runs) - len(rows), next_cursor=next_cursor)

    async def approvals(self, approver: str, *, limit: int, cursor: str = "") -> tuple[list[WorkflowExecution], str]:
        """Runs of open requests that ask a person (Entra object id), newest first, and the next cursor.

        Raises: as ``deals``.
        """
        return await self._page(_asking(approver), limit, cursor)

    async def count_approvals(self, approver: str) -> int:
        """How many open requests ask a person; kept for two seconds, because every page shows it."""
        return await self._count(_asking(approver))

    async def counts(self, readable: tuple[str, ...] | None) -> DealCounts:
        """The counts of the tiles; kept for two seconds, because every page shows them.

        Args:
            readable: companies the reader may see; None: all.
        """
        running = DealFilter(readable=readable, status="running")
        stages = [stage for stage in Stage if stage is not Stage.CLOSED]
        waits = (WaitingFor.APPROVAL, WaitingFor.CREDIT, WaitingFor.OPERATOR)
        everything, *numbers = await asyncio.gather(
            self._count(running.query()),
            *(self._count(running.model_copy(update={"stage": stage}).query()) for stage in stages),
            *(self._count(running.model_copy(update={"waiting_for": wait}).query()) for wait in waits),
        )
        by_stage = dict(zip((stage.value for stage in stages), numbers, strict=False))
        approval, credit, operator = numbers[len(stages) :]
        return DealCounts(running=everything, stages=by_stage, approval=approval, credit=credit, operator=operator)

    async def _count(self, text: str) -> int:
        kept = self._counts.get(text)
        if kept is None:
            kept = self._counts[text] = await count(self._client, text)
        return kept

    async def _page(self, text: str, limit: int, cursor: str) -> tuple[list[WorkflowExecution], str]:
        rows = self._client.list_workflows(text, page_size=limit, next_page_token=self._cursors.token(cursor))
        try:
            await answer(rows.fetch_next_page())
        except RPCError as error:
            if error.status is RPCStatusCode.INVALID_ARGUMENT:
                raise BadSearch(f"Invalid query: {error.message}") from error
            raise
        return list(rows.current_page or []), self._cursors.cursor(rows.next_page_token)


async def count(client: Client, text: str) -> int:
    """How many runs a query of this module or of ``runs.query`` finds.

    Raises:
        NoAnswer: Temporal does not answer.
    """
    return (await answer(client.count_workflows(text))).count


async def every_deal(client: Client) -> AsyncIterator[DealRow]:
    """Every deal there is, newest first; runs that are no deals of ours are left out."""
    async for run in listed(client, query.of_type(names.QUOTE_TO_CASH)):
        row = _row(run)
        if row is not None:
            yield row


def open_deals(waiting_for: WaitingFor | None = None) -> str:
    """The query for running deals, or for those that wait for one thing."""
    waiting: tuple[Condition, ...] = (query.equals(attributes.WAITING_FOR, waiting_for),) if waiting_for else ()
    return query.all_of(query.of_type(names.QUOTE_TO_CASH), query.RUNNING, *waiting)


def overdue_approvals(now: datetime) -> str:
    """The query for requests for approval whose next decision was due before a moment (aware)."""
    return query.all_of(query.of_type(names.APPROVAL), query.RUNNING, query.before(attributes.DEADLINE, now))


def _asking(approver: str) -> str:
    return query.all_of(query.of_type(names.APPROVAL), query.RUNNING, query.equals(attributes.APPROVERS, approver))


def _row(run: WorkflowExecution) -> DealRow | None:
    try:
        return DealRow.of(run)
    except ValueError as error:
        # Lists are looked at every few seconds, and the page says how many rows are left out.
        log.debug("deal cannot be read", workflow_id=run.id, reason=str(error))
        return None
