"""Every column Finance serves is a published one: name, type, nullability, enum members, key."""

from __future__ import annotations

import json
import os
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from sandbox.finance.model import ENUMS, entity_sets
from sandbox.metadata.finance import generate
from sandbox.metadata.finance.generate import SETS, read_schemas
from sandbox.odata.jsonio import decode
from tests.contract.finance_world import World, open_world

SCHEMAS = (
    Path(os.environ.get("Q2C_SCHEMAS", Path(__file__).parents[2].parent / "shared" / "contract" / "schemas"))
    / "finance"
)
OWN = Path(generate.__file__).parent / "schemas"
published = pytest.mark.skipif(not SCHEMAS.is_dir(), reason="the published schemas are not on this machine")
EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
NAMESPACE = "Microsoft.Dynamics.DataEntities"


def _schema(name: str) -> dict[str, Any]:
    own = OWN / f"{name}.json"
    schema: dict[str, Any] = json.loads((own if own.exists() else SCHEMAS / f"{name}.json").read_text())
    return schema


def _plain(enum: str) -> str:
    return enum.lower().replace("_", "")


@published
@pytest.mark.parametrize("name", sorted(SETS))
def test_served_columns_are_the_published_columns(name: str) -> None:
    entity, schema = entity_sets()[name], _schema(name)
    assert list(entity.key) == schema["key"]
    assert set(entity.properties) == set(schema["fields"])
    for column, field in schema["fields"].items():
        served = entity.properties[column]
        if "enum" in field:
            assert served.members == field["enum"], column
            assert _plain(served.edm_type) == _plain(field["type"]), column
        else:
            assert served.edm_type == field["type"], column
            assert served.nullable == field["nullable"], column


@published
@pytest.mark.parametrize("name", sorted(SETS))
def test_served_navigation_is_published(name: str) -> None:
    links = _schema(name)["navigation"]
    for link in entity_sets()[name].links.values():
        assert links[link.name]["to"] == link.target
        assert (links[link.name]["kind"] == "OneToManyLink") == link.many


@published
def test_committed_tables_are_what_the_generator_writes() -> None:
    entities, enums = read_schemas(SCHEMAS)
    folder = Path(__file__).parents[2] / "sandbox" / "metadata" / "finance"
    assert json.loads((folder / "entities.json").read_text()) == entities
    assert json.loads((folder / "enums.json").read_text()) == enums


def test_keys_begin_with_the_company_where_a_set_belongs_to_one() -> None:
    without = {name for name, entity in entity_sets().items() if entity.key[0] != "dataAreaId"}
    of_company = {"CredManTableBiEntities", "CustomerCreditGroupLines", "PaymentJournalLineSettledInvoices"}
    assert {name for name in without if entity_sets()[name].company} == of_company
    assert without - of_company == {
        "BusinessEventsConfigurations",
        "Currencies",
        "CustomerCreditGroups",
        "DataManagementEntities",
        "ExchangeRateTypes",
        "ExchangeRates",
        "LegalEntities",
        "Ledgers",
        "TemporaryCreditLimits",
        "UnitOfMeasureConversions",
        "UnitsOfMeasure",
    }


@pytest.mark.parametrize("enum", ["DocumentType_IT", "FITaxationOrigin_BR", "ScaleIndicator_BR", "InvoiceType_W"])
def test_enum_types_keep_their_country_suffix(enum: str) -> None:
    assert enum in ENUMS


@pytest.fixture
async def world() -> Any:
    async with open_world() as opened:
        yield opened


