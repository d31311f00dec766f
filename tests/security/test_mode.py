"""Production begins with secrets of its own or not at all, and no process holds another one's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from workers import mode
from workers.mode import HOLDERS, NOT_ALWAYS, Process
from workers.settings import SettingsError, load_settings, variable_name

PRODUCTION = {
    "Q2C_MODE": "production",
    "Q2C_ENTRA_URL": "https://login.microsoftonline.com",
    "Q2C_DATAVERSE_URL": "https://contoso.crm4.dynamics.com",
    "Q2C_FINANCE_URL": "https://contoso.operations.dynamics.com",
    "Q2C_WEB_URL": "https://q2c.contoso.example",
    "Q2C_WEB_TEMPORAL_UI": "https://temporal.contoso.example",
    "Q2C_CA_FILE": "",
}
SECRETS = {variable_name(at): f"{number}-kFz8Qw3LrT6yBn1VmXc5JhPdGs0Au9Ei" for number, at in enumerate(HOLDERS)}
NEEDED = {
    process: {
        name: SECRETS[name]
        for at, holder in HOLDERS.items()
        if holder is process and at not in NOT_ALWAYS and (name := variable_name(at))
    }
    for process in Process
}


@pytest.fixture(autouse=True)
def nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("Q2C_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    yield


def begin(monkeypatch: pytest.MonkeyPatch, process: Process, without: str = "", **changes: str) -> None:
    given = {**PRODUCTION, **NEEDED[process], **changes}
    for name, value in given.items():
        if name != without:
            monkeypatch.setenv(name, value)
    mode.require(load_settings(), process)


def test_every_secret_of_the_settings_has_a_holder() -> None:
    """A new secret is put into the table, or this fails."""
    from workers.settings import secret_names

    of_each = {"Q2C_LEDGER_URL", "Q2C_LEDGER_READER_URL", "Q2C_AZURE_CLIENT_SECRET", "Q2C_CODEC_KEY_SET"}
    assert {variable_name(at) for at in HOLDERS} | of_each == set(secret_names())


@pytest.mark.parametrize("process", Process)
def test_a_process_begins_with_what_is_its_own(monkeypatch: pytest.MonkeyPatch, process: Process) -> None:
    begin(monkeypatch, process)


@pytest.mark.parametrize("process", Process)
@pytest.mark.parametrize("at", HOLDERS, ids=variable_name)
def test_a_secret_of_another_process_is_refused(
    monkeypatch: pytest.MonkeyPatch, process: Process, at: tuple[str, str]
) -> None:
    name = variable_name(at)
    if HOLDERS[at] is process:
        begin(monkeypatch, process, **{name: SECRETS[name]})
        return
    with pytest.raises(SettingsError, match=f"{name}: is a secret of {HOLDERS[at]}; take it away from {process}"):
        begin(monkeypatch, process, **{name: SECRETS[name]})


@pytest.mark.parametrize(
    ("process", "name"), [(process, name) for process, needed in NEEDED.items() for name in needed], ids=str
)
def test_a_secret_that_is_missing_stops_the_process(
    monkeypatch: pytest.MonkeyPatch, process: Process, name: str
) -> None:
    with pytest.raises(SettingsError, match=f"{name}: is missing; {process} needs it"):
        begin(monkeypatch, process, without=name)


@pytest.mark.parametrize("name", NEEDED[Process.WEB])
@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("sandbox-only-secret", "is the sandbox's"),
        ("Sandbox-session-secret-with-something-behind-it", "is the sandbox's"),
        ("short", "is too easy to guess"),
        ("kFz8Qw3LrT6yBn1VmXc5JhPdGs0Au9E", "is too easy to guess"),
        ("a" * 64, "is too easy to guess"),
        ("1234567" * 10, "is too easy to guess"),
    ],
)
def test_a_secret_everybody_knows_or_can_guess_is_refused_and_never_printed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: {said}") as caught:
        begin(monkeypatch, Process.WEB, **{name: value})
    assert value not in str(caught.value)


def test_two_secrets_are_never_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    same = SECRETS["Q2C_WEB_SESSION_SECRET"]
    with pytest.raises(SettingsError, match="Q2C_WEB_SESSION_SECRET: is the same as Q2C_DATAVERSE_WEBHOOK_KEY"):
        begin(monkeypatch, Process.WEB, Q2C_DATAVERSE_WEBHOOK_KEY=same)


@pytest.mark.parametrize("process", Process)
@pytest.mark.parametrize("name", [name for name in PRODUCTION if name.endswith(("_URL", "_UI"))])
def test_no_address_is_in_clear_or_the_sandbox_s(monkeypatch: pytest.MonkeyPatch, process: Process, name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}: must begin with https"):
        begin(monkeypatch, process, **{name: PRODUCTION[name].replace("https", "http")})
    monkeypatch.delenv(name)
    with pytest.raises(SettingsError, match=f"{name}: (is missing|must begin with https)"):
        begin(monkeypatch, process, without=name)


@pytest.mark.parametrize("name", ["Q2C_ENTRA_URL", "Q2C_DATAVERSE_URL", "Q2C_FINANCE_URL"])
@pytest.mark.parametrize("url", ["https://contoso.example", "https://10.0.0.7", "https://localhost.contoso.example"])
def test_the_sandbox_s_mode_is_for_this_machine_only(monkeypatch: pytest.MonkeyPatch, name: str, url: str) -> None:
    """Whoever forgets the mode has a process that does not start, not one whose secrets are public."""
    monkeypatch.setenv(name, url)
    with pytest.raises(SettingsError, match=f"Q2C_MODE: is sandbox, and {name} is not on this machine"):
        load_settings()


@pytest.mark.parametrize("text", ["Production", "prod", "", "test"])
def test_there_is_no_third_mode(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("Q2C_MODE", text)
    with pytest.raises(SettingsError, match="Q2C_MODE: must be 'sandbox' or 'production'"):
        load_settings()


@pytest.mark.parametrize("process", [Process.WORKER, Process.CODEC])
def test_only_the_web_can_read_the_key_that_signs_decisions(
    monkeypatch: pytest.MonkeyPatch, process: Process, tmp_path: Path
) -> None:
    key = tmp_path / "key.json"
    key.write_text("{}")
    begin(monkeypatch, Process.WEB, Q2C_DECISION_PRIVATE_KEY_FILE=str(key))
    for name in NEEDED[Process.WEB]:
        monkeypatch.delenv(name)
    with pytest.raises(SettingsError, match=f"Q2C_DECISION_PRIVATE_KEY_FILE: {process} can read"):
        begin(monkeypatch, process, Q2C_DECISION_PRIVATE_KEY_FILE=str(key))


@pytest.mark.parametrize("process", Process)
def test_no_process_can_read_the_key_that_signs_exports(
    monkeypatch: pytest.MonkeyPatch, process: Process, tmp_path: Path
) -> None:
    key = tmp_path / "audit.json"
    key.write_text("{}")
    with pytest.raises(SettingsError, match="Q2C_AUDIT_PRIVATE_KEY_FILE"):
        begin(monkeypatch, process, Q2C_AUDIT_PRIVATE_KEY_FILE=str(key))
