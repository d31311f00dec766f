"""Loads what activation is held to: the packaged file, or that of the installation.

`activation/limits.yaml` in the folder that `Q2C_POLICIES` names replaces the packaged one. No decision of a deal
depends on it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from domain.entities.gate import Limits
from domain.entities.model import DataMap
from domain.policy import PolicyError
from policies.loading import Problem, read_model
from policies.quality_files import own_or_packaged

NAME: Final = "activation/limits.yaml"


def load_limits(maps: tuple[DataMap, ...], policies: Path | None = None) -> Limits:
    """The limits in force, held against the maps.

    Args:
        maps: those in force.
        policies: folder of the installation's policies; None for the packaged limits.

    Raises:
        PolicyError: the file cannot be read, or names what no map has; the text has a line for each problem.
    """
    file, limits = own_or_packaged(policies, NAME), limits_of_file(policies)
    of_entity = {data.entity: data for data in maps}
    wrong = []
    for entity, fields in limits.critical_conflicts.items():
        known = of_entity[entity].fields if entity in of_entity else {}
        for field in fields:
            if field not in known:
                text = f"{field} is no field of a map {entity}; its fields are {', '.join(known) or 'none'}"
                wrong.append(str(Problem(str(file), f"critical_conflicts.{entity}", text)))
    if wrong:
        raise PolicyError("\n".join(wrong))
    return limits


def limits_of_file(policies: Path | None = None) -> Limits:
    """The limits in force, whatever the maps say. Raises PolicyError as ``load_limits``."""
    limits, problems = read_model(own_or_packaged(policies, NAME), Limits)
    if not isinstance(limits, Limits):
        raise PolicyError("\n".join(map(str, problems)))
    return limits
