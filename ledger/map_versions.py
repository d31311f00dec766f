"""Maps in the ledger: which version is in force, what is proposed, who approved it, and how it went back.

The first worker that starts notes what the files say as version 0. From then on the ledger says what is in force, and
a file that says otherwise counts for nothing until it is proposed and approved. A person's word, what it comes to and
its audit records are one transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError

from domain.entities.identity import hash_of
from domain.entities.map_change import KeptRecords, MapPlan
from domain.entities.map_change_rules import MapChangeRules
from domain.entities.map_change_said import MOST_OPEN, MapWord, ProposalStatus, judge_approval, judge_end
from domain.entities.model import DataMap
from domain.refusals import Refusal
from ledger import map_changes
from ledger.chain import moment
from ledger.database import Database
from ledger.map_records import KeptMap, MapHistory, ProposalShown
from ledger.map_rows import (
    end_proposal,
    ended_by,
    lock,
    plan_hash_of,
    proposal_of,
    put_in_force,
    read_in_force,
    read_proposals,
    read_records,
    said_row,
    situation_of,
    version_of,
    version_row,
    write_down,
)
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
                rows = [version_row(data, 0, "file", now) | _FILE for data in new]
                await connection.execute(insert(MAP_VERSIONS), rows)
            return len(new)
    except IntegrityError:  # another worker noted them meanwhile
        return 0


async def in_force(database: Database) -> dict[str, DataMap]:
    """The maps in force, by entity."""
    async with database.reading() as connection:
        return await read_in_force(connection)


async def overview(database: Database) -> tuple[KeptMap, ...]:
    """The maps in force, with how much waits of each."""
    of, said_of = MAP_VERSIONS.c, MAP_PROPOSALS.c
    waiting = select(said_of.entity, func.count()).where(said_of.status == ProposalStatus.OPEN.value)
    async with database.reading() as connection:
        counts = {row[0]: row[1] for row in await connection.execute(waiting.group_by(said_of.entity))}
        versions = [
            version_of(row, {})
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
        proposals = await read_proposals(connection, (await connection.execute(rows)).all())
        numbers = {each.id: each.number for each in proposals}
        wanted = select(MAP_VERSIONS).where(of.entity == entity).order_by(of.version.desc()).limit(SHOWN)
        versions = (await connection.execute(wanted)).all()
        now = next((row.proposal_id for row in versions if not row.until), "")
        return MapHistory(
            entity=entity,
            versions=tuple(version_of(row, numbers) for row in versions),
            proposals=proposals,
            records=await read_records(connection, entity),
            change=await map_changes.newest(connection, entity),
            plan_in_force=await plan_hash_of(connection, now),
        )


async def shown(database: Database, entity: str, number: int, rules: MapChangeRules) -> ProposalShown | None:
    """A proposal, with what its plan is held against; None: there is none."""
    async with database.reading() as connection:
        found = await proposal_of(connection, entity, number)
        if found is None:
            return None
        situation = await situation_of(connection, entity, rules, datetime.now(UTC))
        change = await map_changes.newest(connection, entity, number)
        return ProposalShown(proposal=found, situation=situation, change=change)


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
        return await read_records(connection, entity)


async def keep_plan(database: Database, plan: MapPlan) -> Refusal | None:
    """Keep the plan of an open proposal, in place of the one before: approvals of another one no longer count."""
    async with database.writing() as connection:
        found = await proposal_of(connection, plan.entity, plan.number, changing=True)
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
        chains = await lock(connection, word)
        known = await connection.execute(select(of.number).where(of.proposal_id == word.message_id))
        if (before := known.scalar_one_or_none()) is not None:
            return int(before)
        mine = (await read_in_force(connection)).get(data.entity)
        if mine is not None and hash_of(mine) == hash_of(data):
            return Refusal.MAP_SAME
        waiting = select(func.count()).where(of.entity == data.entity, of.status == ProposalStatus.OPEN.value)
        if (await connection.execute(waiting)).scalar_one() >= MOST_OPEN:
            return Refusal.TOO_MANY_PROPOSALS
        last = (await connection.execute(select(func.max(of.number)).where(of.entity == data.entity))).scalar_one()
        number = (last or 0) + 1
        row = said_row(word) | {"proposal_id": word.message_id, "entity": data.entity, "number": number, "plan": ""}
        row |= {"status": ProposalStatus.OPEN.value, "content": data.model_dump_json()} | _NOT_ENDED
        await connection.execute(insert(MAP_PROPOSALS).values(row))
        await write_down(chains, word, "MapProposed", data.entity, number, after=hash_of(data))
        return number


async def approve(database: Database, entity: str, number: int, word: MapWord, rules: MapChangeRules) -> Refusal | None:
    """Take an approval of a plan; None: it counts. Said again under its id, it changes nothing."""
    async with database.writing() as connection:
        chains = await lock(connection, word)
        found = await proposal_of(connection, entity, number, changing=True)
        if found is None:
            return Refusal.NOT_FOUND
        if any(each.id == word.message_id for each in found.approvals):
            return None
        situation = await situation_of(connection, entity, rules, word.at)
        if (refused := judge_approval(found, situation, word)) is not None:
            return refused
        assert found.plan is not None
        about = {"message_id": word.message_id, "proposal_id": found.id, "plan_hash": found.plan.hash}
        roles = {"roles": json.dumps(word.roles)}
        await connection.execute(insert(MAP_APPROVALS).values(said_row(word) | about | roles))
        await write_down(chains, word, "MapApproved", entity, number, after=found.plan.hash)
        return None


async def end(database: Database, entity: str, number: int, word: MapWord, status: ProposalStatus) -> Refusal | None:
    """Refuse or withdraw a proposal; None: it is ended."""
    async with database.writing() as connection:
        chains = await lock(connection, word)
        found = await proposal_of(connection, entity, number, changing=True)
        if found is None:
            return Refusal.NOT_FOUND
        if await ended_by(connection, found.id) == word.message_id:
            return None
        if (refused := judge_end(found, status, word)) is not None:
            return refused
        await end_proposal(connection, found, word, status)
        await map_changes.stop_tried(connection, found.id, word.why, word.at)
        event = "MapRefused" if status is ProposalStatus.REFUSED else "MapWithdrawn"
        await write_down(chains, word, event, entity, number, before=hash_of(found.data))
        return None


async def roll_back(database: Database, entity: str, word: MapWord) -> Refusal | None:
    """Put the former version of a map in force again, and have restored what the change wrote; None: it is done.

    ``word.seen`` is the hash of the map in force, and ``word.plan`` that of the plan by which it came: leave to take a
    change back is leave for that one.
    """
    of = MAP_VERSIONS.c
    async with database.writing() as connection:
        chains = await lock(connection, word)
        wanted = select(MAP_VERSIONS).where(of.entity == entity).order_by(of.version.desc()).with_for_update()
        versions = (await connection.execute(wanted)).all()
        if any(row.message_id == word.message_id for row in versions):
            return None
        kept = MapHistory(entity=entity, versions=tuple(version_of(row, {}) for row in versions))
        if kept.in_force is None or kept.former is None:
            return Refusal.NO_FORMER_MAP
        proposal = next(row.proposal_id for row in versions if row.version == kept.in_force.version)
        plan = await plan_hash_of(connection, proposal)
        if (word.seen, word.plan) != (kept.in_force.hash, plan):
            return Refusal.CHANGED_MEANWHILE
        if not word.why.strip():
            return Refusal.BAD_ARGUMENT
        await put_in_force(connection, kept.former.data, word, "rollback", "")
        if proposal:
            await map_changes.take_back(connection, proposal, word.at)
        hashes = {"before": kept.in_force.hash, "after": kept.former.hash}
        await write_down(chains, word, "MapRolledBack", entity, 0, **hashes)
        return None
