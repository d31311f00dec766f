"""The rules in force, as the settings say where they are."""

from __future__ import annotations

import policies
from domain.policy import Policy
from workers.settings import Settings


def load_policy(settings: Settings) -> Policy:
    """The rules in force.

    Raises:
        PolicyError: a file is missing or wrong; the text names file, field and remedy.
    """
    return policies.load(settings.policies)
