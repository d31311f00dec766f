"""What the two systems and the customer's ledger report to a deal, each once, in whatever order."""

from __future__ import annotations

from domain import facts
from domain.credit_following import follows
from domain.events import fact_of_finance, fact_of_sales
from domain.messages import SWEEP, CreditRecheck, FinanceEvent, SalesEvent, SalesEventKind
from domain.people import Person
from domain.tally import APPLIED
from workflows.quote_to_cash.record import DealRecord
from workflows.quote_to_cash.write_back_lag import WriteBackLag

IGNORED = "ignored"
"""Counted: a report that says nothing of this deal as it stands."""
FINANCE = Person(oid="finance", name="Finance")


class Reports:
    """Takes reports for one deal."""

    def __init__(self, record: DealRecord, lag: WriteBackLag) -> None:
        """Take them for the deal of ``record``; ``lag`` measures how soon Sales shows what they tell."""
        self._record = record
        self._lag = lag

    def from_sales(self, event: SalesEvent) -> None:
        """An event of Dynamics 365 Sales."""
        self._record.receive()
        submitted = event.kind is SalesEventKind.SUBMITTED
        if submitted and not self._record.state.running and self._record.keep(event):
            self._record.count(APPLIED)
            return  # the deal begins anew with it as soon as it has cleaned up
        if event.quote_id == self._record.state.quote_id:  # a revision is a row of its own: its id names it
            event = event.model_copy(update={"revision": self._record.state.revision})
        actor = Person(oid=event.actor, name="Sales")
        self._record.apply(fact_of_sales(event), event_id=event.event_id, actor=actor, at=event.occurred_at)

    def from_finance(self, event: FinanceEvent) -> None:
        """An event of Dynamics 365 Finance."""
        self._record.receive()
        fact = fact_of_finance(event)
        if fact is None:
            self._record.count(IGNORED)
            return
        told = self._record.apply(fact, event_id=event.event_id, actor=FINANCE)
        if told is not None and told.accepted:
            self._lag.heard(None if event.source == SWEEP else event.occurred_at)

    def from_ledger(self, message: CreditRecheck) -> None:
        """Credit may have become free."""
        self._record.receive()
        state = self._record.state
        if state.awaits_credit or state.held_by_finance or follows(state):
            self._record.apply(facts.CreditRecheckDue(reason=message.reason), event_id=message.message_id)
        else:
            self._record.count(IGNORED)
