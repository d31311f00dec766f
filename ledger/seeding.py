"""What an initial sync leaves to the sync after it: records that agreed, as they were when they did.

A sync that knows nothing of a record takes it as it finds it. One that knows what both sides agreed on sees what
changed since, and brings it over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import insert, select

from domain.entities.merge import Both
from domain.entities.sync_records import Of
from ledger.database import Database
from ledger.tables import SYNC_RECORDS

_AT_ONCE = 400


class Agreed(NamedTuple):
    """A record that both sides had and agreed on."""

    key: str
    sales_id: str
    fields: Mapping[str, Both]


async def seed(database: Database, of: Of, records: Sequence[Agreed]) -> int:
    """Keep records that nothing is known of; how many. Versions stay open, so that each is looked at once."""
    c = SYNC_RECORDS.c
    kept = 0
    async with database.writing() as connection:
        for start in range(0, len(records), _AT_ONCE):
            some = {each.key: each for each in records[start : start + _AT_ONCE]}
            asked = select(c.key).where(c.entity == of.entity, c.company == of.company, c.key.in_(list(some)))
            known = {row.key for row in await connection.execute(asked)}
            fresh = [_row(of, each) for key, each in some.items() if key not in known]
            if fresh:
                await connection.execute(insert(SYNC_RECORDS), fresh)
                kept += len(fresh)
    return kept


def _row(of: Of, each: Agreed) -> dict[str, object]:
    return {
        "entity": of.entity,
        "company": of.company,
        "key": each.key,
        "sales_id": each.sales_id,
        "paired": True,
        "deactivated": False,
        "fields": json.dumps({name: both.model_dump() for name, both in each.fields.items()}, sort_keys=True),
        "sales_version": 0,
        "finance_hash": "",
        "finance_at": "",
        "finance_looks": 0,
        "in_sales": 0,
        "in_finance": 0,
    }
