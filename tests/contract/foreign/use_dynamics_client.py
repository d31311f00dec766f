"""dynamics-client: rows, pages, expansions, aggregates, FetchXML, references and the actions of the sales process."""

from __future__ import annotations

import json
import os
import sys
import uuid
from pathlib import Path

INFO = json.loads(Path(sys.argv[1]).read_text())
os.environ["SSL_CERT_FILE"] = INFO["ca_file"]

from dynamics import DynamicsClient, ftr  # noqa: E402
from dynamics.exceptions import DynamicsException, NotFound  # noqa: E402

client = DynamicsClient(
    api_url=f"{INFO['dataverse']}/api/data/v9.2",
    token_url=f"{INFO['entra']}/{INFO['tenant']}/oauth2/v2.0/token",
    client_id=INFO["client_id"],
    client_secret=INFO["client_secret"],
    scope=[f"{INFO['dataverse']}/.default"],
    cache_token=False,
)


def fresh(table: str, row_id: str | None = None) -> DynamicsClient:
    """The client with an empty query of a table."""
    client.reset_query()
    client.table = table
    if row_id is not None:
        client.row_id = row_id
    return client


MARK = uuid.uuid4().hex

made = [
    fresh("accounts").post({"name": f"Row {number}", "description": MARK, "creditlimit": number}) for number in range(7)
]
first = made[0].data["accountid"]
assert made[0].data["name"] == "Row 0"
assert fresh("accounts", first).patch({"name": "Changed"}).data["name"] == "Changed"

query = fresh("accounts")
query.select = ["name", "creditlimit"]
query.filter = [ftr.eq("description", MARK), ftr.gt("creditlimit", 0)]
query.orderby = {"name": "asc"}
query.pagesize = 2
rows = query.get(pagination_rules={"pages": 9})
assert [row["name"] for row in rows.data] == [f"Row {number}" for number in range(1, 7)], rows.data

query = fresh("accounts")
query.apply = f"filter(description eq '{MARK}')/aggregate(creditlimit with sum as total,$count as number)"
(totals,) = query.get().data
assert (totals["total"], totals["number"]) == (21, 7), totals

query = fresh("accounts")
query.fetch_xml = (
    "<fetch top='3'><entity name='account'><attribute name='name'/><order attribute='name' descending='true'/>"
    f"<filter><condition attribute='description' operator='eq' value='{MARK}'/></filter></entity></fetch>"
)
assert [row["name"] for row in query.get().data] == ["Row 6", "Row 5", "Row 4"]

contact = fresh("contacts").post({"lastname": "Person"}).data["contactid"]
query = fresh("accounts", first)
query.add_ref_to_property = "contact_customer_accounts"
query.post({"@odata.id": f"{INFO['dataverse']}/api/data/v9.2/contacts({contact})"})
query = fresh("accounts", first)
query.expand = {"contact_customer_accounts": {"select": ["lastname"]}}
assert [row["lastname"] for row in query.get().data[0]["contact_customer_accounts"]] == ["Person"]

client.reset_query()
assert client.functions.whoami().data[0]["UserId"]
definition = client.get(query=f"{INFO['dataverse']}/api/data/v9.2/EntityDefinitions(LogicalName='quote')/Attributes")
assert {"quotenumber", "statecode"} <= {column["LogicalName"] for column in definition.data}
fresh("accounts", first).delete()
try:
    fresh("accounts", first).get()
except NotFound:
    pass
else:
    raise AssertionError("a deleted row was found")
try:
    fresh("accounts").post({"no_such_column": 1})
except DynamicsException as problem:
    assert "no_such_column" in str(problem), problem

client.reset_query()
price_list = fresh("pricelevels").get().data[0]
quote = fresh("quotes").post(
    {"name": "A quote", "pricelevelid@odata.bind": f"/pricelevels({price_list['pricelevelid']})"}
)
quote_id = quote.data["quoteid"]
client.reset_query()
client.actions.activate_quote(quote_id)
client.reset_query()
client.actions.win_quote(quote_id)
client.reset_query()
order = client.actions.convert_quote_to_order(quote_id, select=["salesorderid", "ordernumber"])
assert order.data["ordernumber"]
