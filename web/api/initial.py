"""The operations of the API on initial syncs."""

from __future__ import annotations

import uuid
from typing import Any

from fastapi import FastAPI
from starlette.responses import Response

from domain.entities.initial_run import InitialRunView
from web.addresses import INITIAL, INITIAL_RUN, INITIAL_UNDO
from web.api.application import Caller, problems
from web.api.bodies import Accepted
from web.api.routes import OUTCOMES, AskedCompany, answered
from web.api.sync import AskedEntity
from web.commands import RunInitialBody, UndoInitialBody
from web.initial_running import InitialRunning


def add_initial(api: FastAPI, running: InitialRunning) -> None:
    """Add the operations on initial syncs."""
    answers: dict[str, Any] = {"response_model": Accepted, "responses": {**OUTCOMES, **problems(403, 404, 409, 502)}}

    @api.get(INITIAL, operation_id="readInitial", responses=problems(403, 404, 502))
    async def read_initial(company: AskedCompany, entity: AskedEntity, who: Caller) -> InitialRunView:
        """How the initial sync of an entity stands, or how it ended."""
        return await running.read(who.person, company, entity)

    @api.post(INITIAL_RUN, operation_id="runInitial", **answers)
    async def run_initial(company: AskedCompany, entity: AskedEntity, body: RunInitialBody, who: Caller) -> Response:
        """Have the plan that the gate allowed carried out, or that rest, go on or end."""
        message_id = str(body.message_id or uuid.uuid4())
        return answered(message_id, await running.run(company, entity, who, message_id, body))

    @api.get(INITIAL_UNDO, operation_id="readInitialUndo", responses=problems(403, 404, 502))
    async def read_undo(company: AskedCompany, entity: AskedEntity, who: Caller) -> InitialRunView:
        """How the undo of an initial sync stands, or how it ended."""
        return await running.read(who.person, company, entity, undoes=True)

    @api.post(INITIAL_UNDO, operation_id="undoInitial", **answers)
    async def undo_initial(company: AskedCompany, entity: AskedEntity, body: UndoInitialBody, who: Caller) -> Response:
        """Have all that a run wrote read first, and then undone; or have that rest, go on or end."""
        message_id = str(body.message_id or uuid.uuid4())
        return answered(message_id, await running.run(company, entity, who, message_id, body))
