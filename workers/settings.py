"""Every setting of the product, in one place.

The same code runs against the sandbox and against a tenant; only these values differ. Each value has a variable
`Q2C_<GROUP>_<FIELD>` (or `Q2C_<FIELD>` where it belongs to no group), read from the environment or from `.env`; the
default is always the sandbox on this machine. Temporal's own connection is set by Temporal's own `TEMPORAL_*` variables
or its TOML profile, telemetry by OpenTelemetry's own `OTEL_*` variables: there is one name for a thing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, get_args
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from domain.record import problem_in_words
from dynamics.core.network import is_loopback
from workers.reading_settings import DataSettings, McpSettings, ReaderSettings, SyncSettings, VirtualSettings
from workers.setting_types import (
    SANDBOX_SECRET,
    FilePath,
    Group,
    OptionalPath,
    OptionalSecret,
    Origin,
    Rate,
    Secret,
    Text,
)

SANDBOX_TENANT = "b05aafed-15fd-5db6-8981-4fa0293ccc6a"
SANDBOX_CLIENT = "f1973746-371f-547b-9726-210a20b6af8c"
SANDBOX_WEB_CLIENT = "c6e70c03-1294-5d1c-9e55-ce8cd818047d"


ENV_FILE = Path(".env")


class EntraSettings(Group):
    """Microsoft Entra ID: who the product is when it calls Dynamics."""

    url: Origin = "https://localhost:8443"
    """Origin of the sign-in service; `https://login.microsoftonline.com` for a tenant in the public cloud."""
    tenant: Text = SANDBOX_TENANT
    """Directory (tenant) id."""
    client_id: Text = SANDBOX_CLIENT
    """Application (client) id of the worker's app registration: the application user in Dataverse and in Finance."""
    client_secret: Secret = SecretStr(SANDBOX_SECRET)
    """Its client secret."""

    @property
    def authority(self) -> str:
        """The authority URL MSAL expects."""
        return f"{self.url}/{self.tenant}"

    @property
    def instance_discovery(self) -> bool:
        """Whether MSAL may ask Microsoft which authorities exist: only for a Microsoft cloud, never for the sandbox."""
        host = urlsplit(self.url).hostname or ""
        return host.endswith((".microsoftonline.com", ".microsoftonline.us", ".partner.microsoftonline.cn"))


class DataverseSettings(Group):
    """Dynamics 365 Sales."""

    url: Origin = "https://localhost:8444"
    """Origin of the environment, e.g. `https://contoso.crm.dynamics.com`."""
    webhook_key: Secret = SecretStr("sandbox-webhook-key")
    """Value Dataverse sends in the header `x-q2c-webhook-key` of every webhook call."""
    webhook_key_previous: OptionalSecret = None
    """The value before it, taken as well until every webhook step sends the new one; empty: none."""
    requests_per_second: Rate = 15.0
    """Budget of requests, all workers together. Microsoft allows a user 6,000 requests in 300 s: 20 a second."""
    activities_per_second: Rate = 30.0
    """Ceiling of the task queue, all workers together; above the budget of requests, which is what protects."""
    concurrent_activities: int = Field(default=20, gt=0)
    """Ceiling of one worker. Microsoft allows a user 52 concurrent requests: stay below, all replicas together."""


class FinanceSettings(Group):
    """Dynamics 365 Finance."""

    url: Origin = "https://localhost:8445"
    """Origin of the environment, e.g. `https://contoso.operations.dynamics.com`."""
    events_secret: Secret = SecretStr("sandbox-events-secret")
    """Secret in the URL of the business-events endpoint (`/intake/finance?code=…`)."""
    events_secret_previous: OptionalSecret = None
    """The secret before it, taken as well until the endpoint in Finance has the new one; empty: none."""
    requests_per_second: Rate = 20.0
    """Budget of requests, all workers together. Finance throttles by its own load and says so."""
    activities_per_second: Rate = 40.0
    """Ceiling of the task queue, all workers together; above the budget of requests, which is what protects."""
    concurrent_activities: int = Field(default=20, gt=0)
    """Ceiling of one worker."""


