"""Changes of maps in the ledger, on both databases: one at a time, ended by a word, restored while they can be."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from domain.entities.identity import hash_of
from domain.entities.map_change_rules import ChangeClass
from domain.entities.map_change_said import ProposalStatus
from domain.entities.map_run import (
    BeforeImage,
    Candidate,
    ChangeStatus,
    ImageStatus,
    Look,
    Looked,
    LookFigures,
    LookStatus,
    LookStep,
)
from domain.entities.sync_records import Of
from domain.refusals import Refusal
from ledger import map_changes, map_looks
from ledger import map_versions as maps
from ledger.database import Database
from ledger.map_tables import BEFORE_IMAGES
from tests.unit.ledger.test_ledger_maps import (
    AMY,
    CUSTOMER,
    FILES,
    MONDAY,
    OLE,
    REX,
    RULES,
    approved,
    planned,
    records,
    without,
    word,
)

OF = Of("customer", "usmf")
LATER = MONDAY + timedelta(minutes=30)
IMAGE = BeforeImage(side="sales", field="phone", before="1", after="2", pii=True, sales_version=7)


async def of_customer(database: Database, number: int, *gone: str) -> str:
    """Propose, plan and approve a map; the hash of its plan."""
    assert await maps.propose(database, without(*gone), word(REX, f"p{number}")) == number
    plan = await planned(database, number)
    await approved(database, number, plan)
    return plan


def hit(*keys: str) -> list[Candidate]:
    return [Candidate("usmf", key, ChangeClass.OWNER) for key in keys]


async def written(database: Database, change: str, look: Look, status: ImageStatus = ImageStatus.WRITTEN) -> bool:
    """A look that writes, as the sync carries it out."""
    if not await map_looks.plan_images(database, look, (), [IMAGE], "hash", MONDAY):
        return False
    done = IMAGE.model_copy(update={"status": status})
    await map_looks.finish(database, look, Looked(status=LookStatus.WRITTEN), [done], MONDAY)
    return True


async def figures(database: Database, number: int) -> LookFigures:
    found = await map_changes.newest_of(database, "customer", number)
    assert found is not None
    return found.figures


async def test_a_change_runs_alone_and_whoever_refuses_it_has_it_taken_back(database: Database) -> None:
    await maps.note_files(database, FILES, MONDAY)
    await maps.keep_records(database, records("r1"))
    first, second = await of_customer(database, 1, "phone"), await of_customer(database, 2, "email")
    go = word(OLE, "go", seen=first)
    for _ in range(2):
        assert await map_changes.begin(database, "customer", 1, go, RULES, ("city",)) is None
    other = word(OLE, "go-2", seen=second)
    assert await map_changes.begin(database, "customer", 2, other, RULES, ()) is Refusal.MAP_CHANGE_RUNS
    late = word(AMY, "late", "cfo", seen=first)
    assert await maps.approve(database, "customer", 1, late, RULES) is Refusal.NOT_OPEN_ANY_MORE

    assert await map_looks.queue(database, "go", "customer", LookStep.CANARY, hit("A", "B", "C"), MONDAY) == 3
    assert await map_looks.queue(database, "go", "customer", LookStep.APPLY, hit("A", "B", "C", "D"), MONDAY) == 1
    a, b, c = await map_looks.due(database, OF, LATER, 9)
    assert (a.key, a.step) == ("A", LookStep.CANARY), "the fourth waits until the map is in force"
    assert await written(database, "go", a)
    assert await map_looks.plan_images(database, b, (), [IMAGE], "hash", MONDAY), "killed before it could say so"

    assert await maps.end(database, "customer", 1, word(AMY, "no"), ProposalStatus.REFUSED) is None
    assert not await written(database, "go", c), "nothing is written for a change that has ended"
    assert (await figures(database, 1)).taken_back == {LookStatus.WAITING: 2}
    assert await map_changes.activate(database, go, RULES, "", LATER) is Refusal.MAP_PLAN_STALE
    assert await map_changes.begin(database, "customer", 2, other, RULES, ()) is Refusal.MAP_CHANGE_RUNS
    for look in await map_looks.due(database, OF, LATER, 9):
        assert look.step is LookStep.RESTORE
        (image,) = (await map_looks.images(database, "go", "usmf", [look.key]))[look.key]
        assert (image.before, image.after) == ("1", "2")
        back = image.model_copy(update={"status": ImageStatus.RESTORED})
        await map_looks.finish(database, look, Looked(status=LookStatus.RESTORED), [back], LATER)
    assert (await figures(database, 1)).taken_back == {LookStatus.RESTORED: 2}
    async with database.reading() as connection:
        assert {(row.before, row.after) for row in await connection.execute(select(BEFORE_IMAGES))} == {("", "")}
    assert await map_changes.begin(database, "customer", 2, other, RULES, ()) is None


async def test_values_before_are_kept_until_they_lead_nowhere_or_their_time_is_over(database: Database) -> None:
    await maps.note_files(database, FILES, MONDAY)
    await maps.keep_records(database, records("r1"))
    plan = await of_customer(database, 1, "phone")
    go = word(OLE, "go", seen=plan)
    assert await map_changes.begin(database, "customer", 1, go, RULES, ("city",)) is None
    await map_looks.queue(database, "go", "customer", LookStep.APPLY, hit("A", "B"), MONDAY)
    assert await map_looks.due(database, OF, LATER, 9) == []
    assert await map_changes.activate(database, go, RULES, "", MONDAY) is None
    a, _ = await map_looks.due(database, OF, LATER, 9)
    assert await written(database, "go", a)
    assert await map_looks.expire_older(database, MONDAY) == 0
    assert await map_looks.expire_older(database, LATER) == 1

    back = word(OLE, "back", seen=hash_of(without("phone"))).model_copy(update={"plan": plan})
    assert await maps.roll_back(database, "customer", back) is None
    found = await map_changes.newest_of(database, "customer", 1)
    assert found is not None and found.status is ChangeStatus.ROLLED_BACK
    assert found.figures.applied == {LookStatus.WRITTEN: 1, LookStatus.DROPPED: 1}
    assert [(each.key, each.status, each.text) for each in found.failed] == [
        ("A", LookStatus.REFUSED, map_looks.TOO_OLD)
    ]
    assert await map_looks.waiting(database, OF, LATER) == 0
    assert hash_of((await maps.in_force(database))["customer"]) == hash_of(CUSTOMER)
