"""Commands for many deals: begun as a dry run, signed by who looked at it, moved on and read.

What a person signs names the deals: a signature covers the command and the ids of at most 25 deals of one company, and
is checked by each of them.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from domain import bulk as rules
from domain.bulk import Bulk, BulkItem, BulkItems, BulkQuery, BulkView, ItemStatus
from domain.bulk_said import args_of
from domain.messages import CommandName, Outcome
from domain.phrases import phrase
from domain.refusals import Refusal
from domain.views import Stage, WaitingFor
from runs import names
from runs.bulk import BulkDesk
from runs.calls import RunError
from runs.search import DealFilter, DealRow, Search
from web.access import Access
from web.addresses import COMPANY_LENGTH
from web.decisions import Decisions
from web.delegating import known_company
from web.identity import SignedIn
from web.problems import Problem
from web.saying import Saying

SHOWN: Final = 50
"""Deals that the page shows before anything begins."""
_LOOK_SECONDS: Final = 2.0

BulkCommand = Literal[CommandName.RETRY, CommandName.REREAD, CommandName.SKIP, CommandName.CREDIT_RECHECK]
Move = Literal["pause", "resume", "cancel"]


class BulkBody(BaseModel):
    """Which deals of a company, what is said to them, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    company: str = Field(min_length=1, max_length=COMPANY_LENGTH, description="Finance legal entity, in any case")
    command: BulkCommand = CommandName.RETRY
    reason: Annotated[str, StringConstraints(strip_whitespace=True, max_length=1_000)] = Field(
        "", description="Recorded with each deal"
    )
    error: str = Field("", max_length=100, description="Cause, of parked deals")
    stage: Stage | Literal[""] = ""
    customer: str = Field("", max_length=50, description="Finance customer account")
    waiting_for: WaitingFor | Literal[""] = ""
    days: int = Field(0, ge=0, le=3_650, description="In their stage for so many days at least")
    message_id: uuid.UUID | None = Field(None, description="Same id sent again: the same run")

    @property
    def query(self) -> BulkQuery:
        """Which deals, as the run keeps it."""
        return BulkQuery(
            error=self.error,
            stage=self.stage,
            customer=self.customer,
            waiting_for=self.waiting_for,
            days=self.days,
        )


class BulkBegun(BaseModel):
    """A run that has begun to try a command dry."""

    company: str
    run: str


class BulkSigned(BaseModel):
    """How many parts of a run were signed."""

    parts: int


class BulkList(BaseModel):
    """The newest runs; of one that nobody answers for, ``view`` is null."""

    items: tuple[BulkListed, ...]


class BulkListed(BaseModel):
    """A run of the list."""

    company: str
    run: str
    view: BulkView | None


