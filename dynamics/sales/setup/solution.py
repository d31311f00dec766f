"""Publisher and solution, and whether everything of the product's is in it, so that it can be moved as one.

Sources: Microsoft Learn, "Create solutions with the Web API" (publisher, solution, `MSCRM.SolutionUniqueName`),
AddSolutionComponent, table references of solution, publisher and solutioncomponent (component types).
"""

from __future__ import annotations

from functools import partial
from typing import Any

from dynamics.core.literals import literal, query
from dynamics.core.odata import ODataClient
from dynamics.sales.setup.blueprint import (
    COLUMNS,
    OPTION_PREFIX,
    OWN_TABLES,
    PREFIX,
    PUBLISHER,
    SOLUTION,
    TITLE,
    VERSION,
)
from dynamics.sales.setup.findings import Finding, Section

_TABLE, _COLUMN, _ROLE, _STEP, _ENDPOINT = 1, 2, 20, 92, 95
"""Types of components."""
_WITH_SUBCOMPONENTS = 0
"""Root component behavior of a table that is in a solution with all its columns."""


async def solution_of(odata: ODataClient) -> Any:
    """The product's solution; None where there is none."""
    path = query(
        "solutions",
        select="solutionid,uniquename,_publisherid_value",
        filter=f"uniquename eq {literal(SOLUTION)}",
    )
    rows = await odata.all_rows(path)
    return rows[0] if rows else None


class Solution(Section):
    """The publisher and the solution."""

    title = "solution"
    needed_by_all = True

    async def look(self) -> list[Finding]:
        """Publisher first: the solution refers to it."""
        path = query(
            "publishers",
            select="publisherid,customizationprefix,customizationoptionvalueprefix",
            filter=f"uniquename eq {literal(PUBLISHER)}",
        )
        rows = await self.odata.all_rows(path)
        return [self._publisher(rows[0] if rows else None), await self._solution()]

    def _publisher(self, row: Any) -> Finding:
        part = f"publisher {PUBLISHER}"
        if row is None:
            return Finding(part, "missing", self._create_publisher, "create it")
        prefix = row["customizationprefix"], row["customizationoptionvalueprefix"]
        if prefix != (PREFIX, OPTION_PREFIX):
            return Finding(
                part,
                f"its prefixes are {prefix[0]} and {prefix[1]}, not {PREFIX} and {OPTION_PREFIX}",
                remedy="correct the prefixes in the publisher's settings.",
            )
        return Finding(part)

    async def _solution(self) -> Finding:
        part = f"solution {SOLUTION}"
        if await solution_of(self.odata) is None:
            return Finding(part, "missing", self._create_solution, "create it")
        return Finding(part)

    async def _create_publisher(self) -> None:
        body = {
            "uniquename": PUBLISHER,
            "friendlyname": TITLE,
            "customizationprefix": PREFIX,
            "customizationoptionvalueprefix": OPTION_PREFIX,
        }
        await self.odata.post("publishers", body)

    async def _create_solution(self) -> None:
        path = query("publishers", select="publisherid", filter=f"uniquename eq {literal(PUBLISHER)}")
        publisher = (await self.odata.all_rows(path))[0]["publisherid"]
        body = {
            "uniquename": SOLUTION,
            "friendlyname": TITLE,
            "version": VERSION,
            "publisherid@odata.bind": f"/publishers({publisher})",
        }
        await self.odata.post("solutions", body)


class Contents(Section):
    """Whether the components are in the solution; a component that does not exist is another section's finding."""

    title = "contents of the solution"

    async def look(self) -> list[Finding]:
        """One finding for each component outside, one in all where there is none; none without a solution."""
        row = await solution_of(self.odata)
        if row is None:
            return []
        wanted = await self._components()
        path = query(
            "solutioncomponents",
            select="objectid,componenttype,rootcomponentbehavior",
            filter=f"_solutionid_value eq {row['solutionid']}",
        )
        inside = {(str(each["objectid"]), each["rootcomponentbehavior"]) for each in await self.odata.all_rows(path)}
        ids = {object_id for object_id, _ in inside}
        found = []
        for part, (kind, object_id, table_id) in wanted.items():
            if object_id in ids or (table_id, _WITH_SUBCOMPONENTS) in inside:
                continue
            add = partial(self._add, kind, object_id)
            found.append(Finding(part, f"not in the solution {SOLUTION}", add, "add it to the solution"))
        return found or [Finding(self.title)]

    async def _components(self) -> dict[str, tuple[int, str, str]]:
        """Type and id of each component that exists, and the id of the table it may be in with."""
        found: dict[str, tuple[int, str, str]] = {}
        for table in dict.fromkeys(column.table for column in COLUMNS):
            rows = await self.odata.all_rows(
                query(
                    "EntityDefinitions",
                    select="LogicalName,MetadataId",
                    filter=f"LogicalName eq {literal(table)}",
                    expand="Attributes($select=LogicalName,MetadataId;$filter=IsCustomAttribute eq true)",
                )
            )
            for row in rows:
                ids = {each["LogicalName"]: str(each["MetadataId"]) for each in row["Attributes"]}
                if any(own.name == table for own in OWN_TABLES):
                    found[f"table {table}"] = _TABLE, str(row["MetadataId"]), ""
                    continue
                for column in COLUMNS:
                    if column.table == table and column.name in ids:
                        found[f"column {table}.{column.name}"] = _COLUMN, ids[column.name], str(row["MetadataId"])
        found |= await self._rows("roles", "roleid", f"name eq {literal(TITLE)}", "role", _ROLE)
        endpoints = await self._rows(
            "serviceendpoints", "serviceendpointid", f"name eq {literal(TITLE)}", "webhook", _ENDPOINT
        )
        for _, endpoint, _ in endpoints.values():
            of_endpoint = f"_eventhandler_value eq {endpoint}"
            found |= await self._rows(
                "sdkmessageprocessingsteps", "sdkmessageprocessingstepid", of_endpoint, "step", _STEP
            )
        return found | endpoints

    async def _rows(
        self, entity_set: str, id_column: str, where: str, what: str, kind: int
    ) -> dict[str, tuple[int, str, str]]:
        """Components that are rows; of a role's copies in other business units only the first one is a component."""
        rows = await self.odata.all_rows(query(entity_set, select=f"{id_column},name", filter=where))
        return {f"{what} {row['name']}": (kind, str(row[id_column]), "") for row in reversed(rows)}

    async def _add(self, kind: int, object_id: str) -> None:
        body: dict[str, Any] = {
            "ComponentId": object_id,
            "ComponentType": kind,
            "SolutionUniqueName": SOLUTION,
            "AddRequiredComponents": False,
        }
        await self.odata.action("AddSolutionComponent", body)
