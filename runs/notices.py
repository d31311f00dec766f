"""The one way to reach what people are told: pass a notice on to its recipient, and see what became of it."""

from __future__ import annotations

from temporalio.client import Client
from temporalio.common import Priority, WorkflowIDConflictPolicy
from temporalio.service import RPCError

from domain.notices_box import Box
from domain.notices_policy import Telling
from domain.notices_start import NoticesStart
from runs import names
from runs.calls import NotFound, answer, ask, rejected


class NoticeBoxes:
    """The messages of all recipients."""

    def __init__(self, client: Client) -> None:
        """Reach them through ``client``, connected to the deals' namespace."""
        self._client = client

    async def tell(self, telling: Telling) -> None:
        """Pass a notice on; the recipient's messages begin to run where they do not yet.

        Raises:
            NoAnswer: Temporal does not answer; it is not known whether the notice was recorded.
            Rejected: Temporal takes no such run or message.
        """
        try:
            await answer(
                self._client.start_workflow(
                    names.NOTICES,
                    NoticesStart(),
                    id=names.notices_id(telling.recipient),
                    task_queue=names.DEAL_QUEUE,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                    start_signal=names.TELL,
                    start_signal_args=[telling],
                    priority=Priority(priority_key=5),
                    static_summary=f"Messages to {telling.name}",
                )
            )
        except RPCError as error:
            raise rejected(error) from error

    async def box(self, recipient: str) -> Box:
        """What waits for a recipient, what is on its way, and what was sent; empty where nothing ever was.

        Raises:
            NoAnswer: Temporal or every worker is down.
            Unreadable: what runs under the id is not ours.
        """
        try:
            return await ask(self._client, names.notices_id(recipient), names.STATE, Box, what="The messages")
        except NotFound:
            return Box()
