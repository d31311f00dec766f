"""Dual-write's own tables: which maps there are, and which of them run.

They come with the solution *Dual-write core*: an environment without it has neither. What is known of them:

- `msdyn_dualwriteruntimeconfig` holds a row for each map that runs with Dataverse as a source; its records are deleted
  when environments are unlinked (Microsoft Learn: "Troubleshoot live synchronization issues"). The columns
  `msdyn_internalentityname` (the table's logical name) and `msdyn_externalentityname` (the entity's name in Finance)
  are read in production, `msdyn_unsecure` holds JSON with `SourceEntityName`, `DestinationEntityName` and
  `EntityMapVersion`. A map that only runs from Finance to Dataverse has no row: absence proves nothing.
- `msdyn_dualwriteentitymap` holds a row for each version of a map; `msdyn_mapping` is JSON with the columns of its legs
  and their direction (1 from the source, 2 from the destination, 3 both).

**Unconfirmed**: the primary name column of the runtime configuration (here `msdyn_name`), and every other column, which
is left out; the tables' schema names; that a paused map keeps its row with `statecode` 1.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from sandbox.dataverse.environment import Dataverse

RUNTIME: Final = "msdyn_dualwriteruntimeconfig"
MAPS: Final = "msdyn_dualwriteentitymap"
PRIVILEGES: Final = ("prvReadmsdyn_DualWriteRuntimeConfig", "prvReadmsdyn_DualWriteEntityMap")
BOTH_WAYS: Final = 3

_TABLES: Final = (
    (
        "msdyn_DualWriteRuntimeConfig",
        "Dual Write Runtime Configuration",
        (
            ("msdyn_InternalEntityName", "String", 200),
            ("msdyn_ExternalEntityName", "String", 200),
            ("msdyn_Unsecure", "Memo", 1_048_576),
        ),
    ),
    (
        "msdyn_DualWriteEntityMap",
        "Dual Write Entity Map",
        (
            ("msdyn_DisplayName", "String", 200),
            ("msdyn_Version", "String", 100),
            ("msdyn_Mapping", "Memo", 1_048_576),
            ("msdyn_Properties", "Memo", 1_048_576),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Map:
    """A dual-write map.

    Attributes:
        table: Logical name of the table in Dataverse.
        entity: Name of the entity in Finance, e.g. `Customers V3`.
        fields: Pairs of columns, Finance's first (in capitals, as maps write them), each with its direction.
        version: Four numbers.
        running: Whether it runs; False: it is paused or stopped.
    """

    table: str
    entity: str
    fields: Sequence[tuple[str, str, int]] = ()
    version: str = "1.0.0.0"
    running: bool = True


def set_maps(dataverse: Dataverse, maps: Sequence[Map]) -> None:
    """Let exactly these maps be there; the tables are made when they are first needed.

    Raises:
        KeyError: A map names a table that there is not.
    """
    sets = {each.table: dataverse.schema.by_name[each.table].entity_set for each in maps}
    with dataverse.db.transaction():
        for schema_name, label, columns in _TABLES:
            if schema_name.lower() not in dataverse.schema.by_name:
                _make_table(dataverse, schema_name, label, columns)
        for table in (RUNTIME, MAPS):
            entity = dataverse.schema.by_name[table]
            for row in dataverse.rows(table):
                dataverse.delete(entity.entity_set, row[entity.key])
        for each in maps:
            _add(dataverse, each, sets[each.table])


def _make_table(dataverse: Dataverse, schema_name: str, label: str, columns: Sequence[tuple[str, str, int]]) -> None:
    texts = [("msdyn_Name", "String", 200), *columns]
    attributes = [
        {
            "@odata.type": f"Microsoft.Dynamics.CRM.{kind}AttributeMetadata",
            "SchemaName": name,
            "DisplayName": _label(name.removeprefix("msdyn_")),
            "MaxLength": length,
            "IsPrimaryName": name == "msdyn_Name",
        }
        for name, kind, length in texts
    ]
    body = {
        "SchemaName": schema_name,
        "DisplayName": _label(label),
        "DisplayCollectionName": _label(f"{label}s"),
        "OwnershipType": "UserOwned",
        "Attributes": attributes,
    }
    dataverse.tables.create_table(body)


def _add(dataverse: Dataverse, each: Map, entity_set: str) -> None:
    name = f"[{entity_set} - {each.entity}]"
    if each.running:
        major, minor, build, revision = map(int, each.version.split("."))
        runtime = {
            "ProjectId": str(uuid.uuid5(uuid.NAMESPACE_URL, name)),
            "SourceEntityName": entity_set,
            "SourceEnvironmentType": 1,
            "DestinationEntityName": each.entity,
            "DestinationEnvironmentType": 3,
            "EntityMapVersion": {"Major": major, "Minor": minor, "Build": build, "Revision": revision},
            "FieldMappings": [],
        }
        dataverse.create(
            f"{RUNTIME}s",
            {
                "msdyn_name": name,
                "msdyn_internalentityname": each.table,
                "msdyn_externalentityname": each.entity,
                "msdyn_unsecure": json.dumps(runtime),
            },
        )
    leg = {
        "id": "001",
        "sourceSchema": each.entity,
        "sourceEnvironmentType": "AX",
        "destinationSchema": entity_set,
        "destinationEnvironmentType": "CRM",
        "sourceFilter": "",
        "fieldMappings": [
            {"syncDirection": str(way), "sourceField": ours, "destinationField": theirs, "isSystemGenerated": False}
            for ours, theirs, way in each.fields
        ],
    }
    mapping = {
        "name": name,
        "leftEnvironmentType": "AX",
        "centerEnvironmentType": "CRM",
        "rightEnvironmentType": "UNDEFINED",
        "legs": [leg],
    }
    row = {"msdyn_name": f"msdyn_{name}", "msdyn_displayname": each.entity, "msdyn_version": each.version}
    dataverse.create(f"{MAPS}s", {**row, "msdyn_mapping": json.dumps(mapping)})


def _label(text: str) -> dict[str, Any]:
    return {"LocalizedLabels": [{"Label": text, "LanguageCode": 1033}]}
