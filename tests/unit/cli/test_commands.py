"""The command line from outside: help, version, completion, output for programs, and errors for people."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli import local
from cli.main import app
from runs.codec_keys import ensure_codec_keys
from workers import composition
from workers.settings import SettingsError, load_settings

ROOT = Path(__file__).parents[3]
Here = Callable[..., Result]
COMMANDS = (
    *("demo", "up", "sandbox", "worker", "web", "codec", "keys", "doctor"),
    *(
        "policy explain",
        "policy check",
        "policy diff",
        "policy conflicts",
        "ledger migrate",
        "audit",
        "setup dataverse",
    ),
)
REPORTING = (
    *(
        "keys",
        "doctor",
        "setup dataverse",
        "policy explain",
        "policy check",
        "policy diff",
        "policy conflicts",
        "demo",
        "codec keys",
    ),
    "audit report conflicts",
)


def environment(**changes: str) -> dict[str, str]:
    inherited = {n: v for n, v in os.environ.items() if not n.startswith(("Q2C_", "TEMPORAL_", "OTEL_"))}
    return inherited | {"COLUMNS": "80", "PYTHONPATH": str(ROOT)} | changes


def q2c(*arguments: str, cwd: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own, in an empty folder."""
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        env=environment(**changes),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Here:
    """The command inside this process, in an empty folder: for what needs no process of its own."""
    for name in set(os.environ) - set(environment()):
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def run(command: str, **changes: str) -> Result:
        return CliRunner().invoke(app, command.split(), prog_name="q2c", env={"COLUMNS": "80"} | changes)

    return run


def test_the_version_is_the_packages(here: Here) -> None:
    assert re.fullmatch(r"q2c \d+\.\d+\.\d+\n", here("--version").stdout)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_fits_80_columns_and_shows_examples(here: Here, command: str) -> None:
    result = here(f"{command} --help")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert f"q2c {command}" in result.stdout.partition("Examples:")[2]


@pytest.mark.parametrize("command", REPORTING)
def test_every_command_that_reports_has_json(here: Here, command: str) -> None:
    assert "--json" in here(f"{command} --help").stdout


