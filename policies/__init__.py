"""The policies' files: loading them into one checked value, and telling people what they say.

The packaged files are the default. A folder given by the installation replaces single files: what it does not hold is
taken from the package.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml
from pydantic import ValidationError

from domain.audit import RetentionPolicy
from domain.policy import (
    AuthorityPolicy,
    CreditPolicy,
    DiscountPolicy,
    EntityMap,
    Policy,
    PolicyError,
    PublishedCalendars,
    TolerancePolicy,
    assemble,
)
from domain.record import Record
from policies.explanation import explain

__all__ = ["FILES", "explain", "load", "retention"]

FILES: Final = (
    "discount.yaml",
    "credit.yaml",
    "approvers.yaml",
    "calendars.yaml",
    "entity_map.yaml",
    "tolerances.yaml",
)
_PACKAGED: Final = Path(__file__).parent

FileModel = TypeVar("FileModel", bound=Record)


class _ExactLoader(yaml.SafeLoader):
    """YAML whose numbers with a fraction stay text, so that no amount passes through a float, and whose mappings
    refuse a key written twice instead of quietly taking the last.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping without duplicate keys."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} is written twice; keep one", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _text(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


for _tag in ("tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp"):
    _ExactLoader.add_constructor(_tag, _text)
# YAML 1.1 reads 09:00 as a number in base 60; times stay text.
_ExactLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:int"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_ExactLoader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789"))


def load(path: Path | None = None) -> Policy:
    """The policies of an installation, checked.

    Args:
        path: Folder whose files replace the packaged ones; None for the packaged files alone.

    Raises:
        PolicyError: the folder or a file cannot be read, or what it says makes no sense; the text says where.
    """
    if path is not None and not path.is_dir():
        raise PolicyError(
            f"{path}: not a folder; point Q2C_POLICIES at a folder with {', '.join(FILES)} or some of them"
        )
    return assemble(
        discount=_read(path, "discount.yaml", DiscountPolicy),
        credit=_read(path, "credit.yaml", CreditPolicy),
        authority=_read(path, "approvers.yaml", AuthorityPolicy),
        calendars=_read(path, "calendars.yaml", PublishedCalendars),
        entity_map=_read(path, "entity_map.yaml", EntityMap),
        tolerances=_read(path, "tolerances.yaml", TolerancePolicy),
    )


def retention(path: Path | None = None) -> RetentionPolicy:
    """How long audit records are kept.

    Args:
        path: folder whose ``audit.yaml`` replaces the packaged one; None for the packaged one.

    Raises:
        PolicyError: the file cannot be read, or what it says makes no sense; the text says where.
    """
    return _read(path, "audit.yaml", RetentionPolicy)


def _read(folder: Path | None, name: str, model: type[FileModel]) -> FileModel:
    file = _PACKAGED / name if folder is None or not (folder / name).is_file() else folder / name
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), _ExactLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{file}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise PolicyError(f"{file}: not valid YAML: {error}") from error
    try:
        return model.model_validate(content, extra="forbid")
    except ValidationError as error:
        raise PolicyError(_problems(file, error)) from error


def _problems(file: Path, error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        field = "".join(f"{part}." for part in problem["loc"]).removesuffix(".")
        what = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            what = "is not a setting here; remove it or correct its name"
        elif problem["type"] == "missing":
            what = "is missing; add it"
        lines.append(": ".join(part for part in (str(file), field, what) if part))
    return "\n".join(lines)
