"""dataverse-api: rows one by one, in bulk and in batches, pages, single columns, and its reading of the metadata."""

from __future__ import annotations

import json
import os
import sys
import uuid
from pathlib import Path

import requests
from dataverse_api.dataverse import DataverseClient
from dataverse_api.metadata.attributes import DecimalAttributeMetadata, LookupAttributeMetadata, StringAttributeMetadata
from dataverse_api.metadata.complex_properties import create_label
from dataverse_api.metadata.entity import define_entity
from dataverse_api.metadata.enums import OwnershipType
from dataverse_api.metadata.helpers import Publisher, Solution
from dataverse_api.metadata.relationships import define_relationship

INFO = json.loads(Path(sys.argv[1]).read_text())
os.environ["REQUESTS_CA_BUNDLE"] = INFO["ca_file"]


def authorised() -> requests.Session:
    """A session with the application's token."""
    body = {
        "grant_type": "client_credentials",
        "client_id": INFO["client_id"],
        "client_secret": INFO["client_secret"],
        "scope": f"{INFO['dataverse']}/.default",
    }
    answer = requests.post(f"{INFO['entra']}/{INFO['tenant']}/oauth2/v2.0/token", data=body, timeout=30)
    answer.raise_for_status()
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return session


MARK = uuid.uuid4().hex
session = authorised()
client = DataverseClient(session, INFO["dataverse"])
accounts = client.entity("account")
assert accounts.entity_set_name == "accounts" and accounts.primary_id_attr == "accountid"
assert accounts.supports_create_multiple and accounts.supports_update_multiple
assert client.entity("q2c_deal").alternate_keys == {"q2c_caseid_key": ["q2c_caseid"]}
assert accounts.relationships.collection_valued and accounts.relationships.single_valued
assert client.get_language_codes() == [1033]

for mode in ("individual", "multiple", "batch"):
    accounts.create([{"name": f"{mode} {number}", "description": f"{mode} {MARK}"} for number in range(7)], mode=mode)
    rows = accounts.read(select=["name"], filter=f"description eq '{mode} {MARK}'", order_by="name", page_size=3)
    assert [row["name"] for row in rows] == [f"{mode} {number}" for number in range(7)], rows

ids = [row["accountid"] for row in accounts.read(filter=f"description eq 'batch {MARK}'")]
accounts.upsert([{"accountid": ids[0], "name": "Upserted"}])
accounts.delete_columns(ids=ids[:2], columns=["description"])
assert len(accounts.read(filter=f"description eq 'batch {MARK}'")) == 5
accounts.delete(ids=ids)
assert accounts.read(filter=f"description eq 'batch {MARK}' or name eq 'Upserted'") == []

publisher = client.create_publisher(Publisher("Foreign", "foreign", "of a client", "frn", 40000))
publisher_id = publisher.headers["OData-EntityId"].rpartition("(")[2].rstrip(")")
# Its create_solution binds `publisher`; a solution's navigation property is `publisherid`.
solution = Solution("Foreign", "ForeignSolution", "of a client", publisher_id)()
solution["publisherid@odata.bind"] = solution.pop("publisher@odata.bind")
session.post(f"{INFO['dataverse']}/api/data/v9.2/solutions", json=solution).raise_for_status()
name = StringAttributeMetadata(schema_name="frn_Name", is_primary_name=True, max_length=80)
ship = define_entity("frn_Ship", [name], display_name="Ship", ownership_type=OwnershipType.USER_OWNED)
client.create_entity(ship, solution_name="ForeignSolution")
lookup = LookupAttributeMetadata(schema_name="frn_AccountId", display_name=create_label(label="Account"))
client.create_relationship(define_relationship("frn_account_ships", "frn_ship", "account", lookup))
ships = client.entity("frn_ship")
tonnage = DecimalAttributeMetadata(schema_name="frn_Tonnage", min_value=0, max_value=1e6, precision=3)
ships.add_attribute(tonnage, solution_name="ForeignSolution")
owner = accounts.read(select=["name"], top=1)[0]
ships.create([{"frn_name": "Anna", "frn_tonnage": 12.5, "frn_AccountId@odata.bind": f"accounts({owner['accountid']})"}])
(anna,) = ships.read(expand="frn_AccountId($select=name)")
assert (anna["frn_tonnage"], anna["frn_AccountId"]["name"]) == (12.5, owner["name"])
assert client.get_entity_definition("frn_ship").schema_name == "frn_Ship"
assert client.get_relationship_definition("frn_account_ships").schema_name == "frn_account_ships"
ships.remove_attribute(logical_name="frn_tonnage")
client.delete_entity("frn_ship")
