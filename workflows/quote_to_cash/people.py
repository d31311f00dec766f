"""What people say to a deal: signed messages, each heard once, checked, and answered with an outcome.

A message never harms a run: it is applied, or refused with a code and written down.
"""

from __future__ import annotations

from temporalio import workflow

from domain import commands, facts
from domain.messages import DecisionRefused, Outcome, SignedMessage
from domain.refusals import Refusal
from runs import names
from workflows.proof import verify
from workflows.quote_to_cash.record import DealRecord


class People:
    """Hears what people say to one deal, in the order in which it came."""

    def __init__(self, record: DealRecord) -> None:
        """Hear for the deal of ``record``."""
        self._record = record

    @property
    def all_heard(self) -> bool:
        """Whether nothing waits to be heard."""
        return not self._record.unheard

    def take(self, message: SignedMessage) -> None:
        """Take a message; it is heard in its turn."""
        self._record.unheard.append(message)

    def note_refused(self, note: DecisionRefused) -> None:
        """Write down who tried to decide a request and why it did not count; it changes nothing."""
        self._record.apply(
            facts.Refused(message_id=note.message_id, what=commands.DECIDE, code=note.code, detail=note.detail),
            event_id=note.message_id,
            actor=note.person.named,
            at=note.at,
        )

    async def serve(self) -> None:
        """Hear messages as they come, forever."""
        unheard = self._record.unheard
        while True:
            await workflow.wait_condition(lambda: bool(unheard))
            message = unheard[0]
            if self._record.outcome(message.message_id) is None:
                self._record.settle(await self._hear(message))
            unheard.pop(0)

    async def _hear(self, message: SignedMessage) -> Outcome:
        said = await verify(message, audiences=self._audiences())
        fact = commands.fact_of(said, self._record.state, deal_id=self._record.deal_id, at=workflow.now())
        done = self._record.apply(fact, event_id=said.message_id, actor=said.person.named)
        if done is None:
            return Outcome(message_id=said.message_id, accepted=False, code=Refusal.DUPLICATE)
        detail = done.audit.text if done.code else ""
        return Outcome(message_id=said.message_id, accepted=not done.code, code=done.code, detail=detail)

    def _audiences(self) -> tuple[str, ...]:
        """A message may be meant for the deal, or for one of its requests that had ended when it came."""
        state = self._record.state
        requests = (names.approval_id(state.company, state.quote_number, a.n) for a in state.approvals)
        return (self._record.deal_id, *requests)
