"""Records for tests of the ledger, and what somebody with the database's password may do to them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from domain.audit import AuditKind, AuditRecord
from domain.people import Person

MONA = Person(oid="800654ED-E59A-5376-A645-838605947A61", name="Mona Meyer", upn="mona@contoso.example")
RITA = Person(oid="456fe869-4210-5090-b322-87651eebab41", name="Rita Reyes", upn="rita@contoso.example")
AT = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)


def record(n: int, **changes: Any) -> AuditRecord:
    """A line of a deal of USMF by Mona."""
    fields: dict[str, Any] = {
        "record_id": f"q2c/usmf/Q-1/run-1/{n}",
        "n": n,
        "company": "usmf",
        "deal_id": "q2c/usmf/Q-1",
        "kind": AuditKind.TRANSITION,
        "event": "Submitted",
        "at": AT,
        "actor": MONA,
        "what": f"revision {n} submitted by Mona Meyer",
        "why": "",
        "before": "opportunity",
        "after": "quote",
        "policy_version": "2026-11-01#3",
        "facts": {"revision": str(n)},
    }
    return AuditRecord(**fields | changes)


async def tamper(url: str, *statements: str) -> None:
    """What somebody with the database's password may do: switch the triggers off, and change what they like."""
    sqlite = url.startswith("sqlite")
    driver = ("sqlite:", "sqlite+aiosqlite:") if sqlite else ("postgresql:", "postgresql+psycopg:")
    engine = create_async_engine(url.replace(*driver))
    off = (
        ["DROP TRIGGER audit_records_keep", "DROP TRIGGER audit_records_stay"]
        if sqlite
        else ["ALTER TABLE audit_records DISABLE TRIGGER ALL"]
    )
    async with engine.begin() as connection:
        for statement in (*off, *statements):
            await connection.execute(text(statement))
    await engine.dispose()
