"""Fixtures of the tests that drive the whole product from outside."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Generator, Iterator

import hypothesis
import pytest
from typer.main import get_command

from tests import deadlines
from tests.stack import Stack


def pytest_configure() -> None:
    """Set up Python, Hypothesis and the runner of commands.

    What one process compiled, the next one reads, also where the machine says PYTHONDONTWRITEBYTECODE: a stack is
    five processes of a thousand modules each, and starts in a third of the processor time.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    # Property tests are judged by what they find, not by how busy the machine is.
    hypothesis.settings.register_profile("tests", deadline=None)
    hypothesis.settings.load_profile("tests")
    # A command line is put together once, as in a process; `CliRunner` does it anew for each command that is given.
    pytest.MonkeyPatch().setattr("typer.testing._get_command", functools.cache(get_command))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Every coroutine test has a deadline in its loop."""
    deadlines.bound(items, float(config.getini("timeout")))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A test, with the fixtures around it, ends in any case."""
    with deadlines.ended(deadlines.seconds_of(item, float(item.config.getini("timeout")))):
        return (yield)


@pytest.fixture(scope="session")
def automatic_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One running product for all tests of this pytest process: each test brings its own quotes and customers.

    Finance numbers its orders, as is the default.
    """
    running = Stack.start(tmp_path_factory.mktemp("stack"))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def stack(automatic_stack: Stack) -> Stack:
    """The running product; the scenarios run on another one as well."""
    return automatic_stack


@pytest.fixture
def record_property(record_property: Callable[[str, object], None]) -> Callable[[str, object], None]:
    """What was measured, as text: pytest's own process takes nothing else from those that run the tests."""
    return lambda name, value: record_property(name, str(value))


@pytest.fixture(autouse=True)
def undisturbed(request: pytest.FixtureRequest) -> Iterator[None]:
    """No fault outlives the test that set it."""
    running: Stack | None = request.getfixturevalue("stack") if "stack" in request.fixturenames else None
    yield
    if running is not None:
        running.desk.delete("/faults")
