"""What people say to a run that is not a deal's: an account, a company's delegations, what stands open after deals.

It is checked here as the run will check it, signed, sent, and answered with what became of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.messages import Outcome, SignedMessage, VerifiedMessage
from domain.refusals import Refusal
from domain.rights import Subject
from runs.calls import RunError
from web.decisions import Decisions, accepted
from web.identity import SignedIn
from web.problems import Problem


@dataclass(frozen=True, slots=True)
class Saying:
    """A message of a person to one run of a company. ``message_id``: said again under it, it changes nothing."""

    decisions: Decisions
    company: str
    workflow_id: str
    who: SignedIn
    message_id: str
    name: str
    args: Mapping[str, Any]

    def check(self) -> None:
        """Make sure that its person may say it.

        Raises:
            Problem: they may not, signed in too long ago, or try too often.
        """
        self.check_right()
        if self.too_old:
            raise self.refused(Refusal.SIGN_IN_TOO_OLD)

    def check_right(self) -> None:
        """The same for what needs no fresh sign-in, because it only stops something.

        Raises:
            Problem: they may not, or try too often.
        """
        self.decisions.limits.attempt(self.who.person, self.workflow_id)
        if not self.decisions.access.saying(self.who.person, self.name, self.company).grants:
            raise self.refused(Refusal.NO_AUTHORITY)

    @property
    def too_old(self) -> bool:
        """Whether its person has to sign in again before they say it."""
        return bool(self.decisions.access.too_old_to_say(self.who, self.name, self.company, Subject()))

    def verified(self, now: datetime) -> VerifiedMessage:
        """As the run would take it, once its proof is checked there."""
        return VerifiedMessage(
            message_id="",
            person=self.who.person,
            name=self.name,
            args=dict(self.args),
            signed_at=now,
            sign_in=self.who.sign_in,
            granted=self.decisions.access.saying(self.who.person, self.name, self.company),
        )

    def refused(self, code: Refusal, detail: str = "") -> Problem:
        """The answer where it is refused here, after that was written down."""
        return self.decisions.refused(code, self.who.person, self.company, self.name, self.message_id, detail)

    def accepted(self, outcome: Outcome | None) -> Outcome | None:
        """What became of it, if it is not a refusal. Raises ``Problem`` as ``web.decisions.accepted``."""
        return accepted(outcome, self.who.person, self.name, self.args)

    async def refused_unless_known(
        self, code: Refusal, detail: str, known: Callable[[], Awaitable[Outcome | None]]
    ) -> Outcome:
        """What became of it where it was said before, for which the run would not take it again.

        Raises:
            Problem: it is new, and refused; or what was said before was refused.
        """
        try:
            before = await known()
        except RunError:
            before = None
        if before is None:
            raise self.refused(code, detail)
        self.accepted(before)
        return before

    async def send(self, tell: Callable[[SignedMessage], Awaitable[Outcome | None]]) -> Outcome | None:
        """Sign it and tell the run.

        Returns:
            That it was accepted; None where it is recorded but not known in time.

        Raises:
            Problem: the run refused it, too much is sent, or it cannot be signed.
        """
        self.decisions.limits.send(self.who.person, self.workflow_id)
        message = await self.decisions.signed(self.workflow_id, self.who, self.message_id, self.name, self.args)
        return self.accepted(await tell(message))
