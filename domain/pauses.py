"""How long something rests that did not succeed: longer each time, up to a limit."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, NamedTuple

_MOST_DOUBLINGS: Final = 10


class Pauses(NamedTuple):
    """Pauses that double from the first to the longest."""

    first: timedelta
    longest: timedelta

    def after(self, pauses: int) -> timedelta:
        """The pause that follows so many pauses."""
        return min(self.first * (1 << min(pauses, _MOST_DOUBLINGS)), self.longest)
