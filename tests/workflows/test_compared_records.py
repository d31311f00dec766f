"""What a comparison has read is kept where that is asked, and then checked and matched without another request."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

from cleansing.matching import Kind, match
from cleansing.model import read_model
from cleansing.quality import run
from cleansing.relations import Relations
from cli.map_change_work import make_plan
from cli.match import MODEL
from domain.entities.comparison_run import CompareStart
from domain.entities.map_change import Base, MapPlan
from ledger import map_versions
from ledger.database import open_database
from policies.loading import load
from policies.map_files import load_maps
from policies.quality_files import load_quality_rules, own_or_packaged
from runs.comparisons import Comparisons
from tests.workflows.compare_world import DAY, CompareWorld, Rows, compare_world
from tests.workflows.conftest import queues_of_its_own

MAPS = load_maps().all


async def compared(world: CompareWorld, company: str, day: date, *, keep: bool = True) -> None:
    desk = Comparisons(world.client)
    start = CompareStart(entity="customer", company=company, keep_records=keep)
    await desk.result(await desk.begin(start, day))


async def narrowed(world: CompareWorld) -> MapPlan:
    """The plan of a map without e-mail addresses, counted over what was kept."""
    database = await open_database(world.settings.ledger.url.get_secret_value())
    assert await map_versions.note_files(database, MAPS, datetime.now(UTC)) == len(MAPS)
    base = Base.of((await map_versions.in_force(database)).values(), "customer")
    assert base.data is not None
    fields = {name: field for name, field in base.data.fields.items() if name != "email"}
    records = await map_versions.records_of(database, "customer")
    await database.close()
    return make_plan(1, base.data.model_copy(update={"fields": fields}), base, records, world.settings.data.dir)


def kept(folder: Path) -> dict[str, list[str]]:
    return {place.name: sorted(file.name for file in place.iterdir()) for place in sorted(folder.iterdir())}


async def test_records_of_a_comparison_are_kept_checked_and_matched(
    environment: WorkflowEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queues_of_its_own(monkeypatch)
    rows = Rows()
    for number in range(20):
        rows.pair(number, there={"TaxExemptNumber": f"US{number}"}, msdyn_taxexemptnumber=f"US{number}")
    twin = rows.account("", name="Customer 3 Ltd", msdyn_taxexemptnumber="us-3")
    lost = rows.account("US-000099", emailaddress1="nobody")
    rows.pair(1, "demf", there={"OrganizationName": "Berlin", "TaxExemptNumber": "DE12"})
    records = tmp_path / "data" / "records"

    async with (
        compare_world(environment.client, tmp_path, rows.write(tmp_path / "rows"), monkeypatch) as world,
        world.working(),
    ):
        await compared(world, "usmf", DAY, keep=False)
        assert not records.exists()
        await compared(world, "usmf", DAY + timedelta(days=1))
        await compared(world, "demf", DAY + timedelta(days=1))
        await compared(world, "usmf", DAY + timedelta(days=2))
        assert world.verbs() == {"GET"}
        plan = await narrowed(world)
    assert [(each.company, each.finance_records, each.sales_records) for each in plan.records] == [
        ("demf", 1, 1),
        ("usmf", 20, 22),
    ]
    (impact,) = plan.impacts
    assert (impact.change.kind, impact.change.place, impact.records, impact.exact) == (
        "NARROWING", "fields.email", 1, True
    )  # fmt: skip
    assert plan.conflicts == () and plan.snapshot

    files = ["demf.parquet", "usmf.parquet"]
    assert kept(records) == {"customer_finance": files, "customer_sales": files}
    given = Relations(MAPS)
    given.add_folder(records)

    quality = run(load_quality_rules(MAPS), given, companies=["usmf", "demf"], today=DAY)
    broken = {(each.rule, each.company, each.key) for each in quality.failures()}
    assert {(4, "usmf", twin), (5, "usmf", lost), (13, "usmf", lost), (10, "demf", "DE-000001")} <= broken
    assert {score.company: score.records for score in quality.scores} == {"usmf": 42, "demf": 2}
    assert not [each for each in quality.not_checked if each.entity == "customer"]

    model = read_model(own_or_packaged(None, MODEL).read_text(encoding="utf-8"), MODEL)
    (cluster,) = match(given, model, load().customers).clusters()
    assert cluster.kind is Kind.DOUBLE
    assert {member.key for member in cluster.members if member.side == "finance"} == {"US-000003"}
    assert twin in {member.key for member in cluster.members if member.side == "sales"}
