"""Ways to break a system with one click, as people know them from production."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sandbox.faults import SYSTEMS, Fault, FaultEffect, System

NAMES: Final[dict[System, str]] = {"finance": "Finance", "dataverse": "Sales", "entra": "Entra ID"}


@dataclass(frozen=True)
class Preset:
    """A fault of a system that has a name."""

    key: str
    label: str
    effect: FaultEffect
    method: str | None = None
    probability: float = 1.0
    systems: tuple[System, ...] = ("finance", "dataverse")

    def of(self, system: System) -> Fault:
        """The fault of one system."""
        return Fault(system=system, effect=self.effect, method=self.method, probability=self.probability)


PRESETS: Final = (
    Preset("down", "is down", FaultEffect(status=503), systems=SYSTEMS),
    Preset("slow", "takes five seconds to answer", FaultEffect(delay_ms=5_000)),
    Preset("throttles", "throttles every second request", FaultEffect(status=429, retry_after=5), probability=0.5),
    Preset("loses", "does what it is asked and loses the answer", FaultEffect(drop="after"), "POST", probability=0.5),
)


FINANCE_DOWN: Final = PRESETS[0].of("finance")


def preset(key: str, system: str) -> tuple[Fault, str] | None:
    """A preset's fault, and what it does in words; None where there is no such one."""
    for known in PRESETS:
        for of in known.systems:
            if (known.key, of) == (key, system):
                return known.of(of), f"{NAMES[of]} {known.label}."
    return None
