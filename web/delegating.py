"""What people delegate: checked, limited, signed, sent to the company's delegations, and answered.

The run that keeps the delegations decides; here is refused what can be known to be, so that nothing is stored for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from domain.delegations import (
    DELEGATE,
    DELEGATE_FOR,
    END_DELEGATION,
    END_DELEGATION_FOR,
    Delegations,
    made_quote,
    said_to_delegations,
    to_is_requester,
)
from domain.messages import Outcome
from domain.people import Person
from domain.refusals import Refusal
from domain.rights import Action
from runs import names
from runs.approvals import Approvals
from runs.calls import RunError
from runs.delegations import DelegationDesk
from web import security_log
from web.access import Access
from web.addresses import COMPANY_LENGTH
from web.commands import DelegationBody, EndDelegationBody
from web.decisions import Decisions, in_words
from web.identity import SignedIn
from web.problems import Problem
from web.saying import Saying


class Delegating:
    """Passes on what people delegate, and shows them what concerns them."""

    def __init__(self, access: Access, desk: DelegationDesk, approvals: Approvals, decisions: Decisions) -> None:
        """Pass on to ``desk`` what ``access`` allows; limited, signed and refused as ``decisions`` does."""
        self._access = access
        self._desk = desk
        self._approvals = approvals
        self._decisions = decisions

    def companies(self, person: Person) -> tuple[str, ...]:
        """The companies in which a person may delegate, for themselves or for others."""
        return tuple(
            company
            for company in self._access.companies
            if self._access.may(person, Action.DELEGATE_OWN, company) or self.administers(person, company)
        )

    def administers(self, person: Person, company: str) -> bool:
        """Whether a person may delegate for others in a company."""
        return self._access.may(person, Action.DELEGATE_ANY, company)

    async def shown(self, person: Person, company: str) -> Delegations:
        """The delegations of a company that a person may see: all for who administers them, else those with them in.

        Raises:
            Problem: 403, none of them.
            RunError: they cannot be read.
        """
        company = known_company(company)
        if company not in self.companies(person):
            security_log.denied(person.oid, Refusal.NO_AUTHORITY, company)
            raise Problem(Refusal.NO_AUTHORITY)
        found = (await self._desk.read(company)).kept_on(self._access.today(company))
        if self.administers(person, company):
            return found
        mine = tuple(entry for entry in found.entries if entry.of.is_same(person) or entry.to.is_same(person))
        return Delegations(entries=mine)

    async def outcome(self, company: str, message_id: str) -> Outcome | None:
        """What became of a message. Raises as ``runs.calls.ask_for``."""
        return await self._desk.outcome(company, message_id)

    async def delegate(self, company: str, who: SignedIn, message_id: str, body: DelegationBody) -> Outcome | None:
        """Have somebody else asked for a person's decisions.

        Returns:
            That it was accepted; None where it is recorded but not known within five seconds.

        Raises:
            Problem: it was refused, here or by the company's delegations.
            NoAnswer: Temporal is down and nothing was recorded.
        """
        name = DELEGATE_FOR if body.of else DELEGATE
        return await self._say(known_company(company), who, message_id, name, body.signed_args)

    async def end(self, company: str, who: SignedIn, message_id: str, body: EndDelegationBody) -> Outcome | None:
        """End a person's delegation. Returns and raises as ``delegate``."""
        name = END_DELEGATION_FOR if body.of else END_DELEGATION
        return await self._say(known_company(company), who, message_id, name, body.signed_args)

    async def _say(
        self, company: str, who: SignedIn, message_id: str, name: str, args: Mapping[str, Any]
    ) -> Outcome | None:
        saying = Saying(self._decisions, company, names.delegations_id(company), who, message_id, name, args)
        saying.check()
        if refusal := await self._refusal(saying):
            return await saying.refused_unless_known(*refusal, lambda: self._desk.outcome(company, message_id))
        return await saying.send(lambda message: self._desk.tell(company, message))

    async def _refusal(self, saying: Saying) -> tuple[Refusal, str] | None:
        """Why the delegations would not take what is said; None where they would, or where they do not answer."""
        company, args = saying.company, saying.args
        try:
            before = await self._desk.read(company)
        except RunError:
            before = None
        now = datetime.now(UTC)
        if saying.name in (DELEGATE, DELEGATE_FOR):
            away, to = Person(oid=args.get("of") or saying.who.person.oid), Person(oid=str(args["to"]))
            if made := await self._made_by(company, away, to):
                return Refusal.TO_IS_REQUESTER, to_is_requester(Delegations(), made).detail
        if before is None:
            return None
        approvers, today = self._access.approvers(company), self._access.today(company)
        verdict = said_to_delegations(before, saying.verified(now), approvers, today=today, now=now)
        return None if verdict.code is None else (verdict.code, in_words(verdict.detail))

    async def _made_by(self, company: str, away: Person, to: Person) -> str:
        """As ``domain.delegations.made_quote``, of the open requests of a company."""
        try:
            states = await self._approvals.open_in(company)
        except RunError:  # the company's delegations ask again, and a request asks nobody who made its quote
            return ""
        return made_quote(states, away, to, self._access.approvers(company))


def known_company(company: str) -> str:
    """A company as it stands in an address, in lower case.

    Raises:
        Problem: 404, it can be none.
    """
    if not 0 < len(company) <= COMPANY_LENGTH:
        raise Problem(Refusal.NOT_FOUND)
    return company.lower()
