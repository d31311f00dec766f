"""What a chaos run does to the stack: faults of both systems, before and after they commit, and processes killed.

All of it passes by itself in the real world too: whatever a deal meets here, it must come to its end without a person.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

KILLED: Final = ("worker", "web")
"""Parts that are killed. Temporal and the sandbox keep all in memory here: killed, they leave nothing to judge."""
SYSTEMS: Final = ("dataverse", "finance")
EFFECTS: Final[dict[str, dict[str, Any]]] = {
    "connection lost before the commit": {"drop": "before"},
    "connection lost after the commit": {"drop": "after"},
    "503": {"status": 503},
    "429": {"status": 429, "retry_after": 1},
    "502": {"status": 502},
    "answers late": {"delay_ms": 1500},
}
OF_FINANCE: Final[dict[str, dict[str, Any]]] = {
    "deadlock": {"infolog": "deadlock"},
    "update conflict": {"infolog": "update_conflict"},
}
WRITES: Final = {"dataverse": ("POST", "PATCH"), "finance": ("POST",)}
"""Methods by which a straight deal writes."""
AT_ONCE: Final = 6
"""Faults in force together."""
PROBABILITY: Final = 0.5
"""Of a request that a fault fits: so each strikes now here, now there."""
KILL_EVERY: Final = 15
"""One process is killed for so many faults."""


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong."""

    name: str
    kills: str = ""
    """The process that is killed; empty: a system answers wrongly."""
    of_system: dict[str, Any] | None = None
    """How it answers, as the desk's `PUT /faults` takes it."""


def faults(seed: int, most: int) -> Iterator[Fault]:
    """So many faults, the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311  # it spreads faults
    for n in range(1, most + 1):
        if n % KILL_EVERY == 0:
            part = KILLED[0] if chance.random() < 0.75 else KILLED[1]
            yield Fault(f"kill -9 of the {part}", kills=part)
            continue
        system = chance.choice(SYSTEMS)
        effects = EFFECTS | (OF_FINANCE if system == "finance" else {})
        name = chance.choice(sorted(effects))
        wrong: dict[str, Any] = {"system": system, "effect": effects[name], "times": 1, "probability": PROBABILITY}
        if chance.random() < 0.6:
            wrong["method"] = chance.choice(WRITES[system])
        if "infolog" in effects[name]:
            wrong["method"] = "POST"
        yield Fault(f"{system}: {name}", of_system=wrong)
