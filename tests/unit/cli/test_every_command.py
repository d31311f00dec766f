"""Every command there is, found by walking them: help with an example, JSON alone, exit codes, never a traceback."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command
from typer.testing import CliRunner, Result

import policies
from cli.main import app
from sandbox.generate import write
from tests.population import as_parquet

PAGE = (Path(__file__).parents[3] / "docs" / "command-line.md").read_text(encoding="utf-8")
OURS = ("Q2C_", "TEMPORAL_", "OTEL_")
PERIOD = "--company usmf --from 2026-01-01 --to 2026-12-31"
QUOTE = {
    "quote": "Q-1",
    "company": "usmf",
    "currency": "USD",
    "payment_days": 30,
    "lines": [{"item": "P", "quantity": 1, "list_price": 10, "cost": 5}],
}
DISCOUNT = Path(policies.__file__).parent / "discount.yaml"
Run = Callable[..., Result]


def walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command below one, groups as well, by the words that name it."""
    for name, below in getattr(command, "commands", {}).items():
        yield " ".join((*path, name)), below
        yield from walk(below, (*path, name))


ALL: dict[str, TyperCommand | TyperGroup] = dict(walk(get_command(app)))
LONG = {"demo", "chaos", "up", "sandbox", "worker", "web", "codec", "bus", "virtual", "mcp"}
"""Processes: they run until they are stopped, and report by their logs."""
LEAVES = {name: command for name, command in ALL.items() if not isinstance(command, TyperGroup)}
REPORTING = {name for name in LEAVES if name not in LONG}

