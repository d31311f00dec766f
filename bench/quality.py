"""How long a population of customers on both sides takes against the rules of quality.

Repeat with `uv run python -m bench.quality --rows 1000000`.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from cleansing.quality import run
from cleansing.reports import write_fix_lists
from policies.map_files import load_maps
from policies.quality_files import load_quality_rules
from sandbox.generate import write
from tests.population import COMPANIES, as_parquet, relations


def main() -> None:
    """Print how long each part takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="records of the two sides together, about")
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    rules = load_quality_rules(load_maps().all)
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder, "population"), asked.rows // 2, seed=asked.seed)
        given = relations(as_parquet(Path(folder, "population"), Path(folder, "relations")))
        begun, work = time.perf_counter(), time.process_time()
        found = run(rules, given, companies=COMPANIES, today=datetime.now(UTC).date())
        taken, work = time.perf_counter() - begun, time.process_time() - work
        failing = sum(outcome.failing for outcome in found.outcomes)
        records = sum(score.records for score in found.scores)
        print(f"{records:,} records, {len(rules.rules)} rules: {taken:.1f} s, {work:.1f} s of processor time")
        print(f"{failing:,} records break a rule; {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
        begun = time.perf_counter()
        written = write_fix_lists(found, rules, Path(folder, "lists"))
        print(f"lists of {sum(rows for _, rows in written):,} rows: {time.perf_counter() - begun:.1f} s")
        for score in found.scores:
            print(f"{score.company or '(none)':>8}  {score.score:>6}  {score.records:>9,} records  {score.failing:,}")


if __name__ == "__main__":
    main()
