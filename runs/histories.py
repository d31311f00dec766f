"""The one way to reach what takes over past records into Sales: how it stands, and what a person says to it."""

from __future__ import annotations

from temporalio.client import Client

from domain.entities.history_run import HistoryStart, HistoryView
from domain.messages import Outcome, SignedMessage
from runs import names, outcomes
from runs.calls import ask, background


class Histories:
    """The histories of all companies."""

    def __init__(self, client: Client) -> None:
        """Reach them through a connected client."""
        self._client = client

    async def view(self, start: HistoryStart) -> HistoryView:
        """How a history stands.

        Raises:
            NotFound: it never was started.
            NoAnswer: Temporal or every worker is down.
            Unreadable: what runs under the id is not ours.
        """
        workflow_id = names.history_id(start.kind, start.company)
        return await ask(self._client, workflow_id, names.STATE, HistoryView, what=_called(start))

    async def say(self, start: HistoryStart, message: SignedMessage, *, begins: bool) -> Outcome | None:
        """Pass on what a person signed; ``begins``: whether one begins where none goes on.

        Returns:
            What became of it; None where it is not known within five seconds.

        Raises:
            NotFound: no such history goes on.
            NoAnswer: Temporal is down and nothing was recorded.
        """
        workflow_id, what = names.history_id(start.kind, start.company), _called(start)
        return await outcomes.said(
            self._client,
            names.HISTORY,
            start,
            workflow_id,
            message,
            begins=begins,
            company=start.company,
            priority=background(start.company),
            what=what,
        )


def _called(start: HistoryStart) -> str:
    return f"History of {start.kind}s in {start.company.upper()}"
