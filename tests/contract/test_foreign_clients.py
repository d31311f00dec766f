"""Clients that other people wrote, each at work against the running sandbox: reads, writes, pages, metadata.

They live in a virtual environment of their own (dependency group `foreign`), which is built once and kept in pytest's
cache. What each of them does is a script of `foreign/`, which fails by itself where the sandbox is not as the client
knows Dynamics 365; where a script steps around a client, a comment says which fault of the client's it is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.contract.dataverse_world import LiveSandbox

ROOT = Path(__file__).parents[2]
NEEDED = (3, 13)
"""Python version of d365fo-client, the most demanding one."""
SCRIPTS = sorted(Path(__file__).with_name("foreign").glob("use_*.py"))


@pytest.fixture(scope="session")
def foreign_python(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of the clients' environment, new enough for all of them."""
    uv = shutil.which("uv")
    assert uv is not None, "uv builds the clients' environment: install it, or leave these tests out with -m 'not slow'"
    cache = getattr(pytestconfig, "cache", None)
    folder = (cache.mkdir("foreign-clients") if cache else tmp_path_factory.mktemp("foreign-clients")) / "venv"
    command = [uv, "sync", "--frozen", "--only-group", "foreign", "--no-install-project", "--quiet"]
    environment = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(folder), "UV_PYTHON": _newest_python()}
    environment.pop("VIRTUAL_ENV", None)
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)
    assert built.returncode == 0, built.stderr
    return folder / "bin" / "python"


def _newest_python() -> str:
    """An interpreter of the version the most demanding client needs; where none is at hand, uv brings one."""
    needed = ".".join(map(str, NEEDED))
    if sys.version_info >= NEEDED:
        return sys.executable
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for candidate in (shutil.which(f"python{needed}"), *sorted(versions.glob(f"{needed}.*/bin/python"))):
        # pyenv puts a command of every version on the path, and those of versions not in use only say so.
        if candidate and subprocess.run([candidate, "--version"], capture_output=True).returncode == 0:
            return str(candidate)
    return needed


@pytest.mark.slow
@pytest.mark.timeout(420)
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem.removeprefix("use_"))
def test_a_client_works_as_it_does_against_dynamics(
    makers_sandbox: LiveSandbox, foreign_python: Path, tmp_path: Path, script: Path
) -> None:
    ready = tmp_path / "ready.json"
    ready.write_text(makers_sandbox.info.ready_line())

    used = subprocess.run([foreign_python, script, ready], cwd=tmp_path, capture_output=True, text=True, timeout=150)

    assert used.returncode == 0, used.stdout + used.stderr


def test_every_client_of_the_group_is_pinned_and_has_a_script() -> None:
    group = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["foreign"]
    clients = {line.partition("==")[0]: line for line in group if not line.startswith("mcp<")}
    assert all("==" in line for line in clients.values()), clients
    assert {path.stem for path in SCRIPTS} == {f"use_{name.replace('-', '_')}" for name in clients}
