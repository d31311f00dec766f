"""Stages 1 and 2: the submitted quote is read, approved where the matrix asks for it, sent, and accepted in time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from temporalio import workflow

from activities.signatures import AssessQuote, FinanceActivities, MarkQuote, Nothing, SalesActivities
from domain import facts, moves
from domain.marks import wanted_mark
from domain.moves import QuoteMove
from runs import names
from workflows.quote_to_cash.background import Background
from workflows.quote_to_cash.record import DealRecord
from workflows.quote_to_cash.request import Request
from workflows.quote_to_cash.steps import Steps
from workflows.quote_to_cash.waiting import Waiting

EXPIRY = "expiry of the quote"


class Quote:
    """Carries a quote from its submission to its acceptance."""

    def __init__(
        self, record: DealRecord, waiting: Waiting, steps: Steps, request: Request, background: Background
    ) -> None:
        """Work for the deal of ``record``."""
        self._record = record
        self._waiting = waiting
        self._steps = steps
        self._request = request
        self._background = background
        self._watched: datetime | None = None
        self._act: dict[QuoteMove, Callable[[], Awaitable[object]]] = {
            QuoteMove.ASSESS: self._assess,
            QuoteMove.END_REQUEST: lambda: self._request.end(self._waiting),
            QuoteMove.ASK: self._request.ask,
            QuoteMove.MARK: self._mark,
            QuoteMove.WAIT: lambda: self._waiting.until(
                lambda: moves.in_quote(self._record.state) is not QuoteMove.WAIT
            ),
        }

    async def read(self) -> None:
        """Read the submitted quote: customer, opportunity, lines and prices are there and fit."""
        if self._record.state.assessment is None:
            await self._assess()

    async def agree(self) -> None:
        """Approval where the matrix asks for it, then activation and acceptance, before the quote expires."""
        while (move := moves.in_quote(self._record.state)) is not QuoteMove.GO_ON:
            self._waiting.turn()
            self._watch_expiry()
            await self._act[move]()
        self._background.stop(EXPIRY)

    async def _assess(self) -> None:
        found = await self._steps.run(
            FinanceActivities.assess_quote,
            lambda: AssessQuote(quote=self._record.quote, deal_id=self._record.deal_id),
            queue=names.FINANCE_QUEUE,
            summary=f"Read, validate and price {self._record.state.quote_number} rev {self._record.state.revision}",
        )
        self._record.apply(facts.Assessed(assessment=found))

    async def _mark(self) -> None:
        wanted = wanted_mark(self._record.state)
        if wanted is None:
            return
        await self._steps.run(
            SalesActivities.mark_quote,
            lambda: MarkQuote(
                quote=self._record.quote,
                approval_status=wanted.status,
                reason=wanted.reason,
                deal_id=self._record.deal_id,
                credit_status=wanted.credit,
            ),
            queue=names.DATAVERSE_QUEUE,
            summary=f"Tell Sales: {wanted.status}",
            skipped=Nothing(),
        )
        self._record.apply(facts.QuoteMarked(status=wanted.status))

    def _watch_expiry(self) -> None:
        """One timer for the quote's validity; a new one where the validity changed."""
        found = self._record.state.assessment
        expires_at = found.expires_at if found else None
        if expires_at != self._watched:
            self._watched = expires_at
            self._background.stop(EXPIRY)
            if expires_at is not None:
                self._background.start(EXPIRY, self._expire(expires_at))

    async def _expire(self, expires_at: datetime) -> None:
        await workflow.sleep(
            max(expires_at - workflow.now(), timedelta(0)),
            summary=f"Quote valid until {expires_at:%Y-%m-%d %H:%M} UTC",
        )
        self._record.apply(facts.ExpiryReached())
