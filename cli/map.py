"""`q2c map`: the maps of integration data, their rules, and pages that describe them."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import inputs
from cli.map_change import add_commands
from cli.output import JsonOption, fail, note, result, result_as_json

if TYPE_CHECKING:
    from domain.entities.facts import Facts
    from domain.entities.findings import Report
    from domain.entities.model import DataMap
    from policies.map_files import Maps
    from workers.settings import Settings

GROUP_EXAMPLES = """Examples:

q2c map lint --offline
    what is wrong with the maps, as far as they tell by themselves

q2c map describe customer
    what is moved of customers, in which direction, and who owns it
"""

LINT_EXAMPLES = """Examples:

q2c map lint
    the maps in force against both systems: their tables, columns, keys and
    choices, and the maps that Dual-Write runs

q2c map lint --map ./customers.yaml --offline
    one changed file with the other maps in force, without asking a system;
    what only a system can answer is "not checked"

q2c map lint --json | jq '.findings[] | {rule, entity, field}'
    for a program

docs/data-map.md lists the rules with what to do.
"""

DESCRIBE_EXAMPLES = """Examples:

q2c map describe customer
    as Markdown

q2c map describe --format html --out maps.html
    all maps as a page to read and to print
"""

LIST_EXAMPLES = """Examples:

q2c map list
    a line for each map

q2c map list --json
    with hash and file, for a program
