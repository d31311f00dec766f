"""Who said it, and what they may: checked outside the workflow and remembered in its history.

The check is an activity: its result is in the history, so that neither a key nor a table of rights that is replaced
later changes a replay. Messages that
wait together are checked together, so that a flood of them costs one for many. No workflow uses a local activity: when
a query arrives with its task, what follows is recorded under the next task and replayed under the one before, and what
a run decides by its length or clock then differs (tests/workflows/test_determinism.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from temporalio.common import RetryPolicy

from activities.signatures import DecisionActivities, Proofs, Verified
from domain.messages import SignedMessage, VerifiedMessage
from workflows.steps import URGENT, execute

AT_ONCE = 50
"""Messages checked together."""


async def verify(
    messages: Sequence[SignedMessage], *, audiences: tuple[str, ...], company: str, counted: bool = False
) -> tuple[VerifiedMessage, ...]:
    """What each message says, by whom, and what they may; ``refused`` is set where its proof does not hold.

    Args:
        messages: at most ``AT_ONCE`` signed messages.
        audiences: ids of the workflows they may have been signed for.
        company: legal entity of these workflows, lower case.
        counted: they were checked when they came, and counted: that they have expired since changes nothing.
    """
    proofs = Proofs(messages=tuple(messages), audiences=audiences, company=company, counted=counted)
    return (await _checked(proofs)).said


async def verify_before_asking(
    messages: Sequence[SignedMessage], *, audiences: tuple[str, ...], company: str
) -> Verified:
    """What each message says, as ``verify`` tells, and who stands in for whom just now, with one activity.

    Somebody may be asked because of what was said. Where it cannot be read at once, ``delegations`` is None.
    """
    return await _checked(Proofs(messages=tuple(messages), audiences=audiences, company=company, with_delegations=True))


async def _checked(proofs: Proofs) -> Verified:
    count = len(proofs.messages)
    return await execute(
        DecisionActivities.verify_messages,
        proofs,
        start_to_close_timeout=timedelta(seconds=10),
        # Until it is checked: what a person said is neither believed nor refused because we had trouble.
        retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=10)),
        summary=f"Check who signed {count} messages" if count > 1 else "Check who signed a message",
        priority=URGENT,
    )
