"""Who decided about data: names that differences and decisions hold beside the audit, and how they are forgotten."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.map_tables import MAP_APPROVALS, MAP_CHANGES, MAP_PROPOSALS, MAP_VERSIONS
from ledger.tables import DIFFERENCES, MATCH_DECISIONS

ERASED = "(erased)"


async def forget(connection: AsyncConnection, oid: str, blotted: Callable[[str], str]) -> None:
    """Remove who a person is; what they decided stays in force.

    Args:
        connection: that writes.
        oid: Entra object id, lower case.
        blotted: gives a text without the person's names.
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
    for table, reasons in (
        (DIFFERENCES, ("reason",)),
        (MATCH_DECISIONS, ("why", "second_why", "end_why")),
        (MAP_VERSIONS, ("why",)),
        (MAP_PROPOSALS, ("why", "end_why")),
        (MAP_APPROVALS, ("why",)),
        (MAP_CHANGES, ("text",)),
    ):
        given = select(table).where(or_(*(table.c[reason] != "" for reason in reasons)))
        for row in (await connection.execute(given)).mappings().all():
            changed = {reason: blotted(row[reason]) for reason in reasons}
            if any(row[reason] != text for reason, text in changed.items()):
                same = and_(*(column == row[column.name] for column in table.primary_key.columns))
                await connection.execute(update(table).where(same).values(changed))
