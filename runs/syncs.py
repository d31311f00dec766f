"""The one way to reach what keeps records of both systems in step, and the letters it tries again."""

from __future__ import annotations

from temporalio.client import Client

from domain.entities.sync_run import ReplayView, SyncStart, SyncView
from domain.messages import Outcome, SignedMessage
from runs import names, outcomes
from runs.calls import ask, background, goes_on


class Syncs:
    """The syncs of all entities and companies."""

    def __init__(self, client: Client) -> None:
        """Reach them through a connected client."""
        self._client = client

    async def view(self, entity: str, company: str) -> SyncView:
        """How a sync stands.

        Raises:
            NotFound: it never was started.
            NoAnswer: Temporal or every worker is down.
            Unreadable: what runs under the id is not ours.
        """
        workflow_id = names.sync_id(entity, company)
        return await ask(self._client, workflow_id, names.STATE, SyncView, what=_called(entity, company))

    async def writes(self, entity: str, company: str) -> bool:
        """Whether a sync was started and goes on. Raises as ``view``, but for NotFound."""
        if not await goes_on(self._client, names.sync_id(entity, company)):
            return False
        return (await self.view(entity, company)).running

    async def replay(self, replay: str) -> ReplayView:
        """How letters stand that are tried again together. Raises as ``view``."""
        return await ask(self._client, replay, names.STATE, ReplayView, what=f"Replay {replay}")

    async def say(self, start: SyncStart, message: SignedMessage, *, begins: bool) -> Outcome | None:
        """Pass on what a person signed.

        Args:
            start: what a sync begins with, where none goes on.
            message: what was said.
            begins: whether one begins where none goes on.

        Returns:
            What became of it; None where it is not known within five seconds.

        Raises:
            NotFound: no such sync goes on.
            NoAnswer: Temporal is down and nothing was recorded.
        """
        workflow_id, what = names.sync_id(start.entity, start.company), _called(start.entity, start.company)
        return await outcomes.said(
            self._client,
            names.SYNC,
            start,
            workflow_id,
            message,
            begins=begins,
            company=start.company,
            priority=background(start.company),
            what=what,
        )


def _called(entity: str, company: str) -> str:
    return f"Sync of {entity} in {company.upper()}"
