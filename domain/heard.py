"""Which messages of people a run has heard, for as long as they could be sent again.

A signed message holds for a day, and whoever can read it may send it again. So a run keeps the ids of all that it heard
with a valid proof until they expire, however much came between, and each id stands for one person, action and content.
What has no valid proof takes no id from anybody. The memory is bounded: when it is full of messages that still hold,
new ones are refused rather than old ones forgotten.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import AwareDatetime

from domain.messages import VerifiedMessage
from domain.record import Record
from domain.refusals import Refusal

MOST: Final = 1_000
"""Messages that one run keeps in mind."""
MOST_OF_ONE: Final = 300
"""Of these, messages of one person: nobody takes the room of the others."""
LONGEST: Final = timedelta(days=2)
"""How long a message is kept in mind whose expiry is not known; the web's hold for one day."""


class HeardMessage(Record):
    """A message with a valid proof."""

    message_id: str
    digest: str
    oid: str
    until: AwareDatetime


def content_digest(oid: str, name: str, args: Mapping[str, Any]) -> str:
    """What a message id stands for: a person (Entra object id), an action, and its arguments, which are JSON types."""
    content = json.dumps([oid.lower(), name, args], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()[:32]


class Heard:
    """The messages one run has heard."""

    def __init__(self, kept: Iterable[HeardMessage] = ()) -> None:
        """Begin with what the run before had heard."""
        self._kept = {message.message_id: message for message in kept}

    @property
    def kept(self) -> tuple[HeardMessage, ...]:
        """All of them, for the next run."""
        return tuple(self._kept.values())

    def take(self, said: VerifiedMessage, now: datetime) -> Refusal | None:
        """Hear a message with a valid proof.

        Args:
            said: the message; its id is kept in mind from now on.
            now: UTC.

        Returns:
            None where it is new; else ``DUPLICATE`` for the same message again, ``MESSAGE_ID_REUSED`` for another one
            under its id, ``TOO_MANY_REQUESTS`` where there is no room.
        """
        digest = content_digest(said.person.oid, said.name, said.args)
        known = self._kept.get(said.message_id)
        if known is not None:
            return Refusal.DUPLICATE if known.digest == digest else Refusal.MESSAGE_ID_REUSED
        oid = said.person.oid.lower()
        if self._is_full(oid):
            self._kept = {key: message for key, message in self._kept.items() if message.until > now}
            if self._is_full(oid):
                return Refusal.TOO_MANY_REQUESTS
        until = said.expires_at or now + LONGEST
        self._kept[said.message_id] = HeardMessage(message_id=said.message_id, digest=digest, oid=oid, until=until)
        return None

    def _is_full(self, oid: str) -> bool:
        if len(self._kept) >= MOST:
            return True
        return len(self._kept) >= MOST_OF_ONE and sum(m.oid == oid for m in self._kept.values()) >= MOST_OF_ONE
