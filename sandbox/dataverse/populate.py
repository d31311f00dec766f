"""What an environment holds before anybody creates a row: organization, root business unit, SYSTEM, roles, messages.

Privileges and message filters follow the tables: a table that a solution adds has them as soon as it exists.
(Microsoft Learn: "Security roles and privileges", table references of organization, role, privilege, sdkmessage and
sdkmessagefilter.)
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final

from sandbox.dataverse.describing import privilege_id_of, privilege_names
from sandbox.dataverse.schema import FOLDER, Entity, Schema, metadata_id_of
from sandbox.dataverse.security import DEPTHS, GLOBAL, grant
from sandbox.dataverse.values import to_moment
from sandbox.store import Database, Row, Table

_NAMESPACE: Final = uuid.UUID("b5a4c0de-6f1d-5f0e-8a49-0d8c9e1f7a01")
SYSTEM_USER: Final = str(uuid.uuid5(_NAMESPACE, "systemuser/SYSTEM"))
ROOT_UNIT: Final = str(uuid.uuid5(_NAMESPACE, "businessunit/root"))
ORGANIZATION: Final = str(uuid.uuid5(_NAMESPACE, "organization"))
SYSTEM_ADMINISTRATOR: Final = "System Administrator"
SYSTEM_CUSTOMIZER: Final = "System Customizer"

_TEMPLATES: Final = {
    SYSTEM_ADMINISTRATOR: "627090ff-40a3-4053-8790-584edc5be201",
    SYSTEM_CUSTOMIZER: "119f245c-3cc8-4b62-b31c-d1a046ced15d",
}
_PARTS: Final = ("Entity", "Attribute", "Relationship", "OptionSet", "Customization")
CUSTOMIZING: Final = (
    *(f"prv{right}{part}" for part in _PARTS for right in ("Create", "Read", "Write", "Delete")),
    "prvPublishCustomization",
)
"""Privileges that let a user change the schema."""

_CUSTOMIZER_TABLES: Final = frozenset(
    {
        "Publisher",
        "Solution",
        "ServiceEndpoint",
        "SdkMessage",
        "SdkMessageProcessingStep",
        "SdkMessageProcessingStepImage",
        "Role",
        "User",
        "BusinessUnit",
        "Organization",
        "Team",
    }
)
_EVERY_TABLE: Final = (
    "Create",
    "Update",
    "Delete",
    "Retrieve",
    "RetrieveMultiple",
    "CreateMultiple",
    "UpdateMultiple",
    "UpsertMultiple",
)
_OWN_MESSAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "quote": ("Win", "Close", "Revise"),
    "opportunity": ("Win", "Lose"),
    "salesorder": ("Cancel", "Fulfill"),
}
MESSAGES: Final = (*_EVERY_TABLE, "Assign", "SetState", "Win", "Lose", "Close", "Revise", "Cancel", "Fulfill")
"""The messages the sandbox raises or accepts."""


def role_id_of(name: str) -> str:
    """The id of a role the sandbox brings along."""
    return str(uuid.uuid5(_NAMESPACE, f"role/{name}"))


def message_id_of(name: str) -> str:
    """The id of an `sdkmessage`."""
    return metadata_id_of(f"sdkmessage:{name}")


def filter_id_of(message: str, table: str) -> str:
    """The id of an `sdkmessagefilter`."""
    return metadata_id_of(f"sdkmessagefilter:{message}/{table}")


def populate(db: Database, schema: Schema, name: str, settings: Mapping[str, Any]) -> None:
    """Insert what is always there.

    Args:
        db: The tables, empty.
        schema: Their definitions.
        name: The environment's name, also that of its root business unit.
        settings: Columns of the organization's row.
    """
    moment = to_moment(db.clock.now())
    stamps: Row = {"createdon": moment, "modifiedon": moment, "_createdby_value": SYSTEM_USER}

    def insert(entity: str, row: Row) -> None:
        _rows(db, schema, entity).insert({**row, **stamps, "versionnumber": db.version + 1})

    insert("organization", {"organizationid": ORGANIZATION, "name": name, "languagecode": 1033, **settings})
    insert("businessunit", {"businessunitid": ROOT_UNIT, "name": name, "isdisabled": False})
    insert(
        "systemuser",
        {
            "systemuserid": SYSTEM_USER,
            "fullname": "SYSTEM",
            "lastname": "SYSTEM",
            "isdisabled": False,
            "isintegrationuser": False,
            "accessmode": 3,
            "_businessunitid_value": ROOT_UNIT,
        },
    )
    for message in MESSAGES:
        insert(
            "sdkmessage",
            {"sdkmessageid": message_id_of(message), "name": message, "isprivate": False, "isactive": True},
        )
    for role in (SYSTEM_ADMINISTRATOR, SYSTEM_CUSTOMIZER, *(item["name"] for item in _roles())):
        insert(
            "role",
            {
                "roleid": role_id_of(role),
                "name": role,
                "_businessunitid_value": ROOT_UNIT,
                "_parentrootroleid_value": role_id_of(role),
                "_roletemplateid_value": _TEMPLATES.get(role),
                "ismanaged": False,
            },
        )
    for privilege in CUSTOMIZING:
        _add_privilege(db, schema, privilege, 0, schema.by_name["organization"])
    grant(db, role_id_of(SYSTEM_ADMINISTRATOR), CUSTOMIZING, GLOBAL)
    grant(db, role_id_of(SYSTEM_CUSTOMIZER), CUSTOMIZING, GLOBAL)
    follow_schema(db, schema)
    for item in _roles():
        for depth, rights in item["grants"].items():
            grant(db, role_id_of(item["name"]), privileges_named(rights), DEPTHS[depth])


def privileges_named(rights: Iterable[str]) -> list[str]:
    """Privilege names of texts like `Read:Account,Contact`."""
    names = []
    for text in rights:
        right, _, tables = text.partition(":")
        names += [f"prv{right}{table}" for table in tables.split(",")]
    return names


def follow_schema(db: Database, schema: Schema) -> None:
    """Give every table its privileges and message filters, and take away those of tables that are gone."""
    privileges = _rows(db, schema, "privilege")
    filters = _rows(db, schema, "sdkmessagefilter")
    for entity in schema.by_name.values():
        for number, name in enumerate(privilege_names(entity).values()):
            if privileges.get((privilege_id_of(name),)) is None:
                _add_privilege(db, schema, name, 2**number, entity)
                grant(db, role_id_of(SYSTEM_ADMINISTRATOR), [name], GLOBAL)
                if entity.custom or entity.privilege in _CUSTOMIZER_TABLES:
                    grant(db, role_id_of(SYSTEM_CUSTOMIZER), [name], GLOBAL)
        for message in _messages_of(entity):
            filter_id = filter_id_of(message, entity.name)
            if filters.get((filter_id,)) is None:
                filters.insert(
                    {
                        "sdkmessagefilterid": filter_id,
                        "primaryobjecttypecode": entity.name,
                        "secondaryobjecttypecode": "none",
                        "_sdkmessageid_value": message_id_of(message),
                        "iscustomprocessingstepallowed": True,
                        "isvisible": True,
                        "versionnumber": db.version + 1,
                    }
                )
    for row in filters.find():
        if row["primaryobjecttypecode"] not in schema.by_name:
            filters.delete((row["sdkmessagefilterid"],))
    _forget_privileges(db, schema, privileges)


def _forget_privileges(db: Database, schema: Schema, privileges: Table) -> None:
    known = {name for entity in schema.by_name.values() for name in privilege_names(entity).values()}
    links = _rows(db, schema, "roleprivileges")
    for row in privileges.find():
        if row["name"] not in known and row["name"] not in CUSTOMIZING:
            for link in links.find(privilegeid=row["privilegeid"]):
                links.delete((link["roleprivilegeid"],))
            privileges.delete((row["privilegeid"],))


def _messages_of(entity: Entity) -> list[str]:
    if entity.intersect:
        return []
    extra = ["Assign"] if "ownerid" in entity.columns and entity.privilege else []
    extra += ["SetState"] if entity.states else []
    return [*_EVERY_TABLE, *extra, *_OWN_MESSAGES.get(entity.name, ())]


def _add_privilege(db: Database, schema: Schema, name: str, right: int, entity: Entity) -> None:
    local = entity.ownership in ("UserOwned", "BusinessOwned")
    _rows(db, schema, "privilege").insert(
        {
            "privilegeid": privilege_id_of(name),
            "name": name,
            "accessright": right,
            "canbebasic": entity.ownership == "UserOwned",
            "canbelocal": local,
            "canbedeep": local,
            "canbeglobal": True,
            "versionnumber": db.version + 1,
        }
    )


def _rows(db: Database, schema: Schema, name: str) -> Table:
    return db.table(name, (schema.by_name[name].key,))


def _roles() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FOLDER / "_roles.json").read_text())
    return found
