"""docs/sandbox.md as a stranger follows it: every command is run in its order, and answers what the page says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "sandbox.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
MARK = "@@ block {} @@"
PINNED = re.compile(r"^\| ([a-z0-9-]+) (\d[\d.]+) \|", re.M)


def _program(blocks: list[tuple[str, str]]) -> str:
    """The page's commands as one script for the shell, which says before each block which one it is."""
    lines = ["set -eu", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT"]
    for number, (kind, text) in enumerate(blocks):
        if kind == "text":
            continue
        lines.append(f"echo '{MARK.format(number)}'")
        lines.append(text if kind == "sh" else f"{shlex.quote(sys.executable)} - <<'PYTHON'\n{text}PYTHON")
        lines.append("echo")
    return "\n".join(lines)


def _like(text: str) -> re.Pattern[str]:
    """A pattern of what a page shows, in which … is anything and a port is any port."""
    pieces = [re.sub(r"localhost:844\d", r"localhost:\\d+", re.escape(piece)) for piece in text.strip().split("…")]
    return re.compile(".*".join(pieces), re.S)


@pytest.mark.timeout(120)
def test_every_command_of_the_page_answers_as_it_says(tmp_path: Path) -> None:
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    kinds = {kind for kind, _ in blocks}
    assert kinds == {"sh", "python", "text"}
    inherited = {name: value for name, value in os.environ.items() if not name.lower().endswith(("_proxy", "_bundle"))}
    environment = inherited | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "Q2C_SANDBOX_PORTS": "auto",
    }

    told = subprocess.run(
        ["bash", "-c", _program(blocks)], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100
    )

    assert told.returncode == 0, told.stdout + told.stderr
    for number, (kind, text) in enumerate(blocks):
        if kind == "text":
            said = told.stdout.split(MARK.format(number - 1))[1].split("@@ block")[0]
            assert _like(text).fullmatch(said.strip()), f"{text}\n--- but was ---\n{said}"


def test_the_versions_on_the_page_are_the_pinned_ones() -> None:
    lock = (PAGE.parents[1] / "uv.lock").read_text(encoding="utf-8")
    named = PINNED.findall(PAGE.read_text(encoding="utf-8"))
    assert len(named) == 6
    for name, version in named:
        assert f'name = "{name}"\nversion = "{version}"' in lock
