"""Which maps Dual-Write runs, asked of Dataverse by whichever client: one that also writes, or one that only reads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from domain.entities.facts import RunningMap
from dynamics.core.errors import NotFound, Refused
from dynamics.core.literals import key, query
from dynamics.core.odata import Row

_RUNNING: Final = "msdyn_dualwriteruntimeconfig"
"""Table of Dual-Write's core solution with a row for each map that runs. Its two columns here are known from scripts of
Microsoft's solution alone; which columns a map writes is not known from it."""


async def running_maps(
    row: Callable[[str], Awaitable[Row]], rows: Callable[[str], Awaitable[Sequence[Row]]]
) -> tuple[RunningMap, ...] | None:
    """The maps that Dual-Write runs; None: whether there are any may not be read.

    An environment without Dual-Write has not even the table, so nothing runs there.

    Args:
        row: reads one row of Dataverse.
        rows: reads all rows of a collection.
    """
    try:
        definition = await row(query(key("EntityDefinitions", LogicalName=_RUNNING), select="EntitySetName"))
        columns = "msdyn_internalentityname,msdyn_externalentityname"
        found = await rows(query(str(definition["EntitySetName"]), select=columns))
    except NotFound:
        return ()
    except Refused:
        return None
    return tuple(
        RunningMap(
            table=str(each["msdyn_internalentityname"] or ""), entity=str(each["msdyn_externalentityname"] or "")
        )
        for each in found
    )
