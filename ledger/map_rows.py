"""Rows of maps, their proposals and approvals, read and written within a transaction of the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.entities.identity import hash_of, hash_of_all
from domain.entities.map_change import Base, KeptRecords, MapPlan, countable, snapshot_of
from domain.entities.map_change_rules import MapChangeRules
from domain.entities.map_change_said import MapApproval, MapSituation, MapWord, Proposal, ProposalStatus
from domain.entities.model import DataMap
from domain.people import Person
from ledger.audit import Chain
from ledger.chain import moment
from ledger.map_audit import said
from ledger.map_records import MapVersion
from ledger.map_tables import KEPT_RECORDS, MAP_APPROVALS, MAP_PROPOSALS, MAP_VERSIONS


async def lock(connection: AsyncConnection, word: MapWord) -> list[Chain]:
    """The audit's chains of all companies, in their order: two that decide at once wait for each other here."""
    return [await Chain.locked(connection, company, word.at) for company in sorted(word.companies)]


async def write_down(
    chains: Sequence[Chain], word: MapWord, event: str, entity: str, number: int, *, before: str = "", after: str = ""
) -> None:
    """Write a word into the audit of each company."""
    for chain in chains:
        await chain.append([said(chain.company, word, event, entity, number, before=before, after=after)])


async def read_in_force(connection: AsyncConnection) -> dict[str, DataMap]:
    """The maps in force, by entity."""
    of = MAP_VERSIONS.c
    rows = await connection.execute(select(of.entity, of.content).where(of.until == "").order_by(of.entity))
    return {row.entity: DataMap.model_validate_json(row.content) for row in rows}


async def situation_of(connection: AsyncConnection, entity: str, rules: MapChangeRules, now: datetime) -> MapSituation:
    """What a plan is held against now."""
    maps = await read_in_force(connection)
    base = Base.of(maps.values(), entity)
    return MapSituation(
        base_hash=base.hash,
        around_hash=hash_of_all(maps.values()),
        snapshot=snapshot_of(countable(base.data, await read_records(connection, entity))),
        rules=rules,
        now=now,
    )


async def read_records(connection: AsyncConnection, entity: str) -> tuple[KeptRecords, ...]:
    """The records that are kept of an entity."""
    of = KEPT_RECORDS.c
    rows = await connection.execute(select(KEPT_RECORDS).where(of.entity == entity).order_by(of.company))
    return tuple(KeptRecords.model_validate(dict(row._mapping)) for row in rows)


async def put_in_force(connection: AsyncConnection, data: DataMap, word: MapWord, kind: str, proposal_id: str) -> None:
    """Put a version in force, in place of the one that was."""
    of, at = MAP_VERSIONS.c, moment(word.at)
    mine = of.entity == data.entity
    last = (await connection.execute(select(func.max(of.version)).where(mine))).scalar_one()
    await connection.execute(update(MAP_VERSIONS).where(mine, of.until == "").values(until=at))
    row = version_row(data, 1 if last is None else last + 1, kind, word.at) | {"until": "", "proposal_id": proposal_id}
    about = {name: value for name, value in said_row(word).items() if name != "at"}
    await connection.execute(insert(MAP_VERSIONS).values(row | about | {"message_id": word.message_id}))


async def end_proposal(connection: AsyncConnection, found: Proposal, word: MapWord, status: ProposalStatus) -> None:
    """End a proposal by a person's word."""
    about = said_row(word)
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


async def ended_by(connection: AsyncConnection, proposal_id: str) -> str:
    """Id of the message that ended a proposal; empty: it is open."""
    ended = select(MAP_PROPOSALS.c.end_id).where(MAP_PROPOSALS.c.proposal_id == proposal_id)
    return str((await connection.execute(ended)).scalar_one())


async def proposal_of(
    connection: AsyncConnection, entity: str, number: int, *, changing: bool = False
) -> Proposal | None:
    """A proposal; None: there is none. ``changing``: nobody else changes it meanwhile."""
    of = MAP_PROPOSALS.c
    wanted = select(MAP_PROPOSALS).where(of.entity == entity, of.number == number)
    rows = (await connection.execute(wanted.with_for_update() if changing else wanted)).all()
    found = await read_proposals(connection, rows)
    return found[0] if found else None


async def plan_hash_of(connection: AsyncConnection, proposal_id: str) -> str:
    """Hash of the plan of a proposal; empty: there is no such proposal, or no plan."""
    rows = (await connection.execute(select(MAP_PROPOSALS).where(MAP_PROPOSALS.c.proposal_id == proposal_id))).all()
    return next((each.plan.hash for each in await read_proposals(connection, rows) if each.plan), "")


async def read_proposals(connection: AsyncConnection, rows: Sequence[Row[Any]]) -> tuple[Proposal, ...]:
    """Proposals with their approvals."""
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


def version_of(row: Row[Any], numbers: Mapping[str, int]) -> MapVersion:
    """A version; ``numbers``: of proposals, by their id."""
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


def version_row(data: DataMap, version: int, kind: str, now: datetime) -> dict[str, Any]:
    """A version without who brought it."""
    about = {"entity": data.entity, "version": version, "kind": kind, "since": moment(now)}
    return about | {"hash": hash_of(data), "content": data.model_dump_json()}


def said_row(word: MapWord) -> dict[str, Any]:
    """Who said something, when and why."""
    return {
        "at": moment(word.at),
        "by": word.person.oid.lower(),
        "by_name": word.person.name[:400],
        "why": word.why,
        "proof": word.proof,
    }
