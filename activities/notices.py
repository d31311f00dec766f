"""Tells people: finds out who wants to know, passes it on to their messages, and sends these."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.delivery import temporal_failures
from activities.notice_signatures import (
    NO_USE,
    OfApprover,
    SendingActivities,
    TellingActivities,
    WaitingActivities,
    WaitingRequests,
)
from activities.signatures import FailureType, Nothing
from domain.approvals import ApprovalState
from domain.notices import Notices, terms_of
from domain.notices_box import MOST_NOTICES, Message, WaitingRequest
from domain.notices_policy import NoticePolicy, tellings
from domain.people import Person
from domain.policy import Policy
from notices.sending import Sender, Unsent
from runs.approvals import Approvals
from runs.calls import Rejected
from runs.notices import NoticeBoxes

_LAST: Final = datetime.max.replace(tzinfo=UTC)


class PeopleDesk(TellingActivities, WaitingActivities):
    """Passes notices on to those who chose them."""

    def __init__(
        self,
        boxes: NoticeBoxes,
        approvals: Approvals,
        policy: Policy,
        notices: NoticePolicy,
        targets: Mapping[str, bool],
    ) -> None:
        """Reach recipients through ``boxes`` and requests through ``approvals``.

        Args:
            boxes: the messages of all recipients.
            approvals: the requests that may wait for them.
            policy: who holds which role.
            notices: who wants to be told what.
            targets: the targets that are configured, and whether each leads to a person's own address.
        """
        self._boxes = boxes
        self._approvals = approvals
        self._policy = policy
        self._notices = notices
        self._targets = targets

    @activity.defn(name="tell_people")
    async def tell_people(self, notices: Notices) -> Nothing:
        """Pass notices on; one that Temporal takes for nobody is in the log and holds up no other."""
        for notice in notices.notices:
            for telling in tellings(notice, self._policy, self._notices, self._targets):
                with temporal_failures():
                    try:
                        await self._boxes.tell(telling)
                    except Rejected as error:
                        activity.logger.error("%s cannot be told: %s", telling.recipient, error.detail)
        return Nothing()

    @activity.defn(name="find_waiting")
    async def find_waiting(self, of: OfApprover) -> WaitingRequests:
        """The requests for approval that wait for a person, those that are overdue first."""
        with temporal_failures():
            states = await self._approvals.open_for(of.oid)
        found = sorted(_waiting(states, Person(oid=of.oid)), key=_order)
        return WaitingRequests(requests=tuple(found[:MOST_NOTICES]))


class MessageDesk(SendingActivities):
    """Sends messages."""

    def __init__(self, sender: Sender) -> None:
        """Send through ``sender``."""
        self._sender = sender

    @activity.defn(name="send_message")
    async def send_message(self, message: Message) -> Nothing:
        """Send one message to one target.

        Raises:
            ApplicationError: the target did not take it; of type ``NO_USE`` where no later try would help.
        """
        try:
            await self._sender.send(message)
        except Unsent as error:
            raise ApplicationError(
                str(error),
                type=NO_USE if error.for_good else FailureType.TRANSIENT,
                non_retryable=error.for_good,
                category=ApplicationErrorCategory.BENIGN,
            ) from error
        return Nothing()


def _waiting(states: Iterable[ApprovalState], person: Person) -> Iterator[WaitingRequest]:
    for state in states:
        for step in state.pending:
            if any(person.is_same(asked) for asked in step.assignees):
                yield WaitingRequest(
                    company=state.request.company,
                    quote_number=state.request.quote_number,
                    n=state.request.n,
                    text=terms_of(state.request),
                    since=step.asked_at,
                    due=step.deadline,
                    overdue=step.escalations > 0,
                )


def _order(request: WaitingRequest) -> tuple[bool, datetime]:
    return not request.overdue, request.due or _LAST
