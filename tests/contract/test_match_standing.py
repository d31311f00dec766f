"""S39 with records that were read in bulk: doubles with what hangs on each, asked of the running sandbox."""

from __future__ import annotations

import asyncio
import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from cli.main import app
from domain.entities.clusters import Said, Status, Word
from domain.likeness import tax_form
from domain.people import Person
from ledger import cross_reference, matches
from ledger.database import open_database
from tests.contract.dataverse_world import LiveSandbox


def contosos(live: LiveSandbox, folder: Path) -> list[dict[str, Any]]:
    """US-9950 and all accounts with its tax number, as a bulk reader writes them; the accounts."""
    (customer,) = live.sandbox.finance.query("CustomersV3", CustomerAccount="US-9950")
    accounts = [
        row
        for row in live.sandbox.dataverse.rows("account")
        if tax_form(row.get("msdyn_taxexemptnumber") or "") == tax_form(customer["TaxExemptNumber"])
    ]
    finance = {
        "company": "usmf",
        "key": "US-9950",
        "account_number": "US-9950",
        "name": customer["OrganizationName"],
        "tax_number": customer["TaxExemptNumber"],
    }
    sales = [
        {
            "company": "usmf",
            "key": str(row["accountid"]),
            "account_number": row.get("accountnumber") or "",
            "name": row["name"],
            "tax_number": row["msdyn_taxexemptnumber"],
        }
        for row in accounts
    ]
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist([finance]), folder / "customer_finance.parquet")
    pq.write_table(pa.Table.from_pylist(sales), folder / "customer_sales.parquet")
    return sales


@pytest.mark.usefixtures("at_the_sandbox")
def test_s39_a_plan_shows_what_is_open_on_both_sides_and_nothing_is_written(
    live_sandbox: LiveSandbox, tmp_path: Path
) -> None:
    accounts = contosos(live_sandbox, tmp_path / "records")
    assert sorted(row["account_number"] for row in accounts) == ["", "US-9950"]
    before = live_sandbox.sandbox.finance.query("CustomersV3"), live_sandbox.sandbox.dataverse.rows("account")

    found = CliRunner().invoke(
        app, ["match", "run", "--from", "records", "--out", "out", "--standing", "--keep", "--json"]
    )
    assert found.exit_code == 1, found.output
    told = json.loads(found.stdout)
    assert (told["doubles"], told["parties"], told["problems"]) == (1, 0, [])
    assert told["kept"] == {"found": 1, "kept": 1, "new": 1, "gone": 0}

    with (tmp_path / "out" / "plans.csv").open(newline="", encoding="utf-8") as file:
        kept, given_up = csv.DictReader(file)
    assert (kept["proposal"], kept["customer"], kept["open receivables"], kept["currency"]) == (
        "keep",
        "US-9950",
        "1200.00",
        "USD",
    )
    assert kept["open orders in Finance"] == "1"
    mapped, twin = (next(row["key"] for row in accounts if row["account_number"] == n) for n in ("US-9950", ""))
    assert (given_up["proposal"], given_up["accounts"], given_up["open orders in Sales"]) == ("give up", twin, "0")
    assert kept["to do"] == f"Sales: merge {twin} into {mapped}; its quotes and orders go with it."
    after = live_sandbox.sandbox.finance.query("CustomersV3"), live_sandbox.sandbox.dataverse.rows("account")
    assert after == before

    assert asyncio.run(said_to_be_one("sqlite:///.q2c/ledger.db")) == {(twin, "US-9950"), (mapped, "US-9950")}
    again = CliRunner().invoke(app, ["match", "run", "--from", "records", "--out", "out", "--keep", "--json"])
    assert again.exit_code == 0, again.output
    told = json.loads(again.stdout)
    assert (told["doubles"], told["pairs"], told["kept"]["gone"]) == (0, 0, 0), "it is decided, and proposed no more"


async def said_to_be_one(url: str) -> set[tuple[str, str]]:
    """The one cluster that is kept, decided; the cross-reference that follows."""
    database = await open_database(url)
    (row,) = (await matches.page(database, companies=["usmf"])).rows
    kept = await matches.one(database, row.id)
    assert kept is not None and not kept.cluster.needs_two, "receivables and an order are open on one of them alone"
    word = Word(
        message_id="m",
        person=Person(oid="ines", name="Ines"),
        at=datetime.now(UTC),
        said=Said.SAME,
        chosen=tuple(customer.ref for customer in kept.cluster.customers),
        seen=kept.cluster.digest,
        why="one tax number",
    )
    assert await matches.decide(database, row.id, word) is Status.DECIDED
    links = (await cross_reference.read(database, "usmf")).links
    await database.close()
    return {(link.account, link.number) for link in links}
