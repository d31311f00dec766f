"""Who said it: the signature of a message, checked outside the workflow and remembered in its history.

The check is a local activity: its result is in the history, so that a key rotated later changes no replay.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

from activities.signatures import DecisionActivities, Proof
from domain.messages import SignedMessage, VerifiedMessage
from domain.people import Person


async def verify(message: SignedMessage, *, audiences: tuple[str, ...]) -> VerifiedMessage:
    """What the message says, and by whom; ``refused`` is set where its proof does not hold.

    Args:
        message: the signed message.
        audiences: ids of the workflows it may have been signed for.
    """
    try:
        return await workflow.execute_local_activity_method(
            DecisionActivities.verify_message,
            Proof(message=message, audiences=audiences),
            start_to_close_timeout=timedelta(seconds=10),
            retry_policy=RetryPolicy(maximum_attempts=3),
        )
    except ActivityError as error:
        return VerifiedMessage(
            message_id=message.message_id,
            person=Person(oid=""),
            name="",
            refused=f"the proof could not be checked: {error}",
        )
