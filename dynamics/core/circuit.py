"""Whether a system may be asked at all: one circuit for each system in each process.

Two things close the way to a system. It asked for a pause (429, or 503 with `Retry-After`): nothing is sent until that
is over. Or it does not answer: after five requests in a row to which none came (no connection, silence, a gateway's
502, 503 or 504) the circuit opens. What is asked then is refused here and never sent, so its outcome is known: nothing
was done, a write included.

While it is open, one trial goes from time to time, first after five seconds, later once a minute. The trial is a small
read of its own, made when somebody asks: were it whatever is asked just then, it might be a write, whose outcome the
outage would leave unknown. The first real answer closes the circuit, and what was asked goes out behind it. A refusal
is an answer as well (4xx, 500, 429): the system is there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dynamics.core import telemetry
from dynamics.core.errors import System, Throttled, Unreachable

OPENS_AFTER = 5
"""Requests in a row without an answer after which nothing more is sent."""
TRIALS = (5.0, 10.0, 20.0, 40.0, 60.0)
"""Seconds to each trial; the last ones hold from then on."""
TRIAL_PATIENCE = 10.0
"""Seconds a trial waits for its answer: a system that is there answers a small read sooner."""
NO_ANSWER = frozenset({502, 503, 504})
"""Statuses of a gateway that has nobody behind it."""


class Circuit:
    """The way to one system: closed in ordinary times, open while the system does not answer."""

    def __init__(self, system: System, *, clock: Callable[[], float] = time.monotonic) -> None:
        """The way is free.

        Args:
            system: Which system it leads to.
            clock: Monotonic seconds.
        """
        self.system = system
        self._clock = clock
        self._pause_ends = 0.0
        self._missed = 0
        self._last = ""
        self._trials = 0
        self._next_trial = 0.0
        self._trying = False
        self._open = False
        telemetry.circuit_changed(system, 0)

    @property
    def is_open(self) -> bool:
        """Whether the system does not answer, as far as is known."""
        return self._open

    @property
    def may_try(self) -> bool:
        """Whether the next trial is due; one at a time."""
        return not self._trying and max(self._next_trial, self._pause_ends) <= self._clock()

    def check(self, operation: str) -> None:
        """Return where the way is free.

        Raises:
            Unreachable: The system does not answer.
            Throttled: It asked for a pause that is not over: hammering on makes it ask for longer.
        """
        if self._open:
            raise self.refusal(operation)
        pause = self._pause_ends - self._clock()
        if pause > 0:
            telemetry.not_sent(self.system, "pause")
            raise Throttled(
                "not sent: the system asked for a pause that is not over",
                system=self.system,
                status=429,
                operation=operation,
                retry_after=max(1.0, pause),
            )

    def refusal(self, operation: str) -> Unreachable:
        """What whoever asks now is told; `retry_after` is when the next trial is due."""
        telemetry.not_sent(self.system, "circuit")
        wait = max(self._next_trial, self._pause_ends) - self._clock()
        return Unreachable(
            f"not sent while the system does not answer ({self._last})",
            system=self.system,
            operation=operation,
            retry_after=max(1.0, wait),
        )

    @contextmanager
    def trial(self) -> Iterator[None]:
        """One trial; meanwhile all others are refused. Told how it ended by `answered` or `missed`, or by neither."""
        self._trying = True
        try:
            yield
        finally:
            self._trying = False

    def pause(self, seconds: float) -> None:
        """The system asked to be left alone for so long."""
        self._pause_ends = max(self._pause_ends, self._clock() + seconds)

    def answered(self) -> None:
        """The system answered, whatever it said."""
        self._missed = self._trials = 0
        if self._open:
            self._open = False
            telemetry.circuit_changed(self.system, -1)

    def missed(self, why: str) -> None:
        """A request had no answer."""
        self._missed += 1
        self._last = why
        if self._open and not self._trying:  # sent before it opened
            return
        if not self._open and self._missed >= OPENS_AFTER:
            self._open = True
            telemetry.circuit_changed(self.system, +1)
        if self._open:
            self._next_trial = self._clock() + TRIALS[min(self._trials, len(TRIALS) - 1)]
            self._trials += 1
