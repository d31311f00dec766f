"""What a run of quality leaves: a list of fixes for each role, and its scores beside those of the runs before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import Field, ValidationError

from cleansing.files import Cell, write_lists
from cleansing.quality import Found
from cleansing.relations import RelationsError
from domain.entities.quality import QualityRules, Score
from domain.record import Record

COLUMNS: Final = (
    "rule", "name", "severity", "entity", "side", "company", "key", "field", "value", "why", "remedy",
)  # fmt: skip
MOST_RUNS: Final = 1_000
"""Runs whose scores are kept; the oldest goes when another one comes."""
SCORES: Final = "scores.jsonl"


class ScoredRun(Record):
    """The scores of one run, as they are kept."""

    at: datetime
    rules: str = Field(description="Hash of the rules they were scored by")
    scores: tuple[Score, ...]


def write_fix_lists(found: Found, rules: QualityRules, folder: Path) -> tuple[tuple[str, int], ...]:
    """Write what each role has to correct as `ROLE.csv` and `ROLE.xlsx`; the roles with their number of rows.

    A role whose list of a former run has nothing on it any more loses the list: what stands there is to be done.
    """
    of = {rule.number: rule for rule in rules.rules}

    def rows() -> Iterator[tuple[str, Sequence[Cell]]]:
        for each in found.failures():
            rule = of[each.rule]
            about = (each.entity, each.side, each.company, each.key, each.field, each.value, each.why)
            yield rule.owner, (rule.number, rule.name, rule.severity.value, *about, rule.remedy)

    written = tuple(write_lists(folder, COLUMNS, rows()))
    for owner in {rule.owner for rule in rules.rules} - {name for name, _ in written}:
        for ending in ("csv", "xlsx"):
            (folder / f"{owner}.{ending}").unlink(missing_ok=True)
    return written


def with_trend(scores: Sequence[Score], at: datetime, rules_hash: str, folder: Path) -> tuple[Score, ...]:
    """The scores with those of the run before under the same rules, after they were added to what is kept in a folder.

    Raises:
        RelationsError: what is kept there cannot be read.
    """
    file = folder / SCORES
    runs = _kept(file)
    before = next((run for run in reversed(runs) if run.rules == rules_hash), None)
    known = {(each.entity, each.company): each.score for each in before.scores} if before else {}
    told = tuple(each.model_copy(update={"before": known.get((each.entity, each.company))}) for each in scores)
    runs = [*runs, ScoredRun(at=at, rules=rules_hash, scores=tuple(scores))][-MOST_RUNS:]
    folder.mkdir(parents=True, exist_ok=True)
    made = file.with_suffix(".making")
    made.write_text("".join(run.model_dump_json() + "\n" for run in runs), encoding="utf-8")
    made.replace(file)
    return told


def _kept(file: Path) -> list[ScoredRun]:
    if not file.exists():
        return []
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
        return [ScoredRun.model_validate_json(line) for line in lines if line.strip()][-MOST_RUNS:]
    except (UnicodeDecodeError, ValidationError) as error:
        raise RelationsError(f"{file}: not scores of former runs; move it away, and a trend begins anew") from error
