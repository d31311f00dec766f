"""Clients that other people wrote, each at work against the running sandbox: reads, writes, pages, metadata.

They live in a virtual environment of their own (dependency group `foreign`), which is built once and kept in pytest's
cache. What each of them does is a script of `foreign/`, which fails by itself where the sandbox is not as the client
knows Dynamics 365; where a script steps around a client, a comment says which fault of the client's it is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.contract.dataverse_world import LiveSandbox

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(Path(__file__).with_name("foreign").glob("use_*.py"))


@pytest.fixture(scope="session")
def foreign_python(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of the clients' environment."""
    uv = shutil.which("uv")
    assert uv is not None, "uv builds the clients' environment: install it, or leave these tests out with -m 'not slow'"
    cache = getattr(pytestconfig, "cache", None)
    folder = (cache.mkdir("foreign-clients") if cache else tmp_path_factory.mktemp("foreign-clients")) / "venv"
    command = [uv, "sync", "--frozen", "--only-group", "foreign", "--no-install-project", "--quiet"]
    environment = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(folder)}
    environment.pop("VIRTUAL_ENV", None)
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)
    assert built.returncode == 0, built.stderr
    return folder / "bin" / "python"


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


def test_every_client_of_the_group_has_a_script() -> None:
    assert {path.stem for path in SCRIPTS} == {
        "use_azure_identity",
        "use_d365_client",
        "use_dataverse_api",
        "use_dynamics_client",
        "use_python_odata",
    }
