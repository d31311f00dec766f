"""Clusters in the ledger: what matching found, what people decide about it, and the cross-reference that follows.

A decision, its cross-reference and its audit record are one transaction.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, and_, delete, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.entities.clusters import Cluster, Status, Word, judge
from domain.people import Person
from domain.refusals import Refusal
from ledger.audit import Chain
from ledger.chain import moment
from ledger.cross_reference import IN_FORCE
from ledger.database import Database
from ledger.match_audit import decided, ended
from ledger.match_records import MOST_KEPT, ClusterPage, ClusterRow, Decision, KeptCluster, MatchRun
from ledger.tables import (
    CROSS_REFERENCE,
    MATCH_CLUSTERS,
    MATCH_COMPANIES,
    MATCH_DECISIONS,
    MATCH_PAIRS,
    MATCH_RUNS,
)

PAGE: Final = 50
GONE_KEPT: Final = timedelta(days=90)
"""How long a cluster is kept that was not found any more and about which nobody decided."""
_AT_ONCE: Final = 200
_WAITING: Final = (Status.OPEN.value, Status.LATER.value, Status.PROPOSED.value)
_EMPTY: Final = dict.fromkeys(
    (
        *("second_id", "second_at", "second_by", "second_name", "second_why", "second_proof"),
        *("end_id", "ended_at", "ended_by", "ended_name", "end_why", "end_proof"),
    ),
    "",
)


async def keep(database: Database, run: MatchRun, clusters: Iterable[Cluster]) -> MatchRun:
    """Keep the clusters of a matching that are for people; the best first, where there are too many.

    Args:
        database: the ledger.
        run: the matching; what was kept, new and gone is added to it.
        clusters: what it found.

    Returns:
        The matching as it is kept.
    """
    found = sorted((each for each in clusters if each.is_to_decide), key=_best, reverse=True)
    kept, new = found[:MOST_KEPT], 0
    for some in _chunked(kept):
        async with database.writing() as connection:
            new += await _seen(connection, run, some)
    async with database.writing() as connection:
        gone = 0 if len(found) > len(kept) else await _close_others(connection, run)
        await _forget_gone(connection, run.ended_at - GONE_KEPT)
        done = run.model_copy(update={"found": len(found), "kept": len(kept), "new": new, "gone": gone})
        await connection.execute(
            insert(MATCH_RUNS).values(
                run_id=run.run_id,
                model=run.model,
                ended_at=moment(run.ended_at),
                figures=done.model_dump_json(include={"companies", "found", "kept", "new", "gone"}),
            )
        )
    return done


async def page(
    database: Database, *, companies: Collection[str] | None, company: str = "", status: str = "", after: str = ""
) -> ClusterPage:
    """Clusters, the best scored first.

    Args:
        database: the ledger.
        companies: that the reader may see, every one of a cluster's; None: all.
        company: one of them; empty: any.
        status: only these; empty: what waits for people.
        after: id of the last one of the page before.
    """
    of = MATCH_CLUSTERS.c
    allowed = _allowed(companies)
    if company:
        here = and_(MATCH_COMPANIES.c.cluster_id == of.cluster_id, MATCH_COMPANIES.c.company == company)
        allowed.append(exists().where(here))
    wanted = select(MATCH_CLUSTERS).where(*allowed).order_by(of.score.desc(), of.cluster_id).limit(PAGE + 1)
    if status != "any":
        wanted = wanted.where(of.status.in_([status] if status else _WAITING))
    async with database.reading() as connection:
        if after:
            last = (await connection.execute(select(of.score).where(of.cluster_id == after))).scalar_one_or_none()
            if last is not None:
                wanted = wanted.where(or_(of.score < last, and_(of.score == last, of.cluster_id > after)))
        rows = (await connection.execute(wanted)).all()
        counted = select(of.status, func.count()).where(*allowed).group_by(of.status)
        counts = {name: int(count) for name, count in await connection.execute(counted)}
        shown = rows[:PAGE]
        within = await _companies(connection, [row.cluster_id for row in shown])
        return ClusterPage(
            rows=tuple(_row(row, within) for row in shown),
            next=shown[-1].cluster_id if len(rows) > PAGE else "",
            counts=counts,
            last_run=await _last_run(connection),
        )


async def one(database: Database, cluster_id: str) -> KeptCluster | None:
    """A cluster with its decisions; None: there is none."""
    async with database.reading() as connection:
        return await _one(connection, cluster_id)


async def decide(database: Database, cluster_id: str, word: Word) -> Status | Refusal:
    """Take a person's word on a cluster; said again under its id, it changes nothing.

    Returns:
        How the cluster stands, or why the word counts for nothing.
    """
    async with database.writing() as connection:
        known = await _one(connection, cluster_id)
        if known is None:
            return Refusal.NOT_FOUND
        chains = await _lock(connection, known.cluster.companies, word.at)
        known = await _one(connection, cluster_id, changing=True)  # as it stands now that nobody else decides
        assert known is not None
        if (before := await _said_before(connection, word.message_id)) is not None:
            return before
        status = judge(known.cluster, known.row.status, known.proposal, word)
        if isinstance(status, Refusal):
            return status
        confirms = known.proposal if status is Status.DECIDED and known.cluster.needs_two else None
        decision = confirms.decision if confirms else word.message_id
        if confirms is None:
            await _lapse(connection, cluster_id)
            await connection.execute(insert(MATCH_DECISIONS).values(_decision(cluster_id, word, status)))
        else:
            await connection.execute(
                update(MATCH_DECISIONS).where(MATCH_DECISIONS.c.decision_id == decision).values(_second(word))
            )
        if status is Status.DECIDED:
            await _put_in_force(connection, known.cluster, decision, word)
        await _stand(connection, cluster_id, status, decision)
        for chain in chains:
            await chain.append([decided(chain.company, known.cluster, word, status, known.row.status)])
        return status


async def end(database: Database, cluster_id: str, word: Word) -> Status | Refusal:
    """Take a decision back that is in force or waits for a second person; said again, it changes nothing."""
    async with database.writing() as connection:
        known = await _one(connection, cluster_id)
        if known is None:
            return Refusal.NOT_FOUND
        chains = await _lock(connection, known.cluster.companies, word.at)
        known = await _one(connection, cluster_id, changing=True)
        assert known is not None
        if await _said_before(connection, word.message_id) is not None:
            return Status.OPEN
        decision = known.in_force or next((each for each in known.decisions if each.proposal), None)
        if decision is None:
            return Refusal.NOT_OPEN_ANY_MORE
        at, person = moment(word.at), word.person
        values = {
            "status": "ended",
            "end_id": word.message_id,
            "ended_at": at,
            "ended_by": person.oid.lower(),
            "ended_name": person.name[:400],
            "end_why": word.why,
            "end_proof": word.proof,
        }
        await connection.execute(
            update(MATCH_DECISIONS).where(MATCH_DECISIONS.c.decision_id == decision.id).values(values)
        )
        links = CROSS_REFERENCE.c
        await connection.execute(
            update(CROSS_REFERENCE).where(links.decision_id == decision.id, links.until == "").values(until=at)
        )
        await _stand(connection, cluster_id, Status.OPEN, "")
        for chain in chains:
            await chain.append([ended(chain.company, known.cluster, word, known.row.status)])
        return Status.OPEN


# What is found


async def _seen(connection: AsyncConnection, run: MatchRun, clusters: Sequence[Cluster]) -> int:
    """Keep some clusters; how many are new or back."""
    of, now, new = MATCH_CLUSTERS.c, moment(run.ended_at), 0
    by_id = {each.id: each for each in clusters}
    known = select(of.cluster_id, of.status, of.digest).where(of.cluster_id.in_(list(by_id))).with_for_update()
    before = {row.cluster_id: row for row in await connection.execute(known)}
    for cluster_id, cluster in by_id.items():
        values = _values(run, cluster)
        stood = before.get(cluster_id)
        if stood is None:
            fresh = {"status": Status.OPEN.value, "first_seen_at": now, "decision_id": ""}
            await connection.execute(insert(MATCH_CLUSTERS).values(cluster_id=cluster_id, **values, **fresh))
            companies = [{"cluster_id": cluster_id, "company": company} for company in cluster.companies]
            await connection.execute(insert(MATCH_COMPANIES), companies)
            new += 1
            continue
        if stood.status == Status.GONE.value:
            values |= {"status": Status.OPEN.value, "first_seen_at": now}
            new += 1
        elif stood.status in _WAITING and stood.digest != values["digest"]:
            # Who proposed something did not see it as it is now.
            await _lapse(connection, cluster_id)
            values |= {"status": Status.OPEN.value, "decision_id": ""}
        await connection.execute(update(MATCH_CLUSTERS).where(of.cluster_id == cluster_id).values(values))
    return new


def _values(run: MatchRun, cluster: Cluster) -> dict[str, Any]:
    return {
        "needs_two": cluster.needs_two,
        "customers": len(cluster.customers),
        "name": cluster.customers[0].name[:400],
        "score": _best(cluster),
        "digest": cluster.digest,
        "content": cluster.model_dump_json(),
        "last_seen_at": moment(run.ended_at),
        "last_run": run.run_id,
    }


async def _close_others(connection: AsyncConnection, run: MatchRun) -> int:
    """Close what was not found any more, of the companies that were compared; how many."""
    of = MATCH_CLUSTERS.c
    elsewhere = and_(
        MATCH_COMPANIES.c.cluster_id == of.cluster_id, MATCH_COMPANIES.c.company.not_in(list(run.companies))
    )
    others = and_(of.last_run != run.run_id, of.status.in_(_WAITING), ~exists().where(elsewhere))
    ids = select(of.cluster_id).where(others)
    decisions = MATCH_DECISIONS.c
    await connection.execute(
        update(MATCH_DECISIONS)
        .where(decisions.status == Status.PROPOSED.value, decisions.cluster_id.in_(ids))
        .values(status="lapsed")
    )
    closed = await connection.execute(
        update(MATCH_CLUSTERS).where(others).values(status=Status.GONE.value, decision_id="")
    )
    return closed.rowcount


async def _forget_gone(connection: AsyncConnection, before: datetime) -> None:
    """Remove clusters that were last found before a moment, are gone, and were never decided about."""
    of = MATCH_CLUSTERS.c
    decided_about = exists().where(MATCH_DECISIONS.c.cluster_id == of.cluster_id)
    old = and_(of.status == Status.GONE.value, of.last_seen_at < moment(before), ~decided_about)
    ids = select(of.cluster_id).where(old)
    await connection.execute(delete(MATCH_COMPANIES).where(MATCH_COMPANIES.c.cluster_id.in_(ids)))
    await connection.execute(delete(MATCH_CLUSTERS).where(old))


def _best(cluster: Cluster) -> float:
    return max((pair.score for pair in cluster.pairs), default=0.0)


def _chunked(clusters: Sequence[Cluster]) -> Iterator[Sequence[Cluster]]:
    for start in range(0, len(clusters), _AT_ONCE):
        yield clusters[start : start + _AT_ONCE]


# What is decided


async def _lock(connection: AsyncConnection, companies: Sequence[str], now: datetime) -> list[Chain]:
    """The audit's chains of the companies, in their order: two that decide at once wait for each other here."""
    return [await Chain.locked(connection, company, now) for company in sorted(companies)]


