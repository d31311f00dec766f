"""The single writer of a customer's credit: two deals that ask at the same instant can never both take the last of it.

Deals read Finance themselves and ask with what they read; the ledger adds what other deals hold that Finance does not
show yet, applies the rule and remembers. It keeps the queue of held deals and wakes those whom a payment, a release
or a higher limit may have helped. It is rebuilt from nothing by the deals' next questions.
"""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from domain.credit import CreditBook, StaleFacts, customer_changed, mark_visible, release, reserve
    from domain.credit_ledger import CreditAnswer, LedgerRequest, LedgerStart
    from domain.messages import CreditRecheck, CustomerChanged, LedgerNote
    from runs import names

SEEN = 500
"""Events of the customer remembered, so that one told twice wakes nobody twice."""


@workflow.defn(name=names.CREDIT_LEDGER)
class CreditLedger:
    """One customer's reservations in one company."""

    @workflow.init
    def __init__(self, start: LedgerStart) -> None:
        """Make the state before the first question is answered."""
        self._book = start.book
        self._seen = list(start.seen)
        self._wake: dict[str, str] = {}

    @workflow.run
    async def run(self, start: LedgerStart) -> None:
        """Answer for ever; wake deals whose credit may have come free."""
        while not workflow.info().is_continue_as_new_suggested():
            await workflow.wait_condition(lambda: bool(self._wake) or workflow.info().is_continue_as_new_suggested())
            await self._wake_all()
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(start.model_copy(update={"book": self._book, "seen": tuple(self._seen)}))

    async def _wake_all(self) -> None:
        while self._wake:
            deal_id, reason = next(iter(self._wake.items()))
            del self._wake[deal_id]
            try:
                await workflow.get_external_workflow_handle(deal_id).signal(
                    names.CREDIT_RECHECK, CreditRecheck(message_id=str(workflow.uuid4()), reason=reason)
                )
            except ApplicationError:  # the deal has ended: it needs no credit
                self._book, _ = release(self._book, deal_id)

    @workflow.update(name=names.RESERVE, description="Reserve credit for one deal's order, or join the queue")
    def reserve(self, ask: LedgerRequest) -> CreditAnswer:
        """Decide on one order. Facts that are too old decide nothing: the deal has to read Finance again."""
        try:
            self._book, decision = reserve(
                self._book,
                ask.deal_id,
                ask.order_number,
                ask.amount,
                ask.facts,
                ask.terms,
                workflow.now(),
                ask.release,
            )
        except StaleFacts as stale:
            return CreditAnswer(decision=None, stale=str(stale))
        self._describe()
        return CreditAnswer(decision=decision)

    @workflow.signal(name=names.ORDER_VISIBLE, description="A deal's order is in Finance: Finance counts it now")
    def order_visible(self, note: LedgerNote) -> None:
        """Note that Finance shows a deal's order from now on."""
        self._book = mark_visible(self._book, note.deal_id, note.at)
        self._describe()

    @workflow.signal(name=names.RELEASE, description="A deal needs no credit any more")
    def give_back(self, note: LedgerNote) -> None:
        """Give back what a deal holds, and wake those it may help."""
        self._book, woken = release(self._book, note.deal_id)
        self._wake.update(dict.fromkeys(woken, f"{note.deal_id} gave credit back"))
        self._describe()

    @workflow.signal(name=names.CUSTOMER_CHANGED, description="A payment, a new limit or a block of the customer")
    def customer_changed(self, change: CustomerChanged) -> None:
        """Wake the held deals a change may help."""
        if change.event_id in self._seen:
            return
        self._seen = [*self._seen, change.event_id][-SEEN:]
        self._book, woken = customer_changed(self._book, change.freed)
        self._wake.update(dict.fromkeys(woken, change.reason))
        self._describe()

    @workflow.query(name=names.STATE, description="Reservations and held deals")
    def state(self) -> CreditBook:
        """The customer's book."""
        return self._book

    def _describe(self) -> None:
        rows = ["| deal | order | amount | | over by |", "|---|---|---|---|---|"]
        rows.extend(
            f"| {entry.deal_id} | {entry.order_number} | {entry.amount:,} | {entry.status} | {entry.over_by:,} |"
            for entry in self._book.entries
        )
        workflow.set_current_details("\n".join(rows))
