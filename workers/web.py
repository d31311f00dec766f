"""Hosts the web application: settings in, a served process out."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import structlog
from joserfc.errors import JoseError
from pydantic import SecretStr
from starlette.applications import Starlette
from temporalio.client import Client

from web.app import create_app
from web.config import WebConfig
from workers.audit_keys import DOWNLOADS, AuditVaultKey
from workers.rules import load_policy
from workers.serving import serve, stop_signals, unready_once
from workers.settings import Settings, SettingsError
from workers.telemetry import Telemetry
from workers.temporal_client import connect
from workers.vault import VaultKey

log = structlog.get_logger(__name__)


def web_config(settings: Settings) -> WebConfig:
    """What the web room needs, from the settings."""
    return WebConfig(
        public_url=settings.web.url,
        entra_authority=settings.entra.authority,
        entra_instance_discovery=settings.entra.instance_discovery,
        ca_file=settings.ca_file,
        client_id=settings.web.client_id,
        client_secret=settings.web.client_secret,
        session_secret=settings.web.session_secret,
        dataverse_webhook_keys=_valid(settings.dataverse.webhook_key, settings.dataverse.webhook_key_previous),
        finance_events_secrets=_valid(settings.finance.events_secret, settings.finance.events_secret_previous),
        decision_private_key_file=settings.decision.private_key_file,
        temporal_ui=settings.web.temporal_ui,
        sales_url=_opened_by_people(settings.dataverse.url),
        finance_url=_opened_by_people(settings.finance.url),
        policy=load_policy(settings),
        sweep_seconds=settings.worker.sweep_seconds,
        sessions=settings.web.sessions,
        session_hours=settings.web.session_hours,
        session_idle_minutes=settings.web.session_idle_minutes,
        roles_minutes=settings.web.roles_minutes,
        ledger_url=settings.ledger.url,
        audit_url=settings.ledger.reader_url or settings.ledger.url,
        audit_key_file=settings.audit.web_key_file,
        letter_font_file=settings.web.letter_font_file,
        api_clients=_listed(settings.web.api_clients),
        event_grid_clients=_listed(settings.web.event_grid_clients),
    )


def _opened_by_people(url: str) -> str:
    """The origin of a system, for links; empty of one on this machine: the sandbox has no pages of Dynamics."""
    return "" if urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1") else url


def _listed(names: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(",") if name.strip())


def _valid(newest: SecretStr, previous: SecretStr | None) -> tuple[SecretStr, ...]:
    """The secrets a sender may show: two while one replaces the other."""
    return (newest, previous) if previous else (newest,)


def _application(settings: Settings, client: Client) -> Starlette:
    key = VaultKey.read(settings) if settings.decision.vault_key else None
    audit_key = AuditVaultKey.read(settings, DOWNLOADS) if settings.audit.web_vault_key else None
    try:
        return create_app(web_config(settings), client, key, audit_key=audit_key)
    except (OSError, ValueError, JoseError) as error:
        file = settings.decision.private_key_file
        raise SettingsError(f"Q2C_DECISION_PRIVATE_KEY_FILE: {file}: {error}; make a pair with `q2c keys`") from error


async def run_web(settings: Settings, telemetry: Telemetry) -> int:
    """Serve until SIGTERM or SIGINT, then let open requests finish.

    Returns:
        Exit code.

    Raises:
        SettingsError: the codec's keys cannot be used.
        TemporalUnusable: Temporal does not answer.
        SettingsError: a key that signs cannot be read, or is in a vault that does not answer.
        PolicyError: the rules cannot be used.
        CannotListen: the port is taken.
    """
    with stop_signals() as stop:
        client: Client = await connect(telemetry, settings.codec)
        app = unready_once(stop, _application(settings, client))
        async with serve(app, settings.web.host, settings.web.port, variables="Q2C_WEB") as port:
            log.info("web ready", port=port, url=settings.web.url)
            await stop.wait()
            log.info("web stopping", drain_seconds=settings.web.drain_seconds)
            await asyncio.sleep(settings.web.drain_seconds)
    telemetry.close()
    return 0
