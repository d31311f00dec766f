"""Loads the policies' files into one checked value.

The packaged files are the default. A folder given by the installation replaces single files: what it does not hold is
taken from the package. Whatever is wrong with the files is found at once, each problem with its file and field or rule.
"""

from __future__ import annotations

import stat
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from domain import matrix, matrix_authority
from domain.audit import RetentionPolicy
from domain.customers_policy import CustomerPolicy
from domain.deposits import DepositPolicy
from domain.deposits import misfits as deposit_misfits
from domain.dunning import DunningPolicy
from domain.dunning import misfits as dunning_misfits
from domain.entities.parallel import ParallelPolicy
from domain.entities.parallel import misfits as parallel_misfits
from domain.entity_map import EntityMap
from domain.notices_policy import NoticePolicy
from domain.notices_policy import misfits as notice_misfits
from domain.policy import (
    AuthorityPolicy,
    CreditPolicy,
    DiscountPolicy,
    Policy,
    PolicyError,
    PublishedCalendars,
    TolerancePolicy,
    assemble,
    misfits,
)
from domain.record import Record, problem_in_words
from domain.rights import RightsPolicy
from policies import exact_yaml, public_holidays
from policies.plain_text import one_line

_MODELS: Final[dict[str, type[Record]]] = {
    "discount.yaml": DiscountPolicy,
    "credit.yaml": CreditPolicy,
    "approvers.yaml": AuthorityPolicy,
    "calendars.yaml": PublishedCalendars,
    "entity_map.yaml": EntityMap,
    "tolerances.yaml": TolerancePolicy,
    "rights.yaml": RightsPolicy,
    "customers.yaml": CustomerPolicy,
    "deposits.yaml": DepositPolicy,
    "audit.yaml": RetentionPolicy,
    "notices.yaml": NoticePolicy,
    "dunning.yaml": DunningPolicy,
    "parallel.yaml": ParallelPolicy,
}
FILES: Final = tuple(_MODELS)
PACKAGED: Final = Path(__file__).parent
LARGEST: Final = 1_000_000
"""Bytes of one file."""


@dataclass(frozen=True)
class Problem:
    """Something that makes a policy unusable.

    Attributes:
        file: where it stands.
        field: path of the field in the file; empty: the file as a whole.
        text: what is wrong, and what to do.
        rule: id of the rule of the discount matrix it is about; empty: none.
    """

    file: str
    field: str
    text: str
    rule: str = ""

    def __str__(self) -> str:
        rule = f"rule {self.rule}" if self.rule else ""
        return one_line(": ".join(part for part in (self.file, rule, self.field, self.text) if part))


@dataclass(frozen=True)
class Examined:
    """What files come to: a policy, or why there is none.

    Attributes:
        policy: None where there are problems.
        problems: all that is wrong, file by file.
        notes: what a reader should know, though it is allowed: levels that nobody may decide in a company.
    """

    policy: Policy | None
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()


def load(path: Path | None = None) -> Policy:
    """The policies of an installation, checked.

    Args:
        path: Folder whose files replace the packaged ones; None for the packaged files alone.

    Raises:
        PolicyError: the folder or a file cannot be read, or what it says makes no sense; the text says where, a line
            for each problem.
    """
    examined = examine(path)
    if examined.policy is None:
        raise PolicyError("\n".join(map(str, examined.problems)))
    return examined.policy


def examine(path: Path | None = None, *, base: Path | None = None) -> Examined:
    """All that is wrong with policies.

    Args:
        path: A folder whose files replace those of the base, or a single file that replaces one of them and whose name
            begins as that one's does: ``discount.yaml``, ``discount-2027.yaml``.
        base: Folder whose files replace the packaged ones for a single file; None for the packaged ones.
    """
    found: list[Problem] = []
    try:
        paths = _paths(base)
        if path is not None and path.is_file():
            paths |= {_name_of(path): path}
        elif path is not None:
            found += _folder_problems(path)
            paths = _paths(path)
    except (OSError, PolicyError) as error:
        text = error.strerror if isinstance(error, OSError) else str(error)
        return Examined(None, (Problem(str(path or base), "", text or "cannot be read"),))
    files: dict[str, Any] = {}
    for name in FILES:
        value, problems_of_file = read_model(paths[name], _MODELS[name])
        found += problems_of_file
        if value is not None:
            files[name] = value
    found += _across(files, paths)
    if found:
        return Examined(None, tuple(found))
    policy = assemble(
        discount=files["discount.yaml"],
        credit=files["credit.yaml"],
        authority=files["approvers.yaml"],
        calendars=files["calendars.yaml"],
        entity_map=files["entity_map.yaml"],
        tolerances=files["tolerances.yaml"],
        rights=files["rights.yaml"],
        customers=files["customers.yaml"],
        deposits=files["deposits.yaml"],
    )
    companies = set(policy.entity_map.business_units.values())
    gaps = matrix_authority.gaps(policy.discount, policy.authority, policy.rights, companies)
    return Examined(policy, (), tuple(map(str, gaps)))


