"""What is collected from customers' accounts: shown to who may see it, and what people say passed on, signed.

The run of the account decides; here is refused what can be known to be, so that nothing is stored for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from domain.collection_words import said_to_account
from domain.collections import LONGEST_NUMBER, CollectionsView, Letter
from domain.messages import Outcome
from domain.people import Person
from domain.phrases import phrase
from domain.refusals import Refusal
from runs import names
from runs.calls import NoAnswer
from runs.collections import AccountFilter, AccountPage, AccountRow, CollectionsDesk
from web import letters
from web.access import Access
from web.addresses import COMPANY_LENGTH
from web.commands import ACCOUNT_BODIES
from web.decisions import Decisions, in_words
from web.delegating import known_company
from web.identity import SignedIn
from web.problems import Problem
from web.saying import Saying

MOST_LISTED: Final = 200


class AccountsQuery(BaseModel):
    """Which accounts are listed; what is left out does not narrow."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    company: Annotated[str, Field(max_length=COMPANY_LENGTH, description="Finance legal entity, in any case")] = ""
    account: Annotated[str, Field(max_length=LONGEST_NUMBER, description="Beginning of the account number")] = ""
    level: Annotated[str, Field(max_length=30, description="Highest level an open invoice has reached")] = ""
    overdue: bool = Field(False, description="Only accounts of which something was overdue when it was last looked at")
    limit: int = Field(50, ge=1, le=MOST_LISTED, description="At most this many items")
    cursor: str = Field("", max_length=4096, description="`next_cursor` of the page before")


class Accounts:
    """What is collected, as pages and API show it and pass on what is said to it."""

    def __init__(self, access: Access, desk: CollectionsDesk, decisions: Decisions, font: Path | None = None) -> None:
        """Read and tell ``desk``; limited, signed and refused as ``decisions`` does; ``font`` is that of PDFs."""
        self._access = access
        self._desk = desk
        self._decisions = decisions
        self._font = font

    async def page(self, person: Person, query: AccountsQuery) -> AccountPage:
        """A page of the accounts that a person may see.

        Raises:
            Problem: 403, none.
            RunError: they cannot be read.
        """
        wanted = AccountFilter(
            company=query.company.lower(),
            readable=self._access.collecting(person),
            account=query.account,
            level=query.level,
            overdue=query.overdue,
        )
        return await self._desk.accounts(wanted, limit=query.limit, cursor=query.cursor)

    async def every(self, person: Person, query: AccountsQuery, most: int) -> tuple[list[AccountRow], bool]:
        """All pages of the accounts that a person may see, at most so many rows; and whether there are more.

        Raises as ``page``.
        """
        rows: list[AccountRow] = []
        while True:
            page = await self.page(person, query)
            rows += page.items
            if not page.next_cursor or len(rows) >= most:
                return rows[:most], bool(page.next_cursor) or len(rows) > most
            query = query.model_copy(update={"cursor": page.next_cursor})

    async def view(self, person: Person, company: str, account: str) -> CollectionsView:
        """An account as it stands.

        Raises:
            Problem: 403, the person may not see it; 404, nothing is collected from it.
            RunError: it cannot be read.
        """
        company = known_company(company)
        self._access.check_collecting(person, company)
        if not 0 < len(account) <= LONGEST_NUMBER:
            raise Problem(Refusal.NOT_FOUND)
        return await self._desk.view(company, account)

    async def letter(self, person: Person, company: str, account: str, n: int) -> Letter:
        """A letter that was written. Raises as ``view``; 404 where there is none of this number any more."""
        letter = (await self.view(person, company, account)).state.letter(n)
        if letter is None:
            raise Problem(Refusal.NOT_FOUND, phrase("Letter {n} of account {account} not found.", n=n, account=account))
        return letter

    async def pdf(self, letter: Letter) -> bytes:
        """A letter as PDF; others are served while it is drawn.

        Raises:
            Problem: 400, the font lacks signs of it.
        """
        try:
            return await asyncio.to_thread(self._drawn, letter)
        except letters.CannotPrint as error:
            raise Problem(Refusal.BAD_ARGUMENT, f"This letter cannot be printed: {error}.") from error

    def _drawn(self, letter: Letter) -> bytes:
        from web import letters_pdf

        return letters_pdf.as_pdf(letter, self._font)

    def allowed(self, who: SignedIn, company: str) -> frozenset[str]:
        """What a person may say to accounts of a company, by its name."""
        return frozenset(name for name in ACCOUNT_BODIES if self._access.saying(who.person, name, company).grants)

    def today(self, company: str) -> date:
        """The day in the calendar of a company."""
        return self._access.today(company)

    async def outcome(self, company: str, account: str, message_id: str) -> Outcome | None:
        """What became of a message. Raises as ``runs.calls.ask_for``."""
        return await self._desk.outcome(known_company(company), account, message_id)

    async def say(
        self, company: str, account: str, who: SignedIn, message_id: str, name: str, args: Mapping[str, Any]
    ) -> Outcome | None:
        """Pass on what a person says to an account.

        Returns:
            That it was accepted; None where it is recorded but not known within five seconds.

        Raises:
            Problem: it was refused, here or by the account.
            RunError: nothing is collected from the account, or Temporal is down and nothing was recorded.
        """
        company = known_company(company)
        workflow_id = names.collections_id(company, account)
        saying = Saying(self._decisions, company, workflow_id, who, message_id, name, args)
        saying.check()
        before = await self._heard_before(company, account, message_id)
        if before is not None:
            return saying.accepted(before)
        if refusal := await self._refusal(saying, account):
            raise saying.refused(*refusal)
        return await saying.send(lambda message: self._desk.say(company, account, message))

    async def _heard_before(self, company: str, account: str, message_id: str) -> Outcome | None:
        try:
            return await self._desk.outcome(company, account, message_id)
        except NoAnswer:
            return None

    async def _refusal(self, saying: Saying, account: str) -> tuple[Refusal, str] | None:
        """Why the account would not take what is said; None where it would, or where no worker tells.

        Raises:
            NotFound: nothing is collected from it.
        """
        try:
            view = await self._desk.view(saying.company, account)
        except NoAnswer:
            return None
        now = datetime.now(UTC)
        verdict = said_to_account(
            view.state, saying.verified(now), view.plan, today=self.today(saying.company), now=now
        )
        if verdict.code is None:
            return None
        return verdict.code, f"{verdict.code.sentence} {in_words(verdict.detail)}".strip()
