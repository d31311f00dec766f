"""Past records that are taken over into Sales: how a history stands, and what people say to it, signed."""

from __future__ import annotations

from datetime import UTC, datetime

from domain.entities.history_run import RUN_HISTORY, HistoryKind, HistoryStart, HistoryView, said_to_history
from domain.messages import Outcome
from domain.people import Person
from domain.refusals import Refusal
from domain.rights import Action
from runs import names
from runs.calls import NotFound
from runs.histories import Histories
from web.access import Access
from web.commands import RunHistoryBody
from web.decisions import Decisions, in_words
from web.delegating import known_company
from web.identity import SignedIn
from web.problems import Problem
from web.saying import Saying


class HistoryDesk:
    """Histories, as the API shows and tells them."""

    def __init__(self, access: Access, histories: Histories, decisions: Decisions) -> None:
        """Ask ``histories``, as far as ``access`` allows; limited, signed and refused as ``decisions`` does."""
        self._access = access
        self._histories = histories
        self._decisions = decisions

    async def read(self, person: Person, company: str, kind: HistoryKind) -> HistoryView:
        """How a history stands.

        Raises:
            Problem: 403, they may not run it.
            RunError: it cannot be read.
        """
        company = known_company(company)
        if not self._access.may(person, Action.RUN_SYNC, company):
            raise Problem(Refusal.NO_AUTHORITY)
        return await self._histories.view(HistoryStart(kind=kind, company=company))

    async def run(
        self, company: str, kind: HistoryKind, who: SignedIn, message_id: str, body: RunHistoryBody
    ) -> Outcome | None:
        """Have a history kept, or not any more.

        Returns:
            That it was done; None where it is recorded but not known within five seconds.

        Raises:
            Problem: it was refused, here or by the history.
            NoAnswer: Temporal is down and nothing was recorded.
        """
        company = known_company(company)
        args = body.model_dump(mode="json", exclude={"message_id"})
        saying = Saying(self._decisions, company, names.history_id(kind, company), who, message_id, RUN_HISTORY, args)
        saying.check()
        verdict = said_to_history(saying.verified(datetime.now(UTC)))
        if verdict.code is not None:
            raise saying.refused(verdict.code, in_words(verdict.detail))
        start = HistoryStart(kind=kind, company=company)
        try:
            return await saying.send(lambda message: self._histories.say(start, message, begins=body.do == "start"))
        except NotFound as error:
            raise Problem(Refusal.NOT_FOUND) from error
