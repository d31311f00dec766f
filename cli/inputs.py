"""What commands begin with: settings, rules and files, or one message that says what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.output import fail

if TYPE_CHECKING:
    from domain.directory import Export
    from domain.policy import Policy
    from workers.settings import Settings


def settings() -> Settings:
    """The settings; ends the command where one is wrong."""
    from workers.settings import SettingsError, load_settings

    try:
        return load_settings()
    except SettingsError as error:
        fail(str(error))


def policy() -> Policy:
    """The rules in force; ends the command where a file of them is wrong."""
    from domain.policy import PolicyError
    from workers.rules import load_policy

    try:
        return load_policy(settings())
    except PolicyError as error:
        fail(str(error))


def json_of(file: Path) -> Any:
    """The JSON value of a file, its numbers exact; ends the command where it is none."""
    from policies.given_files import GivenFileError, read_json

    try:
        return read_json(file)
    except GivenFileError as error:
        fail(str(error))


def people_of(file: Path | None) -> Export | None:
    """The directory's export of role assignments, None for no file; ends the command where the file is none."""
    from domain.directory import read_export

    if file is None:
        return None
    try:
        return read_export(json_of(file))
    except ValueError as error:
        fail(f"{file}: {error}")
