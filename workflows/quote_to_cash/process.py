"""The process of a deal: seven stages, top to bottom, and what it can be told and asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from temporalio import workflow

from domain import explain, facts
from domain.credit_claims import CreditClaim, claim_of
from domain.deal import Transition
from domain.deal_start import DealStart
from domain.deal_state import DealState
from domain.messages import (
    CreditRecheck,
    DecisionRefused,
    FinanceEvent,
    Outcome,
    RequestNote,
    SalesEvent,
    SignedMessage,
)
from domain.views import DealView, Explanation, TimelineEntry
from runs import names
from workflows.audit import Trail
from workflows.hearing import Counting, all_has_come, heard
from workflows.published import Published
from workflows.quote_to_cash.background import Background, Part
from workflows.quote_to_cash.billing import Billing
from workflows.quote_to_cash.changing import Changing
from workflows.quote_to_cash.closing import Closing
from workflows.quote_to_cash.credit import Credit
from workflows.quote_to_cash.delivery import Delivery
from workflows.quote_to_cash.deposits import Deposits
from workflows.quote_to_cash.order import Order
from workflows.quote_to_cash.people import People
from workflows.quote_to_cash.quote import Quote
from workflows.quote_to_cash.record import DealRecord, report
from workflows.quote_to_cash.reports import Reports
from workflows.quote_to_cash.request import Request
from workflows.quote_to_cash.stage_clock import StageClock
from workflows.quote_to_cash.steps import Steps
from workflows.quote_to_cash.waiting import Ended, Waiting
from workflows.quote_to_cash.write_back_lag import WriteBackLag


@workflow.defn(name=names.QUOTE_TO_CASH)
class QuoteToCash(Counting):
    """One quote family of one company, from opportunity to payment."""

    @workflow.init
    def __init__(self, start: DealStart) -> None:
        """Make the state before the first message is handled."""
        info = workflow.info()
        self._record = record = DealRecord(
            start,
            deal_id=info.workflow_id,
            environment=info.namespace,
            run_id=info.run_id,
            clock=workflow.now,
            report=self._report,
        )
        self._clock = StageClock(record.state)
        self._background = background = Background()
        lag = WriteBackLag()
        self._reports = Reports(record, lag)
        self._people = People(record, background)
        self._request = Request(record, background, start.checkpoint.request if start.checkpoint else None)
        self._trail = trail = Trail(record)
        published, leave = Published(), self._continue_as_new
        self._waiting = waiting = Waiting(
            record, published, background, trail, over=lambda: not record.state.running, continue_as_new=leave
        )
        steps = Steps(record, waiting)
        self._quote = Quote(record, waiting, steps, self._request, background)
        self._credit = Credit(record, waiting, steps)
        self._changing = changing = Changing(record, waiting, steps, background, self._request)
        billing = Billing(record, waiting, steps)
        deposits = Deposits(record, waiting, steps, billing)
        self._order = order = Order(record, waiting, steps, changing=changing, deposits=deposits, lag=lag)
        self._delivery = Delivery(
            record, waiting, steps, background, order=order, changing=changing, billing=billing, lag=lag
        )
        ending = Waiting(
            record, published, background, trail, over=lambda: record.state.given_up, continue_as_new=leave
        )
        self._closing = Closing(record, ending, Steps(record, ending), self._request)

    @workflow.run
    async def run(self, start: DealStart) -> DealView:
        """Carry the deal through its seven stages, and clean up after it.

        Returns:
            The deal as it ended.
        """
        self._people.start()
        self._changing.start()
        self._background.start(Part.DETAILS, self._keep_described)
        self._background.start(Part.AUDIT_TRAIL, self._trail.deliver)
        self._background.start(Part.NOTICES, self._record.courier.deliver)
        cancelled = await self._carried(self._stages)
        while await self._carried(self._closing.clean_up):
            cancelled = True  # while it cleaned up: what is left then is left
        await self._people.heard_all()
        self._background.stop_all()
        while await self._carried(self._finish):
            cancelled = True
        if self._record.submission is not None:
            workflow.continue_as_new(self._record.anew(self._record.submission))
        if cancelled:
            raise asyncio.CancelledError
        return explain.view(self._record.state)

    def _report(self, transition: Transition) -> None:
        report(transition)
        self._clock.look(transition)

    async def _stages(self) -> None:
        await self._request.resume()
        await self._waiting.turn()
        await self._quote.read()
        await self._quote.agree()
        while not (await self._credit.check() and await self._order.place()):
            await self._quote.agree()  # Sales may not show the quote as won after all
        await self._delivery.ship()
        await self._delivery.invoice()
        await self._delivery.pay()

    async def _finish(self) -> None:
        """Send the last audit records; what came meanwhile is taken first: it may begin the deal anew."""
        await self._record.courier.finish()
        await self._trail.finish()
        while not all_has_come() or await self._people.hear_last():
            await workflow.wait_condition(all_has_come)
            await self._trail.finish()

    async def _carried(self, on: Callable[[], Awaitable[None]]) -> bool:
        """Go on until there is nothing left to do; whether the run was cancelled meanwhile, which is a fact as well."""
        try:
            await on()
        except Ended:
            pass
        except asyncio.CancelledError:
            self._record.apply(facts.RunCancelled())
            return True
        return False

    async def _continue_as_new(self) -> None:
        """End this run and go on in the next one, with the open request and with what people said and was not heard."""
        await self._people.heard_most()
        await self._trail.lighten()
        request = await self._request.hand_over()
        await self._people.heard_most()  # what came meanwhile
        workflow.continue_as_new(self._record.next_start(request))

    async def _keep_described(self) -> None:
        """Show the deal as it stands in Temporal Web: once for all that a moment brought, however much that is."""
        shown: DealState | None = None

        def changed() -> bool:
            return self._record.state is not shown

        while True:
            shown = self._record.state
            workflow.set_current_details(explain.details(shown))
            await workflow.wait_condition(changed)

    # What the two systems say

    sales_event = heard(
        names.SALES_EVENT, SalesEvent, lambda deal: deal._reports.from_sales, "Something happened to the quote in Sales"
    )
    finance_event = heard(
        names.FINANCE_EVENT, FinanceEvent, lambda deal: deal._reports.from_finance, "Something was posted in Finance"
    )
    credit_recheck = heard(
        names.CREDIT_RECHECK, CreditRecheck, lambda deal: deal._reports.from_ledger, "Credit may have become free"
    )

    # What people say

    command = heard(
        names.COMMAND, SignedMessage, lambda deal: deal._people.take, "A signed command: retry, skip, abort, cancel, …"
    )
    decide = heard(
        names.DECIDE, SignedMessage, lambda deal: deal._people.take, "A decision that came after its request had ended"
    )
    decision_refused = heard(
        names.DECISION_REFUSED, DecisionRefused, lambda deal: deal._people.note_refused, "A decision that did not count"
    )
    request_noted = heard(
        names.REQUEST_NOTED, RequestNote, lambda deal: deal._people.take_note, "What a request did that decides nothing"
    )

    def _count(self, kind: str) -> None:
        self._record.count(kind)

    # What the deal answers

    @workflow.query(name=names.STATE, description="The deal as it stands")
    def state(self) -> DealView:
        """The deal as it stands."""
        return explain.view(self._record.state)

    @workflow.query(name=names.CLAIM, description="What the deal holds of its customer's credit")
    def claim(self) -> CreditClaim | None:
        """What the deal holds of its customer's credit, or waits for; None: nothing."""
        record = self._record
        return claim_of(record.state, deal_id=record.deal_id, order_key=record.order_number)

    @workflow.query(name=names.TIMELINE, description="Every transition and refusal: who, when, what, why")
    def timeline(self) -> list[TimelineEntry]:
        """Audit records, oldest first."""
        return list(self._record.timeline)

    @workflow.query(name=names.EXPLAIN, description="Why the deal waits and what would unblock it")
    def explanation(self) -> Explanation:
        """Why the deal waits and what would unblock it."""
        return explain.explain(self._record.state)

    @workflow.query(name=names.OUTCOME, description="What became of a message, by its id")
    def outcome(self, message_id: str) -> Outcome | None:
        """What became of a message; None while it is not known."""
        return self._record.outcome(message_id)

    @workflow.query(name=names.TALLY, description="Events received: applied, stale, duplicate, refused, ignored")
    def tally(self) -> dict[str, int]:
        """How many events were applied, stale, duplicate, refused or ignored."""
        return self._record.tally