def retention(path: Path | None = None) -> RetentionPolicy:
    """How long audit records are kept.

    Args:
        path: folder whose ``audit.yaml`` replaces the packaged one; None for the packaged one.

    Raises:
        PolicyError: the file cannot be read, or what it says makes no sense; the text says where.
    """
    value, problems = read_model(_file(path, "audit.yaml"), RetentionPolicy)
    if not isinstance(value, RetentionPolicy):
        raise PolicyError("\n".join(map(str, problems)))
    return value


def notices(path: Path | None = None) -> NoticePolicy:
    """Who is told what. Takes and raises as ``retention``; that it fits the other files is checked by ``load``."""
    value, problems = read_model(_file(path, "notices.yaml"), NoticePolicy)
    if not isinstance(value, NoticePolicy):
        raise PolicyError("\n".join(map(str, problems)))
    return value


def dunning(path: Path | None = None) -> DunningPolicy:
    """When customers are reminded. Takes and raises as ``retention``; that it fits is checked by ``load``."""
    value, problems = read_model(_file(path, "dunning.yaml"), DunningPolicy)
    if not isinstance(value, DunningPolicy):
        raise PolicyError("\n".join(map(str, problems)))
    return value


def parallel(path: Path | None = None) -> ParallelPolicy:
    """When both systems have run beside each other long enough. Takes and raises as ``retention``."""
    value, problems = read_model(_file(path, "parallel.yaml"), ParallelPolicy)
    if not isinstance(value, ParallelPolicy):
        raise PolicyError("\n".join(map(str, problems)))
    return value


def _across(files: Mapping[str, Any], paths: Mapping[str, Path]) -> Iterator[Problem]:
    """What is wrong beyond a file's own form: the rules among themselves, and the files with each other."""
    if "calendars.yaml" in files:
        field, text = public_holidays.problem(files["calendars.yaml"])
        if text:
            yield Problem(str(paths["calendars.yaml"]), field, text)
    if "discount.yaml" in files:
        for fault in matrix.faults(files["discount.yaml"]):
            yield _problem(fault, files["discount.yaml"], paths["discount.yaml"])
    if {"notices.yaml", "approvers.yaml", "rights.yaml"} <= files.keys():
        for field, text in notice_misfits(files["notices.yaml"], files["approvers.yaml"], files["rights.yaml"]):
            yield Problem(str(paths["notices.yaml"]), field, text)
    if {"dunning.yaml", "entity_map.yaml"} <= files.keys():
        mapped = set(files["entity_map.yaml"].business_units.values())
        for field, text in dunning_misfits(files["dunning.yaml"], mapped):
            yield Problem(str(paths["dunning.yaml"]), field, text)
    if {"deposits.yaml", "entity_map.yaml"} <= files.keys():
        mapped = set(files["entity_map.yaml"].business_units.values())
        for field, text in deposit_misfits(files["deposits.yaml"], mapped):
            yield Problem(str(paths["deposits.yaml"]), field, text)
    if {"parallel.yaml", "rights.yaml"} <= files.keys():
        for field, text in parallel_misfits(files["parallel.yaml"], files["rights.yaml"]):
            yield Problem(str(paths["parallel.yaml"]), field, text)
    needed = ("discount.yaml", "credit.yaml", "approvers.yaml", "calendars.yaml", "entity_map.yaml", "rights.yaml")
    if any(name not in files for name in needed):
        return
    discount, credit, authority, calendars, entity_map, rights = (files[name] for name in needed)
    apart = misfits(discount, credit, authority, calendars, entity_map, rights)
    for name, text in apart:
        yield Problem(str(paths[name]), "", text)
    if apart:
        return
    companies = set(entity_map.business_units.values())
    for fault in matrix_authority.without_authority(discount, authority, rights, companies):
        yield _problem(fault, discount, paths["discount.yaml"])


