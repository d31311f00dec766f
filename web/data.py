"""What both systems hold: shown to who may see it, and what people decide about it signed, checked and kept.

Differences and clusters stand in the ledger; what a person says of them is written there with its audit record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.entities.clusters import MOST_CUSTOMERS, Said, Status, Word
from domain.entities.comparing import DifferenceClass
from domain.entities.data_overview import LetterCount
from domain.entities.data_words import MATCH, REOPEN, SETTLE, TAKE_BACK, DifferenceWord, seen_of
from domain.entities.lags import Lag
from domain.people import Person
from domain.record import Record
from domain.refusals import Refusal
from domain.rights import Action
from ledger.comparison_runs import DifferenceFilter, DifferencePage, KeptDifference, State
from ledger.data_desk import DataDesk
from ledger.match_records import ClusterPage, KeptCluster
from web.access import Access
from web.addresses import COMPANY_LENGTH
from web.commands import RequiredShortText, ShortText
from web.decisions import Decisions
from web.identity import SignedIn
from web.problems import Problem
from web.saying import Saying

if TYPE_CHECKING:
    from domain.messages import SignedMessage

ROWS: Final = 50
ID_LENGTH: Final = 64


class DifferencesQuery(BaseModel):
    """Which differences are shown; every filter is in the address."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    entity: str = Field("", max_length=40)
    company: str = Field("", max_length=COMPANY_LENGTH, description="Finance legal entity, in any case")
    kind: DifferenceClass | Literal[""] = ""
    field: str = Field("", max_length=60)
    owner: Literal["", "FINANCE", "SALES", "NEWEST", "MANUAL"] = ""
    key: str = Field("", max_length=100, description="Beginning of the record's key")
    state: State = "open"
    older: int = Field(0, ge=0, le=3650, description="Days since it was first seen, at least")
    sort: Literal["key", "oldest", "newest"] = "key"
    after: str = Field("", max_length=ID_LENGTH)


class MatchesQuery(BaseModel):
    """Which clusters are shown; what is left out does not narrow, but only what waits for people is listed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    company: str = Field("", max_length=COMPANY_LENGTH)
    status: Status | Literal["", "any"] = ""
    after: str = Field("", max_length=ID_LENGTH)


class SettleBody(BaseModel):
    """What a person says of a difference."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    settles: bool
    seen: str = Field(max_length=ID_LENGTH)
    reason: RequiredShortText


