"""What the web process has to know.

The composition root fills it from the settings; the web room itself reads no environment variable, so that a test or
another host can build the same application from plain values.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from domain.policy import Policy


class WebConfig(BaseModel):
    """Settings of the approvals UI, the JSON API and the intake of events."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    public_url: str = Field(description="Origin people's browsers use, without trailing slash")
    entra_authority: str = Field(description="https://login.microsoftonline.com/{tenant}, or the sandbox's own")
    entra_instance_discovery: bool = Field(
        False, description="Whether MSAL may ask Microsoft which authorities exist: only for a Microsoft cloud"
    )
    ca_file: Path | None = Field(None, description="Authority behind Entra's certificate; None: the system's")
    client_id: str = Field(description="Application id of the web app registration, and audience of API tokens")
    client_secret: SecretStr
    session_secret: SecretStr = Field(description="Encrypts the session cookie; 32 random bytes in production")
    dataverse_webhook_keys: tuple[SecretStr, ...] = Field(
        min_length=1, description="One is expected in the header x-q2c-webhook-key; the first is the newest"
    )
    finance_events_secrets: tuple[SecretStr, ...] = Field(
        min_length=1, description="One is expected in the query of /intake/finance?code=…; the first is the newest"
    )
    decision_private_key_file: Path = Field(description="Ed25519 private key (JSON Web Key) that signs decisions")
    temporal_ui: str = Field(description="Origin of Temporal Web, for the links from a deal to its run")
    sales_url: str = Field("", description="Origin at which people open Dynamics 365 Sales; empty: no links to it")
    finance_url: str = Field("", description="Origin at which people open Dynamics 365 Finance; empty: no links to it")
    policy: Policy = Field(description="The rules in force: who may do what, and which company a business unit is")
    sweep_seconds: int = Field(300, gt=0, description="Pause between two sweeps of a feed the intake starts")
    sessions: Literal["memory", "ledger"] = Field("memory", description="Where sessions are kept")
    session_hours: int = Field(8, gt=0, description="How long a sign-in holds at the latest")
    session_idle_minutes: int = Field(60, gt=0, description="How long a session holds that nobody uses")
    roles_minutes: int = Field(10, gt=0, description="How often a person's roles are read again")
    ledger_url: SecretStr | None = Field(
        None, description="Database of the ledger; None: refused attempts are logged only, sessions kept in memory"
    )
    audit_url: SecretStr | None = Field(
        None, description="Database of the ledger as the page of the audit reads it; None: the page shows nothing"
    )
    letter_font_file: Path | None = Field(
        None, description="TrueType font of letters as PDF; None: Helvetica, with Western European signs only"
    )
    audit_key_file: Path | None = Field(
        None, description="Ed25519 private key (JSON Web Key) that signs downloads of the audit"
    )
    api_clients: tuple[str, ...] = Field((), description="Further applications whose tokens the API takes (`azp`)")

    event_grid_clients: tuple[str, ...] = Field((), description="Applications that may deliver by Event Grid (`azp`)")

    @field_validator("public_url", "entra_authority", "temporal_ui", "sales_url", "finance_url")
    @classmethod
    def _no_trailing_slash(cls, value: str) -> str:
        return value.rstrip("/")

    @property
    def session_seconds(self) -> int:
        """How long a sign-in holds at the latest."""
        return self.session_hours * 3600

    @property
    def session_idle_seconds(self) -> int:
        """How long a session holds that nobody uses."""
        return self.session_idle_minutes * 60

    @property
    def roles_seconds(self) -> int:
        """How often a person's roles are read again."""
        return self.roles_minutes * 60

    @property
    def fresh_seconds(self) -> int:
        """How old a sign-in may be where the policy asks for a fresh one."""
        return self.policy.rights.fresh_sign_in.within_minutes * 60

    @property
    def fresh_context(self) -> str:
        """The authentication context a fresh sign-in has to satisfy; empty: none."""
        return self.policy.rights.fresh_sign_in.context

    @property
    def companies(self) -> dict[str, str]:
        """Name or id of the owning business unit of a quote → Finance legal entity, lower case."""
        return self.policy.entity_map.business_units

    @property
    def redirect_uri(self) -> str:
        """Where Entra sends the browser back to; registered with the application."""
        return f"{self.public_url}/auth/callback"

    @property
    def cookie_secure(self) -> bool:
        """Whether cookies travel over TLS only: wherever the site itself is served over TLS."""
        return self.public_url.startswith("https://")
