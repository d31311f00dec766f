"""Reads the audit: of a deal, a company, a period, page by page. Changes nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Collection
from datetime import datetime
from typing import Any

from pydantic import Field
from sqlalchemy import Select, func, or_, select

from domain.audit import AuditKind
from domain.people import Person
from domain.record import Record
from ledger.chain import ChainCheck, Finding, moment
from ledger.database import Database
from ledger.tables import CHAINS, CHECKPOINTS, PEOPLE, RECORDS, WORDS

PAGE = 200
MOST = 1_000
"""Records of a page, at most."""


class AuditRow(Record):
    """A stored record, as people read it."""

    company: str
    seq: int
    record_id: str
    deal_id: str
    kind: AuditKind
    event: str
    at: datetime
    recorded_at: datetime
    actor: Person
    what: str
    why: str
    before: str
    after: str
    code: str
    policy_version: str
    envelope_id: str
    envelope_hash: str
    facts: dict[str, str] = Field(default_factory=dict)
    hash: str


class Checked(Record):
    """What a check of a stretch of a chain found."""

    first_seq: int
    last_seq: int = Field(description="The last record that was looked at")
    is_end: bool = Field(description="Whether the chain ends there, as its end was written down")
    finding: Finding | None = Field(None, description="The first record that is wrong")


class AuditReader:
    """The audit, read only."""

    def __init__(self, database: Database) -> None:
        """Read a database."""
        self._database = database

    async def page(
        self,
        company: str,
        *,
        deal_id: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        kinds: Collection[AuditKind] = (),
        after_seq: int = 0,
        limit: int = PAGE,
    ) -> list[AuditRow]:
        """Records of a company in their order.

        Args:
            company: legal entity, lower case.
            deal_id: workflow id of one deal; all where empty.
            since: recorded at or after.
            until: recorded before.
            kinds: of these kinds; of all where empty.
            after_seq: number of the last record of the page before.
            limit: at most this many, and never more than 1,000.
        """
        query = audit_rows(company, since, until, after_seq)
        if deal_id:
            query = query.where(RECORDS.c.deal_id == deal_id)
        if kinds:
            query = query.where(RECORDS.c.kind.in_([str(kind) for kind in kinds]))
        async with self._database.reading() as connection:
            found = (await connection.execute(query.limit(min(limit, MOST)))).mappings().all()
        return [readable(dict(row)) for row in found]

    async def newest(
        self,
        company: str,
        *,
        deal_id: str = "",
        kind: AuditKind | None = None,
        person: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        before_seq: int | None = None,
        limit: int = PAGE,
    ) -> list[AuditRow]:
        """Records of a company, the newest first.

        Args:
            company: legal entity, lower case.
            deal_id: workflow id of one deal; all where empty.
            kind: of this kind; of all where None.
            person: object id, address or name of who did it, in any case; everybody where empty.
            since: recorded at or after.
            until: recorded before.
            before_seq: number of the last record of the page before.
            limit: at most this many, and never more than 1,000.
        """
        query = audit_rows(company, since, until).order_by(None).order_by(RECORDS.c.seq.desc())
        if deal_id:
            query = query.where(RECORDS.c.deal_id == deal_id)
        if kind is not None:
            query = query.where(RECORDS.c.kind == str(kind))
        if before_seq is not None:
            query = query.where(RECORDS.c.seq < before_seq)
        async with self._database.reading() as connection:
            if person:
                known = (func.lower(column) == person.lower() for column in (PEOPLE.c.oid, PEOPLE.c.upn, PEOPLE.c.name))
                ids = (await connection.execute(select(PEOPLE.c.person_id).where(or_(*known)).limit(PAGE))).scalars()
                query = query.where(RECORDS.c.actor_id.in_(list(ids)))
            found = (await connection.execute(query.limit(min(limit, MOST)))).mappings().all()
        return [readable(dict(row)) for row in found]

    async def about(
        self,
        company: str,
        events: Collection[str],
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        deal_ids: Collection[str] = (),
        limit: int,
    ) -> list[AuditRow]:
        """Records of some events in their order, of these deals or of all; of a period; at most ``limit`` of them."""
        query = audit_rows(company, since, until).where(RECORDS.c.event.in_(list(events)))
        if deal_ids:
            query = query.where(RECORDS.c.deal_id.in_(list(deal_ids)))
        async with self._database.reading() as connection:
            found = (await connection.execute(query.limit(limit))).mappings().all()
        return [readable(dict(row)) for row in found]

    async def count(self, company: str, *, since: datetime, until: datetime) -> int:
        """How many records of a company were recorded in a period."""
        period = (RECORDS.c.recorded_at >= moment(since)) & (RECORDS.c.recorded_at < moment(until))
        query = select(func.count()).select_from(RECORDS).where(RECORDS.c.company == company, period)
        async with self._database.reading() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def check(self, company: str, first_seq: int, last_seq: int | None) -> Checked:
        """Check a stretch of a chain: each record of it, and that each follows the one before.

        Args:
            company: legal entity, lower case.
            first_seq: number of the first record.
            last_seq: number of the last one; None: to the chain's end. Of more than 1,000 the first 1,000 are checked.
        """
        async with self._database.reading() as connection:
            head = (await connection.execute(select(CHAINS).where(CHAINS.c.company == company))).mappings().one()
            first_seq = max(first_seq, int(head["pruned_seq"]) + 1)  # what retention removed meanwhile is not missing
            last_seq = min(head["seq"] if last_seq is None else last_seq, first_seq + MOST - 1)
            before = first_seq - 1
            earlier = select(RECORDS.c.hash).where(RECORDS.c.company == company, RECORDS.c.seq == before)
            known = (await connection.execute(earlier)).scalar()
            start = known or (head["pruned_hash"] if before == head["pruned_seq"] else "")
            check = ChainCheck(company, after_seq=before, after_hash=start)
            query = audit_rows(company, after_seq=before).where(RECORDS.c.seq <= last_seq)
            for row in (await connection.execute(query)).mappings():
                if check.finding is None:
                    check.check(row)
        if check.finding is None and check.seq < last_seq:
            check.ends(last_seq, "")
        is_end = last_seq >= head["seq"]
        if is_end:
            check.ends(head["seq"], head["hash"])
        return Checked(first_seq=first_seq, last_seq=last_seq, is_end=is_end, finding=check.finding)

    async def rows(
        self, company: str, *, since: datetime | None = None, until: datetime | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Every record of a company with all that its check needs, in one state of the database; close it when done."""
        async with self._database.reading() as connection:
            result = await connection.stream(audit_rows(company, since, until))
            try:
                async for row in result.mappings():
                    yield dict(row)
            finally:
                await result.close()

    async def companies(self) -> list[str]:
        """Companies that have a chain."""
        async with self._database.reading() as connection:
            return list((await connection.execute(select(CHAINS.c.company).order_by(CHAINS.c.company))).scalars())

    async def chain(self, company: str) -> dict[str, Any] | None:
        """The end of a company's chain, and how far retention went."""
        async with self._database.reading() as connection:
            row = (await connection.execute(select(CHAINS).where(CHAINS.c.company == company))).mappings().first()
        return dict(row) if row else None

    async def checkpoints(self, company: str) -> list[dict[str, Any]]:
        """What retention removed, oldest first."""
        query = select(CHECKPOINTS).where(CHECKPOINTS.c.company == company).order_by(CHECKPOINTS.c.through_seq)
        async with self._database.reading() as connection:
            return [dict(row) for row in (await connection.execute(query)).mappings()]

    async def verify(self, company: str) -> tuple[ChainCheck, Finding | None]:
        """Check a company's chain against itself: each record, the records retention left, and its end.

        Returns:
            The check, with the last record that holds; and the first that does not.
        """
        async with self._database.reading() as connection:
            head = (await connection.execute(select(CHAINS).where(CHAINS.c.company == company))).mappings().one()
            check = ChainCheck(company, after_seq=head["pruned_seq"], after_hash=head["pruned_hash"])
            result = await connection.stream(audit_rows(company))
            async for row in result.mappings():
                if check.finding is None:
                    check.check(row)
            check.ends(head["seq"], head["hash"])
            query = select(CHECKPOINTS).where(CHECKPOINTS.c.company == company).order_by(CHECKPOINTS.c.through_seq)
            marks = (await connection.execute(query)).mappings().all()
        return check, check.finding or _checkpoints_wrong(company, head, marks)


