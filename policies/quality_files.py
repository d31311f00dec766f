"""Loads the rules of data quality: the packaged file, or that of the installation.

`quality/rules.yaml` in the folder that `Q2C_POLICIES` names replaces the packaged one. No decision of a
deal depends on it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from domain.entities.model import DataMap
from domain.entities.quality import NotTranslated, OnHold, QualityRule, QualityRules, Unknown
from domain.policy import PolicyError
from policies.loading import Problem, read_model

NAME: Final = "quality/rules.yaml"
PACKAGED: Final = Path(__file__).parent / NAME


def own_or_packaged(policies: Path | None, name: str) -> Path:
    """A file of an installation, or the packaged one it has none in place of.

    Args:
        policies: folder of the installation's policies.
        name: below it.
    """
    own = policies / name if policies is not None else None
    # A name that is there but no file (a folder, a dangling link) is an error of its own, not the default.
    return own if own is not None and (own.exists() or own.is_symlink()) else PACKAGED.parents[1] / name


def load_quality_rules(maps: tuple[DataMap, ...], policies: Path | None = None) -> QualityRules:
    """The rules in force, held against the maps.

    Args:
        maps: those in force.
        policies: folder of the installation's policies; None for the packaged rules.

    Raises:
        PolicyError: the file cannot be read, or names what no map has; the text has a line for each problem.
    """
    file = own_or_packaged(policies, NAME)
    rules, problems = read_model(file, QualityRules)
    if not isinstance(rules, QualityRules):
        raise PolicyError("\n".join(map(str, problems)))
    wrong = [
        str(Problem(str(file), f"rules.{number}", f"rule {rule.number}: {text}"))
        for number, rule in enumerate(rules.rules)
        for text in _misfits(rule, maps)
    ]
    if wrong:
        raise PolicyError("\n".join(wrong))
    return rules


def _misfits(rule: QualityRule, maps: tuple[DataMap, ...]) -> list[str]:
    of_entity = {data.entity: data for data in maps}
    asked = [(rule.entity, field) for field in rule.check.fields]
    if isinstance(rule.check, Unknown | OnHold):
        asked.append((rule.check.entity, rule.check.field))
    if isinstance(rule.check, OnHold):
        asked.append((rule.entity, rule.check.by))
    wrong = []
    for entity, field in asked:
        data = of_entity.get(entity)
        if data is None:
            wrong.append(f"{entity} has no map; the maps are {', '.join(sorted(of_entity))}")
        elif field not in data.fields:
            wrong.append(f"{field} is no field of the map {entity}; its fields are {', '.join(data.fields) or 'none'}")
        elif isinstance(rule.check, NotTranslated) and data.fields[field].values is None:
            wrong.append(f"{field} has no value map; name a field that has one, or choose another check")
    return wrong