class AzureSettings(Group):
    """Who a process is to Azure itself: to Key Vault and to Service Bus."""

    identity: Literal["managed", "workload", "secret"] = "managed"
    """`managed` identity of the machine or container, `workload` identity of Kubernetes, or a client `secret`."""
    client_id: str = ""
    """Client id of a user-assigned identity or an app registration; empty: the system-assigned or federated one."""
    client_secret: OptionalSecret = None
    """Client secret, where the identity is `secret`."""


class BusSettings(Group):
    """Reports of Dynamics by Azure Service Bus (`q2c bus`), beside or in place of HTTPS."""

    namespace: str = ""
    """Host of the namespace, e.g. `contoso.servicebus.windows.net`; `Q2C_AZURE_*` say who receives there."""
    connection_string: OptionalSecret = None
    """Connection string of a policy with the right to listen, in place of namespace and identity."""
    dataverse: str = ""
    """Queue, or `topic/subscription`, that Dataverse's service endpoint posts to; empty: none."""
    finance: str = ""
    """Queue, or `topic/subscription`, that Finance posts business events to; empty: none."""
    endpoint: str = ""
    """Host and port to connect to in place of the namespace's own, e.g. of a gateway before it; empty: none."""
    health_host: str = "127.0.0.1"
    """Address of the live and ready endpoints."""
    health_port: int = Field(default=8091, ge=0, le=65535)
    """Port of the live and ready endpoints."""


class WebSettings(Group):
    """The approvals UI, the JSON API and the intake of events."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(default=8000, ge=0, le=65535)
    """Port to listen on."""
    drain_seconds: int = Field(default=0, ge=0)
    """How long after SIGTERM requests are still taken, while *ready* says no: until no balancer sends any more."""
    url: Origin = "http://localhost:8000"
    """Origin people's browsers use; the sign-in redirect is `<url>/auth/callback`."""
    client_id: Text = SANDBOX_WEB_CLIENT
    """Application (client) id of the web app registration; also the audience of the JSON API's tokens."""
    client_secret: Secret = SecretStr(SANDBOX_SECRET)
    """Its client secret."""
    session_secret: Secret = SecretStr("sandbox-session-secret")
    """Seals sessions and sign-ins under way; at least 32 random bytes in production."""
    sessions: Literal["memory", "ledger"] = "memory"
    """Where sessions are kept: `memory` of this process, or the `ledger`, for more than one web process."""
    session_hours: int = Field(default=8, gt=0)
    """How long a sign-in holds at the latest."""
    session_idle_minutes: int = Field(default=60, gt=0)
    """How long a session holds that nobody uses."""
    roles_minutes: int = Field(default=10, gt=0)
    """How often a signed-in person's roles are read again from Entra ID."""
    api_clients: str = ""
    """Client ids of further applications that may call the JSON API for people (`azp`), separated by commas."""
    event_grid_clients: str = ""
    """Client ids that may deliver events by Azure Event Grid, separated by commas; empty: nobody may."""
    letter_font_file: OptionalPath = None
    """TrueType font of letters to customers as PDF; empty: Helvetica, which has Western European signs only."""
    temporal_ui: Origin = "http://localhost:8233"
    """Origin of Temporal Web, for the links from a deal to its run."""


class DecisionSettings(Group):
    """The key pair that proves a decision came from the signed-in person (Ed25519, JSON Web Keys)."""

    private_key_file: FilePath = Path(".q2c/decision-key.json")
    """Private key: only the web process needs it."""
    vault_key: str = ""
    """Key in a Key Vault that signs in place of the file, with its version: `https://…/keys/name/version`."""
    vault_algorithm: Literal["ES256", "PS256", "RS256"] = "ES256"
    """How that key signs: `ES256` with an EC key of curve P-256, `PS256` or `RS256` with an RSA key."""
    public_keys_file: FilePath = Path(".q2c/decision-jwks.json")
    """Public keys (JWKS): only the worker needs it. Several keys may stand in it while one replaces another."""


