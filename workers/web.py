"""Hosts the web application: settings in, a served process out."""

from __future__ import annotations

import structlog
from temporalio.client import Client

from web.app import create_app
from web.config import WebConfig
from workers.rules import companies
from workers.serving import serve, stop_signals
from workers.settings import Settings
from workers.telemetry import Telemetry
from workers.temporal_client import connect

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
        dataverse_webhook_key=settings.dataverse.webhook_key,
        finance_events_secret=settings.finance.events_secret,
        decision_private_key_file=settings.decision.private_key_file,
        temporal_ui=settings.web.temporal_ui,
        companies=companies(settings),
        sweep_seconds=settings.worker.sweep_seconds,
    )


async def run_web(settings: Settings, telemetry: Telemetry) -> int:
    """Serve until SIGTERM or SIGINT, then let open requests finish.

    Returns:
        Exit code.

    Raises:
        SettingsError: the codec's keys cannot be used.
        TemporalUnusable: Temporal does not answer.
        OSError: the port is taken.
    """
    with stop_signals() as stop:
        client: Client = await connect(telemetry, settings.codec)
        async with serve(create_app(web_config(settings), client), settings.web.host, settings.web.port) as port:
            log.info("web ready", port=port, url=settings.web.url)
            await stop.wait()
            log.info("web stopping")
    telemetry.close()
    return 0
