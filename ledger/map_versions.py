"""Maps in the ledger: which version is in force, what is proposed, who approved it, and how it went back.

The first worker that starts notes what the files say as version 0. From then on the ledger says what is in force, and
a file that says otherwise counts for nothing until it is proposed and approved. A person's word, what it comes to and
its audit records are one transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.entities.identity import hash_of, hash_of_all
from domain.entities.map_change import Base, KeptRecords, MapPlan, countable, snapshot_of
from domain.entities.map_change_rules import MapChangeRules
from domain.entities.map_change_said import (
    MOST_OPEN,
    MapApproval,
    MapSituation,
    MapWord,
    Proposal,
    ProposalStatus,
    judge_activation,
    judge_approval,
    judge_end,
)
from domain.entities.model import DataMap
from domain.people import Person
from domain.refusals import Refusal
from ledger.audit import Chain
from ledger.chain import moment
from ledger.database import Database
from ledger.map_audit import said
from ledger.map_records import KeptMap, MapHistory, MapVersion, ProposalShown
from ledger.map_tables import KEPT_RECORDS, MAP_APPROVALS, MAP_PROPOSALS, MAP_VERSIONS

SHOWN: Final = 100
"""Versions and proposals of a map that are shown, the newest ones."""
_FILE: Final = dict.fromkeys(("proposal_id", "until", "message_id", "by", "by_name", "why", "proof"), "")
_NOT_ENDED: Final = dict.fromkeys(("end_id", "ended_at", "ended_by", "ended_name", "end_why", "end_proof"), "")


# What is in force


async def note_files(database: Database, maps: Iterable[DataMap], now: datetime) -> int:
    """Keep as version 0 what files say of entities that the ledger does not know; how many there were."""
    given = {data.entity: data for data in maps}
    try:
        async with database.writing() as connection:
            known = set((await connection.execute(select(MAP_VERSIONS.c.entity).distinct())).scalars())
            new = [data for entity, data in given.items() if entity not in known]
            if new:
                rows = [_version(data, 0, "file", now) | _FILE for data in new]
                await connection.execute(insert(MAP_VERSIONS), rows)
            return len(new)
    except IntegrityError:  # another worker noted them meanwhile
        return 0


async def in_force(database: Database) -> dict[str, DataMap]:
    """The maps in force, by entity."""
    async with database.reading() as connection:
        return await _in_force(connection)


async def overview(database: Database) -> tuple[KeptMap, ...]:
    """The maps in force, with how much waits of each."""
    of, said_of = MAP_VERSIONS.c, MAP_PROPOSALS.c
    waiting = select(said_of.entity, func.count()).where(said_of.status == ProposalStatus.OPEN.value)
    async with database.reading() as connection:
        counts = {row[0]: row[1] for row in await connection.execute(waiting.group_by(said_of.entity))}
        versions = [
            _kept_version(row, {})
            for row in await connection.execute(select(MAP_VERSIONS).where(of.until == "").order_by(of.entity))
        ]
    return tuple(
        KeptMap(
            **each.model_dump(include={"entity", "version", "hash", "since"}),
            title=each.data.title,
            pattern=each.data.pattern,
            fields=len(each.data.fields),
            open=counts.get(each.entity, 0),
        )
        for each in versions
    )


async def history(database: Database, entity: str) -> MapHistory:
    """The newest versions and proposals of a map."""
    of, said_of = MAP_VERSIONS.c, MAP_PROPOSALS.c
    async with database.reading() as connection:
        rows = select(MAP_PROPOSALS).where(said_of.entity == entity).order_by(said_of.number.desc()).limit(SHOWN)
        proposals = await _proposals(connection, (await connection.execute(rows)).all())
        numbers = {each.id: each.number for each in proposals}
        versions = select(MAP_VERSIONS).where(of.entity == entity).order_by(of.version.desc()).limit(SHOWN)
        return MapHistory(
            entity=entity,
            versions=tuple(_kept_version(row, numbers) for row in await connection.execute(versions)),
            proposals=proposals,
            records=await _records(connection, entity),
        )


async def shown(database: Database, entity: str, number: int, rules: MapChangeRules) -> ProposalShown | None:
    """A proposal, with what its plan is held against; None: there is none."""
    async with database.reading() as connection:
        found = await _proposal(connection, entity, number)
        if found is None:
            return None
        return ProposalShown(proposal=found, situation=await _situation(connection, entity, rules, datetime.now(UTC)))


# What is planned


async def keep_records(database: Database, records: KeptRecords) -> None:
    """Note which records a comparison kept, in place of those before."""
    of = KEPT_RECORDS.c
    values = records.model_dump(exclude={"kept_at"}) | {"kept_at": moment(records.kept_at)}
    async with database.writing() as connection:
        mine = (of.entity == records.entity) & (of.company == records.company)
        changed = await connection.execute(update(KEPT_RECORDS).where(mine).values(values))
        if not changed.rowcount:
            await connection.execute(insert(KEPT_RECORDS).values(values))


async def records_of(database: Database, entity: str) -> tuple[KeptRecords, ...]:
    """The records that are kept of an entity, a company each."""
    async with database.reading() as connection:
        return await _records(connection, entity)


async def keep_plan(database: Database, plan: MapPlan) -> Refusal | None:
    """Keep the plan of an open proposal, in place of the one before: approvals of another one no longer count."""
    async with database.writing() as connection:
        found = await _proposal(connection, plan.entity, plan.number, changing=True)
        if found is None:
            return Refusal.NOT_FOUND
        if found.status is not ProposalStatus.OPEN:
            return Refusal.NOT_OPEN_ANY_MORE
        if plan.proposed_hash != hash_of(found.data):
            return Refusal.CHANGED_MEANWHILE
        made = update(MAP_PROPOSALS).where(MAP_PROPOSALS.c.proposal_id == found.id)
        await connection.execute(made.values(plan=plan.model_dump_json()))
        return None


# What people say


async def propose(database: Database, data: DataMap, word: MapWord) -> int | Refusal:
    """Keep a proposed map; its number, or why it is not taken. Said again under its id, it changes nothing."""
    of = MAP_PROPOSALS.c
    async with database.writing() as connection:
        chains = await _lock(connection, word)
        known = await connection.execute(select(of.number).where(of.proposal_id == word.message_id))
        if (before := known.scalar_one_or_none()) is not None:
            return int(before)
        mine = (await _in_force(connection)).get(data.entity)
        if mine is not None and hash_of(mine) == hash_of(data):
            return Refusal.MAP_SAME
        waiting = select(func.count()).where(of.entity == data.entity, of.status == ProposalStatus.OPEN.value)
        if (await connection.execute(waiting)).scalar_one() >= MOST_OPEN:
            return Refusal.TOO_MANY_PROPOSALS
        last = (await connection.execute(select(func.max(of.number)).where(of.entity == data.entity))).scalar_one()
        number = (last or 0) + 1
        row = _said(word) | {"proposal_id": word.message_id, "entity": data.entity, "number": number, "plan": ""}
        row |= {"status": ProposalStatus.OPEN.value, "content": data.model_dump_json()} | _NOT_ENDED
        await connection.execute(insert(MAP_PROPOSALS).values(row))
        await _write_down(chains, word, "MapProposed", data.entity, number, after=hash_of(data))
        return number


async def approve(database: Database, entity: str, number: int, word: MapWord, rules: MapChangeRules) -> Refusal | None:
    """Take an approval of a plan; None: it counts. Said again under its id, it changes nothing."""
    async with database.writing() as connection:
        chains = await _lock(connection, word)
        found = await _proposal(connection, entity, number, changing=True)
        if found is None:
            return Refusal.NOT_FOUND
        if any(each.id == word.message_id for each in found.approvals):
            return None
        situation = await _situation(connection, entity, rules, word.at)
        if (refused := judge_approval(found, situation, word)) is not None:
            return refused
        assert found.plan is not None
        about = {"message_id": word.message_id, "proposal_id": found.id, "plan_hash": found.plan.hash}
        roles = {"roles": json.dumps(word.roles)}
        await connection.execute(insert(MAP_APPROVALS).values(_said(word) | about | roles))
        await _write_down(chains, word, "MapApproved", entity, number, after=found.plan.hash)
        return None


async def end(database: Database, entity: str, number: int, word: MapWord, status: ProposalStatus) -> Refusal | None:
    """Refuse or withdraw a proposal; None: it is ended."""
    async with database.writing() as connection:
        chains = await _lock(connection, word)
        found = await _proposal(connection, entity, number, changing=True)
        if found is None:
            return Refusal.NOT_FOUND
        if await _ended_by(connection, found.id) == word.message_id:
            return None
        if (refused := judge_end(found, status, word)) is not None:
            return refused
        await _end(connection, found, word, status)
        event = "MapRefused" if status is ProposalStatus.REFUSED else "MapWithdrawn"
        await _write_down(chains, word, event, entity, number, before=hash_of(found.data))
        return None


async def activate(
    database: Database, entity: str, number: int, word: MapWord, rules: MapChangeRules
) -> Refusal | None:
    """Put an approved map in force; None: it is."""
    async with database.writing() as connection:
        chains = await _lock(connection, word)
        found = await _proposal(connection, entity, number, changing=True)
        if found is None:
            return Refusal.NOT_FOUND
        if await _ended_by(connection, found.id) == word.message_id:
            return None
        situation = await _situation(connection, entity, rules, word.at)
        if (refused := judge_activation(found, situation, word)) is not None:
            return refused
        await _put_in_force(connection, found.data, word, "change", found.id)
        await _end(connection, found, word, ProposalStatus.ACTIVATED)
        hashes = {"before": situation.base_hash, "after": hash_of(found.data)}
        await _write_down(chains, word, "MapActivated", entity, number, **hashes)
        return None


async def roll_back(database: Database, entity: str, word: MapWord) -> Refusal | None:
    """Put the former version of a map in force again; ``word.seen``: hash of the one in force. None: it is done."""
    of = MAP_VERSIONS.c
    async with database.writing() as connection:
        chains = await _lock(connection, word)
        rows = select(MAP_VERSIONS).where(of.entity == entity).order_by(of.version.desc()).with_for_update()
        kept = MapHistory(
            entity=entity, versions=tuple(_kept_version(row, {}) for row in await connection.execute(rows))
        )
        done = select(of.version).where(of.entity == entity, of.message_id == word.message_id)
        if (await connection.execute(done)).scalar_one_or_none() is not None:
            return None
        if kept.in_force is None or kept.former is None:
            return Refusal.NO_FORMER_MAP
        if word.seen != kept.in_force.hash:
            return Refusal.CHANGED_MEANWHILE
        if not word.why.strip():
            return Refusal.BAD_ARGUMENT
        await _put_in_force(connection, kept.former.data, word, "rollback", "")
        hashes = {"before": kept.in_force.hash, "after": kept.former.hash}
        await _write_down(chains, word, "MapRolledBack", entity, 0, **hashes)
        return None


# What they share


async def _lock(connection: AsyncConnection, word: MapWord) -> list[Chain]:
    """The audit's chains of all companies, in their order: two that decide at once wait for each other here."""
    return [await Chain.locked(connection, company, word.at) for company in sorted(word.companies)]