def test_the_help_names_every_command(here: Here) -> None:
    text = here("--help").stdout
    assert all(command.split()[0] in text for command in COMMANDS)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_offered_for_every_shell(tmp_path: Path, shell: str) -> None:
    shown = q2c("--show-completion", shell, cwd=tmp_path, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "_Q2C_COMPLETE" in shown.stdout


@pytest.mark.parametrize(
    ("words", "answers"), [("q2c d", {"data", "demo", "doctor"}), ("q2c up --ports ", {"fixed", "auto"})]
)
def test_completion_knows_commands_and_the_values_of_options(tmp_path: Path, words: str, answers: set[str]) -> None:
    given = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")), "_Q2C_COMPLETE": "complete_bash"}
    assert set(q2c(cwd=tmp_path, **given).stdout.split()) == answers


def test_help_and_completion_load_neither_the_sdk_nor_the_settings() -> None:
    script = (
        "import sys\n"
        "sys.argv = ['q2c', '--help']\n"
        "from cli.main import app\n"
        "try: app(prog_name='q2c')\n"
        "except SystemExit: pass\n"
        "print([name for name in ('temporalio', 'pydantic', 'httpx', 'demo') if name in sys.modules])\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


def test_a_command_leaves_before_the_interpreter_is_torn_down() -> None:
    """Threads of Temporal's SDK can abort a process that is being torn down: its exit code would be chance."""
    script = (
        "import atexit, sys\n"
        "atexit.register(print, 'torn down')\n"
        "sys.argv = ['q2c', '--version']\n"
        "from cli.main import main\n"
        "main()\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.startswith("q2c ") and "torn down" not in result.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_what_could_not_be_printed_is_no_success() -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "cli", "--version"]
        assert subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=60, check=False).returncode == 1


def test_the_options_of_the_sandbox_are_the_sandboxes_own(here: Here) -> None:
    """`q2c sandbox` declares them again because the product shares no code with the sandbox."""
    own = subprocess.run(
        [sys.executable, "-m", "sandbox", "--help"], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    ours = here("sandbox --help").stdout
    options = {option for option in re.findall(r"--[a-z][a-z-]+", own) if option != "--help"}
    assert options == set(re.findall(r"(?m)^│ (--[a-z][a-z-]+)", ours)) - {"--help"}
    for variable in re.findall(r"Q2C_SANDBOX_[A-Z_]+", (ROOT / "sandbox/__main__.py").read_text()):
        option = f"--{variable.removeprefix('Q2C_SANDBOX_').lower().replace('_', '-')}"
        assert variable in ours or option in ours or variable.endswith("_"), variable


@pytest.mark.parametrize("command", ["worker", "web", "policy explain", "keys", "up", "demo"])
def test_a_wrong_setting_is_one_line_that_names_it(here: Here, command: str) -> None:
    result = here(command, Q2C_WEB_PORT="eighty")
    assert result.exit_code == 2
    assert result.stderr == "Q2C_WEB_PORT: must be a whole number\n"


@pytest.mark.parametrize(
    ("command", "name", "value", "said"),
    [
        (
            "worker",
            "TEMPORAL_ADDRESS",
            "127.0.0.1:1",
            "Temporal does not answer at 127.0.0.1:1: nothing listens there.",
        ),
        ("web", "TEMPORAL_ADDRESS", "localhost:99999", "TEMPORAL_ADDRESS: localhost:99999 is not host:port"),
        ("worker", "TEMPORAL_PROFILE", "nowhere", "Correct TEMPORAL_CONFIG_FILE or TEMPORAL_PROFILE."),
        ("web", "OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318", "OTEL_EXPORTER_OTLP_ENDPOINT: must be a URL such as"),
        ("worker", "OTEL_METRIC_EXPORT_INTERVAL", "often", "OTEL_METRIC_EXPORT_INTERVAL: must be a whole number"),
    ],
)
def test_a_process_that_cannot_begin_says_which_variable_to_set(
    command: str, name: str, value: str, said: str, tmp_path: Path
) -> None:
    ensure_codec_keys(tmp_path / "codec-keys.json")
    result = q2c(command, cwd=tmp_path, Q2C_CODEC_KEYS_FILE="codec-keys.json", **{name: value})
    assert result.returncode == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_who_holds_roles_that_should_be_two_peoples_is_reported(here: Here, tmp_path: Path) -> None:
    assert here("policy conflicts").exit_code == 0
    (tmp_path / "people.json").write_text(
        json.dumps([{"oid": "x", "name": "Xenia", "roles": ["ops", "sales_manager.usmf", "root"]}])
    )
    found = here("policy conflicts --people people.json")
    assert (found.exit_code, "usmf Xenia: ops and sales_manager" in found.stdout) == (1, True)
    assert "grants nothing: root" in found.stderr
    (data,) = json.loads(here("policy conflicts --people people.json --json").stdout)
    assert (data["person"]["name"], data["roles"]) == ("Xenia", ["ops", "sales_manager"])
    assert here("policy conflicts --people nothing.json").exit_code == 2


def test_a_wrong_policy_file_is_never_a_traceback(here: Here, tmp_path: Path) -> None:
    (tmp_path / "discount.yaml").write_text("rules: {")
    result = here("policy explain", Q2C_POLICIES=str(tmp_path))
    assert result.exit_code == 2
    assert result.stderr.startswith(f"{tmp_path}/discount.yaml: not valid YAML")
    doctor = q2c("doctor", cwd=tmp_path, Q2C_POLICIES=str(tmp_path), TEMPORAL_ADDRESS="127.0.0.1:1")
    assert f"FAIL policies: {tmp_path}/discount.yaml: not valid YAML" in doctor.stdout
    assert "Traceback" not in doctor.stderr


def test_the_rules_are_explained_in_words_and_as_data(here: Here) -> None:
    words, data = here("policy explain"), here("policy explain --json")
    assert (words.exit_code, data.exit_code) == (0, 0)
    found = json.loads(data.stdout)
    assert found["version"] in words.stdout
    assert found["policy"]["discount"]["rules"][0]["id"] == "D1"


def test_the_keys_are_made_once_and_named(here: Here, tmp_path: Path) -> None:
    first = json.loads(here("keys --json").stdout)
    private = tmp_path / first["private"]
    made = private.read_text()
    assert len({*first.values()}) == 6
    assert all((tmp_path / file).exists() and file in here("keys").stdout for file in first.values())
    assert private.read_text() == made


def test_the_doctor_answers_in_json_what_it_could_not_ask_and_why(tmp_path: Path) -> None:
    result = q2c(
        "doctor",
        "--json",
        cwd=tmp_path,
        Q2C_CA_FILE="",
        Q2C_ENTRA_URL="https://127.0.0.1:1",
        TEMPORAL_ADDRESS="127.0.0.1:1",
    )
    report = json.loads(result.stdout)
    assert (result.returncode, report["ok"]) == (1, False)
    checks = {check["name"]: check for check in report["checks"]}
    assert {check["status"] for check in checks.values()} == {"ok", "failed", "not checked"}
    assert checks["codec keys"]["status"] == "failed" and "q2c keys" in checks["codec keys"]["text"]
    assert checks["audit store"]["status"] == "ok"
    assert checks["Entra ID"]["text"] == (
        "https://127.0.0.1:1/b05aafed-15fd-5db6-8981-4fa0293ccc6a/v2.0/.well-known/openid-configuration: nothing "
        "listens there."
    )
    assert "Q2C_ENTRA_URL" in checks["Entra ID"]["remedy"]
    assert checks["Dataverse, Finance"]["status"] == "not checked"


def test_a_certificate_authority_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for file, said in (("ca.pem", "is not a PEM file"), ("nowhere.pem", "No such file")):
        monkeypatch.setenv("Q2C_CA_FILE", str(tmp_path / file))
        with pytest.raises(SettingsError, match=f"Q2C_CA_FILE: {tmp_path}/{file}: {said}"):
            composition.authority_file(load_settings())


def test_the_demo_says_before_it_starts_where_its_summary_could_not_be_written(here: Here, tmp_path: Path) -> None:
    assert here(f"demo --auto --json {tmp_path}/no/out.json").stderr.startswith("--json: there is no folder")
    assert "is a folder; name a file" in here(f"demo --auto --json {tmp_path}").stderr


def test_the_demo_says_what_it_ignores(here: Here, tmp_path: Path) -> None:
    """A wrong setting ends each of these before anything starts."""
    assert "--json is ignored: only --auto" in here("demo --json out.json", Q2C_WEB_PORT="x").stderr
    assert "--cases is ignored" in here(f"demo --auto --cases 3 --data {tmp_path}", Q2C_WEB_PORT="x").stderr
    assert "ignored" not in here("demo --auto --cases 3 --json out.json", Q2C_WEB_PORT="x").stderr


def test_ports_in_use_are_named(here: Here, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 8446)):
        result = here("up")
    assert result.exit_code == 1
    assert "8446 (desk)" in result.stderr and "--ports auto" in result.stderr
    assert not (tmp_path / ".q2c").exists(), "a stack that cannot start leaves nothing"


@pytest.mark.parametrize(
    ("command", "module", "said"),
    [("demo", "trustme", "trustme"), ("up", "demo", "the rooms"), ("sandbox", "sandbox", "the room `sandbox`")],
)
def test_what_is_not_installed_is_named_with_how_to_install_it(
    here: Here, monkeypatch: pytest.MonkeyPatch, command: str, module: str, said: str
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(local, "find_spec", lambda name: None if name == module else found(name))
    result = here(command)
    assert result.exit_code == 2
    assert said in result.stderr and "pip install -e . --group local" in result.stderr