async def _said_before(connection: AsyncConnection, message_id: str) -> Status | None:
    """How the cluster of a message stands that was taken already; None: it was not."""
    said = MATCH_DECISIONS.c
    known = or_(said.decision_id == message_id, said.second_id == message_id, said.end_id == message_id)
    stands = (
        select(MATCH_CLUSTERS.c.status)
        .join(MATCH_DECISIONS, said.cluster_id == MATCH_CLUSTERS.c.cluster_id)
        .where(known)
    )
    found = (await connection.execute(stands)).scalars().first()
    return Status(found) if found else None


async def _lapse(connection: AsyncConnection, cluster_id: str) -> None:
    said = MATCH_DECISIONS.c
    waiting = and_(said.cluster_id == cluster_id, said.status == Status.PROPOSED.value)
    await connection.execute(update(MATCH_DECISIONS).where(waiting).values(status="lapsed"))


async def _stand(connection: AsyncConnection, cluster_id: str, status: Status, decision: str) -> None:
    of = MATCH_CLUSTERS.c
    await connection.execute(
        update(MATCH_CLUSTERS).where(of.cluster_id == cluster_id).values(status=status.value, decision_id=decision)
    )


async def _put_in_force(connection: AsyncConnection, cluster: Cluster, decision: str, word: Word) -> None:
    pairs = [
        {"decision_id": decision, "one": pair.one, "other": pair.other, "same": pair.same}
        for pair in cluster.verdicts(word.said, word.chosen)
    ]
    await connection.execute(delete(MATCH_PAIRS).where(MATCH_PAIRS.c.decision_id == decision))
    await connection.execute(insert(MATCH_PAIRS), pairs)
    if word.chosen and (links := cluster.links(word.chosen)):
        rows = [
            {
                "decision_id": decision,
                "account": account[:40],
                "company": company,
                "number": number[:60],
                "since": moment(word.at),
                "until": "",
            }
            for account, company, number in links
        ]
        await connection.execute(insert(CROSS_REFERENCE), rows)


