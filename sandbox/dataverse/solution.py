"""The product's solution, installed at the start: tables, columns, keys, relationships, role, webhook steps, auditing.

It goes the way a client's setup goes, through the same designs and tables, only without HTTP; `bare` environments leave
it out, for whoever wants to run that setup. (Columns and steps: docs/tenant-set-up.md.)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from sandbox.dataverse.populate import ROOT_UNIT, filter_id_of, message_id_of, privileges_named, role_id_of
from sandbox.dataverse.schema import FOLDER, metadata_id_of
from sandbox.dataverse.security import DEPTHS, grant

if TYPE_CHECKING:
    from sandbox.dataverse.environment import Dataverse

Body = Mapping[str, Any]

UNIQUE_NAME: Final = "QuoteToCash"
ROLE: Final = "Quote to Cash"
"""The role the product's application user needs."""
ENDPOINT_ID: Final = metadata_id_of("serviceendpoint:Quote to Cash")
IMAGE: Final = "PostImage"
"""Alias of the images its steps are sent with."""
KEY_HEADER: Final = "x-q2c-webhook-key"
_COMPONENTS: Final = {"table": 1, "column": 2, "relationship": 10, "key": 14, "role": 20, "step": 92, "endpoint": 95}


def install(dataverse: Dataverse) -> None:
    """Set an environment up for the product; nothing is sent until the endpoint has an address."""
    found = json.loads((FOLDER / "_solution.json").read_text())
    publisher = dataverse.create("publishers", found["publisher"])
    solution = {**found["solution"], "publisherid@odata.bind": f"/publishers({publisher['publisherid']})"}
    dataverse.create("solutions", solution)
    _design(dataverse, found)
    _add_role(dataverse, found["role"])
    _register(dataverse, found)
    _audit(dataverse, found["audited"])


def _design(dataverse: Dataverse, found: Body) -> None:
    add = dataverse.components.add
    for item in found["tables"]:
        body = {
            "SchemaName": item["name"],
            "DisplayName": _label(item["label"]),
            "DisplayCollectionName": _label(item["plural"]),
            "OwnershipType": "UserOwned",
            "ChangeTrackingEnabled": True,
            "Attributes": [{**_attribute(item["primary"]), "IsPrimaryName": True}],
        }
        add(UNIQUE_NAME, _COMPONENTS["table"], dataverse.tables.create_table(body).metadata_id)
    for table, columns in found["columns"].items():
        for item in columns:
            column = dataverse.tables.create_column(dataverse.schema.by_name[table], _attribute(item))
            entity = dataverse.schema.by_name[table]
            add(UNIQUE_NAME, _COMPONENTS["column"], entity.column_metadata_id(column.name))
    for item in found["relationships"]:
        relationship, _ = dataverse.relationships.create_one_to_many(
            {
                "SchemaName": item["name"],
                "ReferencedEntity": item["parent"],
                "ReferencingEntity": item["child"],
                "Lookup": _attribute(item["lookup"]),
            }
        )
        add(UNIQUE_NAME, _COMPONENTS["relationship"], relationship.metadata_id)
    for table, keys in found["keys"].items():
        for name, columns in keys.items():
            body = {"SchemaName": name, "KeyAttributes": columns}
            key = dataverse.tables.create_key(dataverse.schema.by_name[table], body)
            entity = dataverse.schema.by_name[table]
            add(UNIQUE_NAME, _COMPONENTS["key"], entity.column_metadata_id(f"key:{key}"))


def _add_role(dataverse: Dataverse, role: Body) -> None:
    role_id = role_id_of(role["name"])
    body = {"roleid": role_id, "name": role["name"], "businessunitid@odata.bind": f"/businessunits({ROOT_UNIT})"}
    dataverse.create("roles", body)
    for depth, rights in role["privileges"].items():
        grant(dataverse.db, role_id, privileges_named(rights), DEPTHS[depth])
    dataverse.components.add(UNIQUE_NAME, _COMPONENTS["role"], role_id)


def _register(dataverse: Dataverse, found: Body) -> None:
    """The webhook's endpoint, its steps and their images."""
    endpoint = {"serviceendpointid": ENDPOINT_ID, "name": found["endpoint"], "contract": 8, "authtype": 5}
    dataverse.create("serviceendpoints", endpoint)
    dataverse.components.add(UNIQUE_NAME, _COMPONENTS["endpoint"], ENDPOINT_ID)
    for table, message, filtering, image in found["steps"]:
        step_id = metadata_id_of(f"step:{table}/{message}")
        dataverse.create(
            "sdkmessageprocessingsteps",
            {
                "sdkmessageprocessingstepid": step_id,
                "name": f"{found['endpoint']}: {message} of {table}",
                "mode": 1,
                "stage": 40,
                "rank": 1,
                "supporteddeployment": 0,
                "asyncautodelete": True,
                "filteringattributes": filtering or None,
                "sdkmessageid@odata.bind": f"/sdkmessages({message_id_of(message)})",
                "sdkmessagefilterid@odata.bind": f"/sdkmessagefilters({filter_id_of(message, table)})",
                "eventhandler_serviceendpoint@odata.bind": f"/serviceendpoints({ENDPOINT_ID})",
            },
        )
        dataverse.components.add(UNIQUE_NAME, _COMPONENTS["step"], step_id)
        if image:
            dataverse.create(
                "sdkmessageprocessingstepimages",
                {
                    "sdkmessageprocessingstepimageid": metadata_id_of(f"image:{table}/{message}"),
                    "name": IMAGE,
                    "entityalias": IMAGE,
                    "messagepropertyname": "Id" if message == "Create" else "Target",
                    "imagetype": 1,
                    "attributes": ",".join(image),
                    "sdkmessageprocessingstepid@odata.bind": f"/sdkmessageprocessingsteps({step_id})",
                },
            )


def _audit(dataverse: Dataverse, tables: Iterable[str]) -> None:
    """Who changes rows of these tables is written down, once the organization writes down anything."""
    for name in tables:
        dataverse.tables.update_table(dataverse.schema.by_name[name], {"IsAuditEnabled": {"Value": True}})
    dataverse.schema.publish(dataverse.schema.by_name)


def header_setting(name: str, value: str) -> str:
    """The `authvalue` of an endpoint that authenticates by an HTTP header."""
    escaped = value.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return f'<settings><setting name="{name}" value="{escaped}"/></settings>'


def _label(text: str) -> dict[str, Any]:
    return {"LocalizedLabels": [{"Label": text, "LanguageCode": 1033}]}


def _attribute(item: Body) -> dict[str, Any]:
    """A column of the file as the AttributeMetadata a client would send."""
    body: dict[str, Any] = {
        "@odata.type": f"Microsoft.Dynamics.CRM.{item['type']}AttributeMetadata",
        "SchemaName": item["name"],
        "DisplayName": _label(item["label"]),
    }
    if "length" in item:
        body["MaxLength"] = item["length"]
    if "format" in item:
        body["FormatName"] = {"Value": item["format"]}
    if "default" in item:
        body["DefaultFormValue"] = item["default"]
    if "options" in item:
        options = [{"Value": int(value), "Label": _label(text)} for value, text in item["options"].items()]
        body["OptionSet"] = {"Options": options}
    return body
