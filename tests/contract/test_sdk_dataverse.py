"""Microsoft's own Python client for Dataverse, pointed at the sandbox over TLS with a token from its Entra ID.

What a client somebody else wrote can do here is the best proof that the sandbox speaks Dataverse's language.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from decimal import Decimal
from enum import IntEnum
from typing import Any

import pytest
import requests
from azure.core.credentials import AccessToken
from PowerPlatform.Dataverse.client import DataverseClient
from PowerPlatform.Dataverse.core.errors import HttpError
from PowerPlatform.Dataverse.models.upsert import UpsertItem

from tests.contract.dataverse_world import LiveSandbox


class _SandboxCredential:
    """Client credentials at the sandbox's token endpoint, as azure-identity gets them from Entra ID."""

    def __init__(self, live: LiveSandbox) -> None:
        self._live = live

    def get_token(self, *scopes: str, **_: object) -> AccessToken:
        info = self._live.info
        answer = requests.post(
            f"{info.entra}/{info.tenant}/oauth2/v2.0/token",
            data={
                "grant_type": "client_credentials",
                "client_id": info.client_id,
                "client_secret": info.client_secret,
                "scope": scopes[0],
            },
            verify=info.ca_file,
            timeout=10,
        )
        answer.raise_for_status()
        found = answer.json()
        return AccessToken(found["access_token"], int(found["expires_in"]))


@pytest.fixture
def client(makers_sandbox: LiveSandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataverseClient]:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", makers_sandbox.info.ca_file)
    with DataverseClient(makers_sandbox.info.dataverse, _SandboxCredential(makers_sandbox)) as found:
        yield found


def _read(client: DataverseClient, row_id: str, column: str) -> object:
    row = client.records.retrieve("account", row_id, select=[column])
    assert row is not None
    return row[column]


def test_creates_reads_updates_and_deletes_a_row(client: DataverseClient) -> None:
    account_id = client.records.create("account", {"name": "Fabrikam", "accountnumber": "SDK-1", "creditlimit": 5000})

    assert _read(client, account_id, "name") == "Fabrikam"
    assert Decimal(str(_read(client, account_id, "creditlimit"))) == 5000

    client.records.update("account", account_id, {"name": "Fabrikam Inc."})
    assert _read(client, account_id, "name") == "Fabrikam Inc."

    client.records.delete("account", account_id)
    assert client.records.retrieve("account", account_id, select=["name"]) is None


def test_a_choice_can_be_sent_by_its_label(client: DataverseClient) -> None:
    account_id = client.records.create("account", {"name": "Litware", "customertypecode": "Customer"})

    assert _read(client, account_id, "customertypecode") == 3


def test_queries_page_by_page(client: DataverseClient) -> None:
    marker = f"Paged {uuid.uuid4()}"
    ids = client.records.create("account", [{"name": f"{marker} {number:02d}"} for number in range(7)])
    assert len(set(ids)) == 7

    pages = list(
        client.records.list_pages(
            "account",
            filter=f"startswith(name,'{marker}')",
            select=["name"],
            orderby=["name desc"],
            page_size=3,
        )
    )

    assert [len(page) for page in pages] == [3, 3, 1]
    names = [row["name"] for page in pages for row in page]
    assert names == [f"{marker} {number:02d}" for number in reversed(range(7))]


def test_updates_many_rows_in_one_request(client: DataverseClient) -> None:
    ids = client.records.create("account", [{"name": "Many 1"}, {"name": "Many 2"}])

    client.records.update("account", ids, {"websiteurl": "https://many.example"})

    assert [_read(client, row_id, "websiteurl") for row_id in ids] == ["https://many.example"] * 2


def test_upserts_by_alternate_key(client: DataverseClient) -> None:
    number = f"Q2C-{uuid.uuid4().hex[:12].upper()}"
    key = {"q2c_financeordernumber": number}

    client.records.upsert("salesorder", [UpsertItem(alternate_key=key, record={"name": "first"})])
    client.records.upsert("salesorder", [UpsertItem(alternate_key=key, record={"name": "second"})])

    rows = list(client.records.list("salesorder", filter=f"q2c_financeordernumber eq '{number}'", select=["name"]))
    assert [row["name"] for row in rows] == ["second"]


def test_batch_with_a_change_set_and_references(client: DataverseClient) -> None:
    batch = client.batch.new()
    with batch.changeset() as changes:
        account = changes.records.create("account", {"name": "Batch account"})
        changes.records.update("account", account, {"telephone1": "555-0100"})
    batch.records.list("account", filter="name eq 'Batch account'", select=["telephone1"])

    result = batch.execute()

    assert not result.has_errors
    assert [response.status_code for response in result.responses] == [204, 204, 200]
    last = result.responses[-1].data
    assert last is not None
    assert last["value"][0]["telephone1"] == "555-0100"


def test_a_failed_change_set_leaves_nothing(client: DataverseClient) -> None:
    marker = f"Atomic {uuid.uuid4()}"
    batch = client.batch.new()
    with batch.changeset() as changes:
        changes.records.create("account", {"name": marker})
        changes.records.create("account", {"name": "x" * 161})

    result = batch.execute(continue_on_error=True)

    assert [response.error_code for response in result.failed] == ["0x80044331"]
    assert list(client.records.list("account", filter=f"name eq '{marker}'", select=["name"])) == []


def test_knows_tables_and_columns_from_metadata(client: DataverseClient) -> None:
    info = client.tables.get("quote")
    assert info is not None
    assert info["entity_set_name"] == "quotes"

    columns = client.tables.list_columns("quote")
    assert {"q2c_approvalstatus", "quotenumber"} <= {column["LogicalName"] for column in columns}


