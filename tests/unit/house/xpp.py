"""Reads the X++ model of `deploy/finance`: classes with their data members, and what refers to what."""

from __future__ import annotations

import re
import xml.etree.ElementTree as Xml
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

FOLDER = Path(__file__).parents[3] / "deploy" / "finance"
MODEL = FOLDER / "Q2C" / "Q2C"

KINDS: Mapping[str, str] = {
    "str": "text",
    "real": "number",
    "int": "whole",
    "boolean": "boolean",
    "TransDate": "date",
}
"""What JSON makes of the X++ types that contracts use; a list is named by the class of its items."""

_DECLARATION = re.compile(r"class (\w+)(?: extends (\w+))?\s*\{")
_SIGNATURE = re.compile(r"(?:public|protected|private)?\s*(?:static |abstract )*(\w+) (\w+)\(([^)]*)\)\s*\{")
_MEMBER = re.compile(
    r"DataMember\('(?P<name>\w+)'\)(?P<attributes>[^\]]*)\]\s*"
    r"public (?P<type>\w+) parm(?P<method>\w+)\((?P<given>\w+) _(?P<given_name>\w+) = (?P<field>\w+)\)\s*"
    r"\{\s*(?P=field) = _(?P=given_name);\s*return (?P=field);\s*\}"
)
_ITEMS = re.compile(r"DataCollection\(Types::Class, classStr\((\w+)\)\)")
_COMMENT = re.compile(r"//.*")


@dataclass(frozen=True)
class XppMethod:
    """A method: what it returns and takes, and its text."""

    name: str
    returns: str
    parameters: tuple[str, ...]
    source: str

    @property
    def public(self) -> bool:
        """Whether it can be called from outside."""
        return re.search(r"(?m)^ {4}public ", self.source) is not None


@dataclass(frozen=True)
class XppClass:
    """A class: its declaration and its methods, as the model's file has them."""

    name: str
    extends: str
    declaration: str
    methods: Mapping[str, XppMethod]

    @cached_property
    def source(self) -> str:
        """All of its text."""
        return "\n".join((self.declaration, *(method.source for method in self.methods.values())))

    @cached_property
    def own_members(self) -> dict[str, str]:
        """Data members that it declares itself: name → kind; a list is `[class of its items]`."""
        assert len(_MEMBER.findall(self.source)) == self.source.count("DataMember('"), (
            f"{self.name}: an odd data member"
        )
        found = {}
        for member in _MEMBER.finditer(self.source):
            name, kind = member["name"], member["type"]
            field = f"private {kind} {member['field']};"
            assert (member["method"], member["given"]) == (name, kind), f"{self.name}.{name}"
            assert field in self.declaration, f"{self.name}: {field}"
            items = _ITEMS.search(member["attributes"])
            found[name] = f"[{items[1]}]" if items else KINDS[kind]
        return found


@dataclass(frozen=True)
class Model:
    """The classes of the model by their names."""

    classes: Mapping[str, XppClass]

    def members(self, name: str) -> dict[str, str]:
        """Data members of a contract, inherited ones included."""
        cls = self.classes[name]
        return (self.members(cls.extends) if cls.extends in self.classes else {}) | cls.own_members

    def added(self, name: str, base: str) -> dict[str, str]:
        """Data members of a contract beside those of the one that all have."""
        return {member: kind for member, kind in self.members(name).items() if member not in self.members(base)}

    def spelled(self, kind: str) -> str | dict[str, str]:
        """A kind with a list's items spelled out."""
        return self.members(kind[1:-1]) if kind.startswith("[") else kind


def parsed(path: Path) -> XppClass:
    """The class of an AxClass or AxTable file.

    Raises:
        AssertionError: The file does not have the form in which Visual Studio keeps classes.
    """
    root = Xml.parse(path).getroot()
    declaration = root.findtext("SourceCode/Declaration") or ""
    head = _DECLARATION.search(_COMMENT.sub("", declaration))
    assert head is not None and root.findtext("Name") == head[1] == path.stem, path
    methods = {}
    for node in root.iterfind("SourceCode/Methods/Method"):
        name, source = node.findtext("Name") or "", node.findtext("Source") or ""
        found = _SIGNATURE.search(_COMMENT.sub("", source))
        assert found is not None and found[2] == name and name not in methods, f"{path.stem}.{name}"
        parameters = tuple(part.split("=")[0].strip() for part in found[3].split(",") if part.strip())
        methods[name] = XppMethod(name, found[1], parameters, source)
    return XppClass(head[1], head[2] or "", declaration, methods)


def read() -> Model:
    """The whole model."""
    files = [*sorted((MODEL / "AxClass").glob("*.xml")), *sorted((MODEL / "AxTable").glob("*.xml"))]
    return Model({cls.name: cls for cls in map(parsed, files)})


def labels() -> dict[str, str]:
    """The label file: id → text."""
    file = MODEL / "AxLabelFile" / "LabelResources" / "en-US" / "Q2C.en-US.label.txt"
    return dict(line.split("=", 1) for line in file.read_text(encoding="utf-8").splitlines())
