"""The operations of the API on past records that are taken over into Sales."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from fastapi import FastAPI, Path
from starlette.responses import Response

from domain.entities.history_run import HistoryKind, HistoryView
from web.addresses import HISTORY, HISTORY_RUN
from web.api.application import Caller, problems
from web.api.bodies import Accepted
from web.api.routes import OUTCOMES, AskedCompany, answered
from web.commands import RunHistoryBody
from web.histories import HistoryDesk

AskedKind = Annotated[HistoryKind, Path(description="What the history is of")]


def add_history(api: FastAPI, histories: HistoryDesk) -> None:
    """Add the operations on histories."""
    answers: dict[str, Any] = {"response_model": Accepted, "responses": {**OUTCOMES, **problems(403, 404, 409, 502)}}

    @api.get(HISTORY, operation_id="readHistory", responses=problems(403, 404, 502))
    async def read_history(company: AskedCompany, kind: AskedKind, who: Caller) -> HistoryView:
        """How a history stands, and what its last reading came to."""
        return await histories.read(who.person, company, kind)

    @api.post(HISTORY_RUN, operation_id="runHistory", **answers)
    async def run_history(company: AskedCompany, kind: AskedKind, body: RunHistoryBody, who: Caller) -> Response:
        """Have past records taken over into Sales every night, or not any more."""
        message_id = str(body.message_id or uuid.uuid4())
        return answered(message_id, await histories.run(company, kind, who, message_id, body))
