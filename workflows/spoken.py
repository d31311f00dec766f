"""A run of long life that people speak to: each signed message is proved, heard once, answered, and written down.

What a run makes of a message is its own affair. That none is heard twice, that what has no proof takes the place of
nothing that has one, and that no sender can fill the run is the same for all of them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Iterable, Mapping
from hashlib import sha256
from typing import Any, ClassVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError

with workflow.unsafe.imports_passed_through():
    from domain.audit import CODE, WORDS, AuditKind, AuditRecord, Outbox
    from domain.heard import Heard, HeardMessage, content_digest
    from domain.messages import Outcome, SignedMessage, VerifiedMessage
    from domain.refusals import Refusal
    from runs import names
    from workflows.audit import deliver_apart
    from workflows.hearing import FAILED, Counting, heard, is_long_enough
    from workflows.proof import AT_ONCE, verify
    from workflows.steps import LOOK_AGAIN, cause_of

KEPT = 300
"""Outcomes of messages that are kept."""
LONGEST_DETAIL = 500
WRITTEN_DOWN = 20
"""Messages without proof that are written to the audit in one run; of more only their number is kept."""
UNPROVED = "unproved"
REPEATED = "repeated"
UNCHECKED = "unchecked"
"""Counted: how often messages could not be checked, and waited."""
DROPPED_FULL = "full"


class SpokenTo(Counting):
    """What such runs share: one for each company, or for each account in it."""

    most_unheard: ClassVar[int] = 500
    """Messages that wait to be heard; what comes beyond them is counted and dropped, so that none can fill a run."""

    def __init__(
        self,
        company: str,
        *,
        outcomes: Iterable[Outcome],
        heard: Iterable[HeardMessage],
        unheard: Iterable[SignedMessage],
        tally: dict[str, int],
    ) -> None:
        """Go on from what the run before had heard.

        Args:
            company: legal entity, lower case.
            outcomes: what became of messages, oldest first.
            heard: messages that must not be heard again.
            unheard: messages that wait.
            tally: how many became what.
        """
        self._company = company
        self._outcomes = OrderedDict((outcome.message_id, outcome) for outcome in outcomes)
        self._heard = Heard(tuple(heard))
        self._unheard: list[SignedMessage] = list(unheard)
        self._tally = dict(tally)
        self._unproved = 0
        self._records = 0
        self._something = False
        """Whether anything happened in this run: before, it does not end."""

    def _spoken(self) -> dict[str, Any]:
        """What the next run begins with."""
        return {
            "outcomes": tuple(self._outcomes.values()),
            "heard": self._heard.kept,
            "unheard": tuple(self._unheard),
            "tally": self._tally,
        }

    def _long_enough(self) -> bool:
        return is_long_enough(heard=self._something) and len(self._unheard) <= AT_ONCE

    command = heard(names.COMMAND, SignedMessage, lambda run: run._keep, "A signed message of a person")

    def _keep(self, message: SignedMessage) -> None:
        if len(self._unheard) >= self.most_unheard:
            self._count(DROPPED_FULL)
        else:
            self._unheard.append(message)

    @workflow.query(name=names.OUTCOME, description="What became of a message, by its id")
    def outcome(self, message_id: str) -> Outcome | None:
        """What became of a message; None while it is not known."""
        return self._outcomes.get(message_id)

    async def _hear_some(self) -> None:
        """Take the next messages up, each once; they wait until all of them are done with."""
        self._something = True
        try:
            messages = await self._proved()
        except ActivityError as error:
            await self._wait_for_proof(error)
            return
        for message, said in messages:
            if not self._was_heard(said):
                await self._take_safely(message, said)
        self._done_with(messages)

    async def _wait_for_proof(self, error: ActivityError) -> None:
        """What people said waits: that it cannot be checked neither ends the run nor loses a word."""
        workflow.logger.error("messages of people cannot be checked: %s", ": ".join(cause_of(error)))
        self._count(UNCHECKED)
        await workflow.sleep(LOOK_AGAIN, summary="Until the messages of people are checked again")

    async def _take_safely(self, message: SignedMessage, said: VerifiedMessage) -> None:
        """Do what a message says; one that cannot be taken stands in nobody's way."""
        await self._safely(said, self._take(message, said))

    async def _safely(self, said: VerifiedMessage, work: Awaitable[None]) -> None:
        """Do what a message asked for; where that fails, it is answered so."""
        try:
            await work
        except FailureError:  # of Temporal: an activity that failed, or the run is cancelled
            raise
        except Exception as error:  # noqa: BLE001 - it must not keep the other messages from being heard
            workflow.logger.exception("a message could not be taken")
            self._count(FAILED)
            self._answer(said, Refusal.BAD_ARGUMENT, f"it could not be taken: {error}")

    async def _take(self, message: SignedMessage, said: VerifiedMessage) -> None:
        """Do what a message says, or refuse it; what becomes of it is kept by ``_answer``."""
        raise NotImplementedError

    async def _proved(self) -> list[tuple[SignedMessage, VerifiedMessage]]:
        """The next messages, with what each says and whether it is proved; they wait until they are done with."""
        some = self._unheard[:AT_ONCE]
        verified = await verify(some, audiences=(workflow.info().workflow_id,), company=self._company)
        return list(zip(some, verified, strict=True))

    def _done_with(self, messages: list[tuple[SignedMessage, VerifiedMessage]]) -> None:
        del self._unheard[: len(messages)]

    def _was_heard(self, said: VerifiedMessage) -> bool:
        """Whether a message was heard before; what is not proved takes no id from what is."""
        if said.refused:
            return False
        refusal = self._heard.take(said, workflow.now())
        if refusal is None:
            return False
        self._count(REPEATED)
        if refusal is Refusal.TOO_MANY_REQUESTS:
            self._settle(Outcome(message_id=said.message_id, accepted=False, code=refusal))
        return True

    def _answer(self, said: VerifiedMessage, code: Refusal | None, text: str) -> bool:
        """Keep what became of a message, with why it did not count or what it changed; whether to write it down."""
        if said.refused:
            self._count(UNPROVED)
            self._unproved += 1
            if said.message_id in self._outcomes:
                return False
        self._settle(
            Outcome(
                message_id=said.message_id,
                accepted=code is None,
                code=code or "",
                detail=text[:LONGEST_DETAIL],
                digest="" if said.refused else content_digest(said.person.oid, said.name, said.args),
            )
        )
        return not said.refused or self._unproved <= WRITTEN_DOWN

    def _next_record(self) -> tuple[str, int]:
        """By what the next audit record of this run is told apart from all others."""
        self._records += 1
        return workflow.info().run_id, self._records

    async def _write_said(
        self,
        message: SignedMessage,
        said: VerifiedMessage,
        code: Refusal | None,
        text: str,
        *,
        record_id: str,
        event: str,
        of: str,
        facts: Mapping[str, str] | None = None,
    ) -> None:
        """Have it stored who said a message, how, and what it came to: by a process that tries for as long as it takes.

        Args:
            message: as it came.
            said: what it says, and whether that is proved.
            code: why it did not count; None: it did.
            text: what it came to, in a sentence.
            record_id: of the record; the same again is the same record.
            event: what happened, a word.
            of: whose record it is, in words for Temporal Web.
            facts: more of it, beside the sign-in behind the message.
        """
        known = dict(facts or {}) | said.sign_in.facts()
        record = AuditRecord(
            record_id=record_id,
            n=1,
            company=self._company[:CODE],
            kind=AuditKind.REFUSAL if code else AuditKind.DECISION,
            event=event[:CODE],
            at=workflow.now(),
            actor=said.person.named,
            what=text[:WORDS],
            facts={name: value[:CODE] for name, value in known.items() if value},
            **as_said(message, said, code),
        )
        await deliver_apart(Outbox(pending=(record,)), record_id, f"An audit record of {of}")

    def _settle(self, outcome: Outcome) -> None:
        self._outcomes[outcome.message_id] = outcome
        while len(self._outcomes) > KEPT:
            self._outcomes.popitem(last=False)


def as_said(message: SignedMessage, said: VerifiedMessage, code: Refusal | None) -> dict[str, Any]:
    """What the audit record of a message says of how it was said."""
    return {
        "why": str(said.args.get("reason") or "")[:WORDS],
        "code": (code or "")[:CODE],
        "policy_version": said.granted.policy_version[:CODE],
        "envelope_id": message.message_id[:CODE],
        "envelope_hash": sha256(message.token.encode()).hexdigest(),
    }
