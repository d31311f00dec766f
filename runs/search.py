"""Lists of deals and requests for approval, asked of Temporal's visibility store: there is no other database.

The store follows the runs by milliseconds to seconds, so a list is where to look, never what to decide on: the page of
a deal or a request asks the run itself. Anybody with access to the namespace may start a run under our types: a row
that is not one of ours is left out and counted, and takes no list down.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal

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
from runs.codec import PayloadRefused
from runs.codec_keys import KeyMissing
from runs.cursors import Cursors
from runs.labels import LABELS, DealLabels, folded
from runs.query import Condition

log = structlog.get_logger(__name__)

COUNTS_KEPT_SECONDS = 2.0
_KEPT_COUNTS = 1000
MOST_SORTED: Final = 2_000
"""The newest deals that are put in order by a column: the store knows one order only, the newest first."""
NAMES_SEARCHED: Final = 500
"""The newest deals of which names are compared with a search: names are sealed, so the store cannot look for them."""

STATUSES: Final[dict[str, str]] = {
    "running": "Running",
    "closed": "Completed",
    "failed": "Failed",
    "cancelled": "Canceled",
    "terminated": "Terminated",
}
"""Status of a deal's run, as we say it → as Temporal's filters say it."""

_STAGES: Final = {stage.value: place for place, stage in enumerate(Stage)}
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
    """A deal as the list knows it: its search attributes, and the names of its memo."""

    company: str
    quote: str
    name: str = Field("", description="The quote's name")
    customer: str = ""
    customer_name: str = ""
    owner: str = Field("", description="Name of who owns the quote in Sales")
    reference: str = Field("", description="The customer's purchase order or requisition number")
    stage: str = ""
    since: datetime | None = Field(None, description="When it entered its stage; null: it never left the first")
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

    @property
    def in_stage_since(self) -> datetime:
        """When it entered its stage."""
        return self.since or self.started_at

    def matches(self, words: Sequence[str]) -> bool:
        """Whether each of these words, folded, stands somewhere in a number or name of the row."""
        texts = (self.quote, self.order, self.customer, self.name, self.customer_name, self.owner, self.reference)
        shown = folded("\n".join(texts))
        return all(word in shown for word in words)

    @classmethod
    def of(cls, run: WorkflowExecution, labels: DealLabels) -> DealRow:
        """The row of a run.

        Raises:
            ValueError: the run is not a deal of ours.
        """
        company, quote = names.parse_deal_id(run.id)
        amount, currency = attributes.AMOUNT.of(run), attributes.CURRENCY.of(run) or ""
        return cls(
            company=company,
            quote=quote,
            name=labels.name,
            customer=attributes.CUSTOMER.of(run) or "",
            customer_name=labels.customer_name,
            owner=labels.owner,
            reference=labels.reference,
            stage=attributes.STAGE.of(run) or "",
            since=attributes.SINCE.of(run),
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


DealColumn = Literal["quote", "customer", "stage", "waiting_for", "amount", "order", "owner", "started"]
"""What deals can be put in order by."""


class DealOrder(Record):
    """The order of a list of deals: by a column, upwards or down. Deals without a value come last either way."""

    column: DealColumn
    down: bool = False

    def of(self, rows: Iterable[DealRow]) -> list[DealRow]:
        """The rows in this order; equal ones as they came.

        Amounts of two currencies are not compared, because there is no rate here that anybody agreed on: they stand
        currency by currency, the one with most rows first.
        """
        known = [(row, _VALUES[self.column](row)) for row in rows]
        with_value = [(row, value) for row, value in known if value is not None]
        with_value.sort(key=lambda pair: pair[1], reverse=self.down)
        if self.column == "amount":
            often = Counter(row.currency for row, _ in with_value)
            with_value.sort(key=lambda pair: (-often[pair[0].currency], pair[0].currency))
        return [row for row, _ in with_value] + [row for row, value in known if value is None]


_VALUES: Final[Mapping[DealColumn, Callable[[DealRow], Any]]] = {
    "quote": lambda row: folded(row.quote),
    "customer": lambda row: folded(row.customer_name or row.customer) or None,
    "stage": lambda row: None if row.ended else (_STAGES.get(row.stage, -1)),
    "waiting_for": lambda row: None if row.ended else (row.error or row.waiting_for or None),
    "amount": lambda row: row.amount,
    "order": lambda row: folded(row.order) or None,
    "owner": lambda row: folded(row.owner) or None,
    "started": lambda row: row.started_at,
}


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
    person: str = Field("", description="Entra object id of who owns or submitted the quote")
    text: str = Field("", description="Words to search for in numbers and names")

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the search, folded."""
        return tuple(folded(self.text).split())

    def by_number(self) -> str:
        """The visibility query for deals with a number or account that begins with the search, in these cases."""
        text = self.text.strip()
        forms = dict.fromkeys((text, text.upper(), text.lower()))
        places = (attributes.QUOTE, attributes.ORDER, attributes.CUSTOMER)
        return query.all_of(
            Condition(self.query()), query.any_of(*(query.begins_with(a, form) for a in places for form in forms))
        )

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
        if self.person:
            conditions.append(query.equals(attributes.PEOPLE, self.person.lower()))
        return query.all_of(*conditions)


