"""Loads the policies' files into one checked value.

The packaged files are the default. A folder given by the installation replaces single files: what it does not hold is
taken from the package. Whatever is wrong with a file is one error that names the file and the field.
"""

from __future__ import annotations

from collections import defaultdict
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
from domain.record import Record, problem_in_words
from domain.rights import RightsPolicy
from policies import exact_yaml, public_holidays

FILES: Final = (
    "discount.yaml",
    "credit.yaml",
    "approvers.yaml",
    "calendars.yaml",
    "entity_map.yaml",
    "tolerances.yaml",
    "rights.yaml",
    "audit.yaml",
)
PACKAGED: Final = Path(__file__).parent

FileModel = TypeVar("FileModel", bound=Record)


def load(path: Path | None = None) -> Policy:
    """The policies of an installation, checked.

    Args:
        path: Folder whose files replace the packaged ones; None for the packaged files alone.

    Raises:
        PolicyError: the folder or a file cannot be read, or what it says makes no sense; the text says where.
    """
    if path is not None:
        _check_folder(path)
    calendars = _read(path, "calendars.yaml", PublishedCalendars)
    problem = public_holidays.problem(calendars)
    if problem:
        raise PolicyError(f"{_file(path, 'calendars.yaml')}: {problem}")
    retention(path)
    return assemble(
        discount=_read(path, "discount.yaml", DiscountPolicy),
        credit=_read(path, "credit.yaml", CreditPolicy),
        authority=_read(path, "approvers.yaml", AuthorityPolicy),
        calendars=calendars,
        entity_map=_read(path, "entity_map.yaml", EntityMap),
        tolerances=_read(path, "tolerances.yaml", TolerancePolicy),
        rights=_read(path, "rights.yaml", RightsPolicy),
    )


def retention(path: Path | None = None) -> RetentionPolicy:
    """How long audit records are kept.

    Args:
        path: folder whose ``audit.yaml`` replaces the packaged one; None for the packaged one.

    Raises:
        PolicyError: the file cannot be read, or what it says makes no sense; the text says where.
    """
    return _read(path, "audit.yaml", RetentionPolicy)


def _check_folder(path: Path) -> None:
    """Refuse a folder that would not be what its owner believes: a misspelled file would leave the default in force."""
    try:
        found = sorted(file.name for file in path.iterdir())
    except OSError as error:
        raise PolicyError(
            f"{path}: not a folder that can be read; point Q2C_POLICIES at a folder with {', '.join(FILES)} or some of "
            "them"
        ) from error
    unknown = [name for name in found if name.endswith((".yaml", ".yml")) and name not in FILES]
    if unknown:
        raise PolicyError(f"{path / unknown[0]}: not a policy; the files are {', '.join(FILES)}")


def _file(folder: Path | None, name: str) -> Path:
    own = folder / name if folder else None
    # A name that is there but no file (a folder, a dangling link) is an error of its own, not the default.
    return own if own is not None and (own.exists() or own.is_symlink()) else PACKAGED / name


def _read(folder: Path | None, name: str, model: type[FileModel]) -> FileModel:
    file = _file(folder, name)
    try:
        content = exact_yaml.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise PolicyError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PolicyError(f"{file}: cannot be read: it is not UTF-8 text") from error
    except yaml.YAMLError as error:
        raise PolicyError(f"{file}: not valid YAML: {error}") from error
    try:
        return model.model_validate(content, extra="forbid")
    except ValidationError as error:
        raise PolicyError(_problems(file, content, error)) from error


def _problems(file: Path, content: Any, error: ValidationError) -> str:
    """One line for each field that is wrong."""
    said: dict[str, list[str]] = defaultdict(list)
    for problem in error.errors():
        text = problem_in_words(problem)
        field = _field(content, problem["loc"], missing=problem["type"] == "missing")
        if text not in said[field]:
            said[field].append(text)
    return "\n".join(
        ": ".join(part for part in (str(file), field, ", or ".join(texts)) if part)
        for field, texts in said.items()
        # What is said of a list or table because of what stands in it would only repeat it.
        if not any(other.startswith(f"{field}.") for other in said)
    )


def _field(content: Any, location: tuple[int | str, ...], *, missing: bool) -> str:
    """The path of a field as its author wrote it.

    The library's own path also holds the names of types it tried; only what stands in the file is kept.
    """
    path: list[str] = []
    here = content
    for position, part in enumerate(location):
        if isinstance(here, dict) and part in here:
            here = here[part]
        elif isinstance(here, list) and isinstance(part, int):
            here = here[part]
        elif not (missing and position == len(location) - 1):
            continue
        path.append(str(part))
    return ".".join(path)
