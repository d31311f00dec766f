"""Writes into the audit which rules are in force and whom they name: whenever a worker begins with others than before.

So that an auditor can tell from the chain alone under which policy, and by whom named, everything after it happened.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.audit import AuditKind
from domain.people import Person
from domain.policy import Policy
from ledger.audit import Chain
from ledger.database import Database
from ledger.tables import RECORDS

POLICY_IN_FORCE = "PolicyInForce"
APPROVERS_CHANGED = "ApproversChanged"


async def note_rules(database: Database, policy: Policy, companies: Collection[str]) -> int:
    """Record the policy's version and the people it names, for each company of which the last record says otherwise.

    Args:
        database: of the ledger.
        policy: the rules in force from now on.
        companies: legal entities, lower case.

    Returns:
        How many records were added.
    """
    added = 0
    for company in sorted(companies):
        async with database.writing() as connection:
            chain = await Chain.locked(connection, company, datetime.now(UTC))
            rules = {"version": policy.version, "hash": policy.hash}
            before = await _last(connection, company, AuditKind.POLICY, POLICY_IN_FORCE)
            if before != rules:
                what = f"policy {policy.version} is in force"
                what += f" in place of {before['version']}" if before else ""
                await chain.note(
                    AuditKind.POLICY, POLICY_IN_FORCE, what, rules, record_id=f"policy/{company}/{chain.seq + 1}"
                )
            named = {
                role: ",".join(_marks(policy, company, role)) for role in policy.authority.companies.get(company, {})
            }
            people = await _last(connection, company, AuditKind.PEOPLE, APPROVERS_CHANGED)
            if people != named:
                await chain.note(
                    AuditKind.PEOPLE,
                    APPROVERS_CHANGED,
                    _difference(policy, people or {}, named),
                    named,
                    record_id=f"approvers/{company}/{chain.seq + 1}",
                )
            added += chain.appended
    return added


async def _last(connection: AsyncConnection, company: str, kind: AuditKind, event: str) -> dict[str, str] | None:
    """The facts of the newest record of an event; None where there is none."""
    query = (
        select(RECORDS.c.facts)
        .where(RECORDS.c.company == company, RECORDS.c.kind == str(kind), RECORDS.c.event == event)
        .order_by(RECORDS.c.seq.desc())
        .limit(1)
    )
    facts = (await connection.execute(query)).scalar()
    return None if facts is None else dict(json.loads(facts))


def _marks(policy: Policy, company: str, role: str) -> list[str]:
    return [_mark(person) for person in policy.authority.holders(company, role)]


def _mark(person: Person) -> str:
    """What tells one person from another and names nobody: the words do, which forget a person who is erased."""
    return hashlib.sha256(person.oid.lower().encode()).hexdigest()[:16]


def _difference(policy: Policy, before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Who is named for a role and was not, and who was and is not."""
    names = {_mark(person): person.label for person in policy.authority.people.values()}
    changes = []
    for role in sorted({*before, *after}):
        then, now = ({mark for mark in of.get(role, "").split(",") if mark} for of in (before, after))
        changes += [f"{names[mark]} is named {role}" for mark in sorted(now - then)]
        changes += [
            f"{names.get(mark, 'somebody the policy knows no more')} is no longer named {role}"
            for mark in sorted(then - now)
        ]
    unchanged = "the order in which people are asked changed" if any(after.values()) else "nobody is named"
    return "; ".join(changes) or unchanged
