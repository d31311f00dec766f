"""Row counts as of the last snapshot, which is up to a day old.

(Microsoft Learn: RetrieveTotalRecordCount function.)
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sandbox.store import Clock

_AGE = timedelta(hours=24)


class Snapshots:
    """The counts `RetrieveTotalRecordCount` tells."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: dict[str, tuple[datetime, int]] = {}

    def count(self, table: str, present: int) -> int:
        """The count of a table: the snapshot's, taken anew once it is a day old."""
        now = self._clock.now()
        taken, count = self._counts.get(table, (None, 0))
        if taken is None or now - taken >= _AGE:
            self._counts[table] = (now, present)
            return present
        return count

    def clear(self) -> None:
        """Forget them, for a reset of the sandbox."""
        self._counts.clear()
