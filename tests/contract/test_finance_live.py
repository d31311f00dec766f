"""Finance as a client really meets it: over TLS, with a token of the sandbox's Entra ID, on the sample data."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from sandbox.odata.jsonio import decode, encode
from tests.contract.dataverse_world import LiveSandbox


@pytest.fixture(scope="module")
def client(live_sandbox: LiveSandbox) -> Iterator[httpx.Client]:
    info = live_sandbox.info
    context = ssl.create_default_context(cafile=info.ca_file)
    with httpx.Client(verify=context, trust_env=False) as http:
        token = http.post(
            f"{info.entra}/{info.tenant}/oauth2/v2.0/token",
            data={
                "grant_type": "client_credentials",
                "client_id": info.client_id,
                "client_secret": info.client_secret,
                "scope": f"{info.finance}/.default",
            },
        ).json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        http.base_url = httpx.URL(info.finance)
        yield http


def _post(client: httpx.Client, operation: str, **request: Any) -> dict[str, Any]:
    answer = client.post(
        f"/api/services/Q2CServiceGroup/Q2CPostingService/{operation}",
        content=encode({"_request": {"DataAreaId": "usmf", **request}}),
    )
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = decode(answer.content)
    assert body["Success"] is True, body["ErrorMessage"]
    return body


def _create(client: httpx.Client, name: str, **body: Any) -> dict[str, Any]:
    answer = client.post(f"/data/{name}", content=encode({"dataAreaId": "usmf", **body}))
    assert answer.status_code == 201, answer.text
    row: dict[str, Any] = decode(answer.content)
    return row


def test_an_order_from_entry_to_cash(client: httpx.Client) -> None:
    number = _create(client, "SalesOrderHeadersV4", OrderingCustomerAccountNumber="US-001")["SalesOrderNumber"]
    for line in (1, 2):
        _create(
            client,
            "SalesOrderLinesV3",
            SalesOrderNumber=number,
            ItemNumber="P100",
            OrderedSalesQuantity=5,
            SalesPrice=Decimal("100.00"),
            LineDiscountPercentage=5,
            CustomersLineNumber=line,
        )
    _post(client, "confirm", SalesOrderId=number)
    _post(client, "packingSlip", SalesOrderId=number, Lines=[{"LineNumber": 1, "Quantity": 5}])
    first = _post(client, "invoice", SalesOrderId=number)
    _post(client, "packingSlip", SalesOrderId=number)
    second = _post(client, "invoice", SalesOrderId=number)
    assert first["InvoiceAmount"] + second["InvoiceAmount"] == Decimal("1045.00")
    settlements = [{"InvoiceId": posted["InvoiceId"], "Amount": posted["InvoiceAmount"]} for posted in (first, second)]
    _post(
        client,
        "payment",
        CustAccount="US-001",
        Amount=Decimal("1045.00"),
        CurrencyCode="USD",
        PaymentReference=number,
        Settlements=settlements,
    )
    order = client.get(f"/data/SalesOrderHeadersV4(dataAreaId='usmf',SalesOrderNumber='{number}')")
    assert decode(order.content)["SalesOrderStatus"] == "Invoiced"
    path = f"/data/CustTransactions?$filter=Invoice eq '{second['InvoiceId']}'&$expand=CustTransOpen"
    [transaction] = decode(client.get(path).content)["value"]
    assert transaction["CustTransOpen"] == []


def test_the_sample_customers_have_their_receivables(client: httpx.Client) -> None:
    answer = client.get("/data/CustTransOpens?$filter=AccountNum eq 'US-005'&$select=AmountCur,DueDate")
    assert sum(row["AmountCur"] for row in decode(answer.content)["value"]) == Decimal("20000.00")


def test_a_token_for_dataverse_is_not_good_here(client: httpx.Client, live_sandbox: LiveSandbox) -> None:
    info = live_sandbox.info
    answer = client.post(
        f"{info.entra}/{info.tenant}/oauth2/v2.0/token",
        data={
            "grant_type": "client_credentials",
            "client_id": info.client_id,
            "client_secret": info.client_secret,
            "scope": f"{info.dataverse}/.default",
        },
    )
    foreign = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert client.get("/data/Currencies", headers=foreign).status_code == 401
