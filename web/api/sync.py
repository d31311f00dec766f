"""The operations of the API on records that are kept in step."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from fastapi import FastAPI, Path
from starlette.responses import Response

from domain.entities.sync_run import SyncView
from web.addresses import SYNC, SYNC_RUN, SYNC_SETTLE
from web.api.application import Caller, problems
from web.api.bodies import Accepted
from web.api.routes import OUTCOMES, AskedCompany, answered
from web.commands import RunSyncBody, SettleLetterBody
from web.syncing import Syncing

AskedEntity = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{1,39}$", description="Entity of a map")]


def add_sync(api: FastAPI, syncing: Syncing) -> None:
    """Add the operations on records that are kept in step."""
    answers: dict[str, Any] = {"response_model": Accepted, "responses": {**OUTCOMES, **problems(403, 404, 409, 502)}}

    @api.get(SYNC, operation_id="readSync", responses=problems(403, 404, 502))
    async def read_sync(company: AskedCompany, entity: AskedEntity, who: Caller) -> SyncView:
        """How the records of an entity stand that are kept in step in both systems."""
        return await syncing.read(who.person, company, entity)

    @api.post(SYNC_RUN, operation_id="runSync", **answers)
    async def run_sync(company: AskedCompany, entity: AskedEntity, body: RunSyncBody, who: Caller) -> Response:
        """Have records kept in step, or not any more, or letters tried again."""
        message_id = str(body.message_id or uuid.uuid4())
        return answered(message_id, await syncing.run(company, entity, who, message_id, body))

    @api.post(SYNC_SETTLE, operation_id="settleLetter", **answers)
    async def settle_letter(
        company: AskedCompany, entity: AskedEntity, body: SettleLetterBody, who: Caller
    ) -> Response:
        """Say whose value is right, propose or approve another one, or dismiss a letter."""
        message_id = str(body.message_id or uuid.uuid4())
        return answered(message_id, await syncing.settle(company, entity, who, message_id, body))
