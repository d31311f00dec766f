"""What this installation is: the sandbox on one machine, or production; and what each process may hold in production.

The mode is said once, by `Q2C_MODE`, and never guessed. The sandbox's secrets are public, so that it works without a
setting; nothing that is a company's may stand behind them. In production a process begins only with the secrets it
needs, each of them strong and its own, and with none that belongs to another: who takes over one process has not
taken over the next.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from dynamics.core.network import is_loopback
from workers.settings import Settings, SettingsError, variable_name

SHORTEST: Final = 32
"""Characters a secret has at least in production. Entra ID makes client secrets of 40."""
FEWEST_DIFFERENT: Final = 10
"""Different characters a secret has at least: 32 equal ones are long and no secret."""


class Process(StrEnum):
    """A long-running process of the product, by the name its logs and metrics are filed under."""

    WORKER = "q2c-worker"
    WEB = "q2c-web"
    CODEC = "q2c-codec"
    BUS = "q2c-bus"
    VIRTUAL = "q2c-virtual"
    MCP = "q2c-mcp"


Location = tuple[str, str]

HOLDERS: Final[Mapping[Location, Process]] = {
    ("entra", "client_secret"): Process.WORKER,
    ("dataverse", "webhook_key"): Process.WEB,
    ("dataverse", "webhook_key_previous"): Process.WEB,
    ("finance", "events_secret"): Process.WEB,
    ("finance", "events_secret_previous"): Process.WEB,
    ("web", "client_secret"): Process.WEB,
    ("web", "session_secret"): Process.WEB,
    ("bus", "connection_string"): Process.BUS,
    ("notice", "targets"): Process.WORKER,
    ("reader", "client_secret"): Process.WORKER,
    ("virtual", "client_secret"): Process.VIRTUAL,
    ("virtual", "secrets"): Process.VIRTUAL,
}
"""Each secret, and the one process that holds it. The ledger's URL may hold a password, and is worker's and web's; the
codec's keys are a file, or `Q2C_CODEC_KEY_SET`, that every process needs. `Q2C_AZURE_CLIENT_SECRET` is of whichever
process it is set for: each has an identity of its own."""

NOT_ALWAYS: Final = frozenset(
    {
        ("dataverse", "webhook_key_previous"),
        ("finance", "events_secret_previous"),
        ("bus", "connection_string"),
        ("notice", "targets"),
        ("reader", "client_secret"),
    }
)
"""Secrets that a process may do without."""

_KEY_FILES: Final[Mapping[Location, Process | None]] = {
    ("decision", "private_key_file"): Process.WEB,
    ("audit", "private_key_file"): None,
    ("audit", "web_key_file"): Process.WEB,
}
"""Files of private keys, and the one process that reads each; None: only a person's command does."""

_URLS: Final[tuple[Location, ...]] = (
    ("entra", "url"),
    ("dataverse", "url"),
    ("finance", "url"),
    ("web", "url"),
    ("web", "temporal_ui"),
)


def is_sandbox(settings: Settings) -> bool:
    """Whether every system behind is the sandbox on this machine: then nothing here is a company's."""
    systems = (settings.entra.url, settings.dataverse.url, settings.finance.url)
    return settings.mode == "sandbox" and all(is_loopback(urlsplit(url).hostname or "") for url in systems)


def require(settings: Settings, process: Process) -> None:
    """Stop a process that production must not have.

    Raises:
        SettingsError: one line for each thing to correct; no secret is in it.
    """
    if settings.mode == "production":
        problems = [*_of_process(settings, process), *weaknesses(settings)]
        if problems:
            raise SettingsError("\n".join(problems))


def weaknesses(settings: Settings) -> list[str]:
    """What is wrong in production whichever process it is for: weak secrets, addresses in clear or left out."""
    given = _secrets(settings)
    return [
        *_in_clear(settings),
        *(problem for at, value in given.items() if (problem := weak_secret(variable_name(at), value))),
        *_shared(given),
    ]


def _secrets(settings: Settings) -> dict[Location, str]:
    """The secrets that were given, the sandbox's own among them only where somebody wrote them down."""
    found: dict[Location, str] = {}
    for group, field in (*HOLDERS, ("azure", "client_secret")):
        values = getattr(settings, group)
        value = getattr(values, field)
        if isinstance(value, SecretStr) and field in values.model_fields_set:
            found[group, field] = value.get_secret_value()
    return found


def _of_process(settings: Settings, process: Process) -> Iterator[str]:
    given = _secrets(settings)
    for location, holder in HOLDERS.items():
        name = variable_name(location)
        if holder is process and location not in given and location not in NOT_ALWAYS:
            yield f"{name}: is missing; {process} needs it in production. Set it, or {name}_FILE."
        elif holder is not process and location in given:
            yield f"{name}: is a secret of {holder}; take it away from {process}."
    for location, reader in _KEY_FILES.items():
        file = Path(getattr(getattr(settings, location[0]), location[1]))
        if reader is not process and os.access(file, os.R_OK):
            whose = f"only {reader} may" if reader else "no process that runs all the time may"
            yield f"{variable_name(location)}: {process} can read {file}, which {whose}; do not mount it there."


def weak_secret(name: str, value: str) -> str:
    """What is wrong with a secret in production; empty: nothing. `name`: its variable."""
    if value.lower().startswith("sandbox"):
        return f"{name}: is the sandbox's, which everybody knows; set your own."
    if len(value) < SHORTEST or len(set(value)) < FEWEST_DIFFERENT:
        return (
            f"{name}: is too easy to guess: production wants {SHORTEST} characters or more, {FEWEST_DIFFERENT} of them "
            'different, e.g. of `python -c "import secrets; print(secrets.token_urlsafe(32))"`.'
        )
    return ""


def _shared(given: Mapping[Location, str]) -> Iterator[str]:
    first: dict[str, Location] = {}
    for location, value in given.items():
        other = first.setdefault(value, location)
        if other != location:
            yield f"{variable_name(location)}: is the same as {variable_name(other)}; give each a value of its own."


def _in_clear(settings: Settings) -> Iterator[str]:
    for group, field in _URLS:
        url = urlsplit(getattr(getattr(settings, group), field))
        if url.scheme != "https":
            yield f"{variable_name((group, field))}: must begin with https:// in production."
        elif field not in getattr(settings, group).model_fields_set:
            yield f"{variable_name((group, field))}: is missing; the sandbox's is no place for production."