async def _write_down(
    chains: Sequence[Chain], word: MapWord, event: str, entity: str, number: int, *, before: str = "", after: str = ""
) -> None:
    for chain in chains:
        await chain.append([said(chain.company, word, event, entity, number, before=before, after=after)])


async def _in_force(connection: AsyncConnection) -> dict[str, DataMap]:
    of = MAP_VERSIONS.c
    rows = await connection.execute(select(of.entity, of.content).where(of.until == "").order_by(of.entity))
    return {row.entity: DataMap.model_validate_json(row.content) for row in rows}


async def _situation(connection: AsyncConnection, entity: str, rules: MapChangeRules, now: datetime) -> MapSituation:
    maps = await _in_force(connection)
    base = Base.of(maps.values(), entity)
    return MapSituation(
        base_hash=base.hash,
        around_hash=hash_of_all(maps.values()),
        snapshot=snapshot_of(countable(base.data, await _records(connection, entity))),
        rules=rules,
        now=now,
    )


async def _records(connection: AsyncConnection, entity: str) -> tuple[KeptRecords, ...]:
    of = KEPT_RECORDS.c
    rows = await connection.execute(select(KEPT_RECORDS).where(of.entity == entity).order_by(of.company))
    return tuple(KeptRecords.model_validate(dict(row._mapping)) for row in rows)


