"""What the documents name exists: pages, headings, files, commands, options, settings, tasks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import typer
import yaml
from typer.main import get_command

from cli.main import app
from workers.settings import secret_names, variables

ROOT = Path(__file__).parents[3]
PAGES = sorted(
    page for pattern in ("*.md", "docs/**/*.md", "deploy/**/*.md", ".github/**/*.md") for page in ROOT.glob(pattern)
)
SHELL = re.compile(r"```sh\n(.*?)```", re.S)
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
OUTSIDE = ("https://", "http://", "mailto:")
ROOMS = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}
OTHER_FOLDERS = {"docs", "deploy", "tests", "bench", ".ci", ".github"}
Q2C: Final[typer.core.TyperCommand | typer.core.TyperGroup] = get_command(app)  # type: ignore[assignment]


def ids(page: Path) -> str:
    return str(page.relative_to(ROOT))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def slugs(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.+)$", re.sub(r"```.*?```", "", text_of(page), flags=re.S))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(page: Path) -> Iterator[str]:
    """`q2c …` as it stands in code, without what comes after a pipe or a comment."""
    blocks = [line for block in SHELL.findall(text_of(page)) for line in block.splitlines()]
    pieces = CODE.findall(text_of(page)) + blocks
    for piece in pieces:
        found = re.search(r"(?:^|\s)q2c ((?:[a-z]|--?[a-z]).*)", re.split(r"[|#]", piece)[0])
        if found:
            yield found[1].strip()


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(text_of(page)):
        if target.startswith(OUTSIDE):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if anchor:
            assert anchor in slugs(file), target


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_file_that_is_named_exists(page: Path) -> None:
    for name in CODE.findall(text_of(page)):
        path = name.rstrip("/")
        if re.fullmatch(r"[\w.-]+(/[\w.-]+)+", path) and path.split("/")[0] in ROOMS | OTHER_FOLDERS:
            assert (ROOT / path).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_command_that_is_named_exists_with_its_options(page: Path) -> None:
    for line in commands(page):
        words = re.sub(r"[\[\]…]", " ", line).split()
        command: typer.core.TyperCommand | typer.core.TyperGroup = Q2C
        while words and isinstance(command, typer.core.TyperGroup) and not words[0].startswith("-"):
            name = words.pop(0)
            assert name in command.commands, f"q2c {line}"
            command = command.commands[name]  # type: ignore[assignment]
        options = {option for parameter in command.params for option in parameter.opts} | {"--help", "-h"}
        given = {word.partition("=")[0] for word in words if word.startswith("-")} - {"-"}
        assert given <= options, f"q2c {line}"


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_setting_that_is_named_exists(page: Path) -> None:
    known = {variable.name for variable in variables()} | {f"{name}_FILE" for name in secret_names()}
    named = set(re.findall(r"Q2C_[A-Z_]*[A-Z]", text_of(page)))
    groups = {name.rsplit("_", 1)[0] for name in known}
    sandbox = {name for name in named if name.startswith("Q2C_SANDBOX")}
    if page.name == "CONTRIBUTING.md":
        known |= {
            name for file in (ROOT / "tests").rglob("*.py") for name in re.findall(r"Q2C_[A-Z_]*[A-Z]", text_of(file))
        }
    assert named - known - groups - sandbox == set()


def test_every_poe_task_that_is_named_exists() -> None:
    tasks = set(re.findall(r"(?m)^\[tool\.poe\.tasks\.(\w+)\]|^(\w+) = \{cmd", (ROOT / "pyproject.toml").read_text()))
    known = {name for pair in tasks for name in pair if name}
    named = {name for page in PAGES for name in re.findall(r"\bpoe (\w+)", text_of(page))}
    assert named and named <= known


def test_every_decision_is_in_the_list() -> None:
    folder = ROOT / "docs/adr"
    listed = set(LINK.findall(text_of(folder / "README.md")))
    assert listed == {page.name for page in folder.glob("0*.md")}
    for page in folder.glob("0*.md"):
        headings = re.findall(r"(?m)^## (.+)$", text_of(page))
        assert headings == ["Situation", "Decision", "What follows"], page.name
        assert len(text_of(page).splitlines()) <= 45, f"{page.name}: one screen"


def test_every_policy_file_has_a_line_in_the_page_of_policies() -> None:
    page = text_of(ROOT / "docs/policies.md")
    for file in (ROOT / "policies").glob("*.yaml"):
        assert f"`{file.name}`" in page
        assert yaml.safe_load(file.read_text(encoding="utf-8"))