class BulkRuns:
    """Bulk runs, as pages and API begin, sign, move and show them."""

    def __init__(self, access: Access, search: Search, desk: BulkDesk, decisions: Decisions) -> None:
        """Show what ``desk`` has, as far as ``access`` allows; limited, signed and refused as ``decisions`` does."""
        self._access = access
        self._search = search
        self._desk = desk
        self._decisions = decisions

    def companies(self, who: SignedIn, command: CommandName) -> tuple[str, ...]:
        """The companies in which a person may give a command."""
        return tuple(c for c in self._access.companies if self._access.commanding(who.person, command, c).grants)

    async def matching(self, body: BulkBody, most: int) -> tuple[list[DealRow], bool]:
        """Running deals that fit, the newest first, and whether there are more. Raises as ``Search.deals``."""
        wanted = DealFilter(
            company=known_company(body.company),
            customer=body.customer,
            stage=body.stage,
            waiting_for=body.waiting_for,
            error=body.error,
            status="running",
        )
        found = await self._search.every(wanted, rules.MOST_ITEMS + 1)
        before = datetime.now(UTC) - timedelta(days=body.days)
        rows = [row for row in found.items if not body.days or row.in_stage_since <= before]
        return rows[:most], found.beyond or len(rows) > most

    async def begin(self, who: SignedIn, body: BulkBody) -> BulkBegun:
        """Begin a run that tries a command dry; the same message id again is the same run.

        Raises:
            Problem: the person may not, or no deal fits.
            RunError: Temporal does not answer, or takes no such run.
        """
        company, run = known_company(body.company), str(body.message_id or uuid.uuid4())
        workflow_id = names.bulk_id(company, run)
        args = args_of(rules.CHECK, workflow_id, reason=body.reason)
        saying = Saying(self._decisions, company, workflow_id, who, run, body.command, args)
        saying.check()
        rows, beyond = await self.matching(body, rules.MOST_ITEMS)
        if not rows:
            raise Problem(Refusal.BAD_ARGUMENT, phrase("No running deal matches. Change the filters."))
        now = datetime.now(UTC)
        bulk = Bulk(
            company=company,
            command=body.command,
            reason=body.reason,
            query=body.query,
            items=tuple(BulkItem(quote=row.quote) for row in rows),
            beyond=beyond,
            begun_at=now,
            moved_at=now,
        )
        self._decisions.limits.send(who.person, workflow_id)
        asked = await self._decisions.signed(workflow_id, who, run, body.command, args)
        await self._desk.begin(bulk, run, asked)
        return BulkBegun(company=company, run=run)

    async def shown(self, who: SignedIn, company: str, run: str) -> BulkView:
        """A run as it stands.

        Raises:
            Problem: 403, the person may not read deals of the company; 404, no run has such a name.
            RunError: it cannot be read.
        """
        company = known_company(company)
        self._access.check_readable(who.person, company)
        return await self._desk.read(company, _known_run(run))

    async def items(self, who: SignedIn, company: str, run: str, first: int, status: str) -> BulkItems:
        """Some of its deals. Raises as ``shown``."""
        company = known_company(company)
        self._access.check_readable(who.person, company)
        return await self._desk.items(company, _known_run(run), first=first, status=status)

    async def listed(self, who: SignedIn) -> BulkList:
        """The newest runs of the companies that a person reads. Raises as ``shown``."""
        found = await self._desk.listed(self._access.readable(who.person))

        async def glimpse(company: str, run: str) -> BulkListed:
            try:
                view = await self._desk.read(company, run, patience=_LOOK_SECONDS)
            except RunError:
                view = None
            return BulkListed(company=company, run=run, view=view)

        return BulkList(items=tuple(await asyncio.gather(*(glimpse(company, run) for company, run in found))))

    def may_move(self, who: SignedIn, view: BulkView) -> bool:
        """Whether a person may sign, pause, resume and end a run."""
        return bool(self._access.commanding(who.person, view.command, view.company).grants)

    def must_sign_in(self, who: SignedIn, view: BulkView) -> bool:
        """Whether a person has to sign in again before they sign a run."""
        return self._saying(who, view.company, "", view.command, {}).too_old

    async def sign(self, who: SignedIn, company: str, run: str) -> int:
        """Sign every part that waits for a signature, each with the ids of its deals; how many were.

        Raises:
            Problem: the person may not, or has to sign in again.
            RunError: the run cannot be read, or Temporal does not answer.
        """
        view = await self.shown(who, company, run)
        workflow_id = names.bulk_id(view.company, run)
        saying = self._saying(who, view.company, workflow_id, view.command, args_of(rules.RUN, workflow_id))
        saying.check()
        unsigned = (await self._desk.unsigned(view.company, run)).parts
        if not unsigned:
            raise saying.refused(Refusal.ILLEGAL_TRANSITION, "Nothing of this run waits for a signature.")
        self._decisions.limits.send(who.person, workflow_id)
        for part in unsigned:
            audience = self._audience(view.company, workflow_id, part.quotes)
            args = args_of(rules.RUN, workflow_id, part=part.n, reason=view.reason)
            message = await self._decisions.signed(audience, who, str(uuid.uuid4()), view.command, args)
            if not await self._desk.sign(view.company, run, message):
                raise saying.refused(Refusal.NOT_OPEN_ANY_MORE)
        return len(unsigned)

    def _audience(self, company: str, workflow_id: str, quotes: Sequence[str]) -> list[str]:
        return [workflow_id, *(names.deal_id(company, quote) for quote in quotes)]

    async def move(
        self, who: SignedIn, company: str, run: str, do: Move, message_id: str, reason: str = ""
    ) -> Outcome | None:
        """Pause, resume or end a run.

        Returns:
            That it was accepted; None where it is recorded but not known within five seconds.

        Raises:
            Problem: it was refused, here or by the run.
            RunError: the run cannot be read, or Temporal does not answer.
        """
        view = await self.shown(who, company, run)
        workflow_id = names.bulk_id(view.company, run)
        args = args_of(do, workflow_id, reason=reason)
        saying = self._saying(who, view.company, workflow_id, view.command, args, message_id)
        saying.check_right()
        return await saying.send(lambda message: self._desk.tell(view.company, run, message))

    async def outcome(self, company: str, run: str, message_id: str) -> Outcome | None:
        """What became of a message. Raises as ``runs.calls.ask_for``."""
        return await self._desk.outcome(known_company(company), _known_run(run), message_id)

    def _saying(
        self,
        who: SignedIn,
        company: str,
        workflow_id: str,
        command: CommandName,
        args: dict[str, object],
        message_id: str = "",
    ) -> Saying:
        return Saying(self._decisions, company, workflow_id, who, message_id, command, args)


def ready_of(view: BulkView) -> int:
    """How many deals would be told."""
    return view.counts.get(ItemStatus.READY, 0)


def _known_run(run: str) -> str:
    """The name of a run.

    Raises:
        Problem: 404, no run has such a name.
    """
    try:
        return str(uuid.UUID(run))
    except ValueError:
        raise Problem(Refusal.NOT_FOUND) from None
