"""Records of both systems that are kept in step: how a sync stands, and what people say to it, signed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from domain.entities.sync_run import SyncStart, SyncView
from domain.entities.sync_said import RUN_SYNC, SETTLE_LETTER, said_to_sync
from domain.messages import Outcome
from domain.people import Person
from domain.refusals import Refusal
from domain.rights import Action
from runs import names
from runs.calls import NotFound
from runs.initial import Initials
from runs.syncs import Syncs
from web.access import Access
from web.commands import RunSyncBody, SettleLetterBody
from web.decisions import Decisions, in_words
from web.delegating import known_company
from web.identity import SignedIn
from web.problems import Problem
from web.saying import Saying


class Syncing:
    """Syncs, as the API shows and tells them."""

    def __init__(self, access: Access, syncs: Syncs, initials: Initials, decisions: Decisions) -> None:
        """Ask ``syncs``, which begin beside none of ``initials``, as far as ``access`` allows.

        What is said is limited, signed and refused as ``decisions`` does.
        """
        self._access = access
        self._syncs = syncs
        self._initials = initials
        self._decisions = decisions

    async def read(self, person: Person, company: str, entity: str) -> SyncView:
        """How a sync stands.

        Raises:
            Problem: 403, they may neither run it nor settle its letters.
            RunError: it cannot be read.
        """
        company = known_company(company)
        if not any(self._access.may(person, may, company) for may in (Action.RUN_SYNC, Action.SETTLE_LETTER)):
            raise Problem(Refusal.NO_AUTHORITY)
        return await self._syncs.view(entity, company)

    async def run(self, company: str, entity: str, who: SignedIn, message_id: str, body: RunSyncBody) -> Outcome | None:
        """Have a sync run or rest, or letters tried again. Returns and raises as ``settle``."""
        args = body.model_dump(mode="json", exclude={"message_id"}, exclude_none=True)
        return await self._say(company, entity, who, message_id, RUN_SYNC, args, begins=body.do == "start")

    async def settle(
        self, company: str, entity: str, who: SignedIn, message_id: str, body: SettleLetterBody
    ) -> Outcome | None:
        """Say what becomes of a letter.

        Returns:
            That it was done; None where it is recorded but not known within five seconds.

        Raises:
            Problem: it was refused, here or by the sync.
            NoAnswer: Temporal is down and nothing was recorded.
        """
        args = body.model_dump(mode="json", exclude={"message_id"}, exclude_none=True)
        return await self._say(company, entity, who, message_id, SETTLE_LETTER, args, begins=False)

    async def _say(
        self,
        company: str,
        entity: str,
        who: SignedIn,
        message_id: str,
        name: str,
        args: Mapping[str, Any],
        *,
        begins: bool,
    ) -> Outcome | None:
        company = known_company(company)
        saying = Saying(self._decisions, company, names.sync_id(entity, company), who, message_id, name, args)
        saying.check()
        verdict = said_to_sync(saying.verified(datetime.now(UTC)))
        if verdict.code is not None:
            raise saying.refused(verdict.code, in_words(verdict.detail))
        if begins and await self._initials.goes_on(entity, company):
            raise saying.refused(Refusal.INITIAL_RUNS)
        start = SyncStart(entity=entity, company=company)
        try:
            return await saying.send(lambda message: self._syncs.say(start, message, begins=begins))
        except NotFound as error:
            raise Problem(Refusal.NOT_FOUND) from error
