"""The operations of the API on commands for many deals."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from domain.bulk import BulkItems, BulkView, ItemStatus
from web.api.application import Caller, problems
from web.api.bodies import Accepted
from web.api.routes import OUTCOMES, AskedCompany, answered
from web.bulk_runs import BulkBegun, BulkBody, BulkList, BulkRuns, BulkSigned, Move

AskedRun = Annotated[str, Path(max_length=40, description="Id of the run")]


class MoveBody(BaseModel):
    """Why a run is paused, resumed or ended."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: str = Field("", max_length=1_000)
    message_id: uuid.UUID | None = Field(None, description="Same id sent again: same outcome, counted once")


def add_bulk(api: FastAPI, bulk: BulkRuns) -> None:
    """Add the operations on commands for many deals."""
    answers: dict[str, Any] = {"response_model": Accepted, "responses": {**OUTCOMES, **problems(403, 404, 409, 502)}}

    @api.get("/bulk", operation_id="listBulkRuns", responses=problems(403))
    async def list_bulk(who: Caller) -> BulkList:
        """The newest 50 runs of the caller's companies."""
        return await bulk.listed(who)

    @api.post("/bulk", operation_id="beginBulkRun", status_code=202, responses=problems(403, 409))
    async def begin_bulk(body: BulkBody, who: Caller) -> BulkBegun:
        """Try a command dry on every running deal that fits: nothing is sent before the run is signed."""
        return await bulk.begin(who, body)

    @api.get("/bulk/{company}/{run}", operation_id="readBulkRun", responses=problems(403, 404, 502))
    async def read_bulk(company: AskedCompany, run: AskedRun, who: Caller) -> BulkView:
        """How far a run is."""
        return await bulk.shown(who, company, run)

    @api.get("/bulk/{company}/{run}/items", operation_id="listBulkItems", responses=problems(403, 404, 502))
    async def list_items(
        company: AskedCompany,
        run: AskedRun,
        who: Caller,
        offset: Annotated[int, Query(ge=0, le=999_999, description="How many deals to leave out")] = 0,
        status: Annotated[ItemStatus | Literal[""], Query(description="Only deals that are so far")] = "",
    ) -> BulkItems:
        """Deals of a run, 100 at a time, with what became of each."""
        return await bulk.items(who, company, run, offset, status)

    @api.post("/bulk/{company}/{run}/commands/run", operation_id="signBulkRun", responses=problems(403, 404, 409, 502))
    async def sign_bulk(company: AskedCompany, run: AskedRun, who: Caller) -> BulkSigned:
        """Sign the command for every deal that would take it; they are told from then on."""
        return BulkSigned(parts=await bulk.sign(who, company, run))

    @api.post("/bulk/{company}/{run}/commands/{do}", operation_id="moveBulkRun", **answers)
    async def move_bulk(
        company: AskedCompany, run: AskedRun, do: Move, who: Caller, body: MoveBody | None = None
    ) -> Response:
        """Pause, resume or end a run."""
        body = body or MoveBody(message_id=None)
        message_id = str(body.message_id or uuid.uuid4())
        return answered(message_id, await bulk.move(who, company, run, do, message_id, body.reason))
