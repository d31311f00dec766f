"""Loads the rules of patterns: the packaged file, or that of the installation.

`assess/patterns.yaml` in the folder that `Q2C_POLICIES` names replaces the packaged one. No decision of a deal
depends on it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from domain.entities.assess import PatternRules
from domain.policy import PolicyError
from policies.loading import read_model
from policies.quality_files import own_or_packaged

NAME: Final = "assess/patterns.yaml"


def load_pattern_rules(policies: Path | None = None) -> PatternRules:
    """The rules in force.

    Args:
        policies: folder of the installation's policies; None for the packaged rules.

    Raises:
        PolicyError: the file cannot be read; the text has a line for each problem.
    """
    rules, problems = read_model(own_or_packaged(policies, NAME), PatternRules)
    if not isinstance(rules, PatternRules):
        raise PolicyError("\n".join(map(str, problems)))
    return rules