class CodecSettings(Group):
    """How everything in Temporal is sealed, and who may read it there."""

    keys_file: Path = Path(".q2c/codec-keys.json")
    """Keys (JWKS) that seal every payload: all processes of the product need the same file. Made by `q2c keys`."""
    key_set: OptionalSecret = None
    """What stands in that file, in its place, e.g. as a reference to Key Vault; empty: the file is read."""
    compress: bool = False
    """Pack payloads above 1 KiB before they are sealed. Smaller histories; sizes tell more about contents."""
    host: str = "127.0.0.1"
    """Address the codec server listens on."""
    port: int = Field(default=8234, ge=0, le=65535)
    """Port the codec server listens on."""
    origins: str = "http://localhost:8233"
    """Origins of Temporal Web that may ask the codec server, separated by commas."""
    sign_in: bool = True
    """Whether a reader must show a token of Entra ID. Off is possible for the sandbox on the loopback address only."""


class LedgerSettings(Group):
    """The product's own lasting records, outside Temporal."""

    url: SecretStr = SecretStr("sqlite:///.q2c/ledger.db")
    """Database: `sqlite:///path/to/file`, or `postgresql://user:password@host/database` (see `q2c ledger migrate`)."""
    reader_url: OptionalSecret = None
    """The same database as the page `/audit` reads it: of a user who may only read; empty: as in `Q2C_LEDGER_URL`."""


class AuditSettings(Group):
    """The keys that sign exports of the audit and the checkpoints of its retention (Ed25519, JSON Web Keys)."""

    private_key_file: Path = Path(".q2c/audit-key.json")
    """Private key: only who exports or prunes needs it."""
    vault_key: str = ""
    """Key in a Key Vault that signs in place of that file, with its version: `https://…/keys/name/version`."""
    web_key_file: Path = Path(".q2c/audit-web-key.json")
    """Private key of downloads from the page `/audit`: only the web process needs it; without it there are none."""
    web_vault_key: str = ""
    """Key in a Key Vault that signs downloads in place of that file, with its version."""
    vault_algorithm: Literal["ES256", "PS256", "RS256"] = "ES256"
    """How these keys of a vault sign: `ES256` with an EC key of curve P-256, `PS256` or `RS256` with an RSA key."""
    public_keys_file: Path = Path(".q2c/audit-jwks.json")
    """Public keys (JWKS): for who verifies."""


class NoticeSettings(Group):
    """Where people are told."""

    targets: OptionalSecret = None
    """Targets by name, a JSON object of Apprise URLs: `{"mail": "mailtos://…/{address}"}`; empty: nobody is told."""
    activities_per_second: Rate = 5.0
    """Ceiling of the messages sent, all workers together."""


class WorkerSettings(Group):
    """The worker process."""

    health_host: str = "127.0.0.1"
    """Address of the live and ready endpoints."""
    health_port: int = Field(default=8090, ge=0, le=65535)
    """Port of the live and ready endpoints."""
    work: Literal["all", "deals", "bulk"] = "all"
    """What this process does: `deals` reads nothing in bulk, and `bulk` (comparisons, syncs, dry runs) does nothing
    else and gives way to every other process of its machine."""
    processes: int = Field(default=1, ge=1)
    """Worker processes of its kind that share the budgets of requests: each takes its part of them."""
    max_cached_workflows: int = Field(default=400, ge=0)
    """Runs kept in memory between tasks; the rest are replayed when something happens to them."""
    concurrent_workflow_tasks: int = Field(default=50, ge=2)
    """Workflow tasks one worker handles at a time."""
    concurrent_activities: int = Field(default=50, gt=0)
    """Activities of the queue `q2c` one worker runs at a time."""
    sweep_seconds: int = Field(default=300, gt=0)
    """Pause between two sweeps for what webhooks and business events missed. Worker and web must agree on it."""
    graceful_shutdown_seconds: int = Field(default=30, ge=0)
    """How long running activities may finish after SIGTERM."""
    versioning: Literal["off", "auto_upgrade", "pinned"] = "off"
    """Temporal's worker versioning: `auto_upgrade` runs to the current build, or deals `pinned` to theirs."""
    deployment: str = Field(default="quote-to-cash", pattern=r"^[A-Za-z0-9_-]+$")
    """Name of the worker deployment in Temporal, where versioning is on."""
    build: str = ""
    """Name of this build there, e.g. the image's tag; each build has its own."""


