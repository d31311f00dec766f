"""What workflows may ask so that people are told: names, queues, inputs and results, as ``activities.signatures``."""

from __future__ import annotations

from typing import Protocol

from activities.declaring import declares_activities
from activities.signatures import Nothing
from domain.notices import Notices
from domain.notices_box import Message, WaitingRequest
from domain.record import Record

NO_USE = "NoticeRefused"
"""The ``type`` of the failure of a message that no later try would send."""


class OfApprover(Record):
    """Whose requests are asked for: an Entra object id."""

    oid: str


class WaitingRequests(Record):
    """What waits for a person, oldest first."""

    requests: tuple[WaitingRequest, ...]


@declares_activities
class TellingActivities(Protocol):
    """Whom to tell (task queue q2c)."""

    async def tell_people(self, notices: Notices) -> Nothing:
        """Pass notices on to the messages of those who want to be told; the same notice again changes nothing."""


@declares_activities
class WaitingActivities(Protocol):
    """What waits for a person (task queue q2c)."""

    async def find_waiting(self, of: OfApprover) -> WaitingRequests:
        """The requests for approval that wait for a person."""


@declares_activities
class SendingActivities(Protocol):
    """Telling a person by a target (task queue q2c-notices)."""

    async def send_message(self, message: Message) -> Nothing:
        """Send one message to one target; tried again it has the same Message-ID."""
