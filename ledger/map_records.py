"""Maps as the ledger keeps them; whoever names them needs no database."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from domain.entities.map_change import KeptRecords
from domain.entities.map_change_said import MapSituation, Proposal
from domain.entities.map_run import MapChangeShown
from domain.entities.model import DataMap
from domain.people import Person
from domain.record import Record


class MapVersion(Record):
    """A version of a map."""

    entity: str
    version: int = Field(description="0: as the file said when it was first read")
    kind: str = Field(description="file, change or rollback")
    hash: str
    data: DataMap
    since: datetime
    until: datetime | None = Field(None, description="None: it is in force")
    by: Person | None = Field(None, description="None: a file")
    why: str = ""
    proposal: int = Field(0, description="Number of the proposal it came from; 0: none")


class KeptMap(Record):
    """A map in the list."""

    entity: str
    title: str
    pattern: str
    fields: int
    version: int
    hash: str
    since: datetime
    open: int = Field(0, description="Proposals that wait")


class MapHistory(Record):
    """All that is kept of one map."""

    entity: str
    versions: tuple[MapVersion, ...] = Field((), description="The newest first")
    proposals: tuple[Proposal, ...] = Field((), description="The newest first")
    records: tuple[KeptRecords, ...] = ()
    change: MapChangeShown | None = Field(None, description="The newest one that was begun")
    plan_in_force: str = Field("", description="Hash of the plan by which the map in force came; empty: by none")

    @property
    def in_force(self) -> MapVersion | None:
        """The version that counts."""
        return next((each for each in self.versions if each.until is None), None)

    @property
    def former(self) -> MapVersion | None:
        """The version that going back leads to: what was in force before the one that is, and says something else.

        What was gone back from is not come back to: it would be in force without having been tried.
        """
        now = self.in_force
        if now is None:
            return None
        earlier = [each for each in self.versions if each.version < now.version]
        if now.kind == "rollback":
            restored = next((each.version for each in earlier if each.hash == now.hash), 0)
            earlier = [each for each in earlier if each.version < restored]
        return next((each for each in earlier if each.hash != now.hash), None)


class ProposalShown(Record):
    """A proposal with what its plan is held against."""

    proposal: Proposal
    situation: MapSituation
    change: MapChangeShown | None = Field(None, description="What came of activating it; None: nobody has yet")
