"""`q2c quality`: rules of data quality, which records break them, and who corrects what."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import inputs
from cli.data_extra import FromOption, maps_in_force, relations_of, require_data_extra
from cli.output import JsonOption, fail, note, result, result_as_json

if TYPE_CHECKING:
    from cleansing.quality import Found
    from domain.entities.quality import QualityRules, Score

GROUP_EXAMPLES = """Examples:

q2c quality rules
    what records are checked for, and who corrects what

q2c quality check --from ./records --out ./fixes
    every record that breaks a rule, a list for each role
"""

RULES_EXAMPLES = """Examples:

q2c quality rules
    a line for each rule

q2c quality rules --json | jq '.rules[] | select(.severity == "critical")'
    those that keep a map from being activated
"""

CHECK_EXAMPLES = """Examples:

q2c quality check --from ./records
    the score of each entity and company, and how many break each rule

q2c quality check --from ./records --out ./fixes
    and every record that breaks one as CSV and XLSX, a list for each role;
    scores.jsonl in the folder keeps the trend

docs/data-quality.md says what the folder holds and how the score is made.
"""

OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="FOLDER", help="Write a list for each role there, and keep the trend.")
]

app = typer.Typer(help="The quality of integration data.", no_args_is_help=True, epilog=GROUP_EXAMPLES)


@app.command(epilog=RULES_EXAMPLES)
def rules(json: JsonOption = False) -> None:
    """List the rules in force."""
    found = _rules()
    if json:
        result_as_json(found.model_dump(mode="json") | {"hash": found.hash})
        return
    for rule in found.rules:
        sides = "+".join(rule.sides)
        result(f"{rule.number:>3} {rule.severity:<9}{rule.entity:<13}{sides:<14} {rule.name} ({rule.owner})")


@app.command(epilog=CHECK_EXAMPLES)
def check(source: FromOption, out: OutOption = None, json: JsonOption = False) -> None:
    """Check the records of both sides, and list every one that breaks a rule.

    The exit code is 1 where a record breaks a critical rule.
    """
    require_data_extra()
    from cleansing import reports
    from cleansing.quality import run
    from cleansing.relations import RelationsError

    rules, now = _rules(), datetime.now(UTC)
    of = inputs.policy().entity_map
    companies = set(of.business_units.values())
    found = run(rules, relations_of(source), companies=companies, today=now.date(), countries=of.countries)
    scores, lists = found.scores, tuple[tuple[str, int], ...]()
    if out is not None:
        try:
            scores = reports.with_trend(found.scores, now, rules.hash, out)
            lists = reports.write_fix_lists(found, rules, out)
        except RelationsError as error:
            fail(str(error))
    if json:
        result_as_json(_as_json(found, scores, lists))
    else:
        _print(found, rules, scores, lists, out)
    raise typer.Exit(1 if any(score.critical for score in scores) else 0)


def _rules() -> QualityRules:
    from domain.policy import PolicyError
    from policies.quality_files import load_quality_rules

    try:
        return load_quality_rules(maps_in_force(), inputs.settings().policies)
    except PolicyError as error:
        fail(str(error))


def _as_json(found: Found, scores: tuple[Score, ...], lists: tuple[tuple[str, int], ...]) -> dict[str, object]:
    return {
        "ok": not any(score.critical for score in scores),
        "scores": [score.model_dump(mode="json") for score in scores],
        "outcomes": [outcome.model_dump(mode="json") for outcome in found.outcomes],
        "not_checked": [
            {"rule": each.rule, "entity": each.entity, "side": each.side, "why": each.why} for each in found.not_checked
        ],
        "lists": dict(lists),
    }


def _print(
    found: Found, rules: QualityRules, scores: tuple[Score, ...], lists: tuple[tuple[str, int], ...], out: Path | None
) -> None:
    for rule in rules.rules:
        failing = sum(outcome.failing for outcome in found.outcomes if outcome.rule == rule.number)
        if failing:
            result(f"rule {rule.number} ({rule.severity}, {rule.name}): {failing:,}. To do: {rule.remedy}")
    for score in scores:
        trend = "" if score.before is None else f" ({score.score - score.before:+} since the run before)"
        company = score.company or "no company"
        result(f"{score.entity:<13} {company:<11} {score.score:>6} of 100{trend}, {score.records:,} records")
    unknown: dict[str, list[int]] = {}
    for each in found.not_checked:
        unknown.setdefault(each.why, []).append(each.rule)
    for why, numbers in unknown.items():
        plural = "rule" if len(numbers) == 1 else "rules"
        note(f"{plural} {', '.join(map(str, numbers))} not checked: {why}")
    for role, rows in lists:
        result(f"{out}/{role}.csv and .xlsx: {rows:,} to correct")
    critical = sum(score.critical for score in scores)
    result(f"blocked: {critical:,} critical" if critical else "no critical rule is broken")
