"""Removes what need not be kept any longer: whole months that are over, with a signed checkpoint in their place."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import and_, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.audit import AuditKind, RetentionPolicy
from domain.record import Record
from ledger.audit import Chain
from ledger.chain import ChainCheck, moment
from ledger.database import Database
from ledger.reads import audit_rows
from ledger.signing import AuditSigner
from ledger.tables import CHAINS, CHECKPOINTS, PEOPLE, RECORDS, WORDS


class PruneRefused(Exception):
    """Nothing is removed, because a record is damaged: evidence is not thrown away. The text names it."""


class Pruned(Record):
    """What was removed of a company."""

    company: str
    records: int
    through_seq: int = 0


def kept_since(policy: RetentionPolicy, company: str, now: datetime) -> datetime:
    """The first moment that is kept: the beginning of a month, UTC."""
    today = now.astimezone(UTC)
    return datetime(today.year - policy.years_of(company), today.month, 1, tzinfo=UTC)


async def _checked(connection: AsyncConnection, company: str, after_seq: int, after_hash: str, through: int) -> str:
    """The hash of the last record to be removed, where none of them is damaged."""
    check = ChainCheck(company, after_seq=after_seq, after_hash=after_hash)
    result = await connection.stream(audit_rows(company).where(RECORDS.c.seq <= through))
    async for row in result.mappings():
        if check.finding is None:
            check.check(dict(row))
    if check.finding or check.seq != through:
        raise PruneRefused(f"{company}: nothing is removed: {check.finding or f'record {check.seq + 1} is missing'}")
    return check.hash


async def prune(
    database: Database, policy: RetentionPolicy, signer: AuditSigner, company: str, *, now: datetime
) -> Pruned:
    """Remove a company's records of the months before those that are kept.

    In their place stands a checkpoint: which records went, and the hash the chain goes on from, signed. The removal is
    a record of the chain itself, under the policy's version.

    Raises:
        PruneRefused: a record that would be removed is damaged.
    """
    limit = moment(kept_since(policy, company, now))
    async with database.writing() as connection:
        chain = await Chain.locked(connection, company, now)
        head = (await connection.execute(select(CHAINS).where(CHAINS.c.company == company))).mappings().one()
        old = and_(RECORDS.c.company == company, RECORDS.c.recorded_at < limit)
        span = select(func.min(RECORDS.c.recorded_at), func.max(RECORDS.c.recorded_at), func.max(RECORDS.c.seq))
        first_at, last_at, through = (await connection.execute(span.where(old))).one()
        if through is None:
            return Pruned(company=company, records=0)
        last_hash = await _checked(connection, company, int(head["pruned_seq"]), str(head["pruned_hash"]), through)
        mark: dict[str, Any] = {
            "company": company,
            "through_seq": through,
            "from_seq": head["pruned_seq"] + 1,
            "first_at": first_at,
            "last_at": last_at,
            "prev_hash": head["pruned_hash"],
            "last_hash": last_hash,
            "made_at": moment(now),
        }
        signature = signer.sign({"kind": "q2c audit checkpoint", **mark})
        await connection.execute(insert(CHECKPOINTS), [mark | {"signature": signature}])
        await chain.note(
            AuditKind.RETENTION,
            "RecordsRemoved",
            f"records {mark['from_seq']} to {through} were removed after their time",
            {
                "from": str(mark["from_seq"]),
                "through": str(through),
                "last_hash": last_hash,
                "policy": policy.version,
            },
            record_id=f"removed/{company}/{through}",
        )
        done = {"pruned_seq": through, "pruned_hash": last_hash}
        await connection.execute(update(CHAINS).where(CHAINS.c.company == company).values(done))
        await connection.execute(delete(WORDS).where(WORDS.c.company == company, WORDS.c.seq <= through))
        removed = await connection.execute(
            delete(RECORDS).where(RECORDS.c.company == company, RECORDS.c.seq <= through)
        )
        # Nobody is kept who acts in no record any more.
        await connection.execute(delete(PEOPLE).where(PEOPLE.c.person_id.not_in(select(RECORDS.c.actor_id))))
    return Pruned(company=company, records=removed.rowcount, through_seq=through)
