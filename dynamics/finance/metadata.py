"""What Finance says of its entity sets: keys, columns with their types, choices and what may be written.

One request: `$metadata`, which has it all. It tells no lengths of texts and no scale of numbers (OASIS OData CSDL 4.0;
a tenant's document), so both stay unknown where they are not there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from io import BytesIO
from typing import Final, TypeAlias
from xml.etree import ElementTree

from domain.entities.facts import Column, Kind, Table
from dynamics.core.errors import Answer, System
from dynamics.finance.client import Finance

_EDM: Final = "{http://docs.oasis-open.org/odata/ns/edm}"
_CORE: Final = "Microsoft.Dynamics.OData.Core.V1."
_TYPES: Final[Mapping[Kind, tuple[str, ...]]] = {
    "text": ("Edm.String",),
    "whole": ("Edm.Int32", "Edm.Int64"),
    "decimal": ("Edm.Decimal", "Edm.Double"),
    "yes_no": ("Edm.Boolean",),
    "moment": ("Edm.DateTimeOffset", "Edm.Date"),
    "id": ("Edm.Guid",),
}
_KINDS: Final = {name: kind for kind, names in _TYPES.items() for name in names}
_WHOLE: Final = frozenset(f"{_EDM}{tag}" for tag in ("EntityType", "EnumType", "EntitySet", "ComplexType", "Action"))
_PATIENCE_SECONDS: Final = 300.0
"""An environment that has just started makes its `$metadata`, of thousands of sets, while it is asked."""
_Element: TypeAlias = "ElementTree.Element[str]"


async def read_sets(finance: Finance, names: Collection[str]) -> dict[str, Table]:
    """The named entity sets that the environment has, as it describes them.

    Raises:
        DynamicsError: it cannot be read.
    """
    document = await finance.odata.text("$metadata", patience=_PATIENCE_SECONDS)
    try:
        return sets_of(document, names)
    except ElementTree.ParseError as error:
        message = f"$metadata is not XML: {error}"
        raise Answer(System.FINANCE, write=False, message=message, operation="GET $metadata").error() from error


def sets_of(document: str, names: Collection[str]) -> dict[str, Table]:
    """The named entity sets of a CSDL document; those it does not have are left out.

    Raises:
        ElementTree.ParseError: it is no XML.
    """
    content = document.encode()
    sets = {element.get("Name", ""): _local(element.get("EntityType", "")) for element in _read(content, "EntitySet")}
    wanted = {sets[name] for name in names if name in sets}
    choices = {
        element.get("Name", ""): tuple(member.get("Name", "") for member in element.iter(f"{_EDM}Member"))
        for element in _read(content, "EnumType")
    }
    types = {
        name: _table(element, choices)
        for element in _read(content, "EntityType")
        if (name := element.get("Name", "")) in wanted
    }
    return {name: types[sets[name]] for name in names if sets.get(name) in types}


def _read(content: bytes, tag: str) -> Iterator[_Element]:
    """The elements of a tag, each as it ends; none is kept: a tenant's document has tens of megabytes."""
    for _, element in ElementTree.iterparse(BytesIO(content)):  # noqa: S314  # of the system we belong to
        if element.tag == f"{_EDM}{tag}":
            yield element
        if element.tag in _WHOLE:
            element.clear()


def _table(entity: _Element, choices: Mapping[str, tuple[str, ...]]) -> Table:
    key = tuple(part.get("Name", "") for part in entity.findall(f"{_EDM}Key/{_EDM}PropertyRef"))
    columns = {each.get("Name", ""): _column(each, key, choices) for each in entity.findall(f"{_EDM}Property")}
    return Table(columns=columns, keys=(key,))


def _column(element: _Element, key: tuple[str, ...], choices: Mapping[str, tuple[str, ...]]) -> Column:
    kind = element.get("Type", "")
    options = choices.get(_local(kind))
    says = {each.get("Term", "").removeprefix(_CORE): each.get("Bool") for each in element.findall(f"{_EDM}Annotation")}
    scale, length = element.get("Scale", ""), element.get("MaxLength", "")
    on_create = says.get("AllowEditOnCreate") != "false"
    return Column(
        kind="choice" if options else _KINDS.get(kind, "other"),
        length=int(length) if length.isdigit() else None,
        decimals=int(scale) if scale.isdigit() else None,
        required=says.get("IsRequired") == "true",
        # A part of the key is given when a record is created and never edited.
        writable=on_create and (says.get("AllowEdit") != "false" or element.get("Name") in key),
        options=options,
    )


def _local(name: str) -> str:
    return name.rpartition(".")[2]
