"""Reads the lines of a quote or an order for a person: from Sales and Finance, now, by a workflow of its own.

The deal's history keeps totals and a hash, not lines. Where the systems do not answer in time, the page says so and
shows what the deal knows.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable
from datetime import timedelta
from typing import TypeVar

from cachetools import TTLCache
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import Priority
from temporalio.service import RPCError

from domain.approvals import ApprovalRequest
from domain.assessing import PreviewAnswer, QuotePreview
from domain.assessment import ReviewLines
from domain.fulfilment import OrderLines
from domain.messages import OrderLinesRequest, PreviewRequest, ReviewRequest
from domain.phrases import marked
from domain.record import Record
from runs import names
from runs.calls import NoAnswer, NotFound, Unreadable, answer

R = TypeVar("R", bound=Record)
Asked = ReviewRequest | OrderLinesRequest | PreviewRequest

PATIENCE_SECONDS = 10.0
PAGE_LINES = 100
_KEPT = 200
_KEPT_SECONDS = 60.0


class Review(Record):
    """A page of lines, or why there is none."""

    lines: ReviewLines | None = None
    missing: str = ""
    changed: bool = False


class Reviews:
    """Reads lines, and keeps what was read for a minute, because a page is looked at more than once."""

    def __init__(self, client: Client) -> None:
        """Read through a connected client."""
        self._client = client
        self._kept: TTLCache[tuple[str, str, int], ReviewLines] = TTLCache(_KEPT, _KEPT_SECONDS)

    async def lines(self, request: ApprovalRequest, offset: int = 0) -> Review:
        """A page of the lines a request is about.

        Args:
            request: the request.
            offset: how many lines to leave out.

        Returns:
            The lines; or ``missing`` says why they cannot be shown. ``changed``: they are not what is asked for.
        """
        key = (request.quote_id, request.snapshot_hash, offset)
        kept = self._kept.get(key)
        if kept:
            return _review(kept, request)
        try:
            lines = await answer(self._read(request, offset), PATIENCE_SECONDS)
        except NoAnswer:
            return Review(missing=marked("Dynamics 365 did not respond within ten seconds."))
        except (WorkflowFailureError, RPCError) as error:
            return Review(missing=f"The lines could not be read: {_reason(error)}.")
        self._kept[key] = lines
        return _review(lines, request)

    async def order_lines(self, company: str, order_number: str, offset: int = 0) -> OrderLines:
        """A page of the lines of an order, as Finance holds them now.

        Args:
            company: legal entity, lower case.
            order_number: SalesOrderNumber in Finance.
            offset: how many lines to leave out.

        Raises:
            NoAnswer: Finance or the worker did not answer in time.
            Unreadable: Finance did not show them; the reason is named.
        """
        request = OrderLinesRequest(company=company, order_number=order_number, offset=offset, limit=PAGE_LINES)
        run_id, summary = names.order_review_id(company, order_number, _once()), f"Lines of order {order_number}"
        read = self._begun(names.ORDER_REVIEW, request, OrderLines, run_id, f"{summary} for a person")
        return await _shown(read, f"The lines of order {order_number}")

    async def preview(self, company: str, quote_number: str) -> QuotePreview:
        """What the rules would ask of a quote if it were submitted now.

        Args:
            company: legal entity, lower case.
            quote_number: as Sales has it; its latest revision counts.

        Raises:
            NotFound: the company has no such quote.
            NoAnswer: Dynamics or the worker did not answer in time.
            Unreadable: it could not be read; the reason is named.
        """
        request = PreviewRequest(company=company, quote_number=quote_number)
        run_id, summary = names.preview_id(company, quote_number, _once()), f"What {quote_number} would need"
        read = self._begun(names.QUOTE_PREVIEW, request, PreviewAnswer, run_id, summary)
        result = await _shown(read, f"Quote {quote_number}")
        if result.preview is None:
            raise NotFound(f"Sales has no quote {quote_number} of {company.upper()}.")
        return result.preview

    async def _read(self, request: ApprovalRequest, offset: int) -> ReviewLines:
        wanted = ReviewRequest(
            company=request.company,
            quote_number=request.quote_number,
            quote_id=request.quote_id,
            revision=request.revision,
            snapshot_hash=request.snapshot_hash,
            order_lines=request.order_lines,
            offset=offset,
            limit=PAGE_LINES,
        )
        run_id = names.review_id(request.company, request.quote_number, request.revision, _once())
        summary = f"Lines of {request.quote_number} for an approver"
        return await self._begun(names.QUOTE_REVIEW, wanted, ReviewLines, run_id, summary)

    async def _begun(self, workflow: str, request: Asked, result: type[R], run_id: str, summary: str) -> R:
        """Run a review for somebody who waits for it. Raises what the client of Temporal does."""
        found: R = await self._client.execute_workflow(
            workflow,
            request,
            id=run_id,
            task_queue=names.DEAL_QUEUE,
            result_type=result,
            priority=Priority(fairness_key=request.company),
            # Nobody waits longer, so it must not go on for longer.
            execution_timeout=timedelta(seconds=2 * PATIENCE_SECONDS),
            static_summary=summary,
        )
        return found


async def _shown(read: Awaitable[R], what: str) -> R:
    """What a review answers.

    Raises:
        NoAnswer: Dynamics or the worker did not answer in time.
        Unreadable: it could not be read; the reason is named.
    """
    try:
        return await answer(read, PATIENCE_SECONDS)
    except NoAnswer as error:
        raise NoAnswer("Dynamics 365 did not respond within ten seconds.") from error
    except (WorkflowFailureError, RPCError) as error:
        raise Unreadable(f"{what} could not be read: {_reason(error)}.") from error


def _once() -> str:
    """What no other review has in its id."""
    return uuid.uuid4().hex[:12]


def _review(lines: ReviewLines, request: ApprovalRequest) -> Review:
    return Review(lines=lines, changed=lines.snapshot_hash != request.snapshot_hash)


def _reason(error: BaseException) -> str:
    """What failed first: the errors around it only say that something did."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).rstrip(".")
