"""Hosts the reads of Dataverse's virtual tables: settings in, a served process out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import structlog
from pydantic import TypeAdapter, ValidationError
from starlette.applications import Starlette

from domain.policy import Policy
from domain.values import Company
from dynamics.bulk.reader import Reader
from dynamics.core.budget import Budget
from dynamics.core.errors import System
from virtual.app import Secrets, create_app
from virtual.reading import PATIENCE, Reading
from workers.composition import credentials, endpoints
from workers.mode import weak_secret
from workers.rules import load_policy
from workers.serving import serve, stop_signals, unready_once
from workers.settings import Settings, SettingsError
from workers.telemetry import Telemetry

log = structlog.get_logger(__name__)

_VARIABLE: Final = "Q2C_VIRTUAL_SECRETS"
_GIVEN: Final = TypeAdapter(dict[Company, str | tuple[str, ...]])
_MOST: Final = 2
"""Keys of a company at a time."""


def company_secrets(settings: Settings, policy: Policy) -> Mapping[str, tuple[str, ...]]:
    """The keys of each company.

    Raises:
        SettingsError: there are none, they cannot be read, two companies share one, or one is too weak.
    """
    given = settings.virtual.secrets
    if given is None:
        raise SettingsError(f'{_VARIABLE}: is missing; give each company a key, e.g. {{"usmf": "…"}}')
    try:
        found = _GIVEN.validate_python(json.loads(given.get_secret_value()))
    except (ValueError, ValidationError) as error:
        # What was given holds secrets: nothing of it is said.
        raise SettingsError(f"{_VARIABLE}: must be a JSON object of keys by company") from error
    secrets = {company: (keys,) if isinstance(keys, str) else keys for company, keys in found.items()}
    seen: set[str] = set()
    known = {*policy.entity_map.business_units.values()}
    for company, keys in secrets.items():
        if company not in known:
            raise SettingsError(f"{_VARIABLE}: {company} is no company of entity_map.yaml")
        if not 1 <= len(keys) <= _MOST or not all(keys):
            raise SettingsError(f"{_VARIABLE}: {company} needs one key, or two while one replaces the other")
        if seen & {*keys} or len({*keys}) < len(keys):
            raise SettingsError(f"{_VARIABLE}: {company} shares a key; give each company keys of its own")
        seen |= {*keys}
        weak = [wrong for each in keys if (wrong := weak_secret(f"{_VARIABLE} of {company}", each))]
        if weak and settings.mode == "production":
            raise SettingsError(weak[0])
    return secrets


def application(settings: Settings, *, patience: float = PATIENCE) -> Starlette:
    """The service and what it reads with; `patience`: seconds an answer waits. Raises SettingsError and PolicyError."""
    policy, own = load_policy(settings), settings.virtual
    secrets = company_secrets(settings, policy)
    who = replace(credentials(settings), client_id=own.client_id, client_secret=own.client_secret.get_secret_value())
    readers = {
        system: Reader(system, endpoint, who, budget=Budget(own.requests_per_second))
        for system, endpoint in endpoints(settings).items()
    }
    reading = Reading(
        readers[System.FINANCE],
        readers[System.DATAVERSE],
        {company: policy.calendar(company).timezone for company in secrets},
        policy.entity_map.company_of,
        fresh_seconds=own.fresh_seconds,
        stale_seconds=own.stale_hours * 3_600,
        patience=patience,
    )

    async def close() -> None:
        for reader in readers.values():
            await reader.aclose()

    return create_app(reading, Secrets(secrets), close)


async def run_virtual(settings: Settings, telemetry: Telemetry) -> int:
    """Serve until SIGTERM or SIGINT, then let open requests finish.

    Returns:
        Exit code.

    Raises:
        SettingsError: a setting cannot be used.
        PolicyError: the rules cannot be used.
        CannotListen: the port is taken.
    """
    with stop_signals() as stop:
        app = unready_once(stop, application(settings))
        async with serve(app, settings.virtual.host, settings.virtual.port, variables="Q2C_VIRTUAL") as port:
            log.info("virtual tables ready", port=port)
            await stop.wait()
    telemetry.close()
    return 0
