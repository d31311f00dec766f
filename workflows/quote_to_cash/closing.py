"""How a deal ends: both systems are left as the ending says, and what was reserved is given back."""

from __future__ import annotations

from activities.signatures import CloseQuote, Nothing, SalesActivities
from domain.views import Ending
from runs import names
from workflows.quote_to_cash.ledger import tell_ledger
from workflows.quote_to_cash.record import DealRecord
from workflows.quote_to_cash.request import Request
from workflows.quote_to_cash.steps import Steps
from workflows.quote_to_cash.waiting import Waiting


class Closing:
    """Cleans up after one deal."""

    def __init__(self, record: DealRecord, waiting: Waiting, steps: Steps, request: Request) -> None:
        """Clean up after the deal of ``record``."""
        self._record = record
        self._waiting = waiting
        self._steps = steps
        self._request = request

    async def clean_up(self) -> None:
        """End what is still open."""
        state = self._record.state
        if state.open_request is not None:
            await self._request.end(self._waiting)
        if state.ending is Ending.EXPIRED:
            await self._steps.run(
                SalesActivities.close_quote,
                lambda: CloseQuote(quote=self._record.quote, reason="expired", text="The quote expired"),
                queue=names.DATAVERSE_QUEUE,
                summary="Close the expired quote in Sales",
                skipped=Nothing(),
            )
        if state.credit_checks and state.ending is not Ending.CLOSED:
            await tell_ledger(self._record, names.RELEASE)
        self._waiting.publish()
