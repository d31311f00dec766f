"""A population of thousands: written with what goes wrong planted in it, loaded, read in bulk, judged by its truth."""

from __future__ import annotations

import csv
import filecmp
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.data.population import FIELDS, RATES
from sandbox.generate import write
from sandbox.runtime import Sandbox, SandboxConfig, running
from tests.contract.bulk_world import TRACK, Bulk, product_of, reader_of

SIZE = 2000
SEED = 7
FINANCE = (
    "CustomersV3?cross-company=true&$select=dataAreaId,CustomerAccount,OrganizationName,CreditLimit,TaxExemptNumber,"
    "PrimaryContactPhone,PrimaryContactEmail,AddressStreet,AddressCity,AddressZipCode,AddressState"
)
SALES = (
    "accounts?$select=name,accountnumber,creditlimit,msdyn_taxexemptnumber,telephone1,emailaddress1,address1_line1,"
    "address1_city,address1_postalcode,address1_stateorprovince,_owningbusinessunit_value"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("population")
    write(folder, SIZE, seed=SEED)
    return folder


@pytest.fixture(scope="module")
def truth(folder: Path) -> list[dict[str, str]]:
    with (folder / "truth.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
async def crowd(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    async with running(SandboxConfig(state_dir=tmp_path_factory.mktemp("crowd"), data=str(folder))) as sandbox:
        yield sandbox


@pytest.fixture
async def reader(crowd: Sandbox) -> AsyncIterator[Bulk]:
    async with reader_of(crowd.info) as found:
        yield found


@pytest.fixture
async def product(crowd: Sandbox) -> AsyncIterator[Bulk]:
    """Writes; what it wrote is undone by a reset."""
    async with product_of(crowd.info) as found:
        yield found
    async with httpx.AsyncClient(base_url=crowd.info.desk, trust_env=False) as desk:
        assert (await desk.post("/reset")).status_code == 200


async def test_a_comparison_finds_what_was_planted_and_nothing_else(reader: Bulk, truth: list[dict[str, str]]) -> None:
    finance = {(row["dataAreaId"], row["CustomerAccount"]): row for row in await reader.all("finance", FINANCE)}
    units = {
        row["businessunitid"]: row["name"].lower()
        for row in await reader.all("dataverse", "businessunits?$select=name")
    }
    accounts = await reader.all("dataverse", SALES)
    sales = {
        (units[row["_owningbusinessunit_value"]], row["accountnumber"]): row for row in accounts if row["accountnumber"]
    }

    different = {
        (key, field): (str(row[ours]), str(sales[key][theirs]))
        for key, row in finance.items()
        if key in sales
        for field, (ours, theirs) in FIELDS.items()
        if row[ours] != sales[key][theirs]
    }

    planted = {
        ((row["company"], row["finance_account"]), row["field"]): (row["finance_value"], row["sales_value"])
        for row in truth
        if row["field"]
    }
    assert {key: _plain(found) for key, found in different.items()} == {k: _plain(v) for k, v in planted.items()}
    lonely = {(row["company"], row["finance_account"]) for row in truth if row["kind"] == "only_in_finance"}
    unmapped = {key for key in finance if key[0] == "frmf"}
    assert set(finance) - set(sales) == lonely | unmapped
    twins = [row for row in truth if row["finance_account"] == "" and row["kind"] != "unmapped_company"]
    ids = {row["accountid"] for row in accounts}
    assert {row["sales_accountid"] for row in twins} <= ids
    assert len(accounts) - sum(key in finance for key in sales) == len(twins) + _outlets(truth)


def _plain(values: tuple[str, str]) -> tuple[str, ...]:
    """Amounts without the noughts at their end."""
    return tuple(str(Decimal(v).normalize()) if v.replace(".", "", 1).isdigit() else v for v in values)


def _outlets(truth: list[dict[str, str]]) -> int:
    return sum(row["kind"] == "unmapped_company" and not row["company"] for row in truth)


def test_every_kind_is_planted_about_as_often_as_asked(truth: list[dict[str, str]]) -> None:
    found = Counter(row["kind"] for row in truth)

    assert len(truth) == SIZE
    for kind, rate in RATES.items():
        assert 0 < found[kind] < 3 * rate * SIZE, kind
    assert {row["field"] for row in truth if row["kind"] == "rounding"} == {"credit_limit"}
    for row in truth:
        conflicting = row["kind"] == "conflict"
        assert bool(row["base_value"]) == conflicting
        assert len({row["finance_value"], row["sales_value"], row["base_value"]}) == (3 if conflicting else 1) or (
            row["kind"] in ("different", "rounding", "formatted")
        )


def test_doubles_name_a_customer_that_is_there(truth: list[dict[str, str]]) -> None:
    there = {f"{row['company']}/{row['finance_account']}" for row in truth if row["kind"] == "agrees"}

    assert {row["same_as"] for row in truth if row["same_as"]} <= there


def test_the_same_seed_writes_the_same_bytes_and_another_seed_does_not(folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "again", SIZE, seed=SEED)
    write(tmp_path / "other", SIZE, seed=SEED + 1)

    names = sorted(path.name for path in folder.iterdir())
    assert filecmp.cmpfiles(folder, tmp_path / "again", names, shallow=False)[0] == names
    assert "truth.csv" in filecmp.cmpfiles(folder, tmp_path / "other", names, shallow=False)[1]


def test_the_command_takes_rates_and_fields_and_refuses_what_there_is_not(tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sandbox.generate", str(tmp_path / "p"), "--customers", "300", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    nothing = [part for kind in RATES if kind != "different" for part in ("--rate", f"{kind}=0")]
    assert run(*nothing, "--rate", "different=0.5", "--fields", "phone").returncode == 0
    with (tmp_path / "p" / "truth.csv").open(encoding="utf-8", newline="") as file:
        found = Counter((row["kind"], row["field"]) for row in csv.DictReader(file))
    assert set(found) == {("agrees", ""), ("different", "phone")}
    assert 100 < found["different", "phone"] < 200
    assert run("--rate", "wrong=0.1").returncode == 2


async def test_shards_by_wildcard_add_up_to_the_whole(reader: Bulk, truth: list[dict[str, str]]) -> None:
    whole = await reader.count("finance", "CustomersV3/$count?cross-company=true&$filter=dataAreaId eq 'usmf'")
    shards = [
        await reader.count(
            "finance",
            f"CustomersV3/$count?cross-company=true&$filter=dataAreaId eq 'usmf' and CustomerAccount eq 'US-000{n}*'",
        )
        for n in range(10)
    ]
    exact = "CustomersV3/$count?cross-company=true&$filter=CustomerAccount eq 'us-0000*'"

    assert sum(shards) == whole == sum(row["company"] == "usmf" and row["finance_account"] != "" for row in truth)
    assert await reader.count("finance", exact) == shards[0]


async def test_a_change_of_a_customer_is_found_by_its_modification_time_and_one_of_the_party_is_not(
    reader: Bulk, product: Bulk
) -> None:
    changed = "CustomersV3(dataAreaId='usmf',CustomerAccount='US-0000010')?cross-company=true"
    renamed = "CustomersV3(dataAreaId='usmf',CustomerAccount='US-0000011')?cross-company=true"
    assert (await product.ask("finance", changed, "PATCH", json={"CreditLimit": 7})).status_code == 204
    assert (await product.ask("finance", renamed, "PATCH", json={"OrganizationName": "New name"})).status_code == 204

    found = await reader.all(
        "finance",
        "CustTableBiEntities?cross-company=true&$select=dataAreaId,AccountNum,SourceKey,SysModifiedDateTime,CreditMax"
        "&$filter=SysModifiedDateTime ge 2026-09-27T00:00:00Z&$orderby=SysModifiedDateTime,SourceKey",
    )
    lately = await reader.all(
        "finance",
        "CustTableBiEntities?cross-company=true&$filter=SysModifiedDateTime ge 2026-09-06T00:00:00Z"
        "&$orderby=SysModifiedDateTime,SourceKey&$select=AccountNum,SysModifiedDateTime,SourceKey",
    )

    assert [(row["AccountNum"], row["CreditMax"]) for row in found] == [("US-0000010", 7)]
    assert len(lately) > len(found)
    moments = [(row["SysModifiedDateTime"], row["SourceKey"]) for row in lately]
    assert moments == sorted(moments)
    names = await reader.all("finance", FINANCE + "&$filter=CustomerAccount eq 'US-000001*'")
    assert [r["OrganizationName"] for r in names if r["CustomerAccount"] == "US-0000011"] == ["New name"]


async def test_pages_of_finance_shift_when_a_row_is_inserted_before_them(reader: Bulk, product: Bulk) -> None:
    path = "CustomersV3?cross-company=true&$filter=dataAreaId eq 'usmf'&$select=CustomerAccount"
    first = await reader.body("finance", path, Prefer="odata.maxpagesize=500")
    new = {"dataAreaId": "usmf", "CustomerAccount": "US-0000001A", "OrganizationName": "Adatum"}
    new |= {"CustomerGroupId": "10", "SalesCurrencyCode": "USD"}
    assert (await product.ask("finance", "CustomersV3", "POST", json=new)).status_code == 201

    second = await reader.body("finance", first["@odata.nextLink"], Prefer="odata.maxpagesize=500")

    assert "$skip=500" in first["@odata.nextLink"]
    assert first["value"][-1]["CustomerAccount"] == second["value"][0]["CustomerAccount"]
    everything = await reader.all("finance", path)
    assert sum(row["CustomerAccount"] == "US-0000001A" for row in everything) == 1


async def test_pages_of_sales_begin_after_the_last_row_whatever_was_written(reader: Bulk, crowd: Sandbox) -> None:
    first = await reader.body("dataverse", "accounts?$select=name", Prefer="odata.maxpagesize=500")
    last = first["value"][-1]["accountid"]
    before = {"accountid": "00000000-0000-4000-8000-000000000001", "name": "Before all others"}
    crowd.dataverse.create("accounts", before)

    second = await reader.body("dataverse", first["@odata.nextLink"], Prefer="odata.maxpagesize=500")

    assert second["value"][0]["accountid"] > last
    crowd.dataverse.delete("accounts", before["accountid"])


async def test_a_delta_link_tells_changes_and_deletions_and_nothing_of_the_rest(reader: Bulk, crowd: Sandbox) -> None:
    first = await reader.body("dataverse", "accounts?$select=accountnumber", **TRACK)
    pages, link = first["value"], first["@odata.deltaLink"]
    changed, gone = pages[3]["accountid"], pages[4]["accountid"]
    crowd.dataverse.update("accounts", changed, {"telephone1": "+1555"})
    crowd.dataverse.delete("accounts", gone)

    changes = await reader.body("dataverse", link)

    told: dict[str, Any] = {row.get("accountid") or row["id"]: row.get("reason") for row in changes["value"]}
    assert told == {changed: None, gone: "deleted"}
    assert await reader.count("dataverse", "accounts/$count") == len(pages) - 1
    assert (await reader.ask("dataverse", f"accounts({gone})")).status_code == 404
    crowd.clock.offset += timedelta(days=8)
    expired = await reader.ask("dataverse", changes["@odata.deltaLink"])
    crowd.clock.offset -= timedelta(days=8)
    assert expired.status_code == 410
    assert expired.json()["error"]["code"] == "0x80044352"


async def test_accounts_and_contacts_are_found_by_what_they_hold(reader: Bulk) -> None:
    page = await reader.body("dataverse", "accounts?$select=name,accountnumber&$filter=accountnumber eq 'us-0000010'")
    (account,) = page["value"]
    contacts = f"contacts?$select=fullname&$filter=_parentcustomerid_value eq {account['accountid']}"
    expanded = f"accounts({account['accountid']})?$select=name&$expand=contact_customer_accounts($select=fullname)"

    (contact,) = (await reader.body("dataverse", contacts))["value"]

    assert account["accountnumber"] == "US-0000010"
    (row,) = (await reader.body("dataverse", expanded))["contact_customer_accounts"]
    assert row["contactid"] == contact["contactid"]


async def test_a_quote_for_one_of_them_is_made_at_the_desk(crowd: Sandbox, truth: list[dict[str, str]]) -> None:
    account = next(row["finance_account"] for row in truth if row["kind"] == "agrees" and row["company"] == "usmf")
    quote = {"company": "usmf", "customer": account, "rep": "rita", "lines": [{"item": "P100", "quantity": 1}]}
    async with httpx.AsyncClient(base_url=crowd.info.desk, trust_env=False) as desk:
        made = await desk.post("/quotes", json=quote)
        listed = await desk.get("/customers", params={"company": "usmf"})
        await desk.post("/reset")

    assert made.status_code == 200, made.text
    assert 0 < len(listed.json()) <= 500


async def test_counts_of_sales_are_no_proof(reader: Bulk, crowd: Sandbox) -> None:
    path = "RetrieveTotalRecordCount(EntityNames=@p1)?@p1=['account']"
    before = (await reader.body("dataverse", path))["EntityRecordCountCollection"]["Values"][0]
    new = crowd.dataverse.create("accounts", {"name": "One more"})["accountid"]

    after = (await reader.body("dataverse", path))["EntityRecordCountCollection"]["Values"][0]

    assert after == before
    assert await reader.count("dataverse", "accounts/$count") == before + 1
    crowd.dataverse.delete("accounts", new)


def test_a_folder_whose_rows_are_out_of_order_is_refused(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    lines = (tmp_path / "CustomersV3.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    lines[1], lines[2] = lines[2], lines[1]
    (tmp_path / "CustomersV3.csv").write_text("".join(lines), encoding="utf-8")

    command = [sys.executable, "-m", "sandbox", "--ports", "auto", "--data", str(tmp_path)]
    found = subprocess.run(
        [*command, "--state-dir", str(tmp_path / "state")], capture_output=True, text=True, check=False, timeout=90
    )

    assert found.returncode == 1
    assert "rows must be ordered by their key" in found.stderr
