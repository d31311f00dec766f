"""The messages of one recipient: what waits for them, what is on its way, and what became of what was sent.

Pure steps from one state of the box to the next. What comes within a minute, or while they want no message, becomes one
message per target. What a target does not take is tried again after the pauses of ``PAUSES`` and then given up, on
record. Every memory is bounded, so that a box that lives forever stays small.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from pydantic import AwareDatetime, Field

from domain.notices import Kind, Notice, still_true
from domain.notices_policy import Telling
from domain.quiet_hours import next_allowed, next_at
from domain.record import Record

TOGETHER: Final = timedelta(minutes=1)
"""How long the first notice waits for others, so that they are one message."""
PAUSES: Final = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=12),
)
"""After which pause a message that was not taken is tried again (lifecycle: timers); then it is given up."""
MOST_NOTICES: Final = 25
"""Notices of one message; of more only their number is told."""
MOST_SENDING: Final = 10
"""Messages on their way; of more the oldest is given up."""
KEPT: Final = 100
"""Outcomes that are kept; what falls out is in the audit."""
SEEN: Final = 500
"""Ids of notices that are kept, so that one delivered twice counts once."""


class WaitingRequest(Record):
    """A request for approval that waits for a person, as a digest shows it."""

    company: str
    quote_number: str
    n: int
    text: str = ""
    since: AwareDatetime | None = Field(None, description="UTC")
    due: AwareDatetime | None = Field(None, description="UTC")
    overdue: bool = Field(False, description="Its time was over once, and somebody else is asked as well")


class Message(Record):
    """One message to one target."""

    message_id: str = Field(description="The same for every try, and part of a mail's Message-ID")
    target: str
    recipient: str
    name: str
    address: str = ""
    timezone: str
    notices: tuple[Notice, ...] = ()
    left_out: int = Field(0, description="Notices that did not fit")
    digest: tuple[WaitingRequest, ...] = Field((), description="Not empty: it is the digest of a working day")


class Status(StrEnum):
    """What became of a try to send a message."""

    SENT = "sent"
    RETRIED = "retried"
    FAILED = "failed"


class Delivery(Record):
    """One try to send a message."""

    message_id: str
    target: str
    status: Status
    tries: int
    at: AwareDatetime = Field(description="UTC")
    kinds: tuple[Kind, ...] = Field((), description="What was told; none: a digest")
    quotes: tuple[str, ...] = ()
    why: str = Field("", description="Why the target did not take it")


class Sending(Record):
    """A message on its way."""

    message: Message
    tries: int = 0
    next_at: AwareDatetime


class Box(Record):
    """All that is known of one recipient's messages."""

    origin: str = Field("", description="Id of the first run that kept it: makes its messages' ids its own")
    latest: Telling | None = Field(None, description="The last that came: where and when they want to be told")
    waiting: tuple[Telling, ...] = ()
    waits_since: AwareDatetime | None = None
    left_out: int = 0
    sending: tuple[Sending, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    seen: tuple[str, ...] = ()
    made: int = Field(0, description="Messages made so far; numbers them")
    digest_at: AwareDatetime | None = None

    def take(self, telling: Telling, now: datetime) -> Box:
        """The box with one more notice; the same box where it was taken before."""
        key = telling.notice.notice_id
        if key in self.seen:
            return self
        full = len(self.waiting) >= MOST_NOTICES
        digest_at = self.digest_at
        if digest_at is None and telling.digest and telling.notice.kind.asks_for_a_decision:
            digest_at = next_at(now, telling.digest, telling.quiet, telling.timezone)
        return self.model_copy(
            update={
                "latest": telling,
                "waiting": self.waiting if full else (*self.waiting, telling),
                "left_out": self.left_out + full,
                "waits_since": self.waits_since or now,
                "seen": (*self.seen, key)[-SEEN:],
                "digest_at": digest_at,
            }
        )

    @property
    def group_at(self) -> datetime | None:
        """When what waits becomes messages, UTC; None: nothing waits."""
        if self.latest is None or self.waits_since is None:
            return None
        return next_allowed(self.waits_since + TOGETHER, self.latest.quiet, self.latest.timezone)

    @property
    def wakes_at(self) -> datetime | None:
        """When something is to be done next, UTC; None: not before the next notice comes."""
        times = (self.group_at, self.digest_at, *(sending.next_at for sending in self.sending))
        return min((at for at in times if at is not None), default=None)

    def grouped(self, now: datetime) -> Box:
        """The box with messages made of what waits, where their time has come."""
        at = self.group_at
        if at is None or now < at:
            return self
        box = self
        for target in dict.fromkeys(name for telling in self.waiting for name in telling.targets):
            notices = still_true(telling.notice for telling in self.waiting if target in telling.targets)
            if not notices and not self.left_out:
                continue
            box = box._with(target, now, notices=notices, left_out=self.left_out)
        return box.model_copy(update={"waiting": (), "waits_since": None, "left_out": 0})

    def digest_due(self, now: datetime) -> bool:
        """Whether it is to be looked at what still waits for them."""
        return self.digest_at is not None and self.digest_at <= now

    def digested(self, found: tuple[WaitingRequest, ...] | None, now: datetime) -> Box:
        """The box after its digest.

        Args:
            found: what waits for them; nothing: no digest until they are asked again; None: it could not be read, and
                is looked at again on the next working day.
            now: UTC.
        """
        telling = self.latest
        if telling is None or telling.digest is None or found == ():
            return self.model_copy(update={"digest_at": None})
        again = next_at(now, telling.digest, telling.quiet, telling.timezone)
        box = self.model_copy(update={"digest_at": again})
        for target in telling.targets if found else ():
            box = box._with(target, now, digest=found or ())
        return box

    def due(self, now: datetime) -> Sending | None:
        """A message that is to be sent now."""
        return next((sending for sending in self.sending if sending.next_at <= now), None)

    def sent(self, sending: Sending, now: datetime) -> Box:
        """The box after a target took a message."""
        return self._without(sending)._noted(_outcome(sending, Status.SENT, now))

    def refused(self, sending: Sending, why: str, now: datetime, *, for_good: bool) -> Box:
        """The box after a target did not take a message: it is tried again, or given up."""
        if for_good or sending.tries >= len(PAUSES):
            return self._without(sending)._noted(_outcome(sending, Status.FAILED, now, why))
        telling = self.latest
        at = now + PAUSES[sending.tries]
        again = next_allowed(at, telling.quiet, telling.timezone) if telling else at
        later = sending.model_copy(update={"tries": sending.tries + 1, "next_at": again})
        kept = tuple(later if other is sending else other for other in self.sending)
        return self.model_copy(update={"sending": kept})._noted(_outcome(sending, Status.RETRIED, now, why))

    def _with(
        self,
        target: str,
        now: datetime,
        *,
        notices: tuple[Notice, ...] = (),
        left_out: int = 0,
        digest: tuple[WaitingRequest, ...] = (),
    ) -> Box:
        telling = self.latest
        assert telling is not None
        message = Message(
            message_id=f"{self.origin}/{self.made + 1}",
            target=target,
            recipient=telling.recipient,
            name=telling.name,
            address=telling.address,
            timezone=telling.timezone,
            notices=notices,
            left_out=left_out,
            digest=digest,
        )
        sending = (*self.sending, Sending(message=message, next_at=now))
        box = self.model_copy(update={"sending": sending, "made": self.made + 1})
        if len(sending) > MOST_SENDING:
            why = "too many messages before it were not taken"
            return box.refused(sending[0], why, now, for_good=True)
        return box

    def _without(self, sending: Sending) -> Box:
        return self.model_copy(update={"sending": tuple(other for other in self.sending if other is not sending)})

    def _noted(self, delivery: Delivery) -> Box:
        return self.model_copy(update={"deliveries": (*self.deliveries, delivery)[-KEPT:]})


def _outcome(sending: Sending, status: Status, now: datetime, why: str = "") -> Delivery:
    message = sending.message
    return Delivery(
        message_id=message.message_id,
        target=message.target,
        status=status,
        tries=sending.tries + 1,
        at=now,
        kinds=tuple(dict.fromkeys(notice.kind for notice in message.notices)),
        quotes=tuple(dict.fromkeys(notice.about for notice in message.notices)),
        why=why[:300],
    )
