"""Records that only one side has: made in Sales once, by the map, and what one side deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml

from activities.sync_signatures import OfSync
from activities.syncing import Plans
from domain.entities.comparing import CannotCompare
from domain.entities.merge import LetterCause
from domain.entities.new_rows import new_row_id
from domain.entities.shards import Shard
from domain.entities.sync_records import Of, key_of
from dynamics.bulk import changes, finance, sales
from dynamics.bulk.changes import SyncPlan
from dynamics.bulk.reader import Reader
from dynamics.core.errors import System
from dynamics.core.odata import Row
from dynamics.sales.client import Dataverse, DataverseSettings
from ledger.map_reading import MapReading
from tests.workflows.compare_world import map_with
from tests.workflows.sync_fixtures import MakeWorld, customers, world_of
from tests.workflows.sync_world import SyncWorld
from tests.workflows.trusting import OTTO
from workers import composition
from workers.rules import load_policy

__all__ = ["world_of"]


async def deleted(world: SyncWorld, account: str) -> None:
    """Somebody deletes a customer in Finance."""
    assert world.finance is not None
    path = f"CustomersV3(dataAreaId='usmf',CustomerAccount='{account}')?cross-company=true"
    assert (await world.finance.ask("finance", path, "DELETE")).status_code == 204


async def new_customer(world: SyncWorld, account: str, **values: object) -> None:
    """Somebody creates a customer in Finance."""
    assert world.finance is not None
    body = {
        "dataAreaId": "usmf",
        "CustomerAccount": account,
        "OrganizationName": f"Customer {account}",
        "CustomerGroupId": "10",
        "SalesCurrencyCode": "USD",
        "PartyType": "Organization",
        "PaymentTerms": "Net 45",
        "PrimaryContactPhone": "+1 206 555 0170",
        "AddressCountryRegionId": "DEU",
    }
    answer = await world.finance.ask("finance", "CustomersV3", "POST", json=body | values)
    assert answer.status_code == 201, answer.text


async def test_a_new_customer_of_finance_gets_one_account(world_of: MakeWorld, tmp_path: Path) -> None:
    rows, _ = customers(3)
    before = rows.customer(77)
    async with world_of(rows) as world:
        view = await world.start()
        accounts = len(world.sandbox.dataverse.rows("account"))
        assert (view.figures.created, view.letters) == (0, {}), "what was there at the beginning is an initial run's"

        body = {"name": "A partner", "accountnumber": "NEW-3", "customertypecode": 8}
        partner = world.sandbox.dataverse.create("accounts", body)  # of a business unit that is no company's
        await new_customer(world, "NEW-3")
        await new_customer(world, "NEW-1")
        await new_customer(world, "NEW-2", PaymentTerms="Net 10")
        view = await world.until(lambda view: view.figures.created == 1 and sum(view.letters.values()) == 2)

        (made,) = world.sandbox.dataverse.rows("account", accountnumber="NEW-1")
        assert made["accountid"] == new_row_id(Of("customer", "usmf"), "NEW-1")
        assert (made["name"], made["telephone1"], made["paymenttermscode"]) == ("Customer NEW-1", "+1 206 555 0170", 3)
        assert (made["address1_country"], made["customertypecode"]) == ("Germany", 3)
        unit = world.sandbox.dataverse.rows("businessunit", name="USMF")[0]["businessunitid"]
        assert made["_owningbusinessunit_value"] == unit
        (currency,) = world.sandbox.dataverse.rows("transactioncurrency", isocurrencycode="USD")
        assert made["_transactioncurrencyid_value"] == currency["transactioncurrencyid"]
        assert world.sandbox.dataverse.rows("account", accountnumber=before) == []
        assert {(letter.key, letter.field, letter.cause) for letter in await world.letters()} == {
            ("NEW-2", "payment_terms", LetterCause.NOT_LISTED),
            ("NEW-3", "", LetterCause.DUPLICATE),
        }
        assert world.sandbox.dataverse.rows("account", accountnumber="NEW-3") == [partner]

        again = await world.replayed(OTTO, of_cause="NOT_LISTED")
        assert (again.tried, again.failed) == (1, 1)
        assert world.finance is not None
        for account in ("NEW-2", before):
            await world.in_finance(account, PaymentTerms="Net 60")
        await world.until(lambda view: view.figures.created == 3)
        await world.rounds(4)

        assert len(world.sandbox.dataverse.rows("account")) == accounts + 1 + 3
        assert [letter.key for letter in await world.letters()] == ["NEW-3"]
        assert world.writes() == (3, 0)


async def test_what_one_side_deletes_is_deactivated_or_made_anew_where_the_map_says_so(
    world_of: MakeWorld, tmp_path: Path
) -> None:
    rows, ids = customers(3)
    kept, one, two = ids
    folder = map_with(tmp_path / "policies")
    file = folder / "maps" / "customers.yaml"
    data = yaml.safe_load(file.read_text(encoding="utf-8"))
    data["sales"] |= {"if_finance_deletes": "deactivate", "if_sales_deletes": "create"}
    file.write_text(yaml.safe_dump(data), encoding="utf-8")
    async with world_of(rows, folder) as world:
        world.sweep_seconds = 1
        await world.start()
        await deleted(world, one)
        await world.until(lambda view: world.account(ids[one])["statecode"] == 1)
        world.sandbox.dataverse.delete("accounts", ids[two])
        await world.until(lambda view: view.figures.created == 1)

        (anew,) = world.sandbox.dataverse.rows("account", accountnumber=two)
        assert (anew["accountid"] == ids[two], anew["name"]) == (False, f"Customer {two}")
        (note,) = world.sandbox.dataverse.rows("annotation")
        assert (note["_objectid_value"], "deleted in Finance" in note["notetext"]) == (ids[one], True)
        writes = world.writes()
        swept = (await world.view()).swept_at
        await world.until(lambda view: view.swept_at != swept)
        assert world.writes() == writes == (2, 0)
        assert await world.letters() == []

        await new_customer(world, one, PaymentTerms="Net 60")
        await world.until(lambda view: world.account(ids[one])["paymenttermscode"] == 4)
        assert world.account(ids[one])["statecode"] == 0
        world.in_sales(ids[kept], statecode=1)
        await world.rounds(2)
        assert world.account(ids[kept])["statecode"] == 1, "what a person deactivates stays so"
        assert await world.letters() == []


async def test_a_new_product_gets_its_unit_and_every_map_of_a_sync_finds_its_records(world_of: MakeWorld) -> None:
    async with world_of("fixtures", application_role="System Administrator") as world:
        world.entity = "product"
        world.sweep_seconds = 1
        await world.start()
        books = world.sandbox.finance
        like = next(each for each in books.query("ReleasedProductsV2", ItemNumber="P100", dataAreaId="usmf"))
        new = {"ItemNumber": "P900", "ProductNumber": "P900", "ProductSearchName": "A new pump"}
        books.seed("ReleasedProductsV2", {name: like[name] for name in ("dataAreaId", "SalesUnitSymbol")} | new)
        await world.until(lambda view: view.figures.created == 1)

        (product,) = world.sandbox.dataverse.rows("product", productnumber="P900")
        (unit,) = world.sandbox.dataverse.rows("uom", name=like["SalesUnitSymbol"])
        assert (product["name"], product["productstructure"], product["statecode"]) == ("A new pump", 1, 2)
        assert product["_defaultuomid_value"] == unit["uomid"]
        assert product["_defaultuomscheduleid_value"] == unit["_uomscheduleid_value"]

        async with planning(world) as (plans, in_finance, in_sales):
            for entity, company, least in (("currency", "demf", 2), ("unit", "demf", 1), ("price", "usmf", 5)):
                plan, resting = await plans.of(OfSync(entity=entity, company=company))
                assert resting == ""
                there = {key_of(changes.finance_key(plan, row)) for row in await rows_of(in_finance, plan)}
                page = await in_sales.page(sales.read(plan))
                here = set((await changes.read_keys(plan, in_sales, page.rows)).values())
                assert len(here & there) >= least, (entity, here, there)
                assert here <= there, (entity, here - there)
            with pytest.raises(CannotCompare, match="name the company demf"):
                await plans.of(OfSync(entity="currency", company="usmf"))


async def rows_of(reader: Reader, plan: SyncPlan) -> Sequence[Row]:
    """All records of Finance that a map means."""
    answer = await reader.row(finance.read(plan, Shard()))
    return list(answer["value"])


@asynccontextmanager
async def planning(world: SyncWorld) -> AsyncIterator[tuple[Plans, Reader, Reader]]:
    """What syncs follow, and readers of both systems."""
    of = world.settings
    where = composition.endpoints(of)
    dataverse = Dataverse(DataverseSettings(where[System.DATAVERSE], composition.credentials(of)))
    kept = MapReading(of.ledger.url.get_secret_value())
    async with (
        Reader(System.FINANCE, where[System.FINANCE], composition.reader(of)) as in_finance,
        Reader(System.DATAVERSE, where[System.DATAVERSE], composition.reader(of)) as in_sales,
    ):
        try:
            yield Plans(in_sales, dataverse, load_policy(of), None, kept), in_finance, in_sales
        finally:
            await dataverse.aclose()
            await kept.close()
