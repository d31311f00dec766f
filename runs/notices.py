"""The one way to reach what people are told: pass a notice on to its recipient, and see what became of it."""

from __future__ import annotations

from temporalio.client import Client
from temporalio.common import Priority

from domain.notices_box import Box
from domain.notices_policy import Telling
from domain.notices_start import NoticesStart
from runs import names
from runs.calls import NotFound, ask, begin_or_tell


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
        await begin_or_tell(
            self._client,
            names.NOTICES,
            NoticesStart(),
            names.notices_id(telling.recipient),
            names.TELL,
            telling,
            priority=Priority(priority_key=5),
            summary=f"Messages to {telling.name}",
        )

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
