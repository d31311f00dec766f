"""The checks of `q2c doctor` on who reads from us: Dataverse's virtual tables, and assistants."""

from __future__ import annotations

from collections.abc import AsyncIterator

from cli import reach
from cli.check import Check, failed, not_checked, ok
from domain.policy import PolicyError
from virtual.app import HEADER, PREFIX
from workers.reading_settings import McpSettings
from workers.rules import load_policy
from workers.settings import Settings, SettingsError
from workers.virtual import company_secrets

_UNAUTHENTICATED = 401


async def run(settings: Settings) -> AsyncIterator[Check]:
    """Whether what is set up answers, and only whom it should; nothing where neither is set up."""
    if settings.virtual.secrets is not None:
        yield await _virtual(settings)
    if settings.mcp.url != McpSettings().url:
        yield await _assistants(settings.mcp.url)


async def _virtual(settings: Settings) -> Check:
    """Each company's key opens its tables and no key opens none; on another machine it cannot be asked."""
    name, url = "virtual tables", f"http://{settings.virtual.host}:{settings.virtual.port}{PREFIX}/"
    try:
        companies = company_secrets(settings, load_policy(settings))
    except (SettingsError, PolicyError) as error:
        return failed(name, str(error))
    answer = await reach.ready(url)
    if isinstance(answer, reach.Problem):
        return not_checked(name, f"{answer.text} Does `q2c virtual` run, and is this its machine?")
    if answer.status_code != _UNAUTHENTICATED:
        text = f"{url} answers {answer.status_code} to a request without a key."
        return failed(name, text, "see what listens there: `q2c virtual` answers 401.")
    for company, keys in companies.items():
        for key in keys:
            opened = await reach.ready(url, {HEADER: key})
            if isinstance(opened, reach.Problem) or not opened.is_success:
                said = opened.text if isinstance(opened, reach.Problem) else f"{url} answers {opened.status_code}."
                remedy = "restart `q2c virtual` with the same Q2C_VIRTUAL_SECRETS."
                return failed(name, f"{said} It was shown the key of {company}.", remedy)
    return ok(name, f"{url} opens to the keys of {', '.join(sorted(companies))}, and to nobody without one")


async def _assistants(url: str) -> Check:
    """Assistants reach its public address, it knows the keys of Entra ID, and it answers nobody without a token."""
    name, see = "assistants", "start `q2c mcp`, or correct Q2C_MCP_URL."
    answer = await reach.ready(f"{url}/health/ready")
    if isinstance(answer, reach.Problem):
        return failed(name, answer.text, see)
    if not answer.is_success:
        text = f"{url}/health/ready answers {answer.status_code}: {answer.text[:200]}"
        return failed(name, text, "see the log of `q2c mcp`.")
    asked = await reach.report(f"{url}/mcp", {}, {"accept": "application/json"})
    if isinstance(asked, reach.Problem):
        return failed(name, asked.text, see)
    if asked.status_code != _UNAUTHENTICATED:
        return failed(name, f"{url}/mcp answers {asked.status_code} to a request without a token.", see)
    return ok(name, f"{url}/mcp asks for a token of Entra ID")