class Settings(BaseSettings):
    """All settings; see the module's docstring for the variables' names."""

    model_config = SettingsConfigDict(
        env_prefix="Q2C_",
        env_file=ENV_FILE,
        env_file_encoding="utf-8",
        env_nested_delimiter="_",
        env_nested_max_split=1,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    mode: Literal["sandbox", "production"] = "sandbox"
    """`production` wherever a system behind is not the sandbox on this machine: secrets are then checked at start."""
    state_dir: FilePath = Path(".q2c")
    """Where the local stack keeps keys, certificates and logs."""
    ca_file: OptionalPath = Path(".q2c/ca.pem")
    """Authority that signed the certificates of Entra, Dataverse and Finance; empty: the system's authorities."""
    policies: OptionalPath = None
    """Folder of policies; empty: the policies shipped with the product."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Lowest level that is logged."""
    log_format: Literal["json", "console"] = "json"
    """`json` for machines, `console` for people."""
    entra: EntraSettings = EntraSettings()
    dataverse: DataverseSettings = DataverseSettings()
    finance: FinanceSettings = FinanceSettings()
    reader: ReaderSettings = ReaderSettings()
    sync: SyncSettings = SyncSettings()
    data: DataSettings = DataSettings()
    virtual: VirtualSettings = VirtualSettings()
    mcp: McpSettings = McpSettings()
    azure: AzureSettings = AzureSettings()
    bus: BusSettings = BusSettings()
    web: WebSettings = WebSettings()
    decision: DecisionSettings = DecisionSettings()
    codec: CodecSettings = CodecSettings()
    ledger: LedgerSettings = LedgerSettings()
    audit: AuditSettings = AuditSettings()
    notice: NoticeSettings = NoticeSettings()
    worker: WorkerSettings = WorkerSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Secrets may stand in files of their own: `<NAME>_FILE` names one. Raises SettingsError as `_from_files`."""
        for source in (env_settings, dotenv_settings):
            if isinstance(source, EnvSettingsSource):
                source.env_vars = _from_files(source.env_vars)
        return init_settings, env_settings, dotenv_settings

    @model_validator(mode="after")
    def _sandbox_means_this_machine(self) -> Self:
        """The sandbox's secrets are public: nothing but the sandbox may stand behind them."""
        if self.mode == "sandbox":
            for group in ("entra", "dataverse", "finance"):
                url = getattr(self, group).url
                if not is_loopback(urlsplit(url).hostname or ""):
                    raise ValueError(
                        f"Q2C_MODE: is sandbox, and {variable_name((group, 'url'))} is not on this machine; set it to "
                        "production"
                    )
        return self


class SettingsError(Exception):
    """A setting is missing or wrong; the text names the variable, what is wrong with it and nothing secret."""


def load_settings() -> Settings:
    """Read the settings from the environment and `.env`.

    Raises:
        SettingsError: a value is not valid, or a secret that stands in a vault cannot be read from there; one line for
            each variable, with the file it stands in.
    """
    given = given_variables()
    for name, field in Settings.model_fields.items():
        if _group_of(field) and variable_name((name,)) in given:
            raise SettingsError(f"{variable_name((name,))}: is not a setting; set {variable_name((name, '<field>'))}")
    try:
        settings = Settings()
    except ValidationError as error:
        raise SettingsError("\n".join(_problem(problem) for problem in error.errors(include_input=False))) from error
    if not in_vault(settings):
        return settings
    from workers.vault import with_secrets  # it knows the settings, and most processes need none of it

    return with_secrets(settings)


def in_vault(settings: Settings) -> dict[tuple[str, str], str]:
    """Secrets that are references to a Key Vault, by group and field."""
    found: dict[tuple[str, str], str] = {}
    for group, field in secret_locations():
        secret = getattr(getattr(settings, group), field)
        if isinstance(secret, SecretStr) and secret.get_secret_value().startswith("@Microsoft.KeyVault"):
            found[group, field] = secret.get_secret_value()
    return found


def _problem(problem: ErrorDetails) -> str:
    text = problem_in_words(problem)
    if not problem["loc"]:
        return text
    name = variable_name(problem["loc"])
    where = "" if name in _names(os.environ) else f" (in {ENV_FILE.resolve()})"
    return f"{name}{where}: {text}"


def given_variables() -> dict[str, str]:
    """The product's variables that are set, in `.env` or in the environment, which wins; names in upper case.

    Raises:
        SettingsError: `.env` cannot be read.
    """
    try:
        in_file = dotenv_values(ENV_FILE, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{ENV_FILE.resolve()}: cannot be read as UTF-8 text: {error}") from error
    return {**_names(in_file), **_names(os.environ)}


def _names(variables: Mapping[str, str | None]) -> dict[str, str]:
    """Those that are the product's, by name in upper case: pydantic-settings reads them in any case."""
    return {name.upper(): value or "" for name, value in variables.items() if name.upper().startswith("Q2C_")}


def variable_name(location: tuple[str | int, ...]) -> str:
    """The environment variable of a field, from its path in the model, e.g. ("finance", "url") → Q2C_FINANCE_URL."""
    return "Q2C_" + "_".join(str(part) for part in location).upper()


@dataclass(frozen=True)
class Variable:
    """A variable of the product, as docs/settings.md lists it."""

    name: str
    group: str
    default: str
    text: str


def variables() -> list[Variable]:
    """Every variable that is read, in the order of the groups."""
    found = []
    for name, field in Settings.model_fields.items():
        group = _group_of(field)
        if group:
            heading = (group.__doc__ or "").split(".")[0]
            found += [_variable((name, inner), heading, of) for inner, of in group.model_fields.items()]
        else:
            found.append(_variable((name,), "General", field))
    return found


def secret_names() -> list[str]:
    """Variables that hold a secret, in upper case."""
    return [variable_name(location) for location in secret_locations()]


def secret_locations() -> list[tuple[str, str]]:
    """Group and field of every secret."""
    return [
        (name, inner)
        for name, field in Settings.model_fields.items()
        if (group := _group_of(field))
        for inner, of in group.model_fields.items()
        if _is_secret(of)
    ]


def _is_secret(field: FieldInfo) -> bool:
    return SecretStr in (field.annotation, *get_args(field.annotation))


def _from_files(variables: Mapping[str, str | None]) -> dict[str, str | None]:
    """Put the contents of a secret's file in the place of its name.

    Args:
        variables: by name, as pydantic-settings keeps them: in lower case.

    Raises:
        SettingsError: a file cannot be read, or a secret is given twice.
    """
    found = dict(variables)
    for name in secret_names():
        file = found.pop(f"{name}_FILE".lower(), None)
        if not file:
            continue
        if found.get(name.lower()):
            raise SettingsError(f"{name}: is set, and {name}_FILE as well; remove one of them")
        try:
            found[name.lower()] = Path(file).read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as error:
            raise SettingsError(f"{name}_FILE: {file}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise SettingsError(f"{name}_FILE: {file}: is not UTF-8 text") from error
    return found


def _group_of(field: FieldInfo) -> type[Group] | None:
    group = field.annotation
    return group if isinstance(group, type) and issubclass(group, Group) else None


def _variable(location: tuple[str, ...], group: str, field: FieldInfo) -> Variable:
    default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    text = " ".join((field.description or "").split())
    if _is_secret(field):
        text += f" `{variable_name(location)}_FILE` names a file that holds it."
    return Variable(variable_name(location), group, "" if default is None else str(default), text)


def unknown_variables() -> list[str]:
    """`Q2C_*` variables nothing reads: a typing error there would otherwise leave a default in force unnoticed.

    `Q2C_SANDBOX_*` belong to the sandbox, which reads its own.

    Raises:
        SettingsError: `.env` cannot be read.
    """
    known = {variable.name for variable in variables()} | {f"{name}_FILE" for name in secret_names()}
    return sorted(name for name in given_variables() if name not in known and not name.startswith("Q2C_SANDBOX_"))
