"""Maps of integration data: what is in force, and how it is changed: proposed, approved by two others, activated.

A map is about every company, so a right on it has to be held in every company. What a person says is signed and kept in
the ledger with its audit records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal

from pydantic import Field, ValidationError

from domain.entities.identity import hash_of
from domain.entities.map_change_rules import MapChangeRules
from domain.entities.map_change_said import (
    ACTIVATE,
    APPROVE,
    PROPOSE,
    REFUSE,
    ROLL_BACK,
    WITHDRAW,
    MapWord,
    ProposalStatus,
)
from domain.entities.map_run import MapChangeStart, MapChangeView
from domain.entities.model import DataMap
from domain.messages import SignedMessage
from domain.people import Person
from domain.refusals import Refusal
from domain.rights import Action
from ledger.map_desk import MapDesk
from ledger.map_records import KeptMap, MapHistory, ProposalShown
from runs import names
from runs.calls import NotFound
from runs.map_changes import MapChangeRuns
from runs.syncs import Syncs
from web.access import Access
from web.commands import PersonsBody, RequiredShortText
from web.decisions import Decisions
from web.identity import SignedIn
from web.problems import Problem
from web.saying import Saying

Done = Literal["approve", "refuse", "withdraw", "activate"]
WORDS: Final[Mapping[Done, str]] = {
    "approve": APPROVE,
    "refuse": REFUSE,
    "withdraw": WITHDRAW,
    "activate": ACTIVATE,
}
"""What can be said of a proposal, as addresses name it."""
ENTITY_LENGTH: Final = 40
_ENDS: Final = {"refuse": ProposalStatus.REFUSED, "withdraw": ProposalStatus.WITHDRAWN}


class ProposeBody(PersonsBody):
    """Another map, whole."""

    map: dict[str, Any] = Field(description="As `q2c map describe --json` prints one")
    why: RequiredShortText


class MapWordBody(PersonsBody):
    """What is said of a proposal, or of the map in force."""

    seen: str = Field("", max_length=64, description="`hash` of the plan, or of the map in force, that was shown")
    why: RequiredShortText


class MapBackBody(MapWordBody):
    """That the former version comes into force again."""

    plan: str = Field("", max_length=64, description="`plan_in_force` of the map, as it was shown")


class MapChanges:
    """Maps, as pages and API show and change them."""

    def __init__(
        self, access: Access, desk: MapDesk | None, decisions: Decisions, runs: MapChangeRuns, syncs: Syncs
    ) -> None:
        """Show what ``desk`` has, as far as ``access`` allows; None: there is no ledger here."""
        self._runs = runs
        self._syncs = syncs
        self._access = access
        self._desk = desk
        self._decisions = decisions

    @property
    def is_kept(self) -> bool:
        """Whether there is a ledger here."""
        return self._desk is not None

    def may(self, person: Person, action: Action) -> bool:
        """Whether a person may do something with maps: in every company."""
        return all(self._access.may(person, action, company) for company in self._access.companies)

    def roles(self, person: Person) -> frozenset[str]:
        """The roles a person holds in every company."""
        return self._access.roles_everywhere(person)

    @property
    def rules(self) -> MapChangeRules:
        """Whose approvals plans take."""
        return self._access.map_changes

    async def overview(self, person: Person) -> tuple[KeptMap, ...]:
        """The maps in force. Raises ``Problem`` (403), ``LedgerAway``."""
        self._access.seeing_data(person)
        return () if self._desk is None else await self._desk.overview()

    async def history(self, person: Person, entity: str) -> MapHistory:
        """All that is kept of a map. Raises ``Problem`` (403, 404), ``LedgerAway``."""
        self._access.seeing_data(person)
        found = None if self._desk is None else await self._desk.history(entity[:ENTITY_LENGTH])
        if found is None or not (found.versions or found.proposals):
            raise Problem(Refusal.NOT_FOUND)
        return found

    async def one(self, person: Person, entity: str, number: int) -> ProposalShown:
        """A proposal. Raises ``Problem`` (403, 404), ``LedgerAway``."""
        self._access.seeing_data(person)
        found = None if self._desk is None else await self._desk.shown(entity[:ENTITY_LENGTH], number)
        if found is None:
            raise Problem(Refusal.NOT_FOUND)
        return found

    async def propose(self, who: SignedIn, message_id: str, body: ProposeBody) -> tuple[str, int]:
        """Propose a map; its entity and number. Raises ``Problem``, ``LedgerAway``."""
        data = _map(body.map)
        args = {"entity": data.entity, "map": hash_of(data), "why": body.why}
        sayings = self._checked(who, message_id, PROPOSE, args)
        found = await self._kept().propose(data, await self._word(sayings, body.why, ""))
        if isinstance(found, Refusal):
            raise sayings[0].refused(found)
        return data.entity, found

    async def say(self, entity: str, number: int, do: Done, who: SignedIn, message_id: str, body: MapWordBody) -> None:
        """Approve, refuse, withdraw or activate a proposal. Raises ``Problem``, ``LedgerAway``."""
        found = (await self.one(who.person, entity, number)).proposal
        args = {"entity": found.entity, "proposal": found.number, "seen": body.seen, "why": body.why}
        sayings = self._checked(who, message_id, WORDS[do], args)
        word, desk = await self._word(sayings, body.why, body.seen), self._kept()
        match do:
            case "approve":
                refused = await desk.approve(found.entity, found.number, word)
            case "activate":
                refused = await desk.would_begin(found.entity, found.number, word)
                if refused is None:
                    view = await self._activated(found.entity, found.number, word)
                    refused = None if view is None else view.code
            case _:
                refused = await desk.end(found.entity, found.number, word, _ENDS[do])
        if refused is not None:
            raise sayings[0].refused(refused)

    async def _activated(self, entity: str, number: int, word: MapWord) -> MapChangeView | None:
        """How far the run is that puts a map in force; None: nobody has taken it up yet.

        Raises:
            RunError: Temporal does not answer, or it is not known where a sync runs.
        """
        syncing = [company for company in self._access.companies if await self._is_synced(entity, company)]
        message = SignedMessage(message_id=word.message_id, token=word.proof)
        start = MapChangeStart(entity=entity, number=number, word=word, message=message, syncing=tuple(syncing))
        await self._runs.begin(start)
        return await self._runs.begun(entity, number)

    async def _is_synced(self, entity: str, company: str) -> bool:
        try:
            return (await self._syncs.view(entity, company)).running
        except NotFound:
            return False

    async def roll_back(self, entity: str, who: SignedIn, message_id: str, body: MapBackBody) -> None:
        """Put the former version of a map in force again, and have restored what the change wrote.

        Raises ``Problem``, ``LedgerAway``.
        """
        found = await self.history(who.person, entity)
        args = {"entity": found.entity, "seen": body.seen, "plan": body.plan, "why": body.why}
        sayings = self._checked(who, message_id, ROLL_BACK, args)
        word = (await self._word(sayings, body.why, body.seen)).model_copy(update={"plan": body.plan})
        if (refused := await self._kept().roll_back(found.entity, word)) is not None:
            raise sayings[0].refused(refused)

    # What they share

    def _kept(self) -> MapDesk:
        if self._desk is None:
            raise Problem(Refusal.LEDGER_UNAVAILABLE)
        return self._desk

    def _checked(self, who: SignedIn, message_id: str, name: str, args: Mapping[str, Any]) -> list[Saying]:
        """The same word to each company: rights are asked of each."""
        sayings = [
            Saying(self._decisions, company, names.map_audience(company), who, message_id, name, args)
            for company in self._access.companies
        ]
        for saying in sayings:
            saying.check()
        return sayings

    async def _word(self, sayings: Sequence[Saying], why: str, seen: str) -> MapWord:
        first = sayings[0]
        audiences = [saying.workflow_id for saying in sayings]
        signed = await self._decisions.signed(audiences, first.who, first.message_id, first.name, first.args)
        return MapWord(
            message_id=first.message_id,
            person=first.who.person,
            at=datetime.now(UTC),
            why=why,
            seen=seen,
            roles=tuple(sorted(self.roles(first.who.person))),
            companies=tuple(saying.company for saying in sayings),
            policy_version=self._access.version,
            proof=signed.token,
        )


def _map(content: Mapping[str, Any]) -> DataMap:
    """The map of a body.

    Raises:
        Problem: 400, it is none; ``field`` names what is wrong.
    """
    try:
        return DataMap.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(("map", *map(str, first["loc"])))[:200]
        raise Problem(Refusal.BAD_ARGUMENT, f"{field}: {first['msg']}"[:500], field=field) from error