def _checkpoints_wrong(company: str, head: Any, marks: Any) -> Finding | None:
    """The checkpoints must join without a gap, from the first record to where the records begin."""
    seq, last = 0, "0" * 64
    for mark in marks:
        if (mark["from_seq"], mark["prev_hash"]) != (seq + 1, last):
            return Finding(company=company, seq=mark["through_seq"], problem="checkpoint does not join the one before")
        seq, last = mark["through_seq"], mark["last_hash"]
    if (seq, last) != (head["pruned_seq"], head["pruned_hash"]):
        return Finding(company=company, seq=head["pruned_seq"], problem="was removed without a checkpoint")
    return None


def audit_rows(
    company: str, since: datetime | None = None, until: datetime | None = None, after_seq: int = 0
) -> Select[Any]:
    """The query for records with their actors and words, in their order."""
    query = (
        select(
            RECORDS,
            WORDS.c.salt.label("words_salt"),
            WORDS.c.what,
            WORDS.c.why,
            PEOPLE.c.salt.label("actor_salt"),
            PEOPLE.c.oid.label("actor_oid"),
            PEOPLE.c.name.label("actor_name"),
            PEOPLE.c.upn.label("actor_upn"),
        )
        .join(WORDS, (WORDS.c.company == RECORDS.c.company) & (WORDS.c.seq == RECORDS.c.seq))
        .join(PEOPLE, PEOPLE.c.person_id == RECORDS.c.actor_id)
        .where(RECORDS.c.company == company, RECORDS.c.seq > after_seq)
        .order_by(RECORDS.c.seq)
    )
    if since is not None:
        query = query.where(RECORDS.c.recorded_at >= moment(since))
    if until is not None:
        query = query.where(RECORDS.c.recorded_at < moment(until))
    return query


def readable(row: dict[str, Any]) -> AuditRow:
    """A row as people read it."""
    actor = Person(oid=row["actor_oid"] or row["actor_id"], name=row["actor_name"], upn=row["actor_upn"])
    return AuditRow.model_validate(row | {"actor": actor, "facts": json.loads(row["facts"])})
