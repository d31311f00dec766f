"""Both systems beside each other: shown to who may see data, and ended by two who may say so."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from pydantic import Field

from domain.entities.data_words import EXIT_PARALLEL
from domain.entities.parallel_run import ParallelView, said_to_parallel
from domain.messages import Outcome
from domain.people import Person
from domain.phrases import Phrase
from domain.record import Record
from domain.refusals import Refusal
from domain.rights import Action
from runs import names
from runs.calls import NotFound
from runs.parallel import ParallelRuns
from web.access import Access
from web.commands import ExitParallelBody
from web.decisions import Decisions, in_words
from web.delegating import known_company
from web.identity import SignedIn
from web.problems import Problem
from web.saying import Saying


class ParallelShown(Record):
    """A parallel run as a person sees it."""

    view: ParallelView
    blockers: tuple[str, ...] = Field(description="What stands in the way of the end; none: it may be ended")
    said: tuple[Phrase, ...] = Field((), exclude=True)


class Parallel:
    """Parallel runs, as pages and API show and end them."""

    def __init__(self, access: Access, runs: ParallelRuns, decisions: Decisions) -> None:
        """Ask ``runs``, as far as ``access`` allows; limited, signed and refused as ``decisions`` does."""
        self._access = access
        self._runs = runs
        self._decisions = decisions

    def companies(self, person: Person) -> tuple[str, ...]:
        """The companies a person may see.

        Raises:
            Problem: 403, none at all.
        """
        seen = self._access.seeing_data(person)
        return self._access.companies if seen is None else tuple(sorted(seen))

    def may_exit(self, person: Person, company: str) -> bool:
        """Whether a person may be one of the two who end it."""
        return self._access.may(person, Action.EXIT_PARALLEL, company)

    async def shown(self, person: Person, company: str) -> ParallelShown | None:
        """How a company's parallel run stands; None where there is none.

        Raises:
            Problem: 403, they may not see it.
            RunError: it cannot be read.
        """
        self._access.check_seeing_data(person, company)
        view = await self._runs.read(company)
        if view is None:
            return None
        running = view.state.status == "running"
        said = view.state.blockers(datetime.now(UTC)) if running else ()
        return ParallelShown(view=view, blockers=tuple(map(str, said)), said=said)

    async def all_of(self, person: Person) -> dict[str, ParallelShown | None]:
        """By company that a person may see, how its parallel run stands. Raises as ``shown``."""
        companies = self.companies(person)
        found = await asyncio.gather(*(self.shown(person, company) for company in companies))
        return dict(zip(companies, found, strict=True))

    async def outcome(self, company: str, message_id: str) -> Outcome | None:
        """What became of a message; None where it is not known."""
        try:
            return await self._runs.outcome(company, message_id)
        except NotFound:
            return None

    async def exit(self, company: str, who: SignedIn, message_id: str, body: ExitParallelBody) -> Outcome | None:
        """Be one of the two who end a company's parallel run.

        Returns:
            That it counts; None where it is recorded but not known within five seconds.

        Raises:
            Problem: it was refused, here or by the run.
            NoAnswer: Temporal is down and nothing was recorded.
        """
        company = known_company(company)
        workflow_id, args = names.parallel_id(company), {"reason": body.reason}
        saying = Saying(self._decisions, company, workflow_id, who, message_id, EXIT_PARALLEL, args)
        saying.check()
        view = await self._runs.read(company)
        if view is None:
            raise Problem(Refusal.NOT_FOUND, f"No parallel run of {company.upper()} is known.")
        now = datetime.now(UTC)
        became = said_to_parallel(view.state, saying.verified(now), now)
        if became.code is not None:
            return await saying.refused_unless_known(
                became.code, in_words(became.text), lambda: self._runs.outcome(company, message_id)
            )
        return await saying.send(lambda message: self._runs.tell(company, message))
