"""Clusters as the ledger keeps them; whoever names them needs no database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from pydantic import Field

from domain.entities.clusters import Cluster, Proposal, Said, Status
from domain.people import Person
from domain.record import Record

MOST_KEPT: Final = 20_000
"""Clusters of one matching that are kept; how many more there were is counted."""


class MatchRun(Record):
    """A matching whose clusters were kept."""

    run_id: str
    model: str = Field(description="Hash of the model")
    ended_at: datetime
    companies: tuple[str, ...] = Field(
        (), description="Whose customers were compared: others' clusters stay as they are"
    )
    found: int = Field(0, description="Clusters for people that it found")
    kept: int = 0
    new: int = Field(0, description="Of these, those that were not known or had gone")
    gone: int = Field(0, description="Clusters that stood before and were not found any more")


class Decision(Record):
    """What people decided about a cluster, and whether it was taken back."""

    id: str
    status: str = Field(description="proposed, decided, later, lapsed or ended")
    said: Said
    chosen: tuple[str, ...] = ()
    why: str = ""
    at: datetime
    by: Person
    second: Person | None = None
    second_at: datetime | None = None
    second_why: str = ""
    ended: Person | None = None
    ended_at: datetime | None = None
    end_why: str = ""

    @property
    def proposal(self) -> Proposal | None:
        """As a second person finds it; None where nobody has to confirm it."""
        if self.status != Status.PROPOSED.value:
            return None
        return Proposal(decision=self.id, person=self.by, at=self.at, said=self.said, chosen=self.chosen, why=self.why)


class ClusterRow(Record):
    """A cluster in the list."""

    id: str
    status: Status
    needs_two: bool
    customers: int
    name: str
    score: float
    companies: tuple[str, ...]
    first_seen_at: datetime
    last_seen_at: datetime


class KeptCluster(Record):
    """A cluster with what was decided about it, the newest first."""

    row: ClusterRow
    cluster: Cluster
    decisions: tuple[Decision, ...] = ()

    @property
    def proposal(self) -> Proposal | None:
        """What waits for a second person."""
        return next((found for each in self.decisions if (found := each.proposal) is not None), None)

    @property
    def in_force(self) -> Decision | None:
        """What counts."""
        return next((each for each in self.decisions if each.status == Status.DECIDED.value), None)


class ClusterPage(Record):
    """A page of clusters."""

    rows: tuple[ClusterRow, ...] = ()
    next: str = Field("", description="Id of the last one, where there are more")
    counts: Mapping[str, int] = Field({}, description="By status, of the companies that are shown")
    last_run: MatchRun | None = None
