"""Approved maps that somebody activates: tried on some records, then in force, or stopped; and what is taken back.

Each step is one transaction with its audit records, and is judged again in it: what moved since the approvals, or
since the map was tried, keeps it from coming into force.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.entities.identity import hash_of
from domain.entities.map_change_rules import MapChangeRules
from domain.entities.map_change_said import MapWord, Proposal, ProposalStatus, judge_activation
from domain.entities.map_run import ChangeStatus, MapChangeShown
from domain.entities.model import DataMap
from domain.record import Record
from domain.refusals import Refusal
from ledger import map_looks
from ledger import map_rows as rows
from ledger.chain import moment
from ledger.database import Database
from ledger.map_tables import BEFORE_IMAGES, MAP_CHANGES, MAP_PROPOSALS

_OF = MAP_CHANGES.c


class MapChangeKept(Record):
    """A change as those see it who carry it out."""

    change_id: str
    entity: str
    number: int
    status: ChangeStatus
    data: DataMap
    moved: tuple[str, ...] = ()


async def would_begin(
    database: Database, entity: str, number: int, word: MapWord, rules: MapChangeRules
) -> Refusal | None:
    """Why an approved map would not be tried; None: it would, or it is."""
    async with database.reading() as connection:
        found = await rows.proposal_of(connection, entity, number)
        return await _unfit(connection, found, entity, word, rules)


async def begin(
    database: Database, entity: str, number: int, word: MapWord, rules: MapChangeRules, moved: Sequence[str]
) -> Refusal | None:
    """Begin to put an approved map in force; None: it is begun. Said again under its id, it changes nothing."""
    async with database.writing() as connection:
        chains = await rows.lock(connection, word)
        found = await rows.proposal_of(connection, entity, number, changing=True)
        if (refused := await _unfit(connection, found, entity, word, rules)) is not None:
            return refused
        if await _is_known(connection, word.message_id):
            return None
        assert found is not None
        assert found.plan is not None
        row = {"change_id": word.message_id, "proposal_id": found.id, "entity": entity, "number": number, "text": ""}
        row |= {"status": ChangeStatus.RUNNING.value, "moved": json.dumps(list(moved)), "ended_at": ""}
        hashes = {"before": found.plan.base_hash, "after": hash_of(found.data)}
        row |= {"base_hash": hashes["before"], "proposed_hash": hashes["after"], "begun_at": moment(word.at)}
        await connection.execute(insert(MAP_CHANGES).values(row))
        await _mark(connection, found, ProposalStatus.RUNNING)
        await rows.write_down(chains, word, "MapTried", entity, number, **hashes)
        return None


async def change_of(database: Database, change_id: str) -> MapChangeKept | None:
    """A change with the map it is about; None: it was not begun."""
    wanted = (
        select(MAP_CHANGES, MAP_PROPOSALS.c.content)
        .join(MAP_PROPOSALS, MAP_PROPOSALS.c.proposal_id == _OF.proposal_id)
        .where(_OF.change_id == change_id)
    )
    async with database.reading() as connection:
        row = (await connection.execute(wanted)).one_or_none()
    if row is None:
        return None
    return MapChangeKept(
        change_id=row.change_id,
        entity=row.entity,
        number=row.number,
        status=row.status,
        data=DataMap.model_validate_json(row.content),
        moved=tuple(json.loads(row.moved)),
    )


async def activate(
    database: Database, word: MapWord, rules: MapChangeRules, text: str, now: datetime
) -> Refusal | None:
    """Put a map in force that was tried; None: it is. Refused, the proposal is open again and what was tried goes back.

    The values before of earlier changes of the same map go: nothing leads back to them any more.
    """
    async with database.writing() as connection:
        chains = await rows.lock(connection, word)
        change = await _running(connection, word.message_id)
        if change is None:
            return await _ended_as(connection, word.message_id)
        found = await rows.proposal_of(connection, change.entity, change.number, changing=True)
        assert found is not None
        situation = await rows.situation_of(connection, change.entity, rules, word.at)
        as_open = found.model_copy(update={"status": ProposalStatus.OPEN})
        if (refused := judge_activation(as_open, situation, word)) is not None:
            await _stop(connection, word.message_id, refused.sentence, now)
            await _mark(connection, found, ProposalStatus.OPEN)
            return refused
        await rows.put_in_force(connection, found.data, word.model_copy(update={"at": now}), "change", found.id)
        await rows.end_proposal(connection, found, word, ProposalStatus.ACTIVATED)
        values = {"status": ChangeStatus.IN_FORCE.value, "text": text}
        await connection.execute(update(MAP_CHANGES).where(_OF.change_id == word.message_id).values(values))
        await map_looks.apply(connection, word.message_id, now)
        others = select(_OF.change_id).where(_OF.entity == change.entity, _OF.change_id != word.message_id)
        settled = others.where(_OF.status == ChangeStatus.IN_FORCE.value)
        await map_looks.expire(connection, BEFORE_IMAGES.c.change_id.in_(settled))
        hashes = {"before": situation.base_hash, "after": hash_of(found.data)}
        await rows.write_down(chains, word, "MapActivated", change.entity, change.number, **hashes)
        return None


async def stop(database: Database, word: MapWord, text: str, now: datetime, *, is_stale: bool) -> None:
    """End a change that is not in force, and have what was tried taken back; a stale plan leaves the proposal open."""
    async with database.writing() as connection:
        chains = await rows.lock(connection, word)
        change = await _running(connection, word.message_id)
        if change is None:
            return
        found = await rows.proposal_of(connection, change.entity, change.number, changing=True)
        assert found is not None
        await _stop(connection, word.message_id, text, now)
        if is_stale:
            await _mark(connection, found, ProposalStatus.OPEN)
        else:
            ended = word.model_copy(update={"at": now})
            await rows.end_proposal(connection, found, ended, ProposalStatus.STOPPED)
        await rows.write_down(chains, word, "MapStopped", change.entity, change.number, before=hash_of(found.data))


async def stop_tried(connection: AsyncConnection, proposal_id: str, text: str, now: datetime) -> None:
    """End the change of a proposal that is refused or withdrawn while it is tried."""
    mine = _OF.proposal_id == proposal_id
    wanted = select(_OF.change_id).where(mine, _OF.status == ChangeStatus.RUNNING.value)
    for change_id in (await connection.execute(wanted)).scalars().all():
        await _stop(connection, change_id, text, now)


async def take_back(connection: AsyncConnection, proposal_id: str, now: datetime) -> None:
    """Have restored what the change of a proposal wrote, which is in force no more."""
    mine = _OF.proposal_id == proposal_id
    wanted = select(_OF.change_id).where(mine, _OF.status == ChangeStatus.IN_FORCE.value)
    for change_id in (await connection.execute(wanted)).scalars().all():
        values = {"status": ChangeStatus.ROLLED_BACK.value, "ended_at": moment(now)}
        await connection.execute(update(MAP_CHANGES).where(_OF.change_id == change_id).values(values))
        await map_looks.take_back(connection, change_id, now)


async def newest(connection: AsyncConnection, entity: str, number: int | None = None) -> MapChangeShown | None:
    """The newest change of a map, or of a proposal of it; None: there was none."""
    wanted = select(MAP_CHANGES).where(_OF.entity == entity).order_by(_OF.begun_at.desc()).limit(1)
    row = (await connection.execute(wanted if number is None else wanted.where(_OF.number == number))).one_or_none()
    if row is None:
        return None
    values: dict[str, Any] = dict(row._mapping)
    return MapChangeShown(
        **{name: values[name] for name in ("change_id", "entity", "number", "status", "text")},
        base_hash=row.base_hash,
        proposed_hash=row.proposed_hash,
        begun_at=datetime.fromisoformat(row.begun_at),
        ended_at=datetime.fromisoformat(row.ended_at) if row.ended_at else None,
        figures=await map_looks.figures(connection, row.change_id),
        edited=await map_looks.listed(connection, row.change_id, edited=True),
        failed=await map_looks.listed(connection, row.change_id, edited=False),
    )


async def newest_of(database: Database, entity: str, number: int) -> MapChangeShown | None:
    """The newest change of a proposal, with what came of its records; None: there was none."""
    async with database.reading() as connection:
        return await newest(connection, entity, number)


async def _unfit(
    connection: AsyncConnection, found: Proposal | None, entity: str, word: MapWord, rules: MapChangeRules
) -> Refusal | None:
    """Why a proposed map is not tried; None: it may be, or is."""
    if found is None:
        return Refusal.NOT_FOUND
    if await _is_known(connection, word.message_id):
        return None
    situation = await rows.situation_of(connection, entity, rules, word.at)
    if (refused := judge_activation(found, situation, word)) is not None:
        return refused
    runs = select(_OF.change_id).where(_OF.entity == entity, _OF.status == ChangeStatus.RUNNING.value)
    waits = (await connection.execute(runs)).first() or await map_looks.are_waiting(connection, entity)
    return Refusal.MAP_CHANGE_RUNS if waits else None


async def _is_known(connection: AsyncConnection, change_id: str) -> bool:
    asked = select(_OF.change_id).where(_OF.change_id == change_id)
    return (await connection.execute(asked)).scalar_one_or_none() is not None


async def _running(connection: AsyncConnection, change_id: str) -> Any:
    mine = select(MAP_CHANGES).where(_OF.change_id == change_id, _OF.status == ChangeStatus.RUNNING.value)
    return (await connection.execute(mine.with_for_update())).one_or_none()


async def _ended_as(connection: AsyncConnection, change_id: str) -> Refusal | None:
    """What became of a change that was ended before: an activity that is tried again."""
    asked = select(_OF.status).where(_OF.change_id == change_id)
    status = (await connection.execute(asked)).scalar_one_or_none()
    if status is None:
        return Refusal.NOT_FOUND
    return Refusal.MAP_PLAN_STALE if status == ChangeStatus.STOPPED else None


async def _stop(connection: AsyncConnection, change_id: str, text: str, now: datetime) -> None:
    values = {"status": ChangeStatus.STOPPED.value, "text": text, "ended_at": moment(now)}
    await connection.execute(update(MAP_CHANGES).where(_OF.change_id == change_id).values(values))
    await map_looks.take_back(connection, change_id, now)


async def _mark(connection: AsyncConnection, found: Proposal, status: ProposalStatus) -> None:
    mine = MAP_PROPOSALS.c.proposal_id == found.id
    await connection.execute(update(MAP_PROPOSALS).where(mine).values(status=status.value))
