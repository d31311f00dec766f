"""How a deal ends: what was reserved is given back, and both systems are left as the ending says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from activities.signatures import CancelSalesOrder, CloseQuote, MarkQuote, Nothing, SalesActivities
from domain import facts, moves
from domain.deal_state import SalesDue
from domain.moves import ClosingMove
from runs import names
from workflows.quote_to_cash.ledger import tell_ledger
from workflows.quote_to_cash.record import DealRecord
from workflows.quote_to_cash.request import Request
from workflows.quote_to_cash.steps import Steps
from workflows.quote_to_cash.waiting import Waiting

SALES = "Sales"


class Closing:
    """Cleans up after one deal. It waits as every step does; who does not want to wait any longer aborts it."""

    def __init__(self, record: DealRecord, waiting: Waiting, steps: Steps, request: Request) -> None:
        """Clean up after the deal of ``record``."""
        self._record = record
        self._waiting = waiting
        self._steps = steps
        self._request = request
        self._act: dict[ClosingMove, Callable[[], Awaitable[None]]] = {
            ClosingMove.END_REQUEST: lambda: self._request.end(self._waiting),
            ClosingMove.GIVE_CREDIT_BACK: self._give_credit_back,
            ClosingMove.TELL_SALES: self._tell_sales,
        }

    async def clean_up(self) -> None:
        """Do what is left to do.

        Raises:
            Ended: a person gave it up.
        """
        while (move := moves.in_closing(self._record.state)) is not ClosingMove.DONE:
            await self._waiting.turn()
            await self._act[move]()

    async def _give_credit_back(self) -> None:
        await tell_ledger(self._record, names.RELEASE)
        self._record.apply(facts.CreditGivenBack())

    async def _tell_sales(self) -> None:
        outage = self._record.state.outage
        if outage is not None and outage.system == SALES:
            await self._try_to_tell()  # the deal was ended while Sales was away: nobody wants it to wait for Sales
        elif self._record.state.sales_due is SalesDue.LET_GO:
            await self._steps.run(
                SalesActivities.mark_quote,
                self._let_go,
                queue=names.DATAVERSE_QUEUE,
                summary="Tell Sales that nobody looks at the quote any more",
                skipped=Nothing(),
            )
            self._record.apply(facts.SalesTold())
        elif self._record.state.sales_due is SalesDue.ORDER_CANCELLED:
            await self._steps.run(
                SalesActivities.cancel_sales_order,
                self._cancel_order,
                queue=names.DATAVERSE_QUEUE,
                summary=f"Cancel order {self._record.state.order_number} in Sales as well",
                skipped=Nothing(),
            )
            self._record.apply(facts.SalesTold())
        else:
            await self._steps.run(
                SalesActivities.close_quote,
                self._close,
                queue=names.DATAVERSE_QUEUE,
                summary=f"Close the {self._record.state.sales_due} quote in Sales",
                skipped=Nothing(),
            )
            self._record.apply(facts.SalesTold())

    async def _try_to_tell(self) -> None:
        queue, summary = names.DATAVERSE_QUEUE, "Tell Sales how the deal ended, if it can be told"
        due = self._record.state.sales_due
        if due is SalesDue.LET_GO:
            failure = await self._steps.try_once(
                SalesActivities.mark_quote, self._let_go(), queue=queue, summary=summary
            )
        elif due is SalesDue.ORDER_CANCELLED:
            failure = await self._steps.try_once(
                SalesActivities.cancel_sales_order, self._cancel_order(), queue=queue, summary=summary
            )
        else:
            failure = await self._steps.try_once(
                SalesActivities.close_quote, self._close(), queue=queue, summary=summary
            )
        self._record.apply(facts.SalesNotTold(reason=failure) if failure else facts.SalesTold())

    def _close(self) -> CloseQuote:
        expired = self._record.state.sales_due is SalesDue.EXPIRED
        return CloseQuote(
            quote=self._record.quote,
            reason="expired" if expired else "cancelled",
            text="The quote expired" if expired else "The deal was cancelled",
        )

    def _cancel_order(self) -> CancelSalesOrder:
        state = self._record.state
        return CancelSalesOrder(sales_order_id=state.sales_order_id, order_number=state.order_number)

    def _let_go(self) -> MarkQuote:
        return MarkQuote(
            quote=self._record.quote,
            approval_status="none",
            reason="The deal was ended by operations. Request approval again to start it anew.",
            deal_id=self._record.deal_id,
        )