def _decision(cluster_id: str, word: Word, status: Status) -> dict[str, Any]:
    return _EMPTY | {
        "decision_id": word.message_id,
        "cluster_id": cluster_id,
        "status": status.value,
        "said": word.said.value,
        "chosen": json.dumps(word.chosen),
        "why": word.why,
        "at": moment(word.at),
        "by": word.person.oid.lower(),
        "by_name": word.person.name[:400],
        "proof": word.proof,
    }


def _second(word: Word) -> dict[str, Any]:
    return {
        "status": IN_FORCE,
        "second_id": word.message_id,
        "second_at": moment(word.at),
        "second_by": word.person.oid.lower(),
        "second_name": word.person.name[:400],
        "second_why": word.why,
        "second_proof": word.proof,
    }


# What is read


def _allowed(companies: Collection[str] | None) -> list[Any]:
    """That every company of a cluster is among those a reader may see."""
    if companies is None:
        return []
    hidden = and_(
        MATCH_COMPANIES.c.cluster_id == MATCH_CLUSTERS.c.cluster_id, MATCH_COMPANIES.c.company.not_in(list(companies))
    )
    return [~exists().where(hidden)]


async def _one(connection: AsyncConnection, cluster_id: str, *, changing: bool = False) -> KeptCluster | None:
    wanted = select(MATCH_CLUSTERS).where(MATCH_CLUSTERS.c.cluster_id == cluster_id)
    row = (await connection.execute(wanted.with_for_update() if changing else wanted)).one_or_none()
    if row is None:
        return None
    said = MATCH_DECISIONS.c
    made = select(MATCH_DECISIONS).where(said.cluster_id == cluster_id).order_by(said.at.desc()).limit(PAGE)
    return KeptCluster(
        row=_row(row, await _companies(connection, [cluster_id])),
        cluster=Cluster.model_validate_json(row.content),
        decisions=tuple(_kept(each) for each in await connection.execute(made)),
    )


