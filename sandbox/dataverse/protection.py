"""Service protection limits: how much one user may ask for in five minutes.

Three facets, each counted for a user over a sliding window of 300 s: number of requests, execution time, and requests
at the same moment. Beyond one the answer is 429 with Retry-After. (Microsoft Learn: "Service protection API limits".)
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.dataverse.errors import DataverseError


@dataclass
class Limits:
    """The limits in force; they can be changed while the sandbox runs.

    Attributes:
        requests: Requests of one user in a window.
        execution_seconds: Their execution time together, in seconds.
        concurrent: Requests of one user at the same moment.
        window_seconds: Length of the sliding window.
    """

    requests: int = 6000
    execution_seconds: float = 1200.0
    concurrent: int = 52
    window_seconds: float = 300.0


@dataclass
class _Use:
    """What one user did in the window."""

    calls: deque[tuple[float, float]] = field(default_factory=deque)
    seconds: float = 0.0
    running: int = 0
    refused: int = 0


class ServiceProtection:
    """Counts what every user does and refuses what is too much."""

    def __init__(self, limits: Limits, now: Callable[[], float]) -> None:
        """Start counting.

        Args:
            limits: The limits; read anew at every request.
            now: A monotonic clock in seconds.
        """
        self.limits = limits
        self._now = now
        self._users: dict[str, _Use] = {}

    def enter(self, user: str) -> None:
        """Count a request in.

        Raises:
            DataverseError: 429, with the facet's code and Retry-After.
        """
        use = self._users.setdefault(user, _Use())
        self._forget_old(use)
        limits = self.limits
        window = f"{limits.window_seconds:g}"
        if use.running >= limits.concurrent:
            message = f"Number of concurrent requests exceeded the limit of {limits.concurrent}."
            raise self._refusal(use, "0x80072326", message, 1.0)
        if len(use.calls) >= limits.requests:
            message = (
                f"Number of requests exceeded the limit of {limits.requests} over time window of {window} seconds."
            )
            raise self._refusal(use, "0x80072322", message, self._until_free(use))
        if use.seconds >= limits.execution_seconds:
            message = (
                f"Combined execution time of incoming requests exceeded limit of"
                f" {limits.execution_seconds * 1000:,.0f} milliseconds over time window of {window} seconds. Decrease"
                " number of concurrent requests or reduce the duration of requests and try again later."
            )
            raise self._refusal(use, "0x80072321", message, self._until_free(use))
        use.running += 1

    def leave(self, user: str, seconds: float) -> None:
        """Count a request out, with its execution time in seconds."""
        use = self._users.setdefault(user, _Use())
        use.running = max(0, use.running - 1)
        use.calls.append((self._now(), seconds))
        use.seconds += seconds
        use.refused = 0

    def remaining(self, user: str) -> dict[str, str]:
        """The rate-limit headers of an answer."""
        use = self._users.setdefault(user, _Use())
        seconds = max(0.0, self.limits.execution_seconds - use.seconds)
        return {
            "x-ms-ratelimit-burst-remaining-xrm-requests": str(max(0, self.limits.requests - len(use.calls))),
            "x-ms-ratelimit-time-remaining-xrm-requests": f"{seconds:,.2f}",
        }

    def clear(self) -> None:
        """Forget what was counted, for a reset of the sandbox."""
        for use in self._users.values():
            use.calls.clear()
            use.seconds = 0.0
            use.refused = 0

    def _forget_old(self, use: _Use) -> None:
        oldest = self._now() - self.limits.window_seconds
        while use.calls and use.calls[0][0] < oldest:
            use.seconds -= use.calls.popleft()[1]

    def _until_free(self, use: _Use) -> float:
        first = use.calls[0][0] if use.calls else self._now()
        return max(1.0, first + self.limits.window_seconds - self._now())

    @staticmethod
    def _refusal(use: _Use, code: str, message: str, seconds: float) -> DataverseError:
        """A user that keeps asking waits longer."""
        use.refused += 1
        wait = math.ceil(seconds) + min(use.refused - 1, 30)
        return DataverseError(429, code, message, {"Retry-After": str(wait)})
