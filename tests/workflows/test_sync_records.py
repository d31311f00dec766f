"""Records that only one side has: made in Sales once, by the map, and what one side deleted."""

from __future__ import annotations

from pathlib import Path

from domain.entities.merge import LetterCause
from domain.entities.new_rows import new_row_id
from domain.entities.sync_records import Of
from tests.workflows.sync_fixtures import MakeWorld, customers, world_of
from tests.workflows.sync_world import SyncWorld, user_id
from tests.workflows.trusting import OTTO

__all__ = ["world_of"]


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
        partner = world.sandbox.dataverse.create("accounts", body, user=user_id("rita"))
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
