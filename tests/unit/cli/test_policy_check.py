"""`q2c policy check`: a file or a folder of rules, all problems at once, and never a traceback."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

import policies
from cli.main import app

PACKAGED = Path(policies.__file__).parent


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("Q2C_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def check(*arguments: object, **variables: str) -> Result:
    return CliRunner().invoke(app, ["policy", "check", *map(str, arguments)], env=variables)


def told(*arguments: object, **variables: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(check(*arguments, "--json", **variables).stdout)
    return answer


def test_the_shipped_rules_can_be_used_and_the_levels_that_nobody_decides_are_noted() -> None:
    found = check()
    assert (found.exit_code, found.stdout) == (0, f"version {policies.load().version} can be used\n")
    assert "demf: nobody holds legal, level 1 of 'legal'" in found.stderr
    data = told()
    assert (data["usable"], data["hash"], data["problems"]) == (True, policies.load().hash, [])
    assert "demf: nobody holds cfo, level 3 of 'sales'" in data["notes"]


def test_all_problems_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    text = (PACKAGED / "discount.yaml").read_text()
    (tmp_path / "discount.yaml").write_text(text.replace("than: 10}", "than: 30}").replace("than: 60}", "than: -1}"))
    (tmp_path / "credit.yaml").write_text("version: [")
    (tmp_path / "tolerances.yaml").write_text("version: '1'\nmoney: {line_unit: 1}\n")
    (tmp_path / "right.yaml").write_text("")
    found = check(tmp_path)
    assert found.exit_code == 1
    lines = found.stdout.splitlines()
    assert [line.removeprefix(f"{tmp_path}/").partition(": ")[0] for line in lines] == [
        "right.yaml", "credit.yaml", "tolerances.yaml", "discount.yaml",
    ]  # fmt: skip
    assert "rule D1: rules.0.when.0: contradictory: the order of thresholds goes down" in lines[3]
    problems = told(tmp_path)["problems"]
    assert [problem["rule"] for problem in problems] == ["", "", "", "D1"]
    assert problems[2] == {
        "file": f"{tmp_path}/tolerances.yaml",
        "field": "money.line_unit",
        "text": "is not a setting here; correct its name or remove it",
        "rule": "",
    }


def test_one_file_is_checked_with_the_rest_of_the_rules_in_force(tmp_path: Path) -> None:
    in_force = tmp_path / "in-force"
    in_force.mkdir()
    (in_force / "approvers.yaml").write_text((PACKAGED / "approvers.yaml").read_text().replace("legal: [leo]", ""))
    next_year = tmp_path / "discount-2027.yaml"
    next_year.write_text((PACKAGED / "discount.yaml").read_text().replace("than: 10}", "than: 12}"))
    assert check(next_year).exit_code == 0
    found = check(next_year, Q2C_POLICIES=str(in_force))
    assert found.exit_code == 1
    assert found.stdout.startswith(f"{next_year}: rule T1: rules.3: without authority: nobody holds legal in usmf")


def test_a_file_that_is_no_policy_and_one_that_is_not_there_are_named(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("")
    for path, says in (("x.yaml", "must begin as one of discount.yaml"), ("none", "not a folder"), ("a" * 5000, "too")):
        found = check(path)
        assert found.exit_code == 1
        assert found.stdout.startswith(path) and says in found.stdout
        assert found.stdout.count("\n") == 1


def never_a_traceback(file: Path) -> None:
    for arguments in ((), ("--json",)):
        found = check(file, *arguments)
        assert found.exit_code in (0, 1), found.output
        assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
        found.stdout.encode()
        if arguments:
            assert json.loads(found.stdout)["usable"] is (found.exit_code == 0)
        else:
            assert all(line.isprintable() for line in found.stdout.splitlines())


@pytest.mark.parametrize(
    "text",
    [
        "version: !!bool x",
        "version: !!int x",
        "version: !!timestamp x",
        "version: !!binary ü",
        "version: !!omap x",
        "version: !!pairs [a]",
        'version: "\\ud800"',
        '"\\ud800": 1',
        'version: "\\UFFFFFFFF"',
        'version: "\\x1b[2J"\n"\\x1b[2J": 1\n"a\\nb": 2',
        "version: \ufeff",
        "\ufeffversion: 1",
        "version: 1\nversion: 2",
        "!!str version: 1\n!!null ~: 2\n1: 3\ntrue: 4",
        "%YAML 9.9\n---\nversion: 1",
        "version: 1\nrules: [{id: D1, when: [{value: disc_pct, op: '>', than: '1e999999999'}]}]",
        "version: 1\nrules: [{id: D1, when: [{value: disc_pct, op: '>', than: 'NaN'}]}]",
        "version: 1\nrules: [{id: D1, when: [{value: net, op: '>', than: {USD: '1e-9999'}}]}]",
        "version: 1\nrules: {0: {id: D1}}",
        "version: 1\nrules: [[[{id: {}}]]]",
        "version: 1\nmax_age_days: " + "9" * 39,
    ],
)
@pytest.mark.parametrize("name", ["discount.yaml", "approvers.yaml", "calendars.yaml"])
def test_nothing_a_file_can_hold_is_a_traceback(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    never_a_traceback(tmp_path / name)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**45), 10**45)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["1e99999", "-1e-99999", "NaN", "Infinity", "USD", "usmf", "disc_pct", "net", ">", "2026-02-30"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=8,
)
fuzzed = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def places(content: Any) -> list[tuple[Any, Any]]:
    """Every place of a parsed file at which something else could stand."""
    if not isinstance(content, dict | list):
        return []
    keys = list(content) if isinstance(content, dict) else list(range(len(content)))
    return [(content, key) for key in keys] + [place for key in keys for place in places(content[key])]


@given(data=st.data())
@fuzzed
def test_a_file_with_anything_anywhere_is_never_a_traceback(tmp_path: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(policies.FILES))
    content = yaml.safe_load((PACKAGED / name).read_text())
    for _ in range(data.draw(st.integers(1, 3))):
        where, key = data.draw(st.sampled_from(places(content)))
        where[key] = data.draw(VALUES)
    (tmp_path / name).write_text(yaml.safe_dump(content, allow_unicode=data.draw(st.booleans())))
    never_a_traceback(tmp_path / name)


@given(data=st.data())
@fuzzed
def test_a_file_of_any_bytes_is_never_a_traceback(tmp_path: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(policies.FILES))
    yaml_like = st.text(alphabet="{}[]:,-?!&*#|>%@`'\"\\ \n\tab01.~<=", max_size=40).map(str.encode)
    (tmp_path / name).write_bytes(data.draw(st.binary(max_size=60) | yaml_like))
    never_a_traceback(tmp_path / name)
