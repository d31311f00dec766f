"""Lists of deals and approvals, asked of Temporal's visibility store: there is no other database.

The store follows the runs by milliseconds to seconds, so a list is where to look, never what to decide on: the page of
a deal or an approval asks the run itself.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import Field
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from domain.record import Record
from domain.views import Stage, WaitingFor
from runs import names
from runs.calls import answer
from web.problems import Problem

COUNTS_KEPT_SECONDS = 2.0

STATUSES: dict[str, str] = {
    "running": "Running",
    "closed": "Completed",
    "failed": "Failed",
    "cancelled": "Canceled",
    "terminated": "Terminated",
}
"""Status of a case's run, as the API says it → as visibility queries say it."""

_STATUS_WORDS = {
    WorkflowExecutionStatus.RUNNING: "running",
    WorkflowExecutionStatus.COMPLETED: "closed",
    WorkflowExecutionStatus.CONTINUED_AS_NEW: "running",
    WorkflowExecutionStatus.FAILED: "failed",
    WorkflowExecutionStatus.TIMED_OUT: "failed",
    WorkflowExecutionStatus.CANCELED: "cancelled",
    WorkflowExecutionStatus.TERMINATED: "terminated",
}


class DealRow(Record):
    """A deal as the list knows it: search attributes only, so no names and no currency."""

    company: str
    quote: str
    customer: str = ""
    stage: str = ""
    waiting_for: str = ""
    error: str = Field("", description="Cause, where the deal is parked")
    order: str = ""
    amount: Decimal | None = Field(None, description="Total incl. tax in the quote's currency")
    status: str
    deadline: datetime | None = None
    workflow_id: str
    run_id: str
    started_at: datetime
    closed_at: datetime | None = None


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
        parts = [f"WorkflowType = '{names.QUOTE_TO_CASH}'"]
        for attribute, value in (
            ("Q2CCompany", self.company),
            ("Q2CCustomer", self.customer),
            ("Q2CStage", self.stage),
            ("Q2CWaitingFor", self.waiting_for),
            ("Q2CError", self.error),
        ):
            if value:
                parts.append(f"{attribute} = {quoted(value)}")
        if self.readable is not None:
            parts.append(f"Q2CCompany IN ({', '.join(map(quoted, self.readable))})")
        if self.status:
            parts.append(f"ExecutionStatus = '{STATUSES[self.status]}'")
        else:
            parts.append("ExecutionStatus != 'ContinuedAsNew'")
        if self.quote:
            parts.append(f"Q2CQuote STARTS_WITH {quoted(self.quote)}")
        return " AND ".join(parts)


class DealPage(Record):
    """A page of the list and where the next begins."""

    items: tuple[DealRow, ...]
    next_cursor: str = Field("", description="Give it back as `cursor` to read on; empty at the end")


class DealCounts(Record):
    """How many deals run, by stage and by what needs a person."""

    running: int
    stages: dict[str, int]
    approval: int
    credit: int
    operator: int


def quoted(value: str) -> str:
    """A text literal of a visibility query. What is not printable cannot be in an attribute and is refused.

    Raises:
        Problem: 400, the value cannot be searched for.
    """
    if not value.isprintable() or len(value) > 200 or "\\" in value:
        raise Problem(400, "BAD_ARGUMENT", "The text to search for holds characters no number has.")
    return "'" + value.replace("'", "''") + "'"


