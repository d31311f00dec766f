"""How a process ends."""

from __future__ import annotations

import subprocess
import sys
import time

STUCK = """
import time
from workers.serving import leave_within
leave_within({seconds})
time.sleep({works})
"""


def ends(seconds: float, works: float) -> tuple[int, float]:
    """Exit code of a process that is to leave within some seconds and works for others, and how long it took."""
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", STUCK.format(seconds=seconds, works=works)], check=False, timeout=60)
    return done.returncode, time.monotonic() - begun


def test_a_process_that_waits_forever_ends_all_the_same_and_says_that_something_was_wrong() -> None:
    code, took = ends(seconds=0.5, works=50)
    assert code == 1 and took < 50


def test_one_that_ends_by_itself_is_left_alone() -> None:
    assert ends(seconds=30, works=0)[0] == 0
