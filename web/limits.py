"""How many messages a person may send, and how many of them to one deal or request, in a while.

A signal costs the history of whoever is told, and a history has an end. So each person has a bucket of tokens that
fills up again by the second, and another for each run they speak to: enough for the busiest approver, not for a script
gone wrong. What is refused costs the person a token and the run none, and nobody uses up the tokens of others. Every
web process counts for itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import TTLCache

from domain.people import Person
from domain.refusals import Refusal
from web import security_log
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
    """The buckets of persons, and of persons with runs."""

    def __init__(
        self,
        person: Rate = PER_PERSON,
        run: Rate = PER_RUN,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Limit by these rates; ``now`` gives monotonic seconds."""
        self._buckets = (Buckets(person, now), Buckets(run, now))

    def attempt(self, person: Person, workflow_id: str) -> None:
        """Take a token of the person, whatever becomes of their message.

        Raises:
            Problem: 429, there is none left.
        """
        persons, _ = self._buckets
        self._take(persons, person.oid.lower(), person, workflow_id)

    def send(self, person: Person, workflow_id: str) -> None:
        """Take a token of the person for the run that they are about to tell something.

        Raises:
            Problem: 429, there is none left.
        """
        _, runs = self._buckets
        self._take(runs, f"{person.oid.lower()} {workflow_id}", person, workflow_id)

    def _take(self, buckets: Buckets, key: str, person: Person, workflow_id: str) -> None:
        if not buckets.filled(key):
            security_log.limited(person.oid, workflow_id)
            raise Problem(Refusal.TOO_MANY_REQUESTS)
        buckets.take(key)


class Buckets:
    """One bucket per key; one that has had time to fill up is forgotten."""

    def __init__(self, rate: Rate, now: Callable[[], float]) -> None:
        """Fill at a rate; ``now`` gives monotonic seconds."""
        self._rate = rate
        self._now = now
        self._kept: TTLCache[str, tuple[float, float]] = TTLCache(_KEPT, rate.burst / rate.per_second, now)

    def filled(self, key: str) -> bool:
        """Whether a token is left."""
        return self._left(key) >= 1

    def take(self, key: str) -> None:
        """Take a token."""
        self._kept[key] = (self._left(key) - 1, self._now())

    def _left(self, key: str) -> float:
        left, at = self._kept.get(key, (float(self._rate.burst), self._now()))
        return min(self._rate.burst, left + (self._now() - at) * self._rate.per_second)
