"""The operations of the API on maps of integration data."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from fastapi import FastAPI, Path
from pydantic import Field
from starlette.responses import JSONResponse, Response

from domain.entities.map_change_said import Proposal, staleness
from domain.entities.map_run import MapChangeShown
from domain.record import Record
from ledger.map_records import KeptMap, MapHistory, ProposalShown
from web.api.application import Caller, problems
from web.api.bodies import Accepted
from web.maps import ENTITY_LENGTH, Done, MapBackBody, MapChanges, MapWordBody, ProposeBody

PROPOSAL = "/maps/{entity}/proposals/{n}"
Entity = Annotated[str, Path(max_length=ENTITY_LENGTH, description="Of the map, e.g. customer")]
Number = Annotated[int, Path(ge=1, le=999_999, description="Number of the proposal within the map")]


class MapList(Record):
    """The maps in force."""

    items: tuple[KeptMap, ...]


class ProposalBody(Record):
    """A proposal as it stands."""

    proposal: Proposal
    plan_hash: str = Field("", description="`seen` of what is said of it; empty: it has no plan yet")
    stale: str = Field("", description="Why its plan no longer counts; empty: it does")
    approved: int = Field(0, description="Approvals of the plan as it is")
    change: MapChangeShown | None = Field(None, description="What came of activating it; None: nobody has yet")

    @classmethod
    def of(cls, shown: ProposalShown) -> ProposalBody:
        """Of a proposal with what its plan is held against."""
        found = shown.proposal
        return cls(
            proposal=found,
            plan_hash=found.plan.hash if found.plan else "",
            stale=str(staleness(found, shown.situation) or ""),
            approved=len(found.counting),
            change=shown.change,
        )


class Proposed(Accepted):
    """A proposal that was kept."""

    entity: str
    number: int


def add_maps(api: FastAPI, maps: MapChanges) -> None:
    """Add the operations on maps."""
    answers: dict[str, Any] = {"response_model": Accepted, "responses": problems(403, 404, 409)}

    @api.get("/maps", operation_id="listMaps", responses=problems(403))
    async def list_maps(who: Caller) -> MapList:
        """The maps in force, with how many proposals wait."""
        return MapList(items=await maps.overview(who.person))

    @api.get("/maps/{entity}", operation_id="readMap", responses=problems(403, 404))
    async def read_map(entity: Entity, who: Caller) -> MapHistory:
        """Every version of a map, and what is proposed."""
        return await maps.history(who.person, entity)

    @api.get(PROPOSAL, operation_id="readMapProposal", responses=problems(403, 404))
    async def read_proposal(entity: Entity, n: Number, who: Caller) -> ProposalBody:
        """A proposed map with its plan and approvals."""
        return ProposalBody.of(await maps.one(who.person, entity, n))

    @api.post("/maps", operation_id="proposeMap", response_model=Proposed, responses=problems(403, 409))
    async def propose_map(body: ProposeBody, who: Caller) -> Response:
        """Propose another map; `q2c map plan` then makes its plan."""
        message_id = str(body.message_id or uuid.uuid4())
        entity, number = await maps.propose(who, message_id, body)
        return JSONResponse(Proposed(message_id=message_id, entity=entity, number=number).model_dump(mode="json"))

    @api.post("/maps/{entity}/rollback", operation_id="rollBackMap", **answers)
    async def roll_back(entity: Entity, body: MapBackBody, who: Caller) -> Response:
        """Put the former version of a map in force again, and have restored what the change wrote."""
        message_id = str(body.message_id or uuid.uuid4())
        await maps.roll_back(entity, who, message_id, body)
        return JSONResponse(Accepted(message_id=message_id).model_dump(mode="json"))

    @api.post(f"{PROPOSAL}/{{do}}", operation_id="sayToMapProposal", **answers)
    async def say(entity: Entity, n: Number, do: Done, body: MapWordBody, who: Caller) -> Response:
        """Approve, refuse, withdraw or activate a proposal; `seen` is the hash of its plan.

        What is activated is tried on some records first: `change` of the proposal says what came of it.
        """
        message_id = str(body.message_id or uuid.uuid4())
        await maps.say(entity, n, do, who, message_id, body)
        return JSONResponse(Accepted(message_id=message_id).model_dump(mode="json"))
