"""Settings of reading in bulk."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from workers.setting_types import SANDBOX_SECRET, Group, OptionalPath, OptionalSecret, Origin, Rate, Secret, Text

SANDBOX_READER_CLIENT = "9592d9e0-fb7d-5100-a539-c08b5e50bb74"


class ReaderSettings(Group):
    """The application that reads in bulk, so that comparisons spend neither the rights nor the budgets of deals."""

    client_id: Text = SANDBOX_READER_CLIENT
    """Application (client) id of an app registration of its own, which may read in both systems and do nothing else."""
    client_secret: Secret = SecretStr(SANDBOX_SECRET)
    """Its client secret; in production nothing is read in bulk where it is not set."""
    dataverse_requests_per_second: Rate = 10.0
    """Budget of requests to Sales, all workers together."""
    finance_requests_per_second: Rate = 5.0
    """Budget of requests to Finance, all workers together. Give the application a low priority in Finance as well."""
    concurrent_activities: int = Field(default=4, gt=0)
    """Pages of a system that one worker reads at a time."""


class SyncSettings(Group):
    """Keeping records of both systems in step: what it asks and writes has a budget beside that of deals."""

    dataverse_requests_per_second: Rate = 4.0
    """Budget of requests to Sales, all workers together. Its writes count for the same user as those of deals."""
    finance_requests_per_second: Rate = 4.0
    """Budget of requests to Finance, all workers together."""


class DataSettings(Group):
    """Where records of both systems lie while they are compared."""

    dir: Path = Path(".q2c/data")
    """Folder of pages, which hold personal data; all workers that read in bulk share it. They go when a run ends,
    but for `records` (`q2c compare --keep`) and the last plans (`q2c initial`)."""


class VirtualSettings(Group):
    """The OData service that Dataverse's virtual tables read (`q2c virtual`)."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(default=8092, ge=0, le=65535)
    """Port to listen on."""
    client_id: Text = SANDBOX_READER_CLIENT
    """Application (client) id that reads: an app registration of its own, which may read in both systems and do
    nothing else, with a higher priority in Finance than the reader's."""
    client_secret: Secret = SecretStr(SANDBOX_SECRET)
    """Its client secret."""
    secrets: OptionalSecret = None
    """Key of each company, a JSON object: `{"usmf": "…"}`; `["newest", "previous"]` takes both while one replaces the
    other."""
    requests_per_second: Rate = 5.0
    """Budget of requests to Finance, and the same to Sales, of this process."""
    fresh_seconds: int = Field(default=30, ge=1, le=300)
    """How long what was read is shown again without asking Finance."""
    stale_hours: int = Field(default=24, ge=1, le=168)
    """How long it is shown, marked STALE, while Finance does not answer."""


class McpSettings(Group):
    """What assistants may ask (`q2c mcp`)."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(default=8093, ge=0, le=65535)
    """Port to listen on."""
    url: Origin = "http://localhost:8093"
    """Origin that assistants use; tools are at `<url>/mcp`."""
    scores: OptionalPath = None
    """`scores.jsonl` of `q2c quality check --out`, for the tool quality_score; empty: it knows none."""
