"""Virtual tables as a maker sets them up in Dataverse: a data source, and a table for each type of `$metadata`."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from tests.contract.bulk_world import Bulk

EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
PROVIDER = "7a1bd6b5-0d4a-5c29-8a3e-0d6f7d3c1a01"
KINDS = {
    "Edm.String": "String",
    "Edm.Decimal": "Decimal",
    "Edm.Int32": "Integer",
    "Edm.Boolean": "Boolean",
    "Edm.DateTimeOffset": "DateTime",
}


async def data_source(maker: Bulk, url: str, secret: str, *, paging: int = 1) -> str:
    """A data source that shows a company's key in a header; its id."""
    body = {
        "msdyn_name": f"Finance {secret[:4]}",
        "msdyn_uri": url,
        "msdyn_timeout": 30,
        "msdyn_paginationtype": paging,
        "msdyn_returninlinecount": True,
        "msdyn_parameter1name": "x-q2c-virtual-key",
        "msdyn_parameter1value": secret,
        "msdyn_isparameter1header": True,
    }
    prefer = {"Prefer": "return=representation"}
    answer = await maker.ask("dataverse", "msdyn_odatav4ds", "POST", json=body, headers=prefer)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["msdyn_odatav4dsid"])


def types_of(metadata: str) -> dict[str, dict[str, str]]:
    """Columns and their types by entity type."""
    root = ElementTree.fromstring(metadata)
    return {
        entity.attrib["Name"]: {each.attrib["Name"]: each.attrib["Type"] for each in entity.iter(f"{EDM}Property")}
        for entity in root.iter(f"{EDM}EntityType")
    }


async def mount(maker: Bulk, source: str, types: dict[str, dict[str, str]], suffix: str = "") -> None:
    """Make a virtual table of each type, its columns mapped to those of the same name, and its lookup to accounts."""
    for name, columns in types.items():
        table = f"{name}{suffix}"
        links = [c for c in columns if columns[c] == "Edm.Guid" and c != f"{name}id"]
        attributes = [
            {
                "AttributeType": KINDS[edm],
                "SchemaName": column,
                "ExternalName": column,
                "IsPrimaryName": column == "q2c_name",
            }
            for column, edm in columns.items()
            if edm in KINDS
        ]
        body = {
            "SchemaName": table,
            "OwnershipType": "OrganizationOwned",
            "DataProviderId": PROVIDER,
            "DataSourceId": source,
            "ExternalName": name,
            "ExternalCollectionName": f"{name}s",
            "Attributes": attributes,
        }
        await done(maker, "EntityDefinitions", "POST", body)
        key = f"EntityDefinitions(LogicalName='{table}')/Attributes(LogicalName='{table}id')"
        await done(maker, key, "PUT", {"ExternalName": f"{name}id"})
        for link in links:
            parent = {"q2c_accountid": "account", "q2c_productid": "product"}[link]
            relation = {
                "@odata.type": "Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata",
                "SchemaName": f"q2c_{parent}_{table}",
                "ReferencedEntity": parent,
                "ReferencingEntity": table,
                "Lookup": {"SchemaName": link, "ExternalName": link},
            }
            await done(maker, "RelationshipDefinitions", "POST", relation)


async def done(maker: Bulk, path: str, method: str, body: dict[str, Any]) -> None:
    answer = await maker.ask("dataverse", path, method, json=body)
    assert answer.status_code in (200, 204), answer.text