def _problem(fault: matrix.Fault, discount: DiscountPolicy, file: Path) -> Problem:
    number = [rule.id for rule in discount.rules].index(fault.rule)
    field = f"rules.{number}" if fault.condition is None else f"rules.{number}.when.{fault.condition}"
    return Problem(str(file), field, str(fault), fault.rule)


def _folder_problems(path: Path) -> Iterator[Problem]:
    """Why a folder is not what its owner believes: a misspelled file would leave the default in force."""
    try:
        found = sorted(file.name for file in path.iterdir())
    except OSError as error:
        raise PolicyError(
            f"not a folder that can be read; point Q2C_POLICIES at a folder with {', '.join(FILES)} or some of them"
        ) from error
    for name in found:
        if name.endswith((".yaml", ".yml")) and name not in FILES:
            yield Problem(str(path / name), "", f"not a policy; the files are {', '.join(FILES)}")


def _paths(folder: Path | None) -> dict[str, Path]:
    return {name: _file(folder, name) for name in FILES}


def _file(folder: Path | None, name: str) -> Path:
    own = folder / name if folder else None
    # A name that is there but no file (a folder, a dangling link) is an error of its own, not the default.
    return own if own is not None and (own.exists() or own.is_symlink()) else PACKAGED / name


def _name_of(path: Path) -> str:
    """The file of the policies that a single file is meant to be."""
    for name in FILES:
        stem = name.removesuffix(".yaml")
        if path.name.startswith(stem) and path.name[len(stem) : len(stem) + 1] in (".", "-"):
            return name
    raise PolicyError(f"not a policy; its name must begin as one of {', '.join(FILES)} does, e.g. discount-2027.yaml")


def read_model(file: Path, model: type[Record]) -> tuple[Record | None, list[Problem]]:
    """A file as a record of a model, and all that is wrong with it."""
    try:
        about = file.stat()
        if not stat.S_ISREG(about.st_mode):
            return None, [Problem(str(file), "", "cannot be read: it is not a file")]
        if about.st_size > LARGEST:
            return None, [Problem(str(file), "", f"cannot be read: it is larger than {LARGEST:,} bytes")]
        content = exact_yaml.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        return None, [Problem(str(file), "", f"cannot be read: {error.strerror}")]
    except UnicodeDecodeError:
        return None, [Problem(str(file), "", "cannot be read: it is not UTF-8 text")]
    except yaml.YAMLError as error:
        return None, [Problem(str(file), "", f"not valid YAML: {error}")]
    try:
        return model.model_validate(content, extra="forbid"), []
    except ValidationError as error:
        return None, list(_problems(file, content, error))


def _problems(file: Path, content: Any, error: ValidationError) -> Iterator[Problem]:
    """One problem for each field that is wrong."""
    said: dict[str, list[str]] = defaultdict(list)
    rules: dict[str, str] = {}
    for problem in error.errors():
        text = problem_in_words(problem)
        field = _field(content, problem["loc"], missing=problem["type"] == "missing")
        rules[field] = _rule(content, problem["loc"])
        if text not in said[field]:
            said[field].append(text)
    for field, texts in said.items():
        # What is said of a list or table because of what stands in it would only repeat it.
        if not any(other.startswith(f"{field}.") for other in said):
            yield Problem(str(file), field, ", or ".join(texts), rules[field])


def _field(content: Any, location: tuple[int | str, ...], *, missing: bool) -> str:
    """The path of a field as its author wrote it.

    The library's own path also holds the names of types it tried; only what stands in the file is kept.
    """
    path: list[str] = []
    here = content
    for position, part in enumerate(location):
        if isinstance(here, dict) and part in here:
            here = here[part]
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            here = here[part]
        elif not (missing and position == len(location) - 1):
            continue
        path.append(str(part))
    return ".".join(path)


def _rule(content: Any, location: tuple[int | str, ...]) -> str:
    """The id of the rule of the discount matrix that a place in a file belongs to; empty: none that has one."""
    match location, content:
        case ("rules", int(number), *_), {"rules": [*rules]} if number < len(rules):
            return str(rules[number].get("id") or "") if isinstance(rules[number], dict) else ""
    return ""