async def _companies(connection: AsyncConnection, ids: Sequence[str]) -> dict[str, list[str]]:
    of = MATCH_COMPANIES.c
    found: dict[str, list[str]] = {}
    wanted = select(MATCH_COMPANIES).where(of.cluster_id.in_(list(ids))).order_by(of.company)
    for row in await connection.execute(wanted):
        found.setdefault(row.cluster_id, []).append(row.company)
    return found


async def _last_run(connection: AsyncConnection) -> MatchRun | None:
    newest = select(MATCH_RUNS).order_by(MATCH_RUNS.c.ended_at.desc()).limit(1)
    row = (await connection.execute(newest)).one_or_none()
    if row is None:
        return None
    about = {"run_id": row.run_id, "model": row.model, "ended_at": row.ended_at}
    return MatchRun.model_validate(json.loads(row.figures) | about)


def _row(row: Row[Any], companies: Mapping[str, list[str]]) -> ClusterRow:
    values = dict(row._mapping)
    return ClusterRow.model_validate(values | {"id": row.cluster_id, "companies": companies.get(row.cluster_id, [])})


def _kept(row: Row[Any]) -> Decision:
    return Decision(
        id=row.decision_id,
        status=row.status,
        said=row.said,
        chosen=tuple(json.loads(row.chosen)),
        why=row.why,
        at=datetime.fromisoformat(row.at),
        by=Person(oid=row.by, name=row.by_name),
        second=Person(oid=row.second_by, name=row.second_name) if row.second_name else None,
        second_at=datetime.fromisoformat(row.second_at) if row.second_at else None,
        second_why=row.second_why,
        ended=Person(oid=row.ended_by, name=row.ended_name) if row.ended_name else None,
        ended_at=datetime.fromisoformat(row.ended_at) if row.ended_at else None,
        end_why=row.end_why,
    )
