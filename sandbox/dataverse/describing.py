"""One table, column, key, choice or relationship as the metadata Web API shows it.

What the sandbox knows is told; what it has no use for (icons, mobile settings) has the value a new table gets.
(Microsoft Learn: EntityMetadata and AttributeMetadata entity types, "Web API table schema operations sample".)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sandbox.dataverse.schema import (
    LARGEST,
    Column,
    Entity,
    ManyToMany,
    OneToMany,
    OptionSet,
    Schema,
    metadata_id_of,
)
from sandbox.store import Row

_OTHERWISE: Final[Mapping[str, tuple[str, str]]] = {
    "DateOnly": ("DateTime", "DateTimeAttributeMetadata"),
    "Guid": ("Uniqueidentifier", "UniqueIdentifierAttributeMetadata"),
}
"""AttributeType and metadata type of columns whose type here is named otherwise."""
_SPECIAL_LOOKUPS: Final = {"ownerid": "Owner", "customerid": "Customer", "parentcustomerid": "Customer"}
RIGHTS: Final = ("Create", "Read", "Write", "Delete", "Append", "AppendTo", "Assign", "Share")
"""What a privilege of a table allows."""

_TABLE_SWITCHES: Final[Row] = {
    "ActivityTypeMask": 0,
    "AutoCreateAccessTeams": False,
    "AutoRouteToOwnerQueue": False,
    "CanTriggerWorkflow": True,
    "DataProviderId": None,
    "DataSourceId": None,
    "EnforceStateTransitions": False,
    "EntityColor": None,
    "ExternalCollectionName": None,
    "ExternalName": None,
    "HasActivities": False,
    "HasFeedback": False,
    "HasNotes": False,
    "IntroducedVersion": "1.0.0.0",
    "IsActivityParty": False,
    "IsAvailableOffline": False,
    "IsChildEntity": False,
    "IsImportable": True,
    "IsLogicalEntity": False,
    "IsManaged": False,
    "IsOptimisticConcurrencyEnabled": True,
    "IsPrivate": False,
    "IsQuickCreateEnabled": False,
    "IsSolutionAware": False,
    "IsValidForAdvancedFind": True,
    "PrimaryImageAttribute": None,
    "RecurrenceBaseEntityLogicalName": None,
    "SettingOf": None,
}
_AUDITING: Final = "canmodifyauditsettings"
_MANAGED: Final[Mapping[str, tuple[str, bool]]] = {
    "IsValidForQueue": ("canmodifyqueuesettings", False),
    "IsConnectionsEnabled": ("canmodifyconnectionsettings", False),
    "IsCustomizable": ("iscustomizable", True),
    "IsRenameable": ("isrenameable", True),
    "IsMappable": ("ismappable", True),
    "IsDuplicateDetectionEnabled": ("canmodifyduplicatedetectionsettings", False),
    "CanCreateAttributes": ("cancreateattributes", True),
    "CanBeRelatedEntityInRelationship": ("canberelatedentityinrelationship", True),
    "CanBePrimaryEntityInRelationship": ("canbeprimaryentityinrelationship", True),
    "CanBeInManyToMany": ("canbeinmanytomany", True),
    "CanChangeTrackingBeEnabled": ("canchangetrackingbeenabled", True),
}


@dataclass(frozen=True, slots=True)
class Item:
    """A metadata row: its type, its properties, and what can be expanded or addressed below it."""

    kind: str
    row: Row
    children: Mapping[str, Callable[[], Item | list[Item]]] = field(default_factory=dict)

    def child(self, name: str) -> Item | list[Item]:
        """What is below."""
        return self.children[name]()

    def list(self, name: str) -> list[Item]:
        """A collection below."""
        found = self.child(name)
        return found if isinstance(found, list) else [found]

    def one(self, name: str) -> Item:
        """A single definition below."""
        return self.list(name)[0]


def label(text: str, *, owner: str) -> Row:
    """A Label in English; `owner` gives its MetadataId."""
    if not text:
        return {"LocalizedLabels": [], "UserLocalizedLabel": None}
    localized = {
        "Label": text,
        "LanguageCode": 1033,
        "IsManaged": False,
        "MetadataId": metadata_id_of(f"label:{owner}"),
        "HasChanged": None,
    }
    return {"LocalizedLabels": [localized], "UserLocalizedLabel": localized}


def label_text(given: Any) -> str | None:
    """The English text of a Label a caller sent, else its first one; None where it has none."""
    if not isinstance(given, Mapping):
        return None
    labels = [item for item in given.get("LocalizedLabels") or [] if isinstance(item, Mapping)]
    user = given.get("UserLocalizedLabel")
    labels += [user] if isinstance(user, Mapping) else []
    english = [item for item in labels if item.get("LanguageCode") == 1033] or labels
    return str(english[0].get("Label") or "") if english else None


def managed(name: str, value: Any, *, can_change: bool = True) -> Row:
    """A managed property."""
    return {"Value": value, "CanBeChanged": can_change, "ManagedPropertyLogicalName": name}


def managed_value(given: Any, known: bool) -> bool:
    """The value of a managed property a caller sent; what is known, where none was sent."""
    return bool(given["Value"]) if isinstance(given, Mapping) and "Value" in given else known


def privilege_names(entity: Entity) -> Mapping[str, str]:
    """Right -> name of the privilege of a table; nothing where it has none of its own."""
    return {right: f"prv{right}{entity.privilege}" for right in RIGHTS} if entity.privilege else {}


def privilege_id_of(name: str) -> str:
    """The id of a privilege, the same at every start."""
    return metadata_id_of(f"privilege:{name.lower()}")


def _privileges(entity: Entity) -> list[Row]:
    return [
        {
            "CanBeBasic": entity.ownership == "UserOwned",
            "CanBeDeep": entity.ownership != "OrganizationOwned",
            "CanBeGlobal": True,
            "CanBeLocal": entity.ownership != "OrganizationOwned",
            "CanBeEntityReference": False,
            "CanBeParentEntityReference": False,
            "Name": name,
            "PrivilegeId": privilege_id_of(name),
            "PrivilegeType": right,
        }
        for right, name in privilege_names(entity).items()
    ]


def table_item(schema: Schema, entity: Entity) -> Item:
    """A table as EntityMetadata."""
    row: Row = {
        **_TABLE_SWITCHES,
        "MetadataId": entity.metadata_id,
        "HasChanged": None,
        "LogicalName": entity.name,
        "SchemaName": entity.schema_name,
        "EntitySetName": entity.entity_set,
        "LogicalCollectionName": entity.entity_set,
        "CollectionSchemaName": entity.entity_set,
        "PrimaryIdAttribute": entity.key,
        "PrimaryNameAttribute": entity.primary_name,
        "ObjectTypeCode": entity.object_type_code,
        "OwnershipType": entity.ownership,
        **_of_source(entity),
        "IsActivity": entity.activity,
        "IsIntersect": entity.intersect,
        "IsCustomEntity": entity.custom,
        "IsStateModelAware": bool(entity.states),
        "ChangeTrackingEnabled": entity.change_tracking,
        "DisplayName": label(entity.label, owner=f"{entity.name}.display"),
        "DisplayCollectionName": label(entity.plural, owner=f"{entity.name}.plural"),
        "Description": label(entity.description, owner=f"{entity.name}.description"),
        **{name: managed(logical, value) for name, (logical, value) in _MANAGED.items()},
        "IsAuditEnabled": managed(_AUDITING, entity.audited),
        "Privileges": _privileges(entity),
        "Settings": [],
    }
    return Item(
        "EntityMetadata",
        row,
        {
            "Attributes": lambda: [column_item(entity, column) for column in entity.columns.values()],
            "Keys": lambda: [_key_item(entity, key) for key in entity.alternate_keys],
            "OneToManyRelationships": lambda: [
                relationship_item(link) for link in schema.one_to_many.values() if link.parent == entity.name
            ],
            "ManyToOneRelationships": lambda: [
                relationship_item(link) for link in schema.one_to_many.values() if link.child == entity.name
            ],
            "ManyToManyRelationships": lambda: [
                relationship_item(link)
                for link in schema.many_to_many.values()
                if entity.name in (link.first, link.second)
            ],
        },
    )


def _of_source(entity: Entity) -> Row:
    """Where the rows of a table are."""
    if entity.source is None:
        return {"TableType": "Standard"}
    return {
        "TableType": "Virtual",
        "DataProviderId": entity.source.provider,
        "DataSourceId": entity.source.data_source,
        "ExternalName": entity.source.name,
        "ExternalCollectionName": entity.source.collection,
    }


def _key_item(entity: Entity, key: str) -> Item:
    columns = entity.alternate_keys[key]
    row: Row = {
        "MetadataId": entity.column_metadata_id(f"key:{key}"),
        "HasChanged": None,
        "LogicalName": key,
        "SchemaName": key,
        "EntityLogicalName": entity.name,
        "EntityKeyIndexStatus": "Active",
        "IsManaged": False,
        "IsSynchronous": False,
        "KeyAttributes": [entity.by_stored[column].name for column in columns],
        "DisplayName": label(key, owner=f"{entity.name}.key.{key}"),
        "IsCustomizable": managed("iscustomizable", True),
    }
    return Item("EntityKeyMetadata", row)


def column_item(entity: Entity, column: Column) -> Item:
    """A column as the AttributeMetadata of its type."""
    kind, metadata_type = _OTHERWISE.get(column.type, (column.type, f"{column.type}AttributeMetadata"))
    kind = _SPECIAL_LOOKUPS.get(column.name, kind)
    row: Row = {
        "MetadataId": entity.column_metadata_id(column.name),
        "HasChanged": None,
        "LogicalName": column.name,
        "SchemaName": column.schema_name or column.name,
        "EntityLogicalName": entity.name,
        "AttributeOf": None,
        "AttributeType": kind,
        "AttributeTypeName": {"Value": f"{kind}Type"},
        "DisplayName": label(column.label or column.name, owner=f"{entity.name}.{column.name}.display"),
        "Description": label(column.description, owner=f"{entity.name}.{column.name}.description"),
        "IsCustomAttribute": column.custom,
        "ExternalName": column.external or None,
        "IsPrimaryId": column.name == entity.key,
        "IsPrimaryName": column.name == entity.primary_name,
        "IsManaged": False,
        "IsLogical": False,
        "IsSecured": False,
        "IsValidForCreate": not column.read_only,
        "IsValidForUpdate": not column.read_only and column.name != entity.key,
        "IsValidForRead": not column.secret,
        "RequiredLevel": managed("canmodifyrequirementlevelsettings", column.required or "None"),
        "IsAuditEnabled": managed(_AUDITING, column.audited),
        "IsCustomizable": managed("iscustomizable", True),
        "IsRenameable": managed("isrenameable", True),
        **_of_type(column),
    }
    children: dict[str, Callable[[], Item | list[Item]]] = {}
    if column.is_choice or column.type == "Boolean":
        choice = OptionSet(
            column.option_set or f"{entity.name}_{column.name}", column.options, column.label or column.name
        )
        is_global = bool(column.option_set)
        name = "GlobalOptionSet" if is_global else "OptionSet"
        states = _states(entity, column)
        children[name] = lambda: choice_item(choice, states=states, kind=column.type, local=not is_global)
        if is_global:
            children["OptionSet"] = children["GlobalOptionSet"]
    return Item(metadata_type, row, children)


def _states(entity: Entity, column: Column) -> Mapping[int, int]:
    return entity.states if column.type == "Status" else {}


def _of_type(column: Column) -> Row:
    """What only columns of one type have."""
    if column.type in ("String", "Memo"):
        kind = column.format or ("Text" if column.type == "String" else "TextArea")
        return {"MaxLength": column.max_length, "Format": kind, "FormatName": {"Value": kind}, "ImeMode": "Auto"}
    if column.type == "Lookup":
        return {"Targets": list(column.targets), "Format": "None"}
    if column.type in ("Integer", "BigInt"):
        bits = 31 if column.type == "Integer" else 63
        return {
            "MinValue": column.minimum if column.minimum is not None else -(2**bits),
            "MaxValue": column.maximum if column.maximum is not None else 2**bits - 1,
            "Format": "None",
        }
    if column.type in ("Decimal", "Double", "Money"):
        numbers: Row = {
            "MinValue": column.minimum if column.minimum is not None else -LARGEST,
            "MaxValue": column.maximum if column.maximum is not None else LARGEST,
            "Precision": column.precision,
        }
        if column.type == "Money":
            numbers["PrecisionSource"] = column.precision_source
            numbers["IsBaseCurrency"] = column.name.endswith("_base")
            numbers["CalculationOf"] = column.name.removesuffix("_base") if column.name.endswith("_base") else None
        return numbers
    if column.type in ("DateTime", "DateOnly"):
        only = column.type == "DateOnly"
        return {
            "Format": "DateOnly" if only else column.format or "DateAndTime",
            "DateTimeBehavior": {"Value": "DateOnly" if only else "UserLocal"},
        }
    if column.type == "Boolean":
        return {"DefaultValue": bool(column.default)}
    if column.is_choice:
        return {"DefaultFormValue": -1 if column.default is None else column.default}
    return {}


def choice_item(
    choice: OptionSet, *, states: Mapping[int, int] | None = None, kind: str = "Picklist", local: bool = False
) -> Item:
    """A choice as OptionSetMetadata (BooleanOptionSetMetadata for yes and no)."""
    row: Row = {
        "MetadataId": choice.metadata_id,
        "HasChanged": None,
        "IsCustomOptionSet": choice.custom,
        "IsGlobal": not local,
        "IsManaged": False,
        "Name": choice.name,
        "ExternalTypeName": None,
        "OptionSetType": kind,
        "IntroducedVersion": "1.0.0.0",
        "ParentOptionSetName": None,
        "DisplayName": label(choice.label, owner=f"optionset.{choice.name}.display"),
        "Description": label(choice.description, owner=f"optionset.{choice.name}.description"),
        "IsCustomizable": managed("iscustomizable", True),
    }
    options = [_option(choice, value, text, states or {}) for value, text in choice.options.items()]
    if kind == "Boolean":
        by_value = {option["Value"]: option for option in options}
        row |= {"FalseOption": by_value.get(0), "TrueOption": by_value.get(1)}
        return Item("BooleanOptionSetMetadata", row)
    return Item("OptionSetMetadata", {**row, "Options": options})


def _option(choice: OptionSet, value: int, text: str, states: Mapping[int, int]) -> Row:
    option: Row = {
        "Value": value,
        "Label": label(text, owner=f"option.{choice.name}.{value}"),
        "Description": label("", owner=""),
        "Color": None,
        "IsManaged": False,
        "ExternalValue": "",
        "ParentValues": [],
        "MetadataId": None,
        "HasChanged": None,
    }
    if value in states:
        option |= {"State": states[value], "TransitionData": None}
    return option


def relationship_item(link: OneToMany | ManyToMany) -> Item:
    """A relationship as OneToManyRelationshipMetadata or ManyToManyRelationshipMetadata."""
    common: Row = {
        "MetadataId": link.metadata_id,
        "HasChanged": None,
        "SchemaName": link.name,
        "IsCustomRelationship": link.custom,
        "IsManaged": False,
        "IsValidForAdvancedFind": True,
        "IntroducedVersion": "1.0.0.0",
        "IsCustomizable": managed("iscustomizable", True),
    }
    if isinstance(link, ManyToMany):
        row = common | {
            "RelationshipType": "ManyToManyRelationship",
            "IntersectEntityName": link.intersect,
            "Entity1LogicalName": link.first,
            "Entity1IntersectAttribute": link.first_column,
            "Entity1NavigationPropertyName": link.first_navigation,
            "Entity2LogicalName": link.second,
            "Entity2IntersectAttribute": link.second_column,
            "Entity2NavigationPropertyName": link.second_navigation,
        }
        return Item("ManyToManyRelationshipMetadata", row)
    row = common | {
        "RelationshipType": "OneToManyRelationship",
        "SecurityTypes": "Append",
        "ReferencedEntity": link.parent,
        "ReferencedAttribute": link.parent_key,
        "ReferencedEntityNavigationPropertyName": link.parent_navigation,
        "ReferencingEntity": link.child,
        "ReferencingAttribute": link.column,
        "ReferencingEntityNavigationPropertyName": link.child_navigation,
        "RelationshipBehavior": 1,
        "IsHierarchical": False,
        "CascadeConfiguration": dict(link.cascade),
        "RelationshipAttributes": [],
    }
    return Item("OneToManyRelationshipMetadata", row)
