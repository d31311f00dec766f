"""Every scenario runs in both ways of numbering orders: by Finance, which is the default, and by the product."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest

from tests.stack import Stack

POLICIES = Path(__file__).parents[2] / "policies"
NUMBERED = re.compile(r"^order_numbers: .*$", re.MULTILINE)


@pytest.fixture(scope="session")
def manual_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running product whose companies have manual number sequences in Finance, as its rules say."""
    folder = tmp_path_factory.mktemp("manual") / "policies"
    copytree(POLICIES, folder, ignore=ignore_patterns("*.py", "__pycache__"))
    entity_map = folder / "entity_map.yaml"
    rules = entity_map.read_text(encoding="utf-8")
    (numbered,) = NUMBERED.findall(rules)
    companies = re.findall(r"(\w+): automatic", numbered)
    entity_map.write_text(rules.replace(numbered, numbered.replace("automatic", "manual")), encoding="utf-8")
    running = Stack.start(tmp_path_factory.mktemp("stack"), Q2C_POLICIES=str(folder))
    for company in companies:
        running.desk.put(f"/companies/{company}", {"order_numbers": "manual"})
    yield running
    running.stop()


@pytest.fixture(params=("automatic", "manual"))
def stack(request: pytest.FixtureRequest) -> Stack:
    """The running product, once in each way."""
    running: Stack = request.getfixturevalue(f"{request.param}_stack")
    return running