ANSWERS = {
    "keys": "keys --json",
    "codec keys": "codec keys --json",
    "codec add-key": "codec add-key --json",
    "codec use-key": "codec use-key {newest} --json",
    "codec retire-key": "codec retire-key {newest} --json",
    "setup dataverse": "setup dataverse --json",
    "doctor": "doctor --json",
    "shadow report": "shadow report --json",
    "shadow forget": "shadow forget --company usmf --json",
    "policy explain": "policy explain quote.json --json",
    "policy check": "policy check --json",
    "policy diff": f"policy diff {DISCOUNT} {DISCOUNT} --deals quote.json --json",
    "policy conflicts": "policy conflicts --json",
    "map list": "map list --json",
    "map lint": "map lint --offline --json",
    "map describe": "map describe --json",
    "assess": "assess --json",
    "data dictionary": "data dictionary --json",
    "data export": "data export customer --company usmf --from records --out exported --json",
    "openapi": "openapi --form 2.0 --json",
    "quality rules": "quality rules --json",
    "quality check": "quality check --from records --out fixes --json",
    "match run": "match run --from records --out doubles --standing --json",
    "match train": "match train --from records --out model.json --json",
    "ledger migrate": "ledger migrate --json",
    "late list": "late list --token-file token --json",
    "late dismiss": "late dismiss usmf 7 why --token-file token --json",
    "credit rebuild": "credit rebuild --company usmf --all --reason why --token-file token --json",
    "parallel verify": "parallel verify none.json --json",
    "parallel exit": "parallel exit usmf --reason why --token-file token --json",
    "sync start": "sync start customer --company usmf --reason why --token-file token --json",
    "sync stop": "sync stop customer --company usmf --reason why --token-file token --json",
    "sync conflicts": "sync conflicts customer --company usmf --json",
    "sync settle": "sync settle 0a1b2c3d4e5f --take sales --reason why --token-file token --json",
    "history start": "history start invoice --company usmf --reason why --token-file token --json",
    "history stop": "history stop invoice --company usmf --reason why --token-file token --json",
    "letters list": "letters list --json",
    "letters show": "letters show 0a1b2c3d4e5f --json",
    "letters propose": "letters propose 0a1b2c3d4e5f --value A --reason why --token-file token --json",
    "letters approve": "letters approve 0a1b2c3d4e5f --reason why --token-file token --json",
    "letters dismiss": "letters dismiss 0a1b2c3d4e5f --reason why --token-file token --json",
    "letters replay": "letters replay --entity customer --company usmf --cause conflict --reason why "
    "--token-file token --json",
    "audit export": f"audit export {PERIOD} --out out.jsonl --json",
    "audit verify": "audit verify --database --json",
    "audit prune": "audit prune --json",
    "audit erase": "audit erase 800654ed-e59a-5376-a645-838605947a61 --json",
    "audit report conflicts": "audit report conflicts --json",
    "audit report access": "audit report access --company usmf --json",
    "audit report above-limit": "audit report above-limit --company usmf --json",
    "audit report rounding": "audit report rounding --company usmf --json",
    "audit report unsigned-orders": "audit report unsigned-orders --company usmf --json",
    "audit report unknown-documents": "audit report unknown-documents --company usmf --finance none.json --json",
}
"""How each command that reports is asked here; what needs a system that is away says so, in JSON or as a refusal."""
NOT_HERE = {
    *("bus dead-letters", "bus retry", "collections list", "collections show", "collections letter", "compare"),
    *("import", "load", "bench", "initial", "gate", "sync status", "history status"),
    *("map propose", "map plan", "map approve", "map refuse", "map withdraw", "map activate", "map rollback"),
    "map history",
    *("parallel start", "parallel status", "parallel report", "parallel export"),
}
"""They need a bus, a Temporal, or the site or ledger of one. These ask them: tests/security/test_bus.py,
tests/unit/cli/test_map_change.py, tests/scenarios/test_d_collections.py, tests/scenarios/test_e_going_live.py, and
test_comparison.py, test_initial.py, test_sync.py, test_history.py and test_parallel.py of tests/workflows. What `bench`
runs is minutes long.
"""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """A command in an empty folder, with settings of its own only, and nothing that answers."""
    for name in [name for name in os.environ if name.startswith(OURS)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    away = {"TEMPORAL_ADDRESS": "127.0.0.1:1", "Q2C_CA_FILE": "", "COLUMNS": "80"}
    away |= {f"Q2C_{name}_URL": "https://127.0.0.1:1" for name in ("ENTRA", "DATAVERSE", "FINANCE", "WEB")}

    def invoke(*words: str, **variables: str) -> Result:
        return CliRunner().invoke(app, list(words), prog_name="q2c", env=away | variables)

    return invoke


def clean(found: Result) -> Result:
    """The result of a command that ended as one should: an exit code of the page, and no exception of a library."""
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    assert found.exit_code in (0, 1, 2)
    assert "Traceback" not in found.output
    return found


@pytest.mark.parametrize("name", ALL)
def test_every_command_has_help_with_an_example_in_80_columns(run: Run, name: str) -> None:
    found = run(*name.split(), "--help")
    assert found.exit_code == 0
    examples = found.stdout.partition("Examples:")[2]
    assert f"q2c {name}" in " ".join(examples.split())
    assert max(map(len, found.stdout.splitlines())) <= 80
    command = ALL[name]
    _, _, more = (command.help or "").partition("\n\n")  # the first paragraph is flowed, what follows keeps its lines
    lines = [*more.splitlines(), *(command.epilog or "").splitlines()]
    assert [line for line in lines if len(line) > 78] == [], "a line broken by hand is broken again at 80 columns"


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_is_in_the_page_of_commands(name: str) -> None:
    assert f"`q2c {name}" in PAGE


def test_every_command_that_reports_is_asked_for_json() -> None:
    assert set(ANSWERS) | NOT_HERE == REPORTING


@pytest.mark.parametrize("name", sorted(REPORTING))
def test_every_command_that_reports_has_json(name: str) -> None:
    assert any("--json" in parameter.opts for parameter in ALL[name].params)


@pytest.mark.parametrize("name", ANSWERS)
def test_json_is_alone_on_standard_output(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "quote.json").write_text(json.dumps(QUOTE))
    (tmp_path / "none.json").write_text("[]")
    (tmp_path / "token").write_text("a.b.c")
    if "records" in ANSWERS[name]:
        rates = dict.fromkeys(("same_tax_number", "near_name", "sales_twin", "other_company"), 0.1)
        write(tmp_path / "population", 300, rates=rates)
        as_parquet(tmp_path / "population", tmp_path / "records")
    made = json.loads(clean(run("keys", "--json")).stdout)
    assert made["sealing"] == ".q2c/codec-keys.json"
    newest = json.loads(clean(run("codec", "add-key", "--json")).stdout)["keys"][-1]
    found = clean(run(*ANSWERS[name].format(newest=newest).split()))
    if found.exit_code == 2:  # it could not begin, and says why in one line
        assert (found.stdout, found.stderr.count("\n")) == ("", 1)
        assert name == "audit export", found.stderr
    else:
        assert json.loads(found.stdout) is not None


def test_the_exit_codes_are_told_by_the_help_and_by_the_page(run: Run) -> None:
    for told in (" ".join(run("--help").stdout.split()), PAGE):
        for code in ("0", "1", "2", "130"):
            assert re.search(rf"(Exit codes: |; |\| `?){code}`?( \||,)", told), code


# Whatever is given


@pytest.fixture
def odd(tmp_path: Path) -> dict[str, str]:
    """Things that stand where a file should."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    (tmp_path / "deep").write_text("[" * 100_000)
    for name, text in (("null", "null"), ("list", "[1]"), ("object", '{"a": {"b": 1}}'), ("text", "hello")):
        (tmp_path / name).write_text(text)
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    names = ("folder", "empty", "binary", "deep", "null", "list", "object", "text", "dangling", "loop", "pipe")
    return {name: name for name in names} | {"long": "a" * 5000, "missing": "missing", "no text": "\udcff"}


KINDS = ("folder", "empty", "binary", "deep", "null", "list", "object", "text", "dangling", "loop", "pipe", "long",
         "missing", "no text")  # fmt: skip
WITH_A_FILE = (
    "policy check {}",
    "policy check {} --json",
    "policy explain {}",
    "policy diff {} {} --deals {}",
    "policy conflicts --people {}",
    "map lint --offline --map {}",
    "match run --from {} --out doubles",
    "match run --from folder --out doubles --model {}",
    "quality check --from {}",
    "data export customer --company usmf --out exported --from {}",
    "audit verify {}",
    "audit report conflicts --people {}",
    "audit report access --company usmf --people {}",
    "audit report above-limit --company usmf --limits {}",
    "audit report unknown-documents --company usmf --finance {}",
)


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_stands_where_a_file_should_is_named_and_nothing_else(
    run: Run, odd: dict[str, str], kind: str
) -> None:
    clean(run("keys"))
    for words in WITH_A_FILE:
        found = clean(run(*words.format(*[odd[kind]] * 3).split(" ")))
        empty_rules = kind == "folder" and words.startswith("policy check")
        assert found.exit_code != 0 or kind in ("list", "object") or empty_rules, words
        shown = odd[kind].encode(errors="backslashreplace").decode()
        assert found.exit_code == 0 or shown in found.output.replace("\\\\", "\\"), found.output
        assert "Errno" not in found.output and "codec can't" not in found.output
        if words.endswith("--json"):
            assert json.loads(found.stdout)["usable"] is empty_rules


VARIABLES = {
    "Q2C_POLICIES": ("policy", "explain"),
    "Q2C_DECISION_PRIVATE_KEY_FILE": ("keys",),
    "Q2C_AUDIT_PUBLIC_KEYS_FILE": ("keys",),
    "Q2C_AUDIT_WEB_KEY_FILE": ("keys",),
    "Q2C_CODEC_KEYS_FILE": ("keys",),
    "Q2C_AUDIT_PRIVATE_KEY_FILE": ("audit", "prune"),
}


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize(
    "kind", ["folder", "empty", "binary", "deep", "null", "list", "object", "text", "loop", "long"]
)
def test_whatever_a_variable_names_is_named_with_it(run: Run, odd: dict[str, str], variable: str, kind: str) -> None:
    found = clean(run(*VARIABLES[variable], **{variable: odd[kind]}))
    assert "Errno" not in found.output and "Expecting value" not in found.output
    if found.exit_code:
        assert found.stderr.startswith((f"{variable}: ", odd[kind])), found.stderr
    else:
        assert (variable, kind) in (("Q2C_POLICIES", "folder"), ("Q2C_CODEC_KEYS_FILE", "loop")), "it can be used"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("audit export --company u/f --from 2026-01-01 --to 2026-01-02 --out x", "--company"),
        ("audit export --company usmf --from 2026-01-01 --to 9999-12-31 --out x", "--to"),
        ("audit export --company usmf --from soon --to 2026-01-02 --out x", "--from"),
        ("audit report access --company \udcff", "--company"),
        ("audit erase \udcff", "oid"),
        ("audit verify", "--database"),
        ("policy explain --jsno", "--json"),
        ("polcy explain", "policy"),
        ("initial customer --company usmf --do pause", "--token-file"),
        ("initial customer --company usmf --dry-run --results here", "--results"),
        ("initial customer --company usmf --dry-run --undo RUN", "--undo"),
        ("initial customer --company usmf/ --dry-run", "--company"),
        ("assess --company ../etc", "--company"),
        ("demo --cases 0", "--cases"),
        ("demo --data missing", "--data"),
        ("up --ports 80", "--ports"),
        ("sandbox --entra-port 99999", "--entra-port"),
        ("bus dead-letters --limit x", "--limit"),
        ("bench --only nothing", "--only"),
        ("load --deals 1 --rate 1 --until x", "--until"),
        ("import --company nowhere", "--company"),
    ],
)
def test_a_wrong_argument_is_named(run: Run, words: str, says: str) -> None:
    found = clean(run(*words.split()))
    assert (found.exit_code, found.stdout) == (2, "")
    assert says in found.stderr


def test_what_the_operating_system_refuses_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for words, variables in (
        (("keys",), {"Q2C_CODEC_KEYS_FILE": "file/keys.json"}),
        (("codec", "add-key"), {"Q2C_CODEC_KEYS_FILE": "file/keys.json"}),
        (("ledger", "migrate"), {"Q2C_LEDGER_URL": "sqlite:///file/ledger.db"}),
    ):
        found = clean(run(*words, **variables))
        assert (found.exit_code, found.stderr.count("\n"), "file" in found.stderr) == (2, 1, True), found.stderr


WORDS = sorted(
    {word for name in ALL for word in name.split()} - {"demo", "up", "sandbox", "worker", "web", "virtual", "mcp"}
)
OPTIONS = sorted({option for command in ALL.values() for parameter in command.params for option in parameter.opts})
ANY_TEXT = st.text(st.characters(exclude_characters="\0"), max_size=6)


@given(
    st.sampled_from([name for name in LEAVES if name in REPORTING and name not in NOT_HERE | {"doctor"}]),
    st.lists(st.sampled_from([*OPTIONS, "usmf", "2026-01-01", "-", "--"]) | ANY_TEXT, max_size=5),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_arguments_end_with_a_code_of_the_page(run: Run, name: str, arguments: list[str]) -> None:
    found = run(*name.split(), *arguments)
    clean(found)
    if found.exit_code == 2:
        assert found.stdout == "" and found.stderr


@pytest.mark.parametrize("words", ["policy explain", "policy check", "keys", "--help", "policy explain --json"])
def test_nothing_colours_what_is_no_terminal(run: Run, words: str) -> None:
    found = clean(run(*words.split(), NO_COLOR="1"))
    assert "\x1b" not in found.output
