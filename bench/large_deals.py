"""How large the history of a deal with very many lines becomes, and whether it survives the death of the worker.

Each deal goes from its submission to the money on a stack of its own; the worker is killed (SIGKILL) when 60 % of the
order's lines are in Finance. Repeat with `uv run python -m bench.large_deals [LINES …]`; without numbers 500, 2,000 and
10,000. Prints the figures and PASS or FAIL of each, and exits 1 where one fails.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.large import Large, carry
from tests.stack import Stack

MOST_HISTORY = 2_000_000
"""Bytes of history, over all runs of a deal."""
MOST_ANSWER = 1_000_000
"""Bytes of the answer to a query."""
KILL_AT = 0.6


def passes(large: Large) -> bool:
    """Whether a deal stayed within the bounds, and the worker was killed while its order was being created."""
    small = large.history_bytes < MOST_HISTORY and max(large.state_bytes, large.timeline_bytes) < MOST_ANSWER
    return small and 0 < large.killed_at < large.case["line_count"]


def main(sizes: list[int]) -> int:
    """Carry a deal of each size."""
    failed = 0
    for lines in sizes:
        with tempfile.TemporaryDirectory() as folder:
            stack = Stack.start(Path(folder))
            try:
                stack.desk.http.timeout = 600
                large = carry(stack, lines, kill_at=KILL_AT)
            finally:
                stack.stop()
        failed += not passes(large)
        sys.stdout.write(f"{'PASS' if passes(large) else 'FAIL'} {large}\n")
        sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main([int(given) for given in sys.argv[1:]] or [500, 2_000, 10_000]))
