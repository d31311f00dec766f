"""What people say of a proposed map, and what it comes to: two others approve the plan, then somebody activates it.

A plan that no longer fits is refused: another map is in force, other records were kept, or the plan itself was changed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from pydantic import Field

from domain.entities.identity import hash_of
from domain.entities.map_change import MapPlan
from domain.entities.map_change_rules import Approved, MapChangeRules
from domain.entities.model import DataMap
from domain.people import Person
from domain.phrases import Phrase, phrase
from domain.record import Record
from domain.refusals import Refusal
from domain.rights import Action

PROPOSE: Final = "map_propose"
APPROVE: Final = "map_approve"
REFUSE: Final = "map_refuse"
WITHDRAW: Final = "map_withdraw"
ACTIVATE: Final = "map_activate"
ROLL_BACK: Final = "map_roll_back"

RIGHTS: Final[dict[str, Action]] = {
    PROPOSE: Action.PROPOSE_MAP,
    APPROVE: Action.APPROVE_MAP,
    REFUSE: Action.APPROVE_MAP,
    WITHDRAW: Action.PROPOSE_MAP,
    ACTIVATE: Action.ACTIVATE_MAP,
    ROLL_BACK: Action.ROLL_BACK_MAP,
}
"""The right that each message needs, in every company."""
APPROVALS: Final = 2
MOST_OPEN: Final = 20
"""Open proposals of one map."""


class ProposalStatus(StrEnum):
    """How a proposal stands."""

    OPEN = "open"
    RUNNING = "running"
    """Somebody activates it: it is tried on some records before it is in force."""
    ACTIVATED = "activated"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    STOPPED = "stopped"
    """A record on which it was tried was refused, or still differed."""


class MapWord(Record):
    """What a person says of a map or its proposal, signed."""

    message_id: str
    person: Person
    at: datetime
    why: str
    seen: str = Field("", description="Hash of the plan, or of the map in force, as the person saw it")
    plan: str = Field("", description="Going back: hash of the plan by which the map in force came; empty: by none")
    roles: tuple[str, ...] = Field((), description="That the person holds in every company")
    companies: tuple[str, ...] = Field((), description="In whose audit it is written")
    policy_version: str = ""
    proof: str = Field("", description="The signed message")


class MapApproval(Record):
    """An approval of a plan."""

    id: str
    plan_hash: str
    at: datetime
    by: Person
    roles: tuple[str, ...] = ()
    why: str = ""

    @property
    def approved(self) -> Approved:
        """As the rules look at it."""
        return Approved(oid=self.by.oid, roles=self.roles)


class Proposal(Record):
    """A proposed map."""

    id: str
    entity: str
    number: int
    status: ProposalStatus
    data: DataMap
    why: str
    at: datetime
    by: Person
    plan: MapPlan | None = None
    approvals: tuple[MapApproval, ...] = Field((), description="Of any plan of it, the first one first")
    ended: Person | None = Field(None, description="Who refused, withdrew or activated it")
    ended_at: datetime | None = None
    end_why: str = ""

    @property
    def counting(self) -> tuple[MapApproval, ...]:
        """Approvals of the plan as it is: those of another one no longer count."""
        now = self.plan.hash if self.plan else ""
        return tuple(each for each in self.approvals if each.plan_hash == now)


class MapSituation(Record):
    """What a plan is held against when something is said of it."""

    base_hash: str = Field(description="Of the map in force; empty: there is none")
    around_hash: str = Field(description="Of all maps in force")
    snapshot: str = Field(description="Digest of the records that are kept now")
    rules: MapChangeRules
    now: datetime


def staleness(proposal: Proposal, situation: MapSituation) -> Phrase | None:
    """Why a proposal's plan does not count; None: it does."""
    plan = proposal.plan
    if plan is None:
        return phrase("There is no plan yet.")
    if (plan.entity, plan.number) != (proposal.entity, proposal.number) or plan.proposed_hash != hash_of(proposal.data):
        return phrase("The plan is not that of the proposed map.")
    if plan.base_hash != situation.base_hash:
        return phrase("Another version of the map is in force.")
    if plan.around_hash != situation.around_hash:
        return phrase("Another map beside it was changed.")
    if plan.snapshot != situation.snapshot:
        return phrase("Other records were kept since it was made.")
    since, most = plan.counted_since, timedelta(days=situation.rules.records_days)
    if since is not None and situation.now - since > most:
        return phrase("The records it was counted over are more than {days} days old.", days=most.days)
    return None


def judge_approval(proposal: Proposal, situation: MapSituation, word: MapWord) -> Refusal | None:
    """Why an approval counts for nothing; None: it counts."""
    if (refused := _ready(proposal, situation, word)) is not None:
        return refused
    if word.person.is_same(proposal.by):
        return Refusal.REQUESTER_CANNOT_APPROVE
    if any(each.by.is_same(word.person) for each in proposal.counting):
        return Refusal.NEEDS_SECOND_PERSON
    if len(proposal.counting) >= APPROVALS:
        return Refusal.ALREADY_DECIDED
    assert proposal.plan is not None
    mine, classes = Approved(oid=word.person.oid, roles=word.roles), proposal.plan.classes
    if not situation.rules.are_filled(classes, [mine]):
        return Refusal.NO_AUTHORITY
    others = [each.approved for each in proposal.counting]
    return None if situation.rules.are_filled(classes, [*others, mine]) else Refusal.MAP_OTHER_SIDE


def judge_end(proposal: Proposal, status: ProposalStatus, word: MapWord) -> Refusal | None:
    """Why a refusal or withdrawal counts for nothing; None: it counts, while it is tried as well.

    Who proposed it withdraws it.
    """
    if proposal.status not in (ProposalStatus.OPEN, ProposalStatus.RUNNING):
        return Refusal.NOT_OPEN_ANY_MORE
    if status is ProposalStatus.WITHDRAWN and not word.person.is_same(proposal.by):
        return Refusal.NOT_PROPOSER
    return None if word.why.strip() else Refusal.BAD_ARGUMENT


def judge_activation(proposal: Proposal, situation: MapSituation, word: MapWord) -> Refusal | None:
    """Why a proposed map does not come into force; None: it does. Asked when it is begun, and after it was tried."""
    if (refused := _ready(proposal, situation, word)) is not None:
        return refused
    assert proposal.plan is not None
    approved = [each.approved for each in proposal.counting if not each.by.is_same(proposal.by)]
    if len(approved) < APPROVALS or not situation.rules.are_filled(proposal.plan.classes, approved):
        return Refusal.MAP_NOT_APPROVED
    return None


def _ready(proposal: Proposal, situation: MapSituation, word: MapWord) -> Refusal | None:
    """Why nothing can be said of a plan, whoever says it."""
    if proposal.status is not ProposalStatus.OPEN:
        return Refusal.NOT_OPEN_ANY_MORE
    if proposal.plan is not None and word.seen != proposal.plan.hash:
        return Refusal.CHANGED_MEANWHILE
    if staleness(proposal, situation) is not None:
        return Refusal.MAP_PLAN_STALE
    return Refusal.MAP_CONFLICTS if proposal.plan and proposal.plan.conflicts else None
