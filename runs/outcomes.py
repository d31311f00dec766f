"""What became of a message: asked by its id after it was sent, because a signal itself answers nothing.

So a repeated click, a retried request and a second browser tab all end in the same one outcome.
"""

from __future__ import annotations

import asyncio
import time

from temporalio.client import Client
from temporalio.common import Priority

from domain.messages import Outcome, SignedMessage
from domain.record import Record
from runs import attributes, names
from runs.calls import NoAnswer, NotFound, ask_for, begin_or_tell, tell

PATIENCE_SECONDS = 5.0
_FIRST_LOOK_SECONDS = 0.08
_LOOK_AT_MOST_EVERY_SECONDS = 0.8


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


async def said(
    client: Client,
    workflow: str,
    start: Record,
    workflow_id: str,
    message: SignedMessage,
    *,
    begins: bool,
    company: str,
    priority: Priority,
    what: str,
) -> Outcome | None:
    """Pass on to a company's run what a person signed.

    Args:
        client: connected to the deals' namespace.
        workflow: its name.
        start: what it begins with, where none goes on.
        workflow_id: of the run.
        message: what was said.
        begins: whether one begins where none goes on.
        company: legal entity, lower case.
        priority: of its tasks, where it begins.
        what: it is, in words for people.

    Returns:
        What became of it; None where it is recorded, and not known within five seconds.

    Raises:
        NotFound: none goes on, and the one before has not heard it.
        NoAnswer: Temporal is down and nothing was recorded.
    """
    if begins:
        of = attributes.typed({attributes.COMPANY: company})
        await begin_or_tell(
            client,
            workflow,
            start,
            workflow_id,
            names.COMMAND,
            message,
            priority=priority,
            summary=what,
            search_attributes=of,
        )
    elif not await tell(client, workflow_id, names.COMMAND, message):
        before = await known(client, workflow_id, message.message_id, what=what)
        if before is None:
            raise NotFound(f"{what} does not go on.")
        return before
    return await awaited(client, workflow_id, message.message_id, what=what)


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
        pause = min(pause * 1.8, _LOOK_AT_MOST_EVERY_SECONDS)
    return None
