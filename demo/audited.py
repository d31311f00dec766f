"""Whether the audit holds all that happened: judged at the end of a chaos run, in which it had no room for a while."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable

from temporalio.client import Client

from ledger.database import open_database
from ledger.reads import MOST, AuditReader
from runs.deals import Deals
from runs.names import deal_id

LOOKS, LOOK_EVERY = 60, 3.0
"""What had no room is delivered by processes of their own, which try now and then: three minutes for all of it."""


async def wrong_audit(url: str, client: Client, company: str, quotes: Iterable[str]) -> list[str]:
    """What is wrong with the audit of these deals, in words; empty where it holds all that their timelines tell.

    Args:
        url: of the ledger.
        client: of Temporal.
        company: legal entity, lower case.
        quotes: numbers of the quotes.
    """
    missing = dict.fromkeys(quotes, 1)
    database = await open_database(url, read_only=True)
    try:
        reader = AuditReader(database)
        for _ in range(LOOKS):
            missing = {quote: n for quote in missing if (n := await _missing(reader, client, company, quote))}
            if not missing:
                break
            await asyncio.sleep(LOOK_EVERY)
        _, finding = await reader.verify(company)
    finally:
        await database.close()
    found = [f"{quote}: {number} of its records are not in the audit" for quote, number in missing.items()]
    return [*found, *([f"audit: {finding}"] if finding else [])]


async def _missing(reader: AuditReader, client: Client, company: str, quote: str) -> int:
    """How much of a deal's timeline is not in the audit."""
    told = Counter(entry.text for entry in await Deals(client).timeline(company, quote))
    rows = await reader.page(company, deal_id=deal_id(company, quote), limit=MOST)
    return (told - Counter(row.what for row in rows)).total()