async def test_rows_carry_exactly_their_columns(world: World) -> None:
    world.finance.seed_open_invoice("usmf", "US-001", Decimal(100), due_in_days=3)
    world.finance.set_exchange_rate("EUR", "USD", Decimal("1.10"))
    world.finance.share_credit("GROUP", Decimal(1_000_000), "USD", {"US-001": "usmf", "US-003": "usmf"})
    world.finance.limit_for_days("usmf", "US-001", Decimal(1_000_000), date(2026, 1, 1), date(2099, 1, 1))
    world.order("SO-1", CashDiscountCode="2%D10", PaymentScheduleName="3 x monthly")
    world.ok("addCharge", SalesOrderId="SO-1", ChargeCode="FREIGHT", Value=Decimal("12.50"))
    world.ok("confirm", SalesOrderId="SO-1")
    world.ok("packingSlip", SalesOrderId="SO-1")
    invoice = world.ok("invoice", SalesOrderId="SO-1")["InvoiceId"]
    settlements = [{"InvoiceId": invoice, "Amount": 1}]
    world.ok("payment", CustAccount="US-001", Amount=1, PaymentReference="x", Settlements=settlements)
    two = [{"LineNumber": 1, "Quantity": 2}]
    announced = world.ok("returnOrder", InvoiceId=invoice, ReasonCode="DEFECT", Lines=two)["ReturnOrderNumber"]
    world.ok("receiveReturn", ReturnOrderNumber=announced)
    line = {"Description": "Consulting", "Quantity": 3, "UnitPrice": Decimal("80.00")}
    world.ok("freeTextInvoice", CustAccount="US-001", Lines=[line])
    world.order("SO-2", OrderingCustomerAccountNumber="US-003")
    world.refused("confirm", SalesOrderId="SO-2")
    party = (await world.rows("CustomersV3"))[0]["PartyNumber"]
    world.finance.create(
        "ContactPersons", {"dataAreaId": "usmf", "AssociatedPartyNumber": party, "LastName": "Oh", "IsVip": "Yes"}
    )
    for name, entity in entity_sets().items():
        rows = await world.rows(f"{name}?cross-company=true")
        if name.startswith("ShipmentPackingSlip"):
            assert not rows, "only Warehouse management only mode writes these"
            continue
        assert rows, f"no row of {name} to look at"
        for row in rows:
            assert set(row) == {*entity.properties, "@odata.etag"}
            assert not {key for key in row if key.startswith("_")}
            for column, item in entity.properties.items():
                assert item.from_json(row[column]) == row[column], f"{name}.{column} = {row[column]!r}"


async def test_metadata_document_describes_every_set(world: World) -> None:
    answer = await world.get("$metadata")
    assert answer.headers["content-type"].startswith("application/xml")
    root = ElementTree.fromstring(answer.text)
    container = next(root.iter(f"{EDM}EntityContainer"))
    assert container.get("Name") == "Resources"
    types = {item.get("Name"): item for item in root.iter(f"{EDM}EntityType")}
    enums = {item.get("Name") for item in root.iter(f"{EDM}EnumType")}
    listed = {item.get("Name"): item.get("EntityType", "").rsplit(".", 1)[-1] for item in container}
    assert listed == SETS
    for name, entity in entity_sets().items():
        described = types[listed[name]]
        columns = {item.get("Name"): item.get("Type", "") for item in described.iter(f"{EDM}Property")}
        assert columns == {item.name: item.edm_type for item in entity.properties.values()}
        for kind in columns.values():
            assert kind.startswith("Edm.") or kind.removeprefix(f"{NAMESPACE}.") in enums


async def test_service_document_lists_every_set(world: World) -> None:
    answer = await world.client.get("/data")
    assert {item["url"] for item in decode(answer.content)["value"]} == set(SETS)


async def test_every_stored_column_is_published_somewhere_or_the_sandboxs_own(world: World) -> None:
    world.order("SO-1")
    for operation in ("confirm", "packingSlip", "invoice"):
        world.ok(operation, SalesOrderId="SO-1")
    published_columns: dict[str, set[str]] = {}
    for entity in entity_sets().values():
        stored = {item.stored for item in entity.properties.values()}
        published_columns.setdefault(entity.table, set()).update(stored)
    for table, columns in published_columns.items():
        for row in world.finance.books.table(table):
            assert not {name for name in row if not name.startswith("_")} - columns, table
