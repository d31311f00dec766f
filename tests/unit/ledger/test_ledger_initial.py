"""Who writes records in place of their sync, and what agreed before it began."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from domain.entities.merge import Both
from domain.entities.sync_records import Of, SalesChange
from ledger import agreed, seeding, writers
from ledger.database import open_database
from ledger.seeding import Agreed

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
OF = Of("customer", "usmf")


async def test_one_writes_at_a_time_and_who_was_ended_by_force_stands_in_nobodys_way(tmp_path: Path) -> None:
    database = await open_database(f"sqlite:///{tmp_path}/ledger.db")
    assert await writers.writer(database, OF, NOW) == ""
    assert await writers.take(database, OF, "one", NOW) == ""
    assert await writers.take(database, OF, "one", NOW + timedelta(minutes=20)) == "", "it says so again"
    assert await writers.take(database, OF, "other", NOW + timedelta(minutes=40)) == "one"
    assert await writers.take(database, Of("customer", "demf"), "other", NOW) == ""
    assert await writers.writer(database, OF, NOW + timedelta(minutes=40)) == "one"
    late = NOW + timedelta(minutes=50)
    assert await writers.writer(database, OF, late) == ""
    assert await writers.take(database, OF, "other", late) == ""
    await writers.leave(database, OF, "one")
    assert await writers.writer(database, OF, late) == "other"
    await writers.leave(database, OF, "other")
    assert await writers.writer(database, OF, late) == ""
    await database.close()


async def test_what_agreed_is_known_to_the_sync_and_is_looked_at_once(tmp_path: Path) -> None:
    database = await open_database(f"sqlite:///{tmp_path}/ledger.db")
    records = [Agreed(f"US-{n}", f"row-{n}", {"phone": Both(finance="1", sales="1")}) for n in range(3)]
    assert await seeding.seed(database, OF, records[:2]) == 2
    assert await seeding.seed(database, OF, records) == 1, "what is known stays as it is"
    row = SalesChange(sales_id="row-0", key="US-0", version=7)
    noted = await agreed.note_sales(database, OF, [row], [], {}, reading=1, all_read=False)
    assert noted.found == 1
    (due,) = await agreed.due(database, OF, datetime.now(UTC) + timedelta(seconds=1), 10)
    assert (due.known.paired, due.known.fields["phone"]) == (True, Both(finance="1", sales="1"))
    await database.close()
