"""Run a command that Linux ends when the process that started it dies, however it dies.

    python -I -S bound_to_parent.py <pid of the parent> <program> [argument ...]

The bond is made between the start of this script and the command, in a process of its own. Made with a `preexec_fn` it
would run Python between fork and exec, where a lock that another thread of the parent held stays locked for ever: the
parent then waits for a child that never becomes the command. macOS has no such bond: there a supervisor killed with
SIGKILL leaves its children to be ended by hand.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Bind this process to its parent, and become the command."""
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != int(parent):  # it died before the bond was made
            sys.exit(f"the supervisor (process {parent}) is gone")
    os.execvpe(command[0], command, os.environ)  # noqa: S606  # the command of the supervisor, which started this


if __name__ == "__main__":
    main()
