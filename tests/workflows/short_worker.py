"""The worker of production in a process of its own, to be killed: `python -m tests.workflows.short_worker`.

Only its patience is shorter than in production: how long the server waits for a try whose worker died, and how often a
system is tried in a row.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from workflows import steps

TRY = timedelta(seconds=9)
"""How long one try may take; 45 seconds in production."""
TRIES = 3
"""How often a system that does not answer is tried in a row; six times in production."""


def main() -> None:
    """Work until a signal comes."""
    patience = steps.Patience(replace(steps.RETRY, maximum_attempts=TRIES), TRY)
    steps.begin.__kwdefaults__ = (steps.begin.__kwdefaults__ or {}) | {"patience": patience}
    steps.HEARTBEAT = TRY
    from cli.worker import worker

    worker()


if __name__ == "__main__":
    main()