class MatchBody(BaseModel):
    """What a person says of a cluster."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    said: Said
    chosen: tuple[str, ...] = Field((), max_length=MOST_CUSTOMERS)
    seen: str = Field(max_length=ID_LENGTH)
    why: ShortText = ""


class ShownDifference(Record):
    """A difference as one reader sees it."""

    row: KeptDifference
    hidden: bool = Field(description="Its values are personal data that the reader may not see; they are left out")
    may_settle: bool
    seen: str = Field("", description="What a decision about it is about; empty where the reader may not decide")


class ShownDifferences(Record):
    """A page of differences as one reader sees them."""

    page: DifferencePage
    rows: tuple[ShownDifference, ...]


class Data:
    """Differences and clusters, as pages show and decide them."""

    def __init__(self, access: Access, desk: DataDesk | None, decisions: Decisions) -> None:
        """Show what ``desk`` has, as far as ``access`` allows; None: there is no ledger here."""
        self._access = access
        self._desk = desk
        self._decisions = decisions

    @property
    def is_kept(self) -> bool:
        """Whether there is a ledger here."""
        return self._desk is not None

    def companies(self, person: Person) -> tuple[str, ...] | None:
        """The companies whose data a person may see; None: all.

        Raises:
            Problem: 403, none at all.
        """
        return self._access.seeing_data(person)

    # Differences

    async def differences(self, person: Person, query: DifferencesQuery, rows: int = ROWS) -> ShownDifferences:
        """A page of what was asked for. Raises ``Problem`` (403), ``LedgerAway``."""
        companies = self._within(person, query.company)
        if self._desk is None:
            return ShownDifferences(page=DifferencePage(), rows=())
        wanted = DifferenceFilter(
            companies=companies,
            entity=query.entity,
            company=query.company.lower(),
            kind=query.kind,
            field=query.field,
            owner=query.owner,
            key=query.key,
            state=query.state,
            older_than=query.older,
            sort=query.sort,
            after=query.after,
        )
        page = await self._desk.differences(wanted, now=datetime.now(UTC), rows=rows)
        return ShownDifferences(page=page, rows=tuple(self._shown(person, row) for row in page.rows))

    async def lags_and_letters(self, person: Person) -> tuple[tuple[Lag, ...], tuple[LetterCount, ...]]:
        """How long changes took in the last days, and what could not be applied. Raises as ``differences``."""
        companies = self.companies(person)
        if self._desk is None:
            return (), ()
        return await self._desk.lags_and_letters(companies, datetime.now(UTC).date())

    async def settle(self, difference_id: str, who: SignedIn, message_id: str, body: SettleBody) -> None:
        """Say that a difference may stand, or open it again. Raises ``Problem``, ``LedgerAway``."""
        desk = self._desk
        row = None if desk is None else await desk.difference(difference_id[:ID_LENGTH])
        companies = self.companies(who.person)
        if desk is None or row is None or (companies is not None and row.company not in companies):
            raise Problem(Refusal.NOT_FOUND)
        args = {"difference": row.difference_id, "seen": body.seen, "reason": body.reason}
        saying = self._saying((row.company,), who, message_id, SETTLE if body.settles else REOPEN, args)[0]
        saying.check()
        if not self._may_see_values(who.person, row):
            raise saying.refused(Refusal.NO_AUTHORITY)
        word = DifferenceWord(
            message_id=message_id,
            person=who.person,
            at=datetime.now(UTC),
            settles=body.settles,
            seen=body.seen,
            reason=body.reason,
            policy_version=self._access.version,
            proof=(await self._signed([saying])).token,
        )
        if (refusal := await desk.say(row.difference_id, word)) is not None:
            raise saying.refused(refusal)

    # Customers that may be one

    async def clusters(self, person: Person, query: MatchesQuery) -> ClusterPage:
        """A page of clusters, of which the person may see every company. Raises as ``differences``."""
        companies = self._within(person, query.company)
        if self._desk is None:
            return ClusterPage()
        company = query.company.lower()
        return await self._desk.clusters(companies, company=company, status=query.status, after=query.after)

    async def cluster(self, person: Person, cluster_id: str) -> KeptCluster:
        """A cluster. Raises ``Problem`` (404 also where the person may not see all its companies), ``LedgerAway``."""
        companies = self.companies(person)
        found = None if self._desk is None else await self._desk.cluster(cluster_id[:ID_LENGTH])
        if found is None or (companies is not None and not set(found.row.companies) <= set(companies)):
            raise Problem(Refusal.NOT_FOUND)
        return found

    def may_decide(self, person: Person, cluster: KeptCluster) -> bool:
        """Whether a person may decide about a cluster: in each of its companies."""
        return all(self._access.may(person, Action.DECIDE_MATCH, company) for company in cluster.row.companies)

    async def decide(self, cluster_id: str, who: SignedIn, message_id: str, body: MatchBody) -> Status:
        """Say which customers of a cluster are one; how it stands then. Raises ``Problem``, ``LedgerAway``."""
        known, desk = await self.cluster(who.person, cluster_id), self._desk
        assert desk is not None
        chosen = body.chosen if body.said is Said.SAME else ()
        args = {"cluster": known.row.id, "said": body.said.value, "chosen": list(chosen), "seen": body.seen}
        sayings = self._checked(known, who, message_id, MATCH, args | {"why": body.why})
        word = await self._word(sayings, body.model_copy(update={"chosen": chosen}))
        return self._counted(sayings, await desk.decide(known.row.id, word))

    async def take_back(self, cluster_id: str, who: SignedIn, message_id: str, why: str) -> Status:
        """Take a decision back. Raises as ``decide``."""
        known, desk = await self.cluster(who.person, cluster_id), self._desk
        assert desk is not None
        sayings = self._checked(known, who, message_id, TAKE_BACK, {"cluster": known.row.id, "why": why})
        word = await self._word(sayings, MatchBody(said=Said.LATER, seen="", why=why))
        return self._counted(sayings, await desk.take_back(known.row.id, word))

    # What they share

    def _within(self, person: Person, company: str) -> tuple[str, ...] | None:
        if company:
            self._access.check_seeing_data(person, company.lower())
        return self.companies(person)

    def _shown(self, person: Person, row: KeptDifference) -> ShownDifference:
        hidden = not self._may_see_values(person, row)
        may_settle = not hidden and self._access.may(person, Action.SETTLE_DIFFERENCE, row.company)
        seen = seen_of(row) if may_settle else ""
        shown = row.model_copy(update={"finance_value": "", "sales_value": ""}) if hidden else row
        return ShownDifference(row=shown, hidden=hidden, may_settle=may_settle, seen=seen)

    def _may_see_values(self, person: Person, row: KeptDifference) -> bool:
        return not row.pii or self._access.may(person, Action.READ_PERSONAL, row.company)

    def _saying(
        self, companies: Sequence[str], who: SignedIn, message_id: str, name: str, args: Mapping[str, Any]
    ) -> list[Saying]:
        """The same word to each company it is about: rights are asked of each."""
        return [
            Saying(self._decisions, company, audience_of(company), who, message_id, name, args) for company in companies
        ]

    def _checked(
        self, known: KeptCluster, who: SignedIn, message_id: str, name: str, args: Mapping[str, Any]
    ) -> list[Saying]:
        sayings = self._saying(known.row.companies, who, message_id, name, args)
        for saying in sayings:
            saying.check()
        return sayings

    async def _signed(self, sayings: Sequence[Saying]) -> SignedMessage:
        first = sayings[0]
        return await self._decisions.signed(
            [saying.workflow_id for saying in sayings], first.who, first.message_id, first.name, first.args
        )

    async def _word(self, sayings: Sequence[Saying], body: MatchBody) -> Word:
        first = sayings[0]
        return Word(
            message_id=first.message_id,
            person=first.who.person,
            at=datetime.now(UTC),
            said=body.said,
            chosen=body.chosen,
            seen=body.seen,
            why=body.why,
            policy_version=self._access.version,
            proof=(await self._signed(sayings)).token,
        )

    @staticmethod
    def _counted(sayings: Sequence[Saying], found: Status | Refusal) -> Status:
        if isinstance(found, Refusal):
            raise sayings[0].refused(found)
        return found


def audience_of(company: str) -> str:
    """For what a word on the data of a company is signed: it is no run's id, and no run takes it."""
    return f"data/{company}"
