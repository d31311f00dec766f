"""Who decided about data: names that differences and decisions hold beside the audit, and how they are forgotten."""

from __future__ import annotations

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.map_tables import MAP_APPROVALS, MAP_PROPOSALS, MAP_VERSIONS
from ledger.tables import DIFFERENCES, MATCH_DECISIONS

ERASED = "(erased)"


async def forget(connection: AsyncConnection, oid: str) -> None:
    """Remove who a person is; what they decided stays in force.

    Args:
        connection: that writes.
        oid: Entra object id, lower case.
    """
    settled = DIFFERENCES.c
    await connection.execute(
        update(DIFFERENCES).where(settled.resolved_by == oid).values(resolved_by="", resolved_name=ERASED)
    )
    for who, name, proof in (
        ("by", "by_name", "proof"),
        ("second_by", "second_name", "second_proof"),
        ("ended_by", "ended_name", "end_proof"),
    ):
        values = {who: "", name: ERASED, proof: ""}
        await connection.execute(update(MATCH_DECISIONS).where(MATCH_DECISIONS.c[who] == oid).values(values))
    for table, who, name, proof in (
        (MAP_VERSIONS, "by", "by_name", "proof"),
        (MAP_PROPOSALS, "by", "by_name", "proof"),
        (MAP_PROPOSALS, "ended_by", "ended_name", "end_proof"),
        (MAP_APPROVALS, "by", "by_name", "proof"),
    ):
        values = {who: "", name: ERASED, proof: ""}
        await connection.execute(update(table).where(table.c[who] == oid).values(values))
