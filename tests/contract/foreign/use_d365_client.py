"""d365-client: sales orders and customers of Finance, written and read by key."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import requests
from d365_client import D365, D365Error

INFO = json.loads(Path(sys.argv[1]).read_text())
os.environ["REQUESTS_CA_BUNDLE"] = INFO["ca_file"]


def token(_: object, tenant_id: str, client_id: str, client_secret: str) -> tuple[str, int]:
    """The address of Microsoft's token endpoint is written into the client: here is the sandbox's."""
    body = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": client_secret,
        "scope": f"{INFO['finance']}/.default",
    }
    answer = requests.post(f"{INFO['entra']}/{tenant_id}/oauth2/v2.0/token", data=body, timeout=30)
    answer.raise_for_status()
    return answer.json()["access_token"], 200


D365._get_access_token = token
client = D365(
    tenant_id=INFO["tenant"],
    client_id=INFO["client_id"],
    client_secret=INFO["client_secret"],
    resource_url=INFO["finance"],
)
customers = client.customers.all({"$top": "2", "$filter": "dataAreaId eq 'usmf'"})["value"]
assert len(customers) == 2, customers
account = {"dataAreaId": "usmf", "CustomerAccount": "US-001"}
assert client.customers.get(account)["CustomerAccount"] == "US-001"
assert client.customers.exists(account) and not client.customers.exists({**account, "CustomerAccount": "NOBODY"})

header: dict[str, Any] = {"dataAreaId": "usmf", "OrderingCustomerAccountNumber": "US-001", "CurrencyCode": "USD"}
key = {"dataAreaId": "usmf", "SalesOrderNumber": client.sales_order_headers.create(header)["SalesOrderNumber"]}
client.sales_order_headers.update(key, {"CustomersOrderReference": "PO-1"})
assert client.sales_order_headers.get(key)["CustomersOrderReference"] == "PO-1"
line = {**key, "ItemNumber": "P100", "OrderedSalesQuantity": 2, "SalesPrice": 100}
assert client.sales_order_lines.create(line)["ItemNumber"] == "P100"
client.sales_order_headers.delete(key)
try:
    client.sales_order_headers.get(key)
except D365Error:
    pass
else:
    raise AssertionError("a deleted order was found")
