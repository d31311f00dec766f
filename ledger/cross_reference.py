"""Reads the cross-reference: what people decided about customers that may be one, as far as it is in force."""

from __future__ import annotations

from sqlalchemy import select

from domain.entities.cross_reference import CrossReference, Link, PairVerdict
from ledger.database import Database
from ledger.tables import CROSS_REFERENCE, MATCH_DECISIONS, MATCH_PAIRS

IN_FORCE = "decided"
"""Status of a decision that counts."""


async def read(database: Database, company: str = "") -> CrossReference:
    """What is in force, as one state of it.

    Args:
        database: the ledger.
        company: legal entity, whose links are given; empty: all. Verdicts on pairs are given of every company.
    """
    said, links, pairs = MATCH_DECISIONS.c, CROSS_REFERENCE.c, MATCH_PAIRS.c
    of_links = (
        select(CROSS_REFERENCE, said.by_name, said.second_name, said.why)
        .join(MATCH_DECISIONS, said.decision_id == links.decision_id)
        .where(links.until == "")
        .order_by(links.since.desc(), links.decision_id, links.account, links.company)
    )
    if company:
        of_links = of_links.where(links.company == company.lower())
    of_pairs = (
        select(pairs.one, pairs.other, pairs.same)
        .join(MATCH_DECISIONS, said.decision_id == pairs.decision_id)
        .where(said.status == IN_FORCE)
        .order_by(said.at.desc(), pairs.decision_id, pairs.one, pairs.other)
    )
    async with database.reading() as connection:
        return CrossReference(
            links=tuple(
                Link.model_validate(
                    {
                        "account": row.account,
                        "company": row.company,
                        "number": row.number,
                        "since": row.since,
                        "by": row.by_name,
                        "second": row.second_name,
                        "why": row.why,
                        "decision": row.decision_id,
                    }
                )
                for row in await connection.execute(of_links)
            ),
            pairs=tuple(
                PairVerdict(one=row.one, other=row.other, same=row.same) for row in await connection.execute(of_pairs)
            ),
        )
