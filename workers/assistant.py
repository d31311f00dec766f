"""Hosts what assistants may ask: settings in, a served process out. It is given no secret and no key."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import structlog

from assistant.caller import Callers
from assistant.deals import Site
from assistant.server import on_standard_input, over_http
from assistant.tools import Tools
from ledger.data_reading import DataReading
from ledger.map_reading import MapReading
from ledger.opening import LedgerAway
from policies.map_files import Maps, in_force, load_maps
from web.access import Access
from web.tokens import SigningKeys, TokenVerifier
from workers.rules import load_policy
from workers.serving import serve, stop_signals, unready_once
from workers.settings import Settings, SettingsError
from workers.telemetry import Telemetry

log = structlog.get_logger(__name__)

_LONGEST_TOKEN = 16_384


def _keys(settings: Settings) -> SigningKeys:
    return SigningKeys(settings.entra.authority, settings.ca_file)


def _verifier(settings: Settings, keys: SigningKeys) -> TokenVerifier:
    clients = [name.strip() for name in settings.web.api_clients.split(",") if name.strip()]
    return TokenVerifier(keys, settings.web.client_id, clients=clients)


async def _maps(settings: Settings) -> Maps:
    """The maps in force. Raises SettingsError where the ledger does not say."""
    files, url = load_maps(settings.policies), settings.ledger.reader_url or settings.ledger.url
    if not url.get_secret_value():
        return files
    reading = MapReading(url.get_secret_value())
    try:
        return in_force(files, await reading.in_force())
    except LedgerAway as error:
        raise SettingsError(str(error)) from error
    finally:
        await reading.close()


async def tools_of(settings: Settings, callers: Callers, stack: AsyncExitStack) -> Tools:
    """The tools; what they use is closed with ``stack``.

    Raises:
        SettingsError: a map cannot be read.
        PolicyError: the rules cannot be used.
    """
    maps = await _maps(settings)
    if maps.problems:
        raise SettingsError("\n".join(map(str, maps.problems)))
    url = settings.ledger.reader_url or settings.ledger.url
    ledger = DataReading(url.get_secret_value()) if url.get_secret_value() else None
    site = Site(settings.web.url)
    stack.push_async_callback(site.aclose)
    if ledger is not None:
        stack.push_async_callback(ledger.close)
    by_entity = {data.entity: data for data in maps.all}
    return Tools(callers, Access(load_policy(settings)), site, ledger, by_entity, settings.mcp.scores)


async def run_http(settings: Settings, telemetry: Telemetry) -> int:
    """Serve until SIGTERM or SIGINT. Raises SettingsError, PolicyError and CannotListen; returns the exit code."""
    own, keys = settings.mcp, _keys(settings)
    verifier = _verifier(settings, keys)
    with stop_signals() as stop:
        async with AsyncExitStack() as stack:
            tools = await tools_of(settings, Callers(verifier), stack)
            app = unready_once(stop, over_http(tools, verifier, keys, own.url, settings.entra.authority))
            async with serve(app, own.host, own.port, variables="Q2C_MCP") as port:
                log.info("assistants are answered", port=port, url=own.url)
                await stop.wait()
    telemetry.close()
    return 0


async def run_stdio(settings: Settings, telemetry: Telemetry, token_file: Path) -> int:
    """Answer one person's assistant until standard input ends. Raises as `run_http`.

    Args:
        settings: of the process.
        telemetry: of the process.
        token_file: holds the person's access token; read again for each question, so that it may be renewed.
    """

    def token() -> str:
        try:
            return token_file.read_text(encoding="utf-8")[:_LONGEST_TOKEN].strip()
        except (OSError, UnicodeDecodeError):
            return ""

    callers = Callers(_verifier(settings, _keys(settings)), token)
    async with AsyncExitStack() as stack:
        await on_standard_input(await tools_of(settings, callers, stack)).run_stdio_async()
    telemetry.close()
    return 0
