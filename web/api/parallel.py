"""The operations of the API on both systems beside each other."""

from __future__ import annotations

import uuid
from typing import Any

from fastapi import FastAPI
from starlette.responses import Response

from domain.refusals import Refusal
from web.addresses import PARALLEL, PARALLEL_EXIT
from web.api.application import Caller, problems
from web.api.bodies import Accepted
from web.api.routes import OUTCOMES, AskedCompany, answered
from web.commands import ExitParallelBody
from web.delegating import known_company
from web.parallel import Parallel, ParallelShown
from web.problems import Problem


def add_parallel(api: FastAPI, parallel: Parallel) -> None:
    """Add the operations on parallel runs."""
    answers: dict[str, Any] = {"response_model": Accepted, "responses": {**OUTCOMES, **problems(403, 404, 409, 502)}}

    @api.get(PARALLEL, operation_id="readParallel", responses=problems(403, 404, 502))
    async def read_parallel(company: AskedCompany, who: Caller) -> ParallelShown:
        """What was counted on each day of a company's parallel run, and what stands in the way of its end."""
        shown = await parallel.shown(who.person, known_company(company))
        if shown is None:
            raise Problem(Refusal.NOT_FOUND)
        return shown

    @api.post(PARALLEL_EXIT, operation_id="exitParallel", **answers)
    async def exit_parallel(company: AskedCompany, body: ExitParallelBody, who: Caller) -> Response:
        """Be one of the two persons, with two different roles, who end a company's parallel run."""
        message_id = str(body.message_id or uuid.uuid4())
        return answered(message_id, await parallel.exit(company, who, message_id, body))
