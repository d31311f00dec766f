"""How many messages a run received, and what became of each: counters that balance, and that anyone can check.

Every message counts once as received and once as what it became: applied, stale, duplicate, refused, ignored and so on.
One that a person sent and that is not looked at yet waits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

RECEIVED: Final = "received"
APPLIED: Final = "applied"
WAITING: Final = "waiting"


def unaccounted(tally: Mapping[str, int]) -> int:
    """How many messages nothing became of: zero, or something was lost (above) or counted twice (below)."""
    became = sum(number for name, number in tally.items() if name != RECEIVED)
    return tally.get(RECEIVED, 0) - became
