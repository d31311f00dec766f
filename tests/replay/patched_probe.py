"""One process in three versions: as it was deployed, changed under a patch, and changed without one."""

from __future__ import annotations

from datetime import timedelta

from temporalio import activity, workflow

SOON = timedelta(seconds=30)


@activity.defn(name="patched_old")
async def old() -> str:
    return "old"


@activity.defn(name="patched_new")
async def new() -> str:
    return "new"


@workflow.defn(name="Patched")
class Deployed:
    """What runs were begun with."""

    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_activity(old, start_to_close_timeout=SOON)


@workflow.defn(name="Patched")
class Guarded:
    """What replaces it: runs of the former version go on as they were begun, new ones the new way."""

    @workflow.run
    async def run(self) -> str:
        if workflow.patched("new-way"):
            return await workflow.execute_activity(new, start_to_close_timeout=SOON)
        return await workflow.execute_activity(old, start_to_close_timeout=SOON)


@workflow.defn(name="Patched")
class Unguarded:
    """What must not replace it."""

    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_activity(new, start_to_close_timeout=SOON)
