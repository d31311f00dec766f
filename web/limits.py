"""How many messages a person may send, and a deal or request may be sent, in a while.

A signal costs the history of whoever is told, and a history has an end. So each person and each run has a bucket of
tokens that fills up again by the second: enough for the busiest approver, not for a script gone wrong. Every web
process counts for itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import TTLCache

from domain.people import Person
from domain.refusals import Refusal
from web.problems import Problem

_KEPT = 10_000


@dataclass(frozen=True)
class Rate:
    """How many messages at once, and how many a second in the long run."""

    burst: int
    per_second: float


PER_PERSON = Rate(burst=120, per_second=20)
PER_RUN = Rate(burst=20, per_second=1 / 3)


class Limits:
    """The buckets of persons and runs."""

    def __init__(
        self,
        person: Rate = PER_PERSON,
        run: Rate = PER_RUN,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Limit by these rates; ``now`` gives monotonic seconds."""
        self._buckets = (_Buckets(person, now), _Buckets(run, now))

    def allow(self, person: Person, workflow_id: str) -> bool:
        """Take a token of the person and one of the run they speak to; whether both had one."""
        keys = (person.oid.lower(), workflow_id)
        if not all(buckets.filled(key) for buckets, key in zip(self._buckets, keys, strict=True)):
            return False
        for buckets, key in zip(self._buckets, keys, strict=True):
            buckets.take(key)
        return True

    def check(self, person: Person, workflow_id: str) -> None:
        """Refuse a message too many.

        Raises:
            Problem: 429.
        """
        if not self.allow(person, workflow_id):
            raise Problem(Refusal.TOO_MANY_REQUESTS)


class _Buckets:
    """One bucket per key; one that has had time to fill up is forgotten."""

    def __init__(self, rate: Rate, now: Callable[[], float]) -> None:
        self._rate = rate
        self._now = now
        self._kept: TTLCache[str, tuple[float, float]] = TTLCache(_KEPT, rate.burst / rate.per_second, now)

    def filled(self, key: str) -> bool:
        return self._left(key) >= 1

    def take(self, key: str) -> None:
        self._kept[key] = (self._left(key) - 1, self._now())

    def _left(self, key: str) -> float:
        left, at = self._kept.get(key, (float(self._rate.burst), self._now()))
        return min(self._rate.burst, left + (self._now() - at) * self._rate.per_second)
