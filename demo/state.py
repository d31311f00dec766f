"""The folder of a local stack: keys, certificates, logs, and the process ids of its parts.

A stack on the documented ports uses the folder `Q2C_STATE_DIR` itself and keeps it, so that keys and the certificate
authority stay the same from one start to the next. A stack on free ports has a folder of its own below it, which goes
when the stack ends. What a killed stack left behind is removed by the next one that starts.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

_PREFIX = "stack-"
_LOCK = "lock"
_PIDS = "pids.json"


class StateFolder:
    """The folder of one running stack."""

    def __init__(self, path: Path, lock: int | None) -> None:
        """Made by `lasting` or `temporary`."""
        self.path = path
        self._lock = lock

    @classmethod
    def lasting(cls, root: Path) -> StateFolder:
        """The folder that is kept. Logs of the stack before are emptied: they are not this one's."""
        root.mkdir(parents=True, exist_ok=True)
        for log in root.glob("*.log"):
            log.unlink()
        return cls(root, None)

    @classmethod
    def temporary(cls, root: Path) -> StateFolder:
        """A folder for this stack alone; those of stacks that have ended are removed first."""
        root.mkdir(parents=True, exist_ok=True)
        with _alone(root):
            for old in root.glob(f"{_PREFIX}*"):
                _remove_if_ended(old)
            path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
            lock = os.open(path / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX)
        return cls(path, lock)

    def write_pids(self, pids: Mapping[str, int]) -> None:
        """Keep the current process ids where a person or a program finds them."""
        target = self.path / _PIDS
        target.with_suffix(".tmp").write_text(json.dumps(dict(pids)))
        target.with_suffix(".tmp").replace(target)

    def close(self, *, keep: bool) -> None:
        """The stack has ended.

        Args:
            keep: leave a temporary folder until the next stack starts: it failed, and its logs say why.
        """
        (self.path / _PIDS).unlink(missing_ok=True)
        if self._lock is None:
            return
        if not keep:
            shutil.rmtree(self.path)
        os.close(self._lock)


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """One stack at a time makes and removes folders: a folder must not be removed before its owner has locked it."""
    with (root / ".lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        yield


def _remove_if_ended(folder: Path) -> None:
    """Remove the folder of a stack that has ended, however it ended: the kernel has freed its lock."""
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR)
    except OSError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    else:
        shutil.rmtree(folder)
    finally:
        os.close(lock)
