"""Definitions as the metadata Web API takes them, turned into columns and tables.

(Microsoft Learn: "Create and update column definitions using the Web API", EntityMetadata, AttributeMetadata and the
types under it, "Table definitions in Microsoft Dataverse".)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from sandbox.dataverse import errors
from sandbox.dataverse.describing import label_text, managed_value
from sandbox.dataverse.schema import Column, Entity, Navigation, OptionSet, Schema, VirtualSource

Body = Mapping[str, Any]

_KINDS: Final[Mapping[str, str]] = {
    "StringAttributeMetadata": "String",
    "MemoAttributeMetadata": "Memo",
    "IntegerAttributeMetadata": "Integer",
    "BigIntAttributeMetadata": "BigInt",
    "DecimalAttributeMetadata": "Decimal",
    "DoubleAttributeMetadata": "Double",
    "MoneyAttributeMetadata": "Money",
    "BooleanAttributeMetadata": "Boolean",
    "DateTimeAttributeMetadata": "DateTime",
    "PicklistAttributeMetadata": "Picklist",
    "UniqueIdentifierAttributeMetadata": "Guid",
}
_FIRST_CUSTOM_CODE: Final = 10_001
_OWNED: Final[Mapping[str, tuple[str, ...]]] = {
    "ownerid": ("systemuser", "team"),
    "owninguser": ("systemuser",),
    "owningteam": ("team",),
    "owningbusinessunit": ("businessunit",),
}
_STANDARD_LOOKUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "createdby": ("systemuser",),
    "modifiedby": ("systemuser",),
    "createdonbehalfby": ("systemuser",),
    "modifiedonbehalfby": ("systemuser",),
}


def column_of(schema: Schema, body: Body) -> Column:
    """The column an AttributeMetadata describes.

    Raises:
        DataverseError: Its type is not known, or its choice is not there.
    """
    kind = (
        str(body.get("@odata.type") or "").rpartition(".")[2].removeprefix("Complex")
        or f"{body.get('AttributeType')}AttributeMetadata"
    )
    if kind not in _KINDS:
        raise errors.invalid_argument(f"The sandbox has no columns of the type '{kind}'.")
    column = described(body, _KINDS[kind])
    if column.type == "DateTime" and (body.get("DateTimeBehavior") or {}).get("Value") == "DateOnly":
        return replace(column, type="DateOnly")
    if column.type == "Boolean":
        return replace(column, options=_boolean_options(body.get("OptionSet")))
    if column.type != "Picklist":
        return column
    bound = body.get("GlobalOptionSet@odata.bind")
    if bound is None:
        return replace(column, options=options_of((body.get("OptionSet") or {}).get("Options")))
    choice = _bound_choice(schema, str(bound))
    return replace(column, options=choice.options, option_set=choice.name)


def _bound_choice(schema: Schema, reference: str) -> OptionSet:
    wanted = reference.rstrip(")").rpartition("(")[2].removeprefix("Name=").strip("'")
    for choice in schema.option_sets.values():
        if wanted in (choice.metadata_id, choice.name):
            return choice
    raise errors.metadata_not_found("option set", wanted)


def described(body: Body, kind: str) -> Column:
    """What columns of all types have in common."""
    schema_name = schema_name_of(body)
    required = (body.get("RequiredLevel") or {}).get("Value")
    default = body.get("DefaultFormValue")
    length = {"String": 100, "Memo": 2000}.get(kind)
    precision = {"Decimal": 2, "Double": 2, "Money": 2}.get(kind)
    return Column(
        name=schema_name.lower(),
        type=kind,
        max_length=body.get("MaxLength") or length,
        required=None if required in (None, "None") else str(required),
        default=default if isinstance(default, int) and default >= 0 else None,
        custom=True,
        schema_name=schema_name,
        label=label_text(body.get("DisplayName")) or schema_name,
        description=label_text(body.get("Description")) or "",
        precision=body.get("Precision", precision) if precision is not None else None,
        precision_source=body.get("PrecisionSource", 2),
        minimum=body.get("MinValue"),
        maximum=body.get("MaxValue"),
        audited=managed_value(body.get("IsAuditEnabled"), True),
        format=str((body.get("FormatName") or {}).get("Value") or body.get("Format") or ""),
        external=str(body.get("ExternalName") or ""),
    )


def schema_name_of(body: Body) -> str:
    """The SchemaName of a definition, which begins with a publisher's prefix.

    Raises:
        DataverseError: It is missing or has no prefix.
    """
    name = body.get("SchemaName")
    if not isinstance(name, str) or not name:
        raise errors.invalid_argument("The required property 'SchemaName' is missing.")
    prefix, underscore, rest = name.partition("_")
    if not underscore or not rest or not prefix.isalnum() or not rest.replace("_", "").isalnum():
        raise errors.invalid_argument(
            f"The SchemaName '{name}' is not valid: it must begin with the customization prefix of a publisher and an"
            " underscore, and hold letters, digits and underscores only."
        )
    return name


def source_of(body: Body) -> VirtualSource | None:
    """Where the rows of a table are, if it is a virtual one.

    Virtual tables are owned by the organization, and neither audited nor tracked (Microsoft Learn: "Get started with
    virtual tables", limitations).

    Raises:
        DataverseError: It lacks its data source or its names there, or somebody is to own its rows.
    """
    if not body.get("DataProviderId"):
        return None
    for member in ("DataSourceId", "ExternalName", "ExternalCollectionName"):
        if not body.get(member):
            raise errors.invalid_argument(f"A virtual table needs '{member}'.")
    if str(body.get("OwnershipType")) != "OrganizationOwned":
        raise errors.invalid_argument("A virtual table must be owned by the organization.")
    given = (body["DataProviderId"], body["DataSourceId"], body["ExternalCollectionName"], body["ExternalName"])
    return VirtualSource(*(str(item) for item in given))


def key_column(name: str) -> dict[str, Column]:
    """The one column that a virtual table has of its own."""
    return {f"{name}id": Column(f"{name}id", "Guid", required="SystemRequired", schema_name=f"{name}id")}


def standard_columns(name: str, *, owned: bool) -> dict[str, Column]:
    """The columns every custom table gets."""
    columns = [
        Column(f"{name}id", "Guid", required="SystemRequired"),
        Column("createdon", "DateTime", read_only=True),
        Column("modifiedon", "DateTime", read_only=True),
        Column("overriddencreatedon", "DateOnly"),
        Column("importsequencenumber", "Integer"),
        Column("timezoneruleversionnumber", "Integer"),
        Column("utcconversiontimezonecode", "Integer"),
        Column("versionnumber", "BigInt", read_only=True),
        Column("statecode", "State", options={0: "Active", 1: "Inactive"}, required="SystemRequired"),
        Column("statuscode", "Status", options={1: "Active", 2: "Inactive"}),
    ]
    lookups = {**_STANDARD_LOOKUPS, **(_OWNED if owned else {})}
    for lookup, targets in lookups.items():
        columns.append(Column(lookup, "Lookup", targets=targets, read_only=lookup != "ownerid"))
    if not owned:
        columns.append(Column("organizationid", "Guid", read_only=True))
    return {column.name: column for column in columns}


def standard_navigations(columns: Mapping[str, Column]) -> dict[str, Navigation]:
    """The navigation properties of the columns every custom table gets."""
    return {
        column.name: Navigation(
            column.name, column, column.targets, "create+update" if column.name == "ownerid" else "none"
        )
        for column in columns.values()
        if column.type == "Lookup"
    }


def money_columns(entity: Entity, column: Column) -> dict[str, Column]:
    """What the first amount of a table brings along: its twin, the currency and the exchange rate."""
    twin = Column(f"{column.name}_base", "Money", read_only=True, custom=True, label=f"{column.label} (Base)")
    added = {
        twin.name: twin,
        "exchangerate": Column("exchangerate", "Decimal", read_only=True),
        "transactioncurrencyid": Column("transactioncurrencyid", "Lookup", targets=("transactioncurrency",)),
    }
    return {name: item for name, item in added.items() if name not in entity.columns}


def with_column(entity: Entity, column: Column) -> Entity:
    """The table with a changed column; navigation properties follow."""
    navigations = {
        name: replace(item, column=column) if item.column.name == column.name else item
        for name, item in entity.navigations.items()
    }
    return replace(entity, columns={**entity.columns, column.name: column}, navigations=navigations)


def options_of(given: Any) -> dict[int, str]:
    """Value -> label of a list of OptionMetadata.

    Raises:
        DataverseError: A value is missing or not unique.
    """
    options: dict[int, str] = {}
    for item in given or []:
        value = item.get("Value")
        if not isinstance(value, int) or value in options:
            raise errors.invalid_argument(f"The option value '{value}' is missing or not unique.")
        options[value] = label_text(item.get("Label")) or str(value)
    return options


def _boolean_options(given: Any) -> dict[int, str]:
    labels = given if isinstance(given, Mapping) else {}
    found = {}
    for value, member, text in ((0, "FalseOption", "No"), (1, "TrueOption", "Yes")):
        found[value] = label_text((labels.get(member) or {}).get("Label")) or text
    return found


def plural_of(name: str) -> str:
    """The entity set the platform derives from a logical name."""
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return f"{name[:-1]}ies"
    if name.endswith(("s", "x", "z", "ch", "sh")):
        return f"{name}es"
    return f"{name}s"