def test_an_error_carries_dataverse_code_and_text(client: DataverseClient) -> None:
    with pytest.raises(HttpError) as caught:
        client.records.create("account", {"name": "x" * 161})

    assert caught.value.status_code == 400
    assert "0x80044331" in str(caught.value.details)
    assert "exceeded the maximum allowed length of '160'" in str(caught.value)


def test_upserts_and_deletes_many_rows_in_one_request(client: DataverseClient) -> None:
    numbers = [f"Q2C-{uuid.uuid4().hex[:12].upper()}" for _ in range(3)]
    first: list[UpsertItem | dict[str, Any]] = [
        UpsertItem({"q2c_financeordernumber": number}, {"name": "new"}) for number in numbers[:2]
    ]
    client.records.upsert("salesorder", first)

    every: list[UpsertItem | dict[str, Any]] = [
        UpsertItem({"q2c_financeordernumber": number}, {"description": "seen"}) for number in numbers
    ]
    client.records.upsert("salesorder", every)

    condition = " or ".join(f"q2c_financeordernumber eq '{number}'" for number in numbers)
    rows = list(client.records.list("salesorder", filter=condition, select=["salesorderid", "name", "description"]))
    assert sorted(str(row["name"]) for row in rows) == ["None", "new", "new"]
    assert [row["description"] for row in rows] == ["seen"] * 3

    client.records.delete("salesorder", [str(row["salesorderid"]) for row in rows])
    assert list(client.records.list("salesorder", filter=condition, select=["name"])) == []


class _Grade(IntEnum):
    GOLD = 1
    SILVER = 2


@pytest.fixture(scope="module")
def table(client_of_module: DataverseClient) -> Iterator[str]:
    """A table that the client made, with a column of most types, a key and a lookup."""
    tables = client_of_module.tables
    columns = {
        "new_Code": {"type": "string", "max_length": 20},
        "new_Count": {"type": "int", "min_value": 1, "max_value": 5},
        "new_Price": "decimal",
        "new_Since": "datetime",
        "new_Open": "bool",
        "new_Grade": _Grade,
    }
    made = tables.create("new_Contract", columns, primary_column="new_Title", display_name="Contract")
    assert made.entity_set_name == "new_contracts"
    tables.create_alternate_key("new_Contract", "new_contract_code", ["new_code"])
    tables.create_lookup_field("new_contract", "new_AccountId", "account", display_name="Account")
    yield "new_Contract"
    tables.delete("new_Contract")
    assert tables.get("new_Contract") is None


@pytest.fixture(scope="module")
def client_of_module(makers_sandbox: LiveSandbox) -> Iterator[DataverseClient]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", makers_sandbox.info.ca_file)
        with DataverseClient(makers_sandbox.info.dataverse, _SandboxCredential(makers_sandbox)) as found:
            yield found


def test_a_table_it_made_takes_rows_by_key_and_refuses_what_its_columns_refuse(
    client: DataverseClient, table: str
) -> None:
    account = client.records.create("account", {"name": "Holder"})
    row = {
        "new_title": "First",
        "new_price": 12.5,
        "new_open": True,
        "new_grade": 2,
        "new_since": "2026-11-26T09:00:00Z",
        "new_AccountId@odata.bind": f"/accounts({account})",
    }
    client.records.upsert("new_contract", [UpsertItem(alternate_key={"new_code": "C-1"}, record=row)])
    client.records.upsert(
        "new_contract", [UpsertItem(alternate_key={"new_code": "C-1"}, record={"new_title": "Again"})]
    )

    (found,) = client.query.sql("SELECT new_title, new_code, new_grade FROM new_contract")
    assert (found["new_title"], found["new_code"], found["new_grade"]) == ("Again", "C-1", 2)
    with pytest.raises(HttpError):
        client.records.create("new_contract", {"new_title": "Out of range", "new_count": 6})


def test_it_reads_and_changes_the_definition_of_a_table_it_made(client: DataverseClient, table: str) -> None:
    client.tables.update_column(table, "new_Code", {"max_length": 40})
    client.tables.add_columns(table, {"new_Note": "memo"})

    columns = {column["LogicalName"]: column for column in client.tables.list_columns(table, typed=True)}
    assert columns["new_code"]["MaxLength"] == 40
    assert columns["new_count"]["MinValue"] == 1 and columns["new_count"]["MaxValue"] == 5
    assert "new_note" in columns and "new_accountid" in columns
    (key,) = client.tables.get_alternate_keys(table)
    assert key.key_attributes == ["new_code"]
    related = client.tables.list_table_relationships(table)
    assert any(item.get("ReferencingAttribute") == "new_accountid" for item in related)
    client.tables.remove_columns(table, ["new_Note"])
    assert "new_note" not in {column["LogicalName"] for column in client.tables.list_columns(table)}


def test_it_asks_in_fetchxml_page_by_page(client: DataverseClient) -> None:
    mark = uuid.uuid4().hex
    client.records.create("account", [{"name": f"Row {number}", "description": mark} for number in range(5)])

    xml = (
        "<fetch count='2'><entity name='account'><attribute name='name'/><order attribute='name'/>"
        f"<filter><condition attribute='description' operator='eq' value='{mark}'/></filter></entity></fetch>"
    )
    pages = [[row["name"] for row in page] for page in client.query.fetchxml(xml).execute_pages()]

    assert pages == [["Row 0", "Row 1"], ["Row 2", "Row 3"], ["Row 4"]]
