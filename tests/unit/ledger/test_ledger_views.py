"""Views of lists in both databases: replaced as a whole or not at all, of their owner alone, and gone with them."""

from __future__ import annotations

import asyncio

from ledger import views
from ledger.audit import AuditStore
from ledger.database import Database
from tests.unit.ledger.ledger_makers import MONA, RITA, record


async def test_views_are_replaced_only_as_they_were_read_and_belong_to_their_owner(database: Database) -> None:
    mona, rita = MONA.oid.lower(), RITA.oid.lower()
    assert await views.read(database, mona, "deals") == ""
    assert await views.change(database, mona, "deals", "", "one")
    assert not await views.change(database, mona, "deals", "", "another tab was first"), "nothing is written over"
    assert await views.change(database, mona, "deals", "one", "two")
    assert not await views.change(database, mona, "deals", "one", "three")
    assert await views.change(database, rita, "deals", "", "hers") and await views.change(
        database, mona, "late", "", "l"
    )
    assert [await views.read(database, *key) for key in ((mona, "deals"), (rita, "deals"), (mona, "late"))] == [
        "two",
        "hers",
        "l",
    ]
    done = await asyncio.gather(*(views.change(database, mona, "deals", "two", f"at once {n}") for n in range(5)))
    assert sum(done) == 1


async def test_an_erased_person_keeps_no_views(database: Database, store: AuditStore) -> None:
    await store.append([record(1)])
    for owner in (MONA.oid.lower(), RITA.oid.lower()):
        await views.change(database, owner, "audit", "", f"of {owner}")
    await store.erase(MONA.oid)
    assert await views.read(database, MONA.oid.lower(), "audit") == ""
    assert await views.read(database, RITA.oid.lower(), "audit")
    await store.erase(RITA.oid)
    assert await views.read(database, RITA.oid.lower(), "audit") == "", "whoever acted in no record has views as well"
