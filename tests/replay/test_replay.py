"""Every recorded run replays on the code as it is, with the same commands: else a change needs `workflow.patched`.

The recorded runs are those of `tests/replay/record.py`, their fingerprints those of `tests/replay/fingerprints.py`. A
file is removed only when no run of its kind can be alive any more.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runs.names import AFTER_END, COLLECTIONS, DELEGATIONS, HISTORY, INITIAL_RUN, MAP_CHANGE
from tests.replay.fingerprints import FOLDER, commands_of, fingerprint_of, kept, recorded, started

PROJECT = Path(__file__).parents[2]
HISTORIES = sorted(FOLDER.glob("*.json"))
HOW = "where the change is meant: uv run python -m tests.replay.fingerprints, and read what git shows"


def workflow_type(history: Path) -> str:
    return str(started(history)["workflowType"]["name"])


@pytest.mark.parametrize("history", HISTORIES, ids=lambda path: path.stem)
async def test_a_recorded_run_replays_with_the_commands_it_had(history: Path) -> None:
    commands, failure = await commands_of(recorded(history))
    assert failure is None, failure
    assert commands == kept(history), HOW


def test_every_process_of_long_life_has_a_recorded_run_and_every_run_a_fingerprint() -> None:
    recorded = {workflow_type(history) for history in HISTORIES}
    feeds, companies = {"SalesFeed", "FinanceFeed"}, {DELEGATIONS, AFTER_END}
    bulk = {INITIAL_RUN, MAP_CHANGE, HISTORY}
    assert recorded >= {"QuoteToCash", "Approval", "CreditLedger", COLLECTIONS} | feeds | companies | bulk
    assert set(FOLDER.glob("*.commands")) == {fingerprint_of(history) for history in HISTORIES}


async def test_a_run_of_other_code_does_not_replay() -> None:
    """The test above can fail: a history with a step the code does not take is refused."""
    _, failure = await commands_of(recorded(FOLDER / "happy_path.json", mark_quote="close_quote"))
    assert "ondeterminism" in repr(failure)


CARELESS = {
    "an added wait": (
        "quote_to_cash/order.py",
        "        recorded = await self._steps.run(",
        "        await workflow.sleep(5)\n        recorded = await self._steps.run(",
    ),
    "a shorter limit": ("steps.py", "START_TO_CLOSE = timedelta(seconds=45)", "START_TO_CLOSE = timedelta(seconds=5)"),
    "under a patch": (
        "quote_to_cash/order.py",
        "        recorded = await self._steps.run(",
        '        if workflow.patched("wait"):\n            await workflow.sleep(5)\n'
        "        recorded = await self._steps.run(",
    ),
}
"""Changes of a workflow: the file, what stands in it, what comes in its place."""
LOOK = """
import asyncio, sys
sys.path[:0] = sys.argv[1:3]
import workflows
assert workflows.__path__[0].startswith(sys.argv[1]), workflows.__path__
from tests.replay.fingerprints import FOLDER, commands_of, kept, recorded
file = FOLDER / "happy_path.json"
commands, failure = asyncio.run(commands_of(recorded(file)))
print("replays" if failure is None else "does not replay", "as before" if commands == kept(file) else "otherwise")
"""


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("an added wait", "does not replay otherwise"),
        ("a shorter limit", "replays otherwise"),
        ("under a patch", "replays as before"),
    ],
)
def test_a_careless_change_of_a_workflow_is_found_and_a_guarded_one_is_none(
    change: str, found: str, tmp_path: Path
) -> None:
    file, before, after = CARELESS[change]
    shutil.copytree(PROJECT / "workflows", tmp_path / "workflows")
    changed = tmp_path / "workflows" / file
    assert changed.read_text().count(before) == 1
    changed.write_text(changed.read_text().replace(before, after))
    look = subprocess.run(
        [sys.executable, "-c", LOOK, str(tmp_path), str(PROJECT)],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        cwd=tmp_path,
    )
    assert look.stdout.splitlines()[-1:] == [found], look.stderr[-2_000:]
