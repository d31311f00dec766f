"""What people say to a deal: signed messages, each heard once, checked, and answered with an outcome.

A message never harms a run: it is applied, or refused with a code and written down.
"""

from __future__ import annotations

from temporalio import workflow

from domain import commands, facts
from domain.approval_notes import fact_of_note
from domain.audit import SIGN_IN_UNKNOWN
from domain.heard import content_digest
from domain.messages import DecisionRefused, Outcome, RequestNote, SignedMessage, VerifiedMessage
from domain.people import SYSTEM
from domain.refusals import Refusal
from runs import names
from workflows.hearing import all_has_come, taken
from workflows.proof import AT_ONCE, verify
from workflows.quote_to_cash.background import Background, Part
from workflows.quote_to_cash.record import DealRecord

CARRIED = 500_000
"""Characters of messages that a new run is given to hear; more are heard before."""
LONGEST_DETAIL = 500
WRITTEN_DOWN = 20
"""Messages without proof that are written down; of more only their number is kept."""
MOST_NOTED = 200
"""Attempts on requests that are written down; a request reports few, so more are none of its own, and counted only."""
NOTED = "noted"
"""Counted: an attempt on a request, or a note of it, as the request reports it."""
UNPROVED = "unproved"
"""Counted: a message whose proof does not hold."""
REPEATED = "repeated"
"""Counted: a message that was heard before, or another one under its id."""


class People:
    """Hears what people say to one deal, in the order in which it came."""

    def __init__(self, record: DealRecord, background: Background) -> None:
        """Hear for the deal of ``record``."""
        self._record = record
        self._background = background

    def start(self) -> None:
        """Begin to hear."""
        self._background.start(Part.PEOPLE, self._serve)

    def take(self, message: SignedMessage) -> None:
        """Take a message; it is heard in its turn."""
        self._record.receive()
        self._record.unheard.append(message)
        self._background.revive(Part.PEOPLE)

    def note_refused(self, note: DecisionRefused) -> None:
        """Write down who tried to decide a request and why it did not count; it changes nothing."""
        self._record.receive()
        self._record.count(NOTED)
        if self._record.tally[NOTED] > MOST_NOTED:
            return
        self._record.apply(
            facts.Refused(message_id=note.message_id, what=commands.DECIDE, code=note.code, detail=note.detail),
            event_id=note.message_id,
            actor=note.person.named,
            at=note.at,
            counted=False,
        )

    def take_note(self, note: RequestNote) -> None:
        """Take what a request told; it is looked at in its turn."""
        self._record.receive()
        self._record.count(NOTED)
        if self._record.tally[NOTED] > MOST_NOTED:
            return
        self._record.notes.append(note)
        self._background.revive(Part.PEOPLE)

    async def heard_all(self) -> None:
        """Wait until nothing is left to hear."""
        self._background.revive(Part.PEOPLE)
        record = self._record
        await workflow.wait_condition(
            lambda: (
                all_has_come() and (not (record.unheard or record.notes) or not self._background.goes_on(Part.PEOPLE))
            )
        )

    async def hear_last(self) -> bool:
        """Hear what came after all was heard, while the deal was finishing; whether there was such a thing."""
        if not (self._record.unheard or self._record.notes):
            return False
        self.start()
        await self.heard_all()
        heard = self._background.goes_on(Part.PEOPLE)
        self._background.stop(Part.PEOPLE)
        return heard

    async def heard_most(self) -> None:
        """Wait until what is left to hear is little enough for the next run to take along."""
        await workflow.wait_condition(self._is_light)

    def _is_light(self) -> bool:
        if not all_has_come():
            return False
        told = (note.said for note in self._record.notes if note.said)
        weight = sum(len(message.token) for message in (*self._record.unheard, *told))
        return weight <= CARRIED or not self._background.goes_on(Part.PEOPLE)

    async def _serve(self) -> None:
        unheard = self._record.unheard
        while True:
            await workflow.wait_condition(lambda: bool(unheard or self._record.notes))
            await self._look_at_notes()
            if not unheard:
                continue
            messages = unheard[:AT_ONCE]
            verified = await verify(messages, audiences=self._audiences(), company=self._record.state.company)
            for message, said in zip(messages, verified, strict=True):
                self._take(message, said)
            del unheard[: len(messages)]

    async def _look_at_notes(self) -> None:
        """Write down what requests told: what a person said to one only where its proof holds here as well."""
        notes = self._record.notes
        while notes:
            some = notes[:AT_ONCE]
            envelopes = [note.said for note in some if note.said]
            company = self._record.state.company
            checked = await verify(envelopes, audiences=self._audiences(), company=company) if envelopes else ()
            said = {words.message_id: words for words in checked}
            for note in some:
                self._write_down(note, said.get(note.said.message_id) if note.said else None)
            del notes[: len(some)]

    def _write_down(self, note: RequestNote, said: VerifiedMessage | None) -> None:
        fact = fact_of_note(note, said, self._record.state)
        if fact is None:
            return  # its proof does not hold: it stays counted as noted, and is written down nowhere
        actor, sign_in = (said.person.named, said.sign_in) if said else (SYSTEM, SIGN_IN_UNKNOWN)
        self._record.apply(
            fact,
            event_id=note.message_id,
            actor=actor,
            at=note.at,
            envelope=note.said,
            sign_in=sign_in,
            counted=False,
        )

    def _take(self, message: SignedMessage, said: VerifiedMessage) -> None:
        """Hear a message, unless it was heard before; what is not proved takes no id from what is."""
        record = self._record
        if said.refused:
            record.count(UNPROVED)
            outcome = Outcome(message_id=said.message_id, accepted=False, code=Refusal.UNAUTHENTICATED)
            if record.tally[UNPROVED] <= WRITTEN_DOWN:
                outcome = self._hear(message, said)
            if record.outcome(said.message_id) is None:
                record.settle(outcome)
            return
        refusal = record.heard.take(said, workflow.now())
        if refusal is None:
            record.settle(self._hear(message, said))
        else:
            record.count(REPEATED)
            if refusal is Refusal.TOO_MANY_REQUESTS:
                record.settle(Outcome(message_id=said.message_id, accepted=False, code=refusal))

    def _hear(self, message: SignedMessage, said: VerifiedMessage) -> Outcome:
        digest = "" if said.refused else content_digest(said.person.oid, said.name, said.args)
        code: str = Refusal.INTERNAL
        detail = ""
        with taken(self._record.count):
            fact = commands.fact_of(said, self._record.state, deal_id=self._record.deal_id, at=workflow.now())
            event_id = "" if said.refused else said.message_id
            done = self._record.apply(
                fact, event_id=event_id, actor=said.person.named, envelope=message, sign_in=said.sign_in
            )
            code = done.code if done else Refusal.DUPLICATE
            detail = done.audit.text[:LONGEST_DETAIL] if done and done.code else ""
        return Outcome(message_id=said.message_id, accepted=not code, code=code, detail=detail, digest=digest)

    def _audiences(self) -> tuple[str, ...]:
        """A message may be meant for the deal, or for one of its requests that had ended when it came."""
        state = self._record.state
        requests = (names.approval_id(state.company, state.quote_number, a.n) for a in state.approvals)
        return (self._record.deal_id, *requests)
