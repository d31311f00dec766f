"""Quotes as real reps leave them: numbers with any sign, lines without numbers, teams, people no directory knows."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote as url_quote

import httpx
import pytest

from sandbox.runtime import Sandbox, SandboxConfig, running


async def enter(desk: httpx.AsyncClient, **changes: Any) -> str:
    lines = [{"item": "P100", "quantity": 10}]
    body: dict[str, Any] = {"company": "usmf", "customer": "US-001", "rep": "rita", "lines": lines}
    answer = await desk.post("/quotes", json=body | changes)
    assert answer.status_code == 200, answer.text
    number: str = answer.json()["quotenumber"]
    return number


def row_of(sandbox: Sandbox, number: str) -> dict[str, Any]:
    (row,) = sandbox.dataverse.rows("quote", quotenumber=number)
    return dict(row)


@pytest.mark.parametrize("number", ["QUO/2026/0001", "Q 100% & más #7?", "Ω" * 100])
async def test_a_quote_number_may_hold_any_sign(desk: httpx.AsyncClient, sandbox: Sandbox, number: str) -> None:
    assert await enter(desk, number=number) == number
    path = f"/quotes/{url_quote(number, safe='/')}"
    assert (await desk.get(path)).json()["quotenumber"] == number
    assert (await desk.post(f"{path}/submit")).status_code == 200
    assert row_of(sandbox, number)["q2c_approvalstatus"] == 100000001
    page = await desk.get(f"/ui{path}")
    assert page.status_code == 200


async def test_a_number_of_more_than_a_hundred_characters_is_refused(desk: httpx.AsyncClient) -> None:
    body = {"company": "usmf", "customer": "US-001", "rep": "rita", "lines": [], "number": "Q" * 101}
    answer = await desk.post("/quotes", json=body)
    assert answer.status_code >= 400 and "quotenumber" in answer.text


async def test_lines_may_have_gaps_or_no_numbers_at_all(desk: httpx.AsyncClient, sandbox: Sandbox) -> None:
    lines = [
        {"item": "P100", "quantity": 1, "number": 1},
        {"item": "P250", "quantity": 2, "number": 7},
        {"item": "P100", "quantity": 3, "numbered": False},
    ]
    quote = row_of(sandbox, await enter(desk, lines=lines))
    rows = sandbox.dataverse.rows("quotedetail", quoteid=quote["quoteid"])
    assert {(row["quantity"], row.get("lineitemnumber")) for row in rows} == {(1, 1), (2, 7), (3, None)}


async def test_an_opportunity_may_have_two_quotes(desk: httpx.AsyncClient, sandbox: Sandbox) -> None:
    first = await enter(desk, opportunity=True)
    second = await enter(desk, beside=first)
    assert row_of(sandbox, first)["_opportunityid_value"] == row_of(sandbox, second)["_opportunityid_value"] is not None
    alone = await enter(desk)
    body = {"company": "usmf", "customer": "US-001", "rep": "rita", "beside": alone}
    refused = await desk.post("/quotes", json=body)
    assert refused.status_code == 409 and refused.json()["error"]["field"] == "beside"


async def test_a_team_may_own_a_quote(desk: httpx.AsyncClient, sandbox: Sandbox) -> None:
    number = await enter(desk, owner_team="USMF inside sales")
    row = row_of(sandbox, number)
    assert row["@ownerid"] == "team" and row.get("_owninguser_value") is None
    assert (await desk.post(f"/quotes/{number}/submit")).status_code == 200
    body = {"company": "usmf", "customer": "US-001", "rep": "rita", "owner_team": "nobody"}
    assert (await desk.post("/quotes", json=body)).json()["error"]["field"] == "owner_team"


async def test_delivery_and_purchase_order_are_entered_on_the_quote(desk: httpx.AsyncClient, sandbox: Sandbox) -> None:
    ship_to = {"street": "1 Quay", "city": "Duluth", "postal_code": "55802", "country": "USA", "contact": "Lia Lund"}
    number = await enter(
        desk,
        ship_to=ship_to,
        requested_delivery="2027-01-15",
        customer_reference="PO-77/B",
        payment_terms="2% 10, Net 30",
    )
    row = row_of(sandbox, number)
    assert (row["shipto_line1"], row["shipto_city"], row["shipto_contactname"]) == ("1 Quay", "Duluth", "Lia Lund")
    assert str(row["requestdeliveryby"])[:10] == "2027-01-15"
    assert row["q2c_customerreference"] == "PO-77/B" and row["paymenttermscode"] == 2


async def test_sales_knows_people_and_spellings_that_no_other_system_does(
    desk: httpx.AsyncClient, sandbox: Sandbox
) -> None:
    owner = {}
    for rep in ("nora", "umberto"):
        quote = row_of(sandbox, await enter(desk, rep=rep))
        (owner[rep],) = sandbox.dataverse.rows("systemuser", systemuserid=quote["_ownerid_value"])
        assert owner[rep].get("azureactivedirectoryobjectid") is None
    (unit,) = sandbox.dataverse.rows("businessunit", businessunitid=owner["umberto"]["_businessunitid_value"])
    assert unit["name"] == "OUTLET"
    quote = row_of(sandbox, await enter(desk, customer="US-9200"))
    (account,) = sandbox.dataverse.rows("account", accountid=quote["_customerid_value"])
    assert account["accountnumber"] == "us-9200"


async def test_settings_of_the_environment_survive_a_reset(tmp_path: Path) -> None:
    config = SandboxConfig(state_dir=tmp_path, dataverse={"pricing_decimal_precision": 4, "change_tracking_days": 1})
    async with (
        running(config) as sandbox,
        httpx.AsyncClient(base_url=sandbox.info.desk, trust_env=False) as desk,
    ):
        for _ in range(2):
            (organization,) = sandbox.dataverse.rows("organization")
            assert organization["pricingdecimalprecision"] == 4
            number = await enter(desk, lines=[{"item": "P100", "quantity": 3, "price": "0.1234"}])
            (line,) = sandbox.dataverse.rows("quotedetail", quoteid=row_of(sandbox, number)["quoteid"])
            assert line["priceperunit"] == Decimal("0.1234") and line["baseamount"] == Decimal("0.37")
            dinar = await enter(desk, company="kwmf", customer="KW-001", rep="rashid", lines=[{"item": "P099"}])
            assert (await desk.get(f"/quotes/{dinar}")).json()["total"] == "30.697"
            assert (await desk.post("/reset")).status_code == 200
