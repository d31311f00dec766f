"""Every scenario runs in both ways of numbering orders: by Finance, which is the default, and by the product."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import pytest

import policies
from tests.stack import Stack

NUMBERING = ("automatic", "manual")


@pytest.fixture(scope="session")
def manual_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running product whose companies have manual number sequences, as its rules say."""
    folder = tmp_path_factory.mktemp("manual") / "policies"
    copytree(Path(policies.__file__).parent, folder, ignore=lambda _, names: [n for n in names if n[-5:] != ".yaml"])
    entity_map = folder / "entity_map.yaml"
    rules = entity_map.read_text()
    entity_map.write_text(rules.replace(": automatic", ": manual"))
    running = Stack.start(tmp_path_factory.mktemp("stack"), Q2C_POLICIES=str(folder))
    for company in running.desk.get("/companies"):
        running.desk.put(f"/companies/{company['id']}", {"order_numbers": "manual"})
    yield running
    running.stop()


@pytest.fixture(params=NUMBERING)
def stack(request: pytest.FixtureRequest) -> Stack:
    """The running product, once in each way."""
    running: Stack = request.getfixturevalue(f"{request.param}_stack")
    return running


@pytest.fixture(autouse=True)
def numbered(request: pytest.FixtureRequest) -> Iterator[None]:
    """The orders of a test have numbers of the kind its stack stands for."""
    yield