class Visibility:
    """Reads the lists."""

    def __init__(self, client: Client, cursor_key: bytes, *, now: Callable[[], float] = time.monotonic) -> None:
        """Read through a connected client.

        Args:
            client: connected to the deals' namespace.
            cursor_key: marks cursors as ours; an invented one makes the server fail and retry for seconds.
            now: monotonic seconds.
        """
        self._client = client
        self._cursor_key = cursor_key
        self._now = now
        self._counts: dict[tuple[str, ...] | None, tuple[float, DealCounts]] = {}

    async def cases(self, wanted: DealFilter, *, limit: int, cursor: str = "") -> DealPage:
        """A page of deals, newest first.

        Raises:
            Problem: 400 for a cursor that is none; 503 where Temporal does not answer.
        """
        rows, token = await self._page(wanted.query(), limit, cursor)
        return DealPage(items=tuple(map(deal_row, rows)), next_cursor=token)

    async def approvals(self, approver: str, *, limit: int, cursor: str = "") -> tuple[list[WorkflowExecution], str]:
        """Runs of open requests that ask a person, newest first, and the next cursor.

        Args:
            approver: Entra object id.
            limit: at most this many.
            cursor: of the page before.

        Raises:
            Problem: as ``cases``.
        """
        query = (
            f"WorkflowType = '{names.APPROVAL}' AND ExecutionStatus = 'Running' AND Q2CApprovers = {quoted(approver)}"
        )
        return await self._page(query, limit, cursor)

    async def count_approvals(self, approver: str) -> int:
        """How many open requests ask a person."""
        return await self._count(
            f"WorkflowType = '{names.APPROVAL}' AND ExecutionStatus = 'Running' AND Q2CApprovers = {quoted(approver)}"
        )

    async def counts(self, readable: tuple[str, ...] | None) -> DealCounts:
        """The counts of the tiles; kept for two seconds, because every page shows them.

        Args:
            readable: companies the reader may see; None: all.
        """
        kept = self._counts.get(readable)
        if kept and self._now() - kept[0] < COUNTS_KEPT_SECONDS:
            return kept[1]
        running = DealFilter(readable=readable, status="running")
        stages = [stage for stage in Stage if stage is not Stage.CLOSED]
        waits = (WaitingFor.APPROVAL, WaitingFor.CREDIT, WaitingFor.OPERATOR)
        numbers = await asyncio.gather(
            self._count(running.query()),
            *(self._count(running.model_copy(update={"stage": stage}).query()) for stage in stages),
            *(self._count(running.model_copy(update={"waiting_for": wait}).query()) for wait in waits),
        )
        counts = DealCounts(
            running=numbers[0],
            stages={stage.value: number for stage, number in zip(stages, numbers[1:8], strict=True)},
            approval=numbers[8],
            credit=numbers[9],
            operator=numbers[10],
        )
        self._counts[readable] = (self._now(), counts)
        return counts

    async def workflow_of_order(self, company: str, order_number: str) -> str | None:
        """Id of the deal that owns an order in Finance; None where no deal says so (yet)."""
        query = (
            f"WorkflowType = '{names.QUOTE_TO_CASH}' AND Q2COrder = {quoted(order_number)} "
            f"AND Q2CCompany = {quoted(company)}"
        )
        rows, _ = await self._page(query, 1, "")
        return rows[0].id if rows else None

    async def _count(self, query: str) -> int:
        return (await answer(self._client.count_workflows(query))).count

    async def _page(self, query: str, limit: int, cursor: str) -> tuple[list[WorkflowExecution], str]:
        rows = self._client.list_workflows(query, page_size=limit, next_page_token=self._token(cursor))
        try:
            await answer(rows.fetch_next_page())
        except RPCError as error:
            if error.status is RPCStatusCode.INVALID_ARGUMENT:
                raise Problem(400, "BAD_ARGUMENT", f"The list cannot be read so: {error.message}") from error
            raise
        return list(rows.current_page or []), self._cursor(rows.next_page_token)

    def _cursor(self, token: bytes | None) -> str:
        if not token:
            return ""
        return base64.urlsafe_b64encode(self._mark(token) + token).decode()

    def _token(self, cursor: str) -> bytes | None:
        if not cursor:
            return None
        try:
            content = base64.b64decode(cursor.encode(), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            content = b""
        mark, token = content[:16], content[16:]
        if not token or not hmac.compare_digest(mark, self._mark(token)):
            raise Problem(400, "BAD_ARGUMENT", "This cursor is not one of ours.", field="cursor")
        return token

    def _mark(self, token: bytes) -> bytes:
        return hmac.digest(self._cursor_key, token, hashlib.sha256)[:16]


def deal_row(run: WorkflowExecution) -> DealRow:
    """The row of a run."""
    attributes: dict[str, Any] = {pair.key.name: pair.value for pair in run.typed_search_attributes}
    company, quote = names.parse_deal_id(run.id)
    amount = attributes.get("Q2CAmount")
    return DealRow(
        company=company,
        quote=quote,
        customer=attributes.get("Q2CCustomer", ""),
        stage=attributes.get("Q2CStage", ""),
        waiting_for=attributes.get("Q2CWaitingFor", ""),
        error=attributes.get("Q2CError", ""),
        order=attributes.get("Q2COrder", ""),
        # The index stores numbers as doubles; the shortest text of a double is the number that was put in.
        amount=None if amount is None else Decimal(repr(amount)),
        status=_STATUS_WORDS.get(run.status, "running") if run.status else "running",
        deadline=attributes.get("Q2CDeadline"),
        workflow_id=run.id,
        run_id=run.run_id,
        started_at=run.start_time,
        closed_at=run.close_time,
    )
