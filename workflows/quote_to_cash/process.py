"""The process of a deal: seven stages, top to bottom, and what it can be told and asked."""

from __future__ import annotations

from temporalio import workflow

from domain import explain, facts
from domain.deal_start import DealStart
from domain.deal_state import DealState
from domain.events import fact_of_finance, fact_of_sales
from domain.messages import CreditRecheck, DecisionRefused, FinanceEvent, Outcome, SalesEvent, SignedMessage
from domain.people import Person
from domain.views import DealView, Explanation, TimelineEntry
from runs import names
from workflows.published import Published
from workflows.quote_to_cash.background import Background
from workflows.quote_to_cash.closing import Closing
from workflows.quote_to_cash.credit import Credit
from workflows.quote_to_cash.delivery import Delivery
from workflows.quote_to_cash.order import Order
from workflows.quote_to_cash.people import People
from workflows.quote_to_cash.quote import Quote
from workflows.quote_to_cash.record import DealRecord, report
from workflows.quote_to_cash.request import Request
from workflows.quote_to_cash.steps import Steps
from workflows.quote_to_cash.waiting import Ended, Waiting


@workflow.defn(name=names.QUOTE_TO_CASH)
class QuoteToCash:
    """One quote family of one company, from opportunity to payment."""

    @workflow.init
    def __init__(self, start: DealStart) -> None:
        """Make the state before the first message is handled."""
        info = workflow.info()
        self._record = record = DealRecord(
            start, deal_id=info.workflow_id, environment=info.namespace, clock=workflow.now, report=report
        )
        self._background = background = Background()
        self._people = People(record)
        self._request = Request(record, background)
        published = Published()
        waiting = Waiting(record, published, over=lambda: not record.state.running, at_rest=self._at_rest)
        steps = Steps(record, waiting)
        self._quote = Quote(record, waiting, steps, self._request, background)
        self._credit = Credit(record, waiting, steps)
        self._order = Order(record, waiting, steps)
        self._delivery = Delivery(record, waiting, steps, background)
        ending = Waiting(record, published, over=lambda: record.state.given_up, at_rest=self._at_rest)
        self._closing = Closing(record, ending, Steps(record, ending), self._request)

    @workflow.run
    async def run(self, start: DealStart) -> DealView:
        """Carry the deal through its seven stages.

        Returns:
            The deal as it ended.
        """
        self._background.start("people", self._people.serve())
        self._background.start("details", self._keep_described())
        try:
            await self._quote.read()
            await self._quote.agree()
            await self._credit.check()
            await self._order.place()
            await self._delivery.ship()
            await self._delivery.invoice()
            await self._delivery.pay()
        except Ended:
            pass
        await self._closing.clean_up()
        await workflow.wait_condition(lambda: self._people.all_heard)
        self._background.stop_all()
        return explain.view(self._record.state)

    async def _keep_described(self) -> None:
        """Show the deal as it stands in Temporal Web: once for all that a moment brought, however much that is."""
        shown: DealState | None = None

        def changed() -> bool:
            return self._record.state is not shown

        while True:
            shown = self._record.state
            workflow.set_current_details(explain.details(shown))
            await workflow.wait_condition(changed)

    def _at_rest(self) -> bool:
        """A child does not outlive its parent's run, so its answer comes first; and so do people's messages."""
        return self._record.state.open_request is None and self._people.all_heard

    # What the two systems say

    @workflow.signal(name=names.SALES_EVENT, description="Something happened to the quote in Sales")
    def sales_event(self, event: SalesEvent) -> None:
        """Take an event of Dynamics 365 Sales."""
        actor = Person(oid=event.actor, name="Sales")
        self._record.apply(fact_of_sales(event), event_id=event.event_id, actor=actor, at=event.occurred_at)

    @workflow.signal(name=names.FINANCE_EVENT, description="Something was posted in Finance")
    def finance_event(self, event: FinanceEvent) -> None:
        """Take an event of Dynamics 365 Finance; one that says nothing of this deal is counted and ignored."""
        fact = fact_of_finance(event)
        if fact is None:
            self._record.count("ignored")
            return
        self._record.apply(fact, event_id=event.event_id, actor=Person(oid="finance", name="Finance"))

    @workflow.signal(name=names.CREDIT_RECHECK, description="The ledger: credit may have become free")
    def credit_recheck(self, message: CreditRecheck) -> None:
        """Look at credit again, where it is waited for."""
        if self._record.state.awaits_credit:
            self._record.apply(facts.CreditRecheckDue(reason=message.reason), event_id=message.message_id)
        else:
            self._record.count("ignored")

    # What people say

    @workflow.signal(name=names.COMMAND, description="A signed command of a person: retry, skip, abort, cancel, …")
    def command(self, message: SignedMessage) -> None:
        """Take a signed command; its outcome is read back by the query ``outcome``."""
        self._people.take(message)

    @workflow.signal(name=names.DECIDE, description="A decision that came after its request had ended")
    def decide(self, message: SignedMessage) -> None:
        """Write down a decision that came too late; it changes nothing."""
        self._people.take(message)

    @workflow.signal(name=names.DECISION_REFUSED, description="An approval request: whose decision it did not take")
    def decision_refused(self, note: DecisionRefused) -> None:
        """Write down who tried to decide a request and why it did not count; it changes nothing."""
        self._people.note_refused(note)

    # What the deal answers

    @workflow.query(name=names.STATE, description="The deal as it stands")
    def state(self) -> DealView:
        """The deal as it stands."""
        return explain.view(self._record.state)

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

    @workflow.query(name="tally", description="Events received: applied, stale, duplicate, refused, ignored")
    def tally(self) -> dict[str, int]:
        """How many events were applied, stale, duplicate, refused or ignored."""
        return self._record.tally
