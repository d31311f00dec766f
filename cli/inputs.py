"""What commands begin with: the settings and the rules, or one message that says what is wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.output import fail

if TYPE_CHECKING:
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
