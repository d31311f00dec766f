"""Dataverse's auditing, which tells who made a quote: the organization, two tables, and what people enter there.

It belongs to the whole organization and its log costs storage, so it is turned on only by whoever asks for that.
(Microsoft Learn: "Configure auditing"; EntityMetadata.IsAuditEnabled, AttributeMetadata.IsAuditEnabled; table reference
of organization.)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from dynamics.core.errors import NotFound
from dynamics.core.literals import key, query
from dynamics.core.odata import ODataClient, Row
from dynamics.sales.setup.blueprint import AUDITED
from dynamics.sales.setup.findings import MERGE_LABELS, Finding, Section, definition_without_context, listed

ASK: Final = (
    "run `q2c setup dataverse --enable-auditing`. It is a setting of the whole organization, and its log costs "
    "storage. Without it, who edited a quote that somebody else saved since may still decide it."
)


class Auditing(Section):
    """Whether who changes a quote is written down."""

    title = "auditing"

    def __init__(self, odata: ODataClient, *, enable: bool) -> None:
        """Look at the auditing of an environment.

        Args:
            odata: The environment.
            enable: Whether it may be turned on.
        """
        super().__init__(odata)
        self._enable = enable
        self._changed: set[str] = set()

    async def look(self) -> list[Finding]:
        """The organization, then each table with its columns."""
        found = [await self._organization()]
        for table, columns in AUDITED.items():
            found.append(await self._table(table, columns))
        return found

    async def finish(self) -> None:
        """Publish the tables: until then nothing of them is audited."""
        await self.publish(self._changed)

    async def _organization(self) -> Finding:
        part = "auditing of the organization"
        row = (await self.odata.all_rows(query("organizations", select="organizationid,isauditenabled")))[0]
        if row["isauditenabled"]:
            return Finding(part)
        return self._off(part, "off", partial(self._start, str(row["organizationid"])))

    async def _table(self, table: str, wanted: Sequence[str]) -> Finding:
        part = f"auditing of {table}"
        path = query(
            key("EntityDefinitions", LogicalName=table),
            select="LogicalName,IsAuditEnabled",
            expand="Attributes($select=LogicalName,IsAuditEnabled)",
        )
        try:
            row = await self.odata.get(path)
        except NotFound:
            return Finding(part, "the table is missing", remedy="install Dynamics 365 Sales in this environment.")
        silent = {
            str(each["LogicalName"]): str(each["@odata.type"]).lstrip("#")
            for each in row["Attributes"]
            if each["LogicalName"] in wanted and not each["IsAuditEnabled"]["Value"]
        }
        whole = bool(row["IsAuditEnabled"]["Value"])
        if whole and not silent:
            return Finding(part)
        problem = f"off for {listed(sorted(silent))}" if whole else "off"
        return self._off(part, problem, partial(self._audit, table, silent, whole=whole))

    def _off(self, part: str, problem: str, turn_on: Callable[[], Awaitable[None]]) -> Finding:
        if self._enable:
            return Finding(part, problem, turn_on, "turn it on")
        return Finding(part, problem, remedy=ASK)

    async def _start(self, organization: str) -> None:
        await self.odata.patch(key("organizations", organization), {"isauditenabled": True})

    async def _audit(self, table: str, silent: dict[str, str], *, whole: bool) -> None:
        """Turn it on for a table and for columns of it, given with their types."""
        path = key("EntityDefinitions", LogicalName=table)
        if not whole:
            await self._turn_on(path, path)
        for column, kind in silent.items():
            attribute = f"{path}/{key('Attributes', LogicalName=column)}"
            await self._turn_on(attribute, f"{attribute}/{kind}")
        self._changed.add(table)

    async def _turn_on(self, path: str, typed: str) -> None:
        definition = await self.odata.get(typed)
        switched: Row = {**definition["IsAuditEnabled"], "Value": True}
        body = definition_without_context(definition) | {"IsAuditEnabled": switched}
        await self.odata.put(path, body, headers=MERGE_LABELS)
