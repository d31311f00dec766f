"""Child processes of the local stack: started with a log file, ended in order, never left behind."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence
from pathlib import Path

LOG_TAIL_LINES = 15
_BOUND_TO_PARENT = Path(__file__).with_name("bound_to_parent.py")


class ChildProcess:
    """One process of the stack. A restart keeps the name, the command and the log."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log_dir: Path) -> None:
        """Describe the process; nothing starts yet.

        Args:
            name: what people call it, also the name of its log file.
            command: program and arguments.
            environment: its whole environment.
            log_dir: folder of the log file; standard output and error go there.
        """
        self.name = name
        self.log_file = log_dir / f"{name}.log"
        self._command = list(command)
        self._environment = dict(environment)
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        """Process id of the current incarnation."""
        return self._started.pid

    @property
    def running(self) -> bool:
        """Whether the current incarnation has not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def _started(self) -> Process:
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process

    async def start(self, *, read_stdout: bool = False) -> None:
        """Start it in a process group of its own, so that Ctrl-C reaches the supervisor alone.

        Args:
            read_stdout: keep standard output readable with `first_line` instead of sending it to the log.
        """
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(_BOUND_TO_PARENT), str(os.getpid())),
                *self._command,
                env=self._environment,
                stdin=DEVNULL,
                stdout=PIPE if read_stdout else log,
                stderr=log,
                process_group=0,
                limit=1 << 20,
            )

    async def first_line(self) -> bytes:
        """The first line of standard output; empty when it ended before it wrote one."""
        stdout = self._started.stdout
        if stdout is None:
            raise RuntimeError(f"standard output of {self.name} goes to its log")
        return await stdout.readline()

    async def wait(self) -> int:
        """Wait for its end; returns the exit code, negative for a signal."""
        return await self._started.wait()

    def terminate(self) -> None:
        """Ask it to end."""
        self._started.terminate()

    async def stop(self, timeout: float) -> None:
        """Ask it to end, and after `timeout` seconds make it."""
        if not self.running:
            return
        self._started.terminate()
        try:
            await asyncio.wait_for(self._started.wait(), timeout)
        except TimeoutError:
            self._started.kill()
            await self._started.wait()

    def log_tail(self) -> str:
        """The last lines of its log, for an error message."""
        if not self.log_file.exists():
            return ""
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
