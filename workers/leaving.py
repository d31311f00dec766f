"""How a process of the product ends: at once, with the exit code it came to."""

from __future__ import annotations

import logging
import os
import sys
from typing import NoReturn


def leave(code: int) -> NoReturn:
    """End this process with a code; what was printed and logged is written first.

    It leaves by `os._exit`: the Temporal SDK's native threads can bring the interpreter down while it is torn down,
    which turns a clean end into a random exit code (temporalio/sdk-python issue 300).

    Args:
        code: 1 instead of 0 where what was printed could not be written.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = code or 1
    os._exit(code)
