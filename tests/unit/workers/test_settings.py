"""Settings: the sandbox is the default, a tenant is set by variables alone, and errors name the variable."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.entra.directory import SERVICE_CLIENT_ID, TENANT_ID, WEB_CLIENT_ID
from workers.settings import SettingsError, load_settings, unknown_variables

TENANT = {
    "Q2C_ENTRA_URL": "https://login.microsoftonline.com",
    "Q2C_ENTRA_CLIENT_SECRET": "a",
    "Q2C_DATAVERSE_URL": "https://Contoso.crm4.dynamics.com/",
    "Q2C_DATAVERSE_WEBHOOK_KEY": "b",
    "Q2C_FINANCE_URL": "https://contoso.operations.dynamics.com",
    "Q2C_FINANCE_EVENTS_SECRET": "c",
    "Q2C_WEB_CLIENT_SECRET": "d",
    "Q2C_WEB_SESSION_SECRET": "e",
    "Q2C_CA_FILE": "",
}


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    import os

    for name in [name for name in os.environ if name.startswith("Q2C_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    yield


def set_all(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def test_the_default_is_the_sandbox() -> None:
    settings = load_settings()
    assert settings.entra.tenant == TENANT_ID
    assert settings.entra.client_id == SERVICE_CLIENT_ID
    assert settings.web.client_id == WEB_CLIENT_ID
    assert settings.entra.authority == f"https://localhost:8443/{TENANT_ID}"
    assert not settings.entra.instance_discovery
    assert settings.ca_file == Path(".q2c/ca.pem")


def test_a_tenant_is_set_by_variables_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, TENANT)
    settings = load_settings()
    assert settings.dataverse.url == "https://contoso.crm4.dynamics.com", (
        "token audiences are lower case, without slash"
    )
    assert settings.entra.instance_discovery
    assert settings.ca_file is None


@pytest.mark.parametrize(
    "name",
    [
        "Q2C_ENTRA_CLIENT_SECRET",
        "Q2C_DATAVERSE_WEBHOOK_KEY",
        "Q2C_FINANCE_EVENTS_SECRET",
        "Q2C_WEB_CLIENT_SECRET",
        "Q2C_WEB_SESSION_SECRET",
    ],
)
def test_a_secret_of_the_sandbox_is_refused_in_a_tenant(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    set_all(monkeypatch, {key: value for key, value in TENANT.items() if key != name})
    with pytest.raises(SettingsError, match=name):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Q2C_FINANCE_URL", "contoso.operations.dynamics.com"),
        ("Q2C_FINANCE_URL", "https://contoso.operations.dynamics.com/data"),
        ("Q2C_DATAVERSE_ACTIVITIES_PER_SECOND", "0"),
        ("Q2C_WEB_PORT", "70000"),
        ("Q2C_LOG_LEVEL", "LOUD"),
        ("Q2C_WEB_PROT", "8000"),
    ],
)
def test_an_error_names_the_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        load_settings()


def test_no_secret_is_ever_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("Q2C_ENTRA_CLIENT_SECRET", "tell-nobody")
    monkeypatch.setenv("Q2C_WEB_PORT", "none")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    monkeypatch.delenv("Q2C_WEB_PORT")
    assert "tell-nobody" not in str(caught.value) + repr(load_settings())


def test_a_dotenv_file_is_read_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("Q2C_WEB_PORT=8001\nQ2C_WORKER_MAX_CACHED_WORKFLOWS=7\n")
    monkeypatch.setenv("Q2C_WEB_PORT", "8002")
    settings = load_settings()
    assert (settings.web.port, settings.worker.max_cached_workflows) == (8002, 7)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("Q2C_WEB_PORT", "eighty", "Q2C_WEB_PORT: must be a whole number"),
        ("Q2C_WEB_PORT", "70000", "Q2C_WEB_PORT: must be less than or equal to 65535"),
        ("Q2C_LOG_LEVEL", "LOUD", "Q2C_LOG_LEVEL: must be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("Q2C_DATAVERSE_ACTIVITIES_PER_SECOND", "inf", "Q2C_DATAVERSE_ACTIVITIES_PER_SECOND: must be a finite number"),
        ("Q2C_WEB_PROT", "8000", "Q2C_WEB_PROT: is not a setting here; correct its name or remove it"),
        ("Q2C_WEB", "abc", "Q2C_WEB: is not a setting; set Q2C_WEB_<FIELD>"),
        ("Q2C_WEB", '{"port": 8001}', "Q2C_WEB: is not a setting; set Q2C_WEB_<FIELD>"),
        ("Q2C_ENTRA_CLIENT_SECRET", "", "Q2C_ENTRA_CLIENT_SECRET: must not be empty"),
        ("Q2C_STATE_DIR", "", "Q2C_STATE_DIR: must not be empty"),
        ("Q2C_FINANCE_URL", "https://host:port", "Q2C_FINANCE_URL: must be an origin such as"),
        ("Q2C_FINANCE_URL", "https://:443", "Q2C_FINANCE_URL: must be an origin such as"),
        ("Q2C_FINANCE_URL", "https://host/#x", "Q2C_FINANCE_URL: must be an origin such as"),
    ],
)
def test_an_error_is_one_sentence_in_plain_words(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_an_error_names_the_file_a_value_stands_in(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("Q2C_WEB_PORT=eighty\n")
    with pytest.raises(SettingsError, match=rf"Q2C_WEB_PORT \(in {tmp_path}/\.env\): must be a whole number"):
        load_settings()


def test_a_dotenv_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"Q2C_WEB_PORT=\xff\n")
    with pytest.raises(SettingsError, match=rf"{tmp_path}/\.env: cannot be read"):
        load_settings()


def test_unknown_variables_are_found_in_the_environment_and_in_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    set_all(monkeypatch, {"Q2C_DATAVERS_URL": "x", "Q2C_DATAVERSE_URL": "https://x", "Q2C_SANDBOX_CLIENT_SECRET": "x"})
    (tmp_path / ".env").write_text("Q2C_FINANC_URL=x\nOTHER=x\nq2c_web_port=1\n")
    assert unknown_variables() == ["Q2C_DATAVERS_URL", "Q2C_FINANC_URL"]