class DealPage(Record):
    """A page of the list and where the next begins."""

    items: tuple[DealRow, ...]
    unreadable: int = Field(0, description="Runs of this page that could not be read and are left out")
    next_cursor: str = Field("", description="Give it back as `cursor` to read on; empty at the end")
    beyond: bool = Field(
        False,
        description="There are older deals: of a search, those of which only numbers and accounts were searched; of a "
        "list by a column, those that are not in it",
    )


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
        if wanted.words:
            return await self._searched(wanted, limit)
        runs, next_cursor = await self._page(wanted.query(), limit, cursor)
        rows = await rows_of(runs)
        return DealPage(items=tuple(rows), unreadable=len(runs) - len(rows), next_cursor=next_cursor)

    async def _searched(self, wanted: DealFilter, limit: int) -> DealPage:
        """Deals found by a number's beginning, however old, or by any part of a number or name among the newest."""
        (newest, older), (numbered, more) = await asyncio.gather(
            self._page(wanted.query(), NAMES_SEARCHED, ""), self._page(wanted.by_number(), limit, "")
        )
        named = [row for row in await rows_of(newest) if row.matches(wanted.words)]
        found = {row.run_id: row for row in (*named, *await rows_of(numbered))}
        rows = sorted(found.values(), key=lambda row: row.started_at, reverse=True)
        return DealPage(items=tuple(rows[:limit]), beyond=bool(older or more or len(rows) > limit))

    async def in_order(self, wanted: DealFilter, order: DealOrder, *, limit: int, cursor: str = "") -> DealPage:
        """A page of deals by a column, of the newest ``MOST_SORTED`` that are wanted. Raises as ``deals``."""
        start = self._cursors.number(cursor)
        found = await self.every(wanted, MOST_SORTED)
        rows = order.of(found.items)
        end = start + limit
        more = self._cursors.cursor_of(end) if end < len(rows) else ""
        return found.model_copy(update={"items": tuple(rows[start:end]), "next_cursor": more})

    async def every(self, wanted: DealFilter, most: int) -> DealPage:
        """The newest deals, as many as ``most``, as one page. Raises as ``deals``."""
        if wanted.words:
            return await self._searched(wanted, most)
        rows: list[DealRow] = []
        unreadable, cursor = 0, ""
        while len(rows) < most:
            page = await self.deals(wanted, limit=min(500, most - len(rows)), cursor=cursor)
            rows += page.items
            unreadable += page.unreadable
            cursor = page.next_cursor
            if not cursor:
                break
        return DealPage(items=tuple(rows), unreadable=unreadable, beyond=bool(cursor))

    async def approvals(self, approver: str, *, limit: int, cursor: str = "") -> tuple[list[WorkflowExecution], str]:
        """Runs of open requests that ask a person (Entra object id), newest first, and the next cursor.

        Raises: as ``deals``.
        """
        return await self._page(_asking(approver), limit, cursor)

    async def decided_by(self, person: str, *, limit: int, cursor: str = "") -> tuple[list[WorkflowExecution], str]:
        """Runs of requests of which a person (Entra object id) decided a step, newest first, and the next cursor.

        Raises: as ``deals``.
        """
        text = query.all_of(
            query.of_type(names.APPROVAL), query.LATEST, query.equals(attributes.PEOPLE, person.lower())
        )
        return await self._page(text, limit, cursor)

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
        for row in await rows_of([run]):
            yield row


def open_deals(waiting_for: WaitingFor | None = None) -> str:
    """The query for running deals, or for those that wait for one thing."""
    waiting: tuple[Condition, ...] = (query.equals(attributes.WAITING_FOR, waiting_for),) if waiting_for else ()
    return query.all_of(query.of_type(names.QUOTE_TO_CASH), query.RUNNING, *waiting)


def open_deals_in(stage: Stage) -> str:
    """The query for running deals in one stage."""
    return query.all_of(query.of_type(names.QUOTE_TO_CASH), query.RUNNING, query.equals(attributes.STAGE, stage))


def failing_runs() -> str:
    """The query for runs whose workflow task fails again and again: they stand still until somebody helps."""
    return query.all_of(query.RUNNING, query.FAILING)


def overdue_approvals(now: datetime) -> str:
    """The query for open requests that were not decided in time.

    A deadline that passes is taken up within seconds: somebody else is asked, with a deadline of their own. So a
    request that was handed on is overdue until it is decided, and one whose deadline passed and stands is as well.

    Args:
        now: aware; deadlines before it have passed.
    """
    late = query.any_of(query.equals(attributes.STAGE, names.ESCALATED), query.before(attributes.DEADLINE, now))
    return query.all_of(query.of_type(names.APPROVAL), query.RUNNING, late)


def _asking(approver: str) -> str:
    return query.all_of(query.of_type(names.APPROVAL), query.RUNNING, query.equals(attributes.APPROVERS, approver))


async def rows_of(runs: Sequence[WorkflowExecution]) -> list[DealRow]:
    """The rows of runs that are deals of ours; others are left out."""
    rows: list[DealRow] = []
    for run in runs:
        try:
            rows.append(DealRow.of(run, await _labels(run)))
        except ValueError as error:
            # Lists are looked at every few seconds, and the page says how many rows are left out.
            log.debug("deal cannot be read", workflow_id=run.id, reason=str(error))
    return rows


async def _labels(run: WorkflowExecution) -> DealLabels:
    """The names of a run; none where it has none yet, or where they were sealed or written by somebody else."""
    try:
        found: DealLabels = await run.memo_value(LABELS, DealLabels(), type_hint=DealLabels)
    except (PayloadRefused, KeyMissing, ValueError, KeyError, RuntimeError) as error:
        log.debug("names cannot be read", workflow_id=run.id, reason=str(error))
        return DealLabels()
    return found
