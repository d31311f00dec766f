"""Initial syncs that write, and what undoes them: how one stands, and what people say to it, signed."""

from __future__ import annotations

from datetime import UTC, datetime

from domain.entities.initial_run import InitialRunStart, InitialRunView
from domain.entities.initial_said import RUN_INITIAL, UNDO_INITIAL, InitialArgs, UndoArgs
from domain.messages import Outcome
from domain.people import Person
from domain.refusals import Refusal
from domain.rights import Action
from domain.said import judged
from runs import names
from runs.calls import NotFound
from runs.initial import Initials
from web.access import Access
from web.commands import RunInitialBody, UndoInitialBody
from web.decisions import Decisions, in_words
from web.delegating import known_company
from web.identity import SignedIn
from web.problems import Problem
from web.saying import Saying


class InitialRunning:
    """Initial syncs, as the API shows and tells them."""

    def __init__(self, access: Access, runs: Initials, decisions: Decisions) -> None:
        """Ask ``runs``, as far as ``access`` allows; limited, signed and refused as ``decisions`` does."""
        self._access = access
        self._runs = runs
        self._decisions = decisions

    async def read(self, person: Person, company: str, entity: str, *, undoes: bool = False) -> InitialRunView:
        """How an initial sync stands, or the undo of one.

        Raises:
            Problem: 403, they may not have it run, or undone.
            RunError: it cannot be read.
        """
        company = known_company(company)
        if not self._access.may(person, Action.UNDO_INITIAL if undoes else Action.RUN_INITIAL, company):
            raise Problem(Refusal.NO_AUTHORITY)
        return await self._runs.run_view(entity, company, undoes=undoes)

    async def run(
        self, company: str, entity: str, who: SignedIn, message_id: str, body: RunInitialBody | UndoInitialBody
    ) -> Outcome | None:
        """Have one begin, rest, go on or end, or the undo of one; whether it may begin is looked at by the run.

        Returns:
            That it was done; None where it is recorded but not known within five seconds.

        Raises:
            Problem: it was refused, here or by the run.
            NoAnswer: Temporal is down and nothing was recorded.
        """
        company = known_company(company)
        args = body.model_dump(mode="json", exclude={"message_id"})
        undoes = isinstance(body, UndoInitialBody)
        run = (names.initial_undo_id if undoes else names.initial_run_id)(entity, company)
        name, takes = (UNDO_INITIAL, UndoArgs) if undoes else (RUN_INITIAL, InitialArgs)
        saying = Saying(self._decisions, company, run, who, message_id, name, args)
        saying.check()
        verdict = judged(saying.verified(datetime.now(UTC)), name, takes)
        if verdict.code is not None:
            raise saying.refused(verdict.code, in_words(verdict.detail))
        start = InitialRunStart(entity=entity, company=company, undoes=undoes)
        try:
            return await saying.send(lambda message: self._runs.say(start, message, begins=body.do == "begin"))
        except NotFound as error:
            raise Problem(Refusal.INITIAL_NOT_THERE) from error