async def _put_in_force(connection: AsyncConnection, data: DataMap, word: MapWord, kind: str, proposal_id: str) -> None:
    of, at = MAP_VERSIONS.c, moment(word.at)
    mine = of.entity == data.entity
    last = (await connection.execute(select(func.max(of.version)).where(mine))).scalar_one()
    await connection.execute(update(MAP_VERSIONS).where(mine, of.until == "").values(until=at))
    row = _version(data, 1 if last is None else last + 1, kind, word.at) | {"until": "", "proposal_id": proposal_id}
    about = {name: value for name, value in _said(word).items() if name != "at"}
    await connection.execute(insert(MAP_VERSIONS).values(row | about | {"message_id": word.message_id}))


async def _end(connection: AsyncConnection, found: Proposal, word: MapWord, status: ProposalStatus) -> None:
    about = _said(word)
    values = {
        "status": status.value,
        "end_id": word.message_id,
        "ended_at": about["at"],
        "ended_by": about["by"],
        "ended_name": about["by_name"],
        "end_why": about["why"],
        "end_proof": about["proof"],
    }
    await connection.execute(update(MAP_PROPOSALS).where(MAP_PROPOSALS.c.proposal_id == found.id).values(values))


async def _ended_by(connection: AsyncConnection, proposal_id: str) -> str:
    ended = select(MAP_PROPOSALS.c.end_id).where(MAP_PROPOSALS.c.proposal_id == proposal_id)
    return str((await connection.execute(ended)).scalar_one())


