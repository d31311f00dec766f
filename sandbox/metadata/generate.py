"""Makes the compact Dataverse tables in `sandbox/metadata/dataverse` from a folder of published schemas.

Run by hand when the published schemas change: ``python -m sandbox.metadata.generate FOLDER``, where FOLDER holds one
JSON file for each entity set, merged from Microsoft's Common Data Model and the typings of a real tenant. Those two
sources describe some types loosely (a number, a lookup, a date or a date with time); what the Web API really answers
is decided here, once, and the contract tests check the outcome against the same schemas.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, Final

TARGET: Final = Path(__file__).parent / "dataverse"

_READ_ONLY: Final = frozenset(
    "createdon createdby createdonbehalfby modifiedon modifiedby modifiedonbehalfby owningbusinessunit owningteam"
    " owninguser organizationid revisionnumber pricingerrorcode quotestatecode salesorderstatecode invoicestatecode"
    " opportunitystatecode salesorderispricelocked invoiceispricelocked accountid contactid slainvokedid"
    " teamsfollowed lastonholdtime".split()
)
_COMPUTED: Final = frozenset(
    "baseamount extendedamount totallineitemdiscountamount totaldiscountamount totalamountlessfreight"
    " totallineitemamount totalamount totaltax".split()
)
_WRITABLE_KEYS: Final = {"accounts": "accountid", "contacts": "contactid"}
_DECIMAL_NUMBERS: Final = re.compile(r"exchangerate|latitude|longitude|margin$")
_MONEY_NUMBERS: Final = re.compile(
    r"_base$|amount|cost|revenue|budgetrollup$|invoicedtilldate|invoicesetuptotals|costrollup$|travelcharge|forecast"
)
_GUID_TEXTS: Final = re.compile(
    r"activityid|address\d_addressid|entityimageid|seriesid|transactioncurrencyid|subscriptionid|uniquedscid"
)
_ADDRESS_LENGTHS: Final = {
    "city": 80,
    "composite": 1000,
    "country": 80,
    "county": 50,
    "fax": 50,
    "line1": 250,
    "line2": 250,
    "line3": 250,
    "name": 100,
    "postalcode": 20,
    "postofficebox": 20,
    "primarycontactname": 100,
    "stateorprovince": 50,
    "telephone1": 50,
    "telephone2": 50,
    "telephone3": 50,
    "upszone": 4,
}
"""Columns of an address -> characters; which the published schemas lack. (Constants made from a tenant's metadata.)"""
_LENGTHS: Final = {
    "address1_name": 200,
    "activityadditionalparams": 8192,
    "exchangeweblink": 1250,
    "currencyname": 100,
    "currencysymbol": 13,
    "isocurrencycode": 5,
    "productnumber": 100,
}
"""Other columns whose length the published schemas leave out. (The same; Microsoft's table references.)"""
_POLYMORPHIC: Final = {
    "customerid": ["account", "contact"],
    "parentcustomerid": ["account", "contact"],
    "ownerid": ["systemuser", "team"],
}
_TARGETS: Final = {
    "createdby": "systemuser",
    "createdonbehalfby": "systemuser",
    "modifiedby": "systemuser",
    "modifiedonbehalfby": "systemuser",
    "owninguser": "systemuser",
    "owningteam": "team",
    "owningbusinessunit": "businessunit",
    "organizationid": "organization",
    "transactioncurrencyid": "transactioncurrency",
    "accountid": "account",
    "contactid": "contact",
}


def main(folder: Path) -> None:
    """Write one table file for each Dataverse schema in `folder`."""
    schemas = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    logical_names = {schema["entity_set"]: schema["logical_name"] for schema in schemas.values()}
    for name, schema in schemas.items():
        table = table_of(schema, logical_names)
        (TARGET / f"{name}.json").write_text(_layout(table))


def table_of(schema: dict[str, Any], logical_names: dict[str, str]) -> dict[str, Any]:
    """The compact table of one published schema.

    Args:
        schema: One published schema file.
        logical_names: Entity set -> logical name of every published table, to name the targets of lookups.
    """
    binds = schema["bindable_lookups (<name>@odata.bind)"]
    navigations: dict[str, dict[str, Any]] = {}
    columns: dict[str, dict[str, Any]] = {}
    options: dict[str, dict[str, str]] = {}
    states: dict[str, int] = {}
    for name, field in schema["fields"].items():
        if not name.isidentifier():
            continue  # "regardingobject(?)" is the published files' own note beside regardingobjectid
        column = _column(schema, name, field)
        columns[name] = column
        if column["type"] in ("Picklist", "State", "Status"):
            options[name] = _options(field)
            if column["type"] == "Status":
                states = _states(field, options[name], _options(schema["fields"]["statecode"]))
        if column["type"] == "Lookup":
            navigations.update(_navigations(name, column, binds, logical_names))
    return {
        "entitySet": schema["entity_set"],
        "logicalName": schema["logical_name"],
        "key": schema["key"][0],
        "primaryName": schema["primary_name"],
        "columns": columns,
        "options": options,
        "states": states,
        "navigations": navigations,
        "sources": schema["source"],
    }


def _length(name: str) -> int | None:
    kind, _, part = name.partition("_")
    address = _ADDRESS_LENGTHS.get(part) if re.fullmatch(r"address\d", kind) else None
    return _LENGTHS.get(name, address)


def _column(schema: dict[str, Any], name: str, field: dict[str, Any]) -> dict[str, Any]:
    column: dict[str, Any] = {"type": _type(schema, name, field)}
    if name == "priceperunit":
        column |= {"precision": 2, "precisionSource": 1}  # the organization's pricing decimal precision
    length = field.get("max_length") or _length(name)
    if length and (column["type"] in ("String", "Memo") or "max_length" in field):
        column["maxLength"] = length
    if column["type"] == "Lookup":
        column["targets"] = _POLYMORPHIC.get(name) or [_target(name, field)]
    level = field.get("required_level")
    if level in ("required", "systemrequired"):
        column["required"] = "SystemRequired" if level == "systemrequired" else "ApplicationRequired"
    own_key = _WRITABLE_KEYS.get(schema["entity_set"]) == name or name == schema["key"][0]
    if not own_key and (field.get("read_only") or name in _READ_ONLY or name.endswith("_base")):
        column["readOnly"] = True
    elif name == "exchangerate" and schema["logical_name"] != "transactioncurrency":
        column["readOnly"] = True
    elif name in _COMPUTED:
        column["computed"] = True
    return column


def _type(schema: dict[str, Any], name: str, field: dict[str, Any]) -> str:
    published, kind = field["type"], field.get("kind")
    if published == "lookup":
        return "Lookup"
    if name == schema["key"][0]:
        return "Guid"
    if kind == "baseCurrency" or kind == "money":
        return "Money"
    if name == "statecode":
        return "State"
    if name == "statuscode":
        return "Status"
    if kind == "picklist":
        return "Picklist"
    if published == "number":
        return _number_type(name)
    if published == "Edm.String" and kind is None and _GUID_TEXTS.fullmatch(name):
        return "Guid"
    return {
        "Edm.String": "String",
        "Edm.Boolean": "Boolean",
        "Edm.Int32": "Integer",
        "Edm.Int64": "BigInt",
        "Edm.Decimal": "Decimal",
        "Edm.Guid": "Guid",
        "Edm.Date": "DateOnly",
        "Edm.DateTimeOffset": "DateTime",
        "Edm.DateTimeOffset|Edm.Date": "DateTime",
    }[published]


def _number_type(name: str) -> str:
    if _DECIMAL_NUMBERS.search(name):
        return "Decimal"
    if _MONEY_NUMBERS.search(name) and not name.endswith("_state"):
        return "Money"
    return "Integer"


def _target(name: str, field: dict[str, Any]) -> str:
    if name in _TARGETS:
        return _TARGETS[name]
    published = field.get("target_cdm_entity")
    renamed = {"User": "systemuser", "Order": "salesorder", "Unit": "uom", "UnitGroup": "uomschedule"}
    if published in renamed:
        return renamed[published]
    return str(published).lower() if published else name.removesuffix("id")


def _options(field: dict[str, Any]) -> dict[str, str]:
    found: dict[int, str] = {}
    for row in field.get("enum_rows", []):
        found[row["value"]] = row["label"]
    for label, value in field.get("enum", {}).items():
        found.setdefault(value, re.sub(r" \(state \d+\)$", "", label).strip())
    for label, value in field.get("enum_tenant", {}).items():
        found.setdefault(value, label)
    return {str(value): found[value] for value in sorted(found)}


def _states(field: dict[str, Any], labels: dict[str, str], state_labels: dict[str, str]) -> dict[str, int]:
    rows = {str(row["value"]): row["statecode"] for row in field.get("enum_rows", [])}
    by_label = {label: int(value) for value, label in state_labels.items()}
    return {value: rows.get(value, by_label.get(label, 0)) for value, label in labels.items()}


def _navigations(
    lookup: str, column: dict[str, Any], binds: dict[str, Any], logical_names: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """The single-valued navigation properties that read and write one lookup column.

    A lookup has a navigation property of its own name unless the published bind names say otherwise: another case
    (`QuoteDetailId`), or one for each target (`customerid_account`, `ownerid_quoteclose`).
    """
    found: dict[str, dict[str, Any]] = {}
    for bind, rule in binds.items():
        first = bind.lower().partition("_")[0]
        if lookup in (bind.lower(), first, f"{first}id"):
            targets = [logical_names.get(name, _singular(name)) for name in rule["entity_set"].split("|")]
            found[bind] = {"column": lookup, "targets": targets, "on": rule["allowed_on"]}
    if found:
        column["targets"] = list(dict.fromkeys(target for item in found.values() for target in item["targets"]))
        return found
    return {lookup: {"column": lookup, "targets": column["targets"], "on": "none"}}


def _singular(entity_set: str) -> str:
    if entity_set.endswith("ies"):
        return entity_set[:-3] + "y"
    return entity_set.removesuffix("s")


def _layout(table: dict[str, Any]) -> str:
    """JSON with one column, option set or navigation property a line, so that a change reads well in a diff."""
    lines: list[str] = []
    for name, value in table.items():
        if isinstance(value, dict) and value:
            inner = ",\n".join(f"    {json.dumps(key)}: {json.dumps(item)}" for key, item in value.items())
            lines.append(f"  {json.dumps(name)}: {{\n{inner}\n  }}")
        else:
            lines.append(f"  {json.dumps(name)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
