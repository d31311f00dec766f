"""The operations of the API on what stands open after the end of deals."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from fastapi import FastAPI, Path, Query
from starlette.responses import Response

from web.addresses import LATE_DISMISS
from web.api.application import Caller, problems
from web.api.bodies import Accepted
from web.api.routes import OUTCOMES, AskedCompany, answered
from web.commands import DismissBody
from web.late import LateDeals, LatePage, LateQuery


def add_late(api: FastAPI, late: LateDeals) -> None:
    """Add the operations on what stands open after the end of deals."""
    answers: dict[str, Any] = {"response_model": Accepted, "responses": {**OUTCOMES, **problems(403, 404, 409, 502)}}

    @api.get("/late", operation_id="listLate", responses=problems(403, 404, 502))
    async def list_late(query: Annotated[LateQuery, Query()], who: Caller) -> LatePage:
        """What stands open without a running deal, the worst first; with what became of all reports."""
        return await late.listed(who.person, query)

    @api.post(LATE_DISMISS, operation_id="dismissLate", **answers)
    async def dismiss_late(
        company: AskedCompany,
        n: Annotated[int, Path(ge=1, le=999_999, description="Number of the exception within the company")],
        body: DismissBody,
        who: Caller,
    ) -> Response:
        """Say that what stands open is settled otherwise, and why."""
        message_id = str(body.message_id or uuid.uuid4())
        return answered(message_id, await late.dismiss(company, n, who, message_id, body))
