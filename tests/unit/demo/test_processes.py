"""Children of the stack: their output is kept, they end when asked, and they end when their parent dies."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from demo.ports import free_ports, port_is_free
from demo.processes import ChildProcess
from tests.deadlines import PATIENCE


def child(tmp_path: Path, script: str) -> ChildProcess:
    return ChildProcess("part", [sys.executable, "-c", script], dict(os.environ), tmp_path)


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_its_output_goes_to_its_log(tmp_path: Path) -> None:
    part = child(tmp_path, "import sys; print('out'); print('bad', file=sys.stderr); sys.exit(3)")
    await part.start()
    assert await part.wait() == 3
    assert {"out", "bad"} <= set(part.log_tail().splitlines())


async def test_a_child_that_ignores_the_request_is_made_to_end(tmp_path: Path) -> None:
    part = child(
        tmp_path,
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
    )
    await part.start(read_stdout=True)
    assert await part.first_line() == b"up\n"
    await part.stop(timeout=0.2)
    assert not part.running
    assert await part.wait() == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie a child's life to its parent's")
async def test_no_child_outlives_a_parent_that_was_killed(tmp_path: Path) -> None:
    parent = child(
        tmp_path,
        "import asyncio, os, sys, pathlib\n"
        "from demo.processes import ChildProcess\n"
        "async def main():\n"
        "    inner = ChildProcess('inner', [sys.executable, '-c', 'import time; time.sleep(60)'], dict(os.environ),"
        f" pathlib.Path({str(tmp_path)!r}))\n"
        "    await inner.start()\n"
        "    print(inner.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n",
    )
    await parent.start(read_stdout=True)
    inner = int(await parent.first_line())
    assert alive(inner)
    os.kill(parent.pid, signal.SIGKILL)
    async with asyncio.timeout(PATIENCE):
        while alive(inner):
            await asyncio.sleep(0.05)


def test_free_ports_are_free_and_all_different() -> None:
    ports = free_ports(8)
    assert len(set(ports)) == 8
    assert all(port_is_free(port) for port in ports)
