"""Writes the audit: append-only, one chain for each company, whoever writes at the same time."""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum, auto
from itertools import groupby
from typing import Any

import structlog
from sqlalchemy import insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.audit import AuditKind, AuditReceipt, AuditRecord
from domain.people import SYSTEM, Person
from ledger import deciders, views
from ledger.chain import START, canonical, moment, record_hash, seal
from ledger.database import Database
from ledger.tables import CHAINS, PEOPLE, RECORDS, WORDS

log = structlog.get_logger(__name__)

_COMPARED = ("kind", "event", "at", "deal_id", "before", "after", "code", "policy_version", "envelope_id")
"""Columns that must be equal for two records of one id to be the same, beside actor, words, facts and proof."""


class Kept(Enum):
    """What became of a record."""

    STORED = auto()
    KNOWN = auto()
    CONFLICT = auto()


class AuditStore:
    """The one writer of the audit."""

    def __init__(self, database: Database, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Write to a database; ``now`` tells when a record is stored."""
        self._database = database
        self._now = now

    async def append(self, records: Sequence[AuditRecord]) -> AuditReceipt:
        """Store records for good. The same record again changes nothing.

        A record whose id is taken by another content is not stored: that it came is, as an error of integrity.

        Args:
            records: in the order in which they happened.

        Returns:
            How many are stored, were known, and conflict; and the number of the last of its deal.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database does not answer; nothing of a company is stored by half.
        """
        (receipt,) = await self.append_all([records])
        return receipt

    async def append_all(self, batches: Sequence[Sequence[AuditRecord]]) -> list[AuditReceipt]:
        """Store the batches of several writers together, as ``append`` does: one transaction for each company.

        Returns:
            The receipt of each batch.
        """
        became: list[Counter[Kept]] = [Counter() for _ in batches]
        numbered = [(n, record) for n, records in enumerate(batches) for record in records]
        for company, group in groupby(sorted(numbered, key=_company), key=_company):
            of_company = list(group)
            async with self._database.writing() as connection:
                chain = await Chain.locked(connection, company, self._now())
                kept = await chain.append([record for _, record in of_company])
            for (n, _), what in zip(of_company, kept, strict=True):
                became[n][what] += 1
            if chain.appended:
                # An outside witness: whoever cuts the end off a chain would have to change the logs as well.
                log.info("audit stored", company=company, seq=chain.seq, hash=chain.hash, records=chain.appended)
        return [
            AuditReceipt(
                through=max((record.n for record in records), default=0),
                stored=counted[Kept.STORED],
                known=counted[Kept.KNOWN],
                conflicts=counted[Kept.CONFLICT],
            )
            for records, counted in zip(batches, became, strict=True)
        ]

    async def erase(self, oid: str) -> int:
        """Forget a person: their name, address and directory id are removed wherever the audit holds them.

        The records stay, and the chains stay valid; who did it reads as an erased person. That it was done is recorded.
        The views of lists that they kept are removed with them.

        Args:
            oid: Entra object id.

        Returns:
            In how many records the person was named or had acted.
        """
        async with self._database.writing() as connection:
            # Chains before people, as every writer does it.
            await connection.execute(select(CHAINS.c.company).order_by(CHAINS.c.company).with_for_update())
            await views.forget(connection, oid.lower())
            person = (await connection.execute(select(PEOPLE).where(PEOPLE.c.oid == oid.lower()))).mappings().first()
            if person is None:
                return 0
            names = _names(dict(person))
            touched = await _erase_words(connection, names)
            acted = await connection.execute(
                select(RECORDS.c.company, RECORDS.c.seq).where(RECORDS.c.actor_id == person["person_id"])
            )
            touched |= {(row.company, row.seq) for row in acted}
            await connection.execute(
                update(PEOPLE)
                .where(PEOPLE.c.person_id == person["person_id"])
                .values(oid=None, name="(erased)", upn="", salt=None, erased_at=moment(self._now()))
            )
            await deciders.forget(connection, oid.lower(), lambda text: _blotted(text, names))
            for company in sorted({company for company, _ in touched}):
                chain = await Chain.locked(connection, company, self._now())
                await chain.note(
                    AuditKind.PEOPLE,
                    "PersonErased",
                    "a person was erased from the audit",
                    {"person": person["person_id"]},
                    record_id=f"erased/{company}/{person['person_id']}",
                )
        return len(touched)


class Chain:
    """A company's chain while its end is locked."""

    def __init__(self, connection: AsyncConnection, company: str, head: Mapping[str, Any], now: datetime) -> None:
        self._connection = connection
        self.company = company
        self.seq: int = head["seq"]
        self.hash: str = head["hash"]
        self.appended = 0
        # The clocks of two workers differ; the order of the chain is the order of its times.
        self._now = max(moment(now), str(head["last_at"]))

    @classmethod
    async def locked(cls, connection: AsyncConnection, company: str, now: datetime) -> Chain:
        """The chain, made where there is none; nobody else appends to it until the transaction ends.

        SQLite's transaction is the only one that writes. PostgreSQL locks the row of the chain's end.
        """
        query = select(CHAINS).where(CHAINS.c.company == company).with_for_update()
        head = (await connection.execute(query)).mappings().first()
        if head is None:
            empty = {"company": company, "seq": 0, "hash": START, "last_at": "", "pruned_seq": 0, "pruned_hash": START}
            await connection.execute(_unless_there(connection, CHAINS, [empty]))
            head = (await connection.execute(query)).mappings().one()
        return cls(connection, company, dict(head), now)

    async def append(self, records: Sequence[AuditRecord]) -> list[Kept]:
        """Add records; what became of each."""
        kept = []
        there = await self._there([record.record_id for record in records])
        # Only who did something new is written down: an old record sent again brings nobody back who was erased.
        people = await self._people([record for record in records if record.record_id not in there])
        rows, words = [], []
        for record in records:
            before = there.get(record.record_id)
            if before is None:
                person = people[record.actor.oid.lower()]
                row, said = self._row(record, person)
                there[record.record_id] = row | {"salt": said["salt"], "actor_salt": person[1]}
                rows.append(row)
                words.append(said)
                kept.append(Kept.STORED)
            else:
                kept.append(Kept.KNOWN if _same(before, record) else Kept.CONFLICT)
        await self._write(rows, words)
        for record in records:
            if not _same(there[record.record_id], record):
                await self._conflict(there[record.record_id], record)
        return kept

    async def note(self, kind: AuditKind, event: str, what: str, facts: dict[str, str], *, record_id: str) -> None:
        """Add a record of the store's own, once for its id."""
        record = AuditRecord(
            record_id=record_id,
            company=self.company,
            kind=kind,
            event=event,
            at=datetime.fromisoformat(self._now),
            actor=SYSTEM,
            what=what,
            facts=facts,
        )
        if await self._there([record_id]):
            return
        people = await self._people([record])
        row, words = self._row(record, people[SYSTEM.oid])
        await self._write([row], [words])

    async def _conflict(self, before: Mapping[str, Any], record: AuditRecord) -> None:
        content = canonical(record.model_dump(mode="json", exclude={"actor", "what", "why"}))
        digest = hashlib.sha256(content.encode()).hexdigest()[:16]
        await self.note(
            AuditKind.INTEGRITY,
            "RecordConflict",
            "a record came under the id of another one and was not stored",
            {"record": record.record_id[:200], "seq": str(before["seq"])},
            record_id=f"conflict/{self.company}/{before['seq']}/{digest}",
        )
        log.error("audit record conflicts", company=self.company, record_id=record.record_id, seq=before["seq"])

    def _row(self, record: AuditRecord, person: tuple[str, str | None]) -> tuple[dict[str, Any], dict[str, Any]]:
        self.seq += 1
        person_id, person_salt = person
        salt = secrets.token_hex(16)
        row = {
            "company": self.company,
            "seq": self.seq,
            "record_id": record.record_id,
            "kind": str(record.kind),
            "event": record.event,
            "at": moment(record.at),
            "recorded_at": self._now,
            "deal_id": record.deal_id,
            "actor_id": person_id,
            "actor_seal": seal(person_salt or "", record.actor.oid.lower()),
            "words_seal": seal(salt, record.what, record.why),
            "before": record.before,
            "after": record.after,
            "code": record.code,
            "policy_version": record.policy_version,
            "envelope_id": record.envelope_id,
            "envelope_hash": record.envelope_hash,
            "facts": canonical(record.facts),
            "prev_hash": self.hash,
        }
        row["hash"] = self.hash = record_hash(row)
        words = {"company": self.company, "seq": self.seq, "salt": salt, "what": record.what, "why": record.why}
        return row, words

    async def _write(self, rows: list[dict[str, Any]], words: list[dict[str, Any]]) -> None:
        if not rows:
            return
        await self._connection.execute(insert(RECORDS), rows)
        await self._connection.execute(insert(WORDS), words)
        head = {"seq": self.seq, "hash": self.hash, "last_at": self._now}
        await self._connection.execute(update(CHAINS).where(CHAINS.c.company == self.company).values(head))
        self.appended += len(rows)

    async def _there(self, record_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Records stored under these ids, with what is needed to compare them."""
        query = (
            select(RECORDS, WORDS.c.salt, PEOPLE.c.salt.label("actor_salt"))
            .join(WORDS, (WORDS.c.company == RECORDS.c.company) & (WORDS.c.seq == RECORDS.c.seq))
            .join(PEOPLE, PEOPLE.c.person_id == RECORDS.c.actor_id)
            .where(RECORDS.c.record_id.in_(list(record_ids)))
        )
        return {row["record_id"]: dict(row) for row in (await self._connection.execute(query)).mappings()}

    async def _people(self, records: list[AuditRecord]) -> dict[str, tuple[str, str | None]]:
        """Random id and salt of each actor, by object id; who is new is written down, a new name replaces the old."""
        # The store itself is always among them, so that every writer asks for people in the same order.
        actors = {SYSTEM.oid: SYSTEM} | {record.actor.oid.lower(): record.actor for record in records}
        query = select(PEOPLE).where(PEOPLE.c.oid.in_(list(actors)))
        found = {row["oid"]: row for row in (await self._connection.execute(query)).mappings()}
        missing = [_person(oid, actor) for oid, actor in sorted(actors.items()) if oid not in found]
        if missing:
            await self._connection.execute(_unless_there(self._connection, PEOPLE, missing))
            found = {row["oid"]: row for row in (await self._connection.execute(query)).mappings()}
        for oid, actor in sorted(actors.items()):
            changed = {"name": actor.name[:400], "upn": actor.upn[:400]}
            if actor.name and changed != {name: found[oid][name] for name in changed}:
                await self._connection.execute(update(PEOPLE).where(PEOPLE.c.oid == oid).values(changed))
        return {oid: (row["person_id"], row["salt"]) for oid, row in found.items()}


def _company(numbered: tuple[int, AuditRecord]) -> str:
    return numbered[1].company


def _person(oid: str, actor: Person) -> dict[str, Any]:
    return {
        "person_id": secrets.token_hex(16),
        "oid": oid,
        "name": actor.name[:400],
        "upn": actor.upn[:400],
        "salt": secrets.token_hex(16),
        "erased_at": None,
    }


def _unless_there(connection: AsyncConnection, table: Any, rows: list[dict[str, Any]]) -> Any:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    return dialect.insert(table).values(rows).on_conflict_do_nothing()


def _same(row: Mapping[str, Any], record: AuditRecord) -> bool:
    """Whether a stored row is this record; what was erased of it is not compared."""
    mine = record.model_dump() | {"at": moment(record.at), "kind": str(record.kind)}
    if any(row[name] != mine[name] for name in _COMPARED):
        return False
    if (row["facts"], row["envelope_hash"]) != (canonical(record.facts), record.envelope_hash):
        return False
    if row["salt"] is not None and row["words_seal"] != seal(row["salt"], record.what, record.why):
        return False
    return row["actor_salt"] is None or bool(row["actor_seal"] == seal(row["actor_salt"], record.actor.oid.lower()))


def _names(person: Mapping[str, Any]) -> list[str]:
    """All that a person is called by, the longest first."""
    return sorted({text for text in (person["name"], person["upn"], person["oid"]) if text}, key=len, reverse=True)


async def _erase_words(connection: AsyncConnection, names: Sequence[str]) -> set[tuple[str, int]]:
    """Take a person's name, address and id out of every record's words; the records it stood in."""
    touched = set()
    for row in (await connection.execute(select(WORDS))).mappings().all():
        what, why = _blotted(row["what"], names), _blotted(row["why"], names)
        if (what, why) != (row["what"], row["why"]):
            place = (WORDS.c.company == row["company"]) & (WORDS.c.seq == row["seq"])
            await connection.execute(update(WORDS).where(place).values(what=what, why=why, salt=None))
            touched.add((row["company"], row["seq"]))
    return touched


def _blotted(text: str, names: Sequence[str]) -> str:
    """A text with all names blotted out."""
    for name in names:
        text = _without(text, name)
    return text


def _without(text: str, name: str) -> str:
    """A text with a name blotted out, however it is written in capitals."""
    at = text.lower().find(name.lower())
    while at >= 0:
        text = f"{text[:at]}(erased){text[at + len(name) :]}"
        at = text.lower().find(name.lower(), at + len("(erased)"))
    return text