"""

FileOption = Annotated[
    Path | None, typer.Option("--map", metavar="FILE", help="A file instead of the map of its entity.")
]
EntityOption = Annotated[str | None, typer.Option("--entity", metavar="ENTITY", help="Findings of one map alone.")]
OfflineOption = Annotated[bool, typer.Option("--offline", help="Ask no system.")]
EntityArgument = Annotated[str | None, typer.Argument(metavar="[ENTITY]", help="Left out: all maps.")]
OutOption = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write it to a file.")]


class Format(StrEnum):
    """How a map is described."""

    MD = "md"
    HTML = "html"


FormatOption = Annotated[Format, typer.Option("--format", help="Markdown or a page of HTML.")]

app = typer.Typer(help="The maps of integration data.", no_args_is_help=True, epilog=GROUP_EXAMPLES)


@app.command(epilog=LINT_EXAMPLES)
def lint(
    file: FileOption = None, entity: EntityOption = None, offline: OfflineOption = False, json: JsonOption = False
) -> None:
    """Say which rules the maps break, where, and what to do.

    The exit code is 1 where a rule is broken or a system could not be asked, and
    2 where a file is no map.
    """
    from domain.entities.facts import NOTHING_KNOWN
    from domain.entities.lint import lint as report_of
    from policies.map_files import with_file

    settings = inputs.settings()
    maps = _maps(settings)
    if file is not None:
        maps = _usable(with_file(maps, file))
        entity = entity or maps.files[-1].data.entity
    _known(maps, entity)
    facts, problems = (NOTHING_KNOWN, list[str]()) if offline else _asked(settings, maps.all)
    report = _of_entity(report_of(maps.all, facts), entity)
    checked = len(maps.files) if entity is None else 1
    if json:
        data = asdict(report)
        for row in data["findings"]:
            row["file"] = str(_file_of(maps, row["entity"]))
        result_as_json({"ok": not (report.findings or problems), "maps": checked, "unreachable": problems} | data)
    else:
        _print(report, maps, problems, checked)
    raise typer.Exit(1 if report.findings or problems else 0)


@app.command(epilog=DESCRIBE_EXAMPLES)
def describe(
    entity: EntityArgument = None, form: FormatOption = Format.MD, out: OutOption = None, json: JsonOption = False
) -> None:
    """Describe a map, or all of them, on a page for people; with --json as data."""
    from domain.entities.identity import hash_of
    from policies.map_words import as_html, as_markdown

    maps = _maps(inputs.settings())
    _known(maps, entity)
    chosen = tuple(data for data in maps.all if entity in (None, data.entity))
    if json:
        if out is not None:
            fail("--json prints the maps; leave out --out, or --json")
        result_as_json([data.model_dump(mode="json") | {"hash": hash_of(data)} for data in chosen])
        return
    text = as_html(chosen) if form is Format.HTML else as_markdown(chosen)
    if out is None:
        result(text)
        return
    try:
        out.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        fail(f"{out}: cannot be written: {error.strerror}")
    note(f"{out}: {len(chosen)} described")


@app.command("list", epilog=LIST_EXAMPLES)
def list_maps(json: JsonOption = False) -> None:
    """List the maps in force."""
    from domain.entities.identity import hash_of

    maps = _maps(inputs.settings())
    rows = [
        {
            "entity": found.data.entity,
            "title": found.data.title,
            "pattern": found.data.pattern.value,
            "direction": found.data.direction.value,
            "frequency": found.data.frequency.value,
            "fields": len(found.data.fields),
            "hash": hash_of(found.data),
            "file": str(found.file),
            "file_differs": found.differs,
        }
        for found in maps.files
    ]
    if json:
        result_as_json(rows)
        return
    for row in rows:
        result(
            f"{row['entity']:<15} {row['pattern']:<13} {row['direction']:<11} {row['frequency']:<15}"
            f"{row['fields']:>3} fields  {str(row['hash'])[:8]}"
            + ("  its file says something else" if row["file_differs"] else "")
        )


add_commands(app)


def _maps(settings: Settings) -> Maps:
    """The maps in force; ends the command where a file is none."""
    from cli.maps_in_force import maps_in_force

    return maps_in_force(settings)


def _usable(maps: Maps) -> Maps:
    if maps.problems:
        fail("\n".join(map(str, maps.problems)))
    return maps


def _known(maps: Maps, entity: str | None) -> None:
    if entity is not None and maps.of(entity) is None:
        fail(f"{entity!r} has no map; the maps are {', '.join(data.entity for data in maps.all)}")


def _asked(settings: Settings, maps: tuple[DataMap, ...]) -> tuple[Facts, list[str]]:
    from cli import map_facts
    from domain.policy import PolicyError
    from workers.logs import configure_logging
    from workers.settings import SettingsError

    configure_logging("ERROR", "console", sys.stderr)
    try:
        return asyncio.run(map_facts.ask(settings, maps))
    except (PolicyError, SettingsError) as error:
        fail(str(error))


def _of_entity(report: Report, entity: str | None) -> Report:
    from domain.entities.findings import Report

    if entity is None:
        return report
    return Report(
        tuple(found for found in report.findings if found.entity == entity),
        tuple(found for found in report.not_checked if found.entity in ("", entity)),
    )


def _file_of(maps: Maps, entity: str) -> Path:
    found = maps.of(entity)
    assert found is not None
    return found.file


def _print(report: Report, maps: Maps, problems: list[str], checked: int) -> None:
    for finding in report.findings:
        place = f"{finding.entity}.{finding.field}" if finding.field else finding.entity
        result(f"rule {finding.rule} ({finding.name}): {place}: {finding.problem}. To do: {finding.remedy}")
    for entity in dict.fromkeys(finding.entity for finding in report.findings):
        note(f"{entity} is in {_file_of(maps, entity)}")
    unknown: dict[tuple[str, str], list[int]] = {}
    for found in report.not_checked:
        place = ".".join(filter(None, (found.entity, found.field)))
        unknown.setdefault((place, found.why), []).append(found.rule)
    for (place, why), numbers in unknown.items():
        rules = f"rule {numbers[0]}" if len(numbers) == 1 else f"rules {', '.join(map(str, numbers))}"
        note(f"{rules} not checked{f' for {place}' if place else ''}: {why}")
    for problem in problems:
        note(problem)
    open_rules = len({found.rule for found in report.not_checked})
    found_in = "1 map" if checked == 1 else f"{checked} maps"
    count = "1 finding" if len(report.findings) == 1 else f"{len(report.findings)} findings"
    result(f"{found_in}, {count}{f', {open_rules} of 15 rules not or not fully checked' if open_rules else ''}.")