async def _proposal(
    connection: AsyncConnection, entity: str, number: int, *, changing: bool = False
) -> Proposal | None:
    of = MAP_PROPOSALS.c
    wanted = select(MAP_PROPOSALS).where(of.entity == entity, of.number == number)
    rows = (await connection.execute(wanted.with_for_update() if changing else wanted)).all()
    found = await _proposals(connection, rows)
    return found[0] if found else None


async def _proposals(connection: AsyncConnection, rows: Sequence[Row[Any]]) -> tuple[Proposal, ...]:
    of = MAP_APPROVALS.c
    ids = [row.proposal_id for row in rows]
    wanted = select(MAP_APPROVALS).where(of.proposal_id.in_(ids)).order_by(of.at, of.message_id)
    approvals: dict[str, list[MapApproval]] = {}
    for row in await connection.execute(wanted):
        approvals.setdefault(row.proposal_id, []).append(
            MapApproval(
                id=row.message_id,
                plan_hash=row.plan_hash,
                at=datetime.fromisoformat(row.at),
                by=Person(oid=row.by, name=row.by_name),
                roles=tuple(json.loads(row.roles)),
                why=row.why,
            )
        )
    return tuple(_kept_proposal(row, approvals.get(row.proposal_id, ())) for row in rows)


def _kept_proposal(row: Row[Any], approvals: Iterable[MapApproval]) -> Proposal:
    return Proposal(
        id=row.proposal_id,
        entity=row.entity,
        number=row.number,
        status=row.status,
        data=DataMap.model_validate_json(row.content),
        why=row.why,
        at=datetime.fromisoformat(row.at),
        by=Person(oid=row.by, name=row.by_name),
        plan=MapPlan.model_validate_json(row.plan) if row.plan else None,
        approvals=tuple(approvals),
        ended=Person(oid=row.ended_by, name=row.ended_name) if row.ended_name else None,
        ended_at=datetime.fromisoformat(row.ended_at) if row.ended_at else None,
        end_why=row.end_why,
    )


def _kept_version(row: Row[Any], numbers: Mapping[str, int]) -> MapVersion:
    return MapVersion(
        entity=row.entity,
        version=row.version,
        kind=row.kind,
        hash=row.hash,
        data=DataMap.model_validate_json(row.content),
        since=datetime.fromisoformat(row.since),
        until=datetime.fromisoformat(row.until) if row.until else None,
        by=Person(oid=row.by, name=row.by_name) if row.by_name else None,
        why=row.why,
        proposal=numbers.get(row.proposal_id, 0),
    )


def _version(data: DataMap, version: int, kind: str, now: datetime) -> dict[str, Any]:
    about = {"entity": data.entity, "version": version, "kind": kind, "since": moment(now)}
    return about | {"hash": hash_of(data), "content": data.model_dump_json()}


def _said(word: MapWord) -> dict[str, Any]:
    return {
        "at": moment(word.at),
        "by": word.person.oid.lower(),
        "by_name": word.person.name[:400],
        "why": word.why,
        "proof": word.proof,
    }
