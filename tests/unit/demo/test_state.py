"""The folder of a stack on free ports lives as long as the stack, whatever ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from demo.state import StateFolder


def stacks(root: Path) -> set[Path]:
    return set(root.glob("stack-*"))


def test_it_goes_when_the_stack_ends(tmp_path: Path) -> None:
    folder = StateFolder.temporary(tmp_path)
    (folder.path / "worker.log").write_text("at work")
    folder.write_pids({"worker": 1})
    folder.close(keep=False)
    assert stacks(tmp_path) == set()


def test_that_of_a_failed_stack_stays_until_the_next_start(tmp_path: Path) -> None:
    failed = StateFolder.temporary(tmp_path)
    failed.close(keep=True)
    assert stacks(tmp_path) == {failed.path}
    after = StateFolder.temporary(tmp_path)
    assert stacks(tmp_path) == {after.path}
    after.close(keep=False)


def test_that_of_a_stack_that_still_runs_is_left_alone(tmp_path: Path) -> None:
    running = StateFolder.temporary(tmp_path)
    StateFolder.temporary(tmp_path).close(keep=False)
    assert stacks(tmp_path) == {running.path}
    running.close(keep=False)


def test_that_of_a_killed_stack_is_removed_by_the_next_start(tmp_path: Path) -> None:
    script = (
        "import sys, time, pathlib; from demo.state import StateFolder;"
        "print(StateFolder.temporary(pathlib.Path(sys.argv[1])).path, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        left = Path(killed.stdout.readline().strip())
        os.kill(killed.pid, signal.SIGKILL)
    assert stacks(tmp_path) == {left}
    StateFolder.temporary(tmp_path).close(keep=False)
    assert stacks(tmp_path) == set()


def test_the_folder_of_the_documented_ports_keeps_its_keys_and_begins_its_logs_anew(tmp_path: Path) -> None:
    (tmp_path / "decision-key.json").write_text("{}")
    (tmp_path / "worker.log").write_text("of the stack before")
    folder = StateFolder.lasting(tmp_path)
    folder.write_pids({"worker": 1})
    folder.close(keep=False)
    assert {file.name for file in tmp_path.iterdir()} == {"decision-key.json"}
