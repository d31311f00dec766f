"""The operation of the API on how both systems stand to each other."""

from __future__ import annotations

from fastapi import FastAPI

from domain.entities.data_overview import DataOverview
from web.addresses import OVERVIEW
from web.api.application import Caller, problems
from web.overview import Overviews


def add_overview(api: FastAPI, overviews: Overviews) -> None:
    """Add the operation."""

    @api.get(OVERVIEW, operation_id="readDataOverview", responses=problems(403, 502))
    async def read_data_overview(who: Caller) -> DataOverview:
        """How soon one system has what changed in the other, what could not be applied, and what differs."""
        return await overviews.read(who.person)
