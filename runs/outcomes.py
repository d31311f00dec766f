"""What became of a message: asked by its id after it was sent, because a signal itself answers nothing.

So a repeated click, a retried request and a second browser tab all end in the same one outcome.
"""

from __future__ import annotations

import asyncio
import time

from temporalio.client import Client

from domain.messages import Outcome, SignedMessage
from runs import names
from runs.calls import NoAnswer, ask_for, tell

PATIENCE_SECONDS = 5.0
_FIRST_LOOK_SECONDS = 0.05
_LOOK_AT_MOST_EVERY_SECONDS = 0.5


async def send(client: Client, workflow_id: str, signal: str, message: SignedMessage) -> bool:
    """Send a signed message; False where no run goes on, so that nobody can hear it.

    Raises:
        NoAnswer: Temporal does not answer; the text says that nothing was recorded.
    """
    try:
        return await tell(client, workflow_id, signal, message)
    except NoAnswer as error:
        raise NoAnswer(
            "Temporal does not respond, so this was not recorded. Send it again in a moment; it counts once."
        ) from error


async def known(
    client: Client, workflow_id: str, message_id: str, *, what: str, patience: float | None = None
) -> Outcome | None:
    """What a run made of a message, if it has heard it; asks once. Raises as ``runs.calls.ask_for``."""
    return await ask_for(client, workflow_id, names.OUTCOME, Outcome, what=what, arg=message_id, patience=patience)


async def awaited(client: Client, workflow_id: str, message_id: str, *, what: str) -> Outcome | None:
    """What became of a message; None where it is not known within five seconds (no worker runs)."""
    until = time.monotonic() + PATIENCE_SECONDS
    pause = _FIRST_LOOK_SECONDS
    while (left := until - time.monotonic()) > 0:
        try:
            outcome = await known(client, workflow_id, message_id, what=what, patience=left)
        except NoAnswer:
            outcome = None
        if outcome is not None:
            return outcome
        await asyncio.sleep(min(pause, max(0.0, until - time.monotonic())))
        pause = min(pause * 1.6, _LOOK_AT_MOST_EVERY_SECONDS)
    return None
